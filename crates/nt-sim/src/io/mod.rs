//! The I/O manager: drivers, devices, files, requests, work items.

mod cancel;
mod copy;
mod csq;
#[cfg(test)]
mod csq_tests;
pub(crate) mod device;
mod direct;
pub(crate) mod driver;
mod exports;
pub(crate) mod file;
pub(crate) mod irp;
pub(crate) mod request;
#[cfg(test)]
mod tests;
pub(crate) mod transfer;
pub(crate) mod work_item;
mod zw;

use std::{collections::BTreeMap, sync::Arc};

use crate::sync::Mutex;

use crate::export::Export;

/// State of the I/O manager.
pub(crate) struct Io {
    pub(crate) irps: Mutex<BTreeMap<usize, Arc<irp::Irp>>>,
    /// Completed packets, kept for a while so that late uses of them are recognised.
    pub(crate) recent: Mutex<std::collections::VecDeque<Arc<irp::Irp>>>,
    pub(crate) devices: Mutex<BTreeMap<usize, Arc<device::Device>>>,
    pub(crate) drivers: Mutex<Vec<Arc<driver::Driver>>>,
    pub(crate) work: work_item::WorkItems,
    pub(crate) cancel_lock: Box<usize>,
}

impl Io {
    pub(crate) fn new() -> Io {
        Io {
            irps: Mutex::new(BTreeMap::new()),
            recent: Mutex::default(),
            devices: Mutex::new(BTreeMap::new()),
            drivers: Mutex::new(Vec::new()),
            work: work_item::WorkItems::default(),
            cancel_lock: Box::new(0),
        }
    }

    /// Address of the system-wide cancel spin lock.
    pub(crate) fn cancel_lock(&self) -> *mut usize {
        (&raw const *self.cancel_lock).cast_mut()
    }
}

/// What the I/O manager exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        cancel::EXPORTS,
        csq::EXPORTS,
        device::EXPORTS,
        exports::EXPORTS,
        work_item::EXPORTS,
        zw::EXPORTS,
    ]
}

//! The memory manager's exports.

mod mdl;
mod pages;
mod user;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::sync::Mutex;
use nt::sys::UNICODE_STRING;

use crate::arch::{ThunkKind, ThunkPage};
use crate::export::{self, Export};
use crate::exports;
use crate::kernel::kernel;
use crate::mem::guest;
use crate::seh;

/// What the memory manager exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        mdl::EXPORTS,
        pages::EXPORTS,
        user::EXPORTS,
        user::DATA,
        EXPORTS,
    ]
}

/// Functions that came after the oldest supported system, and the build that brought them. Drivers look them up by name,
/// and must live without them on older systems.
const NEWER: [(&str, u32); 3] = [
    ("ExAllocatePool2", 19041),
    ("ExAllocatePool3", 19041),
    ("ExFreePool2", 20348),
];

/// Thunks made for functions that drivers got as pointers, by the function.
static THUNKS: Mutex<BTreeMap<usize, ThunkPage>> = Mutex::new(BTreeMap::new());

/// The address at which the driver that called the current exported function calls another. A driver file calls through a
/// thunk, as through its import table; a linked driver calls the function itself.
pub(crate) fn address_for_caller(export: &Export) -> *const () {
    if export.info.data || seh::driver_stack(1).is_empty() {
        return export.address;
    }
    let kind = if export.info.raises {
        ThunkKind::Raising
    } else {
        ThunkKind::Plain
    };
    let mut thunks = THUNKS.lock();
    let page = thunks.entry(export.address as usize).or_insert_with(|| {
        let mut page = ThunkPage::new(1).expect("Linux gives a page");
        page.add(kind, export.address);
        page.seal().expect("Linux lets a page become executable");
        page
    });
    page.first()
}

/// As [`address_for_caller`], by the name of a function of ntoskrnl.
///
/// # Panics
/// When there is no such function: the names are this crate's own.
pub(crate) fn routine_address(name: &str) -> *const () {
    let export = export::lookup("ntoskrnl.exe", name);
    address_for_caller(export.unwrap_or_else(|| panic!("{name} is not exported")))
}

/// Whether a pointer that a driver may have got from [`routine_address`] is the function of this name.
pub(crate) fn is_routine(address: *const (), name: &str) -> bool {
    let Some(export) = export::lookup("ntoskrnl.exe", name) else {
        return false;
    };
    let thunk = THUNKS
        .lock()
        .get(&(export.address as usize))
        .map(ThunkPage::first);
    address == export.address || thunk == Some(address)
}

fn find_routine(name: &str) -> Option<*const ()> {
    let newer = NEWER.iter().find(|(newer, _)| *newer == name);
    if newer.is_some_and(|&(_, build)| kernel().config.build < build) {
        return None;
    }
    export::lookup("ntoskrnl.exe", name).map(address_for_caller)
}

exports! { "ntoskrnl.exe" => EXPORTS;
    /// The address of a function of ntoskrnl or hal by name; null when this system does not have it.
    #[irql(PASSIVE)] #[raises]
    fn MmGetSystemRoutineAddress(name: *const UNICODE_STRING) -> *const () {
        let string = guest::load(name);
        let units = guest::load_many(string.Buffer.cast_const(), usize::from(string.Length / 2));
        let name = String::from_utf16_lossy(&units);
        find_routine(&name).unwrap_or(std::ptr::null())
    }
}

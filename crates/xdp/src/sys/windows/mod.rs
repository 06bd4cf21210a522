//! Windows as a system: requests go to the driver in its kernel.

mod api;
mod interfaces;
mod object;
mod pending;

use std::sync::{Arc, LazyLock};

use super::{Access, Backend, Object, Signal};
use crate::error::Fault;
use crate::interface::Details;
use crate::memory::Memory;

/// This Windows.
struct Host;

/// The one that there is.
pub(crate) fn host() -> Arc<dyn Backend> {
    static HOST: LazyLock<Arc<Host>> = LazyLock::new(|| Arc::new(Host));
    Arc::clone(&HOST) as _
}

impl Backend for Host {
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault> {
        object::open(device, access, value)
    }

    fn adopt(&self, value: u64) -> Result<Arc<dyn Object>, Fault> {
        object::adopt(value)
    }

    fn signal(&self) -> Result<Arc<dyn Signal>, Fault> {
        pending::signal()
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Fault> {
        object::allocate(bytes)
    }

    fn process(&self) -> u64 {
        std::process::id().into()
    }

    fn interfaces(&self) -> Result<Vec<Details>, Fault> {
        interfaces::list()
    }
}

//! Clients in the kernel: other drivers, as far as the driver under test sees them.

use std::sync::{Arc, atomic::AtomicBool};

use super::{Held, Lab, LabError, Process, UserMemory};
use crate::{
    kernel::kernel,
    mem::{
        caller::{self, Tag},
        pool::Request,
    },
    sync::Mutex,
};

/// Tag of their memory.
const POOL_TAG: u32 = u32::from_le_bytes(*b"Clnt");
/// Their memory is non-paged, so that it can be locked and touched at any level.
const POOL_FLAG_NON_PAGED: u64 = 0x40;

impl Lab {
    /// Another driver that uses devices as programs do, in the system process: its requests come in kernel mode, its handles
    /// are the kernel's, and its memory is non-paged pool.
    pub fn kernel_client(&self) -> Process<'_> {
        Process {
            lab: Held::Borrowed(self),
            process: Arc::clone(&kernel().ps.system),
            ended: AtomicBool::new(false),
            pool: Some(Mutex::default()),
        }
    }
}

/// What another driver hears of a callback object.
pub struct CallbackWatch {
    notes: crate::ex::callback::Notes,
}

impl CallbackWatch {
    /// The arguments of each notification so far.
    pub fn notifications(&self) -> Vec<(usize, usize)> {
        self.notes.lock().clone()
    }
}

impl Lab {
    /// Registers another driver with a callback object, such as `\Callback\XdpDriverStart`, which is made if there is none.
    ///
    /// # Errors
    /// When the name is that of something else, or the kernel stopped.
    pub fn watch_callback(&self, path: &str) -> Result<CallbackWatch, LabError> {
        let notes = self.enter(|| crate::ex::callback::watch(path))?;
        let notes = notes.map_err(|status| LabError::Invalid(format!("{path}: {status:#x}")))?;
        Ok(CallbackWatch { notes })
    }
}

impl Process<'_> {
    pub(super) fn alloc_pool(
        &self,
        size: usize,
        blocks: &Mutex<Vec<usize>>,
    ) -> Result<UserMemory, LabError> {
        let mem = &kernel().mem;
        let request = Request::from_flags(POOL_FLAG_NON_PAGED, size.max(1), POOL_TAG)
            .map_err(|bad| LabError::Invalid(format!("{size} bytes of pool: {bad:?}")))?;
        let block = self.lab.enter(|| {
            let caller = caller::capture();
            mem.pool.alloc(&mem.phys, &mem.va, &request, &caller)
        })?;
        let address = block.ok().flatten();
        let address =
            address.ok_or_else(|| LabError::Invalid(format!("no pool for {size} bytes")))?;
        blocks.lock().push(address);
        Ok(UserMemory {
            address,
            host: address,
            size,
        })
    }

    pub(super) fn free_pool(&self, address: usize) -> Result<(), LabError> {
        let mem = &kernel().mem;
        let tag = Some(Tag(POOL_TAG));
        self.lab.enter(|| {
            let caller = caller::capture();
            mem.pool
                .free(&mem.phys, &mem.va, address, tag, &caller)
                .map(|_| ())
                .map_err(|bad| LabError::Invalid(format!("freeing {address:#x}: {bad:?}")))
        })?
    }
}

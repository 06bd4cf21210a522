//! Handle tables.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::{NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH};

use super::{Kind, Object};
use crate::{kernel::kernel, mem::caller};

/// Bits that mark the handles of the system.
pub(crate) const KERNEL_HANDLE: usize = 0xffff_ffff_8000_0000;

/// What a handle stands for.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) object: Arc<Object>,
    pub(crate) access: u32,
    /// The driver that opened it.
    owner: u16,
}

/// Handles of a process, or of the system.
pub(crate) struct HandleTable {
    handles: Mutex<BTreeMap<usize, Handle>>,
    next: AtomicUsize,
}

impl HandleTable {
    pub(crate) fn new() -> HandleTable {
        HandleTable {
            handles: Mutex::new(BTreeMap::new()),
            next: AtomicUsize::new(4),
        }
    }

    /// Makes a handle; takes over one reference to `object`.
    pub(crate) fn insert(&self, object: Arc<Object>, access: u32, kernel_handle: bool) -> usize {
        let mut value = self.next.fetch_add(4, Ordering::Relaxed);
        if kernel_handle {
            value |= KERNEL_HANDLE;
        }
        object.handles.fetch_add(1, Ordering::AcqRel);
        let owner = caller::owner();
        let handle = Handle {
            object,
            access,
            owner,
        };
        self.handles.lock().insert(value, handle);
        value
    }

    pub(crate) fn get(&self, value: usize) -> Option<Handle> {
        self.handles.lock().get(&value).cloned()
    }

    /// The object behind a handle, if it is of `kind` and was opened with `access`.
    pub(crate) fn lookup(
        &self,
        value: usize,
        kind: Option<Kind>,
        access: u32,
        check_access: bool,
    ) -> Result<Handle, NTSTATUS> {
        let handle = self.get(value).ok_or(STATUS_INVALID_HANDLE)?;
        if kind.is_some_and(|kind| kind != handle.object.kind) {
            return Err(STATUS_OBJECT_TYPE_MISMATCH);
        }
        if check_access && access & !handle.access != 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(handle)
    }

    /// Closes a handle: the last one of a file sends cleanup, and a reference goes.
    pub(crate) fn close(&self, value: usize) -> Result<(), NTSTATUS> {
        let handle = self
            .handles
            .lock()
            .remove(&value)
            .ok_or(STATUS_INVALID_HANDLE)?;
        let left = handle.object.handles.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 && handle.object.kind == Kind::File {
            crate::io::file::last_handle_closed(&handle.object);
        }
        if left == 0 && handle.object.kind == Kind::Key {
            crate::cm::key_handle_closed(&handle.object);
        }
        kernel().ob.dereference(&handle.object);
        Ok(())
    }

    /// Handles that are open.
    pub(crate) fn values(&self) -> Vec<usize> {
        self.handles.lock().keys().copied().collect()
    }

    /// Handles that a driver opened, in words.
    pub(crate) fn left_by(&self, owner: u16) -> Vec<String> {
        let handles = self.handles.lock();
        handles
            .iter()
            .filter(|(_, handle)| handle.owner == owner)
            .map(|(value, handle)| {
                let name = handle.object.name.lock().clone();
                format!(
                    "{value:#x} ({:?} {})",
                    handle.object.kind,
                    name.unwrap_or_else(|| "without a name".to_owned())
                )
            })
            .collect()
    }
}

//! Handles that go from one process to another by their values, as Windows programs hand them over.

use std::sync::Arc;

use super::{Handle, Held, LabError, Process};
use crate::kernel::kernel;

impl Handle<'_> {
    /// Makes a handle of another process to what this handle stands for, with the same access, and returns its value in that
    /// process, where [`Process::adopt`] makes a handle of it. It is closed with the process if nobody does.
    ///
    /// # Errors
    /// When the kernel has stopped, or this handle was closed otherwise.
    pub fn duplicate_into(&self, process: &Process<'_>) -> Result<usize, LabError> {
        let value = self.process.call(|| {
            let found = self.process.process.handles.get(self.value)?;
            kernel().ob.reference(&found.object);
            let handles = &process.process.handles;
            Some(handles.insert(found.object, found.access, false))
        })?;
        value.ok_or_else(|| LabError::Invalid("the handle is closed".into()))
    }
}

impl<'lab> Process<'lab> {
    /// A handle that the process has, by its value; dropping it closes it. Whoever gets it is to be its only owner.
    ///
    /// # Errors
    /// When the process has no handle of this value, or the kernel has stopped.
    pub fn adopt(self: &Arc<Self>, value: usize) -> Result<Handle<'lab>, LabError> {
        let found = self.call(|| self.process.handles.get(value).is_some())?;
        if !found {
            return Err(LabError::Invalid(format!(
                "process {} has no handle {value:#x}",
                self.process.id
            )));
        }
        Ok(Handle {
            process: Held::Shared(Arc::clone(self)),
            value,
            open: true,
        })
    }
}

//! Buffers of callers that the I/O manager locks for drivers (METHOD_IN_DIRECT, METHOD_OUT_DIRECT,
//! DO_DIRECT_IO).

use nt::sys::{MDL, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES};

use crate::{
    kernel::{kernel, try_kernel},
    mem::{
        caller::Caller,
        mdl::{MdlError, MdlView},
        report::mdl_result,
        user::Access,
    },
};

/// A locked buffer; it is unlocked when this is dropped.
pub(crate) struct LockedBuffer(usize);

impl LockedBuffer {
    /// Locks a buffer of the current process, or of the kernel when `user` is not set; `None` when it
    /// is empty.
    pub(crate) fn lock(
        (address, length): (usize, usize),
        user: bool,
        access: Access,
    ) -> Result<Option<LockedBuffer>, NTSTATUS> {
        if length == 0 {
            return Ok(None);
        }
        let mem = &kernel().mem;
        // What the I/O manager makes is no driver's to give back.
        let owner = Caller::default();
        let status = |error| match error {
            MdlError::Raise(status) => status,
            MdlError::NoResources => STATUS_INSUFFICIENT_RESOURCES,
            error => {
                mdl_result::<()>("the I/O manager", 0, Err(error));
                STATUS_INSUFFICIENT_RESOURCES
            }
        };
        let mdl = mem.mdl_allocate(address, length, &owner).map_err(status)?;
        if let Err(error) = mem.mdl_lock(mdl, user, access, &owner) {
            let freed = mem.mdl_free(mdl, &owner);
            mdl_result("the I/O manager", mdl.0, freed);
            return Err(status(error));
        }
        Ok(Some(LockedBuffer(mdl.0)))
    }

    /// The MDL that describes it.
    pub(crate) fn mdl(&self) -> *mut MDL {
        self.0 as *mut MDL
    }
}

impl Drop for LockedBuffer {
    fn drop(&mut self) {
        let Some(kernel) = try_kernel() else {
            return;
        };
        let mdl = MdlView(self.0);
        let unlocked = kernel.mem.mdl_unlock(mdl);
        mdl_result("IoCompleteRequest", self.0, unlocked);
        let freed = kernel.mem.mdl_free(mdl, &Caller::default());
        mdl_result("IoCompleteRequest", self.0, freed);
    }
}

//! Locking pages in memory.

use nt::sys::{
    EPROCESS, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_PARTIAL, MDL_SOURCE_IS_NONPAGED_POOL,
    MDL_WRITE_OPERATION, STATUS_ACCESS_VIOLATION,
};

use super::{Lock, MdlError, MdlRule, MdlView, Result, rule};
use crate::mem::caller::Caller;
use crate::mem::user::{self, Access};
use crate::mem::{Memory, USER_END, is_user};

impl Memory {
    /// Checks that a buffer is there for the access, and locks its pages.
    pub(crate) fn mdl_lock(
        &self,
        mdl: MdlView,
        user_mode: bool,
        access: Access,
        caller: &Caller,
    ) -> Result<()> {
        let (address, len) = (mdl.address(), mdl.len());
        if mdl.has(MDL_PAGES_LOCKED) {
            return rule(
                MdlRule::LockedTwice,
                format_args!("the MDL {:#x} locks its pages already", mdl.0),
            );
        }
        if mdl.has(MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL) {
            return rule(
                MdlRule::Malformed,
                format_args!(
                    "the MDL {:#x} describes mapped, non-paged or partial memory (flags {:#x}); there is nothing to lock",
                    mdl.0,
                    mdl.flags()
                ),
            );
        }
        let raise = Err(MdlError::Raise(STATUS_ACCESS_VIOLATION));
        let end = address.checked_add(len);
        if user_mode && end.is_none_or(|end| end > USER_END) {
            return raise;
        }
        if len == 0 || end.is_none() {
            return raise;
        }
        let (pfns, space, process) = if is_user(address) {
            let owner = self.spaces.of(address);
            let Some(space) = owner.filter(|space| Some(space.id()) == user::current()) else {
                if user::current().is_none() {
                    return rule(
                        MdlRule::WrongProcess,
                        format_args!(
                            "the user buffer {address:#x} is locked by a thread that is in no process"
                        ),
                    );
                }
                return raise;
            };
            let Ok(pfns) = space.pages(address, len, access) else {
                return raise;
            };
            (pfns, Some(space.id()), space.process_object())
        } else {
            let Ok(pfns) = self.kernel_pfns(address, len, access) else {
                return raise;
            };
            (pfns, None, 0)
        };
        self.pins.pin(&pfns);
        mdl.set_pfns(&pfns);
        let mut header = mdl.header();
        header.Process = process as *mut EPROCESS;
        let write = if access == Access::Write {
            MDL_WRITE_OPERATION
        } else {
            0
        };
        header.MdlFlags |= MDL_PAGES_LOCKED | write;
        mdl.set_header(header);
        self.mdls.with(mdl, |state| {
            state.lock = Some(Lock {
                space,
                pfns,
                caller: caller.clone(),
            })
        });
        Ok(())
    }

    /// Unlocks the pages, and undoes the mapping into the kernel if there is one.
    pub(crate) fn mdl_unlock(&self, mdl: MdlView) -> Result<()> {
        let locked = self.mdls.with(mdl, |state| state.lock.is_some());
        if !locked || !mdl.has(MDL_PAGES_LOCKED) {
            return rule(
                MdlRule::NotLocked,
                format_args!("the MDL {:#x} has no locked pages", mdl.0),
            );
        }
        let user = self
            .mdls
            .with(mdl, |state| state.user.first().map(|mapping| mapping.start));
        if let Some(start) = user {
            return rule(
                MdlRule::UserMappingLeft,
                format_args!(
                    "the MDL {:#x} is still mapped into a process at {start:#x}",
                    mdl.0
                ),
            );
        }
        if mdl.has(MDL_MAPPED_TO_SYSTEM_VA) {
            let reserved = self.mdls.with(mdl, |state| {
                state
                    .system
                    .as_ref()
                    .is_some_and(|mapping| mapping.reserved)
            });
            if reserved {
                return rule(
                    MdlRule::ReservedMapping,
                    format_args!(
                        "the MDL {:#x} is still mapped at reserved addresses {:#x}",
                        mdl.0,
                        mdl.mapped()
                    ),
                );
            }
            self.mdl_unmap_system(mdl, mdl.mapped())?;
        }
        if let Some(lock) = self.mdls.with(mdl, |state| state.lock.take()) {
            for run in self.pins.unpin(&lock.pfns) {
                self.phys.free(run);
            }
        }
        mdl.change_flags(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION, 0);
        Ok(())
    }
}

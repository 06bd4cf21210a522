//! What another Linux process needs to be a process of the lab: the machine's memory.

use std::fs::File;
use std::io;

use super::{Lab, LabError, Process, UserMemory};
use crate::kernel::kernel;
use crate::mem::PAGE_SIZE;
use crate::mem::phys::runs_of;
use crate::mem::user::Access;
use crate::mem::window::Stretch;

impl Lab {
    /// The file that is the machine's physical memory, as one more descriptor. Who has it can read and write everything in the
    /// machine.
    ///
    /// # Errors
    /// When Linux has no descriptor left.
    pub fn memory_file(&self) -> io::Result<File> {
        kernel().mem.phys.file().try_clone()
    }
}

impl Process<'_> {
    /// Where pages of the process are in [`Lab::memory_file`], from the page on that `memory` starts in.
    ///
    /// # Errors
    /// When the range is not all there, or it is not one of a process.
    pub fn stretches(&self, memory: UserMemory) -> Result<Vec<Stretch>, LabError> {
        let pages = self
            .space()?
            .pages(memory.address, memory.size, Access::Read)
            .map_err(|at| LabError::Invalid(format!("{at:#x} is not mapped")))?;
        let page = PAGE_SIZE as u64;
        let stretches = runs_of(pages).into_iter().map(|run| Stretch {
            offset: run.first * page,
            bytes: run.count * page,
        });
        Ok(stretches.collect())
    }
}

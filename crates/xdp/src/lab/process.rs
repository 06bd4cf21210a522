//! Other processes in a lab.

use std::fmt;
use std::sync::Arc;

use super::Lab;
use crate::error::{Call, Error};
use crate::handle::Peer;
use crate::interface::System;
use crate::sys::lab::Caller;

/// Another process in a lab than the one that this program is, with handles and memory of its own.
///
/// What it does is done through its [`System`]. The process ends, and its handles are closed, when this is dropped and
/// everything that was made of the system.
pub struct Process {
    caller: Arc<Caller>,
}

/// Who a process of a lab belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum User {
    /// An administrator, who may open the driver.
    #[default]
    Administrator,
    /// Anybody else, who may not unless somebody said so.
    Ordinary,
}

impl Lab {
    /// Starts another process.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`](crate::Kind::LabStopped), [`Kind::OutOfMemory`](crate::Kind::OutOfMemory).
    pub fn process(&self, name: &str, user: User) -> Result<Process, Error> {
        let caller = Caller::start(&self.machine, name, user)
            .map_err(|fault| fault.during(Call::Boot, name))?;
        Ok(Process {
            caller: Arc::new(caller),
        })
    }
}

impl Process {
    /// The system as the process sees it.
    #[must_use]
    pub fn system(&self) -> System {
        System::new(Arc::clone(&self.caller) as _)
    }

    /// The process as one that handles are given to.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::of_lab(Arc::clone(&self.caller))
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

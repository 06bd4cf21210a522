//! Who has locked pages of which process, or mapped pages into it.
//!
//! A process must not end before that is undone, but the handles of whoever did it may outlive the process: in other
//! processes, by duplication. So they are listed here, and let go of the process when it ends.

use nt::process::Process;
use nt::sync::PushLock;
use nt::{Arc, Passive, Result, Vec};

use crate::program::Program;
use crate::socket::{Lent, Socket};

/// What can hold on to the memory of a process.
pub(crate) enum Holder {
    /// A socket: its frame memory.
    Socket(Arc<Socket>),
    /// A program: bitmaps of ports.
    Program(Arc<Program>),
    /// A ring: its mapping.
    Ring(Arc<Lent>),
}

impl Holder {
    /// What the holder is known by.
    fn identity(&self) -> usize {
        match self {
            Self::Socket(socket) => core::ptr::from_ref(&**socket).addr(),
            Self::Program(program) => core::ptr::from_ref(&**program).addr(),
            Self::Ring(lent) => core::ptr::from_ref(&**lent).addr(),
        }
    }

    fn let_go(&self, passive: Passive<'_>) {
        match self {
            Self::Socket(socket) => socket.owner_ended(passive),
            Self::Program(program) => program.detach(passive),
            Self::Ring(lent) => lent.take_back(passive),
        }
    }
}

struct Entry {
    process: usize,
    holder: Holder,
}

/// All who hold on to the memory of processes. The innermost lock: nothing else is waited for while it is held.
pub(crate) struct Holders {
    entries: PushLock<Vec<Entry>>,
}

impl Holders {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self {
            entries: PushLock::new(Vec::new(crate::TAG)),
        }
    }

    /// Lists a holder of memory of the current process. That process cannot end before this thread is back in it.
    pub(crate) fn add(&self, holder: Holder, passive: Passive<'_>) -> Result<()> {
        let process = Process::current().id();
        self.entries.write(passive).push(Entry { process, holder })
    }

    /// Takes a holder off the list, once it has let go of its process: were it taken off before, the process could end
    /// in between.
    pub(crate) fn remove<T>(&self, holder: &T, passive: Passive<'_>) {
        let identity = core::ptr::from_ref(holder).addr();
        let mut entries = self.entries.write(passive);
        let at = entries
            .iter()
            .position(|entry| entry.holder.identity() == identity);
        let taken = at.and_then(|at| entries.swap_remove(at));
        drop(entries);
        drop(taken);
    }

    /// Has everybody let go of the memory of a process.
    pub(crate) fn process_ended(&self, process: usize, passive: Passive<'_>) {
        loop {
            let mut entries = self.entries.write(passive);
            let at = entries.iter().position(|entry| entry.process == process);
            let taken = at.and_then(|at| entries.swap_remove(at));
            drop(entries);
            let Some(entry) = taken else {
                return;
            };
            entry.holder.let_go(passive);
        }
    }
}

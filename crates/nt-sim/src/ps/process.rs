//! A process.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    kernel::kernel,
    mem::user::AddressSpace,
    ob::{Body, HandleTable, Kind, Object, security::Token},
};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessKind {
    /// The system process.
    System,
    /// A 64-bit process of an administrator.
    Administrator,
    /// A 64-bit process of an ordinary user.
    OrdinaryUser,
}

/// A process: who it acts for, its handles.
pub(crate) struct Process {
    pub(crate) id: usize,
    pub(crate) name: String,
    /// Runs 32-bit code.
    pub(crate) is_32_bit: AtomicBool,
    pub(crate) token: Token,
    pub(crate) handles: HandleTable,
    /// User memory; the system process has none.
    pub(crate) space: Option<Arc<AddressSpace>>,
    /// It is being ended: its threads leave their waits in user mode.
    dying: AtomicBool,
    object: OnceLock<Arc<Object>>,
}

/// Bytes of the opaque `EPROCESS`.
const EPROCESS_SIZE: usize = 0xb80;

impl Process {
    pub(super) fn new(
        id: usize,
        name: &str,
        kind: ProcessKind,
        space: Option<Arc<AddressSpace>>,
    ) -> Process {
        Process {
            id,
            name: name.to_owned(),
            is_32_bit: AtomicBool::new(false),
            token: match kind {
                ProcessKind::System => Token::system(),
                ProcessKind::Administrator => Token::administrator(),
                ProcessKind::OrdinaryUser => Token::ordinary_user(),
            },
            handles: HandleTable::new(),
            space,
            dying: AtomicBool::new(false),
            object: OnceLock::new(),
        }
    }

    /// The object, when anybody has asked for it.
    pub(super) fn known_object(&self) -> Option<Arc<Object>> {
        self.object.get().cloned()
    }

    /// Whether it is being ended.
    pub(crate) fn is_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst)
    }

    /// Ends the waits of its threads in user mode, now and from now on.
    pub(crate) fn kill(&self) {
        self.dying.store(true, Ordering::SeqCst);
        crate::ke::dispatcher::interrupt(self.id);
    }

    /// The object that drivers know as `PEPROCESS`.
    pub(crate) fn object(&self) -> Arc<Object> {
        Arc::clone(self.object.get_or_init(|| {
            let body = Body::new(EPROCESS_SIZE);
            crate::ke::dispatcher::initialize(
                body.address(),
                crate::ke::dispatcher::kind::PROCESS,
                0x100,
                0,
            );
            kernel()
                .ob
                .create(Kind::Process, Ok(body), Arc::new(self.id))
        }))
    }
}

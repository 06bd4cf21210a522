//! Rules as they are captured from a caller.

use core::mem;

use nt::handle::FileObject;
use nt::memory::{Mode, Requestor};
use nt::sys::FILE_GENERIC_WRITE;
use nt::{Arc, Passive, Result, Status, Vec};
use xdp_abi::rule::PORT_SET_BUFFER_SIZE;
use xdp_abi::{Handle, Rule};
use xdp_rules::Pattern;
use xdp_rules::validate::{self, Action, Caller};
use zerocopy::{FromZeros, IntoBytes};

use crate::control::{Object, read_user};
use crate::map::Map;
use crate::memory::LivePorts;
use crate::socket::Socket;

/// What a rule does with a frame.
#[derive(Clone)]
pub(crate) enum Target {
    /// It is dropped.
    Drop,
    /// It continues.
    Pass,
    /// It is sent back with its addresses swapped.
    Forward,
    /// It is copied to a socket.
    Socket(Arc<Socket>),
    /// It is copied to the socket that a map has for the queue.
    Map(Arc<Map>),
}

/// One rule.
pub(crate) struct ProgramRule {
    pub(crate) pattern: Pattern<LivePorts>,
    pub(crate) target: Target,
}

/// The rules of one program. They refer to sockets, maps and port sets whatever becomes of the handles.
pub(crate) struct ProgramRules {
    id: u64,
    rules: Vec<ProgramRule>,
}

impl ProgramRules {
    /// Captures and validates rules from the memory of a caller; what earlier rules took is released on failure.
    pub(crate) fn capture(
        id: u64,
        address: u64,
        count: u32,
        requestor: Requestor,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let count = count as usize;
        let bytes = count
            .checked_mul(size_of::<Rule>())
            .ok_or(Status::INTEGER_OVERFLOW)?;
        let no_memory = |_| Status::NO_MEMORY;
        let mut raw = Vec::with_capacity(crate::TAG, count).map_err(no_memory)?;
        let mut rules = Vec::with_capacity(crate::TAG, count).map_err(no_memory)?;
        for _ in 0..count {
            raw.push(Rule::new_zeroed()).map_err(no_memory)?;
        }
        if count != 0 {
            let array = requestor.slice(address, bytes);
            read_user(&array, mem::align_of::<Rule>(), raw.as_mut_bytes())?;
        }
        let caller = match requestor.mode() {
            Mode::User => Caller::User,
            Mode::Kernel => Caller::Kernel,
        };
        for rule in validate::rules(&raw, caller) {
            let rule = rule.map_err(|_| Status::INVALID_PARAMETER)?;
            let pattern = rule.pattern.try_map_port_set(|bitmap| {
                let bitmap = requestor.slice(bitmap.0, PORT_SET_BUFFER_SIZE);
                LivePorts::lock(&bitmap, passive)
            })?;
            let target = resolve(rule.action, requestor.mode(), passive)?;
            rules
                .push(ProgramRule { pattern, target })
                .map_err(no_memory)?;
        }
        Ok(Self { id, rules })
    }

    /// The program's number.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// The rules in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ProgramRule> {
        self.rules.iter()
    }

    /// Whether rules refer to locked pages.
    pub(crate) fn lock_pages(&self) -> bool {
        self.iter().any(|rule| rule.pattern.port_set().is_some())
    }

    /// The number of rules.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether the sockets that rules name directly are fit to receive.
    pub(crate) fn check_targets(&self) -> Result<()> {
        for rule in self.iter() {
            if let Target::Socket(socket) = &rule.target {
                socket.check_receives()?;
            }
        }
        Ok(())
    }
}

fn resolve(action: Action, mode: Mode, passive: Passive<'_>) -> Result<Target> {
    Ok(match action {
        Action::Drop => Target::Drop,
        Action::Pass => Target::Pass,
        Action::L2Forward => Target::Forward,
        Action::RedirectToSocket(handle) => Target::Socket(socket_of(handle, mode, passive)?),
        Action::RedirectByQueue(handle) => match object_of(handle, mode, passive)?.map() {
            Some(map) => Target::Map(map),
            None => return Err(Status::INVALID_HANDLE),
        },
        // eBPF programs are not supported yet.
        Action::Ebpf(_) => return Err(Status::NOT_SUPPORTED),
    })
}

fn object_of(handle: Handle, mode: Mode, passive: Passive<'_>) -> Result<Arc<Object>> {
    let file = FileObject::by_handle(handle.0, FILE_GENERIC_WRITE, mode, passive)?;
    Object::behind(&file).ok_or(Status::INVALID_HANDLE)
}

/// The socket behind a handle of the caller.
pub(crate) fn socket_of(handle: Handle, mode: Mode, passive: Passive<'_>) -> Result<Arc<Socket>> {
    object_of(handle, mode, passive)?
        .socket()
        .ok_or(Status::INVALID_HANDLE)
}

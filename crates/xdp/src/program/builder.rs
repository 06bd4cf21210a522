//! Attaching rules.

use std::fmt;
use std::sync::Arc;

use xdp_abi::open::ObjectType;
use xdp_abi::program::{CreateProgramFlags, ProgramOpen};
use xdp_abi::{ActionParams, ClientPtr, MatchPattern, RedirectParams};
use zerocopy::IntoBytes;

use super::{Hook, Mode, PortSet, Rule};
use crate::error::{Call, Error, Fault, Kind};
use crate::handle::{Handle, Peer};
use crate::interface::Interface;
use crate::map::Map;
use crate::rulefile::{Entry, RuleFile, Target};
use crate::socket::Socket;
use crate::sys::{Object, open_object};

/// Rules that are attached to queues of an interface. Dropping it detaches them.
#[doc(alias = "XdpCreateProgram")]
pub struct Program {
    object: Arc<dyn Object>,
    /// The driver reads them in place.
    _ports: Vec<PortSet>,
}

/// A program that is being described.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProgramBuilder {
    interface: Interface,
    rules: Vec<Rule>,
    queue: Option<u32>,
    mode: Mode,
    hook: Hook,
}

/// What the names of redirect targets in a rule file stand for.
#[derive(Clone, Default)]
pub struct Targets {
    known: Vec<(Target, Arc<dyn Object>)>,
}

impl Targets {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a socket a name.
    #[must_use]
    pub fn socket(mut self, name: &str, socket: &Socket<'_>) -> Self {
        let target = Target::Socket(name.to_owned());
        self.known.push((target, Arc::clone(socket.object())));
        self
    }

    /// Gives a map a name.
    #[must_use]
    pub fn map(mut self, name: &str, map: &Map) -> Self {
        let target = Target::Map(name.to_owned());
        self.known.push((target, Arc::clone(map.object())));
        self
    }

    fn find(&self, target: &Target) -> Option<&Arc<dyn Object>> {
        let known = self.known.iter().find(|(known, _)| known == target);
        known.map(|(_, object)| object)
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.known.iter().map(|(target, _)| target);
        f.debug_list().entries(names).finish()
    }
}

impl Program {
    /// Starts describing a program on all queues of the receive side of an interface, without rules: frames that no
    /// rule matches pass.
    pub fn builder(interface: &Interface) -> ProgramBuilder {
        ProgramBuilder {
            interface: interface.clone(),
            rules: Vec::new(),
            queue: None,
            mode: Mode::Auto,
            hook: Hook::Receive,
        }
    }

    /// Takes over a program that another process attached and duplicated into this one.
    pub fn adopt(handle: Handle) -> Self {
        Self {
            object: handle.into_object(),
            _ports: Vec::new(),
        }
    }

    /// Makes a handle to the program in another process, and returns its value there: the rules stay attached until both have
    /// closed it. Port sets stay those of this process.
    ///
    /// # Errors
    ///
    /// [`Kind::NotPermitted`], [`Kind::Failed`] when the system refuses.
    #[doc(alias = "DuplicateHandle")]
    pub fn duplicate_to(&self, process: &Peer) -> Result<u64, Error> {
        process.duplicate(&*self.object, || "a program".to_owned())
    }

    /// Detaches the rules: no frame is matched with them any more when this returns. So does dropping the program.
    pub fn detach(self) {}
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("handle", &self.object.handle())
            .finish_non_exhaustive()
    }
}

impl ProgramBuilder {
    /// Adds a rule behind those that are there.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds rules behind those that are there.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Adds the rules of a file behind those that are there. Its port sets are copied.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when a rule redirects to a name that `targets` does not have; [`Kind::OutOfMemory`].
    pub fn rule_file(mut self, file: &RuleFile, targets: &Targets) -> Result<Self, Error> {
        for (number, entry) in (1..).zip(file.entries()) {
            let rule = self.rule_of(number, entry, targets)?;
            self.rules.push(rule);
        }
        Ok(self)
    }

    fn rule_of(&self, number: usize, entry: &Entry, targets: &Targets) -> Result<Rule, Error> {
        let mut rule = Rule {
            raw: *entry.rule(),
            ports: None,
            target: None,
        };
        if let Some(target) = entry.target() {
            let object = targets.find(target).ok_or_else(|| {
                let cause = format!("rule {number} redirects to {target}, which there is not");
                Error::new(
                    Kind::InvalidArgument,
                    Call::AttachProgram,
                    self.name(),
                    cause,
                )
            })?;
            let params = RedirectParams {
                target: xdp_abi::Handle(object.handle()),
                ..rule.raw.params.redirect()
            };
            rule.raw.params = ActionParams::from_redirect(params);
            rule.target = Some(Arc::clone(object));
        }
        if let Some(ports) = entry.ports() {
            let set = PortSet::copy_of(self.interface.system(), ports)?;
            rule.raw.pattern = with_ports(entry, &set);
            rule.ports = Some(set);
        }
        Ok(rule)
    }

    /// Attaches to one queue only; queues count from 0.
    pub fn queue(mut self, queue: u32) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Attaches to all queues, which is what it does if not told otherwise.
    pub fn all_queues(mut self) -> Self {
        self.queue = None;
        self
    }

    /// Chooses the mode.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Chooses the way of frames that the rules are for.
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = hook;
        self
    }

    fn name(&self) -> String {
        match self.queue {
            Some(queue) => format!("queue {queue} of {}", self.interface),
            None => format!("all queues of {}", self.interface),
        }
    }

    /// Attaches the rules. On all queues, or on none.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`], [`Kind::NotPermitted`], [`Kind::NoSuchInterface`]; [`Kind::InvalidArgument`] when there is
    /// no such queue or a rule is not valid; [`Kind::NotSupported`] when the interface cannot do what a rule asks for;
    /// [`Kind::Busy`] when an eBPF program has a queue; [`Kind::OutOfMemory`].
    pub fn attach(self) -> Result<Program, Error> {
        let failed = |fault: Fault| {
            self.mode
                .explain(fault.during(Call::AttachProgram, self.name()))
        };
        let backend = self.interface.backend();
        let raw: Vec<xdp_abi::Rule> = self.rules.iter().map(|rule| rule.raw).collect();
        let bytes = raw.as_bytes();
        let memory = backend.allocate(bytes.len().max(1)).map_err(failed)?;
        memory.write(0, bytes);
        let mut flags = self.mode.program_flags();
        flags.set(CreateProgramFlags::ALL_QUEUES, self.queue.is_none());
        let open = ProgramOpen {
            if_index: self.interface.index(),
            hook_id: self.hook.inspect(),
            queue_id: self.queue.unwrap_or(0),
            flags,
            rule_count: raw.len() as u32,
            padding: 0,
            rules: ClientPtr(memory.address()),
        };
        let object = open_object(backend, ObjectType::PROGRAM, open.as_bytes()).map_err(failed)?;
        backend.settle().map_err(failed)?;
        backend.attached();
        Ok(Program {
            object,
            _ports: self
                .rules
                .into_iter()
                .filter_map(|rule| rule.ports)
                .collect(),
        })
    }
}

/// The pattern of a rule of a file, with the address of a set in place of the file's own.
fn with_ports(entry: &Entry, set: &PortSet) -> MatchPattern {
    let rule = entry.rule();
    let address = ClientPtr(set.address());
    if rule.match_type == xdp_abi::MatchType::UDP_PORT_SET {
        let mut ports = rule.pattern.port_set();
        ports.port_set = address;
        MatchPattern::from_port_set(ports)
    } else {
        let mut ports = rule.pattern.ip_port_set();
        ports.port_set.port_set = address;
        MatchPattern::from_ip_port_set(ports)
    }
}

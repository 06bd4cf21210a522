//! Rules on the network cards of the lab, as a program would put them there.

use nt_sim::{Handle, LabError, Process, UserMemory};
use xdp::rulefile::RuleFile;
use xdp_abi::hook::HookId;
use xdp_abi::inventory::{Entries, EntryKind, Program};
use xdp_abi::open::{DEVICE_NAME, OPEN_PACKET_NAME, ObjectType, OpenPacket};
use xdp_abi::program::{CreateProgramFlags, ProgramOpen};
use xdp_abi::{ClientPtr, IpPortSet, MatchPattern, MatchType, PortSet, ioctl};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::error::Failure;
use crate::session::{self, hits};

/// `FILE_CREATE`.
const FILE_CREATE: u32 = 2;
/// Generic read and write, and synchronize.
const ACCESS: u32 = 0xC010_0000;
/// `GENERIC_READ`.
const READ: u32 = 0x8000_0000;

/// A network card and the program on it.
pub(super) struct Card<'p, 'lab> {
    process: &'p Process<'lab>,
    name: String,
    if_index: u32,
    program: Option<Attached<'p>>,
}

/// A program, and memory that it reads as long as it is there.
struct Attached<'p> {
    handle: Handle<'p>,
    ports: Vec<UserMemory>,
}

impl<'p, 'lab> Card<'p, 'lab> {
    /// A network card without a program.
    pub(super) fn new(process: &'p Process<'lab>, name: &str, if_index: u32) -> Self {
        Self {
            process,
            name: name.to_owned(),
            if_index,
            program: None,
        }
    }

    /// The rules as the driver takes them, with their port sets in the process' memory.
    fn bind(&self, file: &RuleFile) -> Result<(Vec<xdp_abi::Rule>, Vec<UserMemory>), LabError> {
        let (mut rules, mut memory) = (Vec::new(), Vec::new());
        for entry in file.entries() {
            let mut rule = *entry.rule();
            if let Some(ports) = entry.ports() {
                let bytes = ports.to_bytes();
                let set = self.process.alloc(bytes.len())?;
                set.write(0, &bytes);
                let address = ClientPtr(set.address() as u64);
                rule.pattern = match rule.match_type {
                    MatchType::UDP_PORT_SET => MatchPattern::from_port_set(PortSet {
                        port_set: address,
                        ..rule.pattern.port_set()
                    }),
                    _ => {
                        let old = rule.pattern.ip_port_set();
                        MatchPattern::from_ip_port_set(IpPortSet {
                            port_set: PortSet {
                                port_set: address,
                                ..old.port_set
                            },
                            ..old
                        })
                    }
                };
                memory.push(set);
            }
            rules.push(rule);
        }
        Ok((rules, memory))
    }

    /// Puts the rules on all queues of the card.
    fn attach(&self, file: &RuleFile) -> Result<Attached<'p>, LabError> {
        let (rules, ports) = self.bind(file)?;
        let bytes = rules.as_bytes();
        let memory = self.process.alloc(bytes.len().max(1))?;
        memory.write(0, bytes);
        let packet = OpenPacket {
            major_version: 1,
            minor_version: 0,
            api_version: 3,
            object_type: ObjectType::PROGRAM,
        };
        let open = ProgramOpen {
            if_index: self.if_index,
            hook_id: HookId::RX_INSPECT,
            queue_id: 0,
            flags: CreateProgramFlags::ALL_QUEUES,
            rule_count: rules.len() as u32,
            padding: 0,
            rules: ClientPtr(memory.address() as u64),
        };
        let mut value = packet.as_bytes().to_vec();
        value.extend(open.as_bytes());
        let handle = self
            .process
            .open(DEVICE_NAME)
            .disposition(FILE_CREATE)
            .access(ACCESS)
            .ea(OPEN_PACKET_NAME, &value)
            .open();
        // Rules are captured once, port sets are read as long as the program is there.
        self.process.free(memory)?;
        match handle {
            Ok(handle) => Ok(Attached { handle, ports }),
            Err(error) => {
                self.free(ports)?;
                Err(error)
            }
        }
    }

    fn detach(&self, program: Attached<'p>) -> Result<(), LabError> {
        program.handle.close()?;
        self.free(program.ports)
    }

    fn free(&self, memory: Vec<UserMemory>) -> Result<(), LabError> {
        memory
            .into_iter()
            .try_for_each(|memory| self.process.free(memory))
    }

    /// What there is in the driver, with the hits of rules if it counts them.
    fn read_inventory(&self) -> Result<Vec<u8>, LabError> {
        let device = self.process.open(DEVICE_NAME).access(READ).open()?;
        let mut room = 64 << 10;
        loop {
            let list = device.control_any(ioctl::common::LIST, &hits::WITH_RULE_HITS, room)?;
            match hits::size_needed(&list.bytes) {
                // Things are made and go while this is read.
                Some(needed) if needed > room => room = needed.next_power_of_two(),
                _ => {
                    device.close()?;
                    return Ok(list.bytes);
                }
            }
        }
    }
}

/// The youngest program of a process on an interface: the one that was attached last.
fn youngest(list: &[u8], process: u64, if_index: u32) -> Option<u64> {
    let programs = Entries::new(list)?.filter(|(kind, _)| *kind == EntryKind::PROGRAM);
    let programs = programs.filter_map(|(_, bytes)| Program::read_from_prefix(bytes).ok());
    programs
        .map(|(program, _)| program)
        .filter(|program| program.process == process && program.if_index == if_index)
        .map(|program| program.id)
        .max()
}

impl session::Interface for Card<'_, '_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> u32 {
        self.if_index
    }

    fn inventory(&self) -> Result<Vec<u8>, Failure> {
        let failed = |error| Failure::new("cannot list what there is in the driver").because(error);
        self.read_inventory().map_err(failed)
    }

    fn replace(&mut self, rules: &RuleFile) -> Result<(), Failure> {
        for (number, entry) in (1..).zip(rules.entries()) {
            if let Some(target) = entry.target() {
                let what = format!("rule {number} redirects to {target}");
                return Err(
                    Failure::new(what).because("the lab has no sockets and maps of its own")
                );
            }
        }
        let refused = |error: LabError| {
            Failure::new(format!("the driver refused the rules on {}", self.name)).because(error)
        };
        let next = match rules.entries() {
            [] => None,
            _ => Some(self.attach(rules).map_err(refused)?),
        };
        // From here on both decide; now the old one goes.
        if let Some(before) = std::mem::replace(&mut self.program, next) {
            self.detach(before).map_err(|error| {
                Failure::new(format!("cannot take the old rules from {}", self.name)).because(error)
            })?;
        }
        Ok(())
    }

    fn hits(&self) -> Result<Option<Vec<u64>>, Failure> {
        let list = self.inventory()?;
        let program = youngest(&list, self.process.id() as u64, self.if_index);
        Ok(program.and_then(|program| hits::of(&list, &[program])))
    }
}

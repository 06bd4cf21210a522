//! What a hostile program can do, one method for each kind of act. None of them expects anything but that the kernel lives.

use std::time::Duration;

use nt_sim::{
    Handle, LabError, Pending, UserMemory,
    nic::{Layout, Misdeed},
};
use scenarios::{
    Client, EA, Scene,
    client::{FILE_CREATE, FILE_OPEN, FULL_ACCESS},
    frames,
    interface::{Interface, Rss},
    map::Map,
    matching::{self, Ports},
    open_value,
    ring::Ring,
    socket::{Setup, Socket},
    xsk::{Xsk, notify_in},
};
use xdp_abi::{
    ClientPtr, HookId, Rule,
    ioctl::{common, interface, map, xsk},
    map::{MapDeleteParams, MapInsertParams},
    open::{
        DEVICE_NAME, INTERFACE_DEVICE_NAME, MAP_DEVICE_NAME, ObjectType, PROGRAM_DEVICE_NAME,
        XSK_DEVICE_NAME,
    },
    program::{CreateProgramFlags, ProgramOpen},
    ring::RingInfo,
    sockopt::{SetSockoptIn, Sockopt},
    xsk::{BindFlags, BindIn, NotifyFlags},
};
use zerocopy::IntoBytes;

use crate::random::Random;

const DEVICES: [&str; 5] = [
    DEVICE_NAME,
    PROGRAM_DEVICE_NAME,
    XSK_DEVICE_NAME,
    INTERFACE_DEVICE_NAME,
    MAP_DEVICE_NAME,
];

/// Passes over every answer; only a stopped kernel is a failure.
pub(crate) fn survive<T>(result: Result<T, LabError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(LabError::BugCheck(report)) => panic!("{report}"),
        Err(_) => None,
    }
}

/// A hostile program and what it has.
pub(crate) struct Hostile<'s> {
    pub(crate) scene: &'s Scene<'s>,
    pub(crate) app: &'s Client<'s>,
    /// Another process that gets duplicates of its handles.
    pub(crate) accomplice: &'s Client<'s>,
    /// Ready for traffic.
    pub(crate) socket: Socket<'s>,
    /// As it was opened.
    pub(crate) fresh: Xsk<'s>,
    pub(crate) map: Map<'s>,
    pub(crate) interface: Interface<'s>,
    pub(crate) common: Handle<'s>,
    pub(crate) ports: Ports,
    /// Memory that requests point to.
    pub(crate) scratch: UserMemory,
    /// Whether the network card may break the rules.
    pub(crate) lawless: bool,
}

impl<'s> Hostile<'s> {
    pub(crate) fn new(
        scene: &'s Scene<'s>,
        app: &'s Client<'s>,
        accomplice: &'s Client<'s>,
        setup: Setup,
    ) -> Self {
        Hostile {
            scene,
            app,
            accomplice,
            socket: app.socket(scene.nic, setup).unwrap(),
            fresh: app.xsk().unwrap(),
            map: app.map().unwrap(),
            interface: app.interface(scene.nic.if_index()).unwrap(),
            common: app.open(DEVICE_NAME).open().unwrap(),
            ports: Ports::new(app, &[1, 3]),
            scratch: app.alloc(8192).unwrap(),
            lawless: false,
        }
    }

    /// Every handle that requests can be sent through.
    pub(crate) fn handles(&self) -> [&Handle<'s>; 5] {
        [
            self.socket.xsk.handle(),
            self.fresh.handle(),
            self.map.handle(),
            self.interface.handle(),
            &self.common,
        ]
    }

    /// One act on its own.
    pub(crate) fn act(&self, random: &mut Random) {
        match random.below(16) {
            0 | 1 => self.configure(random, &self.fresh),
            2 => self.configure(random, &self.socket.xsk),
            3 | 4 => self.corrupt(random),
            5 => self.poke(random),
            6 => self.wait(random),
            7 => drop(self.wait_later(random)),
            8 => self.request(random),
            9 => self.open(random),
            10 => self.program(random),
            11 => self.change_map(random),
            12 => self.scale(random),
            13 => self.change_memory(random),
            _ => self.traffic(random),
        }
    }

    fn send(&self, handle: &Handle<'_>, code: u32, input: &[u8], output: usize) {
        survive(handle.control_any(code, input, output));
    }

    /// A socket's requests, nearly right.
    pub(crate) fn configure(&self, random: &mut Random, xsk: &Xsk<'_>) {
        for word in 0..16 {
            let value = random.odd().to_le_bytes();
            self.scratch.write(word * 8, &value);
        }
        match random.below(5) {
            0 => {
                let bind = BindIn {
                    if_index: self.scene.nic.if_index() + u32::from(random.once_in(8)),
                    queue_id: random.below(3) as u32,
                    flags: BindFlags::from_bits_retain(random.below(17) as u32),
                };
                self.send(xsk.handle(), xsk::BIND, bind.as_bytes(), 0);
            }
            1 => {
                let flags = u32::from(random.once_in(8));
                self.send(xsk.handle(), xsk::ACTIVATE, &flags.to_le_bytes(), 0);
            }
            2 | 3 => {
                let option = match random.below(3) {
                    0 => 1000 + random.below(16),
                    _ => random.below(17),
                };
                let set = SetSockoptIn {
                    option: Sockopt(option as u32),
                    input_buffer_length: random.below(40) as u32,
                    input_buffer: ClientPtr(random.address(self.scratch.address())),
                };
                self.send(xsk.handle(), xsk::SET_SOCKOPT, set.as_bytes(), 0);
            }
            _ => {
                let option = (random.below(16) + 1000 * random.below(2)) as u32;
                let size = random.below(200) as usize;
                self.send(xsk.handle(), xsk::GET_SOCKOPT, &option.to_le_bytes(), size);
            }
        }
    }

    /// Overwrites what is shared with the driver: indices, flags, descriptors, fill addresses. The rings may be gone already.
    pub(crate) fn corrupt(&self, random: &mut Random) {
        let rings = &self.socket.rings;
        let rings: [Ring; 4] = [rings.fill(), rings.rx(), rings.tx(), rings.completion()];
        let info = rings[random.below(4) as usize].info();
        let (offset, value) = match random.below(6) {
            0 => (info.producer_index_offset, random.odd()),
            1 => (info.consumer_index_offset, random.odd()),
            2 => (info.flags_offset, random.odd()),
            // An honest number, so that something is taken now and then.
            3 => (info.producer_index_offset, random.below(64)),
            _ => {
                let slot = random.below(info.size.into()) as u32;
                let word = random.below(u64::from(info.element_stride) / 8) as u32;
                // Often one that the driver takes, so that what comes after the checks is reached too.
                let value = match random.below(2) {
                    0 => random.odd(),
                    _ if word == 0 => random.below(1 << 17),
                    _ => random.below(1515),
                };
                let at = info.descriptors_offset + slot * info.element_stride + word * 8;
                self.overwrite(&info, at, &value.to_le_bytes());
                return;
            }
        };
        self.overwrite(&info, offset, &(value as u32).to_le_bytes());
    }

    fn overwrite(&self, info: &RingInfo, offset: u32, bytes: &[u8]) {
        let address = info.ring.0 as usize + offset as usize;
        survive(self.app.write(address, bytes));
    }

    pub(crate) fn poke(&self, random: &mut Random) {
        let flags = NotifyFlags::from_bits_retain(random.below(4) as u32);
        let input = notify_in(flags, Some(Duration::ZERO));
        self.send(self.socket.xsk.handle(), xsk::NOTIFY, input.as_bytes(), 0);
    }

    /// Waits on this thread, not for ever.
    pub(crate) fn wait(&self, random: &mut Random) {
        let flags = NotifyFlags::from_bits_retain(random.below(17) as u32);
        let input = notify_in(flags, Some(Duration::from_millis(random.below(20))));
        let handle = *random.pick(&[self.socket.xsk.handle(), self.fresh.handle()]);
        self.send(handle, xsk::NOTIFY, input.as_bytes(), 0);
    }

    /// Begins a wait, and perhaps cancels it.
    pub(crate) fn wait_later(&self, random: &mut Random) -> Option<Pending<'s>> {
        let flags = NotifyFlags::from_bits_retain(random.below(16) as u32);
        let input = notify_in(flags, None);
        let at = 4096 + 16 * random.below(8) as usize;
        self.scratch.write(at, input.as_bytes());
        let address = match random.below(8) {
            0 => random.address(self.scratch.address()) as usize,
            _ => self.scratch.address() + at,
        };
        let handle = self.socket.xsk.handle();
        let pending = survive(handle.control_raw(xsk::NOTIFY_ASYNC, (address, 8), (0, 0)))?;
        if random.once_in(2) {
            survive(pending.cancel());
        }
        Some(pending)
    }

    /// A request that makes no sense, through any handle.
    pub(crate) fn request(&self, random: &mut Random) {
        let handle = *random.pick(&self.handles());
        let code = match random.below(8) {
            0 => common::LIST,
            1 => random.next() as u32,
            _ => 0x12_8000 + random.below(32) as u32,
        };
        // A wait without end would wait for ever.
        if code == xsk::NOTIFY {
            return;
        }
        let input = random.bytes(300);
        self.send(handle, code, &input, random.below(5000) as usize);
        if random.once_in(4) {
            let through = survive(handle.duplicate(self.accomplice, FULL_ACCESS));
            if let Some(copy) = through {
                self.send(&copy, code, &input, random.below(64) as usize);
            }
        }
    }

    /// An open that makes no sense.
    pub(crate) fn open(&self, random: &mut Random) {
        let device = *random.pick(&DEVICES);
        let path = match random.below(6) {
            0 => format!("{device}\\etc"),
            _ => device.to_owned(),
        };
        let mut value = open_value(ObjectType(random.below(5) as u32), &random.bytes(64));
        if random.once_in(3) {
            random.mutate(&mut value);
            value.truncate(random.below(80) as usize);
        }
        let mut open = self.app.open(&path);
        open = match random.below(4) {
            0 => open.raw_ea(random.bytes(120)),
            _ => open.ea(EA, &value),
        };
        let disposition = match random.below(4) {
            0 => random.below(6) as u32,
            1 => FILE_OPEN,
            _ => FILE_CREATE,
        };
        let access = match random.below(4) {
            0 => random.next() as u32,
            _ => FULL_ACCESS,
        };
        let opened = open.disposition(disposition).access(access).open();
        if let Some(handle) = survive(opened) {
            let code = 0x12_8000 + random.below(4) as u32 * 4;
            self.send(&handle, code, &random.bytes(40), 40);
        }
    }

    /// A rule, nearly right.
    fn rule(&self, random: &mut Random) -> Rule {
        match random.below(8) {
            0 => matching::udp_dst(random.below(4) as u16).drop(),
            1 => matching::udp_dst(random.below(4) as u16).l2fwd(),
            2 => matching::udp().redirect_map(&self.map),
            3 => matching::all().redirect(&self.socket.xsk),
            4 => matching::all().redirect(&self.fresh),
            5 => matching::udp_port_set(&self.ports).pass(),
            6 => {
                let any = random.address(self.scratch.address());
                let kind = xdp_abi::RedirectTargetType(random.below(3) as u32);
                matching::all().redirect_to(kind, any)
            }
            _ => matching::ipv4_dst(frames::DESTINATION4, 24).drop(),
        }
    }

    /// A program, nearly right, that is gone at once.
    pub(crate) fn program(&self, random: &mut Random) {
        let count = random.below(5) as usize;
        let rules: Vec<Rule> = (0..count).map(|_| self.rule(random)).collect();
        let mut bytes = rules.as_bytes().to_vec();
        if random.once_in(2) {
            random.mutate(&mut bytes);
        }
        let Some(memory) = survive(self.app.alloc(bytes.len().max(1))) else {
            return;
        };
        memory.write(0, &bytes);
        let mut parameters = ProgramOpen {
            if_index: self.scene.nic.if_index(),
            hook_id: *random.pick(&[HookId::RX_INSPECT, HookId::TX_INSPECT]),
            queue_id: random.below(3) as u32,
            flags: CreateProgramFlags::from_bits_retain(random.below(8) as u32),
            rule_count: count as u32,
            rules: ClientPtr(memory.address() as u64),
            ..ProgramOpen::default()
        };
        match random.below(8) {
            0 => parameters.rule_count = random.odd() as u32,
            1 => parameters.rules = ClientPtr(random.address(memory.address())),
            _ => {}
        }
        let value = open_value(ObjectType::PROGRAM, parameters.as_bytes());
        let open = self.app.open(PROGRAM_DEVICE_NAME).ea(EA, &value);
        let program = survive(open.disposition(FILE_CREATE).open());
        survive(self.app.free(memory));
        if program.is_some() {
            self.traffic(random);
        }
    }

    pub(crate) fn change_map(&self, random: &mut Random) {
        let key = random.below(136);
        let value = match random.below(3) {
            0 => random.odd(),
            1 => self.fresh.handle().value() as u64,
            _ => self.socket.xsk.handle().value() as u64,
        };
        self.scratch.write(0, &key.to_le_bytes());
        self.scratch.write(8, &value.to_le_bytes());
        let at = self.scratch.address() as u64;
        let (mut key, mut value) = (ClientPtr(at), ClientPtr(at + 8));
        match random.below(6) {
            0 => key = ClientPtr(random.address(self.scratch.address())),
            1 => value = ClientPtr(random.address(self.scratch.address())),
            _ => {}
        }
        let handle = self.map.handle();
        if random.once_in(3) {
            let delete = MapDeleteParams { key };
            self.send(handle, map::DELETE, delete.as_bytes(), 0);
        } else {
            let insert = MapInsertParams { key, value };
            self.send(handle, map::INSERT, insert.as_bytes(), 0);
        }
    }

    /// Settings of receive-side scaling and of offloaded connections, nearly right.
    pub(crate) fn scale(&self, random: &mut Random) {
        let rss = Rss {
            flags: xdp_abi::offload::RssFlags::from_bits_retain(random.below(8) as u32),
            hash_type: xdp_abi::offload::RssHashTypes::from_bits_retain(random.below(128) as u32),
            key: vec![7; *random.pick(&[0, 16, 40])],
            table: (0..1 << random.below(5))
                .map(|_| random.below(3) as u8)
                .collect(),
        };
        let mut bytes = rss.to_bytes();
        if random.once_in(2) {
            random.mutate(&mut bytes);
        }
        let handle = self.interface.handle();
        match random.below(4) {
            0 => self.send(handle, interface::QEO_SET, &random.bytes(200), 200),
            1 => self.send(handle, interface::RSS_GET, &[], random.below(400) as usize),
            2 => {
                let size = random.below(40) as usize;
                self.send(handle, interface::RSS_GET_CAPABILITIES, &[], size);
            }
            _ => self.send(handle, interface::RSS_SET, &bytes, 0),
        }
    }

    /// Takes memory away that the driver uses, or the right to write to it.
    pub(crate) fn change_memory(&self, random: &mut Random) {
        let memory = match random.below(4) {
            0 => self.socket.rings.rx().memory(),
            1 => self.ports.memory(),
            _ => self.socket.umem.memory(),
        };
        match random.below(8) {
            0 => drop(survive(self.app.free(memory))),
            _ => drop(survive(self.app.set_writable(memory, random.once_in(2)))),
        }
    }

    /// Frames from both ends, in buffers of any kind.
    pub(crate) fn traffic(&self, random: &mut Random) {
        let scene = self.scene;
        scene.nic.wire().set_layout(Layout::random(random.next()));
        let mut frames = Vec::new();
        for _ in 0..random.below(6) {
            let size = 1 + random.below(1500) as usize;
            frames.push(match random.below(3) {
                0 => frames::numbered(random.next() as u32, size),
                1 => frames::udp6(random.below(4) as u16, &vec![7; size.min(1300)]),
                _ => frames::udp4(random.below(4) as u16, &vec![7; size.min(1400)]),
            });
        }
        if random.once_in(4) {
            let stack = scene.nic.stack();
            if frames.len() % 2 == 1 {
                // All in one list.
                let list = frames.into_iter().map(Into::into).collect();
                survive(stack.send_lists(&[list]));
            } else {
                for frame in frames {
                    survive(stack.send(frame));
                }
            }
        } else {
            let frames = frames.into_iter().map(Into::into);
            survive(scene.nic.wire().send_all(frames));
        }
        if random.once_in(4) {
            scene.passed();
            scene.sent();
        }
    }

    /// The network card breaks a rule of NDIS.
    pub(crate) fn misbehave(&self, random: &mut Random) {
        let misdeed = match random.below(7) {
            0 => Misdeed::Overlong(1 << random.below(32)),
            1 => Misdeed::OffsetBeyondMemory,
            2 => Misdeed::NoMemory,
            3 => Misdeed::EndlessMemory,
            4 => Misdeed::NoBuffer,
            5 => Misdeed::SecondBuffer,
            _ => Misdeed::WrongCount(random.odd() as u32),
        };
        let size = 1 + random.below(1500) as usize;
        let frame = frames::numbered(random.next() as u32, size);
        survive(self.scene.nic.wire().misbehave(frame, misdeed));
    }
}

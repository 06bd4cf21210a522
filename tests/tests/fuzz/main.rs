//! A program that means harm, at random: it opens, configures, corrupts, races and dies, as a seed orders it.
//!
//! `XDP_FUZZ_SEEDS=N` runs more seeds than the ordinary run, `XDP_FUZZ_FIRST=N` starts at another one.

use nt_sim::{FaultPlan, LabError, nic::Layout};
use scenarios::{
    Client, Scene, Stage, frames, matching,
    ring::Ring,
    socket::{Setup, Socket},
    xsk::{Xsk, notify_in},
};
use xdp_abi::{
    ClientPtr,
    ioctl::xsk as ioctl,
    sockopt::{SetSockoptIn, Sockopt},
    xsk::{BindFlags, BindIn, NotifyFlags},
};
use zerocopy::IntoBytes;

/// Random numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number that arithmetic may stumble over.
    fn odd(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(4),
            1 => 1 << self.below(64),
            2 => (1 << self.below(64)) - 1,
            3 => u64::MAX - self.below(4),
            4 => self.below(70_000),
            _ => self.next(),
        }
    }

    /// An address: somewhere in `memory`, or anywhere.
    fn address(&mut self, memory: usize) -> u64 {
        match self.below(4) {
            0 => self.odd(),
            1 => 0xFFFF_8000_0000_0000 | self.odd(),
            _ => memory as u64 + self.below(5000),
        }
    }
}

/// Sends a request; only a stopped kernel is a failure.
fn send(xsk: &Xsk<'_>, code: u32, input: &[u8], output: usize) {
    if let Err(LabError::BugCheck(report)) = xsk.handle().control_any(code, input, output) {
        panic!("{report}");
    }
}

fn configure(random: &mut Random, s: &Scene<'_>, app: &Client<'_>, xsk: &Xsk<'_>) {
    let memory = app.alloc(8192).unwrap();
    for word in 0..16 {
        memory.write(word * 8, &random.odd().to_le_bytes());
    }
    match random.below(6) {
        0 => {
            let bind = BindIn {
                if_index: s.nic.if_index() + (random.below(8) == 0) as u32,
                queue_id: random.below(3) as u32,
                flags: BindFlags::from_bits_retain(random.below(17) as u32),
            };
            send(xsk, ioctl::BIND, bind.as_bytes(), 0);
        }
        1 => send(
            xsk,
            ioctl::ACTIVATE,
            &(random.below(8) == 0).into_bytes(),
            0,
        ),
        2 | 3 => {
            let option = match random.below(3) {
                0 => 1000 + random.below(16),
                _ => random.below(17),
            };
            let set = SetSockoptIn {
                option: Sockopt(option as u32),
                input_buffer_length: random.below(40) as u32,
                input_buffer: ClientPtr(random.address(memory.address())),
            };
            send(xsk, ioctl::SET_SOCKOPT, set.as_bytes(), 0);
        }
        4 => {
            let option = random.below(16) + 1000 * random.below(2);
            let size = random.below(200) as usize;
            send(
                xsk,
                ioctl::GET_SOCKOPT,
                &(option as u32).to_le_bytes(),
                size,
            );
        }
        _ => {
            let code = 0x128000 + random.below(32) as u32;
            let mut input = vec![0; random.below(48) as usize];
            input.fill_with(|| random.next() as u8);
            // A wait without end would wait for ever.
            if code != ioctl::NOTIFY {
                send(xsk, code, &input, random.below(64) as usize);
            }
        }
    }
    app.free(memory).unwrap();
}

/// 4 bytes of an activation: right or wrong.
trait IntoFlags {
    fn into_bytes(self) -> [u8; 4];
}

impl IntoFlags for bool {
    fn into_bytes(self) -> [u8; 4] {
        u32::from(self).to_le_bytes()
    }
}

fn corrupt(random: &mut Random, socket: &Socket<'_>) {
    let rings: [Ring; 4] = [
        socket.rings.fill(),
        socket.rings.rx(),
        socket.rings.tx(),
        socket.rings.completion(),
    ];
    let ring = rings[random.below(4) as usize];
    match random.below(6) {
        0 => ring.set_producer(random.odd() as u32),
        1 => ring.set_consumer(random.odd() as u32),
        2 => ring.set_flags(random.odd() as u32),
        3 => ring.producer_submit(random.below(4) as u32),
        _ => {
            let index = random.next() as u32;
            ring.write_element(index, 0, &random.odd().to_le_bytes());
        }
    }
}

fn traffic(random: &mut Random, s: &Scene<'_>) {
    s.nic.wire().set_layout(Layout::random(random.next()));
    let count = random.below(6);
    let frames: Vec<_> = (0..count)
        .map(|_| {
            let size = 1 + random.below(1500) as usize;
            if random.below(2) == 0 {
                frames::numbered(random.next() as u32, size).into()
            } else {
                frames::udp4(random.below(4) as u16, &vec![7; size.min(1400)]).into()
            }
        })
        .collect();
    s.nic
        .wire()
        .send_all(frames)
        .unwrap_or_else(|e| panic!("{e}"));
}

/// One run.
fn run(seed: u64) {
    let mut random = Random(seed);
    Stage::new().seed(seed).queues(2).play(|s| {
        let app = s.client("hostile");
        let socket = app.socket(s.nic, Setup::rx_tx()).unwrap();
        let fresh = app.xsk().unwrap();
        let map = app.map().unwrap();
        map.insert(0, &socket.xsk).unwrap();
        let program = app
            .program(s.nic)
            .all_queues()
            .rule(matching::udp_dst(1).redirect_map(&map))
            .rule(matching::udp_dst(2).l2fwd())
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        socket.fill_all();
        if random.below(3) == 0 {
            s.lab
                .inject_failures(FaultPlan::Random { chances: 400, seed });
        }
        for _ in 0..30 {
            match random.below(8) {
                0 | 1 => configure(&mut random, s, &app, &fresh),
                2 => configure(&mut random, s, &app, &socket.xsk),
                3 | 4 => corrupt(&mut random, &socket),
                5 => {
                    let flags = NotifyFlags::from_bits_retain(random.below(4) as u32);
                    let input = notify_in(flags, Some(std::time::Duration::ZERO));
                    send(&socket.xsk, ioctl::NOTIFY, input.as_bytes(), 0);
                }
                6 => drop(socket.xsk.notify_async(NotifyFlags::WAIT_RX)),
                _ => traffic(&mut random, s),
            }
        }
        match random.below(4) {
            0 => app.free(socket.umem.memory()).unwrap(),
            1 => s.nic.reset().unwrap_or_else(|e| panic!("{e}")),
            2 => s.unplug(),
            _ => {}
        }
        s.lab.inject_failures(FaultPlan::Never);
        let mut last = Random(seed ^ 1);
        let frame = frames::udp4(last.below(4) as u16, b"while it dies");
        s.side_by_side(&[&|| app.exit().unwrap_or_else(|e| panic!("{e}")), &|| {
            for _ in 0..4 {
                if s.nic.wire().send(&frame).is_err() {
                    panic!("the kernel stopped");
                }
            }
        }]);
        drop(program);
    });
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn s10_6_r2_a_hostile_program_breaks_nothing() {
    let first = number("XDP_FUZZ_FIRST", 0);
    for seed in first..first + number("XDP_FUZZ_SEEDS", 40) {
        let result = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = result {
            eprintln!("seed {seed}: XDP_FUZZ_FIRST={seed} XDP_FUZZ_SEEDS=1 repeats it");
            std::panic::resume_unwind(panic);
        }
    }
}

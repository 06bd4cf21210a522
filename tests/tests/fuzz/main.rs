//! A program that means harm, at random: it opens, configures, corrupts, races and dies, as a seed orders it.
//!
//! `XDP_FUZZ_SEEDS=N` runs more seeds than the ordinary run, `XDP_FUZZ_FIRST=N` starts at another one.
//!
//! A run has four parts: acts one after the other; acts of several threads side by side, with the adapter resetting,
//! pausing or leaving meanwhile and handles closed under requests; the death of the process, with threads of it in the
//! kernel; and an honest program, for which everything must work as ever.

mod hostile;
mod race;
mod random;

use nt_sim::{FaultPlan, nic::Layout};
use scenarios::{Scene, Stage, frames, matching, socket::Setup, status::NOT_FOUND};
use xdp_abi::sockopt::Sockopt;

use crate::{hostile::Hostile, random::Random};

fn setup(random: &mut Random) -> Setup {
    let mut setup = Setup::rx_tx()
        .queue(random.below(2) as u32)
        .chunks(*random.pick(&[2048, 1024, 1500, 4096]), 32)
        .headroom(*random.pick(&[0, 0, 100]));
    let extensions = [
        Sockopt::RX_OFFLOAD_CHECKSUM,
        Sockopt::RX_OFFLOAD_TIMESTAMP,
        Sockopt::RX_ORIGINAL_LENGTH,
        Sockopt::TX_OFFLOAD_CHECKSUM,
        Sockopt::TX_OFFLOAD_TIMESTAMP,
    ];
    for extension in extensions {
        if random.once_in(3) {
            setup = setup.extension(extension);
        }
    }
    setup
}

/// What others do is as before.
fn honest(s: &Scene<'_>, memory_was_short: bool) {
    s.passed();
    s.sent();
    s.nic.wire().set_layout(Layout::contiguous());
    let app = s.client("honest");
    let mut socket = app.socket(s.nic, Setup::rx_tx());
    if memory_was_short && socket.as_ref().err() == Some(&NOT_FOUND) {
        // The adapter started again when there was no memory for an interface, and goes without until the next time.
        s.nic.reset().unwrap();
        socket = app.socket(s.nic, Setup::rx_tx());
    }
    let socket = socket.unwrap();
    let program = app.program(s.nic).all_queues();
    let program = program.rule(matching::udp_dst(9).drop()).create().unwrap();
    s.arrive(frames::udp4(9, b"dropped"));
    s.arrive(frames::udp4(10, b"passed"));
    assert_eq!(s.passed(), [frames::udp4(10, b"passed")]);
    socket.send(0, &frames::numbered(1, 64));
    s.lab.settle().unwrap();
    assert_eq!(s.sent(), [frames::numbered(1, 64)]);
    assert_eq!(socket.completions().len(), 1);
    program.close();
}

/// One run.
fn run(seed: u64) {
    let mut random = Random::new(seed);
    let stage = Stage::new().seed(seed).queues(2);
    let stage = stage.cpus(2 + random.below(2) as u32);
    // The network card's driver means harm as well, now and then.
    let lawless = seed % 4 == 3;
    let stage = if lawless { stage.lawless() } else { stage };
    stage.play(|s| {
        let app = s.client("hostile");
        let accomplice = s.client("accomplice");
        let mut hostile = Hostile::new(s, &app, &accomplice, setup(&mut random));
        hostile.lawless = lawless;
        hostile.map.insert(0, &hostile.socket.xsk).unwrap();
        let program = app
            .program(s.nic)
            .all_queues()
            .rule(matching::udp_port_set(&hostile.ports).redirect_map(&hostile.map))
            .rule(matching::udp_dst(2).l2fwd())
            .rule(matching::all().redirect(&hostile.socket.xsk))
            .create()
            .unwrap();
        hostile.socket.fill_all();
        let memory_is_short = random.once_in(3);
        if memory_is_short {
            let chances = 400;
            s.lab.inject_failures(FaultPlan::Random { chances, seed });
        }
        for _ in 0..25 {
            hostile.act(&mut random);
        }
        race::side_by_side(&hostile, &mut random);
        race::death(&hostile, &mut random);
        s.lab.inject_failures(FaultPlan::Never);
        drop(program);
        drop(hostile);
        if lawless && !s.is_unplugged() {
            // Queues may have failed.
            s.nic.reset().unwrap();
            s.lab.settle().unwrap();
        }
        if !s.is_unplugged() {
            honest(s, memory_is_short);
        }
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

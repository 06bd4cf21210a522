//! Attaching, detaching, closing, pausing and taking adapters away, under traffic, in orders that seeds choose.
//!
//! `XDP_SEEDS=10000 cargo test -p scenarios --test churn` runs more seeds than the ordinary run, `XDP_FIRST_SEED=N` starts
//! at another one.

use nt_sim::nic::Layout;
use scenarios::{Client, Scene, Stage, frames, matching, socket::Setup};
use xdp_abi::{HookId, xsk::NotifyFlags};

/// Numbers that a seed repeats, one sequence for each thread.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, thread: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (thread << 56 | 1))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Programs come and go. What an adapter that leaves refuses is an answer.
fn programs(s: &Scene<'_>, app: &Client<'_>, dice: &mut Dice) {
    let mut kept = None;
    for _ in 0..3 {
        let mut program = app.program(s.nic).rule(matching::udp_dst(1).drop());
        program = match dice.roll(4) {
            0 => program.all_queues().rule(matching::udp_dst(2).l2fwd()),
            1 => program.hook(HookId::TX_INSPECT),
            2 => program.queue(1),
            _ => program,
        };
        let program = program.create().ok();
        // One of the two goes now, the other when the next comes.
        if dice.roll(2) == 0 {
            kept = program;
        }
    }
    drop(kept);
}

/// Sockets come, receive, send, and go.
fn sockets(s: &Scene<'_>, app: &Client<'_>, dice: &mut Dice) {
    for _ in 0..2 {
        let queue = dice.roll(2) as u32;
        let Ok(socket) = app.socket(s.nic, Setup::rx_tx().queue(queue)) else {
            continue;
        };
        let redirect = matching::all().redirect(&socket.xsk);
        let program = app.program(s.nic).queue(queue).rule(redirect).create();
        socket.fill_all();
        for chunk in 16..18 {
            socket.post_frame(chunk, &frames::numbered(chunk, 60));
        }
        let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
        let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX);
        if dice.roll(2) == 0 {
            drop(program);
            socket.xsk.close();
        } else {
            socket.xsk.close();
            drop(program);
        }
        drop(waiting);
    }
}

/// Maps change under the programs that use them.
fn maps(s: &Scene<'_>, app: &Client<'_>, dice: &mut Dice) {
    let map = app.map().unwrap();
    let rule = matching::udp_dst(3).redirect_map(&map);
    let program = app.program(s.nic).all_queues().rule(rule).create();
    for _ in 0..3 {
        let socket = app.xsk().unwrap();
        map.insert(dice.roll(2) as u32, &socket).unwrap();
        if dice.roll(2) == 0 {
            map.delete(dice.roll(2) as u32).unwrap();
        }
    }
    if dice.roll(2) == 0 {
        map.close();
        drop(program);
    } else {
        drop(program);
        map.close();
    }
}

fn traffic(s: &Scene<'_>, dice: &mut Dice) {
    for n in 0..5 {
        s.nic.wire().set_layout(Layout::random(dice.roll(1 << 20)));
        let ports = (0..4).map(|port| frames::udp4(port, b"up").into());
        s.nic.wire().send_all(ports).unwrap();
        // An adapter that is away takes nothing from the stack.
        let _ = s.nic.stack().send(frames::udp4(n % 4, b"down"));
    }
}

/// What happens to the adapter.
fn adapter(s: &Scene<'_>, dice: &mut Dice) {
    for _ in 0..2 {
        match dice.roll(8) {
            0 => s.nic.reset().unwrap(),
            1 => s.nic.set_mtu(1400 + dice.roll(100) as u32).unwrap(),
            2 => return s.unplug(),
            _ => {
                s.nic.pause().unwrap();
                s.nic.restart().unwrap();
            }
        }
    }
}

fn churn(seed: u64) {
    let cpus = 2 + (seed % 3) as u32;
    Stage::new().seed(seed).queues(2).cpus(cpus).play(|s| {
        let first = s.client("first");
        let second = s.client("second");
        s.side_by_side(&[
            &|| programs(s, &first, &mut Dice::new(seed, 1)),
            &|| sockets(s, &second, &mut Dice::new(seed, 2)),
            &|| maps(s, &first, &mut Dice::new(seed, 3)),
            &|| traffic(s, &mut Dice::new(seed, 4)),
            &|| adapter(s, &mut Dice::new(seed, 5)),
        ]);
    });
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn s10_3_r11_s10_6_r2_seeded_churn_leaves_nothing_behind() {
    let first = number("XDP_FIRST_SEED", 0);
    for seed in first..first + number("XDP_SEEDS", 40) {
        let result = std::panic::catch_unwind(|| churn(seed));
        if let Err(panic) = result {
            eprintln!("seed {seed}: XDP_FIRST_SEED={seed} XDP_SEEDS=1 repeats it");
            std::panic::resume_unwind(panic);
        }
    }
}

//! A whole life of sockets and programs, with each of its allocations refused in turn.

use nt_sim::{FaultPlan, NtStatus, nic::Layout};
use scenarios::{
    Answer, Client, Scene, Stage, frames,
    interface::Rss,
    matching::{self, Ports},
    socket::Setup,
    status::{BUFFER_OVERFLOW, INSUFFICIENT_RESOURCES, NO_MEMORY, SUCCESS, answer},
};
use xdp_abi::{
    HookId, ioctl,
    offload::{RssFlags, RssHashTypes},
    open::DEVICE_NAME,
    sockopt::Sockopt,
    xsk::NotifyFlags,
};

/// What refusals answer.
const REFUSALS: [NtStatus; 2] = [INSUFFICIENT_RESOURCES, NO_MEMORY];

/// Makes a request, and once more when there was no memory for it: it is as if it had not been made before.
#[track_caller]
fn step<T>(request: impl Fn() -> Answer<T>) -> T {
    match request() {
        Ok(value) => value,
        Err(status) => {
            assert!(REFUSALS.contains(&status), "{status:?}");
            request().unwrap_or_else(|status| panic!("again: {status:?}"))
        }
    }
}

/// What came of the traffic of a life.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    received: usize,
    waited: usize,
    completed: usize,
    passed: usize,
    sent: usize,
}

/// Everything that a program can do with sockets, programs, maps and interfaces.
fn live(s: &Scene<'_>, app: &Client<'_>) -> Seen {
    let mut seen = Seen::default();
    let index = s.nic.if_index();
    let setup = Setup::rx_tx()
        .extension(Sockopt::RX_OFFLOAD_CHECKSUM)
        .extension(Sockopt::RX_OFFLOAD_TIMESTAMP)
        .extension(Sockopt::RX_ORIGINAL_LENGTH)
        .extension(Sockopt::TX_OFFLOAD_CHECKSUM)
        .extension(Sockopt::TX_OFFLOAD_TIMESTAMP);
    // A socket whose first setting up is refused somewhere on the way is closed, and made anew.
    let socket = step(|| app.idle_socket(s.nic, setup.clone()));
    step(|| socket.xsk.activate());
    let other = step(|| app.socket(s.nic, Setup::rx().rx_hook(HookId::TX_INSPECT)));
    let map = step(|| app.map());
    step(|| map.insert(0, &socket.xsk));
    let interface = step(|| app.interface(index));
    let ports = Ports::new(app, &[1]);
    let program = step(|| {
        let program = app.program(s.nic).all_queues();
        program
            .rule(matching::udp_port_set(&ports).redirect_map(&map))
            .rule(matching::udp_dst(2).l2fwd())
            .rule(matching::udp_dst(3).drop())
            .rule(matching::ipv4_dst(frames::SOURCE4, 24).redirect(&socket.xsk))
            .create()
    });
    let outgoing = step(|| {
        let program = app.program(s.nic).hook(HookId::TX_INSPECT).all_queues();
        let rule = matching::udp_dst(5).redirect(&other.xsk);
        program.rule(rule).create()
    });
    let table = Rss {
        flags: RssFlags::SET_HASH_TYPE
            | RssFlags::SET_HASH_SECRET_KEY
            | RssFlags::SET_INDIRECTION_TABLE,
        hash_type: RssHashTypes::TCP_IPV4 | RssHashTypes::IPV4,
        key: vec![7; 40],
        // Everything goes to queue 0, where the socket is.
        table: vec![0, 0],
    };
    step(|| interface.set_rss(&table));
    step(|| interface.rss());
    let common = step(|| answer(app.open(DEVICE_NAME).open()));
    let list = |size| {
        let output = answer(common.control_any(ioctl::common::LIST, &[], size))?;
        match output.status {
            SUCCESS | BUFFER_OVERFLOW => Ok(output.information),
            refused => Err(refused),
        }
    };
    let size = step(|| list(0));
    assert_eq!(step(|| list(size)), size);

    socket.fill_all();
    other.fill_all();
    let waiting = step(|| socket.xsk.notify_async(NotifyFlags::WAIT_RX));
    for layout in [
        Layout::contiguous(),
        Layout::random(1),
        Layout::contiguous().resources(),
    ] {
        s.nic.wire().set_layout(layout);
        for port in 1..=5 {
            s.arrive(frames::udp4(port, &[7; 300]));
            s.nic.stack().send(frames::udp4(port, &[7; 300])).unwrap();
        }
    }
    for chunk in 20..24 {
        socket.post_frame(chunk, &frames::numbered(chunk, 300));
    }
    step(|| socket.xsk.poke(NotifyFlags::POKE_TX));
    s.lab.settle().unwrap();
    seen.received = socket.received().len() + other.received().len();
    seen.completed = socket.completions().len();
    let _ = waiting.cancel();
    let waited = waiting.wait(None).unwrap().expect("it has ended");
    seen.waited = waited.information;

    step(|| map.delete(0));
    drop(outgoing);
    program.close();
    s.nic.pause().unwrap();
    s.nic.restart().unwrap();
    s.arrive(frames::udp4(4, b"passes the filter that is left"));
    socket.xsk.close();
    s.nic.reset().unwrap();
    s.arrive(frames::udp4(4, b"goes round it"));
    seen.passed = s.passed().len();
    seen.sent = s.sent().len();
    interface.close();
    map.close();
    seen
}

/// A life in which an allocation is refused; how many were, and what was seen.
fn life_with_failure(plan: FaultPlan) -> (usize, Seen) {
    let mut seen = Seen::default();
    let mut refused = 0;
    Stage::new().queues(2).play(|s| {
        let app = s.client("mortal");
        s.lab.inject_failures(plan);
        seen = live(s, &app);
        app.exit().unwrap();
        refused = s.lab.injected_failures().len();
        s.lab.inject_failures(FaultPlan::Never);
    });
    (refused, seen)
}

#[test]
fn s10_6_r2_every_allocation_of_a_whole_life_may_fail() {
    let (refused, whole) = life_with_failure(FaultPlan::Never);
    assert_eq!(refused, 0);
    assert!(whole.received >= 6, "{whole:?}");
    assert_eq!((whole.completed, whole.waited), (4, 1), "{whole:?}");
    assert!(whole.passed >= 6 && whole.sent >= 4 + 12, "{whole:?}");
    let mut failures = 0;
    for nth in 1.. {
        // Said before it runs, so that a failure names its allocation.
        eprintln!("allocation {nth} is refused");
        let (refused, seen) = life_with_failure(FaultPlan::Nth(nth));
        if refused == 0 {
            assert_eq!(seen, whole);
            break;
        }
        failures += 1;
    }
    assert!(failures > 100, "only {failures} allocations were seen");
}

//! Waiting for several sockets at once.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::time::Duration;

use stage::{boot, finish, udp};
use xdp::{Batch, Interest, Interface, Kind, Match, Program, Socket, Umem, WaitSet};

const PATIENCE: Duration = Duration::from_secs(10);
const NOT_LONG: Duration = Duration::from_millis(20);

/// A socket on the first queue of a card, with a port of its own.
fn socket<'u>(interface: &Interface, umem: &'u Umem, port: u16) -> (Socket<'u>, Program) {
    let builder = Socket::builder(interface, umem).rx_ring(16).fill_ring(8);
    let socket = builder.open().expect("a socket");
    let program = Program::builder(interface)
        .rule(Match::udp_dst(port).redirect(&socket))
        .attach()
        .expect("attached");
    (socket, program)
}

fn received(socket: &mut Socket<'_>) -> usize {
    let mut count = 0;
    while socket.receive_one().is_some() {
        count += 1;
    }
    count
}

#[test]
fn whichever_socket_gets_a_frame_ends_the_wait() {
    let lab = boot("lab:nics=3");
    {
        let cards: Vec<Interface> = (0..3).map(|card| lab.interface(card)).collect();
        let umem = Umem::builder(lab.system())
            .frames(64)
            .build()
            .expect("memory");
        let (mut sockets, programs): (Vec<_>, Vec<_>) =
            cards.iter().map(|card| socket(card, &umem, 7)).unzip();
        let set = WaitSet::new(lab.system()).expect("a set");
        let wait = |sockets: &mut [Socket<'_>], time| {
            let each = sockets.iter_mut().map(|socket| (socket, Interest::RX));
            set.wait(each, time).expect("a wait")
        };
        assert_eq!(wait(&mut sockets, NOT_LONG), 0);
        assert_eq!(wait(&mut [], NOT_LONG), 0);
        for round in 0..30 {
            // Before the wait, or in the middle of it.
            let card = round % 3;
            if round % 2 == 0 {
                lab.wire(card).send(&udp(7, b"first")).expect("a frame");
                assert_eq!(wait(&mut sockets, PATIENCE), 1, "round {round}");
            } else {
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_millis(2));
                        lab.wire(card).send(&udp(7, b"then")).expect("a frame");
                    });
                    assert!(wait(&mut sockets, PATIENCE) > 0, "round {round}");
                });
            }
            let counts: Vec<usize> = sockets.iter_mut().map(received).collect();
            let expected: Vec<usize> = (0..3).map(|at| usize::from(at == card)).collect();
            assert_eq!(counts, expected, "round {round}");
        }
        // Two at once are both told.
        lab.wire(0).send(&udp(7, b"one")).expect("a frame");
        lab.wire(2).send(&udp(7, b"two")).expect("a frame");
        assert_eq!(wait(&mut sockets, PATIENCE), 2);
        drop(programs);
    }
    finish(lab);
}

#[test]
fn directions_may_differ_and_single_waits_go_on_beside() {
    let lab = boot("lab:nics=2");
    {
        let cards = [lab.interface(0), lab.interface(1)];
        let umem = Umem::builder(lab.system())
            .frames(64)
            .build()
            .expect("memory");
        let (mut from, _program) = socket(&cards[0], &umem, 7);
        let mut to = Socket::builder(&cards[1], &umem)
            .transmit_only()
            .open()
            .expect("a socket");
        let set = WaitSet::new(&cards[0]).expect("a set");
        let both = [(&mut from, Interest::RX), (&mut to, Interest::TX)];
        assert_eq!(set.wait(both, NOT_LONG).expect("a wait"), 0);
        // The wait that is left in the driver is in nobody's way.
        assert!(
            from.wait(Interest::RX, NOT_LONG)
                .expect("a wait")
                .is_empty()
        );
        let mut batch = Batch::with_capacity(1);
        let mut frame = umem.frame().expect("a free frame");
        frame.extend_from_slice(&udp(9, b"out")).expect("room");
        batch.push(frame);
        assert_eq!(to.send(&mut batch).expect("sent"), 1);
        let both = [(&mut from, Interest::RX), (&mut to, Interest::TX)];
        assert_eq!(set.wait(both, PATIENCE).expect("a wait"), 1);
        assert_eq!(to.complete(), 1);
        // Another set takes the sockets over.
        let other = WaitSet::new(&cards[0]).expect("a set");
        let both = [(&mut from, Interest::RX), (&mut to, Interest::TX)];
        assert_eq!(other.wait(both, NOT_LONG).expect("a wait"), 0);
        drop(other);
        lab.wire(0).send(&udp(7, b"in")).expect("a frame");
        let both = [(&mut from, Interest::RX), (&mut to, Interest::TX)];
        assert_eq!(set.wait(both, PATIENCE).expect("a wait"), 1);
        assert!(from.receive_one().is_some());
        // A wait for what a socket does not do is an error, whatever the others do.
        let wrong = set.wait(
            [(&mut from, Interest::RX), (&mut to, Interest::RX)],
            NOT_LONG,
        );
        assert_eq!(
            wrong.expect_err("it only sends").kind(),
            Kind::InvalidArgument
        );
    }
    finish(lab);
}

#[test]
fn a_wait_is_not_lost_with_the_thread_that_asked_for_it() {
    let lab = boot("lab:");
    {
        let card = lab.interface(0);
        let umem = Umem::builder(&card).frames(16).build().expect("memory");
        let (mut socket, _program) = socket(&card, &umem, 7);
        let set = WaitSet::new(&card).expect("a set");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let waited = set.wait([(&mut socket, Interest::RX)], NOT_LONG);
                assert_eq!(waited.expect("a wait"), 0);
            });
        });
        lab.wire(0).send(&udp(7, b"late")).expect("a frame");
        let waited = set.wait([(&mut socket, Interest::RX)], PATIENCE);
        assert_eq!(waited.expect("a wait"), 1);
    }
    finish(lab);
}

#[test]
fn a_socket_that_lost_its_interface_ends_the_next_wait() {
    let lab = boot("lab:nics=2");
    {
        let cards = [lab.interface(0), lab.interface(1)];
        let umem = Umem::builder(lab.system())
            .frames(64)
            .build()
            .expect("memory");
        let (mut stays, _first) = socket(&cards[0], &umem, 7);
        let (mut goes, _second) = socket(&cards[1], &umem, 7);
        let set = WaitSet::new(lab.system()).expect("a set");
        let both = [(&mut stays, Interest::RX), (&mut goes, Interest::RX)];
        assert_eq!(set.wait(both, NOT_LONG).expect("a wait"), 0);
        lab.reset(1).expect("a reset");
        let both = [(&mut stays, Interest::RX), (&mut goes, Interest::RX)];
        let gone = set
            .wait(both, PATIENCE)
            .expect_err("one of them is detached");
        assert_eq!(gone.kind(), Kind::InterfaceGone);
        assert_eq!(gone.object(), "queue 0 of nic1");
        drop(goes);
        // The other one works on.
        lab.wire(0).send(&udp(7, b"here")).expect("a frame");
        let waited = set.wait([(&mut stays, Interest::RX)], PATIENCE);
        assert_eq!(waited.expect("a wait"), 1);
    }
    finish(lab);
}

#[test]
fn sockets_of_another_system_are_refused() {
    let lab = boot("lab:");
    {
        let other = lab
            .process("other", xdp::lab::User::Administrator)
            .expect("another process");
        let card = lab.interface(0);
        let umem = Umem::builder(&card).frames(16).build().expect("memory");
        let (mut socket, _program) = socket(&card, &umem, 7);
        let set = WaitSet::new(other.system()).expect("a set");
        let wrong = set.wait([(&mut socket, Interest::RX)], PATIENCE);
        assert_eq!(wrong.expect_err("another").kind(), Kind::InvalidArgument);
    }
    finish(lab);
}

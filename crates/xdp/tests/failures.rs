//! What goes wrong: each kind of error, what is left then, and in which order things may be dropped.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::time::Duration;

use stage::{boot, describe, finish, udp};
use xdp::{
    Batch, Interest, Interface, Kind, Map, Match, Mode, NtStatus, Program, RingError, Socket, Umem,
};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn what_is_out_of_range_is_named_with_the_range() {
    let lab = boot("lab:queues=2");
    let interface = lab.interface(0);
    assert_eq!(interface.queues().expect("the driver tells"), 2);
    {
        let umem = Umem::builder(&interface)
            .frames(16)
            .build()
            .expect("memory");
        let socket = || Socket::builder(&interface, &umem);
        let error = socket().queue(2).open().expect_err("there are two");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert_eq!(error.status(), Some(NtStatus::INVALID_PARAMETER));
        assert_eq!(error.object(), "queue 2 of nic0");
        let error = socket().rx_ring(3).open().expect_err("no power of two");
        assert!(error.to_string().contains("power of two"), "{error}");
        let error = socket()
            .receive_only()
            .tx_checksums()
            .open()
            .expect_err("it does not send");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        let error = socket()
            .mode(Mode::Native)
            .open()
            .expect_err("no native mode");
        assert_eq!(error.kind(), Kind::NotSupported, "{error}");
        let program = Program::builder(&interface).rule(Match::all().pass());
        let error = program
            .clone()
            .queue(9)
            .attach()
            .expect_err("there are two");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        let error = program
            .mode(Mode::Native)
            .attach()
            .expect_err("no native mode");
        assert_eq!(
            (error.kind(), error.kind().exit_code()),
            (Kind::NotSupported, 5)
        );
        for (frames, size, headroom) in [(0, 2048, 0), (1, 0, 0), (3_000_000, 2048, 0), (4, 64, 65)]
        {
            let umem = Umem::builder(&interface)
                .frames(frames)
                .frame_size_bytes(size)
                .headroom_bytes(headroom);
            let error = umem.build().expect_err("sizes that make no sense");
            assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
        }
    }
    drop(interface);
    finish(lab);
}

#[test]
fn ordinary_users_are_told_that_they_may_not() {
    let lab = describe("lab:").as_ordinary_user().boot().expect("a lab");
    let interface = lab.interface(0);
    let error = Program::builder(&interface)
        .attach()
        .expect_err("not permitted");
    assert_eq!(
        (error.kind(), error.kind().exit_code()),
        (Kind::NotPermitted, 4)
    );
    assert!(
        error
            .advice()
            .is_some_and(|advice| advice.contains("administrator"))
    );
    assert_eq!(
        Map::new(&interface).expect_err("not permitted").kind(),
        Kind::NotPermitted
    );
    let error = lab.system().inventory().expect_err("not permitted");
    assert_eq!(error.kind(), Kind::NotPermitted);
    drop(interface);
    finish(lab);
}

#[test]
fn labs_are_found_by_address_and_end_with_their_last_user() {
    let error = Interface::find("lab:queues=0").expect_err("no queue");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    let error = Interface::find("lab:driver=/no/such/xdp.sys").expect_err("no driver");
    assert_eq!(
        (error.kind(), error.kind().exit_code()),
        (Kind::DriverAbsent, 3)
    );
    let error = Interface::find("lab:wire=if:no-such-0").expect_err("no interface of Linux");
    assert!(error.to_string().contains("no-such-0"), "{error}");
    if std::env::var_os("XDP_DRIVER").is_none() && Interface::find("lab:").is_err() {
        // No driver was built: addresses lead nowhere.
        return;
    }
    let first = Interface::find("lab:nics=2").expect("a lab");
    let second = Interface::find("lab:nics=2,nic=nic1").expect("the same lab");
    assert_ne!(first.index(), second.index());
    assert_eq!(
        Interface::find("lab:").expect("the same lab").index(),
        first.index()
    );
    let error = Interface::find("lab:nics=3").expect_err("another lab runs");
    assert_eq!(error.kind(), Kind::Busy);
    let error = Interface::find("lab:nic=nic7").expect_err("no such card");
    assert_eq!(error.kind(), Kind::NoSuchInterface);
    drop((first, second));
    Interface::find("lab:nics=3").expect("the lab before has ended");
}

#[test]
fn frames_that_cannot_be_sent_come_back() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface).frames(8).build().expect("memory");
        let other = Umem::builder(&interface).frames(8).build().expect("memory");
        let mut socket = Socket::builder(&interface, &umem)
            .transmit_only()
            .tx_ring(2)
            .completion_ring(2)
            .open()
            .expect("a socket");
        let empty = umem.frame().expect("a free frame");
        let refused = socket.send_one(empty).expect_err("it is empty");
        assert!(refused.to_string().contains("empty"), "{refused}");
        let mut frame = refused.frame;
        frame.set_len(1515).expect("it has room");
        let refused = socket.send_one(frame).expect_err("it is too long");
        assert!(refused.to_string().contains("1514"), "{refused}");
        let foreign = other.frame().expect("a free frame");
        let refused = socket.send_one(foreign).expect_err("it is in other memory");
        assert!(refused.to_string().contains("memory"), "{refused}");
        drop(refused);
        assert_eq!(other.free_frames(), 8);

        // What stands before a frame that cannot be sent is sent; the frame is named then.
        let mut batch = Batch::with_capacity(4);
        umem.fill(&mut batch);
        batch[0].extend_from_slice(&[1; 60]).expect("it has room");
        batch[2].extend_from_slice(&[2; 60]).expect("it has room");
        assert_eq!(socket.send(&mut batch).expect("the first is sent"), 1);
        let error = socket.send(&mut batch).expect_err("the second is empty");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert_eq!(batch.len(), 3);
        assert!(
            socket.wait(Interest::RX, PATIENCE).is_err(),
            "it does not receive"
        );
        let statistics = socket.statistics().expect("the driver tells");
        assert_eq!(statistics.tx_invalid_descriptors, 0);
    }
    drop(interface);
    finish(lab);
}

#[test]
fn waiting_ends_at_the_deadline() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface).frames(8).build().expect("memory");
        let mut socket = Socket::builder(&interface, &umem).open().expect("a socket");
        assert!(
            socket
                .wait(Interest::RX, Duration::ZERO)
                .expect("a look")
                .is_empty()
        );
        let ready = socket.wait(Interest::RX | Interest::TX, Duration::from_millis(20));
        assert!(ready.expect("a wait").is_empty());
    }
    drop(interface);
    finish(lab);
}

#[test]
fn everything_may_be_dropped_in_any_order() {
    for order in 0..6 {
        let lab = boot("lab:");
        let interface = lab.interface(0);
        let umem = Umem::builder(&interface)
            .frames(32)
            .build()
            .expect("memory");
        let mut socket = Socket::builder(&interface, &umem).open().expect("a socket");
        let map = Map::new(&interface).expect("a map");
        map.insert(0, &socket).expect("it is inserted");
        let program = Program::builder(&interface)
            .rule(Match::udp_dst(7).redirect(&socket))
            .rule(Match::udp_dst(8).redirect_by_queue(&map))
            .attach()
            .expect("it attaches");
        for port in [7, 8] {
            lab.wire(0).send(&udp(port, b"x")).expect("a frame");
        }
        let mut batch = Batch::with_capacity(1);
        socket.receive(&mut batch);
        assert_eq!(batch.len(), 1);
        match order {
            0 => drop((socket, map, program)),
            1 => drop((program, socket, map)),
            2 => drop((map, program, socket)),
            3 => drop((socket, program, map)),
            4 => drop((program, map, socket)),
            _ => drop((map, socket, program)),
        }
        assert_eq!(umem.free_frames(), 31, "all but the frame in hand");
        drop(batch);
        assert_eq!(umem.free_frames(), 32);
        drop((umem, interface));
        finish(lab);
    }
}

#[test]
fn an_interface_that_goes_away_is_told() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface).frames(8).build().expect("memory");
        let mut socket = Socket::builder(&interface, &umem).open().expect("a socket");
        lab.reset(0).expect("the card is reset");
        let error = socket
            .wait(Interest::RX, PATIENCE)
            .expect_err("it is detached");
        assert_eq!(error.kind(), Kind::InterfaceGone, "{error}");
        assert!(socket.has_failed());
        let errors = socket.ring_errors().expect("the driver tells");
        assert_eq!(errors.rx, Some(RingError::InterfaceDetached));
        // A new socket works.
        drop(socket);
        lab.settle().expect("the lab settles");
        Socket::builder(&interface, &umem).open().expect("a socket");
    }
    drop(interface);
    finish(lab);
}

#[test]
fn maps_have_slots_and_know_them() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let map = Map::new(&interface).expect("a map");
        let umem = Umem::builder(&interface).frames(8).build().expect("memory");
        let mut socket = Socket::builder(&interface, &umem).open().expect("a socket");
        let error = map.insert(Map::SLOTS, &socket).expect_err("no such slot");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        map.remove(5).expect("it is empty anyway");
        let _program = Program::builder(&interface)
            .rule(Match::all().redirect_by_queue(&map))
            .attach()
            .expect("it attaches");
        lab.wire(0).send(&udp(1, b"nobody")).expect("a frame");
        map.insert(0, &socket).expect("it is inserted");
        lab.wire(0).send(&udp(2, b"somebody")).expect("a frame");
        map.remove(0).expect("it is removed");
        lab.wire(0).send(&udp(3, b"nobody")).expect("a frame");
        let frame = socket.receive_one().expect("the frame in between");
        assert_eq!(frame[36..38], [0, 2]);
        assert!(socket.receive_one().is_none());
    }
    drop(interface);
    finish(lab);
}

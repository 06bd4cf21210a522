//! Frames through programs and sockets, on the driver as it ships.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::time::{Duration, Instant};

use stage::{boot, finish, udp};
use xdp::{Batch, Interest, Interface, Match, Program, Socket, Umem};

const PATIENCE: Duration = Duration::from_secs(10);

/// A socket whose rings are all shorter than its memory.
fn socket_of_16<'u>(interface: &Interface, umem: &'u Umem) -> Socket<'u> {
    let builder = Socket::builder(interface, umem);
    let receiving = builder.rx_ring(16).fill_ring(16);
    let both = receiving.tx_ring(16).completion_ring(16);
    both.open().expect("a socket")
}

#[test]
fn a_program_drops_what_it_matches_and_passes_the_rest() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    let program = Program::builder(&interface)
        .rule(Match::udp_dst(53).drop())
        .attach()
        .expect("the program attaches");
    lab.wire(0).send(&udp(53, b"drop me")).expect("a frame");
    lab.wire(0).send(&udp(54, b"pass me")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 1);
    program.detach();
    lab.settle().expect("the lab settles");
    lab.wire(0).send(&udp(53, b"now pass me")).expect("a frame");
    assert_eq!(lab.stack(0).received_frames(), 2);
    drop(interface);
    finish(lab);
}

#[test]
fn what_is_redirected_is_received_and_can_be_sent_back() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface)
            .frames(64)
            .build()
            .expect("memory");
        let mut socket = socket_of_16(&interface, &umem);
        let _program = Program::builder(&interface)
            .rule(Match::udp_dst(7).redirect(&socket))
            .attach()
            .expect("the program attaches");
        let frame = udp(7, b"hello");
        lab.wire(0).send(&frame).expect("a frame");

        let ready = socket.wait(Interest::RX, PATIENCE).expect("a wait");
        assert!(ready.rx());
        let mut batch = Batch::with_capacity(8);
        assert_eq!(socket.receive(&mut batch), 1);
        assert_eq!(&*batch[0], frame.as_slice());
        let (destination, rest) = batch[0].split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
        assert_eq!(socket.send(&mut batch).expect("it is sent"), 1);
        assert!(batch.is_empty());

        let back = lab.wire(0).receive(PATIENCE).expect("the lab runs");
        let back = back.expect("the frame comes back");
        assert_eq!(back[..6], frame[6..12]);
        assert_eq!(back[6..12], frame[..6]);
        assert_eq!(back[12..], frame[12..]);
        assert!(socket.wait(Interest::TX, PATIENCE).expect("a wait").tx());
        assert_eq!(socket.complete(), 1);
        assert_eq!(socket.in_flight(), 0);
        assert_eq!(lab.stack(0).received_frames(), 0);
    }
    drop(interface);
    finish(lab);
}

#[test]
fn a_program_that_only_receives_and_sends_never_stops() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    {
        let umem = Umem::builder(&interface)
            .frames(32)
            .build()
            .expect("memory");
        let mut socket = socket_of_16(&interface, &umem);
        let _program = Program::builder(&interface)
            .rule(Match::udp_dst(7).redirect(&socket))
            .attach()
            .expect("the program attaches");
        let frame = udp(7, b"hello");
        let mut batch = Batch::with_capacity(8);
        // Several times what there is memory and room in the rings for.
        for number in 0..200 {
            lab.wire(0).send(&frame).expect("a frame");
            let start = Instant::now();
            while socket.receive(&mut batch) == 0 {
                assert!(start.elapsed() < PATIENCE, "frame {number} does not come");
            }
            assert_eq!(socket.send(&mut batch).expect("it is sent"), 1);
            let back = lab.wire(0).receive(PATIENCE).expect("the lab runs");
            assert!(back.is_some(), "frame {number} does not come back");
        }
        assert_eq!(lab.stack(0).received_frames(), 0);
    }
    drop(interface);
    finish(lab);
}

//! Processes that end while others have handles to what they made.

use scenarios::{
    client::FULL_ACCESS,
    failures, frames, matching, scene,
    socket::Setup,
    status::{INVALID_DEVICE_STATE, SUCCESS, answer},
    xsk::Xsk,
};
use xdp_abi::{
    sockopt::Sockopt,
    xsk::{BindFlags, NotifyFlags},
};

#[test]
fn s10_3_r8_a_socket_outlives_the_process_whose_memory_it_used() {
    scene(|s| {
        let other = s.client("other");
        let owner = s.client("owner");
        let (copy, program) = {
            let socket = owner.socket(s.nic, Setup::rx_tx()).unwrap();
            let to_socket = matching::udp_dst(53).redirect(&socket.xsk);
            let program = owner.program(s.nic).rule(to_socket).create().unwrap();
            socket.fill_all();
            s.arrive(frames::udp4(53, b"before"));
            assert_eq!(socket.received().len(), 1);
            socket.send(1, &frames::numbered(1, 60));
            let copy = socket.xsk.handle().duplicate(&other, FULL_ACCESS);
            let program = program.handle().duplicate(&other, FULL_ACCESS).unwrap();
            (Xsk::of(&other, copy.unwrap()), program)
        };
        owner.terminate();
        s.arrive(frames::udp4(53, b"after"));
        s.arrive(frames::udp4(54, b"past it"));
        assert_eq!(s.passed().len(), 1, "the rule is still there");
        assert_eq!(s.sent().len(), 1);
        let poked = copy.poke(NotifyFlags::POKE_TX);
        assert_eq!(poked.err(), Some(INVALID_DEVICE_STATE));
        assert_eq!(copy.activate().err(), Some(INVALID_DEVICE_STATE));
        assert_eq!(copy.statistics().rx_dropped, 0);
        copy.close();
        program.close().unwrap();
        // The queues go on for others.
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        socket.send(0, &frames::numbered(2, 60));
        assert_eq!(s.sent().len(), 1);
    });
}

#[test]
fn s10_3_r8_a_socket_that_is_not_active_lets_go_too() {
    for bound in [false, true] {
        scene(|s| {
            let other = s.client("other");
            let owner = s.client("owner");
            let copy = {
                let socket = owner.xsk().unwrap();
                socket.register(1 << 16, 2048, 0).unwrap();
                if bound {
                    let index = s.nic.if_index();
                    socket.bind(index, 0, BindFlags::RX).unwrap();
                }
                let copy = socket.handle().duplicate(&other, FULL_ACCESS).unwrap();
                Xsk::of(&other, copy)
            };
            owner.terminate();
            let again = copy.bind(s.nic.if_index(), 0, BindFlags::RX);
            assert_eq!(again.err(), Some(INVALID_DEVICE_STATE));
            let register = copy.register(1 << 16, 2048, 0);
            assert_eq!(register.err(), Some(INVALID_DEVICE_STATE));
        });
    }
}

#[test]
fn s10_3_r8_the_process_that_counts_is_the_one_whose_pages_are_locked() {
    scene(|s| {
        let owner = s.client("owner");
        let other = s.client("other");
        let socket = owner.xsk().unwrap();
        {
            let copy = socket.handle().duplicate(&other, FULL_ACCESS).unwrap();
            Xsk::of(&other, copy).register(1 << 16, 2048, 0).unwrap();
        }
        other.terminate();
        let bound = socket.bind(s.nic.if_index(), 0, BindFlags::RX);
        assert_eq!(bound.err(), Some(INVALID_DEVICE_STATE));
    });
}

#[test]
fn s10_3_r8_a_process_that_only_made_the_socket_may_go() {
    scene(|s| {
        let owner = s.client("owner");
        let other = s.client("other");
        let copy = {
            let socket = owner.xsk().unwrap();
            let copy = socket.handle().duplicate(&other, FULL_ACCESS).unwrap();
            Xsk::of(&other, copy)
        };
        copy.register(1 << 16, 2048, 0).unwrap();
        copy.size_ring(Sockopt::RX_RING_SIZE, 8).unwrap();
        copy.size_ring(Sockopt::RX_FILL_RING_SIZE, 8).unwrap();
        owner.terminate();
        copy.bind(s.nic.if_index(), 0, BindFlags::RX).unwrap();
        copy.activate().unwrap();
    });
}

#[test]
fn s10_3_r8_rings_leave_the_process_that_has_them() {
    scene(|s| {
        let owner = s.client("owner");
        let other = s.client("other");
        let frames_of = s.client("whose frames they are");
        let theirs = {
            let socket = owner.xsk().unwrap();
            socket.size_ring(Sockopt::RX_RING_SIZE, 8).unwrap();
            socket.size_ring(Sockopt::RX_FILL_RING_SIZE, 8).unwrap();
            let handle = socket.handle();
            handle.duplicate(&other, FULL_ACCESS).unwrap()
        };
        let socket = Xsk::of(&other, theirs);
        {
            let handle = socket.handle().duplicate(&frames_of, FULL_ACCESS);
            let again = Xsk::of(&frames_of, handle.unwrap());
            again.register(1 << 16, 2048, 0).unwrap();
        }
        // The lab stops when something is mapped into what has ended.
        owner.terminate();
        let size = socket.size_ring(Sockopt::RX_RING_SIZE, 8);
        assert_eq!(size.err(), Some(INVALID_DEVICE_STATE), "it has the ring");
        socket
            .bind(s.nic.if_index(), 0, BindFlags::RX)
            .expect("the frames are there");
        socket.activate().unwrap();
        frames_of.terminate();
        let poked = socket.poke(NotifyFlags::POKE_RX);
        assert_eq!(poked.err(), Some(INVALID_DEVICE_STATE));
    });
}

#[test]
fn s10_3_r8_the_last_handle_may_be_closed_while_the_process_of_the_rings_ends() {
    scene(|s| {
        let other = s.client("other");
        for _ in 0..100 {
            let owner = s.client("owner");
            let copy = {
                let socket = owner.socket(s.nic, Setup::rx_tx()).unwrap();
                let handle = socket.xsk.handle();
                handle.duplicate(&other, FULL_ACCESS).unwrap()
            };
            std::thread::scope(|both| {
                both.spawn(|| owner.terminate());
                both.spawn(|| copy.close().unwrap());
            });
        }
    });
}

#[test]
fn s10_3_r8_a_program_with_port_sets_goes_with_the_process_that_has_them() {
    scene(|s| {
        let stays = s.app.program(s.nic).rule(matching::udp_dst(7).drop());
        let _stays = stays.create().unwrap();
        let other = s.client("other");
        let owner = s.client("owner");
        let copy = {
            let ports = matching::Ports::new(&owner, &[53]);
            let rule = matching::udp_port_set(&ports).drop();
            let program = owner.program(s.nic).rule(rule).create().unwrap();
            program.handle().duplicate(&other, FULL_ACCESS).unwrap()
        };
        s.arrive(frames::udp4(53, b"dropped"));
        assert_eq!(s.passed().len(), 0);
        owner.terminate();
        s.arrive(frames::udp4(53, b"passes"));
        s.arrive(frames::udp4(7, b"dropped"));
        assert_eq!(s.passed().len(), 1, "others' rules stay");
        let control = answer(copy.control_any(0x0012_8000, &[], 0)).unwrap();
        assert_ne!(control.status, SUCCESS);
        copy.close().unwrap();
    });
}

#[test]
fn s10_3_r8_it_comes_out_so_whatever_allocation_was_refused_before() {
    scene(|s| {
        let other = s.client("other");
        let mut copies = Vec::new();
        let (refused, last) = failures::each_refused(s.lab, || {
            let owner = s.client("owner");
            let made = (|| {
                let ports = matching::Ports::new(&owner, &[53]);
                let socket = owner.xsk()?;
                socket.register(1 << 16, 2048, 0)?;
                let rule = matching::udp_port_set(&ports).drop();
                let program = owner.program(s.nic).rule(rule).create()?;
                copies.push(socket.handle().duplicate(&other, FULL_ACCESS).unwrap());
                copies.push(program.handle().duplicate(&other, FULL_ACCESS).unwrap());
                Ok(())
            })();
            owner.terminate();
            made
        });
        assert!(refused.len() > 10, "{refused:?}");
        assert_eq!(last, Ok(()));
    });
}

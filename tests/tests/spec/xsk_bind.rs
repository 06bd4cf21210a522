//! Binding and activating: specification 02, sections 1 to 3 and 17.

use scenarios::{
    Stage, client::Client, failures, frames, matching, scene, socket::Setup, status::*, xsk::Xsk,
};
use xdp_abi::{
    HookId,
    ioctl::xsk as ioctl,
    sockopt::Sockopt,
    xsk::{ActivateFlags, BindFlags, BindIn, XskError},
};
use zerocopy::IntoBytes;

const BOTH: BindFlags = BindFlags::RX.union(BindFlags::TX);

fn ready<'c>(app: &'c Client<'c>) -> Xsk<'c> {
    let xsk = app.xsk().unwrap();
    xsk.register(32768, 2048, 0).unwrap();
    for option in [
        Sockopt::RX_RING_SIZE,
        Sockopt::RX_FILL_RING_SIZE,
        Sockopt::TX_RING_SIZE,
        Sockopt::TX_COMPLETION_RING_SIZE,
    ] {
        xsk.size_ring(option, 8).unwrap();
    }
    xsk
}

#[test]
fn s02_2_r1_a_short_bind_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let bind = BindIn {
            if_index: s.nic.if_index(),
            queue_id: 0,
            flags: BindFlags::RX,
        };
        for length in 0..12 {
            let output = xsk.request(ioctl::BIND, &bind.as_bytes()[..length], 0);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
        }
        let longer = [bind.as_bytes(), &[0xFF; 9]].concat();
        assert_eq!(xsk.request(ioctl::BIND, &longer, 0).status, SUCCESS);
    });
}

#[test]
fn s02_2_r2_flags_are_known_and_name_a_direction() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for flags in [0, 4, 8, 12, 13, 14, 15, 16, 17, 0x8000_0001, u32::MAX] {
            let refused = xsk.bind(s.nic.if_index(), 0, BindFlags::from_bits_retain(flags));
            assert_eq!(refused, Err(INVALID_PARAMETER), "{flags:#x}");
            let nowhere = xsk.bind(0xFFFF, 0, BindFlags::from_bits_retain(flags));
            assert_eq!(nowhere, Err(INVALID_PARAMETER), "before the interface");
        }
    });
}

#[test]
fn s02_2_r3_s02_19_r15_s02_1_2_a_socket_is_bound_once() {
    Stage::new().queues(2).play(|s| {
        let xsk = ready(&s.app);
        xsk.bind(s.nic.if_index(), 0, BOTH).unwrap();
        for (queue, flags) in [(0, BOTH), (1, BOTH), (0, BindFlags::RX), (0, BindFlags::TX)] {
            let again = xsk.bind(s.nic.if_index(), queue, flags);
            assert_eq!(again, Err(INVALID_DEVICE_STATE), "bound");
        }
        let nowhere = xsk.bind(0xFFFF, 0, BOTH);
        assert_eq!(nowhere, Err(INVALID_DEVICE_STATE), "before the interface");
        xsk.activate().unwrap();
        let again = xsk.bind(s.nic.if_index(), 0, BOTH);
        assert_eq!(again, Err(INVALID_DEVICE_STATE), "active");
    });
}

#[test]
fn s02_2_r4_r6_unknown_interfaces_and_hooks_are_not_found() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for flags in [BindFlags::RX, BindFlags::TX, BOTH] {
            for if_index in [0, s.nic.if_index() + 1000, u32::MAX] {
                let refused = xsk.bind(if_index, 0, flags);
                assert_eq!(refused, Err(NOT_FOUND), "{flags:?} on {if_index}");
            }
        }
        // A failed bind leaves the socket unbound.
        assert_eq!(xsk.bind(s.nic.if_index(), 0, BOTH), Ok(()));
    });
}

#[test]
fn s02_2_r5_r7_s02_19_r17_hooks_have_their_sublayer() {
    scene(|s| {
        for hook in [HookId::RX_INJECT, HookId::TX_INJECT] {
            let xsk = s.app.xsk().unwrap();
            xsk.set_rx_hook(hook).unwrap();
            let refused = xsk.bind(s.nic.if_index(), 0, BindFlags::RX);
            assert_eq!(refused, Err(NOT_SUPPORTED), "receive on {hook:?}");
            // The other direction does not care, and the socket is still unbound.
            assert_eq!(xsk.bind(s.nic.if_index(), 0, BindFlags::TX), Ok(()));
        }
        for hook in [HookId::RX_INSPECT, HookId::TX_INSPECT] {
            let xsk = s.app.xsk().unwrap();
            xsk.set_tx_hook(hook).unwrap();
            let refused = xsk.bind(s.nic.if_index(), 0, BindFlags::TX);
            assert_eq!(refused, Err(NOT_SUPPORTED), "transmit on {hook:?}");
            let refused = xsk.bind(s.nic.if_index(), 0, BOTH);
            assert_eq!(refused, Err(NOT_SUPPORTED), "both on {hook:?}");
            assert_eq!(xsk.bind(s.nic.if_index(), 0, BindFlags::RX), Ok(()));
        }
    });
}

#[test]
fn s02_2_r8_a_transmit_queue_exists() {
    Stage::new().queues(2).play(|s| {
        for queue in [2, 3, 64, u32::MAX] {
            let xsk = s.app.xsk().unwrap();
            let refused = xsk.bind(s.nic.if_index(), queue, BindFlags::TX);
            assert_eq!(refused, Err(INVALID_PARAMETER), "queue {queue}");
            let refused = xsk.bind(s.nic.if_index(), queue, BOTH);
            assert_eq!(refused, Err(INVALID_PARAMETER), "queue {queue}, both");
            assert_eq!(xsk.bind(s.nic.if_index(), 1, BOTH), Ok(()), "nothing stuck");
        }
    });
}

#[test]
fn s02_2_2_s02_19_r18_there_is_no_native_mode_on_a_generic_interface() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for flags in [BindFlags::RX, BindFlags::TX, BOTH] {
            let refused = xsk.bind(s.nic.if_index(), 0, flags | BindFlags::NATIVE);
            assert_eq!(refused, Err(NOT_FOUND), "{flags:?}");
        }
        let generic = xsk.bind(s.nic.if_index(), 0, BOTH | BindFlags::GENERIC);
        assert_eq!(generic, Ok(()));
    });
}

#[test]
fn s02_2_3_a_receive_queue_is_looked_at_by_the_first_program() {
    scene(|s| {
        let xsk = ready(&s.app);
        assert_eq!(xsk.bind(s.nic.if_index(), 77, BindFlags::RX), Ok(()));
        assert_eq!(xsk.activate(), Ok(()));
        let program = s
            .app
            .program(s.nic)
            .queue(77)
            .rule(matching::all().redirect(&xsk))
            .create();
        assert_eq!(program.err(), Some(INVALID_PARAMETER));
    });
}

#[test]
fn s02_2_4_s02_2_5_many_sockets_share_a_queue() {
    scene(|s| {
        let sockets: Vec<_> = (0..5)
            .map(|_| s.app.socket(s.nic, Setup::rx_tx()).unwrap())
            .collect();
        for (n, socket) in sockets.iter().enumerate() {
            let frame = frames::numbered(n as u32, 100);
            socket.send(0, &frame);
            assert_eq!(s.nic.wire().receive().unwrap().data, frame);
            assert_eq!(socket.await_completions(1), [0]);
        }
        let rules = sockets
            .iter()
            .enumerate()
            .map(|(n, socket)| matching::udp_dst(1000 + n as u16).redirect(&socket.xsk));
        let _program = s.app.program(s.nic).rules(rules).create().unwrap();
        for (n, socket) in sockets.iter().enumerate() {
            socket.fill_all();
            let frame = frames::udp4(1000 + n as u16, b"for one");
            s.arrive(&frame);
            assert_eq!(socket.received_bytes(), [frame]);
        }
    });
}

#[test]
fn s02_1_failing_binds_leave_the_socket_unbound() {
    scene(|s| {
        let xsk = ready(&s.app);
        let (refused, last) = failures::each_refused(s.lab, || {
            xsk.bind(s.nic.if_index(), 0, BOTH)?;
            Ok(())
        });
        for status in refused {
            assert!(
                [INSUFFICIENT_RESOURCES, NO_MEMORY, SUCCESS].contains(&status),
                "{status}"
            );
        }
        assert!(
            matches!(last, Ok(()) | Err(INVALID_DEVICE_STATE)),
            "{last:?}"
        );
        assert_eq!(xsk.activate(), Ok(()));
    });
}

#[test]
fn s02_3_r1_activation_takes_no_flags() {
    scene(|s| {
        let xsk = ready(&s.app);
        xsk.bind(s.nic.if_index(), 0, BOTH).unwrap();
        for length in 0..4 {
            let output = xsk.request(ioctl::ACTIVATE, &[0; 4][..length], 0);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
        }
        for flags in [1, 2, 0x8000_0000, u32::MAX] {
            let flags = ActivateFlags(flags);
            let output = xsk.request(ioctl::ACTIVATE, flags.as_bytes(), 0);
            assert_eq!(output.status, INVALID_PARAMETER, "{flags:?}");
        }
        assert_eq!(xsk.activate(), Ok(()));
    });
}

#[test]
fn s02_3_r2_activation_needs_frame_memory() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        xsk.bind(s.nic.if_index(), 0, BindFlags::RX).unwrap();
        xsk.size_ring(Sockopt::RX_RING_SIZE, 8).unwrap();
        xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, 8).unwrap();
        assert_eq!(xsk.activate(), Err(INVALID_DEVICE_STATE));
        xsk.register(8192, 2048, 0).unwrap();
        assert_eq!(xsk.activate(), Ok(()), "19 no. 19: frame memory comes last");
    });
}

#[test]
fn s02_19_r19_frame_memory_is_registered_after_rings_and_bind() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        xsk.size_ring(Sockopt::TX_RING_SIZE, 8).unwrap();
        xsk.size_ring(Sockopt::TX_COMPLETION_RING_SIZE, 8).unwrap();
        xsk.bind(s.nic.if_index(), 0, BindFlags::TX).unwrap();
        xsk.register(8192, 2048, 0).unwrap();
        assert_eq!(xsk.activate(), Ok(()));
    });
}

#[test]
fn s02_3_r3_s02_19_r15_activation_needs_a_bound_socket_and_comes_once() {
    scene(|s| {
        let xsk = ready(&s.app);
        assert_eq!(xsk.activate(), Err(INVALID_DEVICE_STATE), "unbound");
        xsk.bind(s.nic.if_index(), 0, BOTH).unwrap();
        assert_eq!(xsk.activate(), Ok(()));
        assert_eq!(xsk.activate(), Err(INVALID_DEVICE_STATE), "twice");
    });
}

#[test]
fn s02_3_r4_r5_activation_needs_the_rings_of_its_directions() {
    scene(|s| {
        let rx = [Sockopt::RX_RING_SIZE, Sockopt::RX_FILL_RING_SIZE];
        let tx = [Sockopt::TX_RING_SIZE, Sockopt::TX_COMPLETION_RING_SIZE];
        for (flags, needed) in [(BindFlags::RX, rx), (BindFlags::TX, tx)] {
            for missing in needed {
                let xsk = s.app.xsk().unwrap();
                xsk.register(8192, 2048, 0).unwrap();
                xsk.bind(s.nic.if_index(), 0, flags).unwrap();
                for option in rx.into_iter().chain(tx).filter(|o| *o != missing) {
                    xsk.size_ring(option, 8).unwrap();
                }
                let refused = xsk.activate();
                assert_eq!(refused, Err(INVALID_DEVICE_STATE), "without {missing:?}");
                xsk.size_ring(missing, 8).unwrap();
                assert_eq!(
                    xsk.activate(),
                    Ok(()),
                    "a refused activation may be repeated"
                );
            }
        }
    });
}

#[test]
fn s02_3_2_rings_of_the_other_direction_are_not_needed_and_not_in_the_way() {
    scene(|s| {
        let _receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        for flags in [BindFlags::RX, BindFlags::TX] {
            let xsk = ready(&s.app);
            xsk.bind(s.nic.if_index(), 0, flags).unwrap();
            assert_eq!(xsk.activate(), Ok(()));
        }
    });
}

#[test]
fn s02_3_r7_activation_without_memory_can_be_repeated() {
    scene(|s| {
        let xsk = ready(&s.app);
        xsk.bind(s.nic.if_index(), 0, BOTH).unwrap();
        let (refused, last) = failures::each_refused(s.lab, || xsk.activate());
        // A driver that has what it needs from the bind on allocates nothing here.
        for status in refused {
            assert!(
                [INSUFFICIENT_RESOURCES, SUCCESS, INVALID_DEVICE_STATE].contains(&status),
                "{status}"
            );
        }
        // An allocation that the driver can do without may have been the last.
        assert!(
            matches!(last, Ok(()) | Err(INVALID_DEVICE_STATE)),
            "{last:?}"
        );
    });
}

#[test]
fn s02_2_r10_s02_3_r6_s02_11_1_nothing_binds_or_activates_on_an_interface_that_left() {
    scene(|s| {
        let bound = ready(&s.app);
        bound.bind(s.nic.if_index(), 0, BOTH).unwrap();
        let if_index = s.nic.if_index();
        s.unplug();
        let late = bound.activate();
        assert!(
            matches!(late, Err(INVALID_DEVICE_STATE | DELETE_PENDING)),
            "{late:?}"
        );
        let xsk = ready(&s.app);
        let refused = xsk.bind(if_index, 0, BOTH);
        assert!(
            matches!(refused, Err(NOT_FOUND | DELETE_PENDING)),
            "{refused:?}"
        );
    });
}

#[test]
fn s02_11_2_s02_11_4_s02_4_5_a_lost_interface_is_told_on_all_rings_which_stay() {
    scene(|s| {
        use xdp_abi::ring::RingFlags;
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.fill([0]);
        let frame = frames::numbered(5, 99);
        s.arrive(&frame);
        socket.send(4, &frame);
        s.nic.wire().receive().unwrap();
        s.unplug();
        for option in [
            Sockopt::RX_ERROR,
            Sockopt::RX_FILL_ERROR,
            Sockopt::TX_ERROR,
            Sockopt::TX_COMPLETION_ERROR,
        ] {
            let error = socket.xsk.error(option);
            assert_eq!(error, XskError::INTERFACE_DETACH, "{option:?}");
        }
        for ring in [
            socket.rings.rx(),
            socket.rings.fill(),
            socket.rings.tx(),
            socket.rings.completion(),
        ] {
            assert!(ring.flags().contains(RingFlags::ERROR));
        }
        assert_eq!(socket.received_bytes(), [frame], "what came can be read");
        assert_eq!(socket.completions(), [socket.umem.chunk(4)]);
        assert_eq!(socket.xsk.statistics().rx_dropped, 0);
    });
}

#[test]
fn s02_11_2_only_the_bound_direction_has_the_error() {
    scene(|s| {
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.unplug();
        assert_eq!(
            receiver.xsk.error(Sockopt::RX_ERROR),
            XskError::INTERFACE_DETACH
        );
        assert_eq!(receiver.xsk.error(Sockopt::TX_ERROR), XskError::NO_ERROR);
        assert_eq!(
            sender.xsk.error(Sockopt::TX_ERROR),
            XskError::INTERFACE_DETACH
        );
        assert_eq!(sender.xsk.error(Sockopt::RX_ERROR), XskError::NO_ERROR);
    });
}

#[test]
fn s02_1_2_a_detached_socket_stays_so_when_the_interface_comes_back() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        let error = socket.xsk.error(Sockopt::RX_ERROR);
        assert_eq!(error, XskError::INTERFACE_DETACH);
        let if_index = s.nic.if_index();
        assert_eq!(
            socket.xsk.bind(if_index, 0, BOTH),
            Err(INVALID_DEVICE_STATE)
        );
        assert_eq!(socket.xsk.activate(), Err(INVALID_DEVICE_STATE));
        let fresh = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        fresh.send(0, &frames::numbered(1, 60));
        s.nic.wire().receive().unwrap();
    });
}

#[test]
fn s02_17_the_usual_orders_of_calls_work() {
    scene(|s| {
        // A program may name a socket that is bound; frames drop until it is active.
        let socket = s.app.idle_socket(s.nic, Setup::rx()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.fill_all();
        s.arrive(frames::numbered(1, 60));
        socket.xsk.activate().unwrap();
        s.arrive(frames::numbered(2, 60));
        assert_eq!(socket.received_bytes(), [frames::numbered(2, 60)]);
        assert_eq!(socket.xsk.statistics().rx_dropped, 0);
    });
}

#[test]
fn s02_1_1_cleanup_wins_over_binding_and_activating() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            let xsk = ready(&s.app);
            s.side_by_side(&[
                &|| {
                    let _ = xsk.bind(s.nic.if_index(), 0, BOTH);
                    let _ = xsk.activate();
                },
                &|| {
                    let _ = xsk.bind(s.nic.if_index(), 0, BOTH);
                },
            ]);
            xsk.close();
        });
    }
}

//! Poking and waiting: specification 02, sections 15 and 19.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use nt_sim::NtStatus;
use scenarios::{
    Scene, Stage, frames, matching,
    program::Program,
    scene,
    socket::{Setup, Socket},
    status::*,
    xsk::notified,
};
use xdp_abi::{
    ioctl::xsk as ioctl,
    xsk::{NotifyFlags, NotifyIn, NotifyResultFlags},
};
use zerocopy::IntoBytes;

const RX: NotifyResultFlags = NotifyResultFlags::RX_AVAILABLE;
const TX: NotifyResultFlags = NotifyResultFlags::TX_COMP_AVAILABLE;
const NOTHING: NotifyResultFlags = NotifyResultFlags::empty();
const WAIT_BOTH: NotifyFlags = NotifyFlags::WAIT_RX.union(NotifyFlags::WAIT_TX);

fn echo<'c>(s: &'c Scene<'_>, socket: &Socket<'_>) -> Program<'c> {
    s.app
        .program(s.nic)
        .rule(matching::all().redirect(&socket.xsk))
        .create()
        .unwrap()
}

fn ended(pending: &nt_sim::Pending<'_>) -> (NtStatus, NotifyResultFlags) {
    let output = pending.wait(Some(Duration::from_secs(5))).unwrap();
    notified(&output.expect("the request ends"))
}

#[test]
fn s02_15_r1_only_active_sockets_are_notified() {
    scene(|s| {
        let unbound = s.app.xsk().unwrap();
        let bound = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        for xsk in [&unbound, &bound.xsk] {
            for flags in [0, 1, 2, 4, 8, 0xFF] {
                let flags = NotifyFlags::from_bits_retain(flags);
                let refused = xsk.poke(flags);
                assert_eq!(refused, Err(INVALID_DEVICE_STATE), "{flags:?}");
                let pending = xsk.notify_async(flags).unwrap();
                assert_eq!(ended(&pending).0, INVALID_DEVICE_STATE, "{flags:?}");
            }
            let short = xsk.request(ioctl::NOTIFY, &[4, 0, 0], 0);
            assert_eq!(short.status, INVALID_DEVICE_STATE, "the state comes first");
        }
    });
}

#[test]
fn s02_15_r2_r4_the_input_is_whole_and_its_flags_are_known() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let input = NotifyIn {
            flags: NotifyFlags::POKE_TX,
            wait_timeout_milliseconds: 0,
        };
        for code in [ioctl::NOTIFY, ioctl::NOTIFY_ASYNC] {
            for length in 0..8 {
                let output = socket.xsk.request(code, &input.as_bytes()[..length], 0);
                assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
            }
            for bits in [0, 16, 17, 0x8000_0002, u32::MAX] {
                let flags = NotifyFlags::from_bits_retain(bits);
                let input = NotifyIn { flags, ..input };
                let output = socket.xsk.request(code, input.as_bytes(), 0);
                assert_eq!(output.status, INVALID_PARAMETER, "{bits:#x}");
            }
        }
    });
}

#[test]
fn s02_15_r3_unreadable_input_raises() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for code in [ioctl::NOTIFY, ioctl::NOTIFY_ASYNC] {
            for address in [0x10, 0x9000, 0xFFFF_8000_0000_0000] {
                let sent = socket.xsk.handle().control_raw(code, (address, 8), (0, 0));
                let status = match sent {
                    Ok(pending) => ended(&pending).0,
                    Err(error) => error.status().expect("an answer"),
                };
                assert_eq!(status, ACCESS_VIOLATION, "{address:#x}");
            }
        }
    });
}

#[test]
fn s02_15_r5_s02_19_r11_flags_need_their_direction() {
    scene(|s| {
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        for flags in [NotifyFlags::POKE_TX, NotifyFlags::WAIT_TX, WAIT_BOTH] {
            let refused = receiver.xsk.poke(flags);
            assert_eq!(refused, Err(INVALID_DEVICE_STATE), "{flags:?}");
        }
        for flags in [NotifyFlags::POKE_RX, NotifyFlags::WAIT_RX, WAIT_BOTH] {
            let refused = sender.xsk.poke(flags);
            assert_eq!(refused, Err(INVALID_DEVICE_STATE), "{flags:?}");
        }
        assert_eq!(receiver.xsk.poke(NotifyFlags::POKE_RX), Ok(()));
        assert_eq!(sender.xsk.poke(NotifyFlags::POKE_TX), Ok(()));
    });
}

#[test]
fn s02_15_r7_a_poke_alone_returns_nothing() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill([0]);
        s.arrive(frames::numbered(1, 60));
        let flags = NotifyFlags::POKE_RX | NotifyFlags::POKE_TX;
        let result = socket.xsk.notify(flags, None);
        assert_eq!(result, Ok((SUCCESS, NOTHING)));
        let pending = socket.xsk.notify_async(flags).unwrap();
        assert_eq!(ended(&pending), (SUCCESS, NOTHING));
    });
}

#[test]
fn s02_15_r8_s02_15_1_readiness_is_a_level() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill([0]);
        s.arrive(frames::numbered(1, 60));
        for _ in 0..3 {
            let result = socket.xsk.notify(NotifyFlags::WAIT_RX, None);
            assert_eq!(result, Ok((SUCCESS, RX)));
            let pending = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            assert_eq!(pending.result().as_ref().map(notified), Some((SUCCESS, RX)));
        }
        assert_eq!(socket.received().len(), 1);
        let result = socket
            .xsk
            .notify(NotifyFlags::WAIT_RX, Some(Duration::ZERO));
        assert_eq!(result, Ok((TIMEOUT, NOTHING)));
    });
}

#[test]
fn s02_15_2_waiting_to_transmit_is_waiting_for_completions() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let wait = |timeout| socket.xsk.notify(NotifyFlags::WAIT_TX, timeout);
        assert_eq!(
            wait(Some(Duration::ZERO)),
            Ok((TIMEOUT, NOTHING)),
            "the ring has room"
        );
        socket.send(0, &frames::numbered(1, 60));
        assert_eq!(wait(None), Ok((SUCCESS, TX)));
        assert_eq!(socket.completions(), [0]);
        assert_eq!(wait(Some(Duration::ZERO)), Ok((TIMEOUT, NOTHING)));
    });
}

#[test]
fn s02_15_3_s02_19_r9_a_timeout_of_zero_polls() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for flags in [NotifyFlags::WAIT_RX, NotifyFlags::WAIT_TX, WAIT_BOTH] {
            let result = socket.xsk.notify(flags, Some(Duration::ZERO));
            assert_eq!(result, Ok((TIMEOUT, NOTHING)), "{flags:?}");
        }
    });
}

#[test]
fn s02_15_3_the_timeout_is_in_milliseconds() {
    Stage::new().virtual_clock().play(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let clock = AtomicU32::new(0);
        let done = AtomicBool::new(false);
        s.side_by_side(&[
            &|| {
                let start = clock.load(Ordering::SeqCst);
                let timeout = Some(Duration::from_millis(100));
                let result = socket.xsk.notify(NotifyFlags::WAIT_RX, timeout);
                let passed = clock.load(Ordering::SeqCst) - start;
                done.store(true, Ordering::SeqCst);
                assert_eq!(result, Ok((TIMEOUT, NOTHING)));
                assert!(passed >= 99, "{passed} ms");
            },
            &|| {
                while !done.load(Ordering::SeqCst) {
                    clock.fetch_add(1, Ordering::SeqCst);
                    s.lab.advance(Duration::from_millis(1)).unwrap();
                    std::thread::yield_now();
                }
            },
        ]);
    });
}

#[test]
fn s02_15_r11_s02_15_3_a_waiter_is_woken_by_a_frame_and_by_a_completion() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = echo(s, &socket);
            socket.fill_all();
            s.nic.wire().hold();
            s.side_by_side(&[
                &|| {
                    let result = socket.xsk.notify(NotifyFlags::WAIT_RX, None);
                    assert_eq!(result, Ok((SUCCESS, RX)));
                    socket.send(8, &frames::numbered(1, 60));
                    let result = socket.xsk.notify(NotifyFlags::WAIT_TX, None);
                    assert_eq!(result, Ok((SUCCESS, TX)));
                },
                &|| {
                    s.arrive(frames::numbered(1, 60));
                    s.nic.wire().receive().unwrap();
                    s.nic.wire().release().unwrap();
                },
            ]);
        });
    }
}

#[test]
fn s02_15_4_one_direction_is_enough_and_all_that_are_ready_are_told() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill([0]);
        s.arrive(frames::numbered(1, 60));
        let result = socket.xsk.notify(WAIT_BOTH, None);
        assert_eq!(result, Ok((SUCCESS, RX)));
        socket.send(4, &frames::numbered(1, 60));
        let waited = socket.xsk.notify(NotifyFlags::WAIT_TX, None);
        assert_eq!(waited, Ok((SUCCESS, TX)), "only what was asked for");
        let result = socket.xsk.notify(WAIT_BOTH, None);
        assert_eq!(result, Ok((SUCCESS, RX | TX)));
    });
}

#[test]
fn s02_15_r6_s02_19_r10_the_poke_comes_before_the_wait() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        socket.post_frame(0, &frames::numbered(1, 60));
        let flags = NotifyFlags::POKE_TX | NotifyFlags::WAIT_TX;
        let result = socket.xsk.notify(flags, Some(Duration::from_secs(5)));
        assert_eq!(result, Ok((SUCCESS, TX)));
        socket.post_frame(1, &frames::numbered(2, 60));
        socket.completions();
        let pending = socket.xsk.notify_async(flags).unwrap();
        assert_eq!(ended(&pending), (SUCCESS, TX));
    });
}

#[test]
fn s02_15_r10_s02_15_8_s02_19_r12_there_is_one_wait_at_a_time() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = echo(s, &socket);
        let first = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
        assert_eq!(first.result(), None);
        for flags in [NotifyFlags::WAIT_RX, NotifyFlags::WAIT_TX, WAIT_BOTH] {
            let second = socket.xsk.notify_async(flags).unwrap();
            assert_eq!(ended(&second).0, INVALID_DEVICE_STATE, "{flags:?}");
            let blocking = socket.xsk.notify(flags, None);
            assert_eq!(blocking, Err(INVALID_DEVICE_STATE), "{flags:?}");
        }
        let poke = NotifyFlags::POKE_RX | NotifyFlags::POKE_TX;
        assert_eq!(socket.xsk.poke(poke), Ok(()), "pokes are not waits");
        assert_eq!(first.result(), None, "the first is unaffected");
        socket.fill([0]);
        s.arrive(frames::numbered(1, 60));
        assert_eq!(ended(&first), (SUCCESS, RX));
    });
}

#[test]
fn s02_15_5_an_asynchronous_wait_ends_when_something_comes() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill_all();
        for _ in 0..5 {
            let pending = socket.xsk.notify_async(WAIT_BOTH).unwrap();
            assert_eq!(pending.result(), None);
            s.arrive(frames::numbered(1, 60));
            assert_eq!(ended(&pending), (SUCCESS, RX));
            assert_eq!(socket.received().len(), 1);
            let pending = socket.xsk.notify_async(WAIT_BOTH).unwrap();
            socket.send(20, &frames::numbered(1, 60));
            assert_eq!(ended(&pending), (SUCCESS, TX));
            assert_eq!(socket.completions().len(), 1);
        }
    });
}

#[test]
fn s02_15_5_the_timeout_of_an_asynchronous_wait_is_ignored() {
    Stage::new().virtual_clock().play(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let input = s.app.place(
            NotifyIn {
                flags: NotifyFlags::WAIT_RX,
                wait_timeout_milliseconds: 10,
            }
            .as_bytes(),
        );
        let pending = socket
            .xsk
            .handle()
            .control_raw(ioctl::NOTIFY_ASYNC, (input.address(), 8), (0, 0))
            .unwrap();
        s.lab.advance(Duration::from_secs(60)).unwrap();
        assert_eq!(pending.result(), None);
        assert!(pending.cancel().unwrap());
    });
}

#[test]
fn s02_15_6_s02_19_r13_a_cancelled_wait_makes_room_for_the_next() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill_all();
        for n in 0..5 {
            let pending = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            assert!(pending.cancel().unwrap());
            assert_eq!(ended(&pending), (CANCELLED, NOTHING));
            let pending = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            s.arrive(frames::numbered(n, 60));
            assert_eq!(ended(&pending), (SUCCESS, RX));
            assert!(!pending.cancel().unwrap(), "too late");
            socket.received();
        }
    });
}

#[test]
fn s10_3_r9_cancelling_races_with_arriving_and_ends_a_wait_once() {
    for seed in 0..60 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
            let _program = echo(s, &socket);
            socket.fill_all();
            let pending = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            s.side_by_side(&[
                &|| {
                    let _ = pending.cancel().unwrap();
                },
                &|| s.arrive(frames::numbered(1, 60)),
            ]);
            let (status, flags) = ended(&pending);
            match status {
                SUCCESS => assert_eq!(flags, RX),
                CANCELLED => assert_eq!(flags, NOTHING),
                other => panic!("{other}"),
            }
            assert_eq!(socket.received().len(), 1);
        });
    }
}

#[test]
fn s02_15_5_who_made_a_ring_ready_late_does_not_end_the_wait_that_came_after() {
    for seed in 0..60 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = echo(s, &socket);
            socket.fill_all();
            s.side_by_side(&[
                &|| (0..6).for_each(|n| s.arrive(frames::numbered(n, 60))),
                &|| {
                    for _ in 0..6 {
                        socket.received();
                        let first = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
                        let _ = first.cancel().unwrap();
                        // Nothing is sent, so there is nothing to end for.
                        let next = socket.xsk.notify_async(NotifyFlags::WAIT_TX).unwrap();
                        assert!(next.cancel().unwrap(), "seed {seed}");
                        assert_eq!(ended(&next), (CANCELLED, NOTHING));
                    }
                },
            ]);
        });
    }
}

#[test]
fn s02_15_7_s02_19_r14_cleanup_ends_a_pending_wait() {
    scene(|s| {
        for flags in [NotifyFlags::WAIT_RX, NotifyFlags::WAIT_TX, WAIT_BOTH] {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let pending = socket.xsk.notify_async(flags).unwrap();
            socket.xsk.close();
            let output = pending.result().expect("it ended before close returned");
            let asked = NotifyResultFlags::from_bits_retain(flags.bits() >> 2);
            assert_eq!(notified(&output), (SUCCESS, asked));
        }
    });
}

#[test]
fn s02_15_7_a_wait_that_begins_while_its_handle_is_closed_ends_as_if_all_were_ready() {
    let mut pended = 0;
    for seed in 0..120 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let value = socket.xsk.handle().value();
            let sent = std::sync::Mutex::new(None);
            s.side_by_side(&[
                &|| {
                    let pending = socket.xsk.notify_async(WAIT_BOTH);
                    *sent.lock().unwrap() = pending.ok();
                },
                &|| s.app.close_handle(value).unwrap(),
            ]);
            // Closed first, there is nothing to wait for.
            let Some(pending) = sent.into_inner().unwrap() else {
                return;
            };
            let all = NotifyResultFlags::RX_AVAILABLE | NotifyResultFlags::TX_COMP_AVAILABLE;
            match ended(&pending) {
                (INVALID_DEVICE_STATE, _) => {}
                end => {
                    assert_eq!(end, (SUCCESS, all), "seed {seed}");
                    pended += 1;
                }
            }
        });
    }
    assert_ne!(pended, 0, "some requests came before the close");
}

#[test]
fn s02_15_7_s10_3_r10_a_blocked_waiter_returns_when_its_process_ends() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            let app = s.client("waiter");
            let socket = app.socket(s.nic, Setup::rx_tx()).unwrap();
            s.side_by_side(&[
                &|| {
                    let input = scenarios::xsk::notify_in(WAIT_BOTH, None);
                    let handle = socket.xsk.handle();
                    match handle.control_any(ioctl::NOTIFY, input.as_bytes(), 0) {
                        Ok(output) => assert!(output.status.is_success(), "{output:?}"),
                        Err(nt_sim::LabError::BugCheck(report)) => panic!("{report}"),
                        // The process ended before the call, or while it was in it.
                        Err(_) => {}
                    }
                },
                &|| app.exit().unwrap(),
            ]);
        });
    }
}

#[test]
fn s02_15_9_both_kinds_of_waits_follow_each_other() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = echo(s, &socket);
        socket.fill_all();
        for n in 0..4 {
            let polled = socket
                .xsk
                .notify(NotifyFlags::WAIT_RX, Some(Duration::from_millis(1)));
            assert_eq!(polled, Ok((TIMEOUT, NOTHING)));
            let pending = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            s.arrive(frames::numbered(n, 60));
            assert_eq!(ended(&pending), (SUCCESS, RX));
            let waited = socket.xsk.notify(NotifyFlags::WAIT_RX, None);
            assert_eq!(waited, Ok((SUCCESS, RX)));
            socket.received();
        }
    });
}

#[test]
fn s02_11_3_waiters_are_woken_when_their_interface_goes() {
    // The reference leaves them asleep; programs that wait for ever are better told.
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let pending = socket.xsk.notify_async(WAIT_BOTH).unwrap();
        s.unplug();
        let (status, _) = ended(&pending);
        assert!(
            [SUCCESS, INVALID_DEVICE_STATE, DEVICE_REMOVED].contains(&status),
            "{status}"
        );
        let refused = socket.xsk.notify(WAIT_BOTH, None);
        assert_eq!(refused, Err(INVALID_DEVICE_STATE));
    });
}

#[test]
fn s02_15_8_pokes_of_many_threads_are_serialised() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
            for n in 0..8 {
                socket.post_frame(n, &frames::numbered(n, 60));
            }
            let poke = || socket.poke();
            s.side_by_side(&[&poke, &poke, &poke]);
            assert_eq!(socket.await_completions(8).len(), 8);
            let sent: Vec<_> = s.sent().iter().map(|f| frames::number_of(f)).collect();
            assert_eq!(sent, (0..8).collect::<Vec<_>>());
        });
    }
}

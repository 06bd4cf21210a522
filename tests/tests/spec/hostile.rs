//! Programs that mean harm: specification 10, sections 2 and 3.

use nt_sim::nic::Layout;
use scenarios::{
    Scene, Stage, frames, matching,
    program::Program,
    scene,
    socket::{Setup, Socket},
    status::*,
    xsk::notify_in,
};
use xdp_abi::{
    ClientPtr,
    frame::FrameDescriptor,
    ioctl,
    sockopt::Sockopt,
    xsk::{NotifyFlags, UmemReg},
};
use zerocopy::IntoBytes;

/// Values that break arithmetic on indices.
const ODD: [u32; 8] = [0, 1, 15, 16, 17, 0x7FFF_FFFF, 0x8000_0000, u32::MAX];

fn redirect<'c>(s: &'c Scene<'_>, socket: &Socket<'_>) -> Program<'c> {
    s.app
        .program(s.nic)
        .rule(matching::udp_dst(9).drop())
        .rule(matching::all().redirect(&socket.xsk))
        .create()
        .unwrap()
}

fn traffic(s: &Scene<'_>, socket: &Socket<'_>) {
    let frames = (0..20).map(|n| frames::numbered(n, 60 + n as usize).into());
    s.nic.wire().send_all(frames).unwrap();
    let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
    let _ = socket.xsk.poke(NotifyFlags::WAIT_RX | NotifyFlags::WAIT_TX);
    s.lab.settle().unwrap();
    s.sent();
}

#[test]
fn s10_3_r1_s02_6_8_indices_may_be_anything() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = redirect(s, &socket);
        let rings = [
            socket.rings.fill(),
            socket.rings.rx(),
            socket.rings.tx(),
            socket.rings.completion(),
        ];
        for ring in rings {
            for producer in ODD {
                for consumer in ODD {
                    ring.set_producer(producer);
                    ring.set_consumer(consumer);
                    traffic(s, &socket);
                }
            }
        }
        s.unplug();
    });
}

#[test]
fn s10_2_r9_flags_may_be_anything() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = redirect(s, &socket);
        socket.fill_all();
        for flags in [0, 1, 2, 4, 8, 0xFFFF_FFF0, u32::MAX] {
            for ring in [
                socket.rings.fill(),
                socket.rings.rx(),
                socket.rings.tx(),
                socket.rings.completion(),
            ] {
                ring.set_flags(flags);
            }
            socket.send(20, &frames::numbered(1, 60));
            s.nic.wire().receive().unwrap();
            traffic(s, &socket);
            socket.completions();
        }
    });
}

#[test]
fn s10_2_3_what_there_is_no_room_for_is_not_copied() {
    /// An address that is the kernel's: nobody probes it for a buffer of no bytes.
    const KERNEL: usize = 0xffff_f800_0000_1000;
    Stage::new().queues(2).play(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let common = s.app.open(r"\Device\xdp").open().unwrap();
        let option = Sockopt::TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM;
        for (handle, code) in [
            (socket.xsk.handle(), ioctl::xsk::GET_SOCKOPT),
            (interface.handle(), ioctl::interface::RSS_GET_CAPABILITIES),
            (interface.handle(), ioctl::interface::RSS_GET),
            (&common, ioctl::common::LIST),
        ] {
            // What there is to copy starts with what was asked, and goes on with what lies behind it.
            let asked = s.app.place(option.as_bytes());
            let output = s.app.place(&[0xee; 64]);
            for address in [output.address(), KERNEL] {
                let input = (asked.address(), size_of::<Sockopt>());
                let sent = handle.control_raw(code, input, (address, 0)).unwrap();
                let answer = sent.wait(None).unwrap().unwrap();
                assert_eq!(answer.status, BUFFER_OVERFLOW, "{code:#x}");
                assert!(answer.information >= 10, "{code:#x}");
                assert_eq!(output.read(0, 64), [0xee; 64]);
            }
        }
    });
}

#[test]
fn s10_3_r2_s10_2_r7_descriptors_change_while_they_are_read() {
    for seed in 0..25 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = redirect(s, &socket);
            let (tx, fill) = (socket.rings.tx(), socket.rings.fill());
            s.side_by_side(&[
                &|| {
                    for n in 0..40_u64 {
                        let garbage = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                        let descriptor = FrameDescriptor::new(garbage, n as u16, n as u32 * 100);
                        tx.write_element(n as u32, 0, descriptor.as_bytes());
                        fill.write_element(n as u32, 0, &garbage.to_le_bytes());
                        tx.producer_submit(1);
                        fill.producer_submit(1);
                        let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
                        socket.completions();
                    }
                },
                &|| {
                    for n in 0..10 {
                        s.arrive(frames::numbered(n, 60));
                    }
                },
                &|| {
                    for n in 0..40_u32 {
                        tx.write_element(n, 8, &u32::MAX.to_le_bytes());
                        fill.write_element(n, 0, &u64::MAX.to_le_bytes());
                        let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
                    }
                },
            ]);
            let _ = s.sent();
        });
    }
}

#[test]
fn s10_3_r3_frame_memory_may_be_freed_or_protected_under_traffic() {
    scene(|s| {
        for free in [false, true] {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = redirect(s, &socket);
            socket.fill_all();
            for n in 0..4 {
                socket.post_frame(16 + n, &frames::numbered(n, 60));
            }
            if free {
                s.app.free(socket.umem.memory()).unwrap();
            } else {
                s.app.set_writable(socket.umem.memory(), false).unwrap();
            }
            traffic(s, &socket);
            assert_eq!(socket.rings.rx().available(), 16);
            assert_eq!(socket.await_completions(4).len(), 4);
        }
    });
}

#[test]
fn s10_3_r4_frame_memory_may_be_odd() {
    scene(|s| {
        let block = s.app.alloc(1 << 20).unwrap();
        for (address, total, chunk, headroom) in [
            (block.address() as u64 + 1, 100_000, 333, 332),
            (block.address() as u64 + 4095, 4097, 4097, 0),
            (block.address() as u64, 1 << 20, 1 << 20, 65535),
        ] {
            let xsk = s.app.xsk().unwrap();
            let umem = UmemReg {
                total_size: total,
                chunk_size: chunk,
                headroom,
                address: ClientPtr(address),
            };
            assert_eq!(xsk.set(Sockopt::UMEM_REG, &umem), Ok(()));
        }
        for (address, total) in [
            (0xFFFF_8000_0000_0000, 4096),
            (0xFFFF_FFFF_FFFF_F000, 4096),
            (0x7FFF_FFFE_F000, 0xFFFF_FFFF),
            (block.address() as u64, 0xFFFF_FFFF),
        ] {
            let xsk = s.app.xsk().unwrap();
            let umem = UmemReg {
                total_size: total,
                chunk_size: 2048,
                headroom: 0,
                address: ClientPtr(address),
            };
            let refused = xsk.set(Sockopt::UMEM_REG, &umem).err();
            let allowed = [Some(ACCESS_VIOLATION), Some(INSUFFICIENT_RESOURCES)];
            assert!(allowed.contains(&refused), "{address:#x}: {refused:?}");
        }
    });
}

#[test]
fn s10_3_r7_everything_closes_in_any_order_under_traffic() {
    for seed in 0..40 {
        Stage::new().seed(seed).play(|s| {
            let app = s.client("victim");
            let socket = app.socket(s.nic, Setup::rx_tx()).unwrap();
            let map = app.map().unwrap();
            map.insert(0, &socket.xsk).unwrap();
            let _program = app
                .program(s.nic)
                .rule(matching::udp().redirect_map(&map))
                .rule(matching::all().redirect(&socket.xsk))
                .create()
                .unwrap();
            socket.fill_all();
            for n in 0..8 {
                socket.post_frame(16 + n, &frames::numbered(n, 60));
            }
            s.side_by_side(&[
                &|| {
                    for n in 0..12 {
                        s.arrive(frames::udp4(n, b""));
                        s.arrive(frames::numbered(u32::from(n), 60));
                    }
                },
                &|| {
                    // A process that was killed makes no more calls; which of these come in time is up to the seed.
                    let poke = notify_in(NotifyFlags::POKE_TX, None);
                    for _ in 0..2 {
                        let handle = socket.xsk.handle();
                        let _ = handle.control(ioctl::xsk::NOTIFY, poke.as_bytes(), 0);
                    }
                },
                &|| app.exit().unwrap(),
            ]);
        });
    }
}

#[test]
fn s10_3_r11_an_adapter_leaves_or_resets_at_any_moment() {
    for seed in 0..40 {
        Stage::new().seed(seed).queues(2).play(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = s
                .app
                .program(s.nic)
                .all_queues()
                .rule(matching::udp_dst(1).l2fwd())
                .rule(matching::all().redirect(&socket.xsk))
                .create()
                .unwrap();
            socket.fill_all();
            let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_TX).unwrap();
            s.side_by_side(&[
                &|| {
                    for n in 0..8 {
                        s.arrive(frames::udp4(n % 3, b""));
                    }
                },
                &|| {
                    for n in 0..6 {
                        if socket.rings.tx().free() > 0 {
                            socket.post_frame(16 + n, &frames::numbered(n, 60));
                        }
                        let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
                    }
                },
                &|| match seed % 3 {
                    0 => s.unplug(),
                    1 => s.nic.reset().unwrap(),
                    _ => {
                        s.nic.pause().unwrap();
                        s.nic.restart().unwrap();
                    }
                },
            ]);
            let _ = waiting.cancel();
        });
    }
}

#[test]
fn s10_2_r5_port_sets_change_while_they_are_read() {
    scene(|s| {
        let ports = matching::Ports::new(&s.app, &[]);
        let _program = s.attach(matching::udp_port_set(&ports).drop());
        s.side_by_side(&[
            &|| {
                for n in 0..200 {
                    if n % 2 == 0 {
                        ports.insert(53);
                    } else {
                        ports.remove(53);
                    }
                }
            },
            &|| {
                for _ in 0..100 {
                    s.arrive(frames::udp4(53, b""));
                }
            },
        ]);
        let passed = s.passed();
        assert!(passed.len() <= 100);
        assert!(passed.iter().all(|f| *f == frames::udp4(53, b"")));
    });
}

#[test]
fn s10_2_3_padding_and_fresh_memory_are_zero() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        let info = socket.xsk.ring_info().unwrap();
        for ring in [info.rx, info.fill, info.tx, info.completion] {
            assert_eq!((ring.reserved, ring.padding), (0, 0));
            assert!(ring.ring.0 < 0x8000_0000_0000, "a user address");
            let memory = s.app.memory(ring.ring.0 as usize, 4096).unwrap();
            let mut bytes = memory.read(0, 4096);
            bytes[ring.flags_offset as usize..][..4].fill(0);
            assert!(bytes.iter().all(|byte| *byte == 0), "{ring:?}");
        }
    });
}

#[test]
fn s10_3_r5_rings_belong_to_the_driver() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = redirect(s, &socket);
        socket.fill_all();
        // Memory that the driver mapped cannot be freed as if the program had allocated it.
        let _ = s.app.free(socket.rings.rx().memory());
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s10_3_r12_many_objects_fail_cleanly_when_memory_runs_out() {
    use nt_sim::FaultPlan;
    scene(|s| {
        s.lab.inject_failures(FaultPlan::Random {
            chances: 300,
            seed: 42,
        });
        let mut opened = 0;
        for n in 0..150 {
            s.nic.wire().set_layout(Layout::random(n));
            let Ok(socket) = s.app.socket(s.nic, Setup::rx_tx()) else {
                continue;
            };
            let rule = matching::all().redirect(&socket.xsk);
            let Ok(_program) = s.app.program(s.nic).rule(rule).create() else {
                continue;
            };
            opened += 1;
            traffic(s, &socket);
        }
        s.lab.inject_failures(FaultPlan::Never);
        assert!(opened > 0);
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        socket.send(0, &frames::numbered(1, 60));
        s.nic.wire().receive().unwrap();
    });
}

#[test]
fn s10_3_r7_s02_13_9_a_socket_leaves_a_queue_that_sends_for_another() {
    for seed in 0..60 {
        Stage::new().seed(seed).play(|s| {
            let stays = s.app.socket(s.nic, Setup::tx()).unwrap();
            let app = s.client("leaves");
            let leaves = app.socket(s.nic, Setup::tx()).unwrap();
            for n in 0..4 {
                stays.post_frame(n, &frames::numbered(n, 60));
                leaves.post_frame(n, &frames::numbered(n, 60));
            }
            s.side_by_side(&[
                &|| {
                    for n in 4..10 {
                        stays.send(n, &frames::numbered(n, 60));
                    }
                },
                &|| app.exit().unwrap(),
                &|| s.arrive(frames::numbered(1, 60)),
            ]);
            s.lab.settle().unwrap();
            assert_eq!(stays.completions().len(), 10, "seed {seed}");
        });
    }
}

#[test]
fn s10_3_r1_a_wild_index_does_not_keep_the_queue_busy() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        for n in 0..16 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        assert_eq!(socket.await_completions(16).len(), 16);
        assert_eq!(s.sent().len(), 16);
        // The descriptors are good, and so they would stay for as long as the index says.
        let tx = socket.rings.tx();
        let right = tx.producer();
        for wild in [right + 33, right + 0x7FFF_FFFF, right.wrapping_sub(1)] {
            tx.set_producer(wild);
            for _ in 0..20 {
                socket.poke();
                s.lab.settle().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
                socket.completions();
            }
            let sent = s.sent().len();
            assert!(sent <= 16, "{sent} frames were sent");
            tx.set_producer(tx.consumer());
            socket.send(1, &frames::numbered(99, 60));
            assert_eq!(s.sent(), [frames::numbered(99, 60)], "it works again");
            socket.await_completions(1);
        }
    });
}

//! A network card's driver that breaks its contract has its queue failed; the machine goes on. Beyond the specification,
//! which lets such a driver stop the system (10, section 1).

use nt_sim::{Rule, nic::Layout, nic::Misdeed};
use scenarios::{
    Scene, Stage, counters, frames, matching, scene::eventually, socket::Setup, status::*,
};
use xdp_abi::{
    sockopt::Sockopt,
    xsk::{NotifyFlags, XskError},
};

/// What no frame of a sound card looks like.
const MALFORMED: [Misdeed; 6] = [
    Misdeed::Overlong(1),
    Misdeed::Overlong(u32::MAX),
    Misdeed::OffsetBeyondMemory,
    Misdeed::NoMemory,
    Misdeed::EndlessMemory,
    Misdeed::NoBuffer,
];

fn stage() -> Stage {
    Stage::new().lawless()
}

fn malformed(s: &Scene<'_>) -> u64 {
    let counters = counters::GENERIC_RX.of_queue(s.lab, s.nic.if_index(), 0);
    counters.get("Malformed Frames")
}

#[test]
fn a_frame_that_makes_no_sense_fails_its_queue() {
    for misdeed in MALFORMED {
        stage().play(|s| {
            let socket = s.receiver(Setup::rx());
            let _program = s
                .app
                .program(s.nic)
                .rule(matching::udp_dst(1).redirect(&socket.xsk))
                .rule(matching::udp_dst(2).drop())
                .create()
                .unwrap();
            s.arrive(frames::udp4(1, b"sound"));
            assert_eq!(socket.received().len(), 1);
            let broken = frames::udp4(1, b"not sound");
            s.nic.wire().misbehave(broken, misdeed).unwrap();
            assert_eq!(s.nic.broken_rules(), [Rule::NblBadNetBuffer], "{misdeed:?}");
            assert_eq!(malformed(s), 1, "{misdeed:?}");
            assert!(socket.received().is_empty() && s.passed().is_empty());
            // The socket is told as if its interface had gone.
            let lost = || socket.xsk.error(Sockopt::RX_ERROR) == XskError::INTERFACE_DETACH;
            assert!(eventually(lost), "{misdeed:?}");
            let poked = socket.xsk.poke(NotifyFlags::POKE_RX);
            assert_eq!(poked.err(), Some(INVALID_DEVICE_STATE));
            // Nothing is inspected on the queue any more.
            s.arrive(frames::udp4(2, b"dropped before"));
            assert_eq!(s.passed().len(), 1, "{misdeed:?}");
        });
    }
}

#[test]
fn a_failed_queue_takes_no_programs_and_sockets_until_the_adapter_is_reset() {
    stage().queues(2).cpus(2).play(|s| {
        let program = |queue| {
            let program = s.app.program(s.nic).queue(queue);
            program.rule(matching::udp_dst(1).drop()).create()
        };
        let first = program(0).unwrap();
        let second = program(1).unwrap();
        let wire = s.nic.wire();
        wire.misbehave(frames::udp4(1, b""), Misdeed::NoMemory)
            .unwrap();
        // Hash 0 goes to the queue of the processor that indicates it.
        let failed = || (0..2).find(|queue| program(*queue).err() == Some(DEVICE_DATA_ERROR));
        let failed = failed().expect("one queue has failed");
        let bound = s.app.socket(s.nic, Setup::rx().queue(failed)).err();
        assert_eq!(bound, Some(DEVICE_DATA_ERROR));
        let all = s.app.program(s.nic).all_queues().create().err();
        assert_eq!(all, Some(DEVICE_DATA_ERROR));
        let other = s.app.socket(s.nic, Setup::rx().queue(1 - failed)).unwrap();
        program(1 - failed).unwrap().close();
        // What was on the queue is closed as ever.
        first.close();
        second.close();
        other.xsk.close();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        program(failed).unwrap();
    });
}

#[test]
fn broken_frames_that_are_only_lent_fail_the_queue_too() {
    for misdeed in MALFORMED {
        stage().play(|s| {
            s.nic.wire().set_layout(Layout::contiguous().resources());
            let _program = s.attach(matching::udp_dst(1).l2fwd());
            let wire = s.nic.wire();
            wire.misbehave(frames::udp4(1, b"x"), misdeed).unwrap();
            assert_eq!(malformed(s), 1, "{misdeed:?}");
            assert!(s.sent().is_empty() && s.passed().is_empty());
        });
    }
}

#[test]
fn a_broken_frame_is_never_sent_back_with_memory_of_others_behind_it() {
    stage().play(|s| {
        let _program = s.attach(matching::all().l2fwd());
        // What the packet had before is not to be seen.
        s.arrive(frames::numbered(1, 1500));
        assert_eq!(s.sent().len(), 1);
        let wire = s.nic.wire();
        let short = frames::numbered(2, 60);
        wire.misbehave(short, Misdeed::Overlong(900)).unwrap();
        assert!(s.sent().is_empty());
        assert_eq!(malformed(s), 1);
    });
}

#[test]
fn without_programs_broken_frames_are_none_of_our_business() {
    stage().play(|s| {
        for misdeed in MALFORMED {
            let wire = s.nic.wire();
            wire.misbehave(frames::udp4(1, b""), misdeed).unwrap();
        }
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
        // With the filter in the path, and nobody who looks at frames.
        let _sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        let _idle = s.app.program(s.nic).create().unwrap();
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
    });
}

#[test]
fn two_frames_in_a_received_list_are_both_inspected() {
    stage().play(|s| {
        let socket = s.receiver(Setup::rx());
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        let wire = s.nic.wire();
        let frame = frames::udp4(1, b"twice");
        wire.misbehave(frame.clone(), Misdeed::SecondBuffer)
            .unwrap();
        assert_eq!(socket.received_bytes(), [frame.clone(), frame]);
        assert_eq!(malformed(s), 0);
    });
}

#[test]
fn a_wrong_number_of_lists_is_not_relied_upon() {
    for count in [0, 2, 64, u32::MAX] {
        stage().play(|s| {
            let socket = s.receiver(Setup::rx());
            let _program = s.attach(matching::udp_dst(1).redirect(&socket.xsk));
            for port in [1, 2] {
                let wire = s.nic.wire();
                let misdeed = Misdeed::WrongCount(count);
                wire.misbehave(frames::udp4(port, b""), misdeed).unwrap();
            }
            assert_eq!(s.nic.broken_rules(), [Rule::NblCount; 2]);
            assert_eq!(socket.received().len(), 1);
            assert_eq!(s.passed().len(), 1, "passed on with the number it has");
        });
    }
}

#[test]
fn frames_that_come_while_the_adapter_is_paused_go_back() {
    for resources in [false, true] {
        stage().play(|s| {
            let socket = s.receiver(Setup::rx());
            let _program = s
                .app
                .program(s.nic)
                .rule(matching::udp_dst(1).redirect(&socket.xsk))
                .rule(matching::udp_dst(2).l2fwd())
                .create()
                .unwrap();
            if resources {
                s.nic.wire().set_layout(Layout::contiguous().resources());
            }
            s.nic.pause().unwrap();
            for port in 1..=3 {
                let wire = s.nic.wire();
                wire.misbehave(frames::udp4(port, b""), Misdeed::None)
                    .unwrap();
            }
            assert_eq!(s.nic.broken_rules(), [Rule::NdisPausedTraffic; 3]);
            assert!(socket.received().is_empty());
            assert!(s.sent().is_empty() && s.passed().is_empty());
            s.nic.restart().unwrap();
            s.arrive(frames::udp4(1, b""));
            s.arrive(frames::udp4(3, b""));
            assert_eq!(socket.received().len(), 1, "all is as before");
            assert_eq!(s.passed().len(), 1);
        });
    }
}

#[test]
fn hashes_of_any_value_lead_to_a_queue() {
    stage().queues(2).play(|s| {
        let _program = s
            .app
            .program(s.nic)
            .all_queues()
            .rule(matching::udp_dst(1).drop())
            .create()
            .unwrap();
        for hash in [1, 0x7f, 0x80, 0xffff_ffff, 0x8000_0000] {
            for hash_info in [0, 1, 0xffff_ffff] {
                let mut frame = nt_sim::nic::Frame::from(frames::udp4(1, b""));
                frame.info.hash = hash;
                frame.info.hash_info = hash_info;
                s.nic.wire().misbehave(frame, Misdeed::None).unwrap();
            }
        }
        assert!(s.passed().is_empty());
        assert!(s.nic.broken_rules().is_empty());
    });
}

const OID_GEN_RECEIVE_SCALE_CAPABILITIES: u32 = 0x0001_0203;
const OID_GEN_RECEIVE_SCALE_PARAMETERS: u32 = 0x0001_0204;
const OID_TCP_OFFLOAD_CURRENT_CONFIG: u32 = 0xFC01_020B;
const NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG: i32 = 0x4002_0006;

/// The filter works, whatever the network card has answered.
fn works(s: &Scene<'_>, why: &str) {
    s.nic.reset().unwrap();
    s.lab.settle().unwrap();
    let interface = s.app.interface(s.nic.if_index()).unwrap();
    let capabilities = interface.rss_capabilities().unwrap();
    assert!(
        capabilities.number_of_indirection_table_entries <= 128,
        "{why}"
    );
    interface.close();
    let program = s.app.program(s.nic).all_queues();
    let program = program
        .rule(matching::udp_dst(1).drop())
        .create()
        .unwrap_or_else(|status| panic!("{why}: {status:?}"));
    s.arrive(frames::udp4(1, b""));
    s.arrive(frames::udp4(2, b""));
    assert_eq!(s.passed().len(), 1, "{why}");
    let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
    socket.send(0, &frames::numbered(1, 60));
    socket.await_completions(1);
    assert_eq!(s.sent().len(), 1, "{why}");
    program.close();
    socket.xsk.close();
}

#[test]
fn answers_to_requests_may_be_of_any_length_and_content() {
    let oids = [
        OID_GEN_RECEIVE_SCALE_CAPABILITIES,
        OID_GEN_RECEIVE_SCALE_PARAMETERS,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
    ];
    for oid in oids {
        stage().queues(2).play(|s| {
            for len in [
                0, 1, 3, 4, 19, 27, 28, 44, 155, 156, 1023, 1024, 1025, 70_000,
            ] {
                for byte in [0, 0xff] {
                    s.nic.answer_oid(oid, move |_| Ok(vec![byte; len]));
                    let why = format!("{oid:#x}: {len} bytes of {byte:#x}");
                    works(s, &why);
                }
            }
        });
    }
}

#[test]
fn answers_may_claim_any_length() {
    let oids = [
        OID_GEN_RECEIVE_SCALE_CAPABILITIES,
        OID_GEN_RECEIVE_SCALE_PARAMETERS,
        OID_TCP_OFFLOAD_CURRENT_CONFIG,
    ];
    for oid in oids {
        stage().queues(2).play(|s| {
            for claimed in [0, 1, 1025, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                s.nic.claim_length(oid, claimed).unwrap();
                works(s, &format!("{oid:#x} claims {claimed:#x} bytes"));
            }
        });
    }
}

#[test]
fn a_table_of_scaling_may_lie_anywhere_and_name_any_processor() {
    let parameters = |offset: u32, size: u16, entry: [u8; 4]| -> Vec<u8> {
        let mut bytes = vec![0x89, 2, 0x28, 0, 0, 0, 0, 0];
        bytes.extend(0x101_u32.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(offset.to_le_bytes());
        bytes.extend(40_u16.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(offset.wrapping_add(size.into()).to_le_bytes());
        bytes.resize(0x2c, 0);
        bytes.extend(entry.repeat(128));
        bytes.extend([7; 40]);
        bytes
    };
    stage().queues(2).play(|s| {
        for offset in [0, 0x2c, 0x2d, 0xffff, u32::MAX] {
            for size in [0, 1, 512, 516, 0xffff] {
                for entry in [[0; 4], [0xff; 4]] {
                    let answer = parameters(offset, size, entry);
                    s.nic.answer_oid(
                        OID_GEN_RECEIVE_SCALE_PARAMETERS,
                        move |_| Ok(answer.clone()),
                    );
                    s.nic.reset().unwrap();
                    // The same from the stack, which is answered and does not bring anything down.
                    let answer = parameters(offset, size, entry);
                    let _ = s
                        .nic
                        .stack()
                        .set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &answer)
                        .unwrap();
                    let frame = frames::udp4(1, b"");
                    s.arrive(frame);
                    assert_eq!(s.passed().len(), 1);
                }
            }
        }
        works(s, "any table");
    });
}

#[test]
fn indications_of_a_status_may_be_of_any_size() {
    stage().play(|s| {
        let setup = Setup::tx().extension(Sockopt::TX_OFFLOAD_CHECKSUM);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let option = Sockopt::TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM;
        let before = socket.xsk.get_bytes(option, 10).bytes;
        let code = NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        for claimed in [0, 1, 0x9c, u32::MAX] {
            s.nic.indicate_empty_status(code, claimed).unwrap();
        }
        for len in (0..0x90).chain([0x400]) {
            // Of another type, or too short: ignored.
            s.nic.indicate_status(code, &vec![0xff; len]).unwrap();
            s.nic.indicate_status(code, &vec![0; len]).unwrap();
        }
        for len in 0..0x60 {
            let mut short = vec![0xa7, 1];
            short.resize(len, 0xff);
            s.nic.indicate_status(code, &short).unwrap();
        }
        s.lab.settle().unwrap();
        assert_eq!(socket.xsk.get_bytes(option, 10).bytes, before);
        assert!(
            !s.nic.stack().take_statuses().is_empty(),
            "passed up as they are"
        );
    });
}

//! Creating programs: specification 03, sections 1, 4 and 5.

use scenarios::{
    Stage, client::FILE_OPEN, failures, frames, matching, scene, socket::Setup, status::*,
};
use xdp_abi::{
    ClientPtr, Direction, HookId, Layer, MatchPattern, MatchType, RedirectTargetType, Rule,
    RuleAction, SubLayer,
    open::ObjectType,
    program::{CreateProgramFlags, ProgramOpen},
    xsk::BindFlags,
};
use zerocopy::IntoBytes;

#[test]
fn s03_1_1_r1_s01_2_7_the_disposition_is_create() {
    scene(|s| {
        let open = s.app.program(s.nic).parameters(0);
        for disposition in [0, FILE_OPEN, 3, 4, 5] {
            let opened = s.app.open_object_as(
                ObjectType::PROGRAM,
                open.as_bytes(),
                disposition,
                scenarios::client::FULL_ACCESS,
            );
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "{disposition}");
        }
    });
}

#[test]
fn s03_1_1_r1_s01_2_7_short_parameters_are_refused() {
    scene(|s| {
        let open = s.app.program(s.nic).parameters(0);
        for length in 0..size_of::<ProgramOpen>() {
            let opened = s
                .app
                .open_object(ObjectType::PROGRAM, &open.as_bytes()[..length]);
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "{length} bytes");
        }
        assert!(s.app.create_program(&open).is_ok());
    });
}

#[test]
fn s03_1_1_r2_flags_are_known_and_name_one_mode() {
    scene(|s| {
        for bits in [3, 7, 8, 0x10, 0x8000_0000, u32::MAX] {
            let flags = CreateProgramFlags::from_bits_retain(bits);
            let created = s.app.program_on(0xFFFF).flags(flags).create();
            let expected = Some(INVALID_PARAMETER);
            assert_eq!(created.err(), expected, "{bits:#x}, before the interface");
        }
    });
}

#[test]
fn s03_1_1_r3_unknown_interfaces_are_not_found() {
    scene(|s| {
        for if_index in [0, s.nic.if_index() + 1000, u32::MAX] {
            let created = s.app.program_on(if_index).create();
            assert_eq!(created.err(), Some(NOT_FOUND), "{if_index}");
        }
        let native = s
            .app
            .program(s.nic)
            .flags(CreateProgramFlags::NATIVE)
            .create();
        assert_eq!(native.err(), Some(NOT_FOUND), "a generic interface");
        let generic = s
            .app
            .program(s.nic)
            .flags(CreateProgramFlags::GENERIC)
            .create();
        assert!(generic.is_ok());
    });
}

#[test]
fn s03_1_1_r4_r5_too_many_rules_are_refused() {
    scene(|s| {
        let open = ProgramOpen {
            rule_count: u32::MAX,
            rules: ClientPtr(s.app.place(&[0; 64]).address() as u64),
            ..s.app.program(s.nic).parameters(0)
        };
        // 2^32 rules of 72 bytes do not overflow 64 bits, and no pool has room for them.
        let created = s.app.create_program(&open).err();
        let allowed = [
            Some(NO_MEMORY),
            Some(INTEGER_OVERFLOW),
            Some(ACCESS_VIOLATION),
        ];
        assert!(allowed.contains(&created), "{created:?}");
        let missing = ProgramOpen {
            if_index: 0xFFFF,
            ..open
        };
        let created = s.app.create_program(&missing).err();
        assert_eq!(
            created,
            Some(NOT_FOUND),
            "the interface is looked for first"
        );
    });
}

#[test]
fn s03_1_1_r6_unreadable_rules_raise() {
    scene(|s| {
        let rules = [matching::all().pass(); 3];
        let placed = s.app.place(rules.as_bytes()).address() as u64;
        let create = |address| {
            let open = s.app.program(s.nic).rules(rules).parameters(address);
            s.app.create_program(&open).err()
        };
        for address in [0, 0x1000, 0x7FFF_0000_0000, 0xFFFF_8000_0000_0000] {
            assert_eq!(create(address), Some(ACCESS_VIOLATION), "{address:#x}");
        }
        assert_eq!(create(placed + 1), Some(DATATYPE_MISALIGNMENT));
        let page = s.app.alloc(4096).unwrap();
        let half = page.address() as u64 + 4096 - 80;
        assert_eq!(
            create(half & !7),
            Some(ACCESS_VIOLATION),
            "its end is missing"
        );
        assert_eq!(create(placed), None);
    });
}

#[test]
fn s03_1_1_r7_s03_4_3_rules_are_validated_in_order_and_earlier_ones_let_go() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let map = s.app.map().unwrap();
        let ports = matching::Ports::new(&s.app, &[1]);
        let good = [
            matching::all().redirect(&socket.xsk),
            matching::all().redirect_map(&map),
            matching::udp_port_set(&ports).drop(),
        ];
        let invalid = Rule {
            match_type: MatchType(99),
            ..matching::all().pass()
        };
        let nowhere = matching::all().redirect_to(RedirectTargetType::XSK, 0xABC0);
        let create = |rules: [Rule; 2]| {
            let program = s.app.program(s.nic).rules(good).rules(rules);
            program.create().err()
        };
        assert_eq!(create([invalid, nowhere]), Some(INVALID_PARAMETER));
        assert_eq!(create([nowhere, invalid]), Some(INVALID_HANDLE));
        // The scene's end shows that nothing of the good ones is left.
    });
}

#[test]
fn s03_1_1_r8_s03_1_4_programs_inspect() {
    scene(|s| {
        for hook in [HookId::RX_INJECT, HookId::TX_INJECT] {
            let created = s.app.program(s.nic).hook(hook).create();
            assert_eq!(created.err(), Some(NOT_SUPPORTED), "{hook:?}");
            let invalid = Rule {
                match_type: MatchType(99),
                ..matching::all().pass()
            };
            let created = s.app.program(s.nic).hook(hook).rule(invalid).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "rules come first");
        }
        for hook in [HookId::RX_INSPECT, HookId::TX_INSPECT] {
            let created = s.app.program(s.nic).hook(hook).create();
            assert!(created.is_ok(), "{hook:?}: {:?}", created.err());
        }
    });
}

#[test]
fn s03_1_4_hooks_that_do_not_exist_are_not_found() {
    scene(|s| {
        let hooks = [
            (Layer(1), Direction::RX, SubLayer::INSPECT),
            (Layer::L2, Direction(2), SubLayer::INSPECT),
            (Layer::L2, Direction::RX, SubLayer(2)),
        ];
        for (layer, direction, sub_layer) in hooks {
            let hook = HookId {
                layer,
                direction,
                sub_layer,
            };
            let created = s.app.program(s.nic).hook(hook).create();
            assert_eq!(created.err(), Some(NOT_FOUND), "{hook:?}");
        }
    });
}

#[test]
fn s03_1_2_rules_are_captured_once() {
    scene(|s| {
        let placed = s.app.place(matching::all().drop().as_bytes());
        let open = ProgramOpen {
            rule_count: 1,
            ..s.app.program(s.nic).parameters(placed.address() as u64)
        };
        let _program = s.app.create_program(&open).unwrap();
        placed.write(0, matching::all().pass().as_bytes());
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        s.app.free(placed).unwrap();
        s.arrive(frames::numbered(2, 60));
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s03_1_5_s03_5_r1_a_queue_exists() {
    Stage::new().queues(3).cpus(4).play(|s| {
        for queue in [3, 4, 64, u32::MAX] {
            let created = s.app.program(s.nic).queue(queue).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "queue {queue}");
        }
        for queue in 0..3 {
            let created = s.app.program(s.nic).queue(queue).create();
            assert!(created.is_ok(), "queue {queue}");
        }
    });
}

#[test]
fn s03_1_6_all_queues_are_all_of_them_whatever_the_queue_id() {
    Stage::new().queues(2).play(|s| {
        let program = s
            .app
            .program(s.nic)
            .queue(99)
            .all_queues()
            .rule(matching::all().drop())
            .create()
            .unwrap();
        for port in 0..40 {
            s.arrive(frames::udp4(port, b"to some queue"));
        }
        assert!(s.passed().is_empty());
        program.close();
        for port in 0..40 {
            s.arrive(frames::udp4(port, b"to some queue"));
        }
        assert_eq!(s.passed().len(), 40);
    });
}

#[test]
fn s03_1_6_a_failure_on_one_queue_takes_all_back() {
    Stage::new().queues(4).cpus(4).play(|s| {
        let (refused, last) = failures::each_refused(s.lab, || {
            let program = s
                .app
                .program(s.nic)
                .all_queues()
                .rule(matching::all().drop())
                .create()?;
            program.close();
            Ok(())
        });
        assert!(refused.len() > 4);
        for status in refused {
            assert!(
                [NO_MEMORY, INSUFFICIENT_RESOURCES, SUCCESS].contains(&status),
                "{status}"
            );
            s.arrive(frames::udp4(1, b"nobody is left to drop this"));
        }
        assert_eq!(last, Ok(()));
        assert!(s.passed().len() > 4);
    });
}

#[test]
fn s03_1_7_programs_without_rules_pass_everything_and_may_be_many() {
    scene(|s| {
        let open = ProgramOpen {
            rule_count: 0,
            rules: ClientPtr(0xDEAD_0000_0000),
            ..s.app.program(s.nic).parameters(0)
        };
        let first = s.app.create_program(&open).unwrap();
        let second = s.app.create_program(&open).unwrap();
        s.arrive(frames::numbered(1, 60));
        first.close();
        s.arrive(frames::numbered(2, 60));
        second.close();
        s.arrive(frames::numbered(3, 60));
        assert_eq!(s.passed().len(), 3);
    });
}

#[test]
fn s03_1_8_a_program_may_have_very_many_rules() {
    scene(|s| {
        let drops = (0..20_000_u16).map(|n| matching::udp_dst(n + 1000).drop());
        let _program = s.app.program(s.nic).rules(drops).create().unwrap();
        s.arrive(frames::udp4(999, b""));
        s.arrive(frames::udp4(1000, b""));
        s.arrive(frames::udp4(20_999, b""));
        s.arrive(frames::udp4(21_000, b""));
        assert_eq!(s.passed().len(), 2);
    });
}

#[test]
fn s03_4_r1_r6_unknown_matches_and_actions_are_refused() {
    scene(|s| {
        for number in [23, 24, 0x7FFF_FFFF, u32::MAX] {
            let unknown = matching::Matching::new(MatchType(number), MatchPattern::default());
            let created = s.app.program(s.nic).rule(unknown.drop()).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "match {number}");
        }
        for number in [5, 6, u32::MAX] {
            let rule = matching::all().action(RuleAction(number));
            let created = s.app.program(s.nic).rule(rule).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "action {number}");
        }
    });
}

#[test]
fn s03_4_r2_a_piece_of_a_connection_id_lies_in_20_bytes() {
    scene(|s| {
        for match_type in [
            MatchType::QUIC_FLOW_SRC_CID,
            MatchType::QUIC_FLOW_DST_CID,
            MatchType::TCP_QUIC_FLOW_SRC_CID,
            MatchType::TCP_QUIC_FLOW_DST_CID,
        ] {
            for (offset, length, valid) in [
                (0, 20, true),
                (20, 0, true),
                (13, 7, true),
                (1, 20, false),
                (14, 7, false),
                (255, 1, false),
                (255, 255, false),
                (21, 0, false),
            ] {
                let mut pattern = matching::quic(match_type, 443, offset, &[]).pattern;
                let mut flow = pattern.quic_flow();
                flow.cid_length = length;
                pattern = MatchPattern::from_quic_flow(flow);
                let rule = matching::Matching::new(match_type, pattern).drop();
                let created = s.app.program(s.nic).rule(rule).create().err();
                let expected = (!valid).then_some(INVALID_PARAMETER);
                assert_eq!(created, expected, "{match_type:?} {offset}+{length}");
            }
        }
    });
}

const PORT_SETS: [MatchType; 4] = [
    MatchType::IPV4_UDP_PORT_SET,
    MatchType::IPV6_UDP_PORT_SET,
    MatchType::IPV4_TCP_PORT_SET,
    MatchType::IPV6_TCP_PORT_SET,
];

/// Rules with each type of port set, changed by `change`.
fn port_set_rules(address: u64, reserved: u64) -> Vec<Rule> {
    let set = xdp_abi::PortSet {
        port_set: ClientPtr(address),
        reserved: ClientPtr(reserved),
    };
    let plain = MatchPattern::from_port_set(set);
    let plain = matching::Matching::new(MatchType::UDP_PORT_SET, plain);
    let with_address = xdp_abi::IpPortSet {
        address: [192, 0, 2, 2].into(),
        port_set: set,
    };
    let pattern = MatchPattern::from_ip_port_set(with_address);
    let others = PORT_SETS.map(|kind| matching::Matching::new(kind, pattern).drop());
    [plain.drop()].into_iter().chain(others).collect()
}

#[test]
fn s03_4_r3_s03_3_6_4_the_reserved_pointer_of_a_port_set_is_null() {
    scene(|s| {
        let ports = matching::Ports::new(&s.app, &[53]);
        for rule in port_set_rules(ports.memory().address() as u64, 8) {
            let created = s.app.program(s.nic).rule(rule).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "{rule:?}");
        }
    });
}

#[test]
fn s03_4_r4_an_unreadable_port_set_raises() {
    scene(|s| {
        let short = s.app.alloc(4096).unwrap();
        for address in [0x10_0000, 0xFFFF_8000_0000_0000, short.address() as u64] {
            for rule in port_set_rules(address, 0) {
                let created = s.app.program(s.nic).rule(rule).create();
                assert_eq!(created.err(), Some(ACCESS_VIOLATION), "{address:#x}");
            }
        }
    });
}

#[test]
fn s03_4_r5_a_port_set_without_resources_is_refused() {
    scene(|s| {
        let ports = matching::Ports::new(&s.app, &[53]);
        let plain = matching::udp_port_set(&ports);
        let (refused, last) = failures::each_refused(s.lab, || {
            let program = s.app.program(s.nic).rule(plain.drop()).create()?;
            program.close();
            Ok(())
        });
        assert!(refused.contains(&INSUFFICIENT_RESOURCES), "{refused:?}");
        for status in refused {
            assert!(
                [NO_MEMORY, INSUFFICIENT_RESOURCES, SUCCESS].contains(&status),
                "{status}"
            );
        }
        assert_eq!(last, Ok(()));
    });
}

#[test]
fn s03_4_r7_r8_ebpf_is_not_for_programs() {
    scene(|s| {
        let ebpf = matching::all().action(RuleAction::EBPF);
        let created = s.app.program(s.nic).rule(ebpf).create();
        assert_eq!(created.err(), Some(INVALID_PARAMETER));
        let created = s
            .app
            .program(s.nic)
            .rule(matching::all().pass())
            .rule(ebpf)
            .create();
        assert_eq!(created.err(), Some(INVALID_PARAMETER));
    });
}

#[test]
fn s03_4_r9_redirects_go_to_known_kinds_of_targets() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let handle = socket.xsk.handle().value() as u64;
        for kind in [2, 3, u32::MAX] {
            let rule = matching::all().redirect_to(RedirectTargetType(kind), handle);
            let created = s.app.program(s.nic).rule(rule).create();
            assert_eq!(created.err(), Some(INVALID_PARAMETER), "target {kind}");
        }
    });
}

#[test]
fn s03_4_r10_r11_s01_5_r1_r2_r3_targets_are_handles_of_their_kind() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let map = s.app.map().unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let program = s.app.program(s.nic).create().unwrap();
        let inert = s.app.open(xdp_abi::open::DEVICE_NAME).open().unwrap();
        let objects = [
            ("socket", socket.xsk.handle().value()),
            ("map", map.handle().value()),
            ("interface", interface.handle().value()),
            ("program", program.handle().value()),
            ("a handle without an object", inert.value()),
            ("nothing", 0xABC0),
            ("null", 0),
            ("a kernel handle", 0xFFFF_FFFF_8000_0004),
            ("all ones", usize::MAX),
        ];
        for (kind, own) in [
            (RedirectTargetType::XSK, "socket"),
            (RedirectTargetType::XSKMAP_BY_QUEUEID, "map"),
        ] {
            for (name, handle) in objects {
                let rule = matching::all().redirect_to(kind, handle as u64);
                let created = s.app.program(s.nic).rule(rule).create().err();
                let expected = (name != own).then_some(INVALID_HANDLE);
                assert_eq!(created, expected, "{kind:?} with {name}");
            }
        }
    });
}

#[test]
fn s01_5_r1_s10_4_2_targets_need_write_access() {
    use scenarios::client::{FILE_CREATE, GENERIC_READ};
    use xdp_abi::map::MapOpen;
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let weak = socket.xsk.handle().duplicate(&s.app, GENERIC_READ).unwrap();
        let rule = matching::all().redirect_to(RedirectTargetType::XSK, weak.value() as u64);
        let created = s.app.program(s.nic).rule(rule).create();
        assert_eq!(created.err(), Some(ACCESS_DENIED));
        let open = MapOpen::default();
        let map = s
            .app
            .open_object_as(ObjectType::MAP, open.as_bytes(), FILE_CREATE, GENERIC_READ)
            .unwrap();
        let kind = RedirectTargetType::XSKMAP_BY_QUEUEID;
        let rule = matching::all().redirect_to(kind, map.value() as u64);
        let created = s.app.program(s.nic).rule(rule).create();
        assert_eq!(created.err(), Some(ACCESS_DENIED));
    });
}

#[test]
fn s03_4_1_addresses_ports_and_masks_are_free() {
    scene(|s| {
        let rules = [
            matching::udp_dst(0),
            matching::udp_dst(65535),
            matching::masked(MatchType::IPV4_DST_MASK, [0; 4], [255; 4]),
            matching::masked(MatchType::IPV6_DST_MASK, [0x55; 16], [0xAA; 16]),
            matching::ip_next_header(0),
            matching::ip_next_header(255),
        ]
        .map(|rule| rule.drop());
        assert!(s.app.program(s.nic).rules(rules).create().is_ok());
    });
}

#[test]
fn s03_4_2_parameters_of_other_actions_are_ignored() {
    scene(|s| {
        for action in [RuleAction::DROP, RuleAction::PASS, RuleAction::L2FWD] {
            let mut rule = matching::udp_dst(9).redirect_to(RedirectTargetType(77), 0xABC0);
            rule.action = action;
            rule.padding0 = 0xFFFF_FFFF;
            rule.padding1 = 0xFFFF_FFFF;
            assert!(
                s.app.program(s.nic).rule(rule).create().is_ok(),
                "{action:?}"
            );
        }
    });
}

#[test]
fn s03_5_r6_a_target_socket_is_bound() {
    scene(|s| {
        let unbound = s.app.xsk().unwrap();
        let rule = matching::all().redirect(&unbound);
        let created = s.app.program(s.nic).rule(rule).create();
        assert_eq!(created.err(), Some(INVALID_DEVICE_STATE));
        unbound.bind(s.nic.if_index(), 0, BindFlags::RX).unwrap();
        assert!(s.app.program(s.nic).rule(rule).create().is_ok());
    });
}

#[test]
fn s03_5_r7_a_target_socket_receives() {
    scene(|s| {
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        let rule = matching::all().redirect(&sender.xsk);
        let created = s.app.program(s.nic).rule(rule).create();
        assert_eq!(created.err(), Some(NOT_SUPPORTED));
    });
}

#[test]
fn s03_5_r2_r9_nothing_attaches_to_an_interface_that_left() {
    scene(|s| {
        let if_index = s.nic.if_index();
        s.unplug();
        let created = s.app.program_on(if_index).create().err();
        let allowed = [Some(NOT_FOUND), Some(DELETE_PENDING)];
        assert!(allowed.contains(&created), "{created:?}");
    });
}

#[test]
fn s03_5_r9_s03_1_1_r5_s01_2_8_creation_without_memory_fails_and_leaves_nothing() {
    scene(|s| {
        let (refused, last) = failures::each_refused(s.lab, || {
            let rules = (0..50).map(|n| matching::udp_dst(n).drop());
            let program = s.app.program(s.nic).rules(rules).create()?;
            program.close();
            Ok(())
        });
        assert!(refused.contains(&NO_MEMORY) || refused.contains(&INSUFFICIENT_RESOURCES));
        for status in refused {
            assert!(
                [NO_MEMORY, INSUFFICIENT_RESOURCES, SUCCESS].contains(&status),
                "{status}"
            );
        }
        assert_eq!(last, Ok(()));
    });
}

#[test]
fn s03_5_3_many_programs_share_a_queue() {
    scene(|s| {
        let programs: Vec<_> = (0..60)
            .map(|n| {
                let rule = matching::udp_dst(n).drop();
                s.app.program(s.nic).rule(rule).create().unwrap()
            })
            .collect();
        for port in 0..61 {
            s.arrive(frames::udp4(port, b""));
        }
        assert_eq!(s.passed().len(), 1);
        drop(programs);
    });
}

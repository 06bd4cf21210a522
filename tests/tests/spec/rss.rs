//! Receive-side scaling, offload state and processors: specification 08, and 02 sections 8 and 9.

use scenarios::{
    Scene, Stage, failures, frames, interface::Rss, matching, scene, scene::eventually,
    socket::Setup, status::*,
};
use xdp_abi::{
    HookId,
    ioctl::interface as ioctl,
    offload::{ChecksumConfiguration, RssConfiguration, RssFlags, RssHashTypes},
    open::{InterfaceOpen, ObjectType},
    ring::RingFlags,
    sockopt::Sockopt,
    xsk::ProcessorNumber,
};
use zerocopy::{FromBytes, IntoBytes};

const CONFIG: [Sockopt; 2] = [
    Sockopt::RX_OFFLOAD_CURRENT_CONFIG_CHECKSUM,
    Sockopt::TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM,
];
const OID_TCP_OFFLOAD_PARAMETERS: u32 = 0xFC01_020C;

/// Turns the NIC's checksum offloads on or off; it announces the result.
fn set_checksums(s: &Scene<'_>, on: bool) {
    let mut parameters = vec![0; 0x14];
    parameters[..4].copy_from_slice(&[0xA7, 2, 0x14, 0]);
    parameters[4..9].fill(if on { 4 } else { 1 });
    let set = s.nic.stack().set(OID_TCP_OFFLOAD_PARAMETERS, &parameters);
    assert_eq!(set.unwrap(), 0);
    s.lab.settle().unwrap();
}

#[test]
fn s01_2_9_unknown_interfaces_are_not_found() {
    scene(|s| {
        for index in [0, s.nic.if_index() + 1000, u32::MAX] {
            assert_eq!(s.app.interface(index).err(), Some(NOT_FOUND), "{index}");
        }
        assert!(s.app.interface(s.nic.if_index()).is_ok());
    });
}

#[test]
fn s01_2_7_interfaces_are_opened_with_whole_parameters() {
    scene(|s| {
        let open = InterfaceOpen {
            if_index: s.nic.if_index(),
        };
        for length in 0..4 {
            let opened = s
                .app
                .open_object(ObjectType::INTERFACE, &open.as_bytes()[..length]);
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "{length} bytes");
        }
        for disposition in [0, 1, 3] {
            let opened = s.app.open_object_as(
                ObjectType::INTERFACE,
                open.as_bytes(),
                disposition,
                scenarios::client::FULL_ACCESS,
            );
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "{disposition}");
        }
    });
}

#[test]
fn s08_1_r1_r2_r3_output_lengths() {
    Stage::new().queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let rss_size = 24 + 40 + 128 * 4;
        for (code, size) in [
            (ioctl::RSS_GET_CAPABILITIES, 28),
            (ioctl::RSS_GET, rss_size),
        ] {
            let output = interface.request(code, &[], 0);
            assert_eq!(output.status, BUFFER_OVERFLOW, "{code:#x}");
            assert_eq!(output.information, size, "{code:#x}");
            for length in [1, 23, size - 1] {
                let output = interface.request(code, &[], length);
                assert_eq!(output.status, BUFFER_TOO_SMALL, "{code:#x}, {length}");
            }
            for length in [size, size + 100] {
                let output = interface.request(code, &[], length);
                assert_eq!((output.status, output.information), (SUCCESS, size));
            }
        }
    });
}

#[test]
fn s08_2_capabilities_are_the_nics() {
    Stage::new().cpus(4).queues(4).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let capabilities = interface.rss_capabilities().unwrap();
        assert_eq!(capabilities.header.revision, 2);
        assert_eq!(capabilities.header.size, 28);
        assert_eq!(capabilities.number_of_receive_queues, 4);
        assert_eq!(capabilities.number_of_indirection_table_entries, 128);
        assert_eq!(capabilities.hash_secret_key_size, 40);
        let transport = RssHashTypes::TCP_IPV4
            | RssHashTypes::TCP_IPV6
            | RssHashTypes::UDP_IPV4
            | RssHashTypes::UDP_IPV6;
        assert!(capabilities.hash_types.contains(transport));
        assert_eq!(capabilities.flags, 0);
    });
    scene(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let capabilities = interface.rss_capabilities().unwrap();
        assert_eq!(capabilities.number_of_receive_queues, 0, "no RSS");
        assert_eq!(capabilities.hash_secret_key_size, 40);
    });
}

#[test]
fn s08_3_r1_without_settings_there_is_nothing_to_get() {
    scene(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(interface.rss(), Err(INVALID_DEVICE_STATE));
    });
}

#[test]
fn s08_3_r3_the_settings_of_the_stack_are_got() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let rss = interface.rss().unwrap();
        assert_eq!(rss.flags, RssFlags::empty());
        assert_eq!(rss.key.len(), 40);
        assert_eq!(rss.table.len(), 128);
        assert!(rss.hash_type.contains(RssHashTypes::UDP_IPV4));
        let raw = interface.request(ioctl::RSS_GET, &[], 4096);
        let (head, _) = RssConfiguration::read_from_prefix(&raw.bytes).unwrap();
        assert_eq!((head.header.revision, head.header.size), (1, 24));
        assert_eq!(head.hash_secret_key_offset, 24, "the key follows directly");
        assert_eq!(head.indirection_table_offset, 24 + 40);
    });
}

fn table(entries: &[u8]) -> Rss {
    Rss {
        flags: RssFlags::SET_INDIRECTION_TABLE,
        table: entries.to_vec(),
        ..Rss::default()
    }
}

#[test]
fn s08_4_r1_r2_r3_r4_r5_r6_r7_settings_are_validated() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let good = table(&[1, 0]).to_bytes();
        let refuse = |bytes: &[u8], why: &str| {
            let refused = interface.set_rss_bytes(bytes);
            assert_eq!(refused, Err(INVALID_PARAMETER), "{why}");
        };
        for length in 0..24 {
            refuse(&good[..length], "r1: short");
        }
        let change = |change: &dyn Fn(&mut RssConfiguration)| {
            let (mut head, rest) = RssConfiguration::read_from_prefix(&good).unwrap();
            change(&mut head);
            [head.as_bytes(), rest].concat()
        };
        refuse(&change(&|c| c.header.revision = 0), "r2: revision");
        refuse(&change(&|c| c.header.size = 23), "r2: size");
        refuse(
            &change(&|c| c.flags |= RssFlags::from_bits_retain(0x10)),
            "r3: flags",
        );
        refuse(
            &change(&|c| c.hash_type = RssHashTypes::from_bits_retain(0x200)),
            "r4: hash type",
        );
        refuse(&change(&|c| c.indirection_table_offset = 25), "r5: table");
        refuse(
            &change(&|c| c.indirection_table_offset = 0xFFFF),
            "r5: table",
        );
        refuse(
            &change(&|c| {
                c.flags = RssFlags::empty();
                c.hash_secret_key_offset = 30;
                c.hash_secret_key_size = 10;
            }),
            "r5: the key, although it is not set",
        );
        let long_key = Rss {
            flags: RssFlags::SET_HASH_SECRET_KEY,
            key: vec![1; 41],
            ..Rss::default()
        };
        refuse(&long_key.to_bytes(), "r6: key");
        refuse(&table(&[0; 256]).to_bytes(), "r7: more than 128 entries");
        refuse(&table(&[0, 1, 0]).to_bytes(), "r7: no power of two");
        refuse(
            &change(&|c| c.indirection_table_size = 6),
            "r7: half an entry",
        );
        let later = change(&|c| c.header.revision = 2);
        assert_eq!(interface.set_rss_bytes(&later), Ok(()), "later revisions");
    });
}

#[test]
fn s08_4_r8_s08_4_6_s08_3_r2_a_restarted_adapter_forgets_its_handles() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[1, 0])).unwrap();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        assert_eq!(interface.set_rss(&table(&[1, 0])), Err(DEVICE_NOT_READY));
        assert_eq!(interface.rss(), Err(DEVICE_NOT_READY));
        let reopened = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(
            reopened.rss().unwrap().table.len(),
            128,
            "the stack's again"
        );
        assert_eq!(reopened.set_rss(&table(&[1, 0])), Ok(()));
        interface.close();
        assert_eq!(reopened.rss().unwrap().table, [1, 0]);
    });
}

#[test]
fn s08_4_r9_the_stack_sets_first() {
    Stage::new().cpus(2).queues(2).without_rss().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let refused = interface.set_rss(&table(&[1, 0]));
        assert_eq!(refused, Err(DEVICE_NOT_READY));
    });
}

#[test]
fn s08_4_r10_one_handle_overrides_at_a_time() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let first = s.app.interface(s.nic.if_index()).unwrap();
        let second = s.app.interface(s.nic.if_index()).unwrap();
        first.set_rss(&table(&[1, 0])).unwrap();
        let refused = second.set_rss(&table(&[0, 1]));
        assert_eq!(refused, Err(INVALID_DEVICE_STATE));
        assert_eq!(second.rss().unwrap().table, [1, 0], "but it sees them");
        assert_eq!(first.set_rss(&table(&[0, 1, 1, 1])), Ok(()), "4.2: again");
        first.close();
        assert_eq!(second.set_rss(&table(&[0, 1])), Ok(()));
    });
}

#[test]
fn s08_4_r11_hash_types_are_the_nics() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let hash = |hash_type| {
            interface.set_rss(&Rss {
                flags: RssFlags::SET_HASH_TYPE,
                hash_type,
                ..Rss::default()
            })
        };
        for unsupported in [RssHashTypes::TCP_IPV6_EX, RssHashTypes::UDP_IPV6_EX] {
            let mixed = unsupported | RssHashTypes::IPV4;
            assert_eq!(hash(mixed), Err(NOT_SUPPORTED), "{unsupported:?}");
        }
        for supported in [
            RssHashTypes::IPV4,
            RssHashTypes::IPV4 | RssHashTypes::IPV6 | RssHashTypes::TCP_IPV4,
            RssHashTypes::UDP_IPV6,
        ] {
            assert_eq!(hash(supported), Ok(()), "{supported:?}");
            assert_eq!(interface.rss().unwrap().hash_type, supported);
        }
    });
}

#[test]
fn s08_4_r13_r14_tables_name_processors_that_exist_and_not_too_many() {
    Stage::new().cpus(4).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        for entries in [&[4, 0][..], &[0, 63], &[255, 255]] {
            let refused = interface.set_rss(&table(entries));
            assert_eq!(refused, Err(INVALID_PARAMETER), "{entries:?}");
        }
        let refused = interface.set_rss(&table(&[0, 1, 2, 0]));
        assert_eq!(refused, Err(NOT_SUPPORTED), "three on two queues");
        assert_eq!(interface.set_rss(&table(&[3, 1, 3, 3])), Ok(()));
    });
}

#[test]
fn s08_4_r15_settings_without_memory_change_nothing() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let before = interface.rss().unwrap();
        let (refused, last) = failures::each_refused(s.lab, || {
            let result = interface.set_rss(&table(&[1, 0]));
            if result.is_err() {
                assert_eq!(interface.rss().unwrap(), before);
            }
            result
        });
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
fn s08_4_r16_a_miniport_that_refuses_changes_nothing() {
    const OID_GEN_RECEIVE_SCALE_PARAMETERS: u32 = 0x0001_0204;
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let before = interface.rss().unwrap();
        s.nic.answer_oid(OID_GEN_RECEIVE_SCALE_PARAMETERS, |_| {
            Err(0xC000_009A_u32 as i32)
        });
        let refused = interface.set_rss(&table(&[1, 0]));
        assert_eq!(refused, Err(INSUFFICIENT_RESOURCES));
        assert_eq!(interface.rss().unwrap(), before);
    });
}

#[test]
fn s08_4_1_s08_4_2_parts_that_are_not_set_are_inherited() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let upper = interface.rss().unwrap();
        interface.set_rss(&table(&[1, 0])).unwrap();
        let now = interface.rss().unwrap();
        assert_eq!((&now.key, now.hash_type), (&upper.key, upper.hash_type));
        let key: Vec<u8> = (1..41).collect();
        interface
            .set_rss(&Rss {
                flags: RssFlags::SET_HASH_SECRET_KEY,
                key: key.clone(),
                ..Rss::default()
            })
            .unwrap();
        let now = interface.rss().unwrap();
        assert_eq!((now.key, now.table), (key, vec![1, 0]));
        assert_eq!(interface.set_rss(&Rss::default()), Ok(()), "nothing at all");
        let mut all = upper.clone();
        all.flags = RssFlags::all().difference(RssFlags::DISABLED);
        assert_eq!(interface.set_rss(&all), Ok(()));
        assert_eq!(interface.rss().unwrap().table, upper.table);
    });
}

#[test]
fn s08_4_2_s01_6_r4_closing_restores_the_settings_of_the_stack() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let before = s.nic.queue_processors();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[1, 0])).unwrap();
        assert_eq!(s.nic.queue_processors(), [1, 0]);
        interface.close();
        assert_eq!(s.nic.queue_processors(), before);
    });
}

#[test]
fn s08_4_3_s06_9_r1_an_override_hides_the_stack_and_clears_hashes() {
    const OID_GEN_RECEIVE_SCALE_PARAMETERS: u32 = 0x0001_0204;
    Stage::new().cpus(2).queues(2).play(|s| {
        s.arrive(frames::udp4(1, b""));
        assert_ne!(s.nic.stack().receive().unwrap().info.hash, 0);
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[1, 0])).unwrap();
        s.arrive(frames::udp4(1, b""));
        let info = s.nic.stack().receive().unwrap().info;
        assert_eq!((info.hash, info.hash_info), (0, 0));
        // What the stack sets is kept for later and not passed down.
        let stack = s.nic.stack();
        let seen = stack.query(OID_GEN_RECEIVE_SCALE_PARAMETERS).unwrap();
        let upper = seen.unwrap();
        s.nic.take_oids();
        let set = stack.set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &upper).unwrap();
        assert_eq!(set, 0);
        assert!(s.nic.take_oids().is_empty());
        assert_eq!(s.nic.queue_processors(), [1, 0]);
        interface.close();
        assert_eq!(s.nic.queue_processors(), [0, 1]);
    });
}

#[test]
fn s08_4_3_queues_follow_the_override() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[1, 0])).unwrap();
        let socket = s.receiver(Setup::rx().queue(0));
        let _program = s
            .app
            .program(s.nic)
            .queue(0)
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        let mut passed = Vec::new();
        for port in 0..12 {
            s.arrive(frames::udp4(port, b""));
            if let Some(frame) = s.nic.stack().try_receive().unwrap() {
                passed.push(frame.info.processor);
            }
        }
        assert!(
            !passed.is_empty() && passed.iter().all(|p| *p == 0),
            "{passed:?}"
        );
        assert!(!socket.received().is_empty());
    });
}

#[test]
fn s08_4_4_disabling_is_accepted_and_does_nothing() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let disabled = Rss {
            flags: RssFlags::DISABLED,
            ..Rss::default()
        };
        assert_eq!(interface.set_rss(&disabled), Ok(()));
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
        assert_eq!(s.nic.queue_processors(), [0, 1]);
    });
}

#[test]
fn s08_5_qeo_needs_a_nic_that_has_it() {
    scene(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let output = interface.request(ioctl::QEO_SET, &[], 0);
        assert_eq!(output.status, INVALID_PARAMETER, "no input");
        let output = interface.request(ioctl::QEO_SET, &[0; 80], 40);
        assert_eq!(output.status, INVALID_PARAMETER, "another output length");
        let short = interface.request(ioctl::QEO_SET, &[0; 4], 4);
        assert_eq!(short.status, INVALID_PARAMETER, "no header");
    });
}

#[test]
fn s01_3_3_unknown_requests_of_an_interface_are_not_supported() {
    scene(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        for code in [0x128010, 0x128013, 0x128017, 0x12FFFC] {
            let output = interface.request(code, &[0; 64], 64);
            assert_eq!((output.status, output.information), (NOT_SUPPORTED, 0));
        }
    });
}

#[test]
fn s02_8_r1_the_configuration_needs_a_binding_on_the_lower_edge() {
    scene(|s| {
        let unbound = s.app.xsk().unwrap();
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        let upper_rx = Setup::rx().rx_hook(HookId::TX_INSPECT);
        let upper_rx = s.app.socket(s.nic, upper_rx).unwrap();
        let upper_tx = Setup::tx().tx_hook(HookId::RX_INJECT);
        let upper_tx = s.app.socket(s.nic, upper_tx).unwrap();
        for (xsk, option) in [
            (&unbound, CONFIG[0]),
            (&unbound, CONFIG[1]),
            (&receiver.xsk, CONFIG[1]),
            (&sender.xsk, CONFIG[0]),
            (&upper_rx.xsk, CONFIG[0]),
            (&upper_tx.xsk, CONFIG[1]),
        ] {
            let output = xsk.get_bytes(option, 10);
            assert_eq!(output.status, INVALID_DEVICE_STATE, "{option:?}");
        }
    });
}

#[test]
fn s02_8_r2_r3_r4_s08_6_1_the_configuration_is_told() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for on in [true, false, true] {
            set_checksums(s, on);
            for option in CONFIG {
                let output = socket.xsk.get_bytes(option, 0);
                assert_eq!(output.status, BUFFER_OVERFLOW, "{option:?}");
                assert_eq!(output.information, 10);
                for length in 1..10 {
                    let output = socket.xsk.get_bytes(option, length);
                    assert_eq!(output.status, BUFFER_TOO_SMALL, "{length} bytes");
                    assert_eq!(output.information, 0);
                }
                // The announcement is taken in on a thread of the driver.
                let announced = || socket.xsk.get_bytes(option, 10).bytes[8] == u8::from(on);
                assert!(eventually(announced));
                let output = socket.xsk.get_bytes(option, 12);
                assert_eq!((output.status, output.information), (SUCCESS, 10));
                let config = ChecksumConfiguration::read_from_bytes(&output.bytes).unwrap();
                assert_eq!((config.header.revision, config.header.size), (1, 10));
                assert_eq!((config.enabled, config.tcp_options), (on.into(), on.into()));
                assert_eq!(config.padding, [0; 2]);
            }
        }
    });
}

#[test]
fn s02_8_1_s02_8_2_s08_6_3_every_update_raises_the_flag_which_reading_clears() {
    scene(|s| {
        let setup = Setup::rx_tx()
            .extension(Sockopt::RX_OFFLOAD_CHECKSUM)
            .extension(Sockopt::TX_OFFLOAD_CHECKSUM);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let plain = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let rings = [socket.rings.rx(), socket.rings.tx()];
        for round in 0..4 {
            for ring in &rings {
                let flags = ring.flags();
                assert!(!flags.contains(RingFlags::OFFLOAD_CHANGED), "{round}");
            }
            set_checksums(s, round % 2 == 1);
            for (ring, option) in rings.iter().zip(CONFIG) {
                let raised = || ring.flags().contains(RingFlags::OFFLOAD_CHANGED);
                assert!(eventually(raised), "{round}");
                let output = socket.xsk.get_bytes(option, 10);
                assert_eq!(output.status, SUCCESS);
                assert_eq!(output.bytes[8], u8::from(round % 2 == 1));
            }
            for ring in [plain.rings.rx(), plain.rings.tx()] {
                let flags = ring.flags();
                assert!(!flags.contains(RingFlags::OFFLOAD_CHANGED), "not enabled");
            }
        }
    });
}

#[test]
fn s08_6_2_malformed_announcements_are_ignored() {
    const NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG: i32 = 0x4002_0006;
    scene(|s| {
        let setup = Setup::rx().extension(Sockopt::RX_OFFLOAD_CHECKSUM);
        let socket = s.app.socket(s.nic, setup).unwrap();
        set_checksums(s, true);
        let enabled = || socket.xsk.get_bytes(CONFIG[0], 10).bytes[8];
        assert!(eventually(|| enabled() == 1));
        for data in [
            &[][..],
            &[0xA7],
            &[0xA7, 1, 0x10, 0],
            &[0x80, 3, 0x9C, 0],
            &[0; 0x9C],
        ] {
            s.nic
                .indicate_status(NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, data)
                .unwrap();
            s.lab.settle().unwrap();
            assert_eq!(enabled(), 1, "{data:02x?}");
        }
    });
}

#[test]
fn s02_9_1_s02_9_2_s02_9_3_s01_2_6_processors_are_followed_on_request() {
    Stage::new().cpus(4).queues(4).play(|s| {
        for (version, set, expected) in [
            (1, None, true),
            (2, None, false),
            (3, None, false),
            (3, Some(1_u32), true),
            (1, Some(0), false),
        ] {
            let client = s.client("app").api_version(version);
            let socket = client.socket(s.nic, Setup::rx_tx().queue(2)).unwrap();
            let options = [
                Sockopt::RX_PROCESSOR_AFFINITY,
                Sockopt::TX_PROCESSOR_AFFINITY,
            ];
            for option in options {
                if let Some(value) = set {
                    socket.xsk.set(option, &value).unwrap();
                }
                let none = socket.xsk.get::<ProcessorNumber>(option);
                assert_eq!(none, Err(DEVICE_NOT_READY), "nothing recorded yet");
            }
            let program = client
                .program(s.nic)
                .queue(2)
                .rule(matching::all().redirect(&socket.xsk))
                .create()
                .unwrap();
            for port in 0..30 {
                s.arrive(frames::udp4(port, b""));
            }
            socket.send(0, &frames::numbered(1, 60));
            socket.await_completions(1);
            let rings = [socket.rings.rx(), socket.rings.tx()];
            for (ring, option) in rings.iter().zip(options) {
                let changed = ring.flags().contains(RingFlags::AFFINITY_CHANGED);
                assert_eq!(changed, expected, "version {version}, {set:?}, {option:?}");
                let read = socket.xsk.get::<ProcessorNumber>(option);
                if expected {
                    let processor = read.unwrap();
                    assert!(processor.number < 4 && processor.group == 0);
                    if option == Sockopt::RX_PROCESSOR_AFFINITY {
                        assert_eq!(processor.number, 2);
                    }
                    let flags = ring.flags();
                    assert!(!flags.contains(RingFlags::AFFINITY_CHANGED), "cleared");
                } else {
                    assert_eq!(read, Err(DEVICE_NOT_READY));
                }
            }
            drop(program);
            drop(socket);
        }
    });
}

#[test]
fn s01_4_2_processors_are_read_through_fast_requests_only() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for option in [
            Sockopt::RX_PROCESSOR_AFFINITY,
            Sockopt::TX_PROCESSOR_AFFINITY,
        ] {
            let input = s.app.place(option.as_bytes());
            let output = s.app.alloc(4).unwrap();
            let code = xdp_abi::ioctl::xsk::GET_SOCKOPT;
            let sent = socket
                .xsk
                .handle()
                .control_packet(code, (input.address(), 4), (output.address(), 4))
                .unwrap();
            let result = sent.wait(None).unwrap().unwrap();
            assert_eq!(result.status, NOT_SUPPORTED, "{option:?}");
        }
    });
}

//! Socket options: specification 02, sections 4 and 10.

use nt_sim::NtStatus;
use scenarios::{client::FULL_ACCESS, scene, socket::Setup, status::*, xsk::Xsk};
use xdp_abi::{
    Direction, HookId, Layer, SubLayer,
    ioctl::xsk as ioctl,
    ring::{RingInfo, RingInfoSet},
    sockopt::Sockopt,
    xsk::{BindFlags, PollMode, ProcessorNumber, Statistics, XskError},
};
use zerocopy::{FromZeros, IntoBytes};

const ERRORS: [Sockopt; 4] = [
    Sockopt::RX_ERROR,
    Sockopt::RX_FILL_ERROR,
    Sockopt::TX_ERROR,
    Sockopt::TX_COMPLETION_ERROR,
];

const RING_SIZES: [Sockopt; 4] = [
    Sockopt::RX_RING_SIZE,
    Sockopt::RX_FILL_RING_SIZE,
    Sockopt::TX_RING_SIZE,
    Sockopt::TX_COMPLETION_RING_SIZE,
];

const HOOKS: [Sockopt; 2] = [Sockopt::RX_HOOK_ID, Sockopt::TX_HOOK_ID];

fn set_status(xsk: &Xsk<'_>, option: Sockopt, value: &[u8]) -> NtStatus {
    xsk.set_bytes(option, value).err().unwrap_or(SUCCESS)
}

#[test]
fn s02_4_1_r1_a_set_request_shorter_than_its_structure_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let mut input = [0; 16];
        input[..4].copy_from_slice(Sockopt::RX_RING_SIZE.as_bytes());
        for length in 0..16 {
            let output = xsk.request(ioctl::SET_SOCKOPT, &input[..length], 0);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
        }
    });
}

#[test]
fn s02_4_1_r2_a_get_request_shorter_than_an_option_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for length in 0..4 {
            let input = &Sockopt::STATISTICS.as_bytes()[..length];
            let output = xsk.request(ioctl::GET_SOCKOPT, input, 64);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
            assert_eq!(output.information, 0);
        }
    });
}

#[test]
fn s02_4_1_r3_unknown_options_are_not_supported() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for number in [0, 16, 17, 999, 1015, u32::MAX] {
            let option = Sockopt(number);
            assert_eq!(
                set_status(&xsk, option, &[1; 32]),
                NOT_SUPPORTED,
                "set {number}"
            );
            let output = xsk.get_bytes(option, 256);
            assert_eq!(output.status, NOT_SUPPORTED, "get {number}");
        }
    });
}

#[test]
fn s02_4_1_r3_options_of_the_other_direction_are_not_supported() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let only_get = [Sockopt::RING_INFO, Sockopt::STATISTICS];
        for option in only_get.into_iter().chain(ERRORS) {
            let status = set_status(&xsk, option, &[1; 192]);
            assert_eq!(status, NOT_SUPPORTED, "set {option:?}");
        }
        for option in [Sockopt::UMEM_REG].into_iter().chain(RING_SIZES) {
            let output = xsk.get_bytes(option, 192);
            assert_eq!(output.status, NOT_SUPPORTED, "get {option:?}");
        }
    });
}

#[test]
fn s02_4_1_r4_s01_4_3_values_at_bad_addresses_raise_their_exception() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let value = s.app.place(&[8; 64]);
        let good = value.address() as u64;
        let sizes = [
            (Sockopt::UMEM_REG, 24),
            (Sockopt::RX_RING_SIZE, 4),
            (Sockopt::TX_COMPLETION_RING_SIZE, 4),
            (Sockopt::RX_HOOK_ID, 12),
            (Sockopt::TX_PROCESSOR_AFFINITY, 4),
        ];
        for (option, length) in sizes {
            for nowhere in [0, 0x10, 0x7FFF_0000_0000, 0xFFFF_8000_0000_1000] {
                let status = xsk.set_from(option, length, nowhere).err();
                let expected = Some(ACCESS_VIOLATION);
                assert_eq!(status, expected, "{option:?} at {nowhere:#x}");
            }
            let status = xsk.set_from(option, length, good + 1).err();
            let expected = Some(DATATYPE_MISALIGNMENT);
            assert_eq!(status, expected, "{option:?} at an odd address");
        }
    });
}

#[test]
fn s02_4_2_r6_ring_info_needs_room_for_all_four_rings() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for length in [0, 1, 40, 159] {
            let output = xsk.get_bytes(Sockopt::RING_INFO, length);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
        }
        let output = xsk.get_bytes(Sockopt::RING_INFO, 4096);
        assert_eq!((output.status, output.information), (SUCCESS, 160));
    });
}

#[test]
fn s02_4_2_r7_statistics_need_room() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for length in [0, 8, 31] {
            let output = xsk.get_bytes(Sockopt::STATISTICS, length);
            assert_eq!(output.status, INVALID_PARAMETER, "{length} bytes");
        }
        let output = xsk.get_bytes(Sockopt::STATISTICS, 100);
        assert_eq!((output.status, output.information), (SUCCESS, 32));
        assert_eq!(xsk.statistics(), Statistics::new_zeroed());
    });
}

#[test]
fn s02_4_2_r8_hooks_are_read_in_any_state() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in HOOKS {
            for length in [0, 4, 11] {
                let output = xsk.get_bytes(option, length);
                assert_eq!(output.status, INVALID_PARAMETER, "{option:?}, {length}");
            }
        }
        let expect_defaults = |xsk: &Xsk<'_>| {
            assert_eq!(xsk.get(Sockopt::RX_HOOK_ID), Ok(HookId::RX_INSPECT));
            assert_eq!(xsk.get(Sockopt::TX_HOOK_ID), Ok(HookId::TX_INJECT));
        };
        expect_defaults(&xsk);
        let flags = BindFlags::RX | BindFlags::TX;
        xsk.bind(s.nic.if_index(), 0, flags).unwrap();
        expect_defaults(&xsk);
        expect_defaults(&s.app.socket(s.nic, Setup::rx_tx()).unwrap().xsk);
    });
}

#[test]
fn s02_4_2_r9_hooks_are_set_before_binding() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in HOOKS {
            for length in [0, 4, 11] {
                let value = &HookId::TX_INSPECT.as_bytes()[..length];
                let status = set_status(&xsk, option, value);
                assert_eq!(status, BUFFER_TOO_SMALL, "{option:?}, {length} bytes");
            }
        }
        xsk.set_rx_hook(HookId::TX_INSPECT).unwrap();
        xsk.set_tx_hook(HookId::RX_INJECT).unwrap();
        assert_eq!(xsk.get(Sockopt::RX_HOOK_ID), Ok(HookId::TX_INSPECT));
        assert_eq!(xsk.get(Sockopt::TX_HOOK_ID), Ok(HookId::RX_INJECT));
        let flags = BindFlags::RX | BindFlags::TX;
        xsk.bind(s.nic.if_index(), 0, flags).unwrap();
        assert_eq!(
            xsk.set_rx_hook(HookId::RX_INSPECT),
            Err(INVALID_DEVICE_STATE)
        );
        assert_eq!(
            xsk.set_tx_hook(HookId::TX_INJECT),
            Err(INVALID_DEVICE_STATE)
        );
        assert_eq!(xsk.get(Sockopt::RX_HOOK_ID), Ok(HookId::TX_INSPECT));
    });
}

#[test]
fn s02_1_3_default_hooks_are_receive_inspect_and_transmit_inject() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        assert_eq!(xsk.get(Sockopt::RX_HOOK_ID), Ok(HookId::RX_INSPECT));
        assert_eq!(xsk.get(Sockopt::TX_HOOK_ID), Ok(HookId::TX_INJECT));
    });
}

#[test]
fn s02_4_2_r10_errors_of_rings_are_read_in_any_state() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in ERRORS {
            for length in 0..4 {
                let output = xsk.get_bytes(option, length);
                assert_eq!(output.status, INVALID_PARAMETER, "{option:?}, {length}");
            }
            assert_eq!(xsk.error(option), XskError::NO_ERROR, "{option:?}");
        }
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for option in ERRORS {
            assert_eq!(socket.xsk.error(option), XskError::NO_ERROR, "{option:?}");
        }
    });
}

#[test]
fn s02_4_2_r11_affinity_profiling_is_set_in_any_state() {
    scene(|s| {
        let unbound = s.app.xsk().unwrap();
        let active = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for xsk in [&unbound, &active.xsk] {
            for option in [
                Sockopt::RX_PROCESSOR_AFFINITY,
                Sockopt::TX_PROCESSOR_AFFINITY,
            ] {
                for length in 0..4 {
                    let status = set_status(xsk, option, &[1; 4][..length]);
                    assert_eq!(status, BUFFER_TOO_SMALL, "{option:?}, {length} bytes");
                }
                for value in [1_u32, 0, 77] {
                    assert_eq!(xsk.set(option, &value), Ok(()), "{option:?} to {value}");
                }
            }
        }
    });
}

#[test]
fn s02_4_3_a_get_returns_the_exact_size() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let sizes = [
            (Sockopt::RING_INFO, 160),
            (Sockopt::STATISTICS, 32),
            (Sockopt::RX_HOOK_ID, 12),
            (Sockopt::TX_HOOK_ID, 12),
        ];
        for (option, size) in sizes.into_iter().chain(ERRORS.map(|o| (o, 4))) {
            let output = xsk.get_bytes(option, 1024);
            assert_eq!(output.status, SUCCESS, "{option:?}");
            assert_eq!(output.information, size, "{option:?}");
            assert!(
                output.bytes[size..].iter().all(|byte| *byte == 0),
                "{option:?}: nothing behind"
            );
        }
    });
}

#[test]
fn s02_4_3_hooks_are_not_validated_until_binding() {
    scene(|s| {
        for hook in [
            HookId {
                layer: Layer(1),
                ..HookId::RX_INSPECT
            },
            HookId {
                direction: Direction(2),
                ..HookId::RX_INSPECT
            },
            HookId {
                sub_layer: SubLayer(7),
                ..HookId::RX_INSPECT
            },
        ] {
            let xsk = s.app.xsk().unwrap();
            assert_eq!(xsk.set_rx_hook(hook), Ok(()), "{hook:?}");
            assert_eq!(xsk.get(Sockopt::RX_HOOK_ID), Ok(hook));
            let bound = xsk.bind(s.nic.if_index(), 0, BindFlags::RX);
            assert_eq!(bound, Err(NOT_FOUND), "{hook:?}");
            let xsk = s.app.xsk().unwrap();
            xsk.set_tx_hook(hook).unwrap();
            let bound = xsk.bind(s.nic.if_index(), 0, BindFlags::TX);
            assert_eq!(bound, Err(NOT_FOUND), "{hook:?}");
        }
    });
}

#[test]
fn s02_4_4_rings_that_were_not_sized_are_all_zero() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        assert_eq!(xsk.ring_info(), Ok(RingInfoSet::new_zeroed()));
        xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, 8).unwrap();
        let info = xsk.ring_info().unwrap();
        assert_eq!(info.fill.size, 8);
        let others = [info.rx, info.tx, info.completion];
        assert_eq!(others, <[RingInfo; 3]>::new_zeroed());
    });
}

#[test]
fn s02_4_5_no_error_is_zero() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in ERRORS {
            assert_eq!(xsk.get::<u32>(option), Ok(0), "{option:?}");
        }
    });
}

#[test]
fn s02_10_1_poll_mode_is_refused_or_takes_the_default_only() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let default = xsk.set(Sockopt::POLL_MODE, &PollMode::DEFAULT);
        assert!(
            matches!(default, Ok(()) | Err(NOT_SUPPORTED)),
            "{default:?}"
        );
        for (value, expected) in [
            (3, INVALID_PARAMETER),
            (u32::MAX, INVALID_PARAMETER),
            (PollMode::BUSY.0, INVALID_DEVICE_STATE),
            (PollMode::SOCKET.0, INVALID_DEVICE_STATE),
        ] {
            let refused = xsk.set(Sockopt::POLL_MODE, &value).err();
            let allowed = [Some(NOT_SUPPORTED), Some(expected)];
            assert!(allowed.contains(&refused), "{value}: {refused:?}");
        }
    });
}

#[test]
fn s01_2_6_only_old_clients_follow_processors_by_default() {
    scene(|s| {
        // Whether profiling is on shows once a processor has been recorded: see the tests of section 9.
        for version in [0, 1, 2, 3, 4, u32::MAX] {
            let client = s.client("versioned").api_version(version);
            let xsk = client.xsk().unwrap();
            let output = xsk.get_bytes(Sockopt::RX_PROCESSOR_AFFINITY, 4);
            assert_eq!(output.status, INVALID_DEVICE_STATE, "version {version}");
        }
    });
}

#[test]
fn s02_9_r1_r2_the_processor_is_read_when_active_and_with_room() {
    scene(|s| {
        let options = [
            Sockopt::RX_PROCESSOR_AFFINITY,
            Sockopt::TX_PROCESSOR_AFFINITY,
        ];
        let unbound = s.app.xsk().unwrap();
        let bound = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        for xsk in [&unbound, &bound.xsk] {
            for option in options {
                let read = xsk.get::<ProcessorNumber>(option);
                assert_eq!(read, Err(INVALID_DEVICE_STATE), "{option:?}");
            }
        }
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let read = receiver
            .xsk
            .get::<ProcessorNumber>(Sockopt::TX_PROCESSOR_AFFINITY);
        assert_eq!(read, Err(INVALID_DEVICE_STATE), "the ring was not sized");
        for length in 0..4 {
            let output = receiver
                .xsk
                .get_bytes(Sockopt::RX_PROCESSOR_AFFINITY, length);
            assert_eq!(output.status, BUFFER_TOO_SMALL, "{length} bytes");
        }
    });
}

#[test]
fn s01_2_7_sockets_take_any_disposition_and_ignore_further_bytes() {
    use scenarios::client::FILE_OPEN;
    use xdp_abi::open::ObjectType;
    scene(|s| {
        for disposition in [FILE_OPEN, 2, 3] {
            let opened =
                s.app
                    .open_object_as(ObjectType::XSK, &[0xAA; 40], disposition, FULL_ACCESS);
            assert!(
                opened.is_ok(),
                "disposition {disposition}: {:?}",
                opened.err()
            );
        }
    });
}

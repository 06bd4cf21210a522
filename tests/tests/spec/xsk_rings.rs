//! Ring sizes, ring memory and descriptor extensions: specification 02, sections 6, 7 and 18.

use scenarios::{client::Client, failures, matching, scene, socket::Setup, status::*, xsk::Xsk};
use xdp_abi::{
    ring::{RingFlags, RingInfo},
    sockopt::Sockopt,
    xsk::BindFlags,
};

const SIZES: [Sockopt; 4] = [
    Sockopt::RX_RING_SIZE,
    Sockopt::RX_FILL_RING_SIZE,
    Sockopt::TX_RING_SIZE,
    Sockopt::TX_COMPLETION_RING_SIZE,
];

const BOTH: BindFlags = BindFlags::RX.union(BindFlags::TX);

fn infos(xsk: &Xsk<'_>) -> [RingInfo; 4] {
    let info = xsk.ring_info().unwrap();
    [info.rx, info.fill, info.tx, info.completion]
}

#[test]
fn s02_6_r1_a_short_value_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in SIZES {
            for length in 0..4 {
                let refused = xsk.set_bytes(option, &[8, 0, 0, 0][..length]);
                assert_eq!(refused, Err(INVALID_PARAMETER), "{option:?}, {length}");
            }
        }
    });
}

#[test]
fn s02_6_r2_an_unreadable_value_raises() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in SIZES {
            let refused = xsk.set_from(option, 4, 0x3000);
            assert_eq!(refused, Err(ACCESS_VIOLATION), "{option:?}");
        }
    });
}

#[test]
fn s02_6_r3_a_size_is_a_power_of_two() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in SIZES {
            for size in [0, 3, 5, 6, 7, 12, 1000, 0x7FFF_FFFF, u32::MAX] {
                let refused = xsk.size_ring(option, size);
                assert_eq!(refused, Err(INVALID_PARAMETER), "{option:?}: {size}");
            }
        }
    });
}

#[test]
fn s02_6_r4_the_largest_power_of_two_is_refused() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in SIZES {
            let refused = xsk.size_ring(option, 0x8000_0000).err();
            let allowed = [Some(INVALID_PARAMETER), Some(INSUFFICIENT_RESOURCES)];
            assert!(allowed.contains(&refused), "{option:?}: {refused:?}");
            assert_eq!(xsk.size_ring(option, 2), Ok(()), "{option:?} afterwards");
        }
    });
}

#[test]
fn s02_6_r5_a_ring_is_sized_once_and_before_activating() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for option in SIZES {
            xsk.size_ring(option, 8).unwrap();
            assert_eq!(xsk.size_ring(option, 8), Err(INVALID_DEVICE_STATE));
            assert_eq!(xsk.size_ring(option, 16), Err(INVALID_DEVICE_STATE));
            let invalid = xsk.size_ring(option, 3);
            assert_eq!(
                invalid,
                Err(INVALID_PARAMETER),
                "the value is looked at first"
            );
        }
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        for option in SIZES {
            let late = receiver.xsk.size_ring(option, 8);
            assert_eq!(late, Err(INVALID_DEVICE_STATE), "{option:?} when active");
        }
    });
}

#[test]
fn s02_6_r6_s02_6_3_a_ring_without_memory_can_be_sized_later() {
    scene(|s| {
        for option in SIZES {
            let xsk = s.app.xsk().unwrap();
            let (refused, last) = failures::each_refused(s.lab, || xsk.size_ring(option, 64));
            assert!(!refused.is_empty());
            for status in refused {
                assert_eq!(status, INSUFFICIENT_RESOURCES, "{option:?}");
            }
            assert_eq!(last, Ok(()), "{option:?}");
        }
    });
}

#[test]
fn s02_6_1_sizes_go_from_1_up() {
    scene(|s| {
        for size in [1, 2, 64, 4096, 0x20000] {
            let xsk = s.app.xsk().unwrap();
            for option in SIZES {
                assert_eq!(xsk.size_ring(option, size), Ok(()), "{option:?}: {size}");
            }
            for info in infos(&xsk) {
                assert_eq!(info.size, size);
            }
        }
    });
}

#[test]
fn s02_6_2_rings_are_sized_before_and_after_binding_in_any_order() {
    scene(|s| {
        for bind_at in 0..=4 {
            for turn in 0..4 {
                let xsk = s.app.xsk().unwrap();
                for step in 0..=4 {
                    if step == bind_at {
                        xsk.bind(s.nic.if_index(), 0, BOTH).unwrap();
                    }
                    if step < 4 {
                        xsk.size_ring(SIZES[(step + turn) % 4], 4).unwrap();
                    }
                }
                xsk.register(8192, 2048, 0).unwrap();
                assert_eq!(xsk.activate(), Ok(()));
            }
        }
    });
}

#[test]
fn s02_6_4_only_the_transmit_ring_starts_with_a_flag() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        assert_eq!(socket.rings.tx().flags(), RingFlags::NEED_POKE);
        for ring in [
            socket.rings.rx(),
            socket.rings.fill(),
            socket.rings.completion(),
        ] {
            assert_eq!(ring.flags(), RingFlags::empty());
        }
    });
}

#[test]
fn s02_6_5_words_and_elements_lie_on_cache_lines_of_their_own() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        let strides = [16, 8, 16, 8];
        for (info, stride) in infos(&socket.xsk).into_iter().zip(strides) {
            let mut offsets = [
                info.producer_index_offset,
                info.consumer_index_offset,
                info.flags_offset,
                info.descriptors_offset,
            ];
            offsets.sort_unstable();
            assert!(
                offsets.windows(2).all(|pair| pair[0] / 64 != pair[1] / 64),
                "{info:?}"
            );
            assert_eq!(info.descriptors_offset, offsets[3], "elements come last");
            assert!(info.descriptors_offset.is_multiple_of(64), "{info:?}");
            assert_eq!((info.element_stride, info.reserved), (stride, 0));
        }
    });
}

#[test]
fn s02_6_5_each_ring_is_zeroed_memory_of_its_own() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        let rings = [
            socket.rings.rx(),
            socket.rings.fill(),
            socket.rings.tx(),
            socket.rings.completion(),
        ];
        let mut pages: Vec<_> = rings.iter().map(|r| r.memory().address() / 4096).collect();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), 4, "no two on a page");
        for ring in rings {
            assert_eq!((ring.producer(), ring.consumer()), (0, 0));
            for index in 0..ring.size() {
                assert!(ring.element(index).iter().all(|byte| *byte == 0));
            }
        }
        // Written by the program and read back: mapped for both.
        let fill = socket.rings.fill();
        assert!(fill.push(&0x1234_u64));
        assert_eq!(fill.element(0), 0x1234_u64.to_le_bytes());
    });
}

#[test]
fn s02_4_4_s02_17_ring_info_is_the_same_before_and_after_activating() {
    scene(|s| {
        let socket = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        let before = socket.xsk.ring_info().unwrap();
        socket.xsk.activate().unwrap();
        assert_eq!(socket.xsk.ring_info().unwrap(), before);
    });
}

#[test]
fn s02_19_r20_a_ring_is_mapped_into_the_process_that_sizes_it() {
    scene(|s| {
        let owner = s.client("owner");
        let other = s.client("other");
        let xsk = owner.xsk().unwrap();
        let copy = Xsk::of(&other, xsk.handle().duplicate(&other, 0xC010_0000).unwrap());
        copy.size_ring(Sockopt::RX_RING_SIZE, 8).unwrap();
        xsk.size_ring(Sockopt::RX_FILL_RING_SIZE, 8).unwrap();
        let seen = xsk.ring_info().unwrap();
        assert_eq!(seen, copy.ring_info().unwrap(), "everyone is told the same");
        assert!(other.memory(seen.rx.ring.0 as usize, 192).is_ok());
        assert!(owner.memory(seen.fill.ring.0 as usize, 192).is_ok());
        assert!(owner.memory(seen.rx.ring.0 as usize, 192).is_err());
        drop(xsk);
        drop(copy);
        assert!(
            other.memory(seen.rx.ring.0 as usize, 192).is_err(),
            "the last close unmaps it where it was mapped"
        );
        assert!(owner.memory(seen.fill.ring.0 as usize, 192).is_err());
    });
}

const EXTENSIONS: [(Sockopt, BindFlags); 5] = [
    (Sockopt::TX_OFFLOAD_CHECKSUM, BindFlags::TX),
    (Sockopt::RX_OFFLOAD_CHECKSUM, BindFlags::RX),
    (Sockopt::RX_ORIGINAL_LENGTH, BindFlags::RX),
    (Sockopt::RX_OFFLOAD_TIMESTAMP, BindFlags::RX),
    (Sockopt::TX_OFFLOAD_TIMESTAMP, BindFlags::TX),
];

fn bound<'c>(app: &'c Client<'c>, if_index: u32, flags: BindFlags) -> Xsk<'c> {
    let xsk = app.xsk().unwrap();
    xsk.bind(if_index, 0, flags).unwrap();
    xsk
}

#[test]
fn s02_7_1_r1_a_short_value_is_too_small() {
    scene(|s| {
        let xsk = bound(&s.app, s.nic.if_index(), BOTH);
        for (option, _) in EXTENSIONS {
            for length in 0..4 {
                let refused = xsk.set_bytes(option, &[1, 0, 0, 0][..length]);
                assert_eq!(refused, Err(BUFFER_TOO_SMALL), "{option:?}, {length}");
            }
            assert_eq!(xsk.set(option, &1_u32), Ok(()), "{option:?}");
        }
    });
}

#[test]
fn s02_7_1_r2_an_unreadable_value_raises() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        for (option, _) in EXTENSIONS {
            let refused = xsk.set_from(option, 4, 0x3000);
            assert_eq!(
                refused,
                Err(ACCESS_VIOLATION),
                "{option:?}, before the state"
            );
        }
    });
}

#[test]
fn s02_7_1_r3_extensions_are_enabled_on_bound_sockets_only() {
    scene(|s| {
        let unbound = s.app.xsk().unwrap();
        let active = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for (option, _) in EXTENSIONS {
            for xsk in [&unbound, &active.xsk] {
                let refused = xsk.set(option, &1_u32);
                assert_eq!(refused, Err(INVALID_DEVICE_STATE), "{option:?}");
            }
        }
    });
}

#[test]
fn s02_7_1_r4_an_extension_is_enabled_once() {
    scene(|s| {
        let xsk = bound(&s.app, s.nic.if_index(), BOTH);
        for (option, _) in EXTENSIONS {
            xsk.set(option, &1_u32).unwrap();
            for value in [1_u32, 0] {
                let again = xsk.set(option, &value);
                assert_eq!(again, Err(INVALID_DEVICE_STATE), "{option:?} to {value}");
            }
        }
    });
}

#[test]
fn s02_7_1_r5_extensions_need_their_direction() {
    scene(|s| {
        for (option, direction) in EXTENSIONS {
            let xsk = bound(&s.app, s.nic.if_index(), BOTH.difference(direction));
            let refused = xsk.set(option, &1_u32);
            assert_eq!(refused, Err(INVALID_DEVICE_STATE), "{option:?}");
            let xsk = bound(&s.app, s.nic.if_index(), direction);
            assert_eq!(xsk.set(option, &1_u32), Ok(()), "{option:?}");
        }
    });
}

#[test]
fn s02_7_1_r6_extensions_come_before_both_rings_of_their_direction() {
    scene(|s| {
        for (option, direction) in EXTENSIONS {
            let rings = if direction == BindFlags::RX {
                [Sockopt::RX_RING_SIZE, Sockopt::RX_FILL_RING_SIZE]
            } else {
                [Sockopt::TX_RING_SIZE, Sockopt::TX_COMPLETION_RING_SIZE]
            };
            for ring in rings {
                let xsk = bound(&s.app, s.nic.if_index(), BOTH);
                xsk.size_ring(ring, 8).unwrap();
                for value in [1_u32, 0] {
                    let refused = xsk.set(option, &value);
                    let expected = Err(INVALID_DEVICE_STATE);
                    assert_eq!(refused, expected, "{option:?} after {ring:?}");
                }
            }
            let xsk = bound(&s.app, s.nic.if_index(), BOTH);
            for ring in SIZES.into_iter().filter(|ring| !rings.contains(ring)) {
                xsk.size_ring(ring, 8).unwrap();
            }
            assert_eq!(xsk.set(option, &1_u32), Ok(()), "{option:?}");
        }
    });
}

#[test]
fn s02_7_1_r7_zero_enables_nothing() {
    scene(|s| {
        let xsk = bound(&s.app, s.nic.if_index(), BOTH);
        for (option, _) in EXTENSIONS {
            assert_eq!(xsk.set(option, &0_u32), Ok(()), "{option:?}");
        }
        for option in SIZES {
            xsk.size_ring(option, 8).unwrap();
        }
        for (info, stride) in infos(&xsk).into_iter().zip([16, 8, 16, 8]) {
            assert_eq!(info.element_stride, stride);
        }
    });
}

#[test]
fn s02_7_1_r8_r9_receive_extensions_come_before_the_first_program_of_the_queue() {
    scene(|s| {
        let options = [Sockopt::RX_OFFLOAD_CHECKSUM, Sockopt::RX_OFFLOAD_TIMESTAMP];
        let first = bound(&s.app, s.nic.if_index(), BindFlags::RX);
        first.set(options[0], &1_u32).unwrap();
        let program = s.attach(matching::all().pass());
        let late = bound(&s.app, s.nic.if_index(), BindFlags::RX);
        let joined = late.set(options[0], &1_u32);
        assert_eq!(joined, Ok(()), "r8: the queue has it already");
        let refused = late.set(options[1], &1_u32);
        assert_eq!(
            refused,
            Err(INVALID_DEVICE_STATE),
            "r9: the queue runs without"
        );
        assert_eq!(
            late.set(Sockopt::RX_ORIGINAL_LENGTH, &1_u32),
            Ok(()),
            "7.3: this one needs nothing of the queue"
        );
        program.close();
    });
}

#[test]
fn s02_7_1_r8_r10_transmit_extensions_come_before_the_first_activation_of_the_queue() {
    scene(|s| {
        let options = [Sockopt::TX_OFFLOAD_CHECKSUM, Sockopt::TX_OFFLOAD_TIMESTAMP];
        let setup = Setup::tx().extension(options[0]);
        let _first = s.app.socket(s.nic, setup).unwrap();
        let late = bound(&s.app, s.nic.if_index(), BindFlags::TX);
        assert_eq!(late.set(options[0], &1_u32), Ok(()), "r8");
        let refused = late.set(options[1], &1_u32);
        assert_eq!(refused, Err(INVALID_DEVICE_STATE), "r10");
    });
}

#[test]
fn s02_7_2_s02_7_4_checksum_brings_layout_and_checksum() {
    scene(|s| {
        let setup = Setup::rx_tx()
            .extension(Sockopt::RX_OFFLOAD_CHECKSUM)
            .extension(Sockopt::TX_OFFLOAD_CHECKSUM);
        let socket = s.app.idle_socket(s.nic, setup).unwrap();
        for (layout, checksum) in [
            (
                Sockopt::RX_FRAME_LAYOUT_EXTENSION,
                Sockopt::RX_FRAME_CHECKSUM_EXTENSION,
            ),
            (
                Sockopt::TX_FRAME_LAYOUT_EXTENSION,
                Sockopt::TX_FRAME_CHECKSUM_EXTENSION,
            ),
        ] {
            let layout: u16 = socket.xsk.get(layout).unwrap();
            let checksum: u16 = socket.xsk.get(checksum).unwrap();
            assert!(layout >= 16 && checksum >= 16, "{layout}, {checksum}");
            assert!(layout + 5 <= checksum || checksum < layout);
        }
        assert_eq!(socket.rings.rx().info().element_stride, 24);
        assert_eq!(socket.rings.tx().info().element_stride, 24);
        assert_eq!(socket.rings.completion().info().element_stride, 8);
    });
}

#[test]
fn s02_7_4_the_examples_of_the_placement() {
    scene(|s| {
        let setup = Setup::rx_tx()
            .extension(Sockopt::RX_ORIGINAL_LENGTH)
            .extension(Sockopt::TX_OFFLOAD_TIMESTAMP);
        let socket = s.app.idle_socket(s.nic, setup).unwrap();
        let length = socket.xsk.get(Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION);
        assert_eq!(length, Ok(16_u16));
        assert_eq!(socket.rings.rx().info().element_stride, 24);
        let time = socket.xsk.get(Sockopt::TX_FRAME_TIMESTAMP_EXTENSION);
        assert_eq!(time, Ok(8_u16));
        assert_eq!(socket.rings.completion().info().element_stride, 16);
    });
}

#[test]
fn s02_7_4_all_extensions_lie_apart_and_aligned() {
    scene(|s| {
        let setup = Setup::rx()
            .extension(Sockopt::RX_OFFLOAD_CHECKSUM)
            .extension(Sockopt::RX_ORIGINAL_LENGTH)
            .extension(Sockopt::RX_OFFLOAD_TIMESTAMP);
        let socket = s.app.idle_socket(s.nic, setup).unwrap();
        let mut places: Vec<(u16, u16)> = [
            (Sockopt::RX_FRAME_TIMESTAMP_EXTENSION, 8, 8),
            (Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION, 4, 4),
            (Sockopt::RX_FRAME_LAYOUT_EXTENSION, 5, 1),
            (Sockopt::RX_FRAME_CHECKSUM_EXTENSION, 1, 1),
        ]
        .into_iter()
        .map(|(option, size, align)| {
            let offset: u16 = socket.xsk.get(option).unwrap();
            assert!(offset.is_multiple_of(align), "{option:?} at {offset}");
            (offset, size)
        })
        .collect();
        places.sort_unstable();
        let mut end = 16;
        for (offset, size) in places {
            assert!(offset >= end, "{offset} overlaps what ends at {end}");
            end = offset + size;
        }
        let stride = socket.rings.rx().info().element_stride;
        assert!(u32::from(end) <= stride);
        assert_eq!(stride, 40);
    });
}

#[test]
fn s02_7_5_r1_r2_offsets_are_there_once_the_ring_is_sized() {
    scene(|s| {
        let queries = [
            (Sockopt::TX_FRAME_LAYOUT_EXTENSION, 0),
            (Sockopt::TX_FRAME_CHECKSUM_EXTENSION, 0),
            (Sockopt::RX_FRAME_CHECKSUM_EXTENSION, 1),
            (Sockopt::RX_FRAME_LAYOUT_EXTENSION, 1),
            (Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION, 2),
            (Sockopt::RX_FRAME_TIMESTAMP_EXTENSION, 3),
            (Sockopt::TX_FRAME_TIMESTAMP_EXTENSION, 4),
        ];
        let plain = s.app.idle_socket(s.nic, Setup::rx_tx()).unwrap();
        for (query, enable) in queries {
            let xsk = bound(&s.app, s.nic.if_index(), BOTH);
            xsk.set(EXTENSIONS[enable].0, &1_u32).unwrap();
            for length in 0..2 {
                let output = xsk.get_bytes(query, length);
                assert_eq!(output.status, INVALID_PARAMETER, "{query:?}, {length}");
            }
            assert_eq!(xsk.get::<u16>(query), Err(NOT_FOUND), "{query:?}: no ring");
            for option in SIZES {
                xsk.size_ring(option, 4).unwrap();
            }
            assert!(xsk.get::<u16>(query).is_ok(), "{query:?}");
            let not_enabled = plain.xsk.get::<u16>(query);
            assert_eq!(not_enabled, Err(NOT_FOUND), "{query:?}: not enabled");
        }
    });
}

#[test]
fn s02_6_3_sizing_freezes_the_layout_of_its_own_ring() {
    scene(|s| {
        // Extensions of one direction do not show in the rings of the other.
        let setup = Setup::rx_tx().extension(Sockopt::RX_OFFLOAD_TIMESTAMP);
        let socket = s.app.idle_socket(s.nic, setup).unwrap();
        assert_eq!(socket.rings.rx().info().element_stride, 24);
        assert_eq!(socket.rings.fill().info().element_stride, 8);
        assert_eq!(socket.rings.tx().info().element_stride, 16);
        assert_eq!(socket.rings.completion().info().element_stride, 8);
    });
}

#[test]
fn s02_18_the_client_side_of_a_ring_works_on_what_ring_info_says() {
    scene(|s| {
        let socket = s
            .app
            .idle_socket(s.nic, Setup::rx().rx_rings(4, 4))
            .unwrap();
        let fill = socket.rings.fill();
        assert_eq!(fill.producer_reserve(9), (0, 4));
        assert_eq!(
            fill.producer_reserve(3),
            (0, 3),
            "reserving changes nothing"
        );
        for n in 0..4_u64 {
            assert!(fill.push(&n));
        }
        assert!(!fill.push(&9_u64), "full");
        assert_eq!((fill.producer(), fill.free()), (4, 0));
        assert_eq!(fill.element(5), fill.element(1), "indices run freely");
        assert_eq!(socket.rings.rx().consumer_reserve(8), (0, 0));
    });
}

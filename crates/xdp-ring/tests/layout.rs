//! Placement of rings and extensions against the published vectors, and layouts that are no rings.

use serde_json::Value;
use std::collections::BTreeMap;
use xdp_abi::extension::{Extension, socket};
use xdp_abi::object::ClientPtr;
use xdp_abi::ring::RingInfo;
use xdp_ring::{DescriptorLayout, PlaceError, RingLayout, RingLayoutError};

fn facts() -> Value {
    serde_json::from_str(include_str!("data/shared-ring.json")).expect("the table is JSON")
}

#[test]
fn s02_7_4_extensions_are_placed_like_the_published_vectors() {
    for vector in facts()["layout_vectors"].as_array().expect("a list") {
        let (base, registered): (u16, &[Extension]) = match vector["ring"].as_str().expect("a name")
        {
            "rx_frame" => (16, socket::RX_FRAME),
            "tx_frame" => (16, socket::TX_FRAME),
            "tx_completion" => (8, socket::TX_COMPLETION),
            other => panic!("unknown ring {other}"),
        };
        let enabled: Vec<String> =
            serde_json::from_value(vector["enabled"].clone()).expect("names");
        let extensions: Vec<Extension> = registered
            .iter()
            .copied()
            .filter(|extension| enabled.iter().any(|name| name == extension.name))
            .collect();
        assert_eq!(extensions.len(), enabled.len(), "{vector}");
        let layout = DescriptorLayout::new(base, 8, &extensions).expect("places");
        assert_eq!(
            vector["element_stride"].as_u64(),
            Some(layout.stride().into()),
            "{vector}"
        );
        let expected: BTreeMap<String, u16> =
            serde_json::from_value(vector["offsets"].clone()).expect("offsets");
        let placed: BTreeMap<String, u16> = layout
            .iter()
            .map(|(name, offset)| (name.to_owned(), offset))
            .collect();
        assert_eq!(placed, expected, "{vector}");
        for extension in registered {
            assert_eq!(
                layout.offset(extension),
                expected.get(extension.name).copied()
            );
        }
    }
}

#[test]
fn extensions_never_overlap_and_are_aligned() {
    let extension = |name, size, align| Extension {
        name,
        version: 1,
        size,
        align,
    };
    let shapes = [
        extension("a", 1, 1),
        extension("b", 5, 1),
        extension("c", 4, 4),
        extension("d", 8, 8),
        extension("e", 2, 2),
        extension("f", 16, 16),
        extension("g", 0, 1),
        extension("h", 3, 1),
    ];
    for choice in 0u32..1 << shapes.len() {
        let chosen: Vec<Extension> = (0..)
            .zip(shapes)
            .filter(|(bit, _)| choice & 1 << bit != 0)
            .map(|(_, extension)| extension)
            .collect();
        for base in [4, 8, 16, 24] {
            let layout = DescriptorLayout::new(base, 4, &chosen).expect("places");
            assert_eq!(layout.iter().count(), chosen.len());
            let mut taken = vec![false; layout.stride().into()];
            taken[..base.into()].fill(true);
            for extension in &chosen {
                let offset = layout.offset(extension).expect("was placed");
                assert_eq!(offset % extension.align, 0, "{extension:?}");
                for byte in &mut taken[offset.into()..(offset + extension.size).into()] {
                    assert!(!std::mem::replace(byte, true), "{extension:?} overlaps");
                }
            }
            let largest = chosen
                .iter()
                .map(|extension| extension.align)
                .max()
                .unwrap_or(4)
                .max(4);
            assert_eq!(layout.stride() % largest, 0);
        }
    }
}

#[test]
fn extensions_that_cannot_be_placed_are_refused() {
    let extension = |size, align| Extension {
        name: "x",
        version: 1,
        size,
        align,
    };
    let place = |extensions: &[Extension]| DescriptorLayout::new(16, 8, extensions);
    assert_eq!(place(&[extension(1, 1); 9]), Err(PlaceError::TooMany));
    assert_eq!(
        place(&[extension(1, 3)]),
        Err(PlaceError::Alignment { align: 3 })
    );
    assert_eq!(
        place(&[extension(1, 0)]),
        Err(PlaceError::Alignment { align: 0 })
    );
    assert_eq!(place(&[extension(65_535, 1)]), Err(PlaceError::TooLong));
    assert_eq!(
        place(&[extension(65_535, 1), extension(65_535, 1)]),
        Err(PlaceError::TooLong)
    );
    assert_eq!(
        DescriptorLayout::new(16, 0, &[]),
        Err(PlaceError::Alignment { align: 0 })
    );
}

#[test]
fn s02_6_5_every_part_starts_on_a_cache_line_of_its_own() {
    let fact = &facts()["header"][if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    }];
    let line = fact["offsets"]["ConsumerIndex"]
        .as_u64()
        .expect("an offset");
    let layout = RingLayout::new(8, 24).expect("a ring");
    let mut parts = [
        layout.producer_index,
        layout.consumer_index,
        layout.flags,
        layout.elements,
    ];
    parts.sort_unstable();
    for pair in parts.windows(2) {
        assert!(
            u64::from(pair[0]) / line < u64::from(pair[1]) / line,
            "{parts:?}"
        );
    }
    assert!(
        parts
            .iter()
            .all(|&offset| u64::from(offset).is_multiple_of(line)),
        "{parts:?}"
    );
    assert_eq!(layout.bytes(), u64::from(layout.elements) + 8 * 24);
}

#[test]
fn s02_4_4_what_the_driver_states_is_what_the_application_understands() {
    let layout = RingLayout::new(1, 16).expect("a ring of one is legal");
    let info = layout.to_info(ClientPtr(0x1000));
    assert_eq!(info.ring, ClientPtr(0x1000));
    assert_eq!((info.size, info.element_stride, info.reserved), (1, 16, 0));
    assert_eq!(RingLayout::from_info(&info, layout.bytes()), Ok(layout));
}

#[test]
fn numbers_that_are_no_ring_are_refused() {
    assert_eq!(
        RingLayout::new(0, 16),
        Err(RingLayoutError::Size { elements: 0 })
    );
    assert_eq!(
        RingLayout::new(3, 16),
        Err(RingLayoutError::Size { elements: 3 })
    );
    assert_eq!(
        RingLayout::new(8, 0),
        Err(RingLayoutError::Stride { bytes: 0 })
    );
    assert_eq!(
        RingLayout::new(8, 12),
        Err(RingLayoutError::Stride { bytes: 12 })
    );
    assert!(matches!(
        RingLayout::new(1 << 31, 16),
        Err(RingLayoutError::TooLong { .. })
    ));
    let good = RingLayout::new(8, 16)
        .expect("a ring")
        .to_info(ClientPtr(0));
    let bytes = 4096;
    let refused = |info: RingInfo| RingLayout::from_info(&info, bytes).expect_err("no ring");
    assert_eq!(
        refused(RingInfo { size: 7, ..good }),
        RingLayoutError::Size { elements: 7 }
    );
    assert_eq!(
        refused(RingInfo {
            element_stride: 20,
            ..good
        }),
        RingLayoutError::Stride { bytes: 20 }
    );
    assert!(matches!(
        refused(RingInfo { size: 256, ..good }),
        RingLayoutError::TooLong { .. }
    ));
    assert!(matches!(
        refused(RingInfo {
            size: 1 << 31,
            element_stride: u32::MAX - 7,
            ..good
        }),
        RingLayoutError::TooLong { .. }
    ));
    assert_eq!(
        refused(RingInfo {
            flags_offset: !3,
            ..good
        }),
        RingLayoutError::TooLong { end: 1 << 32 }
    );
    assert_eq!(
        refused(RingInfo {
            producer_index_offset: 2,
            ..good
        }),
        RingLayoutError::Misaligned { offset: 2 }
    );
    assert_eq!(
        refused(RingInfo {
            descriptors_offset: good.descriptors_offset + 4,
            ..good
        }),
        RingLayoutError::Misaligned {
            offset: good.descriptors_offset + 4
        }
    );
    assert_eq!(
        refused(RingInfo {
            consumer_index_offset: good.descriptors_offset + 8,
            ..good
        }),
        RingLayoutError::Overlap {
            offset: good.descriptors_offset + 8
        }
    );
    assert_eq!(
        refused(RingInfo {
            flags_offset: good.producer_index_offset,
            ..good
        }),
        RingLayoutError::Overlap {
            offset: good.producer_index_offset
        }
    );
}

//! Which addresses are inside frame memory.

use proptest::prelude::*;
use xdp_abi::frame::FrameDescriptor;
use xdp_ring::{FrameMemory, HeapUmem, TxLimits, TxRefusal, UmemError, UmemGeometry};

fn umem(total: u64, chunk: u32, headroom: u32) -> UmemGeometry {
    UmemGeometry::new(total, chunk, headroom).expect("valid sizes")
}

const WIDE: TxLimits = TxLimits {
    max_length: 65_536,
    within_chunk: false,
};
const BOUNCE: TxLimits = TxLimits {
    max_length: 1514,
    within_chunk: true,
};

#[test]
fn s02_5_sizes_are_checked_in_order() {
    assert_eq!(
        UmemGeometry::new(0, 0, 1),
        Err(UmemError::TotalSize { bytes: 0 })
    );
    assert_eq!(
        UmemGeometry::new(1 << 32, 2048, 0),
        Err(UmemError::TotalSize { bytes: 1 << 32 })
    );
    assert_eq!(
        UmemGeometry::new(4096, 0, 1),
        Err(UmemError::ChunkSize { bytes: 0 })
    );
    assert_eq!(
        UmemGeometry::new(4096, 4097, 0),
        Err(UmemError::ChunkSize { bytes: 4097 })
    );
    assert_eq!(
        UmemGeometry::new(4096, 2048, 2049),
        Err(UmemError::Headroom { bytes: 2049 })
    );
    assert_eq!(
        UmemGeometry::new(1 << 20, 1 << 17, 65_536),
        Err(UmemError::Headroom { bytes: 65_536 })
    );
    assert!(UmemGeometry::new(0xFFFF_FFFF, 1, 1).is_ok());
    assert!(UmemGeometry::new(1, 1, 0).is_ok());
}

#[test]
fn s02_5_2_an_incomplete_chunk_at_the_end_is_out_of_bounds() {
    let umem = umem(5 * 1000 + 999, 1000, 0);
    assert_eq!((umem.total_size(), umem.chunks()), (5000, 5));
    assert!(umem.rx_chunk(4000).is_some());
    assert!(umem.rx_chunk(4001).is_none());
    assert_eq!(
        umem.tx_frame(FrameDescriptor::new(5000, 0, 1), WIDE),
        Err(TxRefusal::OutOfBounds)
    );
    assert!(
        umem.tx_frame(FrameDescriptor::new(4999, 0, 1), WIDE)
            .is_ok()
    );
    assert_eq!(umem.chunk_of(4999), Some(4));
    assert_eq!(umem.chunk_of(5000), None);
}

#[test]
fn s02_12_4_a_fill_address_need_not_be_aligned() {
    let chunk = umem(8192, 2048, 256).rx_chunk(1234).expect("in bounds");
    assert_eq!((chunk.start, chunk.capacity), (1234 + 256, 2048 - 256));
    let descriptor = chunk.descriptor(60);
    assert_eq!(descriptor.buffer.address.base_address(), 1234);
    assert_eq!(descriptor.buffer.address.offset(), 256);
    assert_eq!(descriptor.buffer.length, 60);
}

#[test]
fn s02_5_3_headroom_may_fill_the_chunk() {
    let chunk = umem(4096, 2048, 2048).rx_chunk(2048).expect("in bounds");
    assert_eq!((chunk.start, chunk.capacity), (4096, 0));
    assert_eq!(
        umem(1 << 20, 1 << 17, 65_535)
            .rx_chunk(0)
            .expect("in bounds")
            .headroom,
        65_535
    );
}

#[test]
fn s02_13_2_frames_are_refused_for_the_first_reason_that_holds() {
    let umem = umem(8192, 2048, 0);
    let frame = |base, offset, length, limits| {
        umem.tx_frame(FrameDescriptor::new(base, offset, length), limits)
    };
    assert_eq!(frame(8192, 0, 0, BOUNCE), Err(TxRefusal::Empty));
    assert_eq!(frame(8193, 0, 0, BOUNCE), Err(TxRefusal::OutOfBounds));
    assert_eq!(frame(0, 0, 1515, BOUNCE), Err(TxRefusal::TooLong));
    assert_eq!(frame(0, 0, u32::MAX, BOUNCE), Err(TxRefusal::OutOfBounds));
    assert_eq!(
        frame((1 << 48) - 1, u16::MAX, u32::MAX, BOUNCE),
        Err(TxRefusal::OutOfBounds)
    );
    assert_eq!(frame(2000, 0, 49, BOUNCE), Err(TxRefusal::CrossesChunk));
    assert_eq!(
        frame(0, 2048, 1, BOUNCE),
        Err(TxRefusal::CrossesChunk),
        "the offset counts from the base address"
    );
    assert_eq!(
        frame(2000, 0, 48, BOUNCE).map(|frame| (frame.start, frame.length)),
        Ok((2000, 48))
    );
    // Corner cases 6 and 7.
    assert!(frame(0, 4000, 100, WIDE).is_ok());
    assert!(frame(100, 60, 500, BOUNCE).is_ok());
    assert!(frame(2000, 0, 3000, WIDE).is_ok());
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_inside(
        total in 1u64..=0xFFFF_FFFF, chunk in 1u32.., headroom in 0u32..=70_000,
        address: u64, offset: u16, length: u32, small in 0u32..100, max_length: u32, within_chunk: bool,
    ) {
        let Ok(umem) = UmemGeometry::new(total, chunk % 4096 + 1, headroom) else { return Ok(()) };
        prop_assert!(u64::from(umem.total_size()) <= total);
        // Both any address and one near the end.
        for address in [address, u64::from(umem.total_size()).wrapping_sub(u64::from(small))] {
            if let Some(chunk) = umem.rx_chunk(address) {
                prop_assert!(chunk.start + chunk.capacity <= umem.total_size() as usize);
                prop_assert_eq!(chunk.descriptor(0).buffer.address.base_address(), address);
            }
            for length in [length, small] {
                let descriptor = FrameDescriptor::new(address, offset, length);
                let limits = TxLimits { max_length, within_chunk };
                if let Ok(frame) = umem.tx_frame(descriptor, limits) {
                    prop_assert!(frame.length > 0 && frame.length <= max_length as usize);
                    prop_assert!(frame.start + frame.length <= umem.total_size() as usize);
                    if within_chunk {
                        let last = (frame.start + frame.length - 1) as u64;
                        prop_assert_eq!(umem.chunk_of(frame.base_address), umem.chunk_of(last));
                    }
                }
            }
        }
    }
}

#[test]
fn copies_out_of_bounds_do_nothing() {
    let memory = HeapUmem::new(64);
    assert!(memory.write(60, &[1, 2, 3, 4]));
    assert!(!memory.write(61, &[9; 4]));
    assert!(!memory.write(usize::MAX, &[9; 4]));
    let mut bytes = [7; 4];
    assert!(!memory.read(61, &mut bytes));
    assert_eq!(bytes, [7; 4]);
    assert!(memory.read(60, &mut bytes));
    assert_eq!(bytes, [1, 2, 3, 4]);
}

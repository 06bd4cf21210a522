//! Frame memory: sizes and descriptors from the input; whatever is accepted has to be inside.

use xdp_abi::frame::FrameDescriptor;
use xdp_ring::{FrameMemory, HeapUmem, TxLimits, UmemGeometry};
use zerocopy::FromBytes;

/// Checks every descriptor of the input against the memory the input describes.
pub(crate) fn check(data: &[u8]) {
    // The first twelve bytes: total size (kept small enough to be allocated), chunk size, headroom.
    let Some((sizes, rest)) = data.split_first_chunk::<12>() else {
        return;
    };
    let [total, chunk, headroom] = [0, 4, 8]
        .map(|at| u32::from_le_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]));
    let total = total & 0xFFFF;
    let Ok(umem) = UmemGeometry::new(total.into(), chunk, headroom) else {
        assert!(total == 0 || chunk == 0 || chunk > total || headroom > chunk || headroom > 65_535);
        return;
    };
    assert_eq!(umem.total_size(), umem.chunks() * umem.chunk_size());
    let memory = HeapUmem::new(umem.total_size() as usize);
    for descriptor in rest.chunks_exact(16).take(256) {
        let Ok(descriptor) = FrameDescriptor::read_from_bytes(descriptor) else {
            continue;
        };
        let address = descriptor.buffer.address;
        let length = u64::from(descriptor.buffer.length);
        let end = address.base_address() + u64::from(address.offset()) + length;
        for within_chunk in [false, true] {
            let limits = TxLimits {
                max_length: descriptor.buffer.reserved,
                within_chunk,
            };
            match umem.tx_frame(descriptor, limits) {
                Ok(frame) => {
                    assert!(
                        memory.read(frame.start, &mut vec![0; frame.length]),
                        "accepted, but outside"
                    );
                    let last = umem.chunk_of((frame.start + frame.length - 1) as u64);
                    assert!(!within_chunk || umem.chunk_of(frame.base_address) == last);
                }
                Err(_) if !within_chunk => {
                    let fits = end <= umem.total_size().into();
                    assert!(
                        !fits || length == 0 || length > limits.max_length.into(),
                        "refused without a reason"
                    );
                }
                Err(_) => {}
            }
        }
        let whole_chunk_fits = address.0 <= u64::from(umem.total_size() - umem.chunk_size());
        let room = umem.rx_chunk(address.0);
        assert_eq!(room.is_some(), whole_chunk_fits);
        if let Some(room) = room {
            assert!(
                memory.write(room.start, &vec![1; room.capacity]),
                "given, but outside"
            );
        }
    }
}

//! Delivering frames to a socket.

use nt::ndis::{NblRef, NetBuffer};
use nt::sys::TcpIpChecksumNetBufferListInfo;
use nt::{Arc, Dispatch};
use xdp_abi::extension::{FRAME_CHECKSUM, FRAME_LAYOUT, FRAME_ORIGINAL_LENGTH, FRAME_TIMESTAMP};
use xdp_abi::frame::{
    FrameChecksum, FrameDescriptor, FrameLayout, Layer2Type, Layer3Type, Layer4Type,
    RxChecksumEvaluation,
};
use xdp_abi::ring::RingFlags;
use xdp_ring::{Consumer, DescriptorLayout, FrameMemory, Producer, RxChunk, Slots};
use zerocopy::IntoBytes;

use super::Socket;
use crate::counters::{RxCounters, count};
use crate::memory::{SharedRing, Umem};
use crate::trace::{Field, TraceEvent};

/// A received frame and what came with it.
#[derive(Clone, Copy)]
pub(crate) struct RxFrame<'a> {
    pub(crate) buffer: NetBuffer<'a>,
    /// The list that it belongs to.
    pub(crate) list: NblRef<'a>,
}

/// The receiving side of a socket.
#[derive(Default)]
pub(super) struct RxSide {
    ring: Option<Producer<SharedRing, FrameDescriptor>>,
    pub(super) fill: Option<Consumer<SharedRing, u64>>,
    umem: Option<Arc<Umem>>,
    offsets: Offsets,
}

/// Where extensions lie in an element.
#[derive(Clone, Copy, Default)]
struct Offsets {
    layout: Option<u16>,
    checksum: Option<u16>,
    original_length: Option<u16>,
    timestamp: Option<u16>,
}

impl RxSide {
    pub(super) fn set_ring(
        &mut self,
        ring: Producer<SharedRing, FrameDescriptor>,
        descriptor: &DescriptorLayout,
    ) {
        self.ring = Some(ring);
        self.offsets = Offsets {
            layout: descriptor.offset(&FRAME_LAYOUT),
            checksum: descriptor.offset(&FRAME_CHECKSUM),
            original_length: descriptor.offset(&FRAME_ORIGINAL_LENGTH),
            timestamp: descriptor.offset(&FRAME_TIMESTAMP),
        };
    }

    pub(super) fn start(&mut self, umem: Arc<Umem>) {
        self.umem = Some(umem);
    }

    /// Lets go of the frame memory: no frame is delivered any more.
    pub(super) fn stop(&mut self) -> Option<Arc<Umem>> {
        self.umem.take()
    }

    /// The index behind the last entry of the receive ring.
    #[inline]
    fn posted(&self) -> u32 {
        self.ring.as_ref().map_or(0, |ring| ring.index().0)
    }

    /// Whether the receive ring is sized.
    pub(super) const fn is_sized(&self) -> bool {
        self.ring.is_some()
    }

    /// Raises flags of both rings.
    pub(super) fn raise(&self, flags: RingFlags) {
        if let Some(ring) = &self.ring {
            ring.ring().raise(flags);
        }
        if let Some(fill) = &self.fill {
            fill.ring().raise(flags);
        }
    }

    /// Lowers and raises flags of the receive ring.
    pub(super) fn ring_flags(&self, lower: RingFlags, raise: RingFlags) {
        if let Some(ring) = &self.ring {
            ring.ring().lower(lower);
            if raise != RingFlags(0) {
                ring.ring().raise(raise);
            }
        }
    }

    /// Tells a program that has asked for checksums that the interface's offload changed.
    pub(super) fn offload_changed(&self) {
        if self.offsets.checksum.is_some() {
            self.ring_flags(RingFlags(0), RingFlags::OFFLOAD_CHANGED);
        }
    }

    /// Whether the receive ring has an entry for the program.
    pub(super) fn has_entries(&mut self) -> bool {
        self.ring
            .as_mut()
            .is_some_and(|ring| ring.free_now() != Some(ring.ring().size().get()))
    }
}

/// What became of a batch.
#[derive(Default)]
struct Outcome {
    delivered: u32,
    truncated: u32,
    invalid: u32,
}

impl Socket {
    /// Copies frames to the program. The socket is on this queue.
    pub(crate) fn deliver(
        &self,
        frames: &[Option<RxFrame<'_>>],
        counters: &RxCounters,
        dispatch: Dispatch<'_>,
    ) {
        let mut rx = self.rx.lock_at_dispatch(dispatch);
        let outcome = rx.deliver(frames);
        let index = rx.posted();
        if self.rx_processor.note() {
            rx.ring_flags(RingFlags(0), RingFlags::AFFINITY_CHANGED);
        }
        drop(rx);
        let dropped = frames.len() as u32 - outcome.delivered;
        count(&self.statistics.rx_dropped, dropped);
        count(&self.statistics.rx_truncated, outcome.truncated);
        count(&self.statistics.rx_invalid_descriptors, outcome.invalid);
        count(counters.delivered(), outcome.delivered);
        count(counters.undelivered(), dropped);
        count(counters.truncated(), outcome.truncated);
        count(counters.invalid_descriptors(), outcome.invalid);
        if outcome.delivered != 0 {
            self.trace().note(TraceEvent::XSK_RX_POST, || {
                let first = index.wrapping_sub(outcome.delivered);
                let [first, count] = [first, outcome.delivered].map(Field::Number);
                [Field::of(self), first, count]
            });
            self.rx_ready();
        }
    }
}

impl RxSide {
    fn deliver(&mut self, frames: &[Option<RxFrame<'_>>]) -> Outcome {
        let mut outcome = Outcome::default();
        let (Some(ring), Some(fill), Some(umem)) = (&mut self.ring, &mut self.fill, &self.umem)
        else {
            return outcome;
        };
        let offsets = self.offsets;
        let mut slots = ring.reserve(frames.len() as u32);
        let chunks = fill.peek(slots.len());
        let mut frames = frames.iter().flatten();
        let mut frame = frames.next();
        for at in 0..chunks.len() {
            let (Some(address), Some(current)) = (chunks.get(at), frame) else {
                break;
            };
            // A fill entry that is out of range is used up; the frame goes with the next.
            let Some(chunk) = umem.geometry().rx_chunk(address) else {
                outcome.invalid += 1;
                continue;
            };
            let (length, copied) = copy(umem, &chunk, current);
            outcome.truncated += u32::from(copied < length);
            slots.update(outcome.delivered, |was| {
                chunk.descriptor_over(was, copied as u32)
            });
            offsets.write(&mut slots, outcome.delivered, current, length);
            outcome.delivered += 1;
            frame = frames.next();
        }
        let used = chunks.len();
        chunks.release(used);
        slots.submit(outcome.delivered);
        outcome
    }
}

/// Copies a frame to a chunk as far as it fits; its length, and how much was copied.
#[inline]
fn copy(umem: &Umem, chunk: &RxChunk, frame: &RxFrame<'_>) -> (usize, usize) {
    let length = frame.buffer.len();
    let mut copied = 0;
    for segment in frame.buffer.segments() {
        // Frames with memory that cannot be mapped do not get here.
        let segment = segment.unwrap_or_default();
        let room = segment.len().min(chunk.capacity.saturating_sub(copied));
        let fits = segment.get(..room).unwrap_or_default();
        if !umem.write(chunk.start + copied, fits) {
            break;
        }
        copied += room;
    }
    (length, copied)
}

impl Offsets {
    #[inline]
    fn write(
        &self,
        slots: &mut Slots<'_, SharedRing, FrameDescriptor>,
        at: u32,
        frame: &RxFrame<'_>,
        length: usize,
    ) {
        let mut write = |offset: Option<u16>, bytes: &[u8]| {
            if let Some(offset) = offset {
                slots.write_bytes(at, offset, bytes);
            }
        };
        if self.checksum.is_some() || self.layout.is_some() {
            let (layout, checksum) =
                evaluate(frame.list.info(TcpIpChecksumNetBufferListInfo) as u32);
            write(self.layout, layout.as_bytes());
            write(self.checksum, checksum.as_bytes());
        }
        write(self.original_length, (length as u32).as_bytes());
        if self.timestamp.is_some() {
            write(self.timestamp, frame.list.timestamp().as_bytes());
        }
    }
}

/// What the network card found out about checksums, from `NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO`. Everything that it
/// did not say is zero.
fn evaluate(information: u32) -> (FrameLayout, FrameChecksum) {
    const TCP_FAILED: u32 = 1;
    const UDP_FAILED: u32 = 1 << 1;
    const IP_FAILED: u32 = 1 << 2;
    const TCP_SUCCEEDED: u32 = 1 << 3;
    const UDP_SUCCEEDED: u32 = 1 << 4;
    const IP_SUCCEEDED: u32 = 1 << 5;
    let has = |bits: u32| information & bits != 0;
    let evaluation = |failed: u32, succeeded: u32| {
        if has(failed) {
            RxChecksumEvaluation::FAILED.0
        } else if has(succeeded) {
            RxChecksumEvaluation::SUCCEEDED.0
        } else {
            RxChecksumEvaluation::NOT_CHECKED.0
        }
    };
    let layer3 = if has(IP_FAILED | IP_SUCCEEDED) {
        Layer3Type::IPV4_UNSPECIFIED_OPTIONS
    } else {
        Layer3Type::UNSPECIFIED
    };
    let layer4 = if has(TCP_FAILED | TCP_SUCCEEDED) {
        Layer4Type::TCP
    } else if has(UDP_FAILED | UDP_SUCCEEDED) {
        Layer4Type::UDP
    } else {
        Layer4Type::UNSPECIFIED
    };
    let layout = FrameLayout::new((Layer2Type::UNSPECIFIED, 0), (layer3, 0), (layer4, 0));
    let checksum = FrameChecksum::new(
        evaluation(IP_FAILED, IP_SUCCEEDED),
        evaluation(TCP_FAILED | UDP_FAILED, TCP_SUCCEEDED | UDP_SUCCEEDED),
    );
    (layout, checksum)
}

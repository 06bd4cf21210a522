//! Taking a socket's frames and giving their chunks back.

use core::sync::atomic::Ordering;

use nt::ndis::{Packet, PacketQueue};
use nt::{Arc, Dispatch, Result, Vec};
use xdp_abi::extension::{FRAME_CHECKSUM, FRAME_LAYOUT, FRAME_TIMESTAMP};
use xdp_abi::frame::{FrameChecksum, FrameDescriptor, FrameLayout};
use xdp_abi::ring::RingFlags;
use xdp_abi::xsk::XskError;
use xdp_ring::{Consumer, DescriptorLayout, FrameMemory, Producer, TxLimits};
use zerocopy::IntoBytes;

use super::{Socket, keep_first};
use crate::counters::count;
use crate::generic::checksum;
use crate::memory::{SharedRing, Umem};
use crate::trace::{Field, Trace, TraceEvent};

/// The sending side of a socket.
pub(super) struct TxSide {
    ring: Option<Consumer<SharedRing, FrameDescriptor>>,
    completion: Option<Producer<SharedRing, u64>>,
    umem: Option<Arc<Umem>>,
    layout: Option<u16>,
    checksum: Option<u16>,
    timestamp: Option<u16>,
    limits: TxLimits,
    active: bool,
    /// Frames on the way, oldest first: completions come in the order of the frames.
    flight: Flight,
}

/// A frame on the way.
#[derive(Clone, Copy)]
struct Entry {
    base_address: u64,
    timestamp: u64,
    done: bool,
}

/// Frames on the way: a ring as long as the queue has packets.
struct Flight {
    entries: Vec<Entry>,
    oldest: u32,
    next: u32,
}

impl Flight {
    const fn new() -> Self {
        Self {
            entries: Vec::new(crate::TAG),
            oldest: 0,
            next: 0,
        }
    }

    /// Makes room for as many frames as can be on the way at once.
    fn reserve(&mut self, count: u32) -> Result<()> {
        // A power of two, so that sequence numbers may wrap.
        let count = count.next_power_of_two() as usize;
        while self.entries.len() < count {
            self.entries.push(Entry {
                base_address: 0,
                timestamp: 0,
                done: false,
            })?;
        }
        Ok(())
    }

    const fn len(&self) -> u32 {
        self.next.wrapping_sub(self.oldest)
    }

    fn at(&mut self, sequence: u32) -> Option<&mut Entry> {
        let mask = self.entries.len().wrapping_sub(1);
        self.entries.get_mut(sequence as usize & mask)
    }

    /// Adds a frame; its sequence number.
    fn push(&mut self, base_address: u64) -> u32 {
        let sequence = self.next;
        if let Some(entry) = self.at(sequence) {
            *entry = Entry {
                base_address,
                timestamp: 0,
                done: false,
            };
        }
        self.next = sequence.wrapping_add(1);
        sequence
    }

    fn finish(&mut self, sequence: u32, timestamp: u64) {
        if let Some(entry) = self.at(sequence) {
            entry.done = true;
            entry.timestamp = timestamp;
        }
    }

    /// Takes the oldest frame off if it is that one, which is back; its address.
    #[inline]
    fn pop_oldest(&mut self, sequence: u32) -> Option<u64> {
        if sequence != self.oldest || self.len() == 0 {
            return None;
        }
        let base_address = self.at(sequence)?.base_address;
        self.oldest = sequence.wrapping_add(1);
        Some(base_address)
    }

    /// Takes the oldest frame off, if it is back.
    #[inline]
    fn pop_done(&mut self) -> Option<Entry> {
        if self.len() == 0 {
            return None;
        }
        let entry = *self.at(self.oldest).filter(|entry| entry.done)?;
        self.oldest = self.oldest.wrapping_add(1);
        Some(entry)
    }
}

/// What a look at a socket's transmit ring yielded.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    /// Frames that go out.
    pub(crate) frames: u32,
    /// Frames whose checksum wish makes no sense.
    pub(crate) bad_checksums: u32,
    /// Descriptors that were refused.
    pub(crate) refused: u32,
    /// Whether there is more that could be taken now.
    pub(crate) more: bool,
}

/// Entries that were added to the completion ring.
#[derive(Clone, Copy)]
struct Completed {
    /// Index of the first.
    first: u32,
    count: u32,
}

/// A frame that came back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sent {
    /// Which, in the order in which the socket's frames were taken.
    pub(crate) sequence: u32,
    /// When it left; 0 when that is not known.
    pub(crate) timestamp: u64,
}

impl TxSide {
    pub(super) const fn new() -> Self {
        Self {
            ring: None,
            completion: None,
            umem: None,
            layout: None,
            checksum: None,
            timestamp: None,
            limits: TxLimits {
                max_length: 0,
                within_chunk: true,
            },
            active: false,
            flight: Flight::new(),
        }
    }

    pub(super) fn set_ring(
        &mut self,
        ring: Consumer<SharedRing, FrameDescriptor>,
        descriptor: &DescriptorLayout,
    ) {
        self.ring = Some(ring);
        self.layout = descriptor.offset(&FRAME_LAYOUT);
        self.checksum = descriptor.offset(&FRAME_CHECKSUM);
    }

    pub(super) fn set_completion(
        &mut self,
        ring: Producer<SharedRing, u64>,
        descriptor: &DescriptorLayout,
    ) {
        self.completion = Some(ring);
        self.timestamp = descriptor.offset(&FRAME_TIMESTAMP);
    }

    pub(super) fn start(&mut self, umem: Arc<Umem>, bounces: bool) {
        self.umem = Some(umem);
        self.limits.within_chunk = bounces;
        self.active = true;
    }

    /// Lets go of the frame memory: no frame is taken any more.
    pub(super) fn stop(&mut self) -> Option<Arc<Umem>> {
        self.active = false;
        self.umem.take()
    }

    /// Whether the transmit ring is sized.
    pub(super) const fn is_sized(&self) -> bool {
        self.ring.is_some()
    }

    /// Raises flags of both rings.
    pub(super) fn raise(&self, flags: RingFlags) {
        self.ring_flags(RingFlags(0), flags);
        if let Some(completion) = &self.completion {
            completion.ring().raise(flags);
        }
    }

    /// Lowers and raises flags of the transmit ring.
    pub(super) fn ring_flags(&self, lower: RingFlags, raise: RingFlags) {
        if let Some(ring) = &self.ring {
            if lower != RingFlags(0) {
                ring.ring().lower(lower);
            }
            if raise != RingFlags(0) {
                ring.ring().raise(raise);
            }
        }
    }

    /// As [`super::receive::RxSide::offload_changed`].
    pub(super) fn offload_changed(&self) {
        if self.checksum.is_some() {
            self.ring_flags(RingFlags(0), RingFlags::OFFLOAD_CHANGED);
        }
    }

    /// Whether the completion ring has an entry for the program.
    pub(super) fn has_completions(&mut self) -> bool {
        self.completion
            .as_mut()
            .is_some_and(|ring| ring.free_now() != Some(ring.ring().size().get()))
    }

    /// After a look at the ring: tells the program whether it has to poke. Whether another look is due, when there are
    /// packets for it.
    fn rest(&mut self, packets: bool) -> bool {
        if !self.active {
            return false;
        }
        if self.flight.len() != 0 {
            // There will be another look when a frame is back.
            self.no_poke();
            return false;
        }
        let space = self.space().unwrap_or(0);
        let Some(ring) = &mut self.ring else {
            return false;
        };
        if space != 0 && ring.available_now() != 0 && ring.is_plausible() {
            return packets;
        }
        let available = ring.request_poke();
        available != 0 && ring.is_plausible() && self.space().unwrap_or(0) != 0
    }

    /// Tells the program that it need not poke, unless it knows.
    fn no_poke(&self) {
        if let Some(ring) = &self.ring
            && ring.ring().flags().contains(RingFlags::NEED_POKE)
        {
            ring.ring().lower(RingFlags::NEED_POKE);
        }
    }

    /// Room in the completion ring that is not promised; `None` when promised room is gone.
    fn space(&mut self) -> Option<u32> {
        let promised = self.flight.len();
        self.completion.as_mut()?.free_now()?.checked_sub(promised)
    }
}

impl Socket {
    /// Prepares for a queue with so many packets and frames of that length.
    pub(crate) fn join_tx(&self, packets: u32, max_length: u32) -> Result<()> {
        let mut flight = Flight::new();
        flight.reserve(packets)?;
        let mut tx = self.tx.lock();
        let before = core::mem::replace(&mut tx.flight, flight);
        tx.limits.max_length = max_length;
        drop(tx);
        drop(before);
        Ok(())
    }

    /// Takes no more frames; how many are on the way.
    pub(crate) fn stop_tx(&self) -> u32 {
        let mut tx = self.tx.lock();
        tx.active = false;
        tx.flight.len()
    }

    /// Notes frames that came back, and completes those before which all others are back. Then takes frames off the transmit
    /// ring: at most as many as there are packets, and as there is room for completions. Each is copied to a packet, because
    /// what is sent must not change, and handed over with its sequence number.
    pub(crate) fn work_tx(
        &self,
        back: &[Sent],
        packets: &mut PacketQueue,
        send: impl FnMut(Packet, u32),
        dispatch: Dispatch<'_>,
    ) -> Taken {
        let mut tx = self.tx.lock_at_dispatch(dispatch);
        let completed = if back.is_empty() {
            None
        } else {
            Some(self.complete(&mut tx, back))
        };
        let mut taken = self.take(&mut tx, packets, send);
        taken.more = tx.rest(!packets.is_empty());
        drop(tx);
        count(&self.statistics.tx_invalid_descriptors, taken.refused);
        if let Some(completed) = completed {
            self.completed(completed);
        }
        taken
    }

    /// As the first half of [`Socket::work_tx`].
    pub(crate) fn complete_tx(&self, back: &[Sent], dispatch: Dispatch<'_>) {
        let mut tx = self.tx.lock_at_dispatch(dispatch);
        let completed = self.complete(&mut tx, back);
        drop(tx);
        self.completed(completed);
    }

    fn take(
        &self,
        tx: &mut TxSide,
        packets: &mut PacketQueue,
        mut send: impl FnMut(Packet, u32),
    ) -> Taken {
        let mut taken = Taken::default();
        if !tx.active {
            return taken;
        }
        let Some(space) = tx.space() else {
            self.break_completion(tx);
            return taken;
        };
        let TxSide {
            ring: Some(ring),
            umem: Some(umem),
            limits,
            layout,
            checksum,
            flight,
            ..
        } = &mut *tx
        else {
            return taken;
        };
        if !ring.is_plausible() {
            // Taken at its word, a wild index would keep the queue busy with old descriptors without end.
            return taken;
        }
        let each = Trace::wants(TraceEvent::XSK_TX_ENQUEUE);
        let first = ring.index().0;
        let batch = ring.peek(space.min(packets.len()));
        for at in 0..batch.len() {
            let Some(descriptor) = batch.get(at) else {
                break;
            };
            let Ok(range) = umem.geometry().tx_frame(descriptor, *limits) else {
                taken.refused += 1;
                continue;
            };
            let Some(mut packet) = packets.pop() else {
                break;
            };
            let filled = packet
                .buffer_mut()
                .get_mut(..range.length)
                .is_some_and(|bytes| umem.read(range.start, bytes));
            if !filled {
                // Packets have room for the longest frame and frame memory is mapped, so this is a descriptor of no use.
                packets.push(packet);
                taken.refused += 1;
                continue;
            }
            packet.set_len(range.length);
            let wish = checksum.zip(*layout).and_then(|(checksum, layout)| {
                let [actions] = batch.read_bytes::<1>(at, checksum)?;
                let bytes = batch.read_bytes::<5>(at, layout)?;
                Some((FrameChecksum(actions), FrameLayout { bytes }))
            });
            if !checksum::request(&mut packet, wish) {
                taken.bad_checksums += 1;
            }
            let sequence = flight.push(range.base_address);
            if each {
                let ours = Field::of(self);
                let [at, sequence] = [first.wrapping_add(at), sequence].map(Field::Number);
                self.trace()
                    .note(TraceEvent::XSK_TX_ENQUEUE, || [ours, at, sequence]);
            }
            send(packet, sequence);
            taken.frames += 1;
        }
        let used = batch.len();
        batch.release(used);
        if used != 0 && self.tx_processor.note() {
            tx.ring_flags(RingFlags(0), RingFlags::AFFINITY_CHANGED);
        }
        taken
    }

    fn complete(&self, tx: &mut TxSide, back: &[Sent]) -> Completed {
        let TxSide {
            completion,
            flight,
            timestamp,
            ..
        } = &mut *tx;
        let mut completed = Completed { first: 0, count: 0 };
        let mut lost = false;
        if let Some(completion) = completion {
            completed.first = completion.index().0;
            let mut slots = completion.reserve(flight.len());
            let mut write = |address: u64, time: u64| {
                if slots.write(completed.count, address) {
                    if let Some(offset) = *timestamp {
                        slots.write_bytes(completed.count, offset, time.as_bytes());
                    }
                    completed.count += 1;
                } else {
                    lost = true;
                }
            };
            for frame in back {
                // Mostly the oldest is back first, and can go at once.
                let Some(address) = flight.pop_oldest(frame.sequence) else {
                    flight.finish(frame.sequence, frame.timestamp);
                    continue;
                };
                write(address, frame.timestamp);
                while let Some(entry) = flight.pop_done() {
                    write(entry.base_address, entry.timestamp);
                }
            }
            slots.submit(completed.count);
        } else {
            for frame in back {
                flight.finish(frame.sequence, frame.timestamp);
            }
        }
        if lost {
            self.break_completion(tx);
        }
        completed
    }

    fn completed(&self, completed: Completed) {
        let Completed { first, count } = completed;
        if count != 0 {
            self.trace().note(TraceEvent::XSK_TX_COMPLETE, || {
                let [first, count] = [first, count].map(Field::Number);
                [Field::of(self), first, count]
            });
            self.tx_ready();
        }
    }

    /// The program took back room that was promised to completions: nothing more is sent for it.
    fn break_completion(&self, tx: &mut TxSide) {
        tx.active = false;
        keep_first(&self.errors.completion, XskError::INVALID_RING);
        if let Some(completion) = &tx.completion {
            completion.ring().raise(RingFlags::ERROR);
        }
    }

    /// Notes that the program has poked; the queue is to be run next. `false` when the socket does not send.
    pub(super) fn note_poke(&self) {
        self.tx.lock().no_poke();
    }

    /// Whether the socket has an error.
    pub(super) fn tx_errors(&self) -> (u32, u32) {
        (
            self.errors.tx.load(Ordering::Acquire),
            self.errors.completion.load(Ordering::Acquire),
        )
    }
}

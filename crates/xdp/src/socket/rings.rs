//! The two directions of a socket.

use xdp_abi::frame::{BufferAddress, FrameChecksum, FrameDescriptor, FrameLayout};
use xdp_abi::ring::{RingFlags, RingInfo};
use xdp_ring::{Consumer, Producer, Ring, RingSize};

use crate::error::{Fault, Kind};
use crate::memory::{Memory, SharedRing};
use crate::umem::pool::{Lender, Pool, Purpose};
use crate::umem::{Batch, Frame, FrameInfo, Parts};

/// Frames that are taken from a ring at a time.
const RUN: usize = 64;

/// Where extensions lie in the elements of the rings, if they were enabled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offsets {
    pub(super) layout: Option<u16>,
    pub(super) checksum: Option<u16>,
    pub(super) timestamp: Option<u16>,
    pub(super) original_length: Option<u16>,
}

impl Offsets {
    fn is_empty(&self) -> bool {
        self.layout.is_none()
            && self.checksum.is_none()
            && self.timestamp.is_none()
            && self.original_length.is_none()
    }
}

/// Receiving: the receive ring and the fill ring.
pub(super) struct Receiving {
    frames: Consumer<SharedRing, FrameDescriptor>,
    fill: Producer<SharedRing, u64>,
    offsets: Offsets,
    plain: bool,
    /// Addresses on their way to the fill ring.
    addresses: Vec<u64>,
    /// Entries of the driver that made no sense.
    pub(super) refused: u64,
}

/// Sending: the transmit ring and the completion ring.
pub(super) struct Sending {
    frames: Producer<SharedRing, FrameDescriptor>,
    done: Consumer<SharedRing, u64>,
    offsets: Offsets,
    plain: bool,
    /// Frames that the driver has.
    pub(super) in_flight: u32,
    /// Longest frame that the interface takes, if that is known.
    longest: Option<usize>,
    /// When frames were sent, as far as nobody has asked yet.
    pub(super) timestamps: Vec<u64>,
    pub(super) refused: u64,
}

/// Why a frame cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsendable {
    Empty,
    TooLong { bytes: usize, longest: usize },
    OtherMemory,
}

/// The ring that the driver described.
pub(super) fn ring(memory: Memory, info: &RingInfo) -> Result<Ring<SharedRing>, Fault> {
    let broken = |error: &dyn std::fmt::Display| {
        Fault::of(
            Kind::Failed,
            format!("the driver describes a ring that makes no sense: {error}"),
        )
    };
    let shared = SharedRing::new(memory, info).map_err(|error| broken(&error))?;
    let size = RingSize::new(info.size).ok_or_else(|| broken(&"its size is no power of two"))?;
    Ring::new(shared, size, info.element_stride).map_err(|error| broken(&error))
}

fn broken(error: xdp_ring::RingError) -> Fault {
    Fault::of(
        Kind::Failed,
        format!("the driver describes a ring that makes no sense: {error}"),
    )
}

impl Receiving {
    pub(super) fn new(
        frames: Ring<SharedRing>,
        fill: Ring<SharedRing>,
        offsets: Offsets,
    ) -> Result<Self, Fault> {
        Ok(Self {
            frames: Consumer::new(frames).map_err(broken)?,
            fill: Producer::new(fill).map_err(broken)?,
            plain: offsets.is_empty(),
            offsets,
            addresses: Vec::with_capacity(RUN),
            refused: 0,
        })
    }

    pub(super) fn flags(&self) -> RingFlags {
        self.frames.ring().flags() | self.fill.ring().flags()
    }

    pub(super) fn available(&mut self) -> bool {
        self.frames.available_now() != 0
    }

    /// Gives the driver free chunks, as many as the fill ring takes.
    #[inline]
    pub(super) fn refill<'u>(&mut self, lender: &mut Lender<'u>, pool: &'u Pool) {
        loop {
            let room = self.fill.free(RUN as u32) as usize;
            if room == 0 {
                return;
            }
            self.addresses.clear();
            let addresses = &mut self.addresses;
            pool.allocate_many(room, |chunk| {
                if let Ok(address) = lender.lend(Purpose::Receiving, chunk) {
                    addresses.push(address);
                }
            });
            if self.addresses.is_empty() {
                return;
            }
            // There is room for them all: it was counted, and only this side fills.
            self.fill.push(&self.addresses);
        }
    }

    /// Moves what was received into a batch; returns how many frames that were.
    #[inline]
    pub(super) fn receive<'u>(&mut self, lender: &mut Lender<'u>, batch: &mut Batch<'u>) -> usize {
        let before = batch.len();
        let mut room = batch.room();
        while room > 0 {
            let taken = if self.plain {
                self.receive_plain(lender, batch, room.min(RUN))
            } else {
                self.receive_with_info(lender, batch, room.min(RUN))
            };
            if taken == 0 {
                break;
            }
            room -= taken.min(room);
        }
        batch.len() - before
    }

    #[inline]
    fn receive_plain<'u>(
        &mut self,
        lender: &mut Lender<'u>,
        batch: &mut Batch<'u>,
        room: usize,
    ) -> usize {
        let mut run = [FrameDescriptor::default(); RUN];
        let taken = self.frames.pop(&mut run[..room]);
        for descriptor in &run[..taken] {
            match accept(lender, descriptor, FrameInfo::default()) {
                Some(frame) => batch.put(frame),
                None => self.refused += 1,
            }
        }
        taken
    }

    fn receive_with_info<'u>(
        &mut self,
        lender: &mut Lender<'u>,
        batch: &mut Batch<'u>,
        room: usize,
    ) -> usize {
        let entries = self.frames.peek(room as u32);
        let count = entries.len();
        let offsets = self.offsets;
        for at in 0..count {
            let read =
                |offset: Option<u16>| offset.and_then(|offset| entries.read_bytes(at, offset));
            let info = FrameInfo {
                timestamp: read(offsets.timestamp).map(u64::from_ne_bytes),
                original_length_bytes: offsets
                    .original_length
                    .and_then(|offset| entries.read_bytes(at, offset))
                    .map(u32::from_ne_bytes),
                layout: offsets
                    .layout
                    .and_then(|offset| entries.read_bytes(at, offset))
                    .map(|bytes| FrameLayout { bytes }),
                checksum: offsets
                    .checksum
                    .and_then(|offset| entries.read_bytes::<1>(at, offset))
                    .map(|[byte]| FrameChecksum(byte)),
                offload: None,
            };
            let descriptor = entries.get(at).unwrap_or_default();
            match accept(lender, &descriptor, info) {
                Some(frame) => batch.put(frame),
                None => self.refused += 1,
            }
        }
        entries.release(count) as usize
    }
}

/// The frame that the driver describes, if it may.
#[inline]
fn accept<'u>(
    lender: &mut Lender<'u>,
    descriptor: &FrameDescriptor,
    info: FrameInfo,
) -> Option<Frame<'u>> {
    let buffer = descriptor.buffer;
    let chunk = lender.take_back(Purpose::Receiving, buffer.address.base_address())?;
    Frame::received(chunk, buffer.address.offset().into(), buffer.length, info)
}

impl Sending {
    pub(super) fn new(
        frames: Ring<SharedRing>,
        done: Ring<SharedRing>,
        offsets: Offsets,
        longest: Option<usize>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            frames: Producer::new(frames).map_err(broken)?,
            done: Consumer::new(done).map_err(broken)?,
            plain: offsets.layout.is_none() && offsets.checksum.is_none(),
            offsets,
            in_flight: 0,
            longest,
            timestamps: Vec::new(),
            refused: 0,
        })
    }

    pub(super) fn flags(&self) -> RingFlags {
        self.frames.ring().flags() | self.done.ring().flags()
    }

    pub(super) fn completed(&mut self) -> bool {
        self.done.available_now() != 0
    }

    /// Whether the driver has to be told about what was queued.
    #[inline]
    pub(super) fn needs_poke(&self) -> bool {
        self.frames.ring().needs_poke()
    }

    /// How many more frames can be queued now, of those wanted.
    #[inline]
    pub(super) fn room(&mut self, wanted: usize) -> usize {
        self.frames.free(u32::try_from(wanted).unwrap_or(u32::MAX)) as usize
    }

    /// Takes back what was sent; returns how many frames that were.
    #[inline]
    pub(super) fn complete<'u>(&mut self, lender: &mut Lender<'u>) -> usize {
        let mut total = 0;
        loop {
            let mut run = [0; RUN];
            let taken = if let Some(offset) = self.offsets.timestamp {
                let entries = self.done.peek(RUN as u32);
                for at in 0..entries.len() {
                    run[at as usize] = entries.get(at).unwrap_or(u64::MAX);
                    if let Some(bytes) = entries.read_bytes(at, offset) {
                        self.timestamps.push(u64::from_ne_bytes(bytes));
                    }
                }
                let count = entries.len();
                entries.release(count) as usize
            } else {
                self.done.pop(&mut run)
            };
            if taken == 0 {
                return total;
            }
            let mut back = 0;
            let addresses = run[..taken]
                .iter()
                .map(|done| BufferAddress(*done).base_address());
            Pool::release_many(
                addresses
                    .filter_map(|address| lender.take_back(Purpose::Sending, address))
                    .inspect(|_| back += 1),
            );
            self.in_flight = self.in_flight.saturating_sub(back);
            self.refused += taken as u64 - u64::from(back);
            total += back as usize;
        }
    }

    /// Whether a frame can be sent at all.
    #[inline]
    pub(super) fn check(&self, lender: &Lender<'_>, frame: &Frame<'_>) -> Result<(), Unsendable> {
        let bytes = frame.len();
        if !frame.is_of(lender) {
            return Err(Unsendable::OtherMemory);
        }
        if bytes == 0 {
            return Err(Unsendable::Empty);
        }
        match self.longest {
            Some(longest) if bytes > longest => Err(Unsendable::TooLong { bytes, longest }),
            _ => Ok(()),
        }
    }

    /// Queues frames from the front of a batch, as many as there is room for and can be sent; returns how many, and why
    /// not more when that is not for lack of room.
    #[inline]
    pub(super) fn queue<'u>(
        &mut self,
        lender: &mut Lender<'u>,
        batch: &mut Batch<'u>,
    ) -> (usize, Option<Unsendable>) {
        let room = self.room(batch.len());
        let mut wrong = None;
        let mut fit = 0;
        for frame in batch.iter().take(room) {
            if let Err(why) = self.check(lender, frame) {
                wrong = Some(why);
                break;
            }
            fit += 1;
        }
        let queued = self.queue_checked(lender, batch.drain(..fit));
        (queued, wrong)
    }

    /// Queues frames that have been checked and for which there is room.
    #[inline]
    pub(super) fn queue_checked<'u>(
        &mut self,
        lender: &mut Lender<'u>,
        frames: impl ExactSizeIterator<Item = Frame<'u>>,
    ) -> usize {
        let mut slots = self.frames.reserve(frames.len() as u32);
        let mut queued = 0;
        for frame in frames {
            let (chunk, parts) = frame.split();
            let Ok(base) = lender.lend(Purpose::Sending, chunk) else {
                continue;
            };
            slots.write(queued, describe(base, &parts));
            if !self.plain {
                let offload = parts.info.offload.unwrap_or_default();
                if let Some(offset) = self.offsets.layout {
                    slots.write_bytes(queued, offset, &offload.layout.bytes);
                }
                if let Some(offset) = self.offsets.checksum {
                    slots.write_bytes(queued, offset, &[offload.checksum.0]);
                }
            }
            queued += 1;
        }
        slots.submit(queued);
        self.in_flight += queued;
        queued as usize
    }
}

/// The descriptor of a frame whose chunk starts at `base`.
#[inline]
fn describe(base: u64, parts: &Parts) -> FrameDescriptor {
    // The offset has 16 bits; what is more goes into the base, which may be anywhere in the chunk.
    let beyond = parts.start.saturating_sub(u32::from(u16::MAX));
    FrameDescriptor::new(
        base + u64::from(beyond),
        (parts.start - beyond) as u16,
        parts.len,
    )
}

//! What runs for every frame, as the driver instantiates it. A test compiles this for release and looks at the object
//! code: no path in it may lead to a panic.

use crate::{
    Batch, Consumer, FrameMemory, FrameRange, MappedRing, MappedUmem, Producer, RxChunk, Slots,
    TxLimits, TxRefusal, UmemGeometry,
};
use xdp_abi::frame::FrameDescriptor;

type FrameProducer = Producer<MappedRing, FrameDescriptor>;
type FrameConsumer = Consumer<MappedRing, FrameDescriptor>;
type AddressProducer = Producer<MappedRing, u64>;
type AddressConsumer = Consumer<MappedRing, u64>;

/// Publishes a batch of frames.
#[inline(never)]
pub fn hot_push(producer: &mut FrameProducer, frames: &[FrameDescriptor]) -> usize {
    producer.push(frames)
}

/// Publishes a batch of a known size.
#[inline(never)]
pub fn hot_push_32(producer: &mut FrameProducer, frames: &[FrameDescriptor; 32]) -> usize {
    producer.push(frames)
}

/// Takes a batch of frames.
#[inline(never)]
pub fn hot_pop(consumer: &mut FrameConsumer, frames: &mut [FrameDescriptor]) -> usize {
    consumer.pop(frames)
}

/// Takes a batch of a known size.
#[inline(never)]
pub fn hot_pop_32(consumer: &mut FrameConsumer, frames: &mut [FrameDescriptor; 32]) -> usize {
    consumer.pop(frames)
}

/// Publishes one frame.
#[inline(never)]
pub fn hot_push_one(producer: &mut FrameProducer, frame: FrameDescriptor) -> bool {
    producer.push_one(frame)
}

/// Takes one frame.
#[inline(never)]
pub fn hot_pop_one(consumer: &mut FrameConsumer) -> Option<FrameDescriptor> {
    consumer.pop_one()
}

/// Publishes one address.
#[inline(never)]
pub fn hot_complete_one(producer: &mut AddressProducer, address: u64) -> bool {
    producer.push_one(address)
}

/// Takes one address.
#[inline(never)]
pub fn hot_fill_one(consumer: &mut AddressConsumer) -> Option<u64> {
    consumer.pop_one()
}

/// Reserves, writes an element with its extensions, submits.
#[inline(never)]
pub fn hot_reserve(producer: &mut FrameProducer, frame: FrameDescriptor, layout: [u8; 5]) -> bool {
    let mut slots: Slots<'_, _, _> = producer.reserve(32);
    let mut written = true;
    for at in 0..slots.len() {
        written &= slots.write(at, frame);
        written &= slots.write_bytes(at, 16, &layout);
    }
    let count = slots.len();
    slots.submit(count);
    written
}

/// Looks at elements with their extensions and gives them back.
#[inline(never)]
pub fn hot_peek(consumer: &mut FrameConsumer) -> u64 {
    let batch: Batch<'_, _, _> = consumer.peek(32);
    let mut sum = 0;
    for at in 0..batch.len() {
        if let (Some(frame), Some([checksum])) = (batch.get(at), batch.read_bytes::<1>(at, 21)) {
            sum += u64::from(frame.buffer.length) + u64::from(checksum);
        }
    }
    let count = batch.len();
    batch.release(count);
    sum
}

/// Goes to sleep, or does not.
#[inline(never)]
pub fn hot_request_poke(consumer: &mut FrameConsumer) -> u32 {
    consumer.request_poke()
}

/// Judges promised space.
#[inline(never)]
pub fn hot_free_now(producer: &mut AddressProducer) -> Option<u32> {
    producer.free_now()
}

/// Finds room for a received frame.
#[inline(never)]
pub fn hot_rx_chunk(umem: &UmemGeometry, address: u64) -> Option<RxChunk> {
    umem.rx_chunk(address)
}

/// Judges a frame to be sent.
#[inline(never)]
pub fn hot_tx_frame(
    umem: &UmemGeometry,
    frame: FrameDescriptor,
    limits: TxLimits,
) -> Result<FrameRange, TxRefusal> {
    umem.tx_frame(frame, limits)
}

/// Copies a frame into frame memory.
#[inline(never)]
pub fn hot_copy_in(umem: &MappedUmem, chunk: &RxChunk, frame: &[u8]) -> bool {
    umem.write(chunk.start, frame)
}

/// Panics if `at` is out of bounds: shows that the inspection finds such a thing.
#[inline(never)]
pub fn planted_panic(values: &[u64], at: usize) -> u64 {
    values[at]
}

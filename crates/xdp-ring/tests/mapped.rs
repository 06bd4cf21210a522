//! Rings and frame memory at an address: real threads, a scribbling one among them, and memory that ends exactly
//! where the ring does. This is what the sanitizers run.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use xdp_abi::frame::FrameDescriptor;
use xdp_abi::object::ClientPtr;
use xdp_abi::ring::RingInfo;
use xdp_ring::{
    Consumer, ElementWord, FrameMemory, IndexWord, MappedRing, MappedUmem, Producer, Ring,
    RingLayout, RingLayoutError, RingMemory,
};

/// Zeroed memory of an exact size.
struct Block {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the block is only an address and a size until somebody makes a ring of it.
unsafe impl Sync for Block {}

impl Block {
    fn new(bytes: u64) -> Self {
        let layout = Layout::from_size_align(bytes as usize, 128).expect("a layout");
        assert!(layout.size() > 0);
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        Self {
            base: NonNull::new(base).expect("there is memory"),
            layout,
        }
    }

    fn ring(&self, layout: &RingLayout) -> Result<MappedRing, RingLayoutError> {
        // SAFETY: the block is that large, outlives the test's rings, and is accessed through rings only.
        unsafe { MappedRing::from_raw(self.base, self.layout.size() as u64, layout) }
    }

    fn umem(&self) -> MappedUmem {
        // SAFETY: the block is that large, outlives the test's frame memory, and is copied by one thread only.
        unsafe { MappedUmem::from_raw(self.base, self.layout.size()) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`, and nothing refers to it any more.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

fn frame(number: u64) -> FrameDescriptor {
    FrameDescriptor::new(number, number as u16, !(number as u32))
}

/// Elements sent in the tests with threads.
const COUNT: u64 = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

/// Sends all elements from one thread to another, in batches of up to `batch`.
fn transfer(size: u32, stride: u32, batch: usize) {
    let layout = RingLayout::new(size, stride).expect("a ring");
    let block = Block::new(layout.bytes());
    let ring =
        || Ring::new(block.ring(&layout).expect("maps"), layout.size, stride).expect("a ring");
    let mut producer = Producer::new(ring()).expect("fits");
    let mut consumer = Consumer::new(ring()).expect("fits");
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut sent = 0;
            while sent < COUNT {
                let until = COUNT.min(sent + batch as u64);
                let frames: Vec<FrameDescriptor> = (sent..until).map(frame).collect();
                sent += producer.push(&frames) as u64;
                // Two processors at most are promised; let the other side have this one.
                thread::yield_now();
            }
        });
        let mut received = 0;
        let mut frames = vec![FrameDescriptor::default(); batch];
        while received < COUNT {
            let count = consumer.pop(&mut frames);
            for frame in &frames[..count] {
                assert_eq!(*frame, self::frame(received));
                received += 1;
            }
            if count == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(consumer.pop_one(), None);
    });
}

#[test]
fn elements_cross_threads_in_order() {
    transfer(1024, 16, 64);
    transfer(256, 32, 7);
}

#[test]
fn s02_19_1_a_ring_of_one_works() {
    let layout = RingLayout::new(1, 8).expect("a ring");
    let block = Block::new(layout.bytes());
    let ring = || Ring::new(block.ring(&layout).expect("maps"), layout.size, 8).expect("a ring");
    let mut producer = Producer::<_, u64>::new(ring()).expect("fits");
    let mut consumer = Consumer::<_, u64>::new(ring()).expect("fits");
    for address in 0..1000 {
        assert!(producer.push_one(address));
        assert!(!producer.push_one(address));
        assert_eq!(consumer.pop_one(), Some(address));
        assert_eq!(consumer.pop_one(), None);
    }
}

#[test]
fn a_scribbling_thread_changes_values_and_nothing_else() {
    let layout = RingLayout::new(64, 24).expect("a ring");
    let block = Block::new(layout.bytes());
    let map = || block.ring(&layout).expect("maps");
    let ring = || Ring::new(map(), layout.size, 24).expect("a ring");
    let mut producer = Producer::new(ring()).expect("fits");
    let mut consumer = Consumer::new(ring()).expect("fits");
    let scribbled = map();
    let stop = AtomicBool::new(false);
    let rounds = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 0x9E37_79B9_7F4A_7C15u64;
            while !stop.load(Relaxed) {
                state = state
                    .wrapping_mul(0x5851_F42D_4C95_7F2D)
                    .wrapping_add(0x1405_7B7E_F767_814F);
                let value = (state >> 32) as u32;
                match state >> 60 {
                    0..4 => scribbled.producer_index().store_release(value),
                    4..8 => scribbled.consumer_index().store_release(value),
                    8..10 => scribbled.flags().store_release(value),
                    _ => {
                        let elements = scribbled.elements();
                        ElementWord::store(&elements[value as usize % elements.len()], state);
                    }
                }
                rounds.fetch_add(1, Relaxed);
            }
        });
        let mut frames = [FrameDescriptor::default(); 32];
        let mut round = 0;
        // Until both sides have had their share, whatever the scheduler does.
        while round < COUNT / 10 || rounds.load(Relaxed) < 1000 {
            round += 1;
            let pushed = producer.push(&[frame(round); 32]);
            assert!(pushed <= 32);
            assert!(consumer.pop(&mut frames) <= 32);
            let batch = consumer.peek(100);
            assert!(batch.len() <= 64);
            let count = batch.len();
            assert_eq!(batch.iter().count(), count as usize);
            assert!(batch.read_bytes::<8>(0, 16).is_some() == (count > 0));
            batch.release(count);
            assert!(producer.free_now().is_none_or(|free| free <= 64));
            if round.is_multiple_of(64) {
                thread::yield_now();
            }
        }
        stop.store(true, Relaxed);
    });
}

#[test]
fn memory_that_cannot_hold_the_ring_is_refused() {
    let layout = RingLayout::new(8, 16).expect("a ring");
    let block = Block::new(layout.bytes());
    assert!(block.ring(&layout).is_ok());
    let larger = RingLayout::new(16, 16).expect("a ring");
    assert_eq!(
        block.ring(&larger).err(),
        Some(RingLayoutError::TooLong {
            end: larger.bytes()
        })
    );
    let room = Block::new(layout.bytes() + 8);
    // SAFETY: four bytes into a block that is eight bytes longer than the ring.
    let base = unsafe { room.base.add(4) };
    // SAFETY: the rest of the block is longer than the ring.
    let crooked = unsafe { MappedRing::from_raw(base, layout.bytes(), &layout) };
    assert_eq!(
        crooked.err(),
        Some(RingLayoutError::Misaligned { offset: 0 })
    );
}

#[test]
fn a_ring_is_found_where_its_information_says() {
    let driver = RingLayout::new(4, 16).expect("a ring");
    // Another driver may lay it out in another way.
    let info = RingInfo {
        producer_index_offset: 64,
        consumer_index_offset: 0,
        flags_offset: 4096,
        descriptors_offset: 192,
        ..driver.to_info(ClientPtr(0))
    };
    let layout = RingLayout::from_info(&info, 4100).expect("inside");
    let block = Block::new(4100);
    let ring = || {
        Ring::new(
            block.ring(&layout).expect("maps"),
            layout.size,
            layout.stride,
        )
        .expect("a ring")
    };
    let mut producer = Producer::attach(ring()).expect("fits");
    let mut consumer = Consumer::attach(ring()).expect("fits");
    assert_eq!(producer.push(&[frame(1), frame(2), frame(3)]), 3);
    assert_eq!(consumer.pop_one(), Some(frame(1)));
    let words = ring();
    assert_eq!(words.memory().producer_index().load_acquire(), 3);
    assert_eq!(words.memory().consumer_index().load_acquire(), 1);
    // A third party that attaches continues where the ring stands.
    assert_eq!(
        Consumer::<_, FrameDescriptor>::attach(ring())
            .expect("fits")
            .available_now(),
        2
    );
}

#[test]
fn frames_are_copied_up_to_the_last_byte() {
    let block = Block::new(4000);
    let umem = block.umem();
    assert_eq!(umem.len(), 4000);
    assert!(umem.write(0, &[1; 2000]));
    assert!(umem.write(2000, &[2; 2000]));
    assert!(!umem.write(2001, &[3; 2000]));
    assert!(!umem.write(usize::MAX, &[3; 2]));
    assert!(umem.write(4000, &[]));
    let mut bytes = [0; 4];
    assert!(umem.read(1998, &mut bytes));
    assert_eq!(bytes, [1, 1, 2, 2]);
    assert!(umem.read(3996, &mut bytes));
    assert!(!umem.read(3997, &mut bytes));
    assert!(umem.address(3999, 1).is_some());
    assert!(umem.address(3999, 2).is_none());
}

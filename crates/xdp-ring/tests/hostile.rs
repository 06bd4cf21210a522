//! Rings against a model, with and without a far side that writes anything anywhere.

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use xdp_abi::frame::FrameDescriptor;
use xdp_abi::ring::RingFlags;
use xdp_ring::{
    Consumer, ElementWord, HeapRing, Index, IndexWord, Producer, Ring, RingError, RingMemory,
    RingSize,
};

fn size(elements: u32) -> RingSize {
    RingSize::new(elements).expect("a power of two")
}

/// Memory whose indices stand at `start`.
fn memory(elements: u32, words: usize, start: u32) -> Arc<HeapRing> {
    let memory = Arc::new(HeapRing::new(size(elements), words));
    memory.producer_index().store_release(start);
    memory.consumer_index().store_release(start);
    memory
}

type Halves = (
    Producer<Arc<HeapRing>, FrameDescriptor>,
    Consumer<Arc<HeapRing>, FrameDescriptor>,
);

fn halves(memory: &Arc<HeapRing>, elements: u32, stride: u32) -> Halves {
    let ring = || Ring::new(memory.clone(), size(elements), stride).expect("a ring");
    (
        Producer::attach(ring()).expect("attaches"),
        Consumer::attach(ring()).expect("attaches"),
    )
}

fn frame(number: u64) -> FrameDescriptor {
    FrameDescriptor::new(number, number as u16, !(number as u32))
}

#[derive(Clone, Debug)]
enum Operation {
    Push(u8),
    PushOne,
    Reserve(u8, u8),
    Pop(u8),
    PopOne,
    Peek(u8, u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (0..20u8).prop_map(Operation::Push),
        Just(Operation::PushOne),
        (0..20u8, 0..20u8).prop_map(|(wanted, submitted)| Operation::Reserve(wanted, submitted)),
        (0..20u8).prop_map(Operation::Pop),
        Just(Operation::PopOne),
        (0..20u8, 0..20u8).prop_map(|(wanted, released)| Operation::Peek(wanted, released)),
    ]
}

/// Where the far side writes, and what.
#[derive(Clone, Debug)]
enum Corruption {
    Producer(u32),
    Consumer(u32),
    Flags(u32),
    Element(u16, u64),
}

fn corruption() -> impl Strategy<Value = Corruption> {
    prop_oneof![
        any::<u32>().prop_map(Corruption::Producer),
        any::<u32>().prop_map(Corruption::Consumer),
        any::<u32>().prop_map(Corruption::Flags),
        any::<(u16, u64)>().prop_map(|(at, value)| Corruption::Element(at, value)),
    ]
}

/// Does what the far side does.
fn corrupt(memory: &HeapRing, corruption: &Corruption) {
    match *corruption {
        Corruption::Producer(value) => memory.producer_index().store_release(value),
        Corruption::Consumer(value) => memory.consumer_index().store_release(value),
        Corruption::Flags(value) => memory.flags().store(value, Relaxed),
        Corruption::Element(at, value) => {
            let elements = memory.elements();
            ElementWord::store(&elements[usize::from(at) % elements.len()], value);
        }
    }
}

proptest! {
    #[test]
    fn a_ring_is_a_queue(
        shift in 0u32..5, words in 2u32..6, start in prop_oneof![any::<u32>(), Just(u32::MAX - 3)],
        operations in vec(operation(), 0..200),
    ) {
        let elements = 1 << shift;
        let memory = memory(elements, words as usize, start);
        let (mut producer, mut consumer) = halves(&memory, elements, words * 8);
        let mut model = VecDeque::new();
        let mut next = 0;
        for operation in operations {
            let free = elements as usize - model.len();
            match operation {
                Operation::Push(count) => {
                    let frames: Vec<_> = (0..u64::from(count)).map(|at| frame(next + at)).collect();
                    let pushed = producer.push(&frames);
                    prop_assert_eq!(pushed, free.min(count.into()));
                    model.extend(&frames[..pushed]);
                    next += pushed as u64;
                }
                Operation::PushOne => {
                    let pushed = producer.push_one(frame(next));
                    prop_assert_eq!(pushed, free > 0);
                    if pushed {
                        model.push_back(frame(next));
                        next += 1;
                    }
                }
                Operation::Reserve(wanted, submitted) => {
                    let mut slots = producer.reserve(wanted.into());
                    prop_assert_eq!(slots.len() as usize, free.min(wanted.into()));
                    for at in 0..slots.len() {
                        prop_assert!(slots.write(at, frame(next + u64::from(at))));
                    }
                    let reserved = slots.len();
                    prop_assert!(!slots.write(reserved, frame(0)));
                    let submitted = slots.submit(submitted.into());
                    for at in 0..submitted {
                        model.push_back(frame(next + u64::from(at)));
                    }
                    next += u64::from(submitted);
                }
                Operation::Pop(count) => {
                    let mut frames = vec![FrameDescriptor::default(); count.into()];
                    let popped = consumer.pop(&mut frames);
                    prop_assert_eq!(popped, model.len().min(count.into()));
                    let expected: Vec<_> = model.drain(..popped).collect();
                    prop_assert_eq!(&frames[..popped], expected);
                }
                Operation::PopOne => prop_assert_eq!(consumer.pop_one(), model.pop_front()),
                Operation::Peek(wanted, released) => {
                    let batch = consumer.peek(wanted.into());
                    let seen: Vec<_> = batch.iter().collect();
                    let expected: Vec<_> = model.iter().copied().take(wanted.into()).collect();
                    prop_assert_eq!(seen, expected);
                    prop_assert_eq!(batch.get(batch.len()), None);
                    let released = batch.release(released.into());
                    model.drain(..released as usize);
                }
            }
            prop_assert_eq!(memory.producer_index().load_acquire(), producer.index().0);
            prop_assert_eq!(memory.consumer_index().load_acquire(), consumer.index().0);
            prop_assert_eq!(consumer.available_now() as usize, model.len());
            prop_assert_eq!(producer.free_now(), Some(elements - model.len() as u32));
        }
    }

    #[test]
    fn a_hostile_far_side_gets_bounded_answers(
        shift in 0u32..5, start: u32,
        steps in vec((operation(), proptest::option::of(corruption())), 0..200),
    ) {
        let elements = 1 << shift;
        let memory = memory(elements, 2, start);
        let (mut producer, mut consumer) = halves(&memory, elements, 16);
        for (operation, corruption) in steps {
            if let Some(corruption) = corruption {
                corrupt(&memory, &corruption);
            }
            let (produced, consumed) = (producer.index(), consumer.index());
            let bound = |count: u8| u32::from(count).min(elements) as usize;
            let (mut pushed, mut popped) = (0, 0);
            match operation {
                Operation::Push(count) => {
                    pushed = producer.push(&vec![frame(1); count.into()]);
                    prop_assert!(pushed <= bound(count));
                }
                Operation::PushOne => pushed = producer.push_one(frame(2)).into(),
                Operation::Reserve(wanted, submitted) => {
                    let mut slots = producer.reserve(wanted.into());
                    prop_assert!(slots.len() as usize <= bound(wanted));
                    for at in 0..slots.len() {
                        prop_assert!(slots.write(at, frame(3)));
                    }
                    pushed = slots.submit(submitted.into()) as usize;
                    prop_assert!(pushed <= bound(submitted));
                }
                Operation::Pop(count) => {
                    popped = consumer.pop(&mut vec![frame(0); count.into()]);
                    prop_assert!(popped <= bound(count));
                }
                Operation::PopOne => popped = consumer.pop_one().is_some().into(),
                Operation::Peek(wanted, released) => {
                    let batch = consumer.peek(wanted.into());
                    prop_assert!(batch.len() as usize <= bound(wanted));
                    prop_assert_eq!(batch.iter().count(), batch.len() as usize);
                    popped = batch.release(released.into()) as usize;
                    prop_assert!(popped <= bound(released));
                }
            }
            // Our own indices move by what we did, whatever was written over their copies.
            prop_assert_eq!(producer.index(), produced.advanced_by(pushed as u32));
            prop_assert_eq!(consumer.index(), consumed.advanced_by(popped as u32));
            prop_assert!(consumer.available_now() <= elements);
            prop_assert!(producer.free_now().is_none_or(|free| free <= elements));
        }
    }

    #[test]
    fn extension_bytes_stay_inside_their_element(
        words in 2u32..7, offset: u16, at in 0u32..5, bytes in vec(any::<u8>(), 0..12),
    ) {
        let memory = memory(4, words as usize, 0);
        let (mut producer, mut consumer) = halves(&memory, 4, words * 8);
        let offset = offset % 64;
        let mut slots = producer.reserve(4);
        for at in 0..4 {
            prop_assert!(slots.write(at, frame(at.into())));
        }
        let before: Vec<u64> = memory.elements().iter().map(ElementWord::load).collect();
        let inside = at < 4 && usize::from(offset) + bytes.len() <= words as usize * 8;
        prop_assert_eq!(slots.write_bytes(at, offset, &bytes), inside);
        slots.submit(4);
        let mut expected: Vec<u8> = before.iter().flat_map(|word| word.to_ne_bytes()).collect();
        if inside {
            let start = (at * words * 8) as usize + usize::from(offset);
            expected[start..start + bytes.len()].copy_from_slice(&bytes);
        }
        let after: Vec<u8> = memory.elements().iter().flat_map(|word| ElementWord::load(word).to_ne_bytes()).collect();
        prop_assert_eq!(&after, &expected);
        let batch = consumer.peek(4);
        let read = batch.read_bytes::<5>(at, offset);
        let start = (at * words * 8) as usize + usize::from(offset);
        let readable = at < 4 && usize::from(offset) + 5 <= words as usize * 8;
        prop_assert_eq!(read.is_some(), readable);
        if let Some(read) = read {
            prop_assert_eq!(&read[..], &expected[start..start + 5]);
        }
    }
}

#[test]
fn s02_18_reserving_shares_nothing() {
    let memory = memory(4, 2, 0);
    let (mut producer, mut consumer) = halves(&memory, 4, 16);
    assert_eq!(producer.reserve(3).len(), 3);
    assert_eq!(producer.reserve(9).len(), 4);
    assert_eq!(producer.index(), Index(0));
    assert_eq!(consumer.pop_one(), None);
    assert!(producer.push_one(frame(1)));
    assert_eq!(consumer.peek(9).len(), 1);
    assert_eq!(consumer.peek(9).len(), 1, "peeking takes nothing");
    assert_eq!(consumer.pop_one(), Some(frame(1)));
}

#[test]
fn s02_13_8_promised_space_that_is_gone_is_noticed() {
    let memory = memory(4, 2, 10);
    let (mut producer, _) = halves(&memory, 4, 16);
    assert_eq!(producer.push(&[frame(1); 3]), 3);
    assert_eq!(producer.free_now(), Some(1));
    memory.consumer_index().store_release(8);
    assert_eq!(producer.free_now(), None, "five elements in a ring of four");
    assert_eq!(producer.free(4), 0, "nothing is overwritten meanwhile");
    memory.consumer_index().store_release(13);
    assert_eq!(producer.free_now(), Some(4));
}

#[test]
fn flags_are_raised_and_lowered_one_by_one() {
    let memory = memory(1, 2, 0);
    let (producer, mut consumer) = halves(&memory, 1, 16);
    assert!(!producer.ring().needs_poke());
    assert_eq!(consumer.request_poke(), 0);
    consumer.ring().raise(RingFlags::ERROR);
    assert!(producer.ring().needs_poke());
    assert_eq!(
        producer.ring().flags(),
        RingFlags::ERROR | RingFlags::NEED_POKE
    );
    consumer.ring().lower(RingFlags::NEED_POKE);
    assert_eq!(producer.ring().flags(), RingFlags::ERROR);
}

#[test]
fn memory_that_is_no_ring_is_refused() {
    let short = || HeapRing::new(size(4), 2);
    assert_eq!(
        Ring::new(short(), size(4), 0).err(),
        Some(RingError::Stride { bytes: 0 })
    );
    assert_eq!(
        Ring::new(short(), size(4), 12).err(),
        Some(RingError::Stride { bytes: 12 })
    );
    assert_eq!(
        Ring::new(short(), size(8), 16).err(),
        Some(RingError::TooShort {
            needed: 16,
            available: 8
        })
    );
    let ring = Ring::new(short(), size(4), 8).expect("long enough for words");
    let refused = Producer::<_, FrameDescriptor>::new(ring).err();
    assert_eq!(
        refused,
        Some(RingError::Stride { bytes: 8 }),
        "a descriptor needs sixteen bytes"
    );
    assert_eq!(RingSize::new(0), None);
    assert_eq!(RingSize::new(6), None);
    assert_eq!(RingSize::new(1 << 31).map(RingSize::get), Some(1 << 31));
}

#[test]
fn an_index_that_cannot_be_right_is_seen_and_may_be_put_right() {
    for start in [0, 5, u32::MAX - 1] {
        let memory = memory(8, 2, start);
        let (mut producer, mut consumer) = halves(&memory, 8, 16);
        assert!(consumer.is_plausible());
        assert_eq!(producer.push(&[frame(1); 8]), 8);
        assert!(consumer.is_plausible(), "a full ring");
        for wild in [9, 10, 0x8000_0000, u32::MAX] {
            memory
                .producer_index()
                .store_release(start.wrapping_add(wild));
            // What is remembered is the index of before, until there is a look.
            consumer.available_now();
            assert!(!consumer.is_plausible(), "{wild}");
            memory.producer_index().store_release(start.wrapping_add(8));
            assert!(consumer.is_plausible(), "put right");
        }
    }
}

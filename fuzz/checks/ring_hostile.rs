//! A ring whose far side writes anything: the input says what both halves do, and what is written in between.

use std::sync::Arc;
use xdp_abi::frame::FrameDescriptor;
use xdp_ring::{Consumer, ElementWord, HeapRing, IndexWord, Producer, Ring, RingMemory, RingSize};

/// Takes numbers from the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn word(&mut self) -> Option<u32> {
        let (&first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(first))
    }
}

/// Checks that every answer is bounded, and that while nothing was corrupted the ring is a queue.
pub(crate) fn check(data: &[u8]) {
    let mut input = Input(data);
    // The first byte: size and stride. The next four: where the indices stand.
    let Some((shape, start)) = input.byte().zip(input.word()) else {
        return;
    };
    let size = RingSize::new(1 << (shape & 7)).expect("a power of two");
    let words = 2 + u32::from(shape >> 3 & 3);
    let memory = Arc::new(HeapRing::new(size, words as usize));
    memory.producer_index().store_release(start);
    memory.consumer_index().store_release(start);
    let ring = || Ring::new(memory.clone(), size, words * 8).expect("a ring");
    let mut producer = Producer::<_, FrameDescriptor>::attach(ring()).expect("fits");
    let mut consumer = Consumer::<_, FrameDescriptor>::attach(ring()).expect("fits");

    let mut corrupted = false;
    let (mut next, mut expected) = (0u64, 0u64);
    let frame = |number: u64| FrameDescriptor::new(number, number as u16, number as u32);
    while let Some((operation, count)) = input.byte().zip(input.byte()) {
        let bound = u32::from(count).min(size.get());
        let (produced, consumed) = (producer.index(), consumer.index());
        let (mut pushed, mut popped) = (0, 0);
        let mut seen = Vec::new();
        match operation & 15 {
            0 | 1 => {
                let frames: Vec<_> = (0..u64::from(count)).map(|at| frame(next + at)).collect();
                pushed = producer.push(&frames) as u32;
                assert!(pushed <= bound);
            }
            2 => pushed = producer.push_one(frame(next)).into(),
            3 => {
                let mut slots = producer.reserve(count.into());
                assert!(slots.len() <= bound);
                for at in 0..slots.len() {
                    assert!(slots.write(at, frame(next + u64::from(at))));
                    slots.write_bytes(at, u16::from(operation >> 4) * 3, &[operation; 7]);
                    assert!(slots.write(at, frame(next + u64::from(at))));
                }
                let submitted = u32::from(operation >> 4);
                pushed = slots.submit(submitted);
                assert!(pushed <= submitted);
            }
            4 | 5 => {
                seen = vec![FrameDescriptor::default(); count.into()];
                popped = consumer.pop(&mut seen) as u32;
                assert!(popped <= bound);
                seen.truncate(popped as usize);
            }
            6 => {
                seen.extend(consumer.pop_one());
                popped = seen.len() as u32;
            }
            7 => {
                let batch = consumer.peek(count.into());
                assert!(batch.len() <= bound);
                let len = batch.len();
                assert_eq!(batch.iter().count(), len as usize);
                assert_eq!(batch.read_bytes::<3>(len, 0), None);
                assert_eq!(batch.get(len), None);
                popped = batch.release(u32::from(operation >> 4));
                expected += u64::from(popped);
            }
            8 => assert!(consumer.request_poke() <= size.get()),
            9 => {
                let needs_poke = producer.ring().needs_poke();
                assert_eq!(needs_poke, producer.ring().flags().bits() & 2 != 0);
            }
            corruption => {
                let value = input.word().unwrap_or(u32::MAX);
                match corruption {
                    10 | 11 => memory.producer_index().store_release(value),
                    12 | 13 => memory.consumer_index().store_release(value),
                    14 => memory.flags().store_release(value),
                    _ => {
                        let elements = memory.elements();
                        let word = &elements[usize::from(count) % elements.len()];
                        ElementWord::store(word, u64::from(value) << 20);
                    }
                }
                corrupted |= corruption != 14;
            }
        }
        // Our own indices move by what we did, whatever was written over their copies.
        assert_eq!(producer.index(), produced.advanced_by(pushed));
        assert_eq!(consumer.index(), consumed.advanced_by(popped));
        assert!(consumer.available_now() <= size.get());
        assert!(producer.free_now().is_none_or(|free| free <= size.get()));
        next += u64::from(pushed);
        if !corrupted {
            for value in seen {
                assert_eq!(value, frame(expected));
                expected += 1;
            }
            assert_eq!(u64::from(consumer.available_now()), next - expected);
        }
    }
}

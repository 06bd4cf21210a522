//! The ring protocol under a model checker: every interleaving, and every value a weak memory may show.

#![cfg(not(xdp_ring_plain_words))]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;
use xdp_abi::ring::RingFlags;
use xdp_ring::{Consumer, ElementWord, IndexWord, Producer, Ring, RingMemory, RingSize};

/// A word the model checker watches, stored in order or, to see that this is needed, in any.
struct Index(AtomicU32, Ordering);
/// A word the model checker watches.
struct Word(AtomicU64);

impl IndexWord for Index {
    fn load_acquire(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
    fn store_release(&self, value: u32) {
        self.0.store(value, self.1);
    }
    fn set_bits(&self, bits: u32) {
        self.0.fetch_or(bits, Ordering::AcqRel);
    }
    fn clear_bits(&self, bits: u32) {
        self.0.fetch_and(!bits, Ordering::AcqRel);
    }
}

impl ElementWord for Word {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn store(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Ring memory for the model checker, with a barrier or, to see that it is needed, without.
struct Memory {
    producer: Index,
    consumer: Index,
    flags: Index,
    elements: Vec<Word>,
    barrier: bool,
}

impl Memory {
    fn new(words: usize, start: u32, barrier: bool) -> Arc<Self> {
        Self::with_order(words, start, barrier, Ordering::Release)
    }

    fn with_order(words: usize, start: u32, barrier: bool, order: Ordering) -> Arc<Self> {
        let index = |value| Index(AtomicU32::new(value), order);
        Arc::new(Self {
            producer: index(start),
            consumer: index(start),
            flags: index(0),
            elements: (0..words).map(|_| Word(AtomicU64::new(0))).collect(),
            barrier,
        })
    }
}

/// The memory as both threads hold it.
#[derive(Clone)]
struct Shared(Arc<Memory>);

impl RingMemory for Shared {
    type Index = Index;
    type Word = Word;

    fn producer_index(&self) -> &Index {
        &self.0.producer
    }
    fn consumer_index(&self) -> &Index {
        &self.0.consumer
    }
    fn flags(&self) -> &Index {
        &self.0.flags
    }
    fn elements(&self) -> &[Word] {
        &self.0.elements
    }
    fn full_barrier(&self) {
        if self.0.barrier {
            fence(Ordering::SeqCst);
        }
    }
}

fn halves(memory: &Arc<Memory>, size: u32) -> (Producer<Shared, u64>, Consumer<Shared, u64>) {
    let size = RingSize::new(size).expect("a power of two");
    let ring = || Ring::new(Shared(memory.clone()), size, 8).expect("a ring");
    (
        Producer::attach(ring()).expect("attaches"),
        Consumer::attach(ring()).expect("attaches"),
    )
}

fn model(bound: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(body);
}

/// From just before the indices wrap; three elements through a ring of two, so that a slot is used twice.
fn three_elements_through_two_slots(order: Ordering) {
    model(3, move || {
        let (mut producer, mut consumer) = halves(&Memory::with_order(2, u32::MAX, true, order), 2);
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while sent < 3 {
                if producer.push_one(10 + sent) {
                    sent += 1;
                } else {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 10;
        while expected < 13 {
            match consumer.pop_one() {
                Some(value) => {
                    assert_eq!(value, expected, "an element arrived late");
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        assert_eq!(consumer.pop_one(), None);
        sender.join().expect("the sender ends");
    });
}

#[test]
fn elements_arrive_whole_and_in_order() {
    three_elements_through_two_slots(Ordering::Release);
}

#[test]
#[should_panic(expected = "an element arrived late")]
fn without_release_elements_arrive_late() {
    three_elements_through_two_slots(Ordering::Relaxed);
}

#[test]
fn batches_arrive_whole_and_in_order() {
    model(3, || {
        let (mut producer, mut consumer) = halves(&Memory::new(2, 0, true), 2);
        let sender = thread::spawn(move || {
            let values = [1, 2, 3, 4];
            let mut sent = 0;
            while sent < values.len() {
                let count = producer.push(&values[sent..]);
                sent += count;
                if count == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut received = Vec::new();
        while received.len() < 4 {
            let batch = consumer.peek(2);
            let count = batch.len();
            received.extend(batch.iter());
            batch.release(count);
            if count == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(received, [1, 2, 3, 4]);
        sender.join().expect("the sender ends");
    });
}

/// One submission races with one driver going to sleep: somebody has to notice.
fn sleep_races_with_submission(barrier: bool) {
    model(4, move || {
        let (mut producer, mut consumer) = halves(&Memory::new(1, 0, barrier), 1);
        let application = thread::spawn(move || {
            assert!(producer.push_one(7));
            producer.ring().needs_poke()
        });
        let seen = consumer.request_poke();
        let poked = application.join().expect("the application ends");
        assert!(
            poked || seen == 1,
            "the element is lost: no poke, and the driver sleeps"
        );
    });
}

#[test]
fn s02_14_no_wakeup_is_lost() {
    sleep_races_with_submission(true);
}

#[test]
#[should_panic(expected = "the element is lost")]
fn without_the_barrier_a_wakeup_is_lost() {
    sleep_races_with_submission(false);
}

#[test]
fn lowering_the_flag_before_looking_loses_nothing() {
    // A poke: the driver lowers the flag, takes what is there, then asks to be poked again.
    model(3, || {
        let memory = Memory::new(2, 0, true);
        let (mut producer, mut consumer) = halves(&memory, 2);
        consumer.ring().raise(RingFlags::NEED_POKE);
        let application = thread::spawn(move || {
            assert!(producer.push_one(1));
            let first = producer.ring().needs_poke();
            assert!(producer.push_one(2));
            (first, producer.ring().needs_poke())
        });
        consumer.ring().lower(RingFlags::NEED_POKE);
        let mut taken = [0; 2];
        let count = consumer.pop(&mut taken) as u32;
        let left = consumer.request_poke();
        let (first, second) = application.join().expect("the application ends");
        assert!(
            first || second || count + left == 2,
            "{count} taken, {left} left, and no poke"
        );
    });
}

#[test]
fn a_far_side_that_writes_anything_gets_bounded_answers() {
    // The far side scribbles over both indices while the near side works.
    model(3, || {
        let memory = Memory::new(2, 0, true);
        let (mut producer, mut consumer) = halves(&memory, 2);
        let scribbler = thread::spawn(move || {
            memory.consumer.store_release(0x8000_0000);
            memory.producer.store_release(0x7FFF_FFFF);
        });
        let mut values = [0; 4];
        assert!(producer.push(&[1, 2, 3, 4]) <= 2);
        assert!(consumer.pop(&mut values) <= 2);
        assert!(consumer.available_now() <= 2);
        assert!(producer.free(9) <= 2);
        assert!(producer.free_now().is_none_or(|free| free <= 2));
        scribbler.join().expect("the scribbler ends");
    });
}

//! Values replaced under their readers.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;

use nt::irql::Raised;
use nt::processor::{self, ProcessorNumber};
use nt::sync::{Event, Published, grace_period};
use nt::work::{Deferred, Dpc, Pinned, Thread};
use nt::{Arc, Box, Dispatch, Passive, Result, Vec};

use crate::driver::TAG;

/// A value that tells whether it is still good: its writer spoils it when it has it back.
struct Checked {
    number: usize,
    good: AtomicBool,
}

struct Shared {
    value: Published<Checked>,
    pause: Event,
    reads: AtomicUsize,
    done: AtomicBool,
}

impl Shared {
    fn look(&self, dispatch: Dispatch<'_>) {
        let Some(checked) = self.value.read(dispatch) else {
            return;
        };
        let number = checked.number;
        for _ in 0..50 {
            assert!(checked.good.load(Ordering::Relaxed), "read after its end");
            assert_eq!(checked.number, number);
            // A place for another thread to run, where threads take turns.
            let _ = processor::current_index();
        }
        self.reads.fetch_add(1, Ordering::Relaxed);
    }
}

impl Deferred for Shared {
    fn run(&self, dispatch: Dispatch<'_>) {
        self.look(dispatch);
    }
}

fn checked(number: usize) -> Result<Box<Checked>> {
    let good = AtomicBool::new(true);
    Box::new(TAG, Checked { number, good })
}

fn spoil(value: &Checked) {
    assert!(value.good.swap(false, Ordering::Relaxed), "reclaimed twice");
}

/// Replaces a value under readers in threads and deferred calls on every processor; answers how often it was read.
pub(crate) fn published(passive: Passive<'_>) -> Result<usize> {
    let shared = Shared {
        value: Published::empty(),
        pause: Event::manual_reset(TAG, false)?,
        reads: AtomicUsize::new(0),
        done: AtomicBool::new(false),
    };
    let shared = Arc::new(TAG, shared)?;
    let mut threads = Vec::new(TAG);
    let mut calls = Vec::new(TAG);
    for index in 0..processor::active_count() {
        let number = ProcessorNumber::from_index(index)?;
        let theirs = shared.clone();
        let read = move |passive: Passive<'_>| {
            let pinned = Pinned::to(number, passive);
            while !theirs.done.load(Ordering::Relaxed) {
                let raised = Raised::to_dispatch();
                theirs.look(raised.token());
                drop(raised);
                // The first processor is left to the writer now and then. The others are not left, and need not be.
                if index == 0 {
                    let _ = theirs.pause.wait_for(Duration::from_micros(20), passive);
                }
            }
            drop(pinned);
        };
        threads.push(Thread::spawn(TAG, read, passive)?)?;
        let call = Dpc::new(TAG, shared.clone())?;
        call.set_target(number)?;
        calls.push(call)?;
    }
    let queue = || {
        for call in &calls {
            let _ = call.queue();
        }
    };
    queue();

    assert!(shared.value.replace(Some(checked(0)?), passive).is_none());
    for number in 1..20 {
        queue();
        let old = shared.value.replace(Some(checked(number)?), passive);
        let old = old.unwrap();
        assert_eq!(old.number, number - 1);
        spoil(&old);
    }

    // One grace period serves all that was replaced before it, and nothing that was replaced after.
    let first = shared.value.swap_later(Some(checked(20)?));
    let second = shared.value.swap_later(Some(checked(21)?));
    let grace = grace_period(passive);
    let third = shared.value.swap_later(None);
    for (retired, number) in [(first, 19), (second, 20)] {
        let old = retired.after(&grace).ok().unwrap().unwrap();
        assert_eq!(old.number, number);
        spoil(&old);
    }
    let third = third.after(&grace).err().unwrap();
    let old = third.reclaim(passive).unwrap();
    assert_eq!(old.number, 21);
    spoil(&old);

    // What is not asked for waits by itself, and is freed.
    drop(shared.value.swap_later(Some(checked(22)?)));
    drop(shared.value.swap_later(Some(checked(23)?)));
    shared.done.store(true, Ordering::Relaxed);
    drop(threads);
    drop(calls);
    let reads = shared.reads.load(Ordering::Relaxed);

    let mut last = Published::new(checked(1)?);
    last.get_mut().unwrap().number = 2;
    assert_eq!(last.into_inner().unwrap().number, 2);
    assert!(Published::<Checked>::default().into_inner().is_none());
    Ok(reads)
}

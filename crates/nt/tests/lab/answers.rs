//! Threads, timers, deferred calls, tracing, run-down, locks, processors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nt::etw::{EventProvider, Listening};
use nt::processor;
use nt::sync::{CacheAwareRundown, Event, PushLock, Rundown, SpinLock};
use nt::sys::EVENT_DESCRIPTOR;
use nt::work::{Dpc, Pinned, Thread, Timer};
use nt::{Arc, Passive, Result, Status, Vec};

use crate::driver::{CLASS, TAG};
use crate::signal::{LONG, Signal};

pub(crate) fn thread(passive: Passive<'_>) -> Result<usize> {
    let signal = Signal::new()?;
    let theirs = signal.clone();
    let thread = Thread::spawn(TAG, move |_| theirs.fire(), passive)?;
    thread.set_priority(9);
    signal.next(passive)?;
    thread.join(passive);
    // A dropped thread is waited for.
    let theirs = signal.clone();
    drop(Thread::spawn(TAG, move |_| theirs.fire(), passive)?);
    Ok(signal.count.load(Ordering::Relaxed) as usize)
}

pub(crate) fn timer(passive: Passive<'_>) -> Result<usize> {
    let signal = Signal::new()?;
    let timer = Timer::new(signal.clone(), false)?;
    assert!(!timer.set(Duration::from_millis(1), None));
    signal.next(passive)?;
    timer.set(Duration::from_millis(1), Some(Duration::from_millis(2)));
    signal.next(passive)?;
    signal.next(passive)?;
    assert!(timer.cancel());
    assert!(!timer.cancel());
    // A timer that is set is cancelled when dropped.
    timer.set(LONG, None);
    drop(timer);
    Ok(signal.count.load(Ordering::Relaxed).min(3) as usize)
}

pub(crate) fn deferred(passive: Passive<'_>) -> Result<usize> {
    let signal = Signal::new()?;
    let dpc = Dpc::new(TAG, signal.clone())?;
    dpc.set_urgent(true);
    dpc.set_target(processor::ProcessorNumber::from_index(0)?)?;
    assert!(dpc.queue());
    signal.next(passive)?;
    dpc.queue();
    dpc.cancel(passive);
    dpc.queue();
    drop(dpc);
    Ok(1)
}

pub(crate) fn trace(passive: Passive<'_>) -> Result<usize> {
    static LISTENING: Listening = Listening::new();
    assert!(!LISTENING.wants(0), "nobody listens before");
    let provider = EventProvider::register(&CLASS, &LISTENING, passive)?;
    // What is asked for in advance is known at once; 4 is the highest level of it.
    let [up_to_4, above] = [4, 5].map(|level| LISTENING.wants(level));
    assert_eq!((up_to_4, above), (provider.is_enabled(4, 2), false));
    let mut event = EVENT_DESCRIPTOR::zeroed();
    (event.Id, event.Level, event.Keyword) = (9, 4, 2);
    provider.write(&event, &[b"one", b"", b"two"])?;
    provider.write(&EVENT_DESCRIPTOR { Level: 5, ..event }, &[])?;
    let many = [&b"x"[..]; 17];
    assert_eq!(
        provider.write(&EVENT_DESCRIPTOR::zeroed(), &many),
        Err(Status::INVALID_PARAMETER)
    );
    // A keyword that nobody wants, and a level; then the event above.
    let wanted =
        [(4, 4), (5, 2), (4, 2)].map(|(level, keyword)| provider.is_enabled(level, keyword));
    Ok(match wanted {
        [false, false, false] => 1,
        [false, false, true] => 2,
        _ => 0,
    })
}

pub(crate) fn rundown(passive: Passive<'_>) -> Result<usize> {
    let mut plain = Rundown::new();
    let mut spread = CacheAwareRundown::new(TAG)?;
    for _ in 0..2 {
        let kept = plain.acquire_many(2).ok_or(Status::DELETE_PENDING)?.keep();
        assert_eq!(kept, 2);
        // SAFETY: the protections kept above.
        unsafe { plain.release_many(kept) };
        drop(plain.acquire());
        drop(spread.acquire());
        plain.wait(passive);
        spread.wait(passive);
        assert!(plain.acquire().is_none() && spread.acquire().is_none());
        plain.reset();
        spread.reset();
    }

    // Run-down waits for whoever is inside.
    let shared = Arc::new(
        TAG,
        (
            Rundown::new(),
            Event::manual_reset(TAG, false)?,
            AtomicBool::new(false),
        ),
    )?;
    let theirs = shared.clone();
    let inside = Event::manual_reset(TAG, false)?;
    let inside = Arc::new(TAG, inside)?;
    let entered = inside.clone();
    let user = Thread::spawn(
        TAG,
        move |passive| {
            let guard = theirs.0.acquire();
            assert!(guard.is_some());
            entered.set();
            let _ = theirs.1.wait_for(Duration::from_millis(20), passive);
            theirs.2.store(true, Ordering::SeqCst);
            drop(guard);
        },
        passive,
    )?;
    inside.wait(passive);
    shared.0.wait(passive);
    assert!(shared.2.load(Ordering::SeqCst));
    user.join(passive);
    Ok(1)
}

pub(crate) fn locks(passive: Passive<'_>) -> Result<usize> {
    let shared = Arc::new(TAG, (SpinLock::new(0_usize), PushLock::new(0_usize)))?;
    let mut threads = Vec::new(TAG);
    for _ in 0..4 {
        let theirs = shared.clone();
        threads.push(Thread::spawn(
            TAG,
            move |passive| {
                for _ in 0..50 {
                    *theirs.0.lock() += 1;
                    *theirs.1.write(passive) += 1;
                    assert!(*theirs.1.read(passive) > 0);
                }
            },
            passive,
        )?)?;
    }
    drop(threads);
    let raised = nt::irql::Raised::to_dispatch();
    let spun = *shared.0.lock_at_dispatch(raised.token());
    drop(raised);
    Ok(spun + *shared.1.read(passive))
}

pub(crate) fn processors(passive: Passive<'_>) -> Result<usize> {
    let count = processor::active_count();
    assert!(count <= processor::max_count());
    for index in 0..count {
        let number = processor::ProcessorNumber::from_index(index)?;
        assert_eq!(number.index(), Some(index));
        let pinned = Pinned::to(number, passive);
        assert_eq!(processor::current_index(), index);
        assert_eq!(processor::current(), number);
        assert_eq!((u32::from(number.number()), number.group()), (index, 0));
        drop(pinned);
    }
    assert_eq!(
        processor::ProcessorNumber::from_index(count),
        Err(Status::INVALID_PARAMETER)
    );
    let (counter, frequency) = processor::performance_counter();
    assert!(counter >= 0 && frequency > 0);
    let _ = processor::interrupt_time();
    Ok(count as usize)
}

pub(crate) fn events(passive: Passive<'_>) -> Result<usize> {
    let event = Event::auto_reset(TAG, true)?;
    assert_eq!(event.wait_user(None, passive), Status::SUCCESS);
    let short = Some(Duration::from_millis(1));
    assert_eq!(event.wait_user(short, passive), Status::TIMEOUT);
    assert_eq!(
        event.wait_user(Some(Duration::ZERO), passive),
        Status::TIMEOUT
    );
    event.set();
    assert_eq!(event.wait_user(Some(LONG), passive), Status::SUCCESS);
    // The wait of one thread is ended by another.
    let event = Arc::new(TAG, event)?;
    let theirs = event.clone();
    let thread = Thread::spawn(TAG, move |_| assert!(!theirs.set()), passive)?;
    assert_eq!(event.wait_user(None, passive), Status::SUCCESS);
    thread.join(passive);
    Ok(2)
}

/// A program that waits in the driver.
pub(crate) struct UserWait {
    never: Event,
    outcome: AtomicUsize,
}

const NOBODY: usize = 0x1_0000_0000;
const WAITING: usize = 0x2_0000_0000;

impl UserWait {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            never: Event::manual_reset(TAG, false)?,
            outcome: AtomicUsize::new(NOBODY),
        })
    }

    /// Waits for what never happens.
    pub(crate) fn wait(&self, passive: Passive<'_>) -> usize {
        self.outcome.store(WAITING, Ordering::SeqCst);
        let status = self.never.wait_user(None, passive).0 as usize;
        self.outcome.store(status, Ordering::SeqCst);
        status
    }

    /// How the wait ended.
    pub(crate) fn outcome(&self) -> usize {
        self.outcome.load(Ordering::SeqCst)
    }
}

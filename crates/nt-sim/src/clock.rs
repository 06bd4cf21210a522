//! Time, and what happens at a given time.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::kernel::{ClockMode, kernel};

/// 100 ns units per second.
pub(crate) const SECOND: i64 = 10_000_000;

/// What system time the kernel boots at: 2026-01-01 00:00:00 UTC, in 100 ns units since 1601.
const BOOT_TIME: i64 = 134_116_992_000_000_000;

/// Something that is due at a time. Runs on the clock's thread, or on the thread that advances
/// virtual time; it may wake threads and queue DPCs, and must not call drivers.
pub(crate) type Action = Box<dyn FnOnce() + Send>;

/// Identifies a queued action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    due: i64,
    sequence: u64,
}

/// The clock and its queue.
pub(crate) struct Clock {
    mode: ClockMode,
    start: Instant,
    virtual_now: AtomicI64,
    /// How long the machine has been asleep.
    asleep: AtomicI64,
    /// The latest time awake that was told.
    awake: AtomicI64,
    sequence: AtomicU64,
    queue: Mutex<BTreeMap<Key, Action>>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Clock {
    pub(crate) fn new(mode: ClockMode) -> Clock {
        Clock {
            mode,
            start: Instant::now(),
            virtual_now: AtomicI64::new(0),
            asleep: AtomicI64::new(0),
            awake: AtomicI64::new(0),
            sequence: AtomicU64::new(0),
            queue: Mutex::new(BTreeMap::new()),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// Time since boot in 100 ns units.
    pub(crate) fn now(&self) -> i64 {
        match self.mode {
            ClockMode::Real => (self.start.elapsed().as_nanos() / 100) as i64 + SECOND,
            ClockMode::Virtual => self.virtual_now.load(Ordering::Acquire) + SECOND,
        }
    }

    /// Time since boot without the time asleep, in 100 ns units.
    pub(crate) fn awake(&self) -> i64 {
        // Seen in the middle of a sleep the difference is too small, never too large.
        let now = self.now();
        let awake = now - self.asleep.load(Ordering::Acquire);
        self.awake.fetch_max(awake, Ordering::AcqRel).max(awake)
    }

    /// System time: 100 ns units since 1601.
    pub(crate) fn system_time(&self) -> i64 {
        BOOT_TIME + self.now()
    }

    /// Turns a Windows time-out (negative relative, positive absolute system time) into a time
    /// since boot.
    pub(crate) fn due(&self, timeout: i64) -> i64 {
        if timeout <= 0 {
            self.now().saturating_sub(timeout)
        } else {
            timeout.saturating_sub(BOOT_TIME)
        }
    }

    /// Queues `action` for time `due` (since boot).
    pub(crate) fn at(&self, due: i64, action: Action) -> Key {
        let key = Key {
            due,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
        };
        let mut queue = self.queue.lock();
        let first = queue.first_key_value().is_none_or(|(k, _)| key < *k);
        queue.insert(key, action);
        drop(queue);
        if first {
            self.changed.notify_one();
        }
        key
    }

    /// Takes an action out; `false` if it has run or is running.
    pub(crate) fn cancel(&self, key: Key) -> bool {
        self.queue.lock().remove(&key).is_some()
    }

    /// When the next action is due.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.queue.lock().first_key_value().map(|(k, _)| k.due)
    }

    fn pop_due(&self, now: i64) -> Option<Action> {
        let mut queue = self.queue.lock();
        if queue.first_key_value()?.0.due > now {
            return None;
        }
        queue.pop_first().map(|(_, action)| action)
    }

    /// Runs everything that is due.
    pub(crate) fn run_due(&self) {
        while let Some(action) = self.pop_due(self.now()) {
            action();
        }
    }

    /// Moves virtual time forward, running what becomes due on the way, in order.
    pub(crate) fn advance(&self, duration: Duration) {
        assert_eq!(
            self.mode,
            ClockMode::Virtual,
            "only virtual time is advanced"
        );
        let target = self.now() + (duration.as_nanos() / 100) as i64;
        while let Some(due) = self.next_due().filter(|&due| due <= target) {
            self.set_virtual(due);
            self.run_due();
        }
        self.set_virtual(target);
    }

    /// Lets the machine sleep: virtual time passes, and what became due meanwhile runs at the end.
    pub(crate) fn sleep(&self, duration: Duration) {
        assert_eq!(
            self.mode,
            ClockMode::Virtual,
            "only virtual time is slept through"
        );
        let units = (duration.as_nanos() / 100) as i64;
        self.asleep.fetch_add(units, Ordering::AcqRel);
        self.virtual_now.fetch_add(units, Ordering::AcqRel);
        self.run_due();
    }

    /// Jumps to the next due action and runs it; `false` when nothing is queued.
    pub(crate) fn skip_to_next(&self) -> bool {
        let Some(due) = self.next_due() else {
            return false;
        };
        self.set_virtual(due);
        self.run_due();
        true
    }

    fn set_virtual(&self, time: i64) {
        self.virtual_now.fetch_max(time - SECOND, Ordering::AcqRel);
    }

    /// Serves the queue in real time until [`Clock::stop`].
    pub(crate) fn serve() {
        let clock = &kernel().clock;
        loop {
            clock.run_due();
            let mut queue = clock.queue.lock();
            if clock.stop.load(Ordering::Acquire) {
                return;
            }
            match queue.first_key_value().map(|(k, _)| k.due - clock.now()) {
                Some(wait) if wait <= 0 => {}
                Some(wait) => {
                    clock
                        .changed
                        .wait_for(&mut queue, Duration::from_nanos(wait as u64 * 100));
                }
                None => clock.changed.wait(&mut queue),
            }
        }
    }

    /// Whether time moves only when somebody moves it.
    pub(crate) fn is_virtual(&self) -> bool {
        self.mode == ClockMode::Virtual
    }

    /// Whether a thread has to serve the queue.
    pub(crate) fn needs_thread(&self) -> bool {
        self.mode == ClockMode::Real
    }

    /// Ends [`Clock::serve`] and drops what is queued.
    pub(crate) fn stop(&self) {
        let mut queue = self.queue.lock();
        self.stop.store(true, Ordering::Release);
        queue.clear();
        drop(queue);
        self.changed.notify_all();
    }
}

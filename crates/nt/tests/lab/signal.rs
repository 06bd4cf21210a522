//! An event that counts, set from wherever the kernel calls back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nt::registry::Changed;
use nt::sync::{Event, Waited};
use nt::work::{Deferred, Tick, Work};
use nt::{Arc, Dispatch, Passive, Result, Status};

use crate::driver::TAG;

/// Longer than anything takes that is not lost.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// Signals an event from wherever it is run, and counts.
pub(crate) struct Signal {
    pub(crate) event: Event,
    pub(crate) count: AtomicU32,
}

impl Signal {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::new(
            TAG,
            Self {
                event: Event::auto_reset(TAG, false)?,
                count: AtomicU32::new(0),
            },
        )
    }

    pub(crate) fn fire(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.event.set();
    }

    /// Waits for the next time; the number of times so far.
    pub(crate) fn next(&self, passive: Passive<'_>) -> Result<usize> {
        match self.event.wait_for(LONG, passive) {
            Waited::Signalled => Ok(self.count.load(Ordering::Relaxed) as usize),
            Waited::TimedOut => Err(Status::TIMEOUT),
        }
    }
}

impl Tick for Signal {
    fn tick(&self, _: Dispatch<'_>) {
        self.fire();
    }
}

impl Deferred for Signal {
    fn run(&self, _: Dispatch<'_>) {
        self.fire();
    }
}

impl Work for Signal {
    fn run(&self, _: Passive<'_>) {
        self.fire();
    }
}

impl Changed for Signal {
    fn changed(&self, _: Passive<'_>) {
        self.fire();
    }
}

//! What NDIS threads wait for.

use std::{
    cell::UnsafeCell,
    time::{Duration, Instant},
};

use crate::{
    clock::SECOND,
    ke::dispatcher::{self, kind},
    kernel::kernel,
    verifier::Rule,
};

/// How long a driver may take for what must end (a pause, a request) before it counts as hung.
const PATIENCE: i64 = 30 * SECOND;

/// A kernel event that belongs to NDIS.
pub(crate) struct Signal {
    object: Box<UnsafeCell<[u64; 3]>>,
}

// SAFETY: the cell is a dispatcher object, only touched through the dispatcher, under its lock.
unsafe impl Sync for Signal {}
// SAFETY: as above.
unsafe impl Send for Signal {}

impl Signal {
    fn of_kind(kind: u8, state: i32) -> Signal {
        let signal = Signal {
            object: Box::new(UnsafeCell::new([0; 3])),
        };
        dispatcher::initialize(signal.address(), kind, 24, state);
        signal
    }

    /// Stays set until it is cleared.
    pub(crate) fn new() -> Signal {
        Signal::of_kind(kind::NOTIFICATION_EVENT, 0)
    }

    fn address(&self) -> usize {
        self.object.get() as usize
    }

    pub(crate) fn set(&self) {
        dispatcher::update(self.address(), |_| 1);
    }

    pub(crate) fn clear(&self) {
        dispatcher::update(self.address(), |_| 0);
    }

    /// Waits until it is set, or for `timeout` units of 100 ns; says whether it was set.
    pub(crate) fn wait(&self, timeout: Option<i64>) -> bool {
        dispatcher::wait(&[self.address()], false, timeout.map(|t| -t)) == dispatcher::STATUS_WAIT_0
    }

    /// Waits for what a driver must bring about; stops the kernel when it does not.
    pub(crate) fn wait_for_driver(&self, what: impl FnOnce() -> String) {
        if !self.wait(Some(PATIENCE)) {
            crate::bugcheck!(Rule::NdisHang; "{}", what());
        }
    }
}

/// A lock that may be held while drivers are called and wait.
pub(crate) struct SleepLock {
    free: Signal,
}

impl SleepLock {
    pub(crate) fn new() -> SleepLock {
        SleepLock {
            free: Signal::of_kind(kind::SYNCHRONIZATION_EVENT, 1),
        }
    }

    /// Runs `body` with the lock held.
    pub(crate) fn with<R>(&self, body: impl FnOnce() -> R) -> R {
        struct Release<'a>(&'a Signal);
        impl Drop for Release<'_> {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        self.free.wait(None);
        let _release = Release(&self.free);
        body()
    }
}

/// Waits until `done`, looking again each millisecond; stops the kernel when it takes too long.
pub(crate) fn poll_for_driver(mut done: impl FnMut() -> bool, what: impl FnOnce() -> String) {
    let kernel = kernel();
    // Where threads run by themselves virtual time stands still unless the test moves it, which it cannot do from here.
    let stands_still = kernel.clock.is_virtual() && kernel.sched.baton.is_none();
    let started = Instant::now();
    let start = kernel.clock.now();
    let never = Signal::new();
    while !done() {
        let waited = if stands_still {
            (started.elapsed().as_nanos() / 100) as i64
        } else {
            kernel.clock.now() - start
        };
        if waited > PATIENCE {
            crate::bugcheck!(Rule::NdisHang; "{}", what());
        }
        if stands_still {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            never.wait(Some(10_000));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::poll_for_driver;
    use crate::{ClockMode, Lab};

    #[test]
    fn polling_ends_although_the_clock_stands_still() {
        let lab = Lab::builder().clock(ClockMode::Virtual).boot().unwrap();
        let mut looks = 0;
        lab.enter(|| {
            let done = || {
                looks += 1;
                looks == 3
            };
            poll_for_driver(done, || "never".to_owned());
        })
        .unwrap();
        assert_eq!(looks, 3);
    }
}

//! Ctrl-C: the first one asks for a clean end, the second one ends at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Failure;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Wakes who waits in [`wait`].
static BELL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// From here on Ctrl-C (and Ctrl-Break, and a request to terminate) is something to ask for with [`interrupted`].
pub fn catch() -> Result<(), Failure> {
    static CAUGHT: Once = Once::new();
    let mut result = Ok(());
    CAUGHT.call_once(|| {
        result = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                // Whoever asks twice does not want to wait for what is going on.
                std::process::exit(130);
            }
            drop(BELL.0.lock().unwrap_or_else(PoisonError::into_inner));
            BELL.1.notify_all();
        })
        .map_err(|error| Failure::new("cannot handle Ctrl-C").because(error));
    });
    result
}

/// Does what Ctrl-C does, where a terminal gives it to the program as a key.
#[cfg(feature = "tui")]
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether it is time to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Waits for a time, or until Ctrl-C; tells whether it was Ctrl-C.
pub fn wait(time: Duration) -> bool {
    let end = Instant::now() + time;
    let mut guard = BELL.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if interrupted() || left.is_zero() {
            return interrupted();
        }
        let woken = BELL.1.wait_timeout(guard, left);
        guard = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

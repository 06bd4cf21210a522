//! A counted gate: frames go in and come out, and whoever closes it waits for the last one.

use core::sync::atomic::{AtomicU32, Ordering};

use nt::sync::Event;
use nt::{Passive, Result};

/// The bit that says that nobody may enter; the others count who is inside.
const CLOSED: u32 = 1 << 31;

/// A gate that frames of our own pass while others have them. Unlike run-down protection it counts frames in batches, and
/// it can be opened again.
pub(crate) struct Gate {
    state: AtomicU32,
    drained: Event,
}

impl Gate {
    /// A closed gate with nobody inside.
    pub(crate) fn closed() -> Result<Self> {
        Ok(Self {
            state: AtomicU32::new(CLOSED),
            drained: Event::auto_reset(crate::TAG, false)?,
        })
    }

    /// Lets `count` in, unless the gate is closed.
    #[must_use]
    pub(crate) fn enter(&self, count: u32) -> bool {
        let before = self.state.fetch_add(count, Ordering::AcqRel);
        if before & CLOSED != 0 {
            self.leave(count);
            return false;
        }
        true
    }

    /// Lets `count` out that have entered.
    pub(crate) fn leave(&self, count: u32) {
        let before = self.state.fetch_sub(count, Ordering::AcqRel);
        if before.wrapping_sub(count) == CLOSED {
            self.drained.set();
        }
    }

    /// Closes the gate and waits until nobody is inside.
    pub(crate) fn close(&self, passive: Passive<'_>) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
        let mut waited = false;
        while self.state.load(Ordering::Acquire) & !CLOSED != 0 {
            self.drained.wait(passive);
            waited = true;
        }
        if waited {
            // The last one to leave wakes one who waits; there may be another.
            self.drained.set();
        }
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        self.state.fetch_and(!CLOSED, Ordering::AcqRel);
    }
}

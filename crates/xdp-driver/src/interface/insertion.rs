//! In which directions the filter takes part.
//!
//! Without users NDIS goes round the filter. A change takes a restart of the filter module, during which no traffic flows,
//! so the last user's going is not acted upon at once: the next may come soon.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

use nt::ndis::Datapath;
use nt::sync::{Event, Waited};
use nt::{Passive, Result};

use super::Way;

/// How long a caller waits for the filter to be inserted at most.
const PATIENCE: Duration = Duration::from_millis(1000);

/// Users of the two directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Use {
    pub(super) receive: bool,
    pub(super) send: bool,
}

/// The filter's place in the data path.
pub(super) struct Insertion {
    receive: Side,
    send: Side,
    /// Set whenever the adapter has restarted.
    restarted: Event,
}

#[derive(Default)]
struct Side {
    users: AtomicU32,
    /// Whether the filter is to be there: set by the first user, cleared some time after the last.
    wanted: AtomicBool,
    /// What NDIS was last told.
    installed: AtomicBool,
    /// The same, once the adapter ran again.
    runs: AtomicBool,
}

impl Insertion {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            receive: Side::default(),
            send: Side::default(),
            restarted: Event::manual_reset(crate::TAG, false)?,
        })
    }

    fn sides(&self, which: Use) -> impl Iterator<Item = &Side> {
        let receive = which.receive.then_some(&self.receive);
        let send = which.send.then_some(&self.send);
        receive.into_iter().chain(send)
    }

    /// Adds a user; whether the filter has to be restarted for it.
    pub(super) fn acquire(&self, which: Use) -> bool {
        let mut missing = false;
        for side in self.sides(which) {
            side.users.fetch_add(1, Ordering::Relaxed);
            side.wanted.store(true, Ordering::SeqCst);
            missing |= !side.installed.load(Ordering::SeqCst);
        }
        missing
    }

    /// Removes a user; whether it was the last of a direction.
    pub(super) fn release(&self, which: Use) -> bool {
        let mut last = false;
        for side in self.sides(which) {
            last |= side.users.fetch_sub(1, Ordering::Relaxed) == 1;
        }
        last
    }

    /// Gives up the directions that still have no user; whether there are any.
    pub(super) fn expire(&self) -> bool {
        let mut expired = false;
        for side in [&self.receive, &self.send] {
            if side.users.load(Ordering::Relaxed) == 0 && side.wanted.swap(false, Ordering::SeqCst)
            {
                expired = true;
            }
        }
        expired
    }

    /// What NDIS is to be told now.
    pub(super) fn datapath(&self) -> Datapath {
        let tell = |side: &Side| loop {
            let wanted = side.wanted.load(Ordering::SeqCst);
            side.installed.store(wanted, Ordering::SeqCst);
            side.runs.fetch_and(wanted, Ordering::Relaxed);
            // Who wants it from here on sees what was stored, or is seen here.
            if side.wanted.load(Ordering::SeqCst) == wanted {
                return wanted;
            }
        };
        Datapath {
            send: tell(&self.send),
            receive: tell(&self.receive),
        }
    }

    /// Whether frames of ours that travel that way come back: NDIS brings none back to a filter that it goes round. Changes
    /// only while the adapter is paused.
    #[inline]
    pub(super) fn brings_back(&self, way: Way) -> bool {
        let side = match way {
            Way::Up => &self.receive,
            Way::Down => &self.send,
        };
        side.installed.load(Ordering::Relaxed)
    }

    /// The adapter has restarted.
    pub(super) fn installed(&self) {
        for side in [&self.receive, &self.send] {
            let installed = side.installed.load(Ordering::Relaxed);
            side.runs.store(installed, Ordering::Release);
        }
        self.restarted.set();
    }

    /// Waits, for some time, until the filter is where it has users.
    pub(super) fn wait(&self, which: Use, passive: Passive<'_>) {
        loop {
            // Cleared before the look, so that a restart in between is not missed.
            self.restarted.clear();
            let mut missing = self
                .sides(which)
                .filter(|side| !side.runs.load(Ordering::Acquire));
            if missing.next().is_none()
                || self.restarted.wait_for(PATIENCE, passive) == Waited::TimedOut
            {
                return;
            }
        }
    }
}

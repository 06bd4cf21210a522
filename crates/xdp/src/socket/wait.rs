//! What sockets are waited for, and how long.

use std::ops::{BitOr, BitOrAssign};
use std::time::{Duration, Instant};

use xdp_abi::xsk::{INFINITE, NotifyFlags, NotifyResultFlags};

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(pub(crate) NotifyFlags);

impl Interest {
    /// Frames to receive.
    #[doc(alias = "XSK_NOTIFY_FLAG_WAIT_RX")]
    pub const RX: Self = Self(NotifyFlags::WAIT_RX);
    /// Frames that have been sent and come back to their memory.
    #[doc(alias = "XSK_NOTIFY_FLAG_WAIT_TX")]
    pub const TX: Self = Self(NotifyFlags::WAIT_TX);

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0.contains(other.0)
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Ready(pub(crate) NotifyResultFlags);

impl Ready {
    /// Whether there are frames to receive.
    #[must_use]
    pub fn rx(self) -> bool {
        self.0.contains(NotifyResultFlags::RX_AVAILABLE)
    }

    /// Whether frames have been sent and can be taken back.
    #[must_use]
    pub fn tx(self) -> bool {
        self.0.contains(NotifyResultFlags::TX_COMP_AVAILABLE)
    }

    /// Whether there is nothing: the deadline has passed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Until when something is waited for. Made of a [`Duration`] from now, or of an [`Instant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// For as long as it takes.
    pub const NEVER: Self = Self(None);

    /// Milliseconds left for the driver, which takes whole ones; 0 once the deadline has passed.
    pub(crate) fn milliseconds(self) -> u32 {
        let Some(instant) = self.0 else {
            return INFINITE;
        };
        let left = instant.saturating_duration_since(Instant::now());
        let milliseconds = left.as_nanos().div_ceil(1_000_000);
        // Longer than the driver can wait at a time: it is asked again.
        u32::try_from(milliseconds)
            .unwrap_or(INFINITE - 1)
            .min(INFINITE - 1)
    }

    /// How long it is until then; `None` for ever.
    pub(crate) fn left(self) -> Option<Duration> {
        let Self(instant) = self;
        instant.map(|instant| instant.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn has_passed(self) -> bool {
        self.0.is_some_and(|instant| instant <= Instant::now())
    }
}

impl From<Duration> for Deadline {
    /// Never, when the duration ends later than there is time.
    fn from(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self(Some(instant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_whole_milliseconds_rounded_up() {
        assert_eq!(Deadline::NEVER.milliseconds(), INFINITE);
        assert_eq!(Deadline::from(Duration::ZERO).milliseconds(), 0);
        assert!(Deadline::from(Duration::ZERO).has_passed());
        assert_eq!(Deadline::from(Duration::MAX), Deadline::NEVER);
        let month = Deadline::from(Duration::from_secs(90 * 86_400));
        assert_eq!(month.milliseconds(), INFINITE - 1);
        assert!(!month.has_passed());
        let soon = Deadline::from(Duration::from_micros(300));
        assert!(soon.milliseconds() <= 1);
    }
}

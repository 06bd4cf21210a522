//! When the next frames are due.

use std::time::{Duration, Instant};

/// Gives out frames at an even rate: what is not taken in time may be taken later.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    start: Instant,
    frames_per_second: Option<f64>,
    given: u64,
    smooth: Option<Smooth>,
}

/// Makes good a pause little by little. Whoever was not running for three milliseconds would otherwise put in at once what was due
/// meanwhile, which is a burst that no network card sends at that rate.
#[derive(Clone, Copy, Debug)]
struct Smooth {
    /// Frames that may be given out now.
    credit: f64,
    last: Duration,
}

/// How much faster than the rate a pause is made good.
const HURRY: f64 = 1.25;
/// How long frames may pile up.
const PILE: Duration = Duration::from_micros(100);
/// Frames that may pile up however slow the rate is.
const LEAST_PILE: f64 = 64.0;

impl Pace {
    /// A pace of so many frames a second from now on; without a number, as fast as it goes.
    pub(crate) fn new(frames_per_second: Option<f64>) -> Self {
        Self {
            start: Instant::now(),
            frames_per_second,
            given: 0,
            smooth: None,
        }
    }

    /// The same without bursts after pauses.
    pub(crate) fn smooth(mut self) -> Self {
        self.smooth = Some(Smooth {
            credit: LEAST_PILE,
            last: Duration::ZERO,
        });
        self
    }

    /// How many frames are due now, `most` at most.
    pub(crate) fn due(&mut self, most: u64) -> u64 {
        self.due_at(self.start.elapsed(), most)
    }

    fn due_at(&mut self, elapsed: Duration, most: u64) -> u64 {
        let Some(rate) = self.frames_per_second else {
            self.given += most;
            return most;
        };
        // The first is due at once.
        let so_far = (elapsed.as_secs_f64() * rate) as u64 + 1;
        let mut due = so_far.saturating_sub(self.given).min(most);
        if let Some(smooth) = &mut self.smooth {
            let earned = elapsed.saturating_sub(smooth.last).as_secs_f64() * rate * HURRY;
            let pile = LEAST_PILE.max(PILE.as_secs_f64() * rate);
            smooth.last = elapsed;
            smooth.credit = (smooth.credit + earned).min(pile);
            due = due.min(smooth.credit as u64);
            smooth.credit -= due as f64;
        }
        self.given += due;
        due
    }

    /// How long until the next frame is due.
    pub(crate) fn until_next(&self) -> Duration {
        match self.frames_per_second {
            Some(rate) => {
                let next = Duration::from_secs_f64(self.given as f64 / rate);
                next.saturating_sub(self.start.elapsed())
            }
            None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_due_evenly_and_none_is_forgotten() {
        let mut pace = Pace::new(Some(1000.0));
        let mut at = |milliseconds, most| pace.due_at(Duration::from_millis(milliseconds), most);
        assert_eq!(at(0, 64), 1);
        assert_eq!(at(0, 64), 0);
        assert_eq!(at(10, 64), 10);
        assert_eq!(at(200, 64), 64);
        assert_eq!(at(200, 640), 126);
        assert_eq!(at(200, 640), 0);
        let mut pace = Pace::new(Some(1000.0));
        let total: u64 = (0..=5000)
            .map(|ms| pace.due_at(Duration::from_millis(ms), 8))
            .sum();
        assert_eq!(total, 5001);
    }

    #[test]
    fn a_pause_is_made_good_little_by_little() {
        let mut pace = Pace::new(Some(1e6)).smooth();
        let mut at = |microseconds| pace.due_at(Duration::from_micros(microseconds), 10_000);
        let mut given: u64 = (0..100).map(&mut at).sum();
        assert_eq!(given, 100);
        // Three milliseconds without a look.
        let late = at(3100);
        assert_eq!(late, 100);
        given += late;
        for microseconds in (3140..20_000).step_by(40) {
            let due = at(microseconds);
            assert!(due <= 50, "{due} at {microseconds}");
            given += due;
        }
        // None is forgotten.
        assert_eq!(given, 19_981);
    }

    #[test]
    fn without_a_rate_everything_is_due() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.due(64), 64);
        assert_eq!(pace.until_next(), Duration::ZERO);
    }
}

//! When the next frames are due.

use std::time::{Duration, Instant};

/// Gives out frames at an even rate: what is not taken in time may be taken later.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    start: Instant,
    frames_per_second: Option<f64>,
    given: u64,
}

impl Pace {
    /// A pace of so many frames a second from now on; without a number, as fast as it goes.
    pub(crate) fn new(frames_per_second: Option<f64>) -> Self {
        Self {
            start: Instant::now(),
            frames_per_second,
            given: 0,
        }
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
        let due = so_far.saturating_sub(self.given).min(most);
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
    fn without_a_rate_everything_is_due() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.due(64), 64);
        assert_eq!(pace.until_next(), Duration::ZERO);
    }
}

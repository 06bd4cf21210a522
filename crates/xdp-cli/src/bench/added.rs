//! What a driver adds: each frame's time less the time of a word that the same two threads handed over beside it.
//!
//! A thread that does not run for some milliseconds delays both alike. So the difference stays what the driver, the card and the
//! socket cost, also on a machine where the latency itself tells of its other guests.

use std::time::Duration;

use super::histogram::Histogram;

/// Frames that may be under way; later ones take the place of those that never came back.
const UNDER_WAY: usize = 1 << 16;

/// Which of the two came back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Frame,
    Word,
}

/// The half that came back first waits for the other one.
#[derive(Clone, Copy)]
struct Waiting {
    number: u64,
    half: Half,
    took: Duration,
}

/// Puts the times of frames and words together.
pub(super) struct Added {
    waiting: Vec<Option<Waiting>>,
    words: Histogram,
    differences: Histogram,
}

impl Added {
    pub(super) fn new() -> Self {
        Self {
            waiting: vec![None; UNDER_WAY],
            words: Histogram::default(),
            differences: Histogram::default(),
        }
    }

    /// A frame came back after such a time.
    pub(super) fn frame(&mut self, number: u64, took: Duration) {
        self.pair(number, Half::Frame, took);
    }

    /// A word came back after such a time.
    pub(super) fn word(&mut self, number: u64, took: Duration) {
        self.words.record(took);
        self.pair(number, Half::Word, took);
    }

    /// How long words took.
    pub(super) fn words(&self) -> &Histogram {
        &self.words
    }

    /// How much longer frames took than their words; nothing if the word was the later one.
    pub(super) fn differences(&self) -> &Histogram {
        &self.differences
    }

    fn pair(&mut self, number: u64, half: Half, took: Duration) {
        let Some(slot) = self.waiting.get_mut(number as usize % UNDER_WAY) else {
            return;
        };
        match slot.take() {
            Some(other) if other.number == number && other.half != half => {
                let (frame, word) = match half {
                    Half::Frame => (took, other.took),
                    Half::Word => (other.took, took),
                };
                self.differences.record(frame.saturating_sub(word));
            }
            _ => *slot = Some(Waiting { number, half, took }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn a_frame_is_compared_with_its_own_word() {
        let mut added = Added::new();
        added.word(0, 5 * US);
        added.frame(1, 30 * US);
        assert_eq!(added.differences().samples(), 0);
        added.frame(0, 7 * US);
        assert_eq!(added.differences().max_ns(), 2000);
        added.word(1, 10 * US);
        assert_eq!(added.differences().max_ns(), 20_000);
        assert_eq!(added.differences().samples(), 2);
        assert_eq!(added.words().samples(), 2);
    }

    #[test]
    fn a_pause_that_both_saw_is_not_added_by_the_driver() {
        let mut added = Added::new();
        added.word(0, 4000 * US);
        added.frame(0, 4001 * US);
        added.frame(1, 3990 * US);
        added.word(1, 3991 * US);
        assert_eq!(added.differences().samples(), 2);
        assert_eq!(added.differences().max_ns(), 1000);
    }

    #[test]
    fn a_frame_that_never_came_back_makes_room() {
        let mut added = Added::new();
        added.word(3, US);
        added.word(3 + UNDER_WAY as u64, US);
        added.frame(3, 9 * US);
        assert_eq!(added.differences().samples(), 0);
        added.frame(3 + 2 * UNDER_WAY as u64, 9 * US);
        added.word(3 + 2 * UNDER_WAY as u64, 2 * US);
        assert_eq!(added.differences().max_ns(), 7000);
    }
}

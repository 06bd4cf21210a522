//! Listens to what comes from the wire while somebody watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xdp::lab::{CableError, Feed, Source};

use crate::talkers::{Talker, Talkers};

/// Who has not asked for this time watches no more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Talkers that are told.
const LOUDEST: usize = 64;

/// What was heard of a network card.
#[derive(Clone)]
pub(super) struct Ear {
    heard: Arc<Heard>,
}

struct Heard {
    born: Instant,
    /// Until when somebody listens, in milliseconds after `born`.
    until: AtomicU64,
    talkers: Mutex<Talkers>,
}

impl Ear {
    pub(super) fn new() -> Self {
        let heard = Heard {
            born: Instant::now(),
            until: AtomicU64::new(0),
            talkers: Mutex::default(),
        };
        Self {
            heard: heard.into(),
        }
    }

    fn now(&self) -> u64 {
        self.heard.born.elapsed().as_millis() as u64
    }

    /// Counts frames, if anybody wants to know.
    pub(super) fn hear<'f>(&self, frames: impl IntoIterator<Item = &'f [u8]>) {
        if self.heard.until.load(Ordering::Relaxed) <= self.now() {
            return;
        }
        let mut talkers = self
            .heard
            .talkers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        frames.into_iter().for_each(|frame| talkers.count(frame));
    }

    /// The loudest; from now on, for a while, frames are counted.
    pub(super) fn ask(&self) -> Vec<Talker> {
        let now = self.now();
        let until = now + PATIENCE.as_millis() as u64;
        let mut talkers = self
            .heard
            .talkers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.heard.until.swap(until, Ordering::Relaxed) <= now {
            // Nobody listened meanwhile: what is known is of another time.
            *talkers = Talkers::default();
        }
        talkers.loudest(LOUDEST)
    }
}

/// A cable with an ear at it.
pub(super) struct Overheard {
    pub(super) source: Box<dyn Source>,
    pub(super) ear: Ear,
}

impl Source for Overheard {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        let before = frames.len();
        let feed = self.source.receive(frames, wait)?;
        let new = frames.get(before..).unwrap_or_default();
        self.ear.hear(new.iter().map(Vec::as_slice));
        Ok(feed)
    }

    fn lost(&mut self) -> u64 {
        self.source.lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load;

    #[test]
    fn it_hears_from_the_first_question_on() {
        let ear = Ear::new();
        let frame = load::frame(60, [1; 6], [2; 6], 0);
        ear.hear([frame.as_slice()]);
        assert_eq!(ear.ask(), []);
        ear.hear([frame.as_slice()]);
        ear.hear([frame.as_slice()]);
        let heard = ear.ask();
        assert_eq!((heard.len(), heard[0].frames, heard[0].bytes), (1, 2, 120));
    }
}

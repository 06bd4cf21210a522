//! Words that two threads hand over to each other, with nothing between them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A word that goes to the other thread and back, beside the frame of its number.
pub(super) struct Word {
    pub(super) number: u64,
    pub(super) sent: Duration,
}

/// One thread's end of both ways.
pub(super) struct Handover {
    to: Sender<Word>,
    from: Receiver<Word>,
}

impl Handover {
    /// Both ends.
    pub(super) fn ends() -> (Self, Self) {
        let ((to_there, from_here), (to_here, from_there)) = (channel(), channel());
        let here = Self {
            to: to_there,
            from: from_there,
        };
        let there = Self {
            to: to_here,
            from: from_here,
        };
        (here, there)
    }

    /// Sends a word.
    pub(super) fn send(&self, number: u64, sent: Duration) {
        self.pass(Word { number, sent });
    }

    /// The next word that has come.
    pub(super) fn take(&self) -> Option<Word> {
        self.from.try_recv().ok()
    }

    /// Sends words back that have come, `most` at most.
    pub(super) fn echo(&self, most: usize) {
        for word in self.from.try_iter().take(most) {
            self.pass(word);
        }
    }

    fn pass(&self, word: Word) {
        // Without the other end nobody waits for it any more.
        let _ = self.to.send(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_in_order() {
        let (here, there) = Handover::ends();
        for number in 0..3 {
            here.send(number, Duration::from_nanos(number));
        }
        assert!(here.take().is_none());
        there.echo(2);
        let back: Vec<_> = std::iter::from_fn(|| here.take())
            .map(|word| word.number)
            .collect();
        assert_eq!(back, [0, 1]);
        there.echo(2);
        assert_eq!(here.take().map(|word| word.number), Some(2));
    }

    #[test]
    fn an_end_that_is_gone_is_no_reason_to_stop() {
        let (here, there) = Handover::ends();
        here.send(0, Duration::ZERO);
        drop(there);
        here.send(1, Duration::ZERO);
        assert!(here.take().is_none());
    }
}

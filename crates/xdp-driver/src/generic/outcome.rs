//! What becomes of frames: verdicts on lists, counts, and frames on their way to sockets.

use nt::Dispatch;

use crate::counters::count;
use crate::interface::RxQueue;
use crate::program::{Rule, Target};
use crate::socket::{RxFrame, Socket};

/// Lists that are inspected at once.
pub(super) const BATCH: usize = 64;

/// Frames that are delivered to a socket at once.
const DELIVERY: usize = BATCH;

/// What happens to a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// Dropped, or copied to a socket.
    Drop,
    Forward,
}

/// A frame on its way.
pub(super) struct Arrival<'a> {
    pub(super) frame: RxFrame<'a>,
    /// Which list of the batch goes where this frame goes; none if it is not the first of its list.
    pub(super) list_number: usize,
}

/// What becomes of the frames of a batch.
pub(super) struct Outcome<'a> {
    pub(super) verdicts: Verdicts,
    pub(super) delivery: Delivery<'a>,
    pub(super) tally: Tally<'a>,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(queue: &'a RxQueue, dispatch: Dispatch<'a>) -> Self {
        Self {
            verdicts: Verdicts::new(),
            delivery: Delivery::new(queue, dispatch),
            tally: Tally::default(),
        }
    }

    #[cold]
    pub(super) fn unmapped(&mut self, arrival: &Arrival<'_>) {
        self.tally.unmapped += 1;
        self.verdicts.set(arrival.list_number, Verdict::Drop);
    }

    #[cold]
    pub(super) fn malformed(&mut self, list_number: usize) {
        self.tally.malformed += 1;
        self.verdicts.set(list_number, Verdict::Drop);
    }

    /// Decides on a frame, given its rule.
    #[inline]
    pub(super) fn decide(&mut self, arrival: &Arrival<'a>, rule: Option<&'a Rule>) {
        let verdict = self.verdict(arrival, rule);
        self.verdicts.set(arrival.list_number, verdict);
    }

    #[inline]
    fn verdict(&mut self, arrival: &Arrival<'a>, rule: Option<&'a Rule>) -> Verdict {
        let Self {
            delivery, tally, ..
        } = self;
        let Some(rule) = rule else {
            tally.passed += 1;
            return Verdict::Pass;
        };
        tally.decided(rule);
        let (queue, dispatch) = (delivery.queue, delivery.dispatch);
        let socket = match &rule.target {
            Target::Pass => {
                tally.passed += 1;
                return Verdict::Pass;
            }
            Target::Drop => {
                tally.dropped += 1;
                return Verdict::Drop;
            }
            Target::Forward => {
                tally.forwarded += 1;
                return Verdict::Forward;
            }
            Target::Socket(socket) => socket,
            Target::Map(map) => match map.get(queue.id(), dispatch) {
                Some(socket) => socket,
                None => {
                    tally.dropped += 1;
                    return Verdict::Drop;
                }
            },
        };
        tally.redirected += 1;
        if socket.is_fed_by(queue.identity()) {
            delivery.add(socket, arrival.frame);
        } else {
            tally.misdirected += 1;
        }
        Verdict::Drop
    }
}

/// The verdicts of a batch.
pub(super) struct Verdicts {
    verdicts: [Verdict; BATCH],
    pub(super) len: usize,
}

impl Verdicts {
    pub(super) const fn new() -> Self {
        Self {
            verdicts: [Verdict::Pass; BATCH],
            len: 0,
        }
    }

    pub(super) fn get(&self, at: usize) -> Verdict {
        self.verdicts.get(at).copied().unwrap_or(Verdict::Pass)
    }

    #[inline]
    fn set(&mut self, at: usize, verdict: Verdict) {
        if let Some(slot) = self.verdicts.get_mut(at) {
            *slot = verdict;
        }
    }

    /// The verdicts in order, and for how many lists in a row each is.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Verdict, usize)> {
        let verdicts = self.verdicts.get(..self.len).unwrap_or_default();
        let mut at = 0;
        core::iter::from_fn(move || {
            let rest = verdicts.get(at..)?;
            let first = *rest.first()?;
            let len = rest.iter().take_while(|verdict| **verdict == first).count();
            at += len;
            Some((first, len))
        })
    }
}

/// How many frames got which verdict.
#[derive(Default)]
pub(super) struct Tally<'a> {
    /// The rule that decided last, and how often in a row: most frames go as the one before.
    rule: Option<&'a Rule>,
    hits: u32,
    passed: u32,
    dropped: u32,
    redirected: u32,
    forwarded: u32,
    pub(super) discontiguous: u32,
    misdirected: u32,
    unmapped: u32,
    pub(super) malformed: u32,
    pub(super) loopback: u32,
}

impl<'a> Tally<'a> {
    #[inline]
    fn decided(&mut self, rule: &'a Rule) {
        if !self.rule.is_some_and(|last| core::ptr::eq(last, rule)) {
            self.count_hits();
            self.rule = Some(rule);
        }
        self.hits += 1;
    }

    fn count_hits(&mut self) {
        if let Some(rule) = self.rule {
            rule.count(core::mem::take(&mut self.hits));
        }
    }

    pub(super) fn note(&mut self, queue: &RxQueue) {
        self.count_hits();
        let counters = &queue.counters;
        count(counters.batches(), 1);
        count(counters.passed(), self.passed);
        count(counters.dropped(), self.dropped);
        count(counters.redirected(), self.redirected);
        count(counters.forwarded(), self.forwarded);
        count(counters.discontiguous(), self.discontiguous);
        count(counters.misdirected(), self.misdirected);
        count(queue.generic.mapping_failures(), self.unmapped);
        count(queue.generic.malformed(), self.malformed);
        count(queue.generic.loopback_skipped(), self.loopback);
    }
}

/// Frames on their way to one socket.
pub(super) struct Delivery<'a> {
    queue: &'a RxQueue,
    dispatch: Dispatch<'a>,
    socket: Option<&'a Socket>,
    frames: [Option<RxFrame<'a>>; DELIVERY],
    len: usize,
}

impl<'a> Delivery<'a> {
    const fn new(queue: &'a RxQueue, dispatch: Dispatch<'a>) -> Self {
        Self {
            queue,
            dispatch,
            socket: None,
            frames: [None; DELIVERY],
            len: 0,
        }
    }

    #[inline]
    fn add(&mut self, socket: &'a Socket, frame: RxFrame<'a>) {
        let is_other = self
            .socket
            .is_some_and(|current| !core::ptr::eq(current, socket));
        if is_other || self.len == DELIVERY {
            self.flush();
        }
        self.socket = Some(socket);
        if let Some(slot) = self.frames.get_mut(self.len) {
            *slot = Some(frame);
            self.len += 1;
        }
    }

    pub(super) fn flush(&mut self) {
        let frames = self.frames.get(..self.len).unwrap_or_default();
        if let (Some(socket), false) = (self.socket, frames.is_empty()) {
            socket.deliver(frames, &self.queue.counters, self.dispatch);
        }
        self.len = 0;
    }
}

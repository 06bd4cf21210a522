//! Finding the first rule for each of many frames.
//!
//! Frames come in chains, and some lists gain from that:
//!
//! - What a search in a large table waits for is memory. One frame after the other, the processor sees only a few loads ahead.
//!   A [`Batch`] gathers frames, and each step of their searches has a short loop of its own, so that the loads of many of them are
//!   under way at once.
//! - Live port sets without an address have to be asked one after the other for each frame: it cannot be known that none of
//!   them has changed. For frames that arrive together it is enough to ask once for each port.
//!
//! Where a frame needs several searches, those overlap well by themselves. Taking one search after the other for all frames, or the
//! frames in an order that makes branches easy to foresee, was measured to cost more than it gains. There, and where there is only
//! one small thing to look at, frames do not wait.

mod answers;
mod steps;

use crate::classifier::{Classifier, Hit};
use crate::pattern::PortSet;
use crate::plan::Class;
use crate::store::Store;
use crate::tables::{Step, Tuple4};
use answers::Answers;
use steps::{Ask, Destination, Once, Steps};
use xdp_packet::Frame;

/// Frames that are searched for together: enough to hide what loads take, and little enough for a kernel stack.
const TOGETHER: usize = 16;

/// A value for each frame.
type Column<T> = [T; TOGETHER];

/// Frames whose rules are looked for together. What was added last is decided on by [`Batch::finish`].
///
/// `I` is what belongs to a frame. Frames are decided on in the order in which they were added.
///
/// A port set may be asked once for several of the frames: a change of it is seen by the next batch at the latest.
pub struct Batch<'r, P, T, S: Store, I> {
    rules: &'r Classifier<P, T, S>,
    kind: Kind,
    /// Of frames that wait.
    items: Column<Option<I>>,
}

/// What there is to gain.
enum Gain {
    /// IPv4 UDP is looked for in the table of its ends only: frames wait for each other.
    Tuples,
    /// IPv4 UDP is looked for among the prefixes of its destination only: frames wait for each other.
    Prefixes,
    /// IPv4 UDP is looked for in the port sets of its destination only: frames wait for each other.
    Addresses,
    /// UDP is looked for in port sets only: frames to the same port have the same answer.
    Ports,
}

enum Kind {
    Tuples(Waiting<Once<Tuple4>>),
    Prefixes(Waiting<Once<Destination>>),
    Addresses(Waiting<Ask>),
    Ports(Answers),
}

impl<'r, P: PortSet, T, S: Store, I> Batch<'r, P, T, S, I> {
    /// Adds a frame of one buffer; calls `decided` when many are waiting.
    #[inline]
    pub fn add(&mut self, item: I, bytes: &[u8], decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        let place = match &mut self.kind {
            Kind::Tuples(waiting) => waiting.add(Steps::begin(self.rules, bytes)),
            Kind::Prefixes(waiting) => waiting.add(Steps::begin(self.rules, bytes)),
            Kind::Addresses(waiting) => waiting.add(Steps::begin(self.rules, bytes)),
            Kind::Ports(answers) => {
                decided(item, self.rules.hit(answers.search(self.rules, bytes)));
                return;
            }
        };
        self.put(place, item, decided);
    }

    /// Adds a frame of any number of buffers; calls `decided` when many are waiting.
    pub fn add_frame(
        &mut self,
        item: I,
        frame: &Frame<'_>,
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        let rule = self.rules.search_frame(frame);
        let place = match &mut self.kind {
            Kind::Tuples(waiting) => waiting.add(Steps::known(rule)),
            Kind::Prefixes(waiting) => waiting.add(Steps::known(rule)),
            Kind::Addresses(waiting) => waiting.add(Steps::known(rule)),
            Kind::Ports(_) => {
                decided(item, self.rules.hit(rule));
                return;
            }
        };
        self.put(place, item, decided);
    }

    /// Decides on the frames that are left.
    pub fn finish(mut self, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        self.decide(decided);
    }

    #[inline]
    fn put(&mut self, place: usize, item: I, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        if let Some(items) = self.items.get_mut(place) {
            *items = Some(item);
        }
        if place.wrapping_add(1) >= TOGETHER {
            self.decide(decided);
        }
    }

    #[inline(never)]
    fn decide(&mut self, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        let Self { rules, kind, items } = self;
        let mut items = items.iter_mut();
        let mut decided = |hit| {
            if let Some(item) = items.next().and_then(Option::take) {
                decided(item, hit);
            }
        };
        match kind {
            Kind::Tuples(waiting) => waiting.decide(rules, &mut decided),
            Kind::Prefixes(waiting) => waiting.decide(rules, &mut decided),
            Kind::Addresses(waiting) => waiting.decide(rules, &mut decided),
            Kind::Ports(_) => {}
        }
    }
}

/// Frames that wait for each other.
struct Waiting<X> {
    len: usize,
    frames: Column<X>,
}

impl<X: Steps> Waiting<X> {
    fn new() -> Self {
        Self {
            len: 0,
            frames: [X::default(); TOGETHER],
        }
    }

    /// Adds a frame; returns its place.
    #[inline(always)]
    fn add(&mut self, frame: X) -> usize {
        let place = self.len;
        if let Some(frames) = self.frames.get_mut(place) {
            *frames = frame;
            self.len = place.wrapping_add(1);
        }
        place
    }

    /// Decides on those that are there.
    #[inline]
    fn decide<'r, P: PortSet, T, S: Store>(
        &mut self,
        rules: &'r Classifier<P, T, S>,
        decided: &mut impl FnMut(Option<Hit<'r, T>>),
    ) {
        let frames = self.frames.get_mut(..self.len).unwrap_or_default();
        for frame in &mut *frames {
            frame.look_up(rules);
        }
        for frame in frames {
            decided(rules.hit(frame.end(rules)));
        }
        self.len = 0;
    }
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Makes a batch of no frames; none where [`Classifier::classify`] is as fast for each frame by itself.
    #[inline]
    #[must_use]
    pub fn batch<I>(&self) -> Option<Batch<'_, P, T, S, I>> {
        let kind = match self.gain()? {
            Gain::Tuples => Kind::Tuples(Waiting::new()),
            Gain::Prefixes => Kind::Prefixes(Waiting::new()),
            Gain::Addresses => Kind::Addresses(Waiting::new()),
            Gain::Ports => Kind::Ports(Answers::EMPTY),
        };
        Some(Batch {
            rules: self,
            kind,
            items: [const { None }; TOGETHER],
        })
    }

    #[inline]
    fn gain(&self) -> Option<Gain> {
        match self.plans.only(Class::Udp4)? {
            Step::Tuple4 => Some(Gain::Tuples),
            Step::Prefix4 => Some(Gain::Prefixes),
            Step::UdpPorts4 => Some(Gain::Addresses),
            Step::UdpPorts if self.has_ports_only() => Some(Gain::Ports),
            _ => None,
        }
    }

    /// Tells whether UDP is looked for in several port sets and nowhere else.
    #[inline]
    fn has_ports_only(&self) -> bool {
        self.plans.only(Class::Udp6) == Some(Step::UdpPorts) && self.tables.udp_ports.has_several()
    }

    /// Finds the first rule for each of many frames, as [`Classifier::classify`] does for one, and calls `decided` for each of
    /// them in turn: with a [`Batch`] where that gains something.
    #[inline]
    pub fn classify_many<'r, 'f>(
        &'r self,
        frames: impl IntoIterator<Item = Frame<'f>>,
        mut decided: impl FnMut(Option<Hit<'r, T>>),
    ) {
        // A loop for each kind, instead of a look at the kind for each frame.
        match self.gain() {
            None => {
                for frame in frames {
                    decided(self.classify(&frame));
                }
            }
            Some(Gain::Ports) => {
                let mut answers = Answers::EMPTY;
                for frame in frames {
                    let id = if frame.is_contiguous() {
                        answers.search(self, frame.first())
                    } else {
                        self.search_frame(&frame)
                    };
                    decided(self.hit(id));
                }
            }
            Some(Gain::Tuples) => self.wait::<Once<Tuple4>>(frames, decided),
            Some(Gain::Prefixes) => self.wait::<Once<Destination>>(frames, decided),
            Some(Gain::Addresses) => self.wait::<Ask>(frames, decided),
        }
    }

    /// Finds the rules for frames that wait for each other: by itself, so that what it needs is in registers.
    #[inline(never)]
    fn wait<'r, 'f, X: Steps>(
        &'r self,
        frames: impl IntoIterator<Item = Frame<'f>>,
        mut decided: impl FnMut(Option<Hit<'r, T>>),
    ) {
        let mut frames = frames.into_iter();
        let mut waiting = Waiting::<X>::new();
        loop {
            for (len, place) in waiting.frames.iter_mut().enumerate() {
                let Some(frame) = frames.next() else {
                    waiting.len = len;
                    waiting.decide(self, &mut decided);
                    return;
                };
                *place = if frame.is_contiguous() {
                    X::begin(self, frame.first())
                } else {
                    X::known(self.search_frame(&frame))
                };
            }
            waiting.len = TOGETHER;
            waiting.decide(self, &mut decided);
        }
    }
}

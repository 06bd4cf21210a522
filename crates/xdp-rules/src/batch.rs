//! Finding the first rule for each of many frames.
//!
//! Frames come in chains, and some lists gain from that:
//!
//! - What a search in a large table waits for is memory. One frame after the other, the processor sees only a few loads ahead.
//!   A [`Batch`] gathers frames, and their lookups stand in short loops, so that the loads of many of them are under way at once.
//! - Live port sets without an address have to be asked one after the other for each frame: it cannot be known that none of
//!   them has changed. For frames that arrive together it is enough to ask once for each port.
//!
//! Where a frame needs several searches, those overlap well by themselves. Taking one search after the other for all frames, or the
//! frames in an order that makes branches easy to foresee, was measured to cost more than it gains. There, and where there is only
//! one small thing to look at, frames do not wait.

use crate::NONE;
use crate::classifier::{Classifier, Hit};
use crate::find::low;
use crate::glance::Flow4;
use crate::pattern::PortSet;
use crate::plan::Class;
use crate::store::Store;
use crate::tables::{Step, Tuple4};
use xdp_abi::Port;
use xdp_packet::Frame;

/// Frames that are searched for together: enough to hide what loads take, and little enough for a kernel stack.
const TOGETHER: usize = 32;

/// A value for each frame.
type Column<T> = [T; TOGETHER];

/// Stands for a rule that has not been looked for.
const PENDING: u32 = NONE - 1;

/// Frames whose rules are looked for together. What was added last is decided on by [`Batch::finish`].
///
/// `I` is what belongs to a frame. Frames are decided on in the order in which they were added.
///
/// A port set may be asked once for several of the frames: a change of it is seen by the next batch at the latest.
pub struct Batch<'r, P, T, S: Store, I> {
    rules: &'r Classifier<P, T, S>,
    kind: Kind<I>,
}

/// What there is to gain.
enum Gain {
    /// IPv4 UDP is looked for in the table of its ends only: frames wait for each other.
    Tuples,
    /// IPv4 UDP is looked for in the port sets of its destination only: frames wait for each other.
    Addresses,
    /// UDP is looked for in port sets only: frames to the same port have the same answer.
    Ports,
}

enum Kind<I> {
    Tuples(Waiting<I, Tuple4>),
    Addresses(Waiting<I, Ask>),
    Ports(Answers),
}

impl<'r, P: PortSet, T, S: Store, I> Batch<'r, P, T, S, I> {
    /// Adds a frame of one buffer; calls `decided` when many are waiting.
    #[inline]
    pub fn add(&mut self, item: I, bytes: &[u8], decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        match &mut self.kind {
            Kind::Tuples(waiting) => waiting.add(self.rules, item, bytes, decided),
            Kind::Addresses(waiting) => waiting.add(self.rules, item, bytes, decided),
            Kind::Ports(answers) => {
                decided(item, self.rules.hit(answers.search(self.rules, bytes)));
            }
        }
    }

    /// Adds a frame of any number of buffers; calls `decided` when many are waiting.
    pub fn add_frame(
        &mut self,
        item: I,
        frame: &Frame<'_>,
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        let id = self.rules.search_frame(frame);
        match &mut self.kind {
            Kind::Tuples(waiting) => waiting.add_found(self.rules, item, id, decided),
            Kind::Addresses(waiting) => waiting.add_found(self.rules, item, id, decided),
            Kind::Ports(_) => decided(item, self.rules.hit(id)),
        }
    }

    /// Decides on the frames that are left.
    pub fn finish(mut self, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        match &mut self.kind {
            Kind::Tuples(waiting) => waiting.decide(self.rules, decided),
            Kind::Addresses(waiting) => waiting.decide(self.rules, decided),
            Kind::Ports(_) => {}
        }
    }
}

/// What is left to do for a frame while it waits. Each number is read back as it was written: put together from smaller ones,
/// reading it would have to wait.
trait Rest: Copy {
    /// For a place that no frame has had.
    const NOTHING: Self;
    /// Whether memory is what it waits for, so that it is done for all frames in a loop of its own.
    const IS_LONG: bool;

    /// Does what comes first for a frame of one buffer; `None` where something else has to be done.
    fn begin<P: PortSet, T, S: Store>(rules: &Classifier<P, T, S>, bytes: &[u8]) -> Option<Self>;

    /// Does the rest; returns the rule.
    fn search<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32;
}

impl Rest for Tuple4 {
    const NOTHING: Self = Self::new(0, 0, 0);
    const IS_LONG: bool = true;

    #[inline]
    fn begin<P: PortSet, T, S: Store>(_: &Classifier<P, T, S>, bytes: &[u8]) -> Option<Self> {
        let flow = Flow4::of(bytes)?;
        Some(Self::new(flow.from, flow.to, flow.ports))
    }

    #[inline]
    fn search<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32 {
        rules.tables.tuple4.table.find(&self)
    }
}

/// A port and the first set that is to be asked for it.
#[derive(Clone, Copy)]
struct Ask {
    first: u32,
    port: u32,
}

impl Rest for Ask {
    const NOTHING: Self = Self {
        first: NONE,
        port: 0,
    };
    const IS_LONG: bool = false;

    #[inline]
    fn begin<P: PortSet, T, S: Store>(rules: &Classifier<P, T, S>, bytes: &[u8]) -> Option<Self> {
        let flow = Flow4::of(bytes)?;
        Some(Self {
            first: rules.tables.udp_ports4.first(&flow.to),
            port: flow.ports,
        })
    }

    #[inline]
    fn search<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32 {
        let port = Port::new(low(self.port));
        rules.tables.udp_ports4.find_from(self.first, port, NONE)
    }
}

/// Frames that wait for each other.
struct Waiting<I, R> {
    len: usize,
    items: Column<Option<I>>,
    found: Column<u32>,
    /// Where nothing was found yet.
    rests: Column<R>,
}

impl<I, R: Rest> Waiting<I, R> {
    const EMPTY: Self = Self {
        len: 0,
        items: [const { None }; TOGETHER],
        found: [NONE; TOGETHER],
        rests: [R::NOTHING; TOGETHER],
    };

    #[inline]
    fn add<'r, P: PortSet, T, S: Store>(
        &mut self,
        rules: &'r Classifier<P, T, S>,
        item: I,
        bytes: &[u8],
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        if let Some(rest) = R::begin(rules, bytes)
            && let Some(place) = self.rests.get_mut(self.len)
        {
            *place = rest;
            self.add_found(rules, item, PENDING, decided);
        } else {
            self.add_found(rules, item, rules.search_slice(bytes), decided);
        }
    }

    /// Adds a frame for which the search is done, or [`PENDING`].
    #[inline]
    fn add_found<'r, P: PortSet, T, S: Store>(
        &mut self,
        rules: &'r Classifier<P, T, S>,
        item: I,
        id: u32,
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        if let (Some(place), Some(found)) =
            (self.items.get_mut(self.len), self.found.get_mut(self.len))
        {
            *place = Some(item);
            *found = id;
            self.len = self.len.wrapping_add(1);
        }
        if self.len == TOGETHER {
            self.decide(rules, decided);
        }
    }

    #[inline(never)]
    fn decide<'r, P: PortSet, T, S: Store>(
        &mut self,
        rules: &'r Classifier<P, T, S>,
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        if R::IS_LONG {
            let waiting = self.found.iter_mut().zip(&self.rests).take(self.len);
            let pending = waiting.filter(|(found, _)| **found == PENDING);
            pending.for_each(|(found, rest)| *found = rest.search(rules));
        }
        let found = self.found.iter().zip(&self.rests);
        for (item, (&found, rest)) in self.items.iter_mut().zip(found).take(self.len) {
            let id = if !R::IS_LONG && found == PENDING {
                rest.search(rules)
            } else {
                found
            };
            if let Some(item) = item.take() {
                decided(item, rules.hit(id));
            }
        }
        self.len = 0;
    }
}

/// Ports that a cache has room for.
const PORTS: usize = 32;
/// Frames for which an answer about a port holds.
const FRESH: usize = 64;

/// What port sets said about a port.
#[derive(Clone, Copy)]
struct Answer {
    /// [`NONE`]: nothing was asked.
    port: u32,
    rule: u32,
}

/// What port sets said a moment ago.
struct Answers {
    /// By the lower bits of ports.
    list: [Answer; PORTS],
    /// Frames since nothing was known.
    frames: usize,
}

impl Answers {
    const EMPTY: Self = Self {
        list: [Answer {
            port: NONE,
            rule: NONE,
        }; PORTS],
        frames: 0,
    };

    /// Searches for a frame of one buffer.
    #[inline]
    fn search<P: PortSet, T, S: Store>(
        &mut self,
        rules: &Classifier<P, T, S>,
        bytes: &[u8],
    ) -> u32 {
        let flow = Flow4::of(bytes).or_else(|| Flow4::ports_of_6(bytes));
        let Some(flow) = flow else {
            return rules.search_slice(bytes);
        };
        if self.frames == FRESH {
            *self = Self::EMPTY;
        }
        self.frames = self.frames.wrapping_add(1);
        let port = low(flow.ports);
        let Some(answer) = self.list.get_mut(usize::from(port) % PORTS) else {
            return NONE;
        };
        if answer.port != u32::from(port) {
            *answer = Answer {
                port: u32::from(port),
                rule: rules.ports(port, NONE),
            };
        }
        answer.rule
    }
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Makes a batch of no frames; none where [`Classifier::classify`] is as fast for each frame by itself.
    #[inline]
    #[must_use]
    pub fn batch<I>(&self) -> Option<Batch<'_, P, T, S, I>> {
        let kind = match self.gain()? {
            Gain::Tuples => Kind::Tuples(Waiting::EMPTY),
            Gain::Addresses => Kind::Addresses(Waiting::EMPTY),
            Gain::Ports => Kind::Ports(Answers::EMPTY),
        };
        Some(Batch { rules: self, kind })
    }

    #[inline]
    fn gain(&self) -> Option<Gain> {
        match self.plans.only(Class::Udp4)? {
            Step::Tuple4 => Some(Gain::Tuples),
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
            Some(Gain::Tuples) => self.wait::<Tuple4>(frames, decided),
            Some(Gain::Addresses) => self.wait::<Ask>(frames, decided),
        }
    }

    #[inline]
    fn wait<'r, 'f, R: Rest>(
        &'r self,
        frames: impl IntoIterator<Item = Frame<'f>>,
        mut decided: impl FnMut(Option<Hit<'r, T>>),
    ) {
        let mut waiting = Waiting::<(), R>::EMPTY;
        let mut decided = |(): (), hit: Option<Hit<'r, T>>| decided(hit);
        for frame in frames {
            if frame.is_contiguous() {
                waiting.add(self, (), frame.first(), &mut decided);
            } else {
                waiting.add_found(self, (), self.search_frame(&frame), &mut decided);
            }
        }
        waiting.decide(self, &mut decided);
    }
}

//! Finding the first rule for each of many frames.
//!
//! Frames come in chains, and some lists gain from that: a [`Batch`] gathers frames before it searches for them.
//!
//! - What a search in a large table waits for is memory. One frame after the other, the processor sees only a few loads ahead.
//!   Here the lookups of many frames stand in one short loop, so that the loads of many of them are under way at once.
//! - Live port sets without an address have to be asked one after the other for each frame: it cannot be known that none of
//!   them has changed. A set is asked for all ports of the batch before the next one is, and for each port once.
//!
//! Where a frame needs several searches, those overlap well by themselves. Taking one search after the other for all frames, or the
//! frames in an order that makes branches easy to foresee, was measured to cost more than it gains. There, and where there is only
//! one small thing to look at, frames do not wait.

use crate::NONE;
use crate::classifier::{Classifier, Hit};
use crate::find::low;
use crate::glance::Flow4;
use crate::pattern::{PortSet, any_udp_ports};
use crate::plan::Class;
use crate::store::Store;
use crate::tables::{Step, Tuple4};
use xdp_abi::Port;
use xdp_packet::Frame;

/// Frames that are searched for together: enough to hide what loads take, and little enough for a kernel stack.
const TOGETHER: usize = 32;

/// A value for each frame.
type Column<T> = [T; TOGETHER];

/// What is searched for many frames at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// IPv4 UDP in the table of its ends only.
    Tuples,
    /// UDP in port sets only.
    Ports,
}

/// Stands for a rule that has not been looked for.
const PENDING: u32 = NONE - 1;

/// Frames whose rules are looked for together. What was added last is decided on by [`Batch::finish`].
///
/// `I` is what belongs to a frame. Frames are decided on in the order in which they were added.
///
/// A port set may be asked once for several of the frames: a change of it is seen by the next batch at the latest.
pub struct Batch<'r, P, T, S: Store, I> {
    rules: &'r Classifier<P, T, S>,
    plan: Plan,
    len: usize,
    items: Column<Option<I>>,
    found: Column<u32>,
    // What is looked for, where it is pending. Each number is read back as it was written: put together from smaller ones, reading
    // it would have to wait.
    addresses: Column<u64>,
    ports: Column<u32>,
}

impl<'r, P: PortSet, T, S: Store, I> Batch<'r, P, T, S, I> {
    /// Adds a frame of one buffer; calls `decided` when many are waiting.
    #[inline]
    pub fn add(&mut self, item: I, bytes: &[u8], decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        let flow = match self.plan {
            Plan::Tuples => Flow4::of(bytes),
            Plan::Ports => Flow4::of(bytes).or_else(|| Flow4::ports_of_6(bytes)),
        };
        if let Some(flow) = flow
            && let (Some(addresses), Some(ports)) = (
                self.addresses.get_mut(self.len),
                self.ports.get_mut(self.len),
            )
        {
            *addresses = flow.addresses();
            *ports = flow.ports;
            self.wait(item, PENDING, decided);
        } else {
            self.wait(item, self.rules.search_slice(bytes), decided);
        }
    }

    /// Adds a frame of any number of buffers; calls `decided` when many are waiting.
    pub fn add_frame(
        &mut self,
        item: I,
        frame: &Frame<'_>,
        decided: &mut impl FnMut(I, Option<Hit<'r, T>>),
    ) {
        self.wait(item, self.rules.search_frame(frame), decided);
    }

    #[inline]
    fn wait(&mut self, item: I, id: u32, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        if let (Some(place), Some(found)) =
            (self.items.get_mut(self.len), self.found.get_mut(self.len))
        {
            *place = Some(item);
            *found = id;
            self.len = self.len.wrapping_add(1);
        }
        if self.len == TOGETHER {
            self.decide(decided);
        }
    }

    /// Decides on the frames that are left.
    pub fn finish(mut self, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        self.decide(decided);
    }

    #[inline(never)]
    fn decide(&mut self, decided: &mut impl FnMut(I, Option<Hit<'r, T>>)) {
        let Self {
            rules,
            addresses,
            ports,
            found,
            len,
            ..
        } = self;
        let tables = &rules.tables;
        let keys = addresses.iter().zip(&*ports);
        let pending = found.iter_mut().zip(keys).take(*len);
        let pending = pending.filter(|(found, _)| **found == PENDING);
        match self.plan {
            Plan::Tuples => pending.for_each(|(found, (&addresses, &ports))| {
                *found = tables.tuple4.table.find(&Tuple4 { addresses, ports });
            }),
            Plan::Ports => {
                rules.find_ports(pending.map(|(found, (_, &ports))| (found, low(ports))))
            }
        }
        for (item, &id) in self.items.iter_mut().zip(&self.found).take(self.len) {
            if let Some(item) = item.take() {
                decided(item, self.rules.hit(id));
            }
        }
        self.len = 0;
    }
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Makes a batch of no frames; none where [`Classifier::classify`] is as fast for each frame by itself.
    #[inline]
    #[must_use]
    pub fn batch<I>(&self) -> Option<Batch<'_, P, T, S, I>> {
        let plan = match self.plans.only(Class::Udp4) {
            Some(Step::Tuple4) => Plan::Tuples,
            Some(Step::UdpPorts) if self.has_ports_only() => Plan::Ports,
            _ => return None,
        };
        Some(Batch {
            rules: self,
            plan,
            len: 0,
            items: [const { None }; TOGETHER],
            found: [NONE; TOGETHER],
            addresses: [0; TOGETHER],
            ports: [0; TOGETHER],
        })
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
        let Some(mut batch) = self.batch() else {
            for frame in frames {
                decided(self.classify(&frame));
            }
            return;
        };
        let mut decided = |(): (), hit: Option<Hit<'r, T>>| decided(hit);
        for frame in frames {
            if frame.is_contiguous() {
                batch.add((), frame.first(), &mut decided);
            } else {
                batch.add_frame((), &frame, &mut decided);
            }
        }
        batch.finish(&mut decided);
    }

    /// Finds the rules for ports.
    #[inline]
    fn find_ports<'w>(&self, pending: impl Iterator<Item = (&'w mut u32, u16)>) {
        const SLOTS: usize = 64;
        // Where the ports that have been seen are among `asked`, by their lower bits.
        let mut seen = [0u8; SLOTS];
        let mut asked: Column<u16> = [0; TOGETHER];
        let mut answers: Column<u32> = [NONE; TOGETHER];
        let mut places: Column<Option<(&mut u32, u32)>> = [const { None }; TOGETHER];
        let mut count = 0usize;
        for ((found, port), place) in pending.zip(&mut places) {
            let Some(slot) = seen.get_mut(usize::from(port) % SLOTS) else {
                continue;
            };
            let mut index = u32::from(*slot);
            if index as usize >= count || asked.get(index as usize) != Some(&port) {
                index = count as u32;
                *slot = count as u8;
                if let Some(place) = asked.get_mut(count) {
                    *place = port;
                    count = count.wrapping_add(1);
                }
            }
            *place = Some((found, index));
        }
        self.ask_sets(asked.get(..count).unwrap_or_default(), &mut answers);
        for (found, index) in places.into_iter().flatten() {
            *found = answers.get(index as usize).copied().unwrap_or(NONE);
        }
    }

    /// Asks one set after the other for ports.
    #[inline]
    fn ask_sets(&self, ports: &[u16], answers: &mut Column<u32>) {
        if let ([port], [answer, ..]) = (ports, &mut *answers) {
            *answer = self.ports(*port, NONE);
            return;
        }
        // Ports without an answer, and which they are: the port in the lower half.
        let mut open: Column<u32> = [0; TOGETHER];
        for ((index, &port), place) in (0u32..).zip(ports).zip(&mut open) {
            *place = index << 16 | u32::from(port);
        }
        let mut len = ports.len();
        for &head in self.tables.udp_ports.heads() {
            let Some(set) = self.arena.pattern(head).and_then(any_udp_ports) else {
                continue;
            };
            let mut left = 0usize;
            for at in 0..len {
                let Some(&port) = open.get(at) else {
                    break;
                };
                if set.contains(Port::new(low(port))) {
                    if let Some(answer) = answers.get_mut((port >> 16) as usize) {
                        *answer = head;
                    }
                    continue;
                }
                // Most stay where they are: what is not written need not be waited for.
                if left != at
                    && let Some(place) = open.get_mut(left)
                {
                    *place = port;
                }
                left = left.wrapping_add(1);
            }
            len = left;
            if len == 0 {
                break;
            }
        }
    }
}

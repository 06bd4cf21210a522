//! Finding the first rule for each of many frames.
//!
//! Frames come in chains, and some lists gain from that:
//!
//! - What a search in a large table waits for is memory. One frame after the other, the processor sees only a few loads ahead.
//!   Here the lookups of many frames stand in one short loop, so that the loads of many of them are under way at once.
//! - Live port sets without an address have to be asked one after the other for each frame: it cannot be known that none of
//!   them has changed. Frames that are classified together may have the same answer, and often go to the same port.
//!
//! Where a frame needs several searches, those overlap well enough by themselves; collecting frames would cost more than it
//! gains.

use core::cell::Cell;

use crate::NONE;
use crate::classifier::{Classifier, Hit};
use crate::find::{Ask, Flow4};
use crate::pattern::PortSet;
use crate::plan::Class;
use crate::store::Store;
use crate::tables::{Step, Tuple4};
use xdp_packet::Frame;

/// Frames that are searched for together: enough to hide what loads take, and little enough for a kernel stack.
const TOGETHER: usize = 32;

/// The port that the list of port sets was asked for last, and its answer.
#[derive(Clone, Copy)]
struct Remembering<'a>(&'a Cell<Option<(u16, u32)>>);

impl Ask for Remembering<'_> {
    #[inline]
    fn ask(self, port: u16, best: u32, find: impl FnOnce(u32) -> u32) -> u32 {
        let rule = match self.0.get() {
            Some((last, rule)) if last == port => rule,
            _ => {
                // The next frame may have found nothing earlier.
                let rule = find(NONE);
                self.0.set(Some((port, rule)));
                rule
            }
        };
        rule.min(best)
    }
}

impl<P: PortSet, T, S: Store> Classifier<P, T, S> {
    /// Finds the first rule for each of many frames, as [`Classifier::classify`] does for one, and calls `decided` for each of
    /// them in turn. With large lists of 5-tuples, or several port sets without an address, it is faster.
    ///
    /// A port set may be asked once for several of the frames: a change of it is seen by the next call at the latest.
    #[inline]
    pub fn classify_many<'r, 'f>(
        &'r self,
        frames: impl IntoIterator<Item = Frame<'f>>,
        mut decided: impl FnMut(Option<Hit<'r, T>>),
    ) {
        let mut frames = frames.into_iter();
        if matches!(self.plans.only(Class::Udp4), Some(Step::Tuple4)) {
            while self.tuples_of(&mut frames, &mut decided) == TOGETHER {}
        } else if self.tables.udp_ports.has_several() {
            let last = Cell::new(None);
            for frame in frames {
                decided(self.classify_asking(&frame, Remembering(&last)));
            }
        } else {
            for frame in frames {
                decided(self.classify(&frame));
            }
        }
    }

    /// Classifies some frames where IPv4 UDP is looked for in the table of its ends only; returns how many.
    #[inline]
    fn tuples_of<'r, 'f>(
        &'r self,
        frames: &mut impl Iterator<Item = Frame<'f>>,
        decided: &mut impl FnMut(Option<Hit<'r, T>>),
    ) -> usize {
        let mut count = 0usize;
        // Each number is read back as it was written: put together from smaller ones, reading it would have to wait.
        let mut addresses = [0; TOGETHER];
        let mut ports = [0; TOGETHER];
        let mut found = [NONE; TOGETHER];
        let mut lanes = [0u8; TOGETHER];
        let mut len = 0usize;
        let places = addresses.iter_mut().zip(&mut ports).zip(&mut found);
        for (frame, ((addresses, ports), found)) in frames.take(TOGETHER).zip(places) {
            if let Some(flow) = Flow4::of(frame.first())
                && frame.is_contiguous()
            {
                *addresses = u64::from(flow.from) << 32 | u64::from(flow.to);
                *ports = flow.ports;
                if let Some(lane) = lanes.get_mut(len) {
                    *lane = count as u8;
                    len = len.wrapping_add(1);
                }
            } else {
                *found = self.search_frame(&frame);
            }
            count = count.wrapping_add(1);
        }
        let lanes = lanes.get(..len).unwrap_or_default();
        self.tuples(lanes, &addresses, &ports, &mut found);
        for &id in found.iter().take(count) {
            decided(self.hit(id));
        }
        count
    }

    /// Looks up both ends of IPv4 UDP for the named frames.
    #[inline(never)]
    fn tuples(
        &self,
        lanes: &[u8],
        addresses: &[u64; TOGETHER],
        ports: &[u32; TOGETHER],
        found: &mut [u32; TOGETHER],
    ) {
        for &lane in lanes {
            let lane = usize::from(lane);
            if let (Some(&addresses), Some(&ports), Some(found)) =
                (addresses.get(lane), ports.get(lane), found.get_mut(lane))
            {
                *found = self.tables.tuple4.table.find(&Tuple4 { addresses, ports });
            }
        }
    }
}

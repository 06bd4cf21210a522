//! The steps in which a frame's rule is found, for frames that wait for each other.

use crate::NONE;
use crate::classifier::Classifier;
use crate::find::low;
use crate::glance::Flow4;
use crate::pattern::PortSet;
use crate::store::Store;
use crate::tables::Tuple4;
use xdp_abi::Port;

/// What has been found out about a frame, and what comes next. Each number is read back as it was written: put together from
/// smaller ones, reading it would have to wait.
pub(super) trait Steps: Copy + Default {
    /// There is nothing left to do.
    fn known(rule: u32) -> Self;

    /// Does what a look at a frame of one buffer is enough for.
    fn begin<P: PortSet, T, S: Store>(rules: &Classifier<P, T, S>, bytes: &[u8]) -> Self;

    /// Does what has to wait for memory, and as little else as possible: when this is done for one frame after the other, the
    /// processor sees the loads of many.
    fn look_up<P: PortSet, T, S: Store>(&mut self, rules: &Classifier<P, T, S>);

    /// Does the rest; returns the rule.
    fn end<P: PortSet, T, S: Store>(&self, rules: &Classifier<P, T, S>) -> u32;
}

/// Stands for a rule that has not been looked for.
const PENDING: u32 = NONE - 1;

/// One search, and that is all.
#[derive(Clone, Copy, Default)]
pub(super) struct Once<K> {
    key: K,
    rule: u32,
}

/// What is searched for in a frame of IPv4 UDP.
pub(super) trait Sought: Copy + Default {
    fn of(flow: Flow4<'_>) -> Self;

    fn find<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32;
}

impl Sought for Tuple4 {
    #[inline(always)]
    fn of(flow: Flow4<'_>) -> Self {
        Self::new(flow.from, flow.to, flow.ports)
    }

    #[inline(always)]
    fn find<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32 {
        rules.tables.tuple4.table.find(&self)
    }
}

/// A destination that has prefixes.
#[derive(Clone, Copy, Default)]
pub(super) struct Destination(u32);

impl Sought for Destination {
    #[inline(always)]
    fn of(flow: Flow4<'_>) -> Self {
        Self(flow.to)
    }

    #[inline(always)]
    fn find<P: PortSet, T, S: Store>(self, rules: &Classifier<P, T, S>) -> u32 {
        rules.tables.prefix4.tree.find(self.0)
    }
}

impl<K: Sought> Steps for Once<K> {
    #[inline(always)]
    fn known(rule: u32) -> Self {
        let key = K::default();
        Self { key, rule }
    }

    #[inline(always)]
    fn begin<P: PortSet, T, S: Store>(rules: &Classifier<P, T, S>, bytes: &[u8]) -> Self {
        match Flow4::of(bytes) {
            Some(flow) => Self {
                key: K::of(flow),
                rule: PENDING,
            },
            None => Self::known(rules.search_slice(bytes)),
        }
    }

    #[inline(always)]
    fn look_up<P: PortSet, T, S: Store>(&mut self, rules: &Classifier<P, T, S>) {
        if self.rule == PENDING {
            self.rule = self.key.find(rules);
        }
    }

    #[inline(always)]
    fn end<P: PortSet, T, S: Store>(&self, _: &Classifier<P, T, S>) -> u32 {
        self.rule
    }
}

/// A search for the destination, whose port sets are asked then.
#[derive(Clone, Copy, Default)]
pub(super) struct Ask {
    /// Where the address is in its table, or [`NONE`]; to begin with, where it most likely is. [`NOWHERE`]: nobody is asked.
    spot: u32,
    address: u32,
    /// The port; the rule, if nobody is asked.
    rest: u32,
}

/// Where no address is.
const NOWHERE: u32 = NONE - 1;

/// Returns the rule of a frame that nobody is asked for.
#[cold]
#[inline(never)]
const fn unasked(Ask { spot, rest, .. }: &Ask) -> u32 {
    if *spot == NOWHERE { *rest } else { NONE }
}

impl Steps for Ask {
    #[inline(always)]
    fn known(rule: u32) -> Self {
        Self {
            spot: NOWHERE,
            address: 0,
            rest: rule,
        }
    }

    #[inline(always)]
    fn begin<P: PortSet, T, S: Store>(rules: &Classifier<P, T, S>, bytes: &[u8]) -> Self {
        match Flow4::of(bytes) {
            Some(flow) => Self {
                spot: rules.tables.udp_ports4.addresses().likely_spot(&flow.to),
                address: flow.to,
                rest: Port::new(low(flow.ports)).raw().into(),
            },
            None => Self::known(rules.search_slice(bytes)),
        }
    }

    #[inline(always)]
    fn look_up<P: PortSet, T, S: Store>(&mut self, rules: &Classifier<P, T, S>) {
        let addresses = rules.tables.udp_ports4.addresses();
        if addresses.is_other(self.spot, &self.address) {
            self.spot = addresses.other_spot(self.address);
        }
    }

    #[inline(always)]
    fn end<P: PortSet, T, S: Store>(&self, rules: &Classifier<P, T, S>) -> u32 {
        let port = Port(low(self.rest));
        let found = rules.tables.udp_ports4.find_at(self.spot, port);
        found.unwrap_or_else(|| unasked(self))
    }
}

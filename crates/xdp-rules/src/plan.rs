//! Which searches a packet needs, in which order.

use crate::NONE;
use crate::store::Store;
use crate::tables::{Step, Tables};
use xdp_packet::{Depth, Facts};

/// Packets that the same kinds of rules can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    NotIp,
    Udp4,
    Tcp4,
    Other4,
    Udp6,
    Tcp6,
    Other6,
}

impl Class {
    pub(crate) const COUNT: usize = 7;

    #[inline]
    pub(crate) fn of(facts: Facts) -> Self {
        if facts.contains(Facts::IPV4) {
            if facts.contains(Facts::UDP) {
                Self::Udp4
            } else if facts.contains(Facts::TCP) {
                Self::Tcp4
            } else {
                Self::Other4
            }
        } else if facts.contains(Facts::IPV6) {
            if facts.contains(Facts::UDP) {
                Self::Udp6
            } else if facts.contains(Facts::TCP) {
                Self::Tcp6
            } else {
                Self::Other6
            }
        } else {
            Self::NotIp
        }
    }

    /// Returns the searches that can find something, cheap ones first.
    const fn steps(self) -> &'static [Step] {
        match self {
            Self::NotIp => &[Step::All],
            Self::Udp4 => &[
                Step::All,
                Step::Udp,
                Step::NextHeader,
                Step::UdpDst,
                Step::Tuple4,
                Step::UdpPorts,
                Step::UdpPorts4,
                Step::Prefix4,
                Step::UdpSrcCid,
                Step::UdpDstCid,
                Step::Mask4,
            ],
            Self::Tcp4 => &[
                Step::All,
                Step::NextHeader,
                Step::TcpDst,
                Step::TcpControl,
                Step::TcpPorts4,
                Step::Prefix4,
                Step::TcpSrcCid,
                Step::TcpDstCid,
                Step::Mask4,
            ],
            Self::Other4 => &[
                Step::All,
                Step::NextHeader,
                Step::Echo4,
                Step::Prefix4,
                Step::InnerPrefix4,
                Step::InnerPrefix6,
                Step::InnerMask4,
                Step::InnerMask6,
                Step::Mask4,
            ],
            Self::Udp6 => &[
                Step::All,
                Step::Udp,
                Step::NextHeader,
                Step::UdpDst,
                Step::Tuple6,
                Step::UdpPorts,
                Step::UdpPorts6,
                Step::Prefix6,
                Step::UdpSrcCid,
                Step::UdpDstCid,
                Step::Mask6,
            ],
            Self::Tcp6 => &[
                Step::All,
                Step::NextHeader,
                Step::TcpDst,
                Step::TcpControl,
                Step::TcpPorts6,
                Step::Prefix6,
                Step::TcpSrcCid,
                Step::TcpDstCid,
                Step::Mask6,
            ],
            Self::Other6 => &[
                Step::All,
                Step::NextHeader,
                Step::Echo6,
                Step::Prefix6,
                Step::InnerPrefix4,
                Step::InnerPrefix6,
                Step::InnerMask4,
                Step::InnerMask6,
                Step::Mask6,
            ],
        }
    }

    const ALL: [Self; Self::COUNT] = [
        Self::NotIp,
        Self::Udp4,
        Self::Tcp4,
        Self::Other4,
        Self::Udp6,
        Self::Tcp6,
        Self::Other6,
    ];
}

/// Returns how deep packets must be parsed for a search; `None`: not at all.
const fn depth(step: Step) -> Option<Depth> {
    Some(match step {
        Step::All => return None,
        Step::NextHeader | Step::Prefix4 | Step::Prefix6 | Step::Mask4 | Step::Mask6 => {
            Depth::Network
        }
        Step::Udp
        | Step::UdpDst
        | Step::TcpDst
        | Step::TcpControl
        | Step::Tuple4
        | Step::Tuple6
        | Step::UdpPorts
        | Step::UdpPorts4
        | Step::UdpPorts6
        | Step::TcpPorts4
        | Step::TcpPorts6 => Depth::Transport,
        Step::InnerPrefix4
        | Step::InnerPrefix6
        | Step::InnerMask4
        | Step::InnerMask6
        | Step::UdpSrcCid
        | Step::UdpDstCid
        | Step::TcpSrcCid
        | Step::TcpDstCid
        | Step::Echo4
        | Step::Echo6 => Depth::Upper,
    })
}

/// Most searches that a packet can need, and one place more for an end that is never taken.
const PLACES: usize = 12;

/// A search and the earliest rule that it can find.
#[derive(Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) head: u32,
    pub(crate) step: Step,
}

/// The searches for packets of a class that can find something, the one with the earliest rule first. The places behind them
/// have no rule, so that a search stops there by itself.
type Plan = [Planned; PLACES];

/// The plans for all classes.
pub(crate) struct Plans {
    plans: [Plan; Class::COUNT],
    /// The search of a plan that has just one.
    only: [Option<Step>; Class::COUNT],
    depth: Option<Depth>,
}

impl Plans {
    pub(crate) const EMPTY: Self = Self {
        plans: [[Planned {
            head: NONE,
            step: Step::All,
        }; PLACES]; Class::COUNT],
        only: [None; Class::COUNT],
        depth: None,
    };

    pub(crate) fn new<S: Store>(tables: &Tables<S>) -> Self {
        let mut plans = Self::EMPTY;
        for (plan, class) in plans.plans.iter_mut().zip(Class::ALL) {
            for &step in class.steps() {
                let head = tables.head(step);
                if head == NONE {
                    continue;
                }
                plans.depth = plans.depth.max(depth(step));
                insert(plan, Planned { head, step });
            }
        }
        for (only, plan) in plans.only.iter_mut().zip(&plans.plans) {
            let [first, second, ..] = plan;
            *only = (first.head != NONE && second.head == NONE).then_some(first.step);
        }
        plans
    }

    /// Returns the search for packets of a class if there is exactly one.
    #[inline]
    pub(crate) fn only(&self, class: Class) -> Option<Step> {
        self.only.get(class as usize).copied().flatten()
    }

    /// Returns the searches for packets of a class, and at least one place without a rule.
    #[inline]
    pub(crate) fn steps(&self, class: Class) -> &[Planned] {
        self.plans
            .get(class as usize)
            .map_or(&[], |plan| plan.as_slice())
    }

    /// Returns how deep packets must be parsed; `None`: not at all.
    #[inline]
    pub(crate) const fn depth(&self) -> Option<Depth> {
        self.depth
    }
}

/// Puts a search before all with later rules.
fn insert(plan: &mut Plan, mut planned: Planned) {
    for place in plan {
        if planned.head < place.head {
            core::mem::swap(place, &mut planned);
        }
    }
}

//! Which searches a packet needs, in which order.

use crate::NONE;
use crate::pattern::PortSet;
use crate::store::Store;
use crate::tables::{Step, Tables};
use xdp_packet::{Depth, Facts, protocol};

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

    /// Returns the earliest of the rules that match all packets of the class.
    fn floor<P, S: Store>(self, tables: &Tables<P, S>) -> u32 {
        let all = tables.all.head;
        let protocol = |number| tables.next_header.table.find(&u16::from(number));
        match self {
            Self::NotIp | Self::Other4 | Self::Other6 => all,
            Self::Udp4 | Self::Udp6 => all.min(tables.udp.head).min(protocol(protocol::UDP)),
            Self::Tcp4 | Self::Tcp6 => all.min(protocol(protocol::TCP)),
        }
    }

    /// Returns the searches that can find something.
    const fn steps(self) -> &'static [Step] {
        match self {
            Self::NotIp => &[],
            Self::Udp4 => &[
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
                Step::TcpDst,
                Step::TcpControl,
                Step::TcpPorts4,
                Step::Prefix4,
                Step::TcpSrcCid,
                Step::TcpDstCid,
                Step::Mask4,
            ],
            Self::Other4 => &[
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
                Step::TcpDst,
                Step::TcpControl,
                Step::TcpPorts6,
                Step::Prefix6,
                Step::TcpSrcCid,
                Step::TcpDstCid,
                Step::Mask6,
            ],
            Self::Other6 => &[
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

/// A search and the earliest rule that it can find.
#[derive(Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) head: u32,
    pub(crate) step: Step,
}

/// The searches for packets of a class that can find something.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The earliest of the rules that match all packets of the class: nothing has to be searched for those.
    pub(crate) floor: u32,
    /// The search with the earliest rule: it often decides.
    pub(crate) first: Planned,
    /// The earliest rule of all other searches.
    pub(crate) later: u32,
    /// The earliest rule of each of them.
    heads: [u32; Step::COUNT],
}

impl Plan {
    const EMPTY: Self = Self {
        floor: NONE,
        first: Planned {
            head: NONE,
            step: Step::All,
        },
        later: NONE,
        heads: [NONE; Step::COUNT],
    };

    fn new<P: PortSet + Clone, S: Store>(class: Class, tables: &Tables<P, S>) -> Self {
        let floor = class.floor(tables);
        let mut plan = Self {
            floor,
            ..Self::EMPTY
        };
        for &step in class.steps() {
            let head = tables.head(step);
            if head >= floor {
                continue;
            }
            let mut other = Planned { head, step };
            if head < plan.first.head {
                core::mem::swap(&mut plan.first, &mut other);
            }
            plan.later = plan.later.min(other.head);
            if let Some(place) = plan.heads.get_mut(other.step as usize) {
                *place = other.head;
            }
        }
        plan
    }

    /// Returns the earliest rule of a search that is not the first one.
    #[inline]
    pub(crate) fn head(&self, step: Step) -> u32 {
        self.heads.get(step as usize).copied().unwrap_or(NONE)
    }

    /// Returns the search if there is just one, and nothing else that matches.
    fn only(&self) -> Option<Step> {
        let is_alone = self.later == NONE && self.floor == NONE && self.first.head != NONE;
        is_alone.then_some(self.first.step)
    }
}

/// The plans for all classes.
pub(crate) struct Plans {
    plans: [Plan; Class::COUNT],
    only: [Option<Step>; Class::COUNT],
    depth: Option<Depth>,
}

impl Plans {
    pub(crate) const EMPTY: Self = Self {
        plans: [Plan::EMPTY; Class::COUNT],
        only: [None; Class::COUNT],
        depth: None,
    };

    pub(crate) fn new<P: PortSet + Clone, S: Store>(tables: &Tables<P, S>) -> Self {
        let mut plans = Self::EMPTY;
        let places = plans.plans.iter_mut().zip(&mut plans.only);
        for ((plan, only), class) in places.zip(Class::ALL) {
            *plan = Plan::new(class, tables);
            *only = plan.only();
        }
        for &step in Step::ALL {
            if tables.head(step) != NONE {
                plans.depth = plans.depth.max(depth(step));
            }
        }
        plans
    }

    /// Returns the search for packets of a class if there is exactly one.
    #[inline]
    pub(crate) fn only(&self, class: Class) -> Option<Step> {
        self.only.get(class as usize).copied().flatten()
    }

    /// Returns the plan for packets of a class.
    #[inline]
    pub(crate) fn of(&self, class: Class) -> &Plan {
        self.plans.get(class as usize).unwrap_or(&Plan::EMPTY)
    }

    /// Returns how deep packets must be parsed; `None`: not at all.
    #[inline]
    pub(crate) const fn depth(&self) -> Option<Depth> {
        self.depth
    }
}

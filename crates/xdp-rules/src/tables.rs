//! All search structures of a classifier, one for each kind of rule.

use crate::NONE;
use crate::address::{Address, ToAddress, V6};
use crate::arena::Arena;
use crate::cids::Cids;
use crate::find::{from6, to6};
use crate::hash::{Key, ODD, fold};
use crate::index::{ByPrefix, Exact, Index, Single};
use crate::masks::ByMask;
use crate::pattern::{Flow, Masked, Pattern, PortSet};
use crate::port_list::PortList;
use crate::port_sets::PortSets;
use crate::store::{OutOfMemory, Pool, Store};

/// Both ends of IPv4 UDP; source first in each.
///
/// Two words that are hashed as they are stored: three of 32 bits would have to be put together through memory, and the load
/// would have to wait until all stores before it are done, so that lookups of different packets could not overlap.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(4))]
pub(crate) struct Tuple4 {
    pub(crate) addresses: u64,
    pub(crate) ports: u32,
}

impl Tuple4 {
    #[inline]
    pub(crate) const fn new(from: u32, to: u32, ports: u32) -> Self {
        Self {
            addresses: (from as u64) << 32 | to as u64,
            ports,
        }
    }
}

impl Key for Tuple4 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        fold(self.addresses ^ seed, u64::from(self.ports) ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        (self.addresses ^ other.addresses) | u64::from(self.ports ^ other.ports) == 0
    }
}

/// Both ends of IPv6 UDP; source port, then destination port. Packed, so that a rule's number fits behind it.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(4))]
pub(crate) struct Tuple6 {
    pub(crate) from: V6,
    pub(crate) to: V6,
    pub(crate) ports: u32,
}

impl Tuple6 {
    /// Makes a key of the source and the destination address, one behind the other, and the ports.
    #[inline]
    pub(crate) fn new(ends: &[u8; 32], ports: u32) -> Self {
        Self {
            from: from6(ends),
            to: to6(ends),
            ports,
        }
    }
}

impl Key for Tuple6 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let Self { from, to, ports } = *self;
        let from = fold(from.high ^ seed, from.low ^ ODD);
        let to = fold(to.high ^ ODD, to.low ^ seed);
        fold(from ^ u64::from(ports), to ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        let difference = (self.from.high ^ other.from.high)
            | (self.from.low ^ other.from.low)
            | (self.to.high ^ other.to.high)
            | (self.to.low ^ other.to.low)
            | u64::from(self.ports ^ other.ports);
        difference == 0
    }
}

macro_rules! tables {
    ($(#[doc = $doc:literal] $step:ident $field:ident: $index:ty, at $at:ty, new $new:expr;)+) => {
        /// A search in one structure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Step {
            $(#[doc = $doc] $step,)+
        }

        impl Step {
            pub(crate) const ALL: &[Self] = &[$(Self::$step,)+];
            pub(crate) const COUNT: usize = Self::ALL.len();
        }

        /// Where a rule is.
        #[derive(Clone, Copy)]
        pub(crate) enum Place {
            $(#[doc = $doc] $step($at),)+
        }

        pub(crate) struct Tables<P, S: Store> {
            $(pub(crate) $field: $index,)+
        }

        impl<P: PortSet + Clone, S: Store> Tables<P, S> {
            pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
                let make = (pool, seed);
                Self { $($field: $new(make),)+ }
            }

            /// Makes sure that the next insertion at `place` succeeds.
            pub(crate) fn reserve(&mut self, pool: &mut Pool<S>, place: Place) -> Result<(), OutOfMemory> {
                match place {
                    $(Place::$step(at) => Index::<P, S>::reserve(&mut self.$field, pool, at),)+
                }
            }

            /// Adds the newest rule; room must have been reserved.
            pub(crate) fn insert<T>(
                &mut self,
                arena: &mut Arena<P, T, S>,
                pool: &mut Pool<S>,
                place: Place,
                id: u32,
            ) -> Result<(), OutOfMemory> {
                match place {
                    $(Place::$step(at) => Index::insert(&mut self.$field, arena, pool, at, id),)+
                }
            }

            /// Removes a rule.
            pub(crate) fn remove<T>(&mut self, arena: &mut Arena<P, T, S>, place: Place, id: u32) {
                match place {
                    $(Place::$step(at) => Index::remove(&mut self.$field, arena, at, id),)+
                }
            }

            /// Returns the earliest rule that a step can find.
            pub(crate) fn head(&self, step: Step) -> u32 {
                match step {
                    $(Step::$step => Index::<P, S>::head(&self.$field),)+
                }
            }

            /// Gives a rule another number, with no rule's number between the two.
            pub(crate) fn rename(&mut self, place: Place, old: u32, new: u32) {
                match place {
                    $(Place::$step(at) => Index::<P, S>::rename(&mut self.$field, at, old, new),)+
                }
            }
        }

        impl Place {
            /// Returns the search that finds a rule here.
            pub(crate) const fn step(self) -> Step {
                match self {
                    $(Self::$step(_) => Step::$step,)+
                }
            }
        }
    };
}

impl<P: PortSet + Clone, S: Store> Tables<P, S> {
    /// Returns what [plans](crate::plan) depend on of a place: when that changes, they do.
    pub(crate) fn planned(&self, place: Place) -> (u32, u32) {
        let protocol = match place {
            Place::NextHeader(number) => self.next_header.table.find(&number),
            _ => NONE,
        };
        (self.head(place.step()), protocol)
    }
}

type Make<'a, S> = (&'a Pool<S>, u64);

fn single<S>(_: Make<'_, S>) -> Single {
    Single { head: NONE }
}

fn exact<K: Key, S: Store>((pool, seed): Make<'_, S>) -> Exact<K, S> {
    Exact::new(pool, seed)
}

fn prefix<A: Address, S: Store>((pool, _): Make<'_, S>) -> ByPrefix<A, S> {
    ByPrefix::new(pool)
}

fn mask<A: Address, S: Store>((pool, seed): Make<'_, S>) -> ByMask<A, S> {
    ByMask::new(pool, seed)
}

fn cids<S: Store>((pool, seed): Make<'_, S>) -> Cids<S> {
    Cids::new(pool, seed)
}

fn port_list<P: PortSet, S: Store>((pool, seed): Make<'_, S>) -> PortList<P, S> {
    PortList::new(pool, seed)
}

fn ports<K: Key, P: PortSet, S: Store>((pool, seed): Make<'_, S>) -> PortSets<K, P, S> {
    PortSets::new(pool, seed)
}

tables! {
    /// Everything.
    All all: Single, at (), new single;
    /// UDP.
    Udp udp: Single, at (), new single;
    /// UDP destination ports.
    UdpDst udp_dst: Exact<u16, S>, at u16, new exact;
    /// TCP destination ports.
    TcpDst tcp_dst: Exact<u16, S>, at u16, new exact;
    /// TCP destination ports of segments with SYN, FIN or RST.
    TcpControl tcp_control: Exact<u16, S>, at u16, new exact;
    /// IP protocols.
    NextHeader next_header: Exact<u16, S>, at u16, new exact;
    /// Both ends of IPv4 UDP.
    Tuple4 tuple4: Exact<Tuple4, S>, at Tuple4, new exact;
    /// Both ends of IPv6 UDP.
    Tuple6 tuple6: Exact<Tuple6, S>, at Tuple6, new exact;
    /// IPv4 prefixes.
    Prefix4 prefix4: ByPrefix<u32, S>, at (u32, u32), new prefix;
    /// IPv6 prefixes.
    Prefix6 prefix6: ByPrefix<V6, S>, at (V6, u32), new prefix;
    /// IPv4 under masks with holes.
    Mask4 mask4: ByMask<u32, S>, at (u32, u32), new mask;
    /// IPv6 under masks with holes.
    Mask6 mask6: ByMask<V6, S>, at (V6, V6), new mask;
    /// Inner IPv4 prefixes.
    InnerPrefix4 inner_prefix4: ByPrefix<u32, S>, at (u32, u32), new prefix;
    /// Inner IPv6 prefixes.
    InnerPrefix6 inner_prefix6: ByPrefix<V6, S>, at (V6, u32), new prefix;
    /// Inner IPv4 under masks with holes.
    InnerMask4 inner_mask4: ByMask<u32, S>, at (u32, u32), new mask;
    /// Inner IPv6 under masks with holes.
    InnerMask6 inner_mask6: ByMask<V6, S>, at (V6, V6), new mask;
    /// Sets of UDP ports.
    UdpPorts udp_ports: PortList<P, S>, at u64, new port_list;
    /// IPv4 destinations with sets of UDP ports.
    UdpPorts4 udp_ports4: PortSets<u32, P, S>, at (u32, u64), new ports;
    /// IPv6 destinations with sets of UDP ports.
    UdpPorts6 udp_ports6: PortSets<V6, P, S>, at (V6, u64), new ports;
    /// IPv4 destinations with sets of TCP ports.
    TcpPorts4 tcp_ports4: PortSets<u32, P, S>, at (u32, u64), new ports;
    /// IPv6 destinations with sets of TCP ports.
    TcpPorts6 tcp_ports6: PortSets<V6, P, S>, at (V6, u64), new ports;
    /// QUIC source connection IDs in UDP.
    UdpSrcCid udp_src_cid: Cids<S>, at Flow, new cids;
    /// QUIC destination connection IDs in UDP.
    UdpDstCid udp_dst_cid: Cids<S>, at Flow, new cids;
    /// QUIC source connection IDs in TCP.
    TcpSrcCid tcp_src_cid: Cids<S>, at Flow, new cids;
    /// QUIC destination connection IDs in TCP.
    TcpDstCid tcp_dst_cid: Cids<S>, at Flow, new cids;
    /// Destinations of ICMP echo replies.
    Echo4 echo4: Exact<u32, S>, at u32, new exact;
    /// Destinations of ICMPv6 echo replies.
    Echo6 echo6: Exact<V6, S>, at V6, new exact;
}

#[inline]
const fn pair(from: u16, to: u16) -> u32 {
    (from as u32) << 16 | to as u32
}

impl Place {
    /// Returns where a pattern belongs; `None` if no packet can match it.
    pub(crate) fn of<P: PortSet>(pattern: &Pattern<P>) -> Option<Self> {
        Some(match pattern {
            Pattern::All => Self::All(()),
            Pattern::Udp => Self::Udp(()),
            Pattern::UdpDst(port) => Self::UdpDst(*port),
            Pattern::TcpDst(port) => Self::TcpDst(*port),
            Pattern::TcpControlDst(port) => Self::TcpControl(*port),
            Pattern::IpNextHeader(number) => Self::NextHeader(u16::from(*number)),
            Pattern::Ipv4UdpTuple(tuple) => Self::Tuple4(Tuple4::new(
                tuple.source.number(),
                tuple.destination.number(),
                pair(tuple.source_port, tuple.destination_port),
            )),
            Pattern::Ipv6UdpTuple(tuple) => Self::Tuple6(Tuple6 {
                from: tuple.source.number(),
                to: tuple.destination.number(),
                ports: pair(tuple.source_port, tuple.destination_port),
            }),
            Pattern::Ipv4DstMask(masked) => match masked_place(*masked)? {
                Span::Prefix(path, len) => Self::Prefix4((path, len)),
                Span::Mask(mask, address) => Self::Mask4((mask, address)),
            },
            Pattern::Ipv6DstMask(masked) => match masked_place(*masked)? {
                Span::Prefix(path, len) => Self::Prefix6((path, len)),
                Span::Mask(mask, address) => Self::Mask6((mask, address)),
            },
            Pattern::InnerIpv4DstMaskUdp(masked) => match masked_place(*masked)? {
                Span::Prefix(path, len) => Self::InnerPrefix4((path, len)),
                Span::Mask(mask, address) => Self::InnerMask4((mask, address)),
            },
            Pattern::InnerIpv6DstMaskUdp(masked) => match masked_place(*masked)? {
                Span::Prefix(path, len) => Self::InnerPrefix6((path, len)),
                Span::Mask(mask, address) => Self::InnerMask6((mask, address)),
            },
            Pattern::UdpPortSet(ports) => Self::UdpPorts(ports.identity()),
            Pattern::Ipv4UdpPortSet(at) => {
                Self::UdpPorts4((at.address.number(), at.ports.identity()))
            }
            Pattern::Ipv6UdpPortSet(at) => {
                Self::UdpPorts6((at.address.number(), at.ports.identity()))
            }
            Pattern::Ipv4TcpPortSet(at) => {
                Self::TcpPorts4((at.address.number(), at.ports.identity()))
            }
            Pattern::Ipv6TcpPortSet(at) => {
                Self::TcpPorts6((at.address.number(), at.ports.identity()))
            }
            Pattern::QuicFlowSrcCid(flow) => Self::UdpSrcCid(*flow),
            Pattern::QuicFlowDstCid(flow) => Self::UdpDstCid(*flow),
            Pattern::TcpQuicFlowSrcCid(flow) => Self::TcpSrcCid(*flow),
            Pattern::TcpQuicFlowDstCid(flow) => Self::TcpDstCid(*flow),
            Pattern::Icmpv4EchoReplyIpDst(address) => Self::Echo4(address.number()),
            Pattern::Icmpv6EchoReplyIpDst(address) => Self::Echo6(address.number()),
        })
    }
}

/// The addresses that a mask and an address stand for.
enum Span<A> {
    Prefix(A, u32),
    Mask(A, A),
}

fn masked_place<A: ToAddress>(masked: Masked<A>) -> Option<Span<A::Number>> {
    let (mask, address) = (masked.mask.number(), masked.address.number());
    if address.and(mask) != address {
        return None;
    }
    Some(match mask.prefix_length() {
        Some(len) => Span::Prefix(address, len),
        None => Span::Mask(mask, address),
    })
}

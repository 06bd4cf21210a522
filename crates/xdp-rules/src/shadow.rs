//! Rules that can never match.
//!
//! A rule is shadowed when one earlier rule matches every packet that it matches. Several earlier rules that do so only
//! together (two halves of a prefix) are not found. Port sets are taken as they are at the moment.
//!
//! Earlier rules are looked up by what they compare with, so that the cost for a rule depends on the number of kinds, masks
//! and port sets, not on the number of rules.

use crate::pattern::{Flow, Masked, Pattern, PortSet, Tuple};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use xdp_abi::Port;
use xdp_packet::protocol;

/// A rule that can never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Index of the rule.
    pub rule: usize,
    /// Why it cannot match.
    pub reason: Reason,
}

/// Why a rule can never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An earlier rule matches everything that it does.
    Shadowed {
        /// Index of the earliest such rule.
        by: usize,
    },
    /// Its address has bits outside its mask.
    AddressOutsideMask,
    /// Its port set holds no port.
    NoPorts,
}

/// Finds the rules of a list that can never match, in order.
#[must_use]
pub fn unreachable<P: PortSet>(patterns: &[Pattern<P>]) -> Vec<Unreachable> {
    let mut earlier = Earlier::default();
    let mut found = Vec::new();
    for (rule, pattern) in patterns.iter().enumerate() {
        let known = earlier.known(pattern);
        let shadowed = || {
            earlier
                .covering(pattern, &known)
                .map(|by| Reason::Shadowed { by })
        };
        match earlier.impossible(pattern, &known).or_else(shadowed) {
            Some(reason) => found.push(Unreachable { rule, reason }),
            // A shadowed rule shadows nothing that the rule before it does not shadow.
            None => earlier.add(rule, pattern, &known),
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Udp,
    Tcp,
}

/// Which address of a packet a mask is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Outer(Family),
    Inner(Family),
}

/// An address pattern as numbers; IPv4 uses the low 32 bits.
#[derive(Clone, Copy)]
struct Bits {
    place: Place,
    mask: u128,
    address: u128,
}

#[derive(Clone, Copy)]
enum Ports {
    One(u16),
    /// Index of a set in [`Earlier::sets`].
    Set(usize),
}

/// Pieces of connection IDs: by offset and length, then by the bytes.
type Flows = BTreeMap<(u8, usize), BTreeMap<Vec<u8>, usize>>;

/// What every packet that matches some rule has in common.
#[derive(Default)]
struct Known {
    protocol: Option<u8>,
    transport: Option<Transport>,
    ports: Option<Ports>,
    address: Option<Bits>,
}

/// The rules so far, by what they compare with; each entry is the index of the first such rule.
#[derive(Default)]
struct Earlier {
    sets: Vec<Box<[u64; 1024]>>,
    set_ids: BTreeMap<u64, usize>,
    all: Option<usize>,
    udp: Option<usize>,
    next_header: BTreeMap<u8, usize>,
    port: BTreeMap<(Transport, u16), usize>,
    control: BTreeMap<u16, usize>,
    masks: BTreeMap<(Place, u128), BTreeMap<u128, usize>>,
    port_sets: BTreeMap<usize, usize>,
    address_sets: BTreeMap<(Transport, Family, u128), BTreeMap<usize, usize>>,
    tuples: BTreeMap<(Family, [u128; 2], [u16; 2]), usize>,
    replies: BTreeMap<(Family, u128), usize>,
    /// By match type and port.
    flows: BTreeMap<(u32, u16), Flows>,
}

impl Earlier {
    fn known<P: PortSet>(&mut self, pattern: &Pattern<P>) -> Known {
        use Family::{V4, V6};
        use Transport::{Tcp, Udp};
        let port = |transport, port: u16| on(transport, Ports::One(port));
        match pattern {
            Pattern::All => Known::default(),
            Pattern::Udp => Known {
                ports: None,
                ..port(Udp, 0)
            },
            Pattern::UdpDst(number) => port(Udp, *number),
            Pattern::TcpDst(number) | Pattern::TcpControlDst(number) => port(Tcp, *number),
            Pattern::QuicFlowSrcCid(flow) | Pattern::QuicFlowDstCid(flow) => port(Udp, flow.port),
            Pattern::TcpQuicFlowSrcCid(flow) | Pattern::TcpQuicFlowDstCid(flow) => {
                port(Tcp, flow.port)
            }
            Pattern::Ipv4DstMask(masked) => to(bits4(Place::Outer(V4), *masked)),
            Pattern::Ipv6DstMask(masked) => to(bits6(Place::Outer(V6), *masked)),
            Pattern::InnerIpv4DstMaskUdp(masked) => Known {
                protocol: Some(protocol::IPV4),
                ..to(bits4(Place::Inner(V4), *masked))
            },
            Pattern::InnerIpv6DstMaskUdp(masked) => Known {
                protocol: Some(protocol::IPV6),
                ..to(bits6(Place::Inner(V6), *masked))
            },
            Pattern::Ipv4UdpTuple(tuple) => Known {
                address: Some(exact4(tuple.destination)),
                ..port(Udp, tuple.destination_port)
            },
            Pattern::Ipv6UdpTuple(tuple) => Known {
                address: Some(exact6(tuple.destination)),
                ..port(Udp, tuple.destination_port)
            },
            Pattern::UdpPortSet(ports) => on(Udp, Ports::Set(self.set(ports))),
            Pattern::Ipv4UdpPortSet(at) => self.at(Udp, exact4(at.address), &at.ports),
            Pattern::Ipv6UdpPortSet(at) => self.at(Udp, exact6(at.address), &at.ports),
            Pattern::Ipv4TcpPortSet(at) => self.at(Tcp, exact4(at.address), &at.ports),
            Pattern::Ipv6TcpPortSet(at) => self.at(Tcp, exact6(at.address), &at.ports),
            Pattern::IpNextHeader(number) => Known {
                protocol: Some(*number),
                ..Known::default()
            },
            Pattern::Icmpv4EchoReplyIpDst(address) => Known {
                protocol: Some(protocol::ICMP),
                ..to(exact4(*address))
            },
            Pattern::Icmpv6EchoReplyIpDst(address) => Known {
                protocol: Some(protocol::ICMPV6),
                ..to(exact6(*address))
            },
        }
    }

    fn at<P: PortSet>(&mut self, transport: Transport, address: Bits, ports: &P) -> Known {
        Known {
            address: Some(address),
            ..on(transport, Ports::Set(self.set(ports)))
        }
    }

    /// Takes down what a port set holds, once for every set.
    fn set<P: PortSet>(&mut self, ports: &P) -> usize {
        if let Some(id) = self.set_ids.get(&ports.identity()) {
            return *id;
        }
        let mut words = Box::new([0u64; 1024]);
        for (index, word) in words.iter_mut().enumerate() {
            for bit in 0..64 {
                let raw = (index << 6 | bit) as u16;
                if ports.contains(Port(raw)) {
                    *word |= 1 << bit;
                }
            }
        }
        let id = self.sets.len();
        self.sets.push(words);
        self.set_ids.insert(ports.identity(), id);
        id
    }

    fn impossible<P>(&self, pattern: &Pattern<P>, known: &Known) -> Option<Reason> {
        if known
            .address
            .is_some_and(|bits| bits.address & !bits.mask != 0)
        {
            return Some(Reason::AddressOutsideMask);
        }
        let set = match known.ports {
            Some(Ports::Set(id)) if pattern.port_set().is_some() => self.sets.get(id)?,
            _ => return None,
        };
        set.iter().all(|word| *word == 0).then_some(Reason::NoPorts)
    }

    /// Returns the first rule that matches whatever `pattern` matches.
    fn covering<P>(&self, pattern: &Pattern<P>, known: &Known) -> Option<usize> {
        let by_protocol = known
            .protocol
            .and_then(|number| self.next_header.get(&number));
        let udp = self.udp.filter(|_| known.transport == Some(Transport::Udp));
        let candidates = [
            self.all,
            udp,
            by_protocol.copied(),
            self.covering_ports(known),
            known.address.and_then(|bits| self.covering_mask(bits)),
            self.covering_address_set(known),
            self.same_kind(pattern, known),
        ];
        candidates.into_iter().flatten().min()
    }

    /// Looks among the rules that match a transport's destination ports, whatever the address.
    fn covering_ports(&self, known: &Known) -> Option<usize> {
        let (transport, ports) = known.transport.zip(known.ports)?;
        let single = self
            .single(ports)
            .and_then(|port| self.port.get(&(transport, port)));
        let sets = self
            .port_sets
            .iter()
            .filter(|_| transport == Transport::Udp);
        let set = sets
            .filter(|(set, _)| self.holds(**set, ports))
            .map(|(_, rule)| rule);
        single.into_iter().chain(set).min().copied()
    }

    fn covering_mask(&self, bits: Bits) -> Option<usize> {
        self.masks
            .range((bits.place, 0)..=(bits.place, u128::MAX))
            .filter(|((_, mask), _)| mask & !bits.mask == 0)
            .filter_map(|((_, mask), rules)| rules.get(&(bits.address & mask)))
            .min()
            .copied()
    }

    fn covering_address_set(&self, known: &Known) -> Option<usize> {
        let (transport, ports) = known.transport.zip(known.ports)?;
        let Some(Bits {
            place: Place::Outer(family),
            address,
            ..
        }) = known.address
        else {
            return None;
        };
        let rules = self.address_sets.get(&(transport, family, address))?;
        rules
            .iter()
            .filter(|(set, _)| self.holds(**set, ports))
            .map(|(_, rule)| *rule)
            .min()
    }

    fn same_kind<P>(&self, pattern: &Pattern<P>, known: &Known) -> Option<usize> {
        match pattern {
            Pattern::TcpControlDst(port) => self.control.get(port).copied(),
            Pattern::Ipv4UdpTuple(tuple) => self.tuples.get(&tuple4(tuple)).copied(),
            Pattern::Ipv6UdpTuple(tuple) => self.tuples.get(&tuple6(tuple)).copied(),
            Pattern::Icmpv4EchoReplyIpDst(_) | Pattern::Icmpv6EchoReplyIpDst(_) => {
                self.replies.get(&reply(known.address?)?).copied()
            }
            Pattern::QuicFlowSrcCid(flow)
            | Pattern::QuicFlowDstCid(flow)
            | Pattern::TcpQuicFlowSrcCid(flow)
            | Pattern::TcpQuicFlowDstCid(flow) => {
                self.covering_flow((pattern.match_type().0, flow.port), flow)
            }
            _ => None,
        }
    }

    fn covering_flow(&self, kind: (u32, u16), flow: &Flow) -> Option<usize> {
        let (start, bytes) = (usize::from(flow.cid.offset()), flow.cid.bytes());
        let end = usize::from(flow.cid.end());
        let fits = |((offset, length), rules): (&(u8, usize), &BTreeMap<Vec<u8>, usize>)| {
            let offset = usize::from(*offset);
            if *length == 0 {
                // Any connection ID that is long enough.
                return (end >= offset)
                    .then(|| rules.get([].as_slice()).copied())
                    .flatten();
            }
            let from = offset.checked_sub(start)?;
            let piece = bytes.get(from..from.checked_add(*length)?)?;
            rules.get(piece).copied()
        };
        self.flows.get(&kind)?.iter().filter_map(fits).min()
    }

    fn single(&self, ports: Ports) -> Option<u16> {
        match ports {
            Ports::One(port) => Some(port),
            Ports::Set(id) => {
                let set = self.sets.get(id)?;
                let mut words = set.iter().enumerate().filter(|(_, word)| **word != 0);
                let (index, word) = words.next()?;
                if words.next().is_some() || !word.is_power_of_two() {
                    return None;
                }
                Some(Port((index << 6 | word.trailing_zeros() as usize) as u16).number())
            }
        }
    }

    /// Tells whether a set holds all of `ports`.
    fn holds(&self, set: usize, ports: Ports) -> bool {
        let Some(set) = self.sets.get(set) else {
            return false;
        };
        match ports {
            Ports::One(port) => {
                let raw = usize::from(Port::new(port).raw());
                set.get(raw >> 6)
                    .is_some_and(|word| word >> (raw & 63) & 1 != 0)
            }
            Ports::Set(other) => self.sets.get(other).is_some_and(|other| {
                other
                    .iter()
                    .zip(set.iter())
                    .all(|(part, whole)| part & !whole == 0)
            }),
        }
    }

    fn add<P>(&mut self, rule: usize, pattern: &Pattern<P>, known: &Known) {
        // A rule that is equal to an earlier one does not get here, so that nothing is replaced.
        match pattern {
            Pattern::All => self.all = Some(rule),
            Pattern::Udp => self.udp = Some(rule),
            Pattern::IpNextHeader(number) => {
                self.next_header.insert(*number, rule);
            }
            Pattern::UdpDst(port) => {
                self.port.insert((Transport::Udp, *port), rule);
            }
            Pattern::TcpDst(port) => {
                self.port.insert((Transport::Tcp, *port), rule);
            }
            Pattern::TcpControlDst(port) => {
                self.control.insert(*port, rule);
            }
            Pattern::Ipv4DstMask(_)
            | Pattern::Ipv6DstMask(_)
            | Pattern::InnerIpv4DstMaskUdp(_)
            | Pattern::InnerIpv6DstMaskUdp(_) => {
                if let Some(bits) = known.address {
                    let rules = self.masks.entry((bits.place, bits.mask)).or_default();
                    rules.insert(bits.address, rule);
                }
            }
            Pattern::UdpPortSet(_) => {
                if let Some(Ports::Set(set)) = known.ports {
                    self.port_sets.insert(set, rule);
                }
            }
            Pattern::Ipv4UdpPortSet(_)
            | Pattern::Ipv6UdpPortSet(_)
            | Pattern::Ipv4TcpPortSet(_)
            | Pattern::Ipv6TcpPortSet(_) => self.add_address_set(rule, known),
            Pattern::Ipv4UdpTuple(tuple) => {
                self.tuples.insert(tuple4(tuple), rule);
            }
            Pattern::Ipv6UdpTuple(tuple) => {
                self.tuples.insert(tuple6(tuple), rule);
            }
            Pattern::Icmpv4EchoReplyIpDst(_) | Pattern::Icmpv6EchoReplyIpDst(_) => {
                if let Some(key) = known.address.and_then(reply) {
                    self.replies.insert(key, rule);
                }
            }
            Pattern::QuicFlowSrcCid(flow)
            | Pattern::QuicFlowDstCid(flow)
            | Pattern::TcpQuicFlowSrcCid(flow)
            | Pattern::TcpQuicFlowDstCid(flow) => {
                let kind = self
                    .flows
                    .entry((pattern.match_type().0, flow.port))
                    .or_default();
                let shape = (flow.cid.offset(), flow.cid.bytes().len());
                kind.entry(shape)
                    .or_default()
                    .insert(flow.cid.bytes().to_vec(), rule);
            }
        }
    }

    fn add_address_set(&mut self, rule: usize, known: &Known) {
        if let (Some(transport), Some(Ports::Set(set)), Some((family, address))) =
            (known.transport, known.ports, known.address.and_then(reply))
        {
            let rules = self
                .address_sets
                .entry((transport, family, address))
                .or_default();
            rules.insert(set, rule);
        }
    }
}

const fn on(transport: Transport, ports: Ports) -> Known {
    let protocol = match transport {
        Transport::Udp => protocol::UDP,
        Transport::Tcp => protocol::TCP,
    };
    Known {
        protocol: Some(protocol),
        transport: Some(transport),
        ports: Some(ports),
        address: None,
    }
}

const fn to(address: Bits) -> Known {
    Known {
        protocol: None,
        transport: None,
        ports: None,
        address: Some(address),
    }
}

/// Returns the key of a whole destination address.
const fn reply(bits: Bits) -> Option<(Family, u128)> {
    match bits.place {
        Place::Outer(family) => Some((family, bits.address)),
        Place::Inner(_) => None,
    }
}

fn bits4(place: Place, masked: Masked<Ipv4Addr>) -> Bits {
    Bits {
        place,
        mask: masked.mask.to_bits().into(),
        address: masked.address.to_bits().into(),
    }
}

fn bits6(place: Place, masked: Masked<Ipv6Addr>) -> Bits {
    Bits {
        place,
        mask: masked.mask.to_bits(),
        address: masked.address.to_bits(),
    }
}

fn exact4(address: Ipv4Addr) -> Bits {
    bits4(
        Place::Outer(Family::V4),
        Masked {
            mask: Ipv4Addr::BROADCAST,
            address,
        },
    )
}

fn exact6(address: Ipv6Addr) -> Bits {
    bits6(
        Place::Outer(Family::V6),
        Masked {
            mask: Ipv6Addr::from_bits(u128::MAX),
            address,
        },
    )
}

fn tuple4(tuple: &Tuple<Ipv4Addr>) -> (Family, [u128; 2], [u16; 2]) {
    let addresses = [
        tuple.source.to_bits().into(),
        tuple.destination.to_bits().into(),
    ];
    (
        Family::V4,
        addresses,
        [tuple.source_port, tuple.destination_port],
    )
}

fn tuple6(tuple: &Tuple<Ipv6Addr>) -> (Family, [u128; 2], [u16; 2]) {
    let addresses = [tuple.source.to_bits(), tuple.destination.to_bits()];
    (
        Family::V6,
        addresses,
        [tuple.source_port, tuple.destination_port],
    )
}

#[cfg(test)]
mod tests;

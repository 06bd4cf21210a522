//! Rules, one constructor per match type and one method per action.

use std::net::{Ipv4Addr, Ipv6Addr};

use nt_sim::UserMemory;
use xdp_abi::{
    ClientPtr, Handle, InetAddr, IpAddressMask, IpPortSet, MatchPattern, MatchType, Port, PortSet,
    QuicFlow, RedirectTargetType, Rule, RuleAction, Tuple, rule::PORT_SET_BUFFER_SIZE,
};

use crate::{client::Client, map::Map, xsk::Xsk};

/// What a rule looks for; a method says what is done then.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Matching {
    /// Kind of match.
    pub match_type: MatchType,
    /// What is compared.
    pub pattern: MatchPattern,
}

impl Matching {
    /// Any kind with any pattern.
    pub fn new(match_type: MatchType, pattern: MatchPattern) -> Self {
        Matching {
            match_type,
            pattern,
        }
    }

    /// With any action, without parameters.
    pub fn action(self, action: RuleAction) -> Rule {
        Rule::new(self.match_type, self.pattern, action)
    }

    /// Drops.
    pub fn drop(self) -> Rule {
        self.action(RuleAction::DROP)
    }

    /// Passes.
    pub fn pass(self) -> Rule {
        self.action(RuleAction::PASS)
    }

    /// Sends back.
    pub fn l2fwd(self) -> Rule {
        self.action(RuleAction::L2FWD)
    }

    /// Redirects to a socket.
    pub fn redirect(self, socket: &Xsk<'_>) -> Rule {
        self.redirect_to(RedirectTargetType::XSK, socket.handle().value() as u64)
    }

    /// Redirects to the socket that a map has for the queue.
    pub fn redirect_map(self, map: &Map<'_>) -> Rule {
        self.redirect_to(
            RedirectTargetType::XSKMAP_BY_QUEUEID,
            map.handle().value() as u64,
        )
    }

    /// Redirects to anything.
    pub fn redirect_to(self, kind: RedirectTargetType, handle: u64) -> Rule {
        Rule::redirect(self.match_type, self.pattern, kind, Handle(handle))
    }
}

fn port(match_type: MatchType, number: u16) -> Matching {
    Matching::new(match_type, MatchPattern::from_port(Port::new(number)))
}

/// Every frame.
pub fn all() -> Matching {
    Matching::new(MatchType::ALL, MatchPattern::default())
}

/// UDP.
pub fn udp() -> Matching {
    Matching::new(MatchType::UDP, MatchPattern::default())
}

/// A UDP destination port.
pub fn udp_dst(number: u16) -> Matching {
    port(MatchType::UDP_DST, number)
}

/// A TCP destination port.
pub fn tcp_dst(number: u16) -> Matching {
    port(MatchType::TCP_DST, number)
}

/// A TCP destination port of a segment with SYN, FIN or RST.
pub fn tcp_control_dst(number: u16) -> Matching {
    port(MatchType::TCP_CONTROL_DST, number)
}

/// An IP protocol.
pub fn ip_next_header(number: u8) -> Matching {
    Matching::new(
        MatchType::IP_NEXT_HEADER,
        MatchPattern::from_next_header(number),
    )
}

/// A mask and an address, for any of the match types that take them.
pub fn masked(
    match_type: MatchType,
    mask: impl Into<InetAddr>,
    address: impl Into<InetAddr>,
) -> Matching {
    let pattern = IpAddressMask {
        mask: mask.into(),
        address: address.into(),
    };
    Matching::new(match_type, MatchPattern::from_ip_mask(pattern))
}

/// A prefix of the IPv4 destination.
pub fn ipv4_dst(address: Ipv4Addr, bits: u32) -> Matching {
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    masked(
        MatchType::IPV4_DST_MASK,
        mask.to_be_bytes(),
        address.octets(),
    )
}

/// A prefix of the IPv6 destination.
pub fn ipv6_dst(address: Ipv6Addr, bits: u32) -> Matching {
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    masked(
        MatchType::IPV6_DST_MASK,
        mask.to_be_bytes(),
        address.octets(),
    )
}

/// Both ends of an IPv4 UDP conversation.
pub fn ipv4_udp_tuple(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Matching {
    tuple(
        MatchType::IPV4_UDP_TUPLE,
        (source.0.octets().into(), source.1),
        (destination.0.octets().into(), destination.1),
    )
}

/// Both ends of an IPv6 UDP conversation.
pub fn ipv6_udp_tuple(source: (Ipv6Addr, u16), destination: (Ipv6Addr, u16)) -> Matching {
    tuple(
        MatchType::IPV6_UDP_TUPLE,
        (source.0.octets().into(), source.1),
        (destination.0.octets().into(), destination.1),
    )
}

fn tuple(match_type: MatchType, source: (InetAddr, u16), destination: (InetAddr, u16)) -> Matching {
    let tuple = Tuple {
        source_address: source.0,
        destination_address: destination.0,
        source_port: Port::new(source.1),
        destination_port: Port::new(destination.1),
    };
    Matching::new(match_type, MatchPattern::from_tuple(tuple))
}

/// A port and a piece of a QUIC connection ID, for any of the four match types.
pub fn quic(match_type: MatchType, port: u16, offset: u8, cid: &[u8]) -> Matching {
    let mut flow = QuicFlow {
        udp_port: Port::new(port),
        cid_length: cid.len() as u8,
        cid_offset: offset,
        ..QuicFlow::default()
    };
    flow.cid_data[..cid.len()].copy_from_slice(cid);
    Matching::new(match_type, MatchPattern::from_quic_flow(flow))
}

/// UDP destination ports of a set.
pub fn udp_port_set(ports: &Ports) -> Matching {
    Matching::new(
        MatchType::UDP_PORT_SET,
        MatchPattern::from_port_set(ports.set()),
    )
}

/// A destination address and ports of a set, for any of the four match types.
pub fn ip_port_set(match_type: MatchType, address: impl Into<InetAddr>, ports: &Ports) -> Matching {
    let set = IpPortSet {
        address: address.into(),
        port_set: ports.set(),
    };
    Matching::new(match_type, MatchPattern::from_ip_port_set(set))
}

/// A bitmap of ports in the memory of a client.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    memory: UserMemory,
}

impl Ports {
    /// A set of these ports.
    ///
    /// # Panics
    /// When there is no memory.
    pub fn new(client: &Client<'_>, ports: &[u16]) -> Ports {
        let memory = client
            .alloc(PORT_SET_BUFFER_SIZE)
            .expect("memory for a port set");
        let set = Ports { memory };
        for &port in ports {
            set.insert(port);
        }
        set
    }

    /// The memory.
    pub fn memory(&self) -> UserMemory {
        self.memory
    }

    fn set(&self) -> PortSet {
        PortSet {
            port_set: ClientPtr(self.memory.address() as u64),
            reserved: ClientPtr::NULL,
        }
    }

    fn change(&self, port: u16, change: impl FnOnce(u8, u8) -> u8) {
        let bit = Port::new(port).raw();
        let byte = usize::from(bit >> 3);
        let old = self.memory.read(byte, 1)[0];
        self.memory.write(byte, &[change(old, 1 << (bit & 7))]);
    }

    /// Adds a port.
    pub fn insert(&self, port: u16) {
        self.change(port, |byte, bit| byte | bit);
    }

    /// Takes a port out.
    pub fn remove(&self, port: u16) {
        self.change(port, |byte, bit| byte & !bit);
    }
}

//! Rules, made of what they match and what they do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use xdp_abi::rule::{IpPortSet, PortSet as RawPortSet, QuicFlow, Tuple};
use xdp_abi::{
    ClientPtr, Handle, InetAddr, IpAddressMask, MatchPattern, MatchType, Port, RedirectTargetType,
    Rule as RawRule, RuleAction,
};

use super::PortSet;
use crate::map::Map;
use crate::socket::{BoundSocket, Socket};
use crate::sys::Object;

/// What a frame must be for a rule to apply. An action makes it a [`Rule`].
///
/// Frames with a VLAN tag, IPv4 options or IPv6 extension headers match by address at most, never by port.
#[derive(Clone, Debug)]
#[must_use]
pub struct Match {
    match_type: MatchType,
    pattern: MatchPattern,
    ports: Option<PortSet>,
}

/// What is done to frames that match. The first rule of a program that matches a frame decides; when none does, it
/// passes.
#[derive(Clone)]
#[must_use]
pub struct Rule {
    pub(super) raw: RawRule,
    pub(super) ports: Option<PortSet>,
    /// Open until the rule is attached; the driver keeps it from then on.
    pub(super) target: Option<Arc<dyn Object>>,
}

impl Match {
    fn new(match_type: MatchType, pattern: MatchPattern) -> Self {
        Self {
            match_type,
            pattern,
            ports: None,
        }
    }

    /// Every frame.
    pub fn all() -> Self {
        Self::new(MatchType::ALL, MatchPattern::default())
    }

    /// UDP over IPv4 or IPv6.
    pub fn udp() -> Self {
        Self::new(MatchType::UDP, MatchPattern::default())
    }

    /// A UDP destination port.
    pub fn udp_dst(port: u16) -> Self {
        Self::new(MatchType::UDP_DST, MatchPattern::from_port(Port::new(port)))
    }

    /// A TCP destination port.
    pub fn tcp_dst(port: u16) -> Self {
        Self::new(MatchType::TCP_DST, MatchPattern::from_port(Port::new(port)))
    }

    /// A TCP destination port of a segment with SYN, FIN or RST.
    pub fn tcp_control_dst(port: u16) -> Self {
        let pattern = MatchPattern::from_port(Port::new(port));
        Self::new(MatchType::TCP_CONTROL_DST, pattern)
    }

    /// An IPv4 destination: an address and how many of its bits count, 32 at most.
    pub fn ipv4_dst(address: Ipv4Addr, prefix_bits: u8) -> Self {
        Self::new(MatchType::IPV4_DST_MASK, ipv4_mask(address, prefix_bits))
    }

    /// An IPv6 destination: an address and how many of its bits count, 128 at most.
    pub fn ipv6_dst(address: Ipv6Addr, prefix_bits: u8) -> Self {
        Self::new(MatchType::IPV6_DST_MASK, ipv6_mask(address, prefix_bits))
    }

    /// Addresses and ports of both ends of a UDP flow; `None` when one is of IPv4 and the other of IPv6.
    #[must_use]
    pub fn udp_flow(source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        let match_type = match (source, destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => MatchType::IPV4_UDP_TUPLE,
            (SocketAddr::V6(_), SocketAddr::V6(_)) => MatchType::IPV6_UDP_TUPLE,
            _ => return None,
        };
        let tuple = Tuple {
            source_address: inet(source.ip()),
            destination_address: inet(destination.ip()),
            source_port: Port::new(source.port()),
            destination_port: Port::new(destination.port()),
        };
        Some(Self::new(match_type, MatchPattern::from_tuple(tuple)))
    }

    /// A UDP destination port in a set.
    pub fn udp_dst_in(ports: &PortSet) -> Self {
        Self {
            ports: Some(ports.clone()),
            ..Self::new(
                MatchType::UDP_PORT_SET,
                MatchPattern::from_port_set(raw_ports(ports)),
            )
        }
    }

    /// A destination address, and a UDP destination port in a set.
    pub fn udp_dst_in_at(address: IpAddr, ports: &PortSet) -> Self {
        let match_type = match address {
            IpAddr::V4(_) => MatchType::IPV4_UDP_PORT_SET,
            IpAddr::V6(_) => MatchType::IPV6_UDP_PORT_SET,
        };
        Self::ports_at(match_type, address, ports)
    }

    /// A destination address, and a TCP destination port in a set.
    pub fn tcp_dst_in_at(address: IpAddr, ports: &PortSet) -> Self {
        let match_type = match address {
            IpAddr::V4(_) => MatchType::IPV4_TCP_PORT_SET,
            IpAddr::V6(_) => MatchType::IPV6_TCP_PORT_SET,
        };
        Self::ports_at(match_type, address, ports)
    }

    fn ports_at(match_type: MatchType, address: IpAddr, ports: &PortSet) -> Self {
        let pattern = IpPortSet {
            address: inet(address),
            port_set: raw_ports(ports),
        };
        Self {
            ports: Some(ports.clone()),
            ..Self::new(match_type, MatchPattern::from_ip_port_set(pattern))
        }
    }

    /// A UDP destination port, and some bytes of the source connection id of a long QUIC header, from `offset` on.
    ///
    /// `None` when offset and bytes are more than the 20 bytes that such an id can have; so it is with the other three.
    #[must_use]
    pub fn quic_source_id(port: u16, offset: u8, id: &[u8]) -> Option<Self> {
        Self::quic(MatchType::QUIC_FLOW_SRC_CID, port, offset, id)
    }

    /// A UDP destination port, and some bytes of the destination connection id of a short QUIC header.
    #[must_use]
    pub fn quic_destination_id(port: u16, offset: u8, id: &[u8]) -> Option<Self> {
        Self::quic(MatchType::QUIC_FLOW_DST_CID, port, offset, id)
    }

    /// As [`Match::quic_source_id`], over TCP.
    #[must_use]
    pub fn tcp_quic_source_id(port: u16, offset: u8, id: &[u8]) -> Option<Self> {
        Self::quic(MatchType::TCP_QUIC_FLOW_SRC_CID, port, offset, id)
    }

    /// As [`Match::quic_destination_id`], over TCP.
    #[must_use]
    pub fn tcp_quic_destination_id(port: u16, offset: u8, id: &[u8]) -> Option<Self> {
        Self::quic(MatchType::TCP_QUIC_FLOW_DST_CID, port, offset, id)
    }

    fn quic(match_type: MatchType, port: u16, offset: u8, id: &[u8]) -> Option<Self> {
        let mut flow = QuicFlow {
            udp_port: Port::new(port),
            cid_length: u8::try_from(id.len()).ok()?,
            cid_offset: offset,
            ..QuicFlow::default()
        };
        if usize::from(offset) + id.len() > flow.cid_data.len() {
            return None;
        }
        flow.cid_data.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self::new(match_type, MatchPattern::from_quic_flow(flow)))
    }

    /// An IPv4 protocol or IPv6 next header.
    pub fn ip_protocol(number: u8) -> Self {
        Self::new(
            MatchType::IP_NEXT_HEADER,
            MatchPattern::from_next_header(number),
        )
    }

    /// The IPv4 destination of a UDP packet inside an IP packet.
    pub fn inner_ipv4_udp_dst(address: Ipv4Addr, prefix_bits: u8) -> Self {
        Self::new(
            MatchType::INNER_IPV4_DST_MASK_UDP,
            ipv4_mask(address, prefix_bits),
        )
    }

    /// The IPv6 destination of a UDP packet inside an IP packet.
    pub fn inner_ipv6_udp_dst(address: Ipv6Addr, prefix_bits: u8) -> Self {
        Self::new(
            MatchType::INNER_IPV6_DST_MASK_UDP,
            ipv6_mask(address, prefix_bits),
        )
    }

    /// The destination of an ICMP or ICMPv6 echo reply.
    pub fn echo_reply_to(address: IpAddr) -> Self {
        let match_type = match address {
            IpAddr::V4(_) => MatchType::ICMPV4_ECHO_REPLY_IP_DST,
            IpAddr::V6(_) => MatchType::ICMPV6_ECHO_REPLY_IP_DST,
        };
        let mask = IpAddressMask {
            mask: InetAddr::default(),
            address: inet(address),
        };
        Self::new(match_type, MatchPattern::from_ip_mask(mask))
    }

    fn act(self, action: RuleAction) -> Rule {
        Rule {
            raw: RawRule::new(self.match_type, self.pattern, action),
            ports: self.ports,
            target: None,
        }
    }

    /// The frame is dropped.
    #[doc(alias = "XDP_PROGRAM_ACTION_DROP")]
    pub fn drop(self) -> Rule {
        self.act(RuleAction::DROP)
    }

    /// The frame goes on as if nobody had looked.
    #[doc(alias = "XDP_PROGRAM_ACTION_PASS")]
    pub fn pass(self) -> Rule {
        self.act(RuleAction::PASS)
    }

    /// The frame goes back where it came from, with its MAC addresses swapped.
    #[doc(alias = "XDP_PROGRAM_ACTION_L2FWD")]
    pub fn send_back(self) -> Rule {
        self.act(RuleAction::L2FWD)
    }

    /// The frame goes to a socket, if it arrived on the queue that the socket is bound to, and is dropped otherwise.
    #[doc(alias = "XDP_PROGRAM_ACTION_REDIRECT")]
    pub fn redirect(self, socket: &Socket<'_>) -> Rule {
        self.redirect_to(RedirectTargetType::XSK, socket.object())
    }

    /// As [`Match::redirect`], to a socket that gets its memory later, perhaps in another process: until then its frames are
    /// dropped.
    pub fn redirect_to_bound(self, socket: &BoundSocket) -> Rule {
        self.redirect_to(RedirectTargetType::XSK, socket.object())
    }

    /// The frame goes to the socket that a map has for the queue on which it arrived, and is dropped if there is none.
    #[doc(alias = "XDP_REDIRECT_TARGET_TYPE_XSKMAP_BY_QUEUEID")]
    pub fn redirect_by_queue(self, map: &Map) -> Rule {
        self.redirect_to(RedirectTargetType::XSKMAP_BY_QUEUEID, map.object())
    }

    fn redirect_to(self, target_type: RedirectTargetType, object: &Arc<dyn Object>) -> Rule {
        let target = Handle(object.handle());
        Rule {
            raw: RawRule::redirect(self.match_type, self.pattern, target_type, target),
            ports: self.ports,
            target: Some(Arc::clone(object)),
        }
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rule({:?} {:?})", self.raw.match_type, self.raw.action)
    }
}

fn raw_ports(ports: &PortSet) -> RawPortSet {
    RawPortSet {
        port_set: ClientPtr(ports.address()),
        reserved: ClientPtr::NULL,
    }
}

fn inet(address: IpAddr) -> InetAddr {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// Bits of the address behind the prefix are cut off: with them nothing would ever match.
fn ipv4_mask(address: Ipv4Addr, prefix_bits: u8) -> MatchPattern {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix_bits.min(32)))
        .unwrap_or(0);
    let mask = Ipv4Addr::from(mask);
    MatchPattern::from_ip_mask(IpAddressMask {
        mask: mask.octets().into(),
        address: (address & mask).octets().into(),
    })
}

fn ipv6_mask(address: Ipv6Addr, prefix_bits: u8) -> MatchPattern {
    let mask = u128::MAX
        .checked_shl(128 - u32::from(prefix_bits.min(128)))
        .unwrap_or(0);
    let mask = Ipv6Addr::from(mask);
    MatchPattern::from_ip_mask(IpAddressMask {
        mask: mask.octets().into(),
        address: (address & mask).octets().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_become_masks_and_addresses_inside_them() {
        let mask = |bits| {
            Match::ipv4_dst(Ipv4Addr::new(192, 0, 2, 77), bits)
                .pattern
                .ip_mask()
        };
        assert_eq!(mask(24).mask.ipv4().bytes, [255, 255, 255, 0]);
        assert_eq!(mask(24).address.ipv4().bytes, [192, 0, 2, 0]);
        assert_eq!(mask(32).address.ipv4().bytes, [192, 0, 2, 77]);
        assert_eq!(mask(0).mask.ipv4().bytes, [0; 4]);
        assert_eq!(mask(0).address.ipv4().bytes, [0; 4]);
        assert_eq!(mask(200).mask.ipv4().bytes, [255; 4]);
        let six = Match::ipv6_dst(Ipv6Addr::LOCALHOST, 0).pattern.ip_mask();
        assert_eq!(six.address.ipv6().bytes, [0; 16]);
    }

    #[test]
    fn connection_ids_that_do_not_fit_are_refused() {
        assert!(Match::quic_source_id(443, 0, &[7; 20]).is_some());
        assert!(Match::quic_source_id(443, 1, &[7; 20]).is_none());
        assert!(Match::quic_destination_id(443, 0, &[7; 300]).is_none());
    }

    #[test]
    fn flows_are_of_one_family() {
        let four: SocketAddr = "192.0.2.1:5".parse().expect("an address");
        let six: SocketAddr = "[2001:db8::1]:5".parse().expect("an address");
        assert!(Match::udp_flow(four, six).is_none());
        let flow = Match::udp_flow(six, six).expect("one family");
        assert_eq!(flow.match_type, MatchType::IPV6_UDP_TUPLE);
    }
}

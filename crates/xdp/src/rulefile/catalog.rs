//! What can be written in a rule: the one list that reading, describing and the schema are made from.

use xdp_abi::MatchType;

/// A match type as rule files know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchInfo {
    /// Its name in a file.
    pub name: &'static str,
    /// Its number.
    pub match_type: MatchType,
    /// What it matches, in a few words.
    pub about: &'static str,
    pub(super) shape: Shape,
}

impl MatchInfo {
    /// Returns the fields that a rule of this type has besides the common ones, and whether they are required.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.shape
            .fields()
            .iter()
            .map(|(field, required)| (field.name(), *required))
    }
}

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What a rule of some match type compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Nothing,
    Port,
    Masked(Family),
    Quic,
    Tuple(Family),
    Ports,
    AddressPorts(Family),
    Protocol,
    Address(Family),
}

/// A field of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Port,
    Prefix(Family),
    Mask(Family),
    Cid,
    CidOffset,
    Source(Family),
    Destination(Family),
    Ports,
    Address(Family),
    Protocol,
}

/// Fields that every rule has.
pub(super) const COMMON: [&str; 5] = ["name", "comment", "match", "action", "redirect-to"];
/// What `action` takes.
pub(super) const ACTIONS: [&str; 4] = ["pass", "drop", "l2fwd", "redirect"];

impl Shape {
    pub(super) const fn fields(self) -> &'static [(Field, bool)] {
        use Family::{V4, V6};
        match self {
            Self::Nothing => &[],
            Self::Port => &[(Field::Port, true)],
            Self::Masked(V4) => &[(Field::Prefix(V4), true), (Field::Mask(V4), false)],
            Self::Masked(V6) => &[(Field::Prefix(V6), true), (Field::Mask(V6), false)],
            Self::Quic => &[
                (Field::Port, true),
                (Field::Cid, true),
                (Field::CidOffset, false),
            ],
            Self::Tuple(V4) => &[(Field::Source(V4), true), (Field::Destination(V4), true)],
            Self::Tuple(V6) => &[(Field::Source(V6), true), (Field::Destination(V6), true)],
            Self::Ports => &[(Field::Ports, true)],
            Self::AddressPorts(V4) => &[(Field::Address(V4), true), (Field::Ports, true)],
            Self::AddressPorts(V6) => &[(Field::Address(V6), true), (Field::Ports, true)],
            Self::Protocol => &[(Field::Protocol, true)],
            Self::Address(V4) => &[(Field::Address(V4), true)],
            Self::Address(V6) => &[(Field::Address(V6), true)],
        }
    }
}

impl Field {
    /// Every field that some rule has.
    pub(super) const NAMES: [&'static str; 9] = [
        "port",
        "address",
        "mask",
        "cid",
        "cid-offset",
        "source",
        "destination",
        "ports",
        "protocol",
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Prefix(_) | Self::Address(_) => "address",
            Self::Mask(_) => "mask",
            Self::Cid => "cid",
            Self::CidOffset => "cid-offset",
            Self::Source(_) => "source",
            Self::Destination(_) => "destination",
            Self::Ports => "ports",
            Self::Protocol => "protocol",
        }
    }

    pub(super) const fn expected(self) -> &'static str {
        use Family::{V4, V6};
        match self {
            Self::Port => "a port: a number from 0 to 65535",
            Self::Prefix(V4) => "an IPv4 address or prefix such as \"192.0.2.0/24\"",
            Self::Prefix(V6) => "an IPv6 address or prefix such as \"2001:db8::/32\"",
            Self::Mask(V4) => "an IPv4 mask such as \"255.255.0.255\"",
            Self::Mask(V6) => "an IPv6 mask such as \"ffff:ffff::ffff\"",
            Self::Cid => "a connection ID: up to 20 bytes in hexadecimal such as \"c1d2e3f4\"",
            Self::CidOffset => "an offset in bytes: a number from 0 to 20",
            Self::Source(V4) | Self::Destination(V4) => {
                "an IPv4 address and port such as \"192.0.2.1:443\""
            }
            Self::Source(V6) | Self::Destination(V6) => {
                "an IPv6 address and port such as \"[2001:db8::1]:443\""
            }
            Self::Ports => "a list of ports and ranges such as [53, \"8000-8100\"]",
            Self::Address(V4) => "an IPv4 address such as \"192.0.2.1\"",
            Self::Address(V6) => "an IPv6 address such as \"2001:db8::1\"",
            Self::Protocol => "an IP protocol: a number from 0 to 255, or a name such as \"gre\"",
        }
    }
}

/// IP protocols that can be written by name.
pub(super) const PROTOCOLS: [(&str, u8); 12] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipv4", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ospf", 89),
    ("sctp", 132),
];

const fn info(
    name: &'static str,
    match_type: MatchType,
    shape: Shape,
    about: &'static str,
) -> MatchInfo {
    MatchInfo {
        name,
        match_type,
        about,
        shape,
    }
}

/// Every match type, in the order of its number.
pub const MATCHES: [MatchInfo; 23] = {
    use Family::{V4, V6};
    use MatchType as T;
    use Shape::{Address, AddressPorts, Masked, Nothing, Port, Ports, Protocol, Quic, Tuple};
    [
        info("all", T::ALL, Nothing, "every frame, even a runt"),
        info("udp", T::UDP, Nothing, "UDP over IPv4 or IPv6"),
        info("udp-dst", T::UDP_DST, Port, "UDP destination port"),
        info(
            "ipv4-dst-mask",
            T::IPV4_DST_MASK,
            Masked(V4),
            "IPv4 destination prefix",
        ),
        info(
            "ipv6-dst-mask",
            T::IPV6_DST_MASK,
            Masked(V6),
            "IPv6 destination prefix",
        ),
        info(
            "quic-flow-src-cid",
            T::QUIC_FLOW_SRC_CID,
            Quic,
            "UDP destination port and source connection ID of a QUIC long header",
        ),
        info(
            "quic-flow-dst-cid",
            T::QUIC_FLOW_DST_CID,
            Quic,
            "UDP destination port and destination connection ID of a QUIC short header",
        ),
        info(
            "ipv4-udp-tuple",
            T::IPV4_UDP_TUPLE,
            Tuple(V4),
            "both ends of UDP over IPv4",
        ),
        info(
            "ipv6-udp-tuple",
            T::IPV6_UDP_TUPLE,
            Tuple(V6),
            "both ends of UDP over IPv6",
        ),
        info(
            "udp-port-set",
            T::UDP_PORT_SET,
            Ports,
            "UDP destination port in a set",
        ),
        info(
            "ipv4-udp-port-set",
            T::IPV4_UDP_PORT_SET,
            AddressPorts(V4),
            "IPv4 destination, and UDP destination port in a set",
        ),
        info(
            "ipv6-udp-port-set",
            T::IPV6_UDP_PORT_SET,
            AddressPorts(V6),
            "IPv6 destination, and UDP destination port in a set",
        ),
        info(
            "ipv4-tcp-port-set",
            T::IPV4_TCP_PORT_SET,
            AddressPorts(V4),
            "IPv4 destination, and TCP destination port in a set",
        ),
        info(
            "ipv6-tcp-port-set",
            T::IPV6_TCP_PORT_SET,
            AddressPorts(V6),
            "IPv6 destination, and TCP destination port in a set",
        ),
        info("tcp-dst", T::TCP_DST, Port, "TCP destination port"),
        info(
            "tcp-quic-flow-src-cid",
            T::TCP_QUIC_FLOW_SRC_CID,
            Quic,
            "as quic-flow-src-cid, over a TCP payload",
        ),
        info(
            "tcp-quic-flow-dst-cid",
            T::TCP_QUIC_FLOW_DST_CID,
            Quic,
            "as quic-flow-dst-cid, over a TCP payload",
        ),
        info(
            "tcp-control-dst",
            T::TCP_CONTROL_DST,
            Port,
            "TCP destination port of a segment with SYN, FIN or RST",
        ),
        info(
            "ip-next-header",
            T::IP_NEXT_HEADER,
            Protocol,
            "IPv4 protocol or IPv6 next header",
        ),
        info(
            "inner-ipv4-dst-mask-udp",
            T::INNER_IPV4_DST_MASK_UDP,
            Masked(V4),
            "destination prefix of IPv4 UDP inside IP",
        ),
        info(
            "inner-ipv6-dst-mask-udp",
            T::INNER_IPV6_DST_MASK_UDP,
            Masked(V6),
            "destination prefix of IPv6 UDP inside IP",
        ),
        info(
            "icmpv4-echo-reply-ip-dst",
            T::ICMPV4_ECHO_REPLY_IP_DST,
            Address(V4),
            "ICMP echo reply to an IPv4 address",
        ),
        info(
            "icmpv6-echo-reply-ip-dst",
            T::ICMPV6_ECHO_REPLY_IP_DST,
            Address(V6),
            "ICMPv6 echo reply to an IPv6 address",
        ),
    ]
};

/// Returns the name that rule files give a match type.
#[must_use]
pub fn match_name(match_type: MatchType) -> Option<&'static str> {
    MATCHES
        .iter()
        .find(|info| info.match_type == match_type)
        .map(|info| info.name)
}

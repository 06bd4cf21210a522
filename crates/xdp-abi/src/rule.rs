//! Rules: what to match and what to do then.

use crate::address::{InetAddr, IpAddressMask, Port};
use crate::macros::{open_enum, union_views};
use crate::object::{ClientPtr, Handle};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a port set's bitmap: one bit for each of 65,536 ports.
#[doc(alias = "XDP_PORT_SET_BUFFER_SIZE")]
pub const PORT_SET_BUFFER_SIZE: usize = 8192;

/// Bytes a QUIC connection id may have.
#[doc(alias = "XDP_QUIC_MAX_CID_LENGTH")]
pub const QUIC_MAX_CID_LENGTH: usize = 20;

open_enum! {
    /// What a rule looks at.
    #[doc(alias = "XDP_MATCH_TYPE")]
    pub struct MatchType: u32 {
        /// Every frame, even a runt.
        ALL = 0, "XDP_MATCH_ALL";
        /// A UDP header is present.
        UDP = 1, "XDP_MATCH_UDP";
        /// UDP destination port.
        UDP_DST = 2, "XDP_MATCH_UDP_DST";
        /// Masked IPv4 destination.
        IPV4_DST_MASK = 3, "XDP_MATCH_IPV4_DST_MASK";
        /// Masked IPv6 destination.
        IPV6_DST_MASK = 4, "XDP_MATCH_IPV6_DST_MASK";
        /// UDP destination port and source connection id of a long QUIC header.
        QUIC_FLOW_SRC_CID = 5, "XDP_MATCH_QUIC_FLOW_SRC_CID";
        /// UDP destination port and destination connection id of a short QUIC header.
        QUIC_FLOW_DST_CID = 6, "XDP_MATCH_QUIC_FLOW_DST_CID";
        /// IPv4 addresses and UDP ports, both ends.
        IPV4_UDP_TUPLE = 7, "XDP_MATCH_IPV4_UDP_TUPLE";
        /// IPv6 addresses and UDP ports, both ends.
        IPV6_UDP_TUPLE = 8, "XDP_MATCH_IPV6_UDP_TUPLE";
        /// UDP destination port in a set.
        UDP_PORT_SET = 9, "XDP_MATCH_UDP_PORT_SET";
        /// IPv4 destination, and UDP destination port in a set.
        IPV4_UDP_PORT_SET = 10, "XDP_MATCH_IPV4_UDP_PORT_SET";
        /// IPv6 destination, and UDP destination port in a set.
        IPV6_UDP_PORT_SET = 11, "XDP_MATCH_IPV6_UDP_PORT_SET";
        /// IPv4 destination, and TCP destination port in a set.
        IPV4_TCP_PORT_SET = 12, "XDP_MATCH_IPV4_TCP_PORT_SET";
        /// IPv6 destination, and TCP destination port in a set.
        IPV6_TCP_PORT_SET = 13, "XDP_MATCH_IPV6_TCP_PORT_SET";
        /// TCP destination port.
        TCP_DST = 14, "XDP_MATCH_TCP_DST";
        /// As [`Self::QUIC_FLOW_SRC_CID`], over a TCP payload.
        TCP_QUIC_FLOW_SRC_CID = 15, "XDP_MATCH_TCP_QUIC_FLOW_SRC_CID";
        /// As [`Self::QUIC_FLOW_DST_CID`], over a TCP payload.
        TCP_QUIC_FLOW_DST_CID = 16, "XDP_MATCH_TCP_QUIC_FLOW_DST_CID";
        /// TCP destination port of a segment with SYN, FIN or RST.
        TCP_CONTROL_DST = 17, "XDP_MATCH_TCP_CONTROL_DST";
        /// IPv4 protocol or IPv6 next header.
        IP_NEXT_HEADER = 18, "XDP_MATCH_IP_NEXT_HEADER";
        /// Masked destination of an IPv4 UDP packet inside an IP packet.
        INNER_IPV4_DST_MASK_UDP = 19, "XDP_MATCH_INNER_IPV4_DST_MASK_UDP";
        /// Masked destination of an IPv6 UDP packet inside an IP packet.
        INNER_IPV6_DST_MASK_UDP = 20, "XDP_MATCH_INNER_IPV6_DST_MASK_UDP";
        /// IPv4 destination of an ICMP echo reply.
        ICMPV4_ECHO_REPLY_IP_DST = 21, "XDP_MATCH_ICMPV4_ECHO_REPLY_IP_DST";
        /// IPv6 destination of an ICMPv6 echo reply.
        ICMPV6_ECHO_REPLY_IP_DST = 22, "XDP_MATCH_ICMPV6_ECHO_REPLY_IP_DST";
    }
}

open_enum! {
    /// What happens to a frame that matches.
    #[doc(alias = "XDP_RULE_ACTION")]
    pub struct RuleAction: u32 {
        /// The frame is dropped.
        DROP = 0, "XDP_PROGRAM_ACTION_DROP";
        /// The frame continues as if nothing had looked.
        PASS = 1, "XDP_PROGRAM_ACTION_PASS";
        /// The frame is copied to a socket and then dropped.
        REDIRECT = 2, "XDP_PROGRAM_ACTION_REDIRECT";
        /// The frame's MAC addresses are swapped and it is sent back.
        L2FWD = 3, "XDP_PROGRAM_ACTION_L2FWD";
        /// An eBPF program decides (kernel callers only).
        EBPF = 4, "XDP_PROGRAM_ACTION_EBPF";
    }
}

open_enum! {
    /// What kind of object a redirect names.
    #[doc(alias = "XDP_REDIRECT_TARGET_TYPE")]
    pub struct RedirectTargetType: u32 {
        /// A socket.
        XSK = 0, "XDP_REDIRECT_TARGET_TYPE_XSK";
        /// The socket a map holds for the receiving queue.
        XSKMAP_BY_QUEUEID = 1, "XDP_REDIRECT_TARGET_TYPE_XSKMAP_BY_QUEUEID";
    }
}

/// Addresses and ports of both ends.
#[doc(alias = "XDP_TUPLE")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Tuple {
    /// Source address.
    pub source_address: InetAddr,
    /// Destination address.
    pub destination_address: InetAddr,
    /// Source port.
    pub source_port: Port,
    /// Destination port.
    pub destination_port: Port,
}

/// A port and a piece of a QUIC connection id.
#[doc(alias = "XDP_QUIC_FLOW")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct QuicFlow {
    /// Destination port, of UDP or (for the TCP match types) of TCP.
    pub udp_port: Port,
    /// Bytes compared.
    pub cid_length: u8,
    /// Where in the packet's connection id comparing starts.
    pub cid_offset: u8,
    /// What those bytes must be; starts at index 0 whatever the offset.
    pub cid_data: [u8; QUIC_MAX_CID_LENGTH],
}

/// A bitmap of ports in the client's memory, which stays live.
///
/// Bit index of a port is [`Port::raw`]: byte `raw >> 3`, bit `raw & 7`.
#[doc(alias = "XDP_PORT_SET")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PortSet {
    /// Address of [`PORT_SET_BUFFER_SIZE`] bytes.
    pub port_set: ClientPtr,
    /// Must be null.
    pub reserved: ClientPtr,
}

/// A destination address and a set of ports.
#[doc(alias = "XDP_IP_PORT_SET")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IpPortSet {
    /// Destination address.
    pub address: InetAddr,
    /// Destination ports.
    pub port_set: PortSet,
}

/// What a rule compares with; which member counts follows from the [`MatchType`].
#[doc(alias = "XDP_MATCH_PATTERN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MatchPattern {
    /// The union's storage.
    pub words: [u64; 5],
}

union_views! {
    MatchPattern {
        /// For `UDP_DST`, `TCP_DST` and `TCP_CONTROL_DST`.
        port, from_port: Port, "Port";
        /// For the masked, inner and ICMP match types.
        ip_mask, from_ip_mask: IpAddressMask, "IpMask";
        /// For the tuple match types.
        tuple, from_tuple: Tuple, "Tuple";
        /// For the QUIC match types.
        quic_flow, from_quic_flow: QuicFlow, "QuicFlow";
        /// For `UDP_PORT_SET`.
        port_set, from_port_set: PortSet, "PortSet";
        /// For the port sets with an address.
        ip_port_set, from_ip_port_set: IpPortSet, "IpPortSet";
        /// For `IP_NEXT_HEADER`.
        next_header, from_next_header: u8, "NextHeader";
    }
}

/// Where a redirect goes.
#[doc(alias = "XDP_REDIRECT_PARAMS")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RedirectParams {
    /// Kind of object behind the handle.
    pub target_type: RedirectTargetType,
    /// Padding.
    pub padding: u32,
    /// Handle of the socket or map.
    pub target: Handle,
}

/// Which eBPF program runs.
#[doc(alias = "XDP_EBPF_PARAMS")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct EbpfParams {
    /// Kernel address that stands for the program.
    pub target: Handle,
}

/// Parameters of an action; which member counts follows from the [`RuleAction`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ActionParams {
    /// The union's storage.
    pub words: [u64; 2],
}

union_views! {
    ActionParams {
        /// For `REDIRECT`.
        redirect, from_redirect: RedirectParams, "Redirect";
        /// For `EBPF`.
        ebpf, from_ebpf: EbpfParams, "Ebpf";
    }
}

/// One rule of a program.
#[doc(alias = "XDP_RULE")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Rule {
    /// What to look at.
    #[doc(alias = "Match")]
    pub match_type: MatchType,
    /// Padding.
    pub padding0: u32,
    /// What to compare with.
    pub pattern: MatchPattern,
    /// What to do.
    pub action: RuleAction,
    /// Padding.
    pub padding1: u32,
    /// Parameters of the action.
    pub params: ActionParams,
}

impl Rule {
    /// A rule whose action takes no parameters.
    #[must_use]
    pub fn new(match_type: MatchType, pattern: MatchPattern, action: RuleAction) -> Self {
        Self {
            match_type,
            pattern,
            action,
            ..Self::default()
        }
    }

    /// A rule that redirects to a socket or a map.
    #[must_use]
    pub fn redirect(
        match_type: MatchType,
        pattern: MatchPattern,
        target_type: RedirectTargetType,
        target: Handle,
    ) -> Self {
        let params = RedirectParams {
            target_type,
            padding: 0,
            target,
        };
        Self {
            params: ActionParams::from_redirect(params),
            ..Self::new(match_type, pattern, RuleAction::REDIRECT)
        }
    }
}

//! From the rules an application hands over to rules that can be trusted.
//!
//! Checks what the bytes alone can show, in the order they are specified to be checked in. What takes the system (the memory
//! of a port set, the object behind a handle) is left to the caller, who finds both in the result.

use crate::pattern::{AddressPorts, CidSlice, Flow, Masked, Pattern, Tuple};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use xdp_abi::{
    ClientPtr, Handle, InetAddr, IpAddressMask, IpPortSet, MatchType, PortSet, QuicFlow,
    RedirectTargetType, Rule, RuleAction,
};

/// Who hands over the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// An application.
    User,
    /// Another driver; only those may run eBPF.
    Kernel,
}

/// A rule whose bytes have been checked; port sets and handles still name things of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValidRule {
    /// What to look at.
    pub pattern: Pattern<ClientPtr>,
    /// What to do.
    pub action: Action,
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is dropped.
    Drop,
    /// It continues.
    Pass,
    /// It is copied to the socket with this handle.
    RedirectToSocket(Handle),
    /// It is copied to the socket that the map with this handle holds for the receiving queue.
    RedirectByQueue(Handle),
    /// It is sent back with its MAC addresses swapped.
    L2Forward,
    /// The eBPF program with this kernel address decides.
    Ebpf(Handle),
}

/// A member of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The match type.
    Match,
    /// Offset and length of a QUIC connection ID.
    CidRange,
    /// The reserved member of a port set.
    PortSetReserved,
    /// The action.
    Action,
    /// The kind of object to redirect to.
    RedirectTargetType,
}

/// What is wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no such value.
    Unknown,
    /// Offset plus length is more than 20.
    TooLong,
    /// It must be null.
    NotNull,
    /// Only kernel callers may.
    NotForUser,
    /// An eBPF action must be the only rule, with a match of everything.
    NotAlone,
}

/// Which rule was refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleError {
    /// Index of the rule.
    pub index: usize,
    /// The member that is wrong.
    pub field: Field,
    /// What is wrong with it.
    pub reason: Reason,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field {
            Field::Match => "match type",
            Field::CidRange => "connection ID offset and length",
            Field::PortSetReserved => "reserved member of the port set",
            Field::Action => "action",
            Field::RedirectTargetType => "redirect target type",
        };
        let reason = match self.reason {
            Reason::Unknown => "is unknown",
            Reason::TooLong => "reach past byte 20",
            Reason::NotNull => "must be null",
            Reason::NotForUser => "is for kernel callers only",
            Reason::NotAlone => "must be the only rule's and match everything",
        };
        write!(f, "rule {}: {field} {reason}", self.index)
    }
}

impl core::error::Error for RuleError {}

/// Validates the rules of one program, in order; an error ends it for any use.
pub fn rules(
    rules: &[Rule],
    caller: Caller,
) -> impl ExactSizeIterator<Item = Result<ValidRule, RuleError>> {
    let count = rules.len();
    rules
        .iter()
        .enumerate()
        .map(move |(index, bytes)| rule(bytes, index, count, caller))
}

/// Validates one rule, the one at `index` of `count`.
///
/// # Errors
///
/// The first member that is wrong.
pub fn rule(
    rule: &Rule,
    index: usize,
    count: usize,
    caller: Caller,
) -> Result<ValidRule, RuleError> {
    let refuse = |(field, reason)| RuleError {
        index,
        field,
        reason,
    };
    let pattern = pattern(rule).map_err(refuse)?;
    let alone = count == 1 && rule.match_type == MatchType::ALL;
    let action = action(rule, alone, caller).map_err(refuse)?;
    Ok(ValidRule { pattern, action })
}

type Refusal = (Field, Reason);

fn pattern(rule: &Rule) -> Result<Pattern<ClientPtr>, Refusal> {
    let bytes = &rule.pattern;
    let port = || bytes.port().number();
    let v4 = || masked(&bytes.ip_mask(), ipv4);
    let v6 = || masked(&bytes.ip_mask(), ipv6);
    let v4_ports = || address_ports(&bytes.ip_port_set(), ipv4);
    let v6_ports = || address_ports(&bytes.ip_port_set(), ipv6);
    let flow = || flow(&bytes.quic_flow());
    Ok(match rule.match_type {
        MatchType::ALL => Pattern::All,
        MatchType::UDP => Pattern::Udp,
        MatchType::UDP_DST => Pattern::UdpDst(port()),
        MatchType::IPV4_DST_MASK => Pattern::Ipv4DstMask(v4()),
        MatchType::IPV6_DST_MASK => Pattern::Ipv6DstMask(v6()),
        MatchType::QUIC_FLOW_SRC_CID => Pattern::QuicFlowSrcCid(flow()?),
        MatchType::QUIC_FLOW_DST_CID => Pattern::QuicFlowDstCid(flow()?),
        MatchType::IPV4_UDP_TUPLE => Pattern::Ipv4UdpTuple(tuple(&bytes.tuple(), ipv4)),
        MatchType::IPV6_UDP_TUPLE => Pattern::Ipv6UdpTuple(tuple(&bytes.tuple(), ipv6)),
        MatchType::UDP_PORT_SET => Pattern::UdpPortSet(port_set(&bytes.port_set())?),
        MatchType::IPV4_UDP_PORT_SET => Pattern::Ipv4UdpPortSet(v4_ports()?),
        MatchType::IPV6_UDP_PORT_SET => Pattern::Ipv6UdpPortSet(v6_ports()?),
        MatchType::IPV4_TCP_PORT_SET => Pattern::Ipv4TcpPortSet(v4_ports()?),
        MatchType::IPV6_TCP_PORT_SET => Pattern::Ipv6TcpPortSet(v6_ports()?),
        MatchType::TCP_DST => Pattern::TcpDst(port()),
        MatchType::TCP_QUIC_FLOW_SRC_CID => Pattern::TcpQuicFlowSrcCid(flow()?),
        MatchType::TCP_QUIC_FLOW_DST_CID => Pattern::TcpQuicFlowDstCid(flow()?),
        MatchType::TCP_CONTROL_DST => Pattern::TcpControlDst(port()),
        MatchType::IP_NEXT_HEADER => Pattern::IpNextHeader(bytes.next_header()),
        MatchType::INNER_IPV4_DST_MASK_UDP => Pattern::InnerIpv4DstMaskUdp(v4()),
        MatchType::INNER_IPV6_DST_MASK_UDP => Pattern::InnerIpv6DstMaskUdp(v6()),
        MatchType::ICMPV4_ECHO_REPLY_IP_DST => {
            Pattern::Icmpv4EchoReplyIpDst(ipv4(&bytes.ip_mask().address))
        }
        MatchType::ICMPV6_ECHO_REPLY_IP_DST => {
            Pattern::Icmpv6EchoReplyIpDst(ipv6(&bytes.ip_mask().address))
        }
        _ => return Err((Field::Match, Reason::Unknown)),
    })
}

fn action(rule: &Rule, alone: bool, caller: Caller) -> Result<Action, Refusal> {
    Ok(match rule.action {
        RuleAction::DROP => Action::Drop,
        RuleAction::PASS => Action::Pass,
        RuleAction::REDIRECT => {
            let redirect = rule.params.redirect();
            match redirect.target_type {
                RedirectTargetType::XSK => Action::RedirectToSocket(redirect.target),
                RedirectTargetType::XSKMAP_BY_QUEUEID => Action::RedirectByQueue(redirect.target),
                _ => return Err((Field::RedirectTargetType, Reason::Unknown)),
            }
        }
        RuleAction::L2FWD => Action::L2Forward,
        RuleAction::EBPF if caller == Caller::User => {
            return Err((Field::Action, Reason::NotForUser));
        }
        RuleAction::EBPF if !alone => return Err((Field::Action, Reason::NotAlone)),
        RuleAction::EBPF => Action::Ebpf(rule.params.ebpf().target),
        _ => return Err((Field::Action, Reason::Unknown)),
    })
}

fn ipv4(address: &InetAddr) -> Ipv4Addr {
    address.ipv4().bytes.into()
}

fn ipv6(address: &InetAddr) -> Ipv6Addr {
    address.ipv6().bytes.into()
}

fn masked<A>(from: &IpAddressMask, read: fn(&InetAddr) -> A) -> Masked<A> {
    Masked {
        mask: read(&from.mask),
        address: read(&from.address),
    }
}

fn tuple<A>(from: &xdp_abi::Tuple, read: fn(&InetAddr) -> A) -> Tuple<A> {
    Tuple {
        source: read(&from.source_address),
        destination: read(&from.destination_address),
        source_port: from.source_port.number(),
        destination_port: from.destination_port.number(),
    }
}

fn port_set(from: &PortSet) -> Result<ClientPtr, Refusal> {
    if from.reserved != ClientPtr::default() {
        return Err((Field::PortSetReserved, Reason::NotNull));
    }
    Ok(from.port_set)
}

fn address_ports<A>(
    from: &IpPortSet,
    read: fn(&InetAddr) -> A,
) -> Result<AddressPorts<A, ClientPtr>, Refusal> {
    Ok(AddressPorts {
        address: read(&from.address),
        ports: port_set(&from.port_set)?,
    })
}

fn flow(from: &QuicFlow) -> Result<Flow, Refusal> {
    let too_long = (Field::CidRange, Reason::TooLong);
    let bytes = from
        .cid_data
        .get(..usize::from(from.cid_length))
        .ok_or(too_long)?;
    Ok(Flow {
        port: from.udp_port.number(),
        cid: CidSlice::new(from.cid_offset, bytes).ok_or(too_long)?,
    })
}

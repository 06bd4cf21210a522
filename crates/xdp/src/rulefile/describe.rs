//! Rules as people read them.

use super::Entry;
use super::catalog::{Family, MATCHES, PROTOCOLS, Shape};
use super::text::{Address, prefix_length};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use xdp_abi::{InetAddr, IpAddressMask, RuleAction};

impl Entry {
    /// Returns what the rule matches on one line, such as `udp-dst 53`.
    #[must_use]
    pub fn condition(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write_condition(f))
    }

    /// Returns what the rule does on one line, such as `redirect to socket "rx"`.
    #[must_use]
    pub fn action(&self) -> impl fmt::Display {
        fmt::from_fn(|f| match &self.target {
            Some(target) => write!(f, "redirect to {target}"),
            None => f.write_str(self.action_name()),
        })
    }

    /// Returns the name of the rule's action.
    #[must_use]
    pub fn action_name(&self) -> &'static str {
        match self.rule.action {
            RuleAction::DROP => "drop",
            RuleAction::PASS => "pass",
            RuleAction::L2FWD => "l2fwd",
            _ => "redirect",
        }
    }

    fn write_condition(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = &self.rule.pattern;
        let Some(info) = MATCHES
            .iter()
            .find(|info| info.match_type == self.rule.match_type)
        else {
            return write!(f, "{:?}", self.rule.match_type);
        };
        f.write_str(info.name)?;
        match info.shape {
            Shape::Nothing => Ok(()),
            Shape::Port => write!(f, " {}", pattern.port().number()),
            Shape::Masked(Family::V4) => write_masked::<Ipv4Addr>(f, &pattern.ip_mask(), ipv4),
            Shape::Masked(Family::V6) => write_masked::<Ipv6Addr>(f, &pattern.ip_mask(), ipv6),
            Shape::Quic => {
                let flow = pattern.quic_flow();
                write!(f, " {} cid ", flow.udp_port.number())?;
                let bytes = flow.cid_data.iter().take(usize::from(flow.cid_length));
                bytes.clone().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                if bytes.len() == 0 {
                    f.write_str("any")?;
                }
                if flow.cid_offset != 0 {
                    write!(f, " at {}", flow.cid_offset)?;
                }
                Ok(())
            }
            Shape::Tuple(family) => {
                let tuple = pattern.tuple();
                let (from, to) = (tuple.source_port.number(), tuple.destination_port.number());
                match family {
                    Family::V4 => {
                        let source = ipv4(&tuple.source_address);
                        let destination = ipv4(&tuple.destination_address);
                        write!(f, " {source}:{from} > {destination}:{to}")
                    }
                    Family::V6 => {
                        let source = ipv6(&tuple.source_address);
                        let destination = ipv6(&tuple.destination_address);
                        write!(f, " [{source}]:{from} > [{destination}]:{to}")
                    }
                }
            }
            Shape::Ports => self.write_ports(f),
            Shape::AddressPorts(Family::V4) => {
                write!(f, " {}", ipv4(&pattern.ip_port_set().address))?;
                self.write_ports(f)
            }
            Shape::AddressPorts(Family::V6) => {
                write!(f, " {}", ipv6(&pattern.ip_port_set().address))?;
                self.write_ports(f)
            }
            Shape::Protocol => {
                let number = pattern.next_header();
                match PROTOCOLS.iter().find(|(_, known)| *known == number) {
                    Some((name, _)) => write!(f, " {name}"),
                    None => write!(f, " {number}"),
                }
            }
            Shape::Address(Family::V4) => write!(f, " {}", ipv4(&pattern.ip_mask().address)),
            Shape::Address(Family::V6) => write!(f, " {}", ipv6(&pattern.ip_mask().address)),
        }
    }

    fn write_ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ports {
            Some(ports) => write!(f, " {{{ports}}}"),
            None => Ok(()),
        }
    }
}

fn write_masked<A: Address>(
    f: &mut fmt::Formatter<'_>,
    pattern: &IpAddressMask,
    read: fn(&InetAddr) -> A,
) -> fmt::Result {
    let (address, mask) = (read(&pattern.address), read(&pattern.mask));
    match prefix_length(mask) {
        Some(length) if length == A::BITS => write!(f, " {address}"),
        Some(length) => write!(f, " {address}/{length}"),
        None => write!(f, " {address} mask {mask}"),
    }
}

fn ipv4(address: &InetAddr) -> Ipv4Addr {
    address.ipv4().bytes.into()
}

fn ipv6(address: &InetAddr) -> Ipv6Addr {
    address.ipv6().bytes.into()
}

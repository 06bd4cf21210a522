//! The one walk over a frame's headers.

use crate::packet::{Depth, protocol};
use crate::quic::{Quic, SHORT_CID_MAX};
use crate::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Facts, Ipv4, Ipv6, Tcp};

/// Offset of the network header. With VLAN tags there is none that rules see.
pub(crate) const NETWORK: usize = Ethernet::SIZE;
/// Offset of what IPv4 carries.
pub(crate) const BEHIND_IPV4: u8 = (NETWORK + Ipv4::SIZE) as u8;
/// Offset of what IPv6 carries.
pub(crate) const BEHIND_IPV6: u8 = (NETWORK + Ipv6::SIZE) as u8;

/// Parses `head` down to `depth`.
#[inline]
pub(crate) fn parse(head: &[u8], depth: Depth) -> Found {
    let Some((link, rest)) = head.split_first_chunk::<14>() else {
        return Found::new(Facts::NONE).cut();
    };
    if depth == Depth::Link {
        return Found::new(Facts::ETHERNET);
    }
    match Ethernet(link).ethertype() {
        ETHERTYPE_IPV4 => {
            let Some((ip, rest)) = rest.split_first_chunk::<20>() else {
                return Found::new(Facts::ETHERNET).cut();
            };
            let ip = Ipv4(ip);
            if ip.header_words() != 5 {
                let options = if ip.header_words() > 5 {
                    Facts::IPV4_OPTIONS
                } else {
                    Facts::NONE
                };
                return Found::new(Facts::ETHERNET).with(options);
            }
            let found = Found::new(Facts::ETHERNET.union(Facts::IPV4)).with_protocol(ip.protocol());
            parse_transport(found, BEHIND_IPV4, rest, depth)
        }
        ETHERTYPE_IPV6 => {
            let Some((ip, rest)) = rest.split_first_chunk::<40>() else {
                return Found::new(Facts::ETHERNET).cut();
            };
            let found = Found::new(Facts::ETHERNET.union(Facts::IPV6))
                .with_protocol(Ipv6(ip).next_header());
            parse_transport(found, BEHIND_IPV6, rest, depth)
        }
        number => Found::new(Facts::ETHERNET).with(if is_vlan(number) {
            Facts::VLAN
        } else {
            Facts::NONE
        }),
    }
}

#[inline]
fn parse_transport(found: Found, start: u8, bytes: &[u8], depth: Depth) -> Found {
    if depth < Depth::Transport {
        return found;
    }
    match found.protocol() {
        protocol::UDP => {
            let Some((_, rest)) = bytes.split_first_chunk::<8>() else {
                return found.cut();
            };
            let start = start.wrapping_add(8);
            let found = found.with(Facts::UDP).with_payload(start);
            if depth == Depth::Upper {
                parse_quic(found, start, rest)
            } else {
                found
            }
        }
        protocol::TCP => {
            let Some((tcp, rest)) = Tcp::split(bytes) else {
                return found.cut();
            };
            let start = start.wrapping_add(tcp.header_words() << 2);
            let found = found.with(Facts::TCP).with_payload(start);
            if depth == Depth::Upper {
                parse_quic(found, start, rest)
            } else {
                found
            }
        }
        _ => {
            let found = found.with(Facts::IP_PAYLOAD).with_payload(start);
            let in_ipv6 = found.facts().contains(Facts::IPV6);
            if in_ipv6 && is_ipv6_extension(found.protocol()) {
                return found.with(Facts::IPV6_EXTENSION);
            }
            if depth == Depth::Upper {
                parse_in_ip(found, bytes)
            } else {
                found
            }
        }
    }
}

/// Tells whether an EtherType announces a VLAN tag: IEEE 802.1Q, 802.1ad, or the older double tag.
pub(crate) const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88A8 | 0x9100)
}

/// Tells whether a next header is an extension header with a length of its own: hop-by-hop, routing, fragment,
/// authentication, destination options, mobility, HIP, shim6.
pub(crate) const fn is_ipv6_extension(number: u8) -> bool {
    matches!(number, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
}

/// Finds the connection ID that rules compare: what [`Quic::parse`] finds, without the parts that rules do not look at.
#[inline]
fn parse_quic(found: Found, start: u8, bytes: &[u8]) -> Found {
    let Some((&first, rest)) = bytes.split_first() else {
        return found.cut();
    };
    if first & 0x80 != 0 {
        return parse_quic_long(found, start, bytes);
    }
    let size = rest.len().min(SHORT_CID_MAX) as u8;
    let found = found
        .with(Facts::QUIC_SHORT)
        .with_cid(u16::from(start).wrapping_add(1), size);
    if rest.len() < SHORT_CID_MAX {
        found.cut()
    } else {
        found
    }
}

fn parse_quic_long(found: Found, start: u8, bytes: &[u8]) -> Found {
    let Ok(Quic::Long {
        destination,
        source,
        ..
    }) = Quic::parse(bytes)
    else {
        return found.cut();
    };
    // Flags, version, two lengths and the destination ID lie before the source ID. An ID has at most 255 bytes, so that no
    // sum can wrap and no length is cut.
    let before = 7u16.wrapping_add(destination.len() as u16);
    found
        .with(Facts::QUIC_LONG)
        .with_cid(u16::from(start).wrapping_add(before), source.len() as u8)
}

#[inline(never)]
fn parse_in_ip(found: Found, bytes: &[u8]) -> Found {
    let outer_is_v4 = found.facts().contains(Facts::IPV4);
    match found.protocol() {
        protocol::ICMP if outer_is_v4 => match bytes.first_chunk::<4>() {
            Some(_) => found.with(Facts::ICMPV4),
            None => found.cut(),
        },
        protocol::ICMPV6 if !outer_is_v4 => match bytes.first_chunk::<4>() {
            Some(_) => found.with(Facts::ICMPV6),
            None => found.cut(),
        },
        protocol::IPV4 => match bytes.first_chunk() {
            Some(inner) if Ipv4(inner).is_plain() => found.with(Facts::INNER_IPV4),
            Some(_) => found,
            None => found.cut(),
        },
        protocol::IPV6 => match bytes.first_chunk() {
            Some(inner) if Ipv6(inner).version() == 6 => found.with(Facts::INNER_IPV6),
            Some(_) => found,
            None => found.cut(),
        },
        _ => found,
    }
}

/// What was found and where, in one word: with fields of their own it would be written in pieces and read back whole, which
/// stalls the processor for longer than the parsing takes.
///
/// Bits 0 to 15 are the [`Facts`]; 16 to 23 the protocol; 24 to 31 where the payload of the deepest header starts (at most
/// 114, behind IPv6 and a TCP header of 60 bytes); 32 to 47 where the QUIC connection ID starts; 48 to 55 its length; bit 56
/// says that a header was not all there, so that more bytes could change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found(u64);

impl Found {
    #[inline]
    const fn new(facts: Facts) -> Self {
        Self(facts.0 as u64)
    }

    #[inline]
    pub(crate) const fn with(self, facts: Facts) -> Self {
        Self(self.0 | facts.0 as u64)
    }

    #[inline]
    const fn with_protocol(self, protocol: u8) -> Self {
        Self(self.0 | (protocol as u64) << 16)
    }

    #[inline]
    const fn with_payload(self, start: u8) -> Self {
        Self(self.0 | (start as u64) << 24)
    }

    #[inline]
    const fn with_cid(self, start: u16, size: u8) -> Self {
        Self(self.0 | (start as u64) << 32 | (size as u64) << 48)
    }

    #[inline]
    const fn cut(self) -> Self {
        Self(self.0 | 1 << 56)
    }

    #[inline]
    pub(crate) const fn facts(self) -> Facts {
        Facts(self.0 as u16)
    }

    #[inline]
    pub(crate) const fn protocol(self) -> u8 {
        (self.0 >> 16) as u8
    }

    #[inline]
    pub(crate) const fn payload(self) -> usize {
        (self.0 >> 24) as u8 as usize
    }

    #[inline]
    pub(crate) const fn cid(self) -> usize {
        (self.0 >> 32) as u16 as usize
    }

    #[inline]
    pub(crate) const fn cid_size(self) -> usize {
        (self.0 >> 48) as u8 as usize
    }

    #[inline]
    pub(crate) const fn is_cut(self) -> bool {
        self.0 & 1 << 56 != 0
    }
}

//! Headers behind what standard rules do not look through: VLAN tags, IPv4 options, IPv6 extension headers.

use crate::packet::protocol;
use crate::parse::{is_ipv6_extension, is_vlan};
use crate::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Frame, Icmp, Ipv4, Ipv6, SCRATCH_SIZE, Scratch, Tcp,
    Udp,
};

/// A VLAN tag (IEEE 802.1Q).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Kind of tag: 0x8100, 0x88A8 or 0x9100.
    pub ethertype: u16,
    /// VLAN number, 0 to 4095.
    pub id: u16,
    /// Priority, 0 to 7.
    pub priority: u8,
    /// Whether the frame may be dropped first.
    pub drop_eligible: bool,
}

impl VlanTag {
    /// Makes an ordinary tag.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self {
            ethertype: 0x8100,
            id,
            priority: 0,
            drop_eligible: false,
        }
    }

    /// Returns the tag control information: what lies between the tag's EtherType and the next one.
    #[must_use]
    pub const fn control(&self) -> u16 {
        (self.priority as u16) << 13 | (self.drop_eligible as u16) << 12 | self.id & 0x0FFF
    }
}

/// What part of a datagram a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where its payload belongs.
    pub offset_bytes: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// What the fragments of one datagram share.
    pub identification: u32,
}

/// How many VLAN tags are looked through.
const MAX_TAGS: usize = 2;
/// How many IPv6 extension headers are looked through.
const MAX_EXTENSIONS: u8 = 8;

/// A frame's headers as a network stack sees them.
///
/// Unlike [`Packet`](crate::Packet), which sees what standard rules see, this looks through up to two VLAN tags, IPv4 options and up to
/// eight IPv6 extension headers, checks IP versions, and does not take the middle of a datagram for a transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extended<'a> {
    /// The Ethernet header.
    pub ethernet: Option<Ethernet<'a>>,
    /// VLAN tags, outermost first.
    pub vlan: [Option<VlanTag>; MAX_TAGS],
    /// EtherType behind the tags.
    pub ethertype: u16,
    /// The IPv4 header.
    pub ipv4: Option<Ipv4<'a>>,
    /// Options of the IPv4 header.
    pub ipv4_options: &'a [u8],
    /// The IPv6 header.
    pub ipv6: Option<Ipv6<'a>>,
    /// Number of IPv6 extension headers that were looked through.
    pub ipv6_extensions: u8,
    /// Protocol of what IP carries, behind all extension headers. None without IP, or when the chain does not end.
    pub protocol: Option<u8>,
    /// Set when the packet is a fragment.
    pub fragment: Option<Fragment>,
    /// The UDP header.
    pub udp: Option<Udp<'a>>,
    /// The TCP header.
    pub tcp: Option<Tcp<'a>>,
    /// The ICMP or ICMPv6 header.
    pub icmp: Option<Icmp<'a>>,
    /// What follows the deepest header that was understood, padding included.
    pub payload: &'a [u8],
}

impl<'a> Extended<'a> {
    /// Parses the headers of `frame`.
    #[must_use]
    pub fn parse(frame: &Frame<'a>, scratch: &'a mut Scratch) -> Self {
        if frame.is_contiguous() {
            Self::parse_slice(frame.first())
        } else {
            Self::parse_slice(scratch.gather(frame, SCRATCH_SIZE))
        }
    }

    /// Parses the headers of a frame of one buffer.
    #[must_use]
    pub fn parse_slice(bytes: &'a [u8]) -> Self {
        let mut found = Self {
            payload: bytes,
            ..Self::default()
        };
        let Some((link, rest)) = bytes.split_first_chunk::<14>() else {
            return found;
        };
        let link = Ethernet(link);
        found.ethernet = Some(link);
        found.ethertype = link.ethertype();
        found.payload = rest;
        for slot in 0..MAX_TAGS {
            if !found.take_tag(slot) {
                break;
            }
        }
        match found.ethertype {
            ETHERTYPE_IPV4 => found.take_ipv4(),
            ETHERTYPE_IPV6 => found.take_ipv6(),
            _ => {}
        }
        found
    }

    fn take_tag(&mut self, slot: usize) -> bool {
        let (true, Some(place)) = (is_vlan(self.ethertype), self.vlan.get_mut(slot)) else {
            return false;
        };
        let Some((&[a, b, c, d], rest)) = self.payload.split_first_chunk() else {
            return false;
        };
        *place = Some(VlanTag {
            ethertype: self.ethertype,
            id: u16::from_be_bytes([a, b]) & 0x0FFF,
            priority: a >> 5,
            drop_eligible: a & 0x10 != 0,
        });
        self.ethertype = u16::from_be_bytes([c, d]);
        self.payload = rest;
        true
    }

    fn take_ipv4(&mut self) {
        let Some((ip, rest)) = self.payload.split_first_chunk() else {
            return;
        };
        let ip = Ipv4(ip);
        let Some(option_words) = ip.header_words().checked_sub(5) else {
            return;
        };
        let Some((options, rest)) = rest.split_at_checked(usize::from(option_words) << 2) else {
            return;
        };
        if ip.version() != 4 {
            return;
        }
        self.ipv4 = Some(ip);
        self.ipv4_options = options;
        self.protocol = Some(ip.protocol());
        self.payload = rest;
        if ip.is_fragment() {
            self.fragment = Some(Fragment {
                offset_bytes: ip.fragment_offset_bytes(),
                more: ip.more_fragments(),
                identification: u32::from(ip.identification()),
            });
        }
        self.take_transport(ip.protocol());
    }

    fn take_ipv6(&mut self) {
        let Some((ip, rest)) = self.payload.split_first_chunk() else {
            return;
        };
        let ip = Ipv6(ip);
        if ip.version() != 6 {
            return;
        }
        self.ipv6 = Some(ip);
        self.payload = rest;
        let mut next = ip.next_header();
        while is_ipv6_extension(next) && self.fragment.is_none_or(|it| it.offset_bytes == 0) {
            if self.ipv6_extensions == MAX_EXTENSIONS {
                return;
            }
            let Some(behind) = self.take_extension(next) else {
                return;
            };
            next = behind;
        }
        self.protocol = Some(next);
        self.take_transport(next);
    }

    /// Takes one extension header and returns what follows it.
    fn take_extension(&mut self, kind: u8) -> Option<u8> {
        let (&[next, units, a, b, c, d, e, f], rest) = self.payload.split_first_chunk()?;
        let more = match kind {
            44 => {
                let place = u16::from_be_bytes([a, b]);
                self.fragment = Some(Fragment {
                    offset_bytes: place & !7,
                    more: place & 1 != 0,
                    identification: u32::from_be_bytes([c, d, e, f]),
                });
                0
            }
            // The authentication header counts 32-bit words, less two; the others 64-bit words, less one.
            51 => usize::from(units)
                .checked_add(2)?
                .checked_mul(4)?
                .checked_sub(8)?,
            _ => usize::from(units) << 3,
        };
        self.payload = rest.get(more..)?;
        self.ipv6_extensions = self.ipv6_extensions.saturating_add(1);
        Some(next)
    }

    fn take_transport(&mut self, number: u8) {
        if self
            .fragment
            .is_some_and(|fragment| fragment.offset_bytes != 0)
        {
            return;
        }
        match (number, self.ipv4.is_some()) {
            (protocol::UDP, _) => {
                if let Some((udp, rest)) = self.payload.split_first_chunk() {
                    self.udp = Some(Udp(udp));
                    self.payload = rest;
                }
            }
            (protocol::TCP, _) => {
                if let Some((tcp, rest)) = Tcp::split(self.payload) {
                    self.tcp = Some(tcp);
                    self.payload = rest;
                }
            }
            (protocol::ICMP, true) | (protocol::ICMPV6, false) => {
                if let Some((icmp, rest)) = self.payload.split_first_chunk() {
                    self.icmp = Some(Icmp(icmp));
                    self.payload = rest;
                }
            }
            _ => {}
        }
    }
}

//! Addresses and ports changed in place, and the checksums with them.

use core::fmt;
use core::mem::swap;
use core::net::{IpAddr, SocketAddr};

use crate::checksum::update_bytes;
use crate::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Ipv4, Ipv6, MacAddr, Tcp, Udp, protocol};

/// A TCP segment or UDP datagram whose ends can be changed: what address translation, load balancing and echoing need.
///
/// Checksums are updated incrementally (RFC 1624), at a cost that does not depend on the length of the frame. A wrong one
/// stays wrong, and a UDP datagram without a checksum stays without.
///
/// ```
/// # #[cfg(feature = "alloc")] {
/// use xdp_packet::{FrameBuilder, MacAddr, Rewriter};
///
/// let mut frame = FrameBuilder::ethernet(MacAddr([2; 6]), MacAddr([4; 6]))
///     .ipv4([192, 0, 2, 1].into(), [192, 0, 2, 100].into())
///     .tcp(50_000, 80, 0x02)
///     .finish();
/// let mut rewriter = Rewriter::new(&mut frame).ok_or("neither TCP nor UDP")?;
/// rewriter.set_destination("192.0.2.11:8080".parse()?)?;
/// assert_eq!(rewriter.destination().to_string(), "192.0.2.11:8080");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rewriter<'a> {
    ethernet: &'a mut [u8; Ethernet::SIZE],
    ip: Ip<'a>,
    transport: Transport<'a>,
}

enum Ip<'a> {
    V4(&'a mut [u8; Ipv4::SIZE]),
    V6(&'a mut [u8; Ipv6::SIZE]),
}

enum Transport<'a> {
    Tcp(&'a mut [u8; Tcp::SIZE]),
    Udp(&'a mut [u8; Udp::SIZE]),
}

/// An IPv4 packet cannot get an IPv6 address, nor the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherFamily;

impl fmt::Display for OtherFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the packet has addresses of the other version of IP")
    }
}

impl core::error::Error for OtherFamily {}

#[derive(Clone, Copy)]
enum End {
    Source,
    Destination,
}

impl<'a> Rewriter<'a> {
    /// Finds the headers of a frame. `None` if it does not hold those of a TCP segment or UDP datagram over IPv4 without options or
    /// IPv6 without extension headers; a fragment is none, because its ports, or what its checksum covers, are elsewhere. Lengths
    /// that the headers state are not looked at.
    #[must_use]
    pub fn new(frame: &'a mut [u8]) -> Option<Self> {
        let (ethernet, rest) = frame.split_first_chunk_mut::<{ Ethernet::SIZE }>()?;
        let (ip, next, rest) = match Ethernet(ethernet).ethertype() {
            ETHERTYPE_IPV4 => {
                let (header, rest) = rest.split_first_chunk_mut::<{ Ipv4::SIZE }>()?;
                let view = Ipv4(header);
                let next = view.protocol();
                if !view.is_plain() || view.is_fragment() {
                    return None;
                }
                (Ip::V4(header), next, rest)
            }
            ETHERTYPE_IPV6 => {
                let (header, rest) = rest.split_first_chunk_mut::<{ Ipv6::SIZE }>()?;
                let view = Ipv6(header);
                let next = view.next_header();
                if view.version() != 6 {
                    return None;
                }
                (Ip::V6(header), next, rest)
            }
            _ => return None,
        };
        let transport = match next {
            protocol::TCP => Transport::Tcp(rest.first_chunk_mut()?),
            protocol::UDP => Transport::Udp(rest.first_chunk_mut()?),
            _ => return None,
        };
        Some(Self {
            ethernet,
            ip,
            transport,
        })
    }

    /// Returns where the packet comes from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        let (source, _) = self.transport.ports();
        let address: IpAddr = match &self.ip {
            Ip::V4(header) => Ipv4(header).source_addr().into(),
            Ip::V6(header) => Ipv6(header).source_addr().into(),
        };
        SocketAddr::new(address, source)
    }

    /// Returns where the packet goes.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        let (_, destination) = self.transport.ports();
        let address: IpAddr = match &self.ip {
            Ip::V4(header) => Ipv4(header).destination_addr().into(),
            Ip::V6(header) => Ipv6(header).destination_addr().into(),
        };
        SocketAddr::new(address, destination)
    }

    /// Returns the flags of a TCP segment; `None` for a UDP datagram.
    #[must_use]
    pub fn tcp_flags(&self) -> Option<u8> {
        match &self.transport {
            Transport::Tcp(header) => Some(header[13]),
            Transport::Udp(_) => None,
        }
    }

    /// Returns the MAC address of the sender on this link.
    #[must_use]
    pub fn source_mac(&self) -> MacAddr {
        Ethernet(self.ethernet).source()
    }

    /// Sets where the frame goes on this link, and who sends it.
    pub fn set_macs(&mut self, destination: MacAddr, source: MacAddr) {
        self.ethernet[..6].copy_from_slice(&destination.0);
        self.ethernet[6..12].copy_from_slice(&source.0);
    }

    /// Sets where the packet comes from.
    ///
    /// # Errors
    ///
    /// The packet has addresses of the other version of IP; it stays as it is.
    pub fn set_source(&mut self, source: SocketAddr) -> Result<(), OtherFamily> {
        self.set(End::Source, source)
    }

    /// Sets where the packet goes.
    ///
    /// # Errors
    ///
    /// The packet has addresses of the other version of IP; it stays as it is.
    pub fn set_destination(&mut self, destination: SocketAddr) -> Result<(), OtherFamily> {
        self.set(End::Destination, destination)
    }

    /// Sends it back: exchanges MAC addresses, IP addresses and ports. Checksums do not depend on the order of what they cover.
    pub fn turn_round(&mut self) {
        let (to, from) = self.ethernet[..12].split_at_mut(6);
        to.swap_with_slice(from);
        let (source, destination) = match &mut self.ip {
            Ip::V4(header) => header[12..].split_at_mut(4),
            Ip::V6(header) => header[8..].split_at_mut(16),
        };
        source.swap_with_slice(destination);
        let (Transport::Tcp([s0, s1, d0, d1, ..]) | Transport::Udp([s0, s1, d0, d1, ..])) =
            &mut self.transport;
        swap(s0, d0);
        swap(s1, d1);
    }

    fn set(&mut self, end: End, to: SocketAddr) -> Result<(), OtherFamily> {
        match (&mut self.ip, to.ip()) {
            (Ip::V4(header), IpAddr::V4(address)) => {
                let view = Ipv4(header);
                let (old, new) = match end {
                    End::Source => (view.source(), address.octets()),
                    End::Destination => (view.destination(), address.octets()),
                };
                let sum = update_bytes(view.checksum(), &old, &new);
                match end {
                    End::Source => header[12..16].copy_from_slice(&new),
                    End::Destination => header[16..20].copy_from_slice(&new),
                }
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                self.transport.cover(&old, &new);
            }
            (Ip::V6(header), IpAddr::V6(address)) => {
                let view = Ipv6(header);
                let (old, new) = match end {
                    End::Source => (view.source(), address.octets()),
                    End::Destination => (view.destination(), address.octets()),
                };
                match end {
                    End::Source => header[8..24].copy_from_slice(&new),
                    End::Destination => header[24..40].copy_from_slice(&new),
                }
                self.transport.cover(&old, &new);
            }
            _ => return Err(OtherFamily),
        }
        self.transport.set_port(end, to.port());
        Ok(())
    }
}

impl Transport<'_> {
    fn ports(&self) -> (u16, u16) {
        let (Self::Tcp([s0, s1, d0, d1, ..]) | Self::Udp([s0, s1, d0, d1, ..])) = self;
        (
            u16::from_be_bytes([*s0, *s1]),
            u16::from_be_bytes([*d0, *d1]),
        )
    }

    fn set_port(&mut self, end: End, port: u16) {
        let (source, destination) = self.ports();
        let new = port.to_be_bytes();
        let (Self::Tcp([s0, s1, d0, d1, ..]) | Self::Udp([s0, s1, d0, d1, ..])) = self;
        let old = match end {
            End::Source => {
                [*s0, *s1] = new;
                source
            }
            End::Destination => {
                [*d0, *d1] = new;
                destination
            }
        };
        self.cover(&old.to_be_bytes(), &new);
    }

    /// Corrects the checksum after something under it has changed.
    fn cover<const SIZE: usize>(&mut self, old: &[u8; SIZE], new: &[u8; SIZE]) {
        match self {
            Self::Tcp(header) => {
                let sum = update_bytes(u16::from_be_bytes([header[16], header[17]]), old, new);
                header[16..18].copy_from_slice(&sum.to_be_bytes());
            }
            Self::Udp(header) => {
                let sum = u16::from_be_bytes([header[6], header[7]]);
                if sum != 0 {
                    // 0 would say that there is none.
                    let sum = match update_bytes(sum, old, new) {
                        0 => 0xFFFF,
                        sum => sum,
                    };
                    header[6..8].copy_from_slice(&sum.to_be_bytes());
                }
            }
        }
    }
}

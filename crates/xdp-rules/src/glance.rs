//! Headers at a glance.
//!
//! UDP, where nearly all rules are, and TCP have their headers at fixed places: one look at the length is enough. What is
//! recognised here is what parsing finds; what is not recognised has to be parsed.

use xdp_packet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Tcp, protocol};

/// What searches need of IPv4 UDP; in `ports` the source port comes first.
#[derive(Clone, Copy)]
pub(crate) struct Flow4<'p> {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) ports: u32,
    pub(crate) payload: &'p [u8],
}

impl<'p> Flow4<'p> {
    /// Recognises IPv4 UDP.
    #[inline]
    pub(crate) fn of(bytes: &'p [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<42>()?;
        if !is_ipv4(head, protocol::UDP) {
            return None;
        }
        let [.., a, b, c, d, e, f, g, h, i, j, k, l, _, _, _, _] = *head;
        Some(Self {
            from: u32::from_be_bytes([a, b, c, d]),
            to: u32::from_be_bytes([e, f, g, h]),
            ports: u32::from_be_bytes([i, j, k, l]),
            payload,
        })
    }

    /// Recognises IPv6 UDP, and tells its ports.
    #[inline]
    pub(crate) fn ports_of_6(bytes: &'p [u8]) -> Option<Self> {
        let Flow6 { ports, payload, .. } = Flow6::of(bytes)?;
        Some(Self {
            from: 0,
            to: 0,
            ports,
            payload,
        })
    }
}

/// What searches need of IPv6 UDP: the source address, then the destination address; the ports in the same order.
#[derive(Clone, Copy)]
pub(crate) struct Flow6<'p> {
    pub(crate) ends: &'p [u8; 32],
    pub(crate) ports: u32,
    pub(crate) payload: &'p [u8],
}

impl<'p> Flow6<'p> {
    /// Recognises IPv6 UDP.
    #[inline]
    pub(crate) fn of(bytes: &'p [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<62>()?;
        if !is_ipv6(head, protocol::UDP) {
            return None;
        }
        let (ip, udp) = head.split_last_chunk::<8>()?;
        let (_, ends) = ip.split_last_chunk::<32>()?;
        let [a, b, c, d, ..] = *udp;
        Some(Self {
            ends,
            ports: u32::from_be_bytes([a, b, c, d]),
            payload,
        })
    }
}

/// What searches need of TCP.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'p> {
    pub(crate) port: u16,
    pub(crate) is_control: bool,
    pub(crate) payload: &'p [u8],
}

impl<'p> Segment<'p> {
    /// Recognises IPv4 TCP; the number is the destination address.
    #[inline]
    pub(crate) fn of_4(bytes: &'p [u8]) -> Option<(u32, Self)> {
        let (head, rest) = bytes.split_first_chunk::<34>()?;
        if !is_ipv4(head, protocol::TCP) {
            return None;
        }
        let [.., a, b, c, d] = *head;
        Some((u32::from_be_bytes([a, b, c, d]), Self::of(rest)?))
    }

    /// Recognises IPv6 TCP; the bytes are the addresses.
    #[inline]
    pub(crate) fn of_6(bytes: &'p [u8]) -> Option<(&'p [u8; 32], Self)> {
        let (head, rest) = bytes.split_first_chunk::<54>()?;
        if !is_ipv6(head, protocol::TCP) {
            return None;
        }
        Some((head.last_chunk()?, Self::of(rest)?))
    }

    #[inline]
    fn of(bytes: &'p [u8]) -> Option<Self> {
        let (tcp, payload) = Tcp::split(bytes)?;
        Some(Self {
            port: tcp.destination_port(),
            is_control: tcp.is_control(),
            payload,
        })
    }
}

/// Tells whether these are headers of IPv4 that carries a protocol.
#[inline(always)]
fn is_ipv4(head: &[u8], protocol: u8) -> bool {
    // The type of the frame and the version and length of the header lie side by side: they are compared at once.
    const MASK: u32 = u32::from_ne_bytes([0xFF, 0xFF, 0x0F, 0]);
    const TYPE: [u8; 2] = ETHERTYPE_IPV4.to_be_bytes();
    const WORDS: u32 = u32::from_ne_bytes([TYPE[0], TYPE[1], 5, 0]);
    let behind = head.get(12..).and_then(|behind| behind.first_chunk());
    matches!(behind, Some(bytes) if u32::from_ne_bytes(*bytes) & MASK == WORDS)
        && has(head, 23, [protocol])
}

/// Tells whether these are headers of IPv6 that carries a protocol.
#[inline(always)]
fn is_ipv6(head: &[u8], protocol: u8) -> bool {
    has(head, 12, ETHERTYPE_IPV6.to_be_bytes()) && has(head, 20, [protocol])
}

#[inline(always)]
fn has<const N: usize>(head: &[u8], at: usize, bytes: [u8; N]) -> bool {
    let behind = head.get(at..).and_then(|behind| behind.first_chunk());
    behind == Some(&bytes)
}

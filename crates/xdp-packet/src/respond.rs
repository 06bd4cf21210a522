//! What every host has to answer, for programs that have an address of their own.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum::{Checksum, update};
use crate::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Ipv4, Ipv6, MacAddr, protocol};

const ETHERTYPE_ARP: u16 = 0x0806;
/// ARP for IPv4 over Ethernet: hardware and protocol types and lengths (RFC 826).
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: u8 = 1;
const ARP_REPLY: u8 = 2;
/// Types of ICMP messages (RFC 792, RFC 4443, RFC 4861).
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// A neighbour solicitation without options.
const SOLICITATION_BYTES: usize = 24;
/// A neighbour advertisement with the one option that it has here.
const ADVERTISEMENT_BYTES: u8 = 32;

/// Answers ARP, IPv6 neighbour solicitations and echo requests for addresses that no network stack has.
///
/// A frame that is answered becomes its answer: nothing is copied or allocated.
///
/// ```
/// use xdp_packet::{MacAddr, Responder};
///
/// let responder = Responder {
///     mac: MacAddr([2, 0, 0, 0, 0, 9]),
///     ipv4: Some([192, 0, 2, 9].into()),
///     ipv6: None,
/// };
/// // "Who has 192.0.2.9? Tell 192.0.2.1."
/// let mut room = [0; 128];
/// room[..42].copy_from_slice(&[
///     255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
///     2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9,
/// ]);
/// assert_eq!(responder.answer(&mut room, 42), Some(42));
/// assert_eq!(room[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9]);
/// assert_eq!(responder.answer(&mut room, 42), None, "an answer is no question");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Responder {
    /// The address that frames for it are sent to.
    pub mac: MacAddr,
    /// Its IPv4 address, if it has one.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address, if it has one.
    pub ipv6: Option<Ipv6Addr>,
}

impl Responder {
    /// An answer may be longer than its question; with so much room, every question is answered.
    pub const ROOM_BYTES: usize = Ethernet::SIZE + Ipv6::SIZE + ADVERTISEMENT_BYTES as usize;

    /// Makes one without an IP address.
    #[must_use]
    pub const fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            ipv4: None,
            ipv6: None,
        }
    }

    /// Gives it an address, in place of the one of that version of IP that it had.
    pub fn set_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4 = Some(address),
            IpAddr::V6(address) => self.ipv6 = Some(address),
        }
    }

    /// Turns the frame in the first `length` bytes of `room` into its answer, and returns the answer's length. `None` if there
    /// is nothing to answer, nobody who could be answered (one who claims the address of a group), or no room; the frame is as it
    /// was then.
    #[must_use]
    pub fn answer(&self, room: &mut [u8], length: usize) -> Option<usize> {
        if length > room.len() {
            return None;
        }
        let (ethernet, rest) = room.split_first_chunk_mut::<{ Ethernet::SIZE }>()?;
        let length = length.checked_sub(Ethernet::SIZE)?;
        let asker = Ethernet(ethernet).source();
        // The lowest bit of the first byte marks a group.
        if asker.0[0] & 1 != 0 {
            return None;
        }
        let answer = match Ethernet(ethernet).ethertype() {
            ETHERTYPE_ARP => self.arp(rest.get_mut(..length)?)?,
            ETHERTYPE_IPV4 => self.ping(rest.get_mut(..length)?)?,
            ETHERTYPE_IPV6 => self.icmpv6(rest, length)?,
            _ => return None,
        };
        // Back to whoever asked, a group's address being nobody's own.
        ethernet[..6].copy_from_slice(&asker.0);
        ethernet[6..12].copy_from_slice(&self.mac.0);
        Ethernet::SIZE.checked_add(answer)
    }

    fn arp(&self, packet: &mut [u8]) -> Option<usize> {
        let length = packet.len();
        let packet = packet.first_chunk_mut::<28>()?;
        let ours = self.ipv4?.octets();
        if packet[..6] != ARP_KIND || packet[6..8] != [0, ARP_REQUEST] || packet[24..] != ours {
            return None;
        }
        packet[7] = ARP_REPLY;
        // The asker becomes the target.
        packet.copy_within(8..18, 18);
        packet[8..14].copy_from_slice(&self.mac.0);
        packet[14..18].copy_from_slice(&ours);
        Some(length)
    }

    fn ping(&self, packet: &mut [u8]) -> Option<usize> {
        let length = packet.len();
        let (header, rest) = packet.split_first_chunk_mut::<{ Ipv4::SIZE }>()?;
        let message = rest.first_chunk_mut::<4>()?;
        let view = Ipv4(header);
        let is_ours = view.is_plain()
            && !view.is_fragment()
            && view.protocol() == protocol::ICMP
            && Some(view.destination_addr()) == self.ipv4;
        // RFC 1122 section 3.2.1.3: no host has such an address, so no host asked.
        let asker = view.source_addr();
        if asker.is_unspecified() || asker.is_multicast() || asker.is_broadcast() {
            return None;
        }
        if !is_ours || message[..2] != [ECHO_REQUEST, 0] {
            return None;
        }
        // The header's checksum does not depend on the order of the addresses.
        let (source, destination) = header[12..].split_at_mut(4);
        source.swap_with_slice(destination);
        set_type(message, ECHO_REPLY);
        Some(length)
    }

    fn icmpv6(&self, room: &mut [u8], length: usize) -> Option<usize> {
        let (header, rest) = room.split_first_chunk_mut::<{ Ipv6::SIZE }>()?;
        let length = length.checked_sub(Ipv6::SIZE)?;
        let message = rest.get_mut(..length)?;
        let [kind, code, ..] = *message else {
            return None;
        };
        let view = Ipv6(header);
        if view.version() != 6 || view.next_header() != protocol::ICMPV6 || code != 0 {
            return None;
        }
        let asker = view.source_addr();
        // A question from nowhere is a test for duplicates; whoever makes it has no address that could be answered.
        if asker.is_unspecified() || asker.is_multicast() {
            return None;
        }
        match kind {
            ECHO_REQUEST_V6 if Some(view.destination_addr()) == self.ipv6 => {
                let message = message.first_chunk_mut()?;
                let (source, destination) = header[8..].split_at_mut(16);
                source.swap_with_slice(destination);
                set_type(message, ECHO_REPLY_V6);
                Ipv6::SIZE.checked_add(length)
            }
            SOLICITATION if is_intact(header, message) => {
                self.neighbour(header, rest.first_chunk_mut()?)
            }
            _ => None,
        }
    }

    /// Answers a neighbour solicitation by an advertisement to whoever asked (RFC 4861 section 7.2.4).
    fn neighbour(
        &self,
        header: &mut [u8; Ipv6::SIZE],
        message: &mut [u8; ADVERTISEMENT_BYTES as usize],
    ) -> Option<usize> {
        let ours = self.ipv6?.octets();
        let asker = Ipv6(header).source();
        // Neighbour discovery does not cross routers.
        if Ipv6(header).hop_limit() != 255 || message[8..24] != ours {
            return None;
        }
        header[4..6].copy_from_slice(&[0, ADVERTISEMENT_BYTES]);
        header[8..24].copy_from_slice(&ours);
        header[24..40].copy_from_slice(&asker);
        // The checksum comes last. Flags: solicited, override.
        message[..8].copy_from_slice(&[ADVERTISEMENT, 0, 0, 0, 0x60, 0, 0, 0]);
        // Behind the target: the option "target link-layer address", in units of eight bytes.
        message[24..26].copy_from_slice(&[2, 1]);
        message[26..].copy_from_slice(&self.mac.0);
        let length = ADVERTISEMENT_BYTES.into();
        let mut sum = Checksum::pseudo_ipv6(ours, asker, protocol::ICMPV6, length);
        sum.add(message);
        message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
        Some(const { Ipv6::SIZE + ADVERTISEMENT_BYTES as usize })
    }
}

/// Whether an ICMPv6 message is as it was sent, and long enough to be a solicitation (RFC 4861 section 7.1.1). What fills up a short
/// frame behind it does not count.
fn is_intact(header: &[u8; Ipv6::SIZE], message: &[u8]) -> bool {
    let view = Ipv6(header);
    let length = view.payload_length();
    let Some(message) = message.get(..length.into()) else {
        return false;
    };
    let mut sum = Checksum::pseudo_ipv6(
        view.source(),
        view.destination(),
        protocol::ICMPV6,
        length.into(),
    );
    sum.add(message);
    message.len() >= SOLICITATION_BYTES && sum.is_valid()
}

/// Changes the type of an ICMP message, and its checksum with it.
fn set_type(message: &mut [u8; 4], to: u8) {
    let [kind, code, s0, s1] = *message;
    let sum = update(
        u16::from_be_bytes([s0, s1]),
        u16::from_be_bytes([kind, code]),
        u16::from_be_bytes([to, code]),
    );
    let [s0, s1] = sum.to_be_bytes();
    *message = [to, code, s0, s1];
}

//! What a host says to ARP, neighbour solicitations and echo requests. Frames in, frames out: nothing here knows of sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use xdp_packet::checksum::{self, Checksum};

/// A frame that is answered by a longer one needs this much room.
pub(crate) const LONGEST_GROWN: usize = ADVERTISEMENT;
/// An advertisement: Ethernet, IPv6, ICMPv6 with target and one option.
const ADVERTISEMENT: usize = 14 + 40 + 32;

const ETHERTYPE: Range<usize> = 12..14;
/// Hardware type Ethernet, protocol type IPv4, their lengths.
const ARP_KIND: &[u8] = &[0, 1, 8, 0, 6, 4];
const ICMPV6: u8 = 58;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host {
    pub(crate) mac: [u8; 6],
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

impl Host {
    pub(crate) fn add(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.v4 = Some(address),
            IpAddr::V6(address) => self.v6 = Some(address),
        }
    }
}

/// Turns the frame in the first `length` bytes into its answer; returns the answer's length, `None` if there is none.
pub(crate) fn answer(frame: &mut [u8], length: usize, host: &Host) -> Option<usize> {
    match frame.get(..length)?.get(ETHERTYPE)? {
        [0x08, 0x06] => arp(&mut frame[..length], host),
        [0x08, 0x00] => ping_v4(&mut frame[..length], host),
        [0x86, 0xDD] if frame.get(54) == Some(&135) => neighbour(frame, length, host),
        [0x86, 0xDD] => ping_v6(&mut frame[..length], host),
        _ => None,
    }
}

fn arp(frame: &mut [u8], host: &Host) -> Option<usize> {
    let address = host.v4?.octets();
    let is_ours = frame.get(14..20)? == ARP_KIND
        && frame.get(20..22)? == [0, 1]
        && frame.get(38..42)? == address;
    if !is_ours {
        return None;
    }
    frame[21] = 2;
    // The asker becomes the target.
    frame.copy_within(22..32, 32);
    frame[22..28].copy_from_slice(&host.mac);
    frame[28..32].copy_from_slice(&address);
    send_back(frame, host);
    Some(frame.len())
}

fn ping_v4(frame: &mut [u8], host: &Host) -> Option<usize> {
    let header = frame.get(14..34)?;
    let whole = u16::from_be_bytes([header[6], header[7]]) & 0x3FFF == 0;
    let is_ours =
        header[0] == 0x45 && header[9] == 1 && whole && header[16..20] == host.v4?.octets();
    if !is_ours || frame.get(34..36)? != [8, 0] {
        return None;
    }
    swap(frame, 26, 30, 4);
    change_type(frame, 34, 0)?;
    send_back(frame, host);
    Some(frame.len())
}

fn ping_v6(frame: &mut [u8], host: &Host) -> Option<usize> {
    if !is_icmpv6(frame)?
        || frame.get(38..54)? != host.v6?.octets()
        || frame.get(54..56)? != [128, 0]
    {
        return None;
    }
    swap(frame, 22, 38, 16);
    change_type(frame, 54, 129)?;
    send_back(frame, host);
    Some(frame.len())
}

/// Answers a neighbour solicitation by an advertisement to whoever asked.
fn neighbour(frame: &mut [u8], length: usize, host: &Host) -> Option<usize> {
    let address = host.v6?.octets();
    let asked = frame.get(..length)?.get(62..78)? == address;
    // A question from nowhere is a test for duplicates: it says so by having no source.
    let from_somewhere = frame[22..38] != [0; 16];
    // Neighbour discovery does not cross routers.
    if !is_icmpv6(frame)?
        || frame[21] != 255
        || !asked
        || !from_somewhere
        || frame.len() < ADVERTISEMENT
    {
        return None;
    }
    send_back(frame, host);
    frame[18..20].copy_from_slice(&32_u16.to_be_bytes());
    frame.copy_within(22..38, 38);
    frame[22..38].copy_from_slice(&address);
    // Advertisement, checksum later, flags: solicited, override.
    frame[54..62].copy_from_slice(&[136, 0, 0, 0, 0x60, 0, 0, 0]);
    // Behind the target: option 2, our address.
    frame[78..80].copy_from_slice(&[2, 1]);
    frame[80..86].copy_from_slice(&host.mac);
    let asker = frame[38..54].try_into().ok()?;
    let mut sum = Checksum::pseudo_ipv6(address, asker, ICMPV6, 32);
    sum.add(&frame[54..ADVERTISEMENT]);
    frame[56..58].copy_from_slice(&sum.finish().to_be_bytes());
    Some(ADVERTISEMENT)
}

fn is_icmpv6(frame: &[u8]) -> Option<bool> {
    Some(frame.get(14)? >> 4 == 6 && *frame.get(20)? == ICMPV6)
}

/// Changes the type of an ICMP message, and its checksum with it.
fn change_type(frame: &mut [u8], at: usize, to: u8) -> Option<()> {
    let message: &mut [u8; 4] = frame.get_mut(at..at + 4)?.try_into().ok()?;
    let (old, new) = ([message[0], message[1]], [to, message[1]]);
    let sum = u16::from_be_bytes([message[2], message[3]]);
    let sum = checksum::update(sum, u16::from_be_bytes(old), u16::from_be_bytes(new));
    message[0] = to;
    message[2..].copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn swap(frame: &mut [u8], first: usize, second: usize, length: usize) {
    let (left, right) = frame.split_at_mut(second);
    left[first..first + length].swap_with_slice(&mut right[..length]);
}

fn send_back(frame: &mut [u8], host: &Host) {
    frame.copy_within(6..12, 0);
    frame[6..12].copy_from_slice(&host.mac);
}

#[cfg(test)]
mod tests;

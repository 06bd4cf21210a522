//! What runs for every frame, as the driver calls it. A test compiles this for release and looks at the object code: no path
//! in it may lead to a panic.

use crate::checksum::{self, Checksum};
use core::net::SocketAddr;

use crate::{Depth, Extended, Facts, Frame, Packet, Quic, Responder, Rewriter, Scratch};

/// Parses a frame of any number of buffers.
#[inline(never)]
pub fn hot_parse<'a>(frame: &Frame<'a>, depth: Depth, scratch: &'a mut Scratch) -> Packet<'a> {
    Packet::parse(frame, depth, scratch)
}

/// Parses a frame of one buffer.
#[inline(never)]
#[must_use]
pub fn hot_parse_slice(bytes: &[u8], depth: Depth) -> Packet<'_> {
    Packet::parse_slice(bytes, depth)
}

/// Looks through what standard rules do not look through.
#[inline(never)]
pub fn hot_parse_extended<'a>(frame: &Frame<'a>, scratch: &'a mut Scratch) -> Extended<'a> {
    Extended::parse(frame, scratch)
}

/// Adds up everything that a packet tells of its headers, so that every view is made.
#[inline(never)]
#[must_use]
pub fn hot_views(packet: &Packet<'_>) -> u64 {
    let mut sum = u64::from(packet.facts().contains(Facts::ETHERNET));
    let mut add = |value: u64| sum = sum.wrapping_add(value);
    add(packet.ethernet().map_or(0, |it| it.ethertype().into()));
    add(packet.ipv4().map_or(0, |it| it.total_length().into()));
    add(packet.ipv6().map_or(0, |it| it.next_header().into()));
    add(packet.udp().map_or(0, |it| it.destination_port().into()));
    add(packet.tcp().map_or(0, |it| it.sequence().into()));
    add(packet.ports().map_or(0, |(from, _)| from.into()));
    add(packet.icmp().map_or(0, |it| it.message_type().into()));
    add(packet.inner_ipv4().map_or(0, |it| it.protocol().into()));
    add(packet.inner_ipv6().map_or(0, |it| it.next_header().into()));
    add(packet.quic_cid().map_or(0, |it| it.len() as u64));
    add(packet.payload().len() as u64);
    add(packet.payload_offset().unwrap_or(0) as u64);
    add(packet.transport_offset().unwrap_or(0) as u64);
    sum
}

/// Reads a payload as QUIC.
#[inline(never)]
#[must_use]
pub fn hot_quic(payload: &[u8]) -> Option<&[u8]> {
    Quic::parse(payload).ok().map(|quic| quic.rule_cid())
}

/// Copies bytes of a frame.
#[inline(never)]
pub fn hot_read(frame: &Frame<'_>, offset: usize, into: &mut [u8]) -> usize {
    frame.read(offset, into)
}

/// Adds up the sizes of a frame's buffers.
#[inline(never)]
#[must_use]
pub fn hot_size(frame: &Frame<'_>) -> usize {
    frame.size_bytes()
}

/// Computes a checksum.
#[inline(never)]
#[must_use]
pub fn hot_checksum(bytes: &[u8]) -> u16 {
    checksum::checksum(bytes)
}

/// Computes the checksum of UDP over IPv6.
#[inline(never)]
#[must_use]
pub fn hot_checksum_udp(ends: [[u8; 16]; 2], length: u32, datagram: &[u8]) -> u16 {
    let [source, destination] = ends;
    let mut sum = Checksum::pseudo_ipv6(source, destination, crate::protocol::UDP, length);
    sum.add(datagram);
    sum.finish_udp()
}

/// Changes a checksum after an address has been changed.
#[inline(never)]
#[must_use]
pub fn hot_checksum_update(checksum: u16, old: &[u8; 16], new: &[u8; 16]) -> u16 {
    checksum::update_bytes(checksum, old, new)
}

/// Changes both ends of a packet, and turns it round.
#[inline(never)]
#[must_use]
pub fn hot_rewrite(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) -> bool {
    let Some(mut rewriter) = Rewriter::new(frame) else {
        return false;
    };
    rewriter.turn_round();
    rewriter.set_macs(rewriter.source_mac(), Default::default());
    rewriter.tcp_flags().is_some()
        && rewriter.set_source(source).is_ok()
        && rewriter.set_destination(destination).is_ok()
}

/// Answers a frame.
#[inline(never)]
#[must_use]
pub fn hot_respond(responder: &Responder, room: &mut [u8], length: usize) -> Option<usize> {
    responder.answer(room, length)
}

/// Panics if `at` is out of bounds: shows that the inspection finds such a thing.
#[inline(never)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    reason = "the panic is what this function is for"
)]
pub fn planted_panic(bytes: &[u8], at: usize) -> u8 {
    bytes[at]
}

//! Frames that scenarios send.

use std::net::{Ipv4Addr, Ipv6Addr};

use xdp_packet::FrameBuilder;

/// Where frames come from.
pub const SOURCE4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where frames go to.
pub const DESTINATION4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Where frames come from.
pub const SOURCE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// Where frames go to.
pub const DESTINATION6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The port that frames come from.
pub const SOURCE_PORT: u16 = 40_000;

/// An IPv4 frame without a transport header.
pub fn ipv4() -> FrameBuilder {
    FrameBuilder::new().ipv4(SOURCE4, DESTINATION4)
}

/// An IPv6 frame without a transport header.
pub fn ipv6() -> FrameBuilder {
    FrameBuilder::new().ipv6(SOURCE6, DESTINATION6)
}

/// UDP over IPv4.
pub fn udp4(port: u16, payload: &[u8]) -> Vec<u8> {
    ipv4().udp(SOURCE_PORT, port).payload(payload).finish()
}

/// UDP over IPv6.
pub fn udp6(port: u16, payload: &[u8]) -> Vec<u8> {
    ipv6().udp(SOURCE_PORT, port).payload(payload).finish()
}

/// TCP over IPv4.
pub fn tcp4(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    ipv4()
        .tcp(SOURCE_PORT, port, flags)
        .payload(payload)
        .finish()
}

/// TCP over IPv6.
pub fn tcp6(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    ipv6()
        .tcp(SOURCE_PORT, port, flags)
        .payload(payload)
        .finish()
}

/// A frame of `size` bytes of no protocol, with `number` in it.
pub fn numbered(number: u32, size: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.extend(number.to_be_bytes());
    let start = frame.len();
    frame.resize(size.max(start), 0);
    for (i, byte) in frame.iter_mut().enumerate().skip(start) {
        *byte = (i as u32).wrapping_mul(31).wrapping_add(number) as u8;
    }
    frame.truncate(size);
    frame
}

/// The number in a frame of [`numbered`].
///
/// # Panics
/// When the frame is too short to hold one.
pub fn number_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().expect("four bytes"))
}

//! What parsing costs, with two well-known parsers beside it: `cargo bench -p xdp-packet`.
//!
//! Each case parses one hot 64-byte frame and compares its UDP destination port. The cases take turns, so that a noisy
//! machine disturbs them alike; the least time of many rounds is printed, in nanoseconds a packet.

use std::hint::black_box;
use std::time::Instant;
use xdp_packet::{Depth, Frame, Packet, Scratch};

const ROUNDS: usize = 200;
const PACKETS: u32 = 20_000;

fn frame() -> [u8; 64] {
    let mut frame = [0u8; 64];
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14] = 0x45;
    frame[17] = 50;
    frame[22] = 64;
    frame[23] = 17;
    frame[36..38].copy_from_slice(&443u16.to_be_bytes());
    frame[39] = 30;
    frame
}

fn ours(frame: &Frame<'_>, depth: Depth) -> bool {
    let mut scratch = Scratch::new();
    Packet::parse(frame, depth, &mut scratch)
        .udp()
        .is_some_and(|udp| udp.destination_port() == 443)
}

fn etherparse(frame: &[u8]) -> bool {
    etherparse::SlicedPacket::from_ethernet(frame).is_ok_and(
        |packet| matches!(packet.transport, Some(etherparse::TransportSlice::Udp(udp)) if udp.destination_port() == 443),
    )
}

fn smoltcp(frame: &[u8]) -> bool {
    use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};
    let Ok(link) = EthernetFrame::new_checked(frame) else {
        return false;
    };
    if link.ethertype() != EthernetProtocol::Ipv4 {
        return false;
    }
    let Ok(ip) = Ipv4Packet::new_checked(link.payload()) else {
        return false;
    };
    ip.next_header() == IpProtocol::Udp
        && UdpPacket::new_checked(ip.payload()).is_ok_and(|udp| udp.dst_port() == 443)
}

fn time(mut case: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..PACKETS {
        black_box(case());
    }
    start.elapsed().as_nanos() as f64 / f64::from(PACKETS)
}

fn main() {
    let bytes = frame();
    let halves = [&bytes[..30], &bytes[30..]];
    let mut best = [f64::MAX; 7];
    let names = [
        "nothing (call and loop)",
        "network",
        "transport",
        "upper",
        "transport, split in IPv4",
        "etherparse 0.21, transport",
        "smoltcp 0.14, transport",
    ];
    for _ in 0..ROUNDS {
        let one = Frame::new(black_box(&bytes));
        let two = Frame::from_buffers(black_box(&halves));
        let times = [
            time(|| black_box(&one).is_contiguous()),
            time(|| {
                Packet::parse(black_box(&one), Depth::Network, &mut Scratch::new())
                    .ipv4()
                    .is_some_and(|ip| ip.destination() == [0; 4])
            }),
            time(|| ours(black_box(&one), Depth::Transport)),
            time(|| ours(black_box(&one), Depth::Upper)),
            time(|| ours(black_box(&two), Depth::Transport)),
            time(|| etherparse(black_box(&bytes))),
            time(|| smoltcp(black_box(&bytes))),
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = best.min(time);
        }
    }
    for (name, best) in names.iter().zip(best) {
        println!("{name:<28} {best:6.2} ns");
    }
}

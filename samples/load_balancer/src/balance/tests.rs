//! Frames through the balancer, and back.

use super::*;
use xdp_packet::checksum::Checksum;
use xdp_packet::{Depth, FrameBuilder, MacAddr, Packet};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

fn back_end(number: u8) -> BackEnd {
    BackEnd {
        address: Ipv4Addr::new(192, 0, 2, number),
        mac: [2, 0, 0, 0, 0, number],
    }
}

fn balancer(numbers: &[u8]) -> Balancer {
    Balancer::new(Service {
        mac: [2, 0, 0, 0, 0, 100],
        address: SERVICE,
        port: 80,
        back_ends: numbers.iter().copied().map(back_end).collect(),
    })
}

fn segment(mac: [u8; 6], from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), flags: u8) -> Vec<u8> {
    FrameBuilder::ethernet(MacAddr([2, 0, 0, 0, 0, 100]), MacAddr(mac))
        .ipv4(from.0, to.0)
        .tcp(from.1, to.1, flags)
        .payload(b"hello")
        .finish()
}

fn from_client(port: u16, flags: u8) -> Vec<u8> {
    segment(
        CLIENT_MAC,
        (Ipv4Addr::new(192, 0, 2, 1), port),
        (SERVICE, 80),
        flags,
    )
}

/// Source and destination of a frame whose checksums are right.
fn ends(frame: &[u8]) -> ((Ipv4Addr, u16), (Ipv4Addr, u16)) {
    let packet = Packet::parse_slice(frame, Depth::Transport);
    let header = packet.ipv4().expect("it is IPv4");
    assert_eq!(
        xdp_packet::checksum::checksum(header.as_bytes()),
        0,
        "header checksum"
    );
    let segment = &frame[34..];
    let mut sum = Checksum::pseudo_ipv4(
        header.source(),
        header.destination(),
        6,
        segment.len() as u32,
    );
    sum.add(segment);
    assert!(sum.is_valid(), "TCP checksum");
    let (source, destination) = packet.ports().expect("it is TCP");
    (
        (header.source_addr(), source),
        (header.destination_addr(), destination),
    )
}

#[test]
fn a_connection_goes_to_one_back_end_and_its_answers_come_back() {
    let (mut balancer, now) = (balancer(&[11, 12]), Instant::now());
    let mut there = from_client(50_000, SYN);
    assert!(balancer.translate(&mut there, now));
    let ((from, port), (to, to_port)) = ends(&there);
    assert_eq!((from, to_port), (SERVICE, 80));
    assert!([11, 12].contains(&to.octets()[3]));
    assert_eq!(there[..6], back_end(to.octets()[3]).mac);

    let mut back = segment(
        back_end(to.octets()[3]).mac,
        (to, 80),
        (SERVICE, port),
        SYN | ACK,
    );
    assert!(balancer.translate(&mut back, now));
    assert_eq!(
        ends(&back),
        ((SERVICE, 80), (Ipv4Addr::new(192, 0, 2, 1), 50_000))
    );
    assert_eq!(back[..6], CLIENT_MAC);

    let mut more = from_client(50_000, ACK);
    assert!(balancer.translate(&mut more, now));
    assert_eq!(ends(&more), ((SERVICE, port), (to, 80)));
    assert_eq!(
        balancer.connections().map(|(_, count)| count).sum::<u64>(),
        1
    );
}

#[test]
fn connections_spread_and_a_back_end_less_moves_only_its_own() {
    let clients: Vec<Client> = (1..2_000)
        .map(|port| Client {
            mac: CLIENT_MAC,
            address: [192, 0, 2, 1],
            port,
        })
        .collect();
    let three = [11, 12, 13].map(back_end);
    let chosen: Vec<usize> = clients
        .iter()
        .filter_map(|client| pick(&three, client))
        .collect();
    for index in 0..3 {
        let share = chosen.iter().filter(|chosen| **chosen == index).count();
        assert!(
            (500..850).contains(&share),
            "back end {index} has {share} of 1999"
        );
    }
    for (client, before) in clients.iter().zip(&chosen) {
        let after = pick(&three[..2], client);
        assert!(
            *before == 2 || after == Some(*before),
            "{client:?} moved without need"
        );
    }
    assert_eq!(pick(&[], &clients[0]), None);
}

#[test]
fn what_belongs_to_no_connection_is_not_sent_on() {
    let (mut balancer, now) = (balancer(&[11]), Instant::now());
    assert!(
        !balancer.translate(&mut from_client(50_000, ACK), now),
        "never opened"
    );
    let stranger = (Ipv4Addr::new(192, 0, 2, 66), 80);
    assert!(balancer.translate(&mut from_client(50_000, SYN), now));
    let mut forged = segment(CLIENT_MAC, stranger, (SERVICE, FIRST_PORT), ACK);
    assert!(
        !balancer.translate(&mut forged, now),
        "not from the back end"
    );
    let mut other = from_client(50_000, SYN);
    other[33] = 99;
    assert!(!balancer.translate(&mut other, now), "another address");
    let whole = from_client(50_000, SYN);
    for length in 0..54 {
        assert!(!balancer.translate(&mut whole[..length].to_vec(), now));
    }
}

#[test]
fn slots_of_silent_connections_are_used_again() {
    let (mut balancer, start) = (balancer(&[11]), Instant::now());
    for port in 0..CONNECTIONS {
        assert!(balancer.translate(&mut from_client(port, SYN), start));
    }
    assert!(
        !balancer.translate(&mut from_client(40_000, SYN), start),
        "all are in use"
    );
    let later = start + IDLE + Duration::from_secs(1);
    assert!(balancer.translate(&mut from_client(40_000, SYN), later));
    assert_eq!(balancer.by_client.len(), usize::from(CONNECTIONS));
}

//! Frames through the balancer, and back.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use xdp_packet::{FrameBuilder, checksum};

const CLIENT_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const SERVICE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 100]);

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn at(number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(address(number), port)
}

fn back_end(number: u8) -> Peer {
    Peer {
        address: at(number, 80),
        mac: MacAddr([2, 0, 0, 0, 0, number]),
    }
}

fn balancer_of(service: SocketAddr, back_ends: &[Peer]) -> Balancer {
    let mut balancer = Balancer::new(Peer {
        address: service,
        mac: SERVICE_MAC,
    });
    balancer.back_ends = back_ends.iter().map(|back_end| (*back_end, 0)).collect();
    balancer
}

fn balancer(numbers: &[u8]) -> Balancer {
    let back_ends: Vec<_> = numbers.iter().copied().map(back_end).collect();
    balancer_of(at(100, 80), &back_ends)
}

fn segment(mac: MacAddr, from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let frame = FrameBuilder::ethernet(SERVICE_MAC, mac);
    let frame = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => frame.ipv4(from, to),
        (IpAddr::V6(from), IpAddr::V6(to)) => frame.ipv6(from, to),
        mixed => panic!("{mixed:?}"),
    };
    frame
        .tcp(from.port(), to.port(), flags)
        .payload(b"hello")
        .finish()
}

fn from_client(port: u16, flags: u8) -> Vec<u8> {
    segment(CLIENT_MAC, at(1, port), at(100, 80), flags)
}

/// Source and destination of a frame, whose checksums are those that a new one would have.
fn ends(frame: &mut [u8]) -> (SocketAddr, SocketAddr) {
    let packet = Rewriter::new(frame).expect("it is TCP");
    let (from, to, mac) = (packet.source(), packet.destination(), packet.source_mac());
    let flags = packet.tcp_flags().expect("it is TCP");
    let built = segment(mac, from, to, flags);
    assert_eq!(frame[12..], built[12..]);
    (from, to)
}

#[test]
fn a_connection_goes_to_one_back_end_and_its_answers_come_back() {
    let mut balancer = balancer(&[11, 12]);
    let mut there = from_client(50_000, TCP_SYN);
    assert!(balancer.translate(&mut there));
    let (from, to) = ends(&mut there);
    assert_eq!((from.ip(), to.port()), (address(100), 80));
    let mut back_ends = [11, 12].map(back_end).into_iter();
    let chosen = back_ends.find(|back_end| back_end.address == to);
    let chosen = chosen.expect("it is a back end");
    assert_eq!(there[..6], chosen.mac.0);

    let mut back = segment(chosen.mac, to, from, TCP_SYN | TCP_ACK);
    assert!(balancer.translate(&mut back));
    assert_eq!(ends(&mut back), (at(100, 80), at(1, 50_000)));
    assert_eq!(back[..6], CLIENT_MAC.0);

    let mut more = from_client(50_000, TCP_ACK);
    assert!(balancer.translate(&mut more));
    assert_eq!(ends(&mut more), (from, to));
    let counts = balancer.back_ends.iter().map(|(_, count)| count);
    assert_eq!(counts.sum::<u64>(), 1);
}

#[test]
fn connections_over_ipv6_are_carried_as_well() {
    let v6 = |number: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, number));
    let service = SocketAddr::new(v6(100), 80);
    let back_end = Peer {
        address: SocketAddr::new(v6(11), 80),
        mac: MacAddr([2; 6]),
    };
    let mut balancer = balancer_of(service, &[back_end]);
    let client = SocketAddr::new(v6(1), 50_000);
    let mut there = segment(CLIENT_MAC, client, service, TCP_SYN);
    assert!(balancer.translate(&mut there));
    let (from, to) = ends(&mut there);
    assert_eq!(to, SocketAddr::new(v6(11), 80));
    let mut back = segment(back_end.mac, to, from, TCP_SYN | TCP_ACK);
    assert!(balancer.translate(&mut back));
    assert_eq!(ends(&mut back), (service, client));
}

#[test]
fn connections_spread_and_a_back_end_less_moves_only_its_own() {
    let clients: Vec<Peer> = (1..2_000)
        .map(|port| Peer {
            mac: CLIENT_MAC,
            address: at(1, port),
        })
        .collect();
    let three = [11, 12, 13].map(|number| (back_end(number), 0));
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
    let mut balancer = balancer(&[11]);
    let mut unopened = from_client(50_000, TCP_ACK);
    assert!(!balancer.translate(&mut unopened), "never opened");
    assert!(balancer.translate(&mut from_client(50_000, TCP_SYN)));
    let mut forged = segment(CLIENT_MAC, at(66, 80), at(100, FIRST_PORT), TCP_ACK);
    assert!(!balancer.translate(&mut forged), "not from the back end");
    let mut unused = segment(
        back_end(11).mac,
        at(11, 80),
        at(100, FIRST_PORT + 1),
        TCP_ACK,
    );
    assert!(!balancer.translate(&mut unused), "a port of nobody");
    let mut other = segment(CLIENT_MAC, at(1, 50_000), at(99, 80), TCP_SYN);
    assert!(!balancer.translate(&mut other), "another address");
    let whole = from_client(50_000, TCP_SYN);
    for length in 0..54 {
        assert!(!balancer.translate(&mut whole[..length].to_vec()));
    }
}

#[test]
fn the_port_of_who_was_silent_the_longest_is_used_again() {
    let mut balancer = balancer(&[11]);
    let count = u16::try_from(CONNECTIONS.get()).expect("there are fewer ports");
    for port in 0..count {
        assert!(balancer.translate(&mut from_client(port, TCP_SYN)));
    }
    // Port 0 speaks again, so that port 1 has been silent the longest.
    assert!(balancer.translate(&mut from_client(0, TCP_ACK)));
    let mut another = from_client(count, TCP_SYN);
    assert!(balancer.translate(&mut another));
    assert_eq!(ends(&mut another).0, at(100, FIRST_PORT + 1));
    assert!(balancer.translate(&mut from_client(0, TCP_ACK)));
    assert!(!balancer.translate(&mut from_client(1, TCP_ACK)));
    let mut back = segment(
        back_end(11).mac,
        at(11, 80),
        at(100, FIRST_PORT + 1),
        TCP_ACK,
    );
    assert!(balancer.translate(&mut back));
    assert_eq!(ends(&mut back).1, at(1, count));
    assert!(checksum::checksum(&back[14..34]) == 0);
}

#[test]
fn services_and_back_ends_are_read() {
    let parsed = |line: &'static str| parse(line.split_whitespace().collect());
    let line = "lab: 192.0.2.100:80 192.0.2.11 02:00:00:00:00:0b 192.0.2.12 2:0:0:0:0:c";
    let (interface, balancer) = parsed(line).expect("all of it is valid");
    assert_eq!(
        (&*interface, balancer.service.address),
        ("lab:", at(100, 80))
    );
    assert_eq!(balancer.back_ends, [(back_end(11), 0), (back_end(12), 0)]);
    for line in [
        "lab: 192.0.2.100:80",
        "lab: 192.0.2.100 192.0.2.11 02:00:00:00:00:0b",
        "lab: 192.0.2.100:80 192.0.2.11",
        "lab: 192.0.2.100:80 192.0.2.11 02:00:00:00:00",
        "lab: 192.0.2.100:80 2001:db8::b 02:00:00:00:00:0b",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

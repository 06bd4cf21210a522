//! Packets with changed ends are the ones that would have been built with these ends, checksums included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use xdp_packet::{FrameBuilder, MacAddr, OtherFamily, Rewriter};

const HERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THERE: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn built(
    tcp: bool,
    from: SocketAddr,
    to: SocketAddr,
    macs: (MacAddr, MacAddr),
    payload: &[u8],
) -> Vec<u8> {
    let frame = FrameBuilder::ethernet(macs.0, macs.1);
    let frame = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => frame.ipv4(from, to),
        (IpAddr::V6(from), IpAddr::V6(to)) => frame.ipv6(from, to),
        mixed => panic!("{mixed:?}"),
    };
    let frame = if tcp {
        frame.tcp(from.port(), to.port(), 0x12)
    } else {
        frame.udp(from.port(), to.port())
    };
    frame.payload(payload).finish()
}

fn ends() -> impl Strategy<Value = [SocketAddr; 4]> {
    let v4 = any::<[([u8; 4], u16); 4]>()
        .prop_map(|ends| ends.map(|(address, port)| (Ipv4Addr::from(address), port).into()));
    let v6 = any::<[([u8; 16], u16); 4]>()
        .prop_map(|ends| ends.map(|(address, port)| (Ipv6Addr::from(address), port).into()));
    prop_oneof![v4, v6]
}

proptest! {
    #[test]
    fn changed_packets_are_those_built_so(
        tcp: bool,
        [from, to, new_from, new_to] in ends(),
        payload in prop::collection::vec(any::<u8>(), 1..50),
    ) {
        let mut frame = built(tcp, from, to, (THERE, HERE), &payload);
        let mut rewriter = Rewriter::new(&mut frame).expect("it is whole");
        prop_assert_eq!((rewriter.source(), rewriter.destination()), (from, to));
        prop_assert_eq!(rewriter.source_mac(), HERE);
        prop_assert_eq!(rewriter.tcp_flags(), tcp.then_some(0x12));
        rewriter.set_source(new_from).expect("it has this version of IP");
        rewriter.set_destination(new_to).expect("it has this version of IP");
        rewriter.set_macs(HERE, THERE);
        prop_assert_eq!((rewriter.source(), rewriter.destination()), (new_from, new_to));
        prop_assert_eq!(&frame, &built(tcp, new_from, new_to, (HERE, THERE), &payload));

        Rewriter::new(&mut frame).expect("it is whole").turn_round();
        prop_assert_eq!(&frame, &built(tcp, new_to, new_from, (THERE, HERE), &payload));
    }

    #[test]
    fn hostile_frames_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0..3_usize) {
        if let Some(place) = bytes.get_mut(12..15) {
            place.copy_from_slice([&[8, 0, 0x45], &[0x86, 0xDD, 0x60], &[8, 0, 0x46]][kind]);
        }
        if let Some(mut rewriter) = Rewriter::new(&mut bytes) {
            rewriter.turn_round();
            let (source, destination) = (rewriter.source(), rewriter.destination());
            rewriter.set_source(destination).expect("it has this version of IP");
            rewriter.set_destination(source).expect("it has this version of IP");
        }
    }
}

fn v4_datagram() -> Vec<u8> {
    let (from, to) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
    built(
        false,
        (from, 4000).into(),
        (to, 53).into(),
        (THERE, HERE),
        b"x",
    )
}

#[test]
fn datagrams_without_a_checksum_stay_without() {
    let mut frame = v4_datagram();
    frame[40..42].fill(0);
    let mut rewriter = Rewriter::new(&mut frame).expect("it is whole");
    let elsewhere = "198.51.100.7:9".parse().expect("an address");
    rewriter.set_destination(elsewhere).expect("it is IPv4");
    assert_eq!(frame[40..42], [0, 0]);
}

#[test]
fn addresses_of_the_other_version_are_refused() {
    let mut frame = v4_datagram();
    let before = frame.clone();
    let mut rewriter = Rewriter::new(&mut frame).expect("it is whole");
    let v6 = "[2001:db8::1]:53".parse().expect("an address");
    assert_eq!(rewriter.set_source(v6), Err(OtherFamily));
    assert_eq!(rewriter.set_destination(v6), Err(OtherFamily));
    assert_eq!(frame, before);
}

#[test]
fn fragments_options_and_other_protocols_have_no_ends() {
    let whole = v4_datagram();
    assert!(Rewriter::new(&mut whole.clone()).is_some());
    for length in 0..42 {
        assert!(Rewriter::new(&mut whole[..length].to_vec()).is_none());
    }
    for (at, value, what) in [
        (12, 9, "another EtherType"),
        (14, 0x46, "options"),
        (20, 0x20, "more fragments"),
        (21, 1, "a later fragment"),
        (23, 1, "ICMP"),
    ] {
        let mut frame = whole.clone();
        frame[at] = value;
        assert!(Rewriter::new(&mut frame).is_none(), "{what}");
    }
}

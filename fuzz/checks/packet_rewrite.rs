//! Addresses and ports changed in place: the first 23 bytes say to what, the rest is a frame.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use xdp_packet::{Depth, MacAddr, OtherFamily, Packet, Rewriter, protocol};

/// Checks that only what was asked for is changed, in packets only, and that what checksums say about a packet stays true.
pub(crate) fn check(data: &[u8]) {
    let Some((wish, before)) = data.split_first_chunk::<23>() else {
        return;
    };
    let mut frame = before.to_vec();
    let Some(mut rewriter) = Rewriter::new(&mut frame) else {
        assert_eq!(Parts::of(before), None, "refused without a reason");
        return;
    };
    let parts = Parts::of(before).expect("only these are packets with ends");
    let (source, destination) = (rewriter.source(), rewriter.destination());
    assert_eq!((source, destination), parts.ends(before));
    let flags = parts.tcp.then(|| before[parts.transport + 13]);
    assert_eq!(rewriter.tcp_flags(), flags);

    let (to, other) = wanted(wish, source.is_ipv6());
    assert_eq!(rewriter.set_source(other), Err(OtherFamily));
    assert_eq!(rewriter.set_destination(other), Err(OtherFamily));
    let new_source = if wish[22] & 1 == 0 { to } else { source };
    let new_destination = if wish[22] & 2 == 0 { to } else { destination };
    assert_eq!(rewriter.set_source(new_source), Ok(()));
    assert_eq!(rewriter.set_destination(new_destination), Ok(()));
    assert_eq!(rewriter.source(), new_source);
    assert_eq!(rewriter.destination(), new_destination);
    assert_eq!(parts.ends(&frame), (new_source, new_destination));
    parts.assert_changed_alone(before, &frame);
    assert_eq!(frame[..12], before[..12]);

    let one_way = frame.clone();
    let mut rewriter = Rewriter::new(&mut frame).expect("it still is one");
    rewriter.turn_round();
    assert_eq!(rewriter.source(), new_destination);
    assert_eq!(rewriter.destination(), new_source);
    parts.assert_changed_alone(before, &frame);
    assert_eq!(frame[..6], before[6..12]);
    assert_eq!(frame[6..12], before[..6]);
    Rewriter::new(&mut frame)
        .expect("it still is one")
        .turn_round();
    assert_eq!(frame, one_way, "back and forth");

    let mut rewriter = Rewriter::new(&mut frame).expect("it still is one");
    rewriter.set_macs(MacAddr([2; 6]), MacAddr([4; 6]));
    assert_eq!(rewriter.source_mac(), MacAddr([4; 6]));
    assert_eq!(frame[..12], [2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4]);
    assert_eq!(frame[12..], one_way[12..]);
}

/// The ends that the input asks for, of the packet's version of IP and of the other one.
fn wanted(wish: &[u8; 23], v6: bool) -> (SocketAddr, SocketAddr) {
    let long: [u8; 16] = std::array::from_fn(|at| wish[at]);
    let short: [u8; 4] = std::array::from_fn(|at| wish[16 + at]);
    let port = u16::from_be_bytes([wish[20], wish[21]]);
    let long = SocketAddr::new(long.into(), port);
    let short = SocketAddr::new(short.into(), port);
    if v6 { (long, short) } else { (short, long) }
}

/// Where a frame has what is changed.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    /// Both addresses.
    addresses: Range<usize>,
    transport: usize,
    tcp: bool,
}

impl Parts {
    /// As parsing finds them: in TCP and UDP whose ports are where the packet's first fragment has them, and nowhere else.
    fn of(frame: &[u8]) -> Option<Self> {
        let packet = Packet::parse_slice(frame, Depth::Network);
        let (addresses, transport) = match (packet.ipv4(), packet.ipv6()) {
            (Some(ip), _) if ip.is_plain() && !ip.is_fragment() => (26..34, 34),
            (_, Some(ip)) if ip.version() == 6 => (22..54, 54),
            _ => return None,
        };
        let (tcp, size) = match packet.ip_protocol()? {
            protocol::TCP => (true, 20),
            protocol::UDP => (false, 8),
            _ => return None,
        };
        (frame.len() >= transport + size).then_some(Self {
            addresses,
            transport,
            tcp,
        })
    }

    fn ends(&self, frame: &[u8]) -> (SocketAddr, SocketAddr) {
        let (source, destination) =
            frame[self.addresses.clone()].split_at(self.addresses.len() / 2);
        let ports = &frame[self.transport..];
        let end = |address: &[u8], port: &[u8]| {
            let address: IpAddr = match <[u8; 4]>::try_from(address) {
                Ok(short) => short.into(),
                Err(_) => <[u8; 16]>::try_from(address).expect("it is long").into(),
            };
            SocketAddr::new(address, u16::from_be_bytes([port[0], port[1]]))
        };
        (end(source, &ports[..2]), end(destination, &ports[2..4]))
    }

    fn checksum(&self) -> Range<usize> {
        let start = self.transport + if self.tcp { 16 } else { 6 };
        start..start + 2
    }

    /// Compares everything behind the MAC addresses: nothing but addresses, ports and checksums differs, and whatever a checksum is
    /// off by, it is off by as before.
    fn assert_changed_alone(&self, before: &[u8], after: &[u8]) {
        assert_eq!(before.len(), after.len());
        let is_v4 = self.transport == 34;
        let ports = self.transport..self.transport + 4;
        for at in 12..before.len() {
            let may_differ = self.addresses.contains(&at)
                || ports.contains(&at)
                || self.checksum().contains(&at)
                || (is_v4 && (24..26).contains(&at));
            assert!(may_differ || before[at] == after[at], "byte {at}");
        }
        if is_v4 {
            assert_eq!(residue(&before[14..34]), residue(&after[14..34]));
        }
        if !self.tcp && before[self.checksum()] == [0, 0] {
            assert_eq!(after[self.checksum()], [0, 0], "none before, none after");
            return;
        }
        assert!(
            self.tcp || after[self.checksum()] != [0, 0],
            "there was one"
        );
        // Addresses are the part of the pseudo header that can change, and lie before the rest of what is covered.
        let covered = self.addresses.start..;
        assert_eq!(residue(&before[covered.clone()]), residue(&after[covered]));
    }
}

/// What 16-bit words add up to in ones' complement, with one zero.
fn residue(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2);
    words
        .map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0)))
        .sum::<u64>()
        % 0xFFFF
}

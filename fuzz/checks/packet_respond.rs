//! Questions that every host answers: the first byte says how much room there is behind a question, the second whose address it asks
//! for and whether the checksum of a neighbour solicitation is put right, which chance seldom hits; the rest is the question.

use std::net::{Ipv4Addr, Ipv6Addr};

use xdp_packet::checksum::Checksum;
use xdp_packet::{Depth, Ipv6, MacAddr, Packet, Responder, protocol};

const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
/// What lies behind a question.
const FILLING: u8 = 0xEE;

/// Checks that an answer is a packet back to whoever asked, and that without one the question stays as it was.
pub(crate) fn check(data: &[u8]) {
    let Some((&[room, whose], question)) = data.split_first_chunk() else {
        return;
    };
    let mut question = question.to_vec();
    if whose & 16 == 0
        && let Some(sum) = right_sum(&question)
    {
        question[56..58].copy_from_slice(&sum);
    }
    let question = question.as_slice();
    let host = host(question, whose);
    let length = question.len();
    let mut bytes = question.to_vec();
    bytes.resize(length + usize::from(room), FILLING);
    let before = bytes.clone();
    assert_eq!(host.answer(&mut bytes, before.len() + 1), None);
    let Some(answer) = host.answer(&mut bytes, length) else {
        assert_eq!(bytes, before, "what is not answered stays as it is");
        return;
    };
    assert!(
        bytes[length.max(answer)..]
            .iter()
            .all(|&byte| byte == FILLING)
    );
    let answer = &bytes[..answer];
    assert_eq!(answer[..6], question[6..12], "to the asker");
    assert_eq!(answer[6..12], OURS.0, "from us");
    assert_eq!(answer[12..14], question[12..14]);
    assert_eq!(answer[0] & 1, 0, "to one host");
    match answer[12..14] {
        [8, 6] => assert_arp(&host, question, answer),
        [8, 0] => assert_ping(&host, question, answer),
        _ if question[54] == 135 => assert_advertisement(&host, question, answer),
        _ => assert_ping_v6(&host, question, answer),
    }
    let (length, mut answer) = (answer.len(), answer.to_vec());
    answer.resize(length + Responder::ROOM_BYTES, FILLING);
    assert_eq!(
        host.answer(&mut answer, length),
        None,
        "no answer is a question"
    );
}

/// The checksum that a neighbour solicitation should have.
fn right_sum(question: &[u8]) -> Option<[u8; 2]> {
    let packet = parsed(question);
    let ip = packet.ipv6()?;
    let message = question.get(54..54 + usize::from(ip.payload_length()))?;
    let mut message = message.to_vec();
    message.get_mut(2..4)?.fill(0);
    (message[0] == 135).then(|| message_sum(&ip, &message).finish().to_be_bytes())
}

fn message_sum(ip: &Ipv6<'_>, message: &[u8]) -> Checksum {
    let length = message.len() as u32;
    let mut sum = Checksum::pseudo_ipv6(ip.source(), ip.destination(), protocol::ICMPV6, length);
    sum.add(message);
    sum
}

/// A host with none, some or all of the addresses that the question may ask for.
fn host(question: &[u8], whose: u8) -> Responder {
    fn at<const SIZE: usize>(question: &[u8], start: usize) -> Option<[u8; SIZE]> {
        question.get(start..)?.first_chunk().copied()
    }
    let ipv4 = match whose & 3 {
        0 => None,
        1 => at(question, 38),
        2 => at(question, 30),
        _ => Some([192, 0, 2, 9]),
    };
    let ipv6 = match whose >> 2 & 3 {
        0 => None,
        1 => at(question, 62),
        2 => at(question, 38),
        _ => Some([0x20; 16]),
    };
    Responder {
        mac: OURS,
        ipv4: ipv4.map(Ipv4Addr::from),
        ipv6: ipv6.map(Ipv6Addr::from),
    }
}

fn assert_arp(host: &Responder, question: &[u8], answer: &[u8]) {
    let ours = host.ipv4.expect("whose else").octets();
    assert_eq!(answer.len(), question.len());
    assert_eq!(question[14..22], [0, 1, 8, 0, 6, 4, 0, 1]);
    assert_eq!(answer[14..22], [0, 1, 8, 0, 6, 4, 0, 2]);
    assert_eq!(answer[22..28], OURS.0);
    assert_eq!(answer[28..32], ours);
    assert_eq!(question[38..42], ours);
    assert_eq!(answer[32..42], question[22..32]);
    assert_eq!(answer[42..], question[42..]);
}

fn assert_ping(host: &Responder, question: &[u8], answer: &[u8]) {
    let (asked, packet) = (parsed(question), parsed(answer));
    let (asked, ip) = (asked.ipv4().expect("IPv4"), packet.ipv4().expect("IPv4"));
    assert_eq!(Some(asked.destination_addr()), host.ipv4);
    assert_eq!(Some(ip.source_addr()), host.ipv4);
    assert_eq!(ip.destination_addr(), asked.source_addr());
    let to = ip.destination_addr();
    assert!(!to.is_multicast() && !to.is_broadcast() && !to.is_unspecified());
    assert_eq!(question[34..36], [8, 0]);
    assert_eq!(answer[34..36], [0, 0]);
    assert_eq!(answer.len(), question.len());
    assert_eq!(answer[14..26], question[14..26]);
    assert_eq!(answer[38..], question[38..]);
    assert_eq!(residue(&answer[34..]), residue(&question[34..]));
}

fn assert_ping_v6(host: &Responder, question: &[u8], answer: &[u8]) {
    assert_turned_v6(host, question, answer);
    assert_eq!(question[54..56], [128, 0]);
    assert_eq!(answer[54..56], [129, 0]);
    assert_eq!(answer.len(), question.len());
    assert_eq!(answer[14..22], question[14..22]);
    assert_eq!(answer[58..], question[58..]);
    assert_eq!(question[38..54], answer[22..38]);
    assert_eq!(residue(&answer[54..]), residue(&question[54..]));
}

/// RFC 4861 sections 4.4 and 7.1.2.
fn assert_advertisement(host: &Responder, question: &[u8], answer: &[u8]) {
    assert_turned_v6(host, question, answer);
    let ip = parsed(answer);
    let ip = ip.ipv6().expect("IPv6");
    assert_eq!(answer.len(), Responder::ROOM_BYTES);
    assert_eq!(usize::from(ip.payload_length()), answer.len() - 54);
    assert_eq!((question[21], ip.hop_limit()), (255, 255));
    assert_eq!(answer[54..56], [136, 0]);
    assert_eq!(answer[58..62], [0x60, 0, 0, 0], "solicited, override");
    assert_eq!(question[62..78], answer[62..78]);
    assert_eq!(Some(Ipv6Addr::from(ip.source())), host.ipv6);
    assert_eq!(answer[62..78], ip.source());
    assert_eq!(answer[78..80], [2, 1], "target link-layer address");
    assert_eq!(answer[80..], OURS.0);
    assert!(message_sum(&ip, &answer[54..]).is_valid());
    let asked = parsed(question);
    let asked = asked.ipv6().expect("IPv6");
    let end = 54 + usize::from(asked.payload_length());
    assert!(message_sum(&asked, &question[54..end]).is_valid());
}

fn assert_turned_v6(host: &Responder, question: &[u8], answer: &[u8]) {
    let (asked, packet) = (parsed(question), parsed(answer));
    let (asked, ip) = (asked.ipv6().expect("IPv6"), packet.ipv6().expect("IPv6"));
    assert_eq!((asked.version(), ip.version()), (6, 6));
    assert_eq!(Some(ip.source_addr()), host.ipv6);
    assert_eq!(ip.destination_addr(), asked.source_addr());
    let to = ip.destination_addr();
    assert!(!to.is_multicast() && !to.is_unspecified());
    assert!(packet.icmp().is_some());
}

fn parsed(frame: &[u8]) -> Packet<'_> {
    Packet::parse_slice(frame, Depth::Upper)
}

/// What 16-bit words add up to in ones' complement, with one zero.
fn residue(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2);
    words
        .map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0)))
        .sum::<u64>()
        % 0xFFFF
}

//! Finds the name in a DNS question or a TLS handshake. Everything comes from strangers: any length may be a lie.

use std::fmt;
use std::net::IpAddr;

use xdp_packet::{Depth, Packet};

/// A name, and who asked for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    from: Option<IpAddr>,
    protocol: &'static str,
    name: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.name)?;
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}

/// The name in a frame, if it has one.
pub(crate) fn find(frame: &[u8]) -> Option<Found> {
    let packet = Packet::parse_slice(frame, Depth::Transport);
    let v4 = packet.ipv4().map(|header| IpAddr::V4(header.source_addr()));
    let from = v4.or_else(|| packet.ipv6().map(|header| IpAddr::V6(header.source_addr())));
    let (protocol, name) = if packet.udp().is_some() {
        ("dns", dns_question(packet.payload())?)
    } else if packet.tcp().is_some() {
        ("tls", tls_server_name(packet.payload())?)
    } else {
        return None;
    };
    Some(Found {
        from,
        protocol,
        name,
    })
}

/// The first question of a DNS query.
fn dns_question(message: &[u8]) -> Option<String> {
    let is_query = message.get(2)? & 0x80 == 0;
    let questions = u16::from_be_bytes(*message.get(4..)?.first_chunk()?);
    if !is_query || questions == 0 {
        return None;
    }
    let mut labels = Vec::new();
    let mut rest = message.get(12..)?;
    // A question comes first, so it has nothing to point back to: lengths over 63 are no labels.
    while let Some((length @ 1..=63, after)) = rest.split_first() {
        let (label, next) = after.split_at_checked(usize::from(*length))?;
        labels.push(readable(label));
        rest = next;
    }
    // A name that does not end, or is the root, is not worth a line.
    (rest.first() == Some(&0) && rest.len() >= 5 && !labels.is_empty()).then(|| labels.join("."))
}

/// The server name of a TLS client hello that lies whole in one segment.
fn tls_server_name(segment: &[u8]) -> Option<String> {
    // Record: type, version, length. Handshake: type, length. Hello: version, random.
    let [22, 3, _, _, _, 1, ..] = segment else {
        return None;
    };
    let rest = segment.get(5 + 4 + 2 + 32..)?;
    let (_, rest) = take(rest, 1)?;
    let (_, rest) = take(rest, 2)?;
    let (_, rest) = take(rest, 1)?;
    let (mut extensions, _) = take(rest, 2)?;
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        let (body, next) = take(rest, 2)?;
        if *kind == [0, 0] {
            // A list whose entries have a type, of which only 0 (host name) exists.
            let (list, _) = take(body, 2)?;
            let (name, _) = take(list.strip_prefix(&[0])?, 2)?;
            return (!name.is_empty()).then(|| readable(name));
        }
        extensions = next;
    }
    None
}

/// Splits off what a length of so many bytes announces.
fn take(bytes: &[u8], length_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(length_bytes)?;
    let length = length
        .iter()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

/// Names are printed to terminals: nothing but plain letters gets there.
fn readable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use xdp_packet::{FrameBuilder, MacAddr};

    fn builder() -> FrameBuilder {
        FrameBuilder::ethernet(MacAddr([2; 6]), MacAddr([4; 6]))
            .ipv4(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2))
    }

    fn query() -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(b"\x03www\x07example\x03com\x00\x00\x01\x00\x01");
        message
    }

    /// A client hello with an unrelated extension before the server name.
    fn hello() -> Vec<u8> {
        let name = b"www.example.com";
        let mut list = vec![0, 0, name.len() as u8];
        list.extend(name);
        let mut extensions = vec![
            0,
            10,
            0,
            2,
            0,
            29,
            0,
            0,
            0,
            list.len() as u8 + 2,
            0,
            list.len() as u8,
        ];
        extensions.extend(list);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0, 0, extensions.len() as u8]);
        body.extend(extensions);
        let mut record = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
        record.extend(body);
        record
    }

    #[test]
    fn names_are_found_in_both_protocols() {
        let frame = builder().udp(4000, 53).payload(&query()).finish();
        let found = find(&frame).expect("it asks for a name");
        assert_eq!(found.to_string(), "dns www.example.com from 192.0.2.1");
        let frame = builder().tcp(4000, 443, 0x18).payload(&hello()).finish();
        let found = find(&frame).expect("it asks for a name");
        assert_eq!(found.to_string(), "tls www.example.com from 192.0.2.1");
    }

    #[test]
    fn answers_and_other_traffic_have_no_name() {
        let mut answer = query();
        answer[2] |= 0x80;
        assert_eq!(dns_question(&answer), None);
        assert_eq!(tls_server_name(b"GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(find(&builder().icmpv4(8, 0, b"ping").finish()), None);
    }

    #[test]
    fn what_is_cut_or_bent_is_survived_and_never_invented() {
        for length in 0..query().len() {
            assert_eq!(dns_question(&query()[..length]), None, "{length}");
        }
        for length in 0..hello().len() {
            assert_eq!(tls_server_name(&hello()[..length]), None, "{length}");
        }
        for (at, value) in (0..hello().len()).flat_map(|at| [(at, 0), (at, 0xFF)]) {
            let (mut bent, mut query) = (hello(), query());
            bent[at] = value;
            let _ = tls_server_name(&bent);
            if let Some(byte) = query.get_mut(at) {
                *byte = value;
                let _ = dns_question(&query);
            }
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(readable(b"a\x1b[31m\n\xff"), "a?[31m??");
    }
}

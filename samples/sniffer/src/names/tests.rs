//! Names in whole, cut and bent messages.

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
    // Groups: one, x25519.
    let mut extensions = vec![0, 10, 0, 4, 0, 2, 0, 29];
    let length = list.len() as u8;
    extensions.extend([0, 0, 0, length + 2, 0, length]);
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

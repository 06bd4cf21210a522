//! Finds the name in a DNS question or a TLS handshake. Everything comes from strangers: any length may be a lie.

use std::fmt;
use std::net::IpAddr;

use simple_dns::{Packet as Message, PacketFlag};
use tls_parser::{
    TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext,
};
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
    let message = Message::parse(message).ok()?;
    let question = message.questions.first()?;
    let labels: Vec<String> = question
        .qname
        .iter()
        .map(|label| readable(label.as_ref()))
        .collect();
    // Nobody is told apart by asking for the root.
    (!message.has_flags(PacketFlag::RESPONSE) && !labels.is_empty()).then(|| labels.join("."))
}

/// The server name of a TLS client hello that lies whole in one segment.
fn tls_server_name(segment: &[u8]) -> Option<String> {
    let (_, record) = parse_tls_plaintext(segment).ok()?;
    let hello = record.msg.iter().find_map(|message| match message {
        TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) => Some(hello),
        _ => None,
    })?;
    let (_, extensions) = parse_tls_extensions(hello.ext?).ok()?;
    extensions.iter().find_map(|extension| match extension {
        TlsExtension::SNI(names) => names.first().map(|(_, name)| readable(name)),
        _ => None,
    })
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
mod tests;

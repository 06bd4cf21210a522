//! What a packet's headers say, in a few words and as data.

use serde::Serialize;
use std::fmt;
use std::net::IpAddr;
use xdp_packet::{
    Depth, Ethernet, Extended, Facts, Fragment, Icmp, Ipv4, Packet, Quic, Tcp, protocol,
};

/// The headers of one packet.
#[derive(Debug, Serialize)]
pub(crate) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    ethernet: Option<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlan: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Transport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_ip: Option<Ip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quic: Option<QuicIds>,
}

#[derive(Debug, Serialize)]
struct Link {
    source: String,
    destination: String,
    /// Behind VLAN tags.
    ethertype: u16,
}

#[derive(Debug, Serialize)]
struct Ip {
    version: u8,
    source: IpAddr,
    destination: IpAddr,
    /// Behind extension headers; none when their chain does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fragment_offset: Option<u16>,
}

#[derive(Debug, Serialize)]
struct Transport {
    protocol: &'static str,
    source_port: u16,
    destination_port: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Message {
    #[serde(rename = "type")]
    kind: u8,
    code: u8,
}

#[derive(Debug, Serialize)]
struct QuicIds {
    form: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    destination_cid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_cid: Option<String>,
}

impl Headers {
    /// Reads the headers of a frame. Any payload can be read as QUIC with a short header: `expect_quic` says that a rule did.
    pub(crate) fn read(frame: &[u8], expect_quic: bool) -> Self {
        let found = Extended::parse_slice(frame);
        let packet = Packet::parse_slice(frame, Depth::Upper);
        let fragment_offset = found.fragment.map(|it: Fragment| it.offset_bytes);
        let v4 = found
            .ipv4
            .map(|ip| (4, ip.source_addr().into(), ip.destination_addr().into()));
        let v6 = found
            .ipv6
            .map(|ip| (6, ip.source_addr().into(), ip.destination_addr().into()));
        let ip = v4.or(v6).map(|(version, source, destination)| Ip {
            version,
            source,
            destination,
            protocol: found.protocol,
            fragment_offset,
        });
        Self {
            ethernet: found.ethernet.map(|link| Link {
                source: link.source().to_string(),
                destination: link.destination().to_string(),
                ethertype: found.ethertype,
            }),
            vlan: found.vlan.iter().flatten().map(|tag| tag.id).collect(),
            ip,
            transport: transport(&found),
            icmp: found.icmp.map(|icmp| Message {
                kind: icmp.message_type(),
                code: icmp.code(),
            }),
            inner_ip: inner(&packet),
            quic: packet
                .quic()
                .and_then(|quic| QuicIds::plausible(quic, expect_quic)),
        }
    }
}

fn transport(found: &Extended<'_>) -> Option<Transport> {
    let udp = found.udp.map(|udp| Transport {
        protocol: "UDP",
        source_port: udp.source_port(),
        destination_port: udp.destination_port(),
        flags: Vec::new(),
    });
    let tcp = || {
        found.tcp.map(|tcp| Transport {
            protocol: "TCP",
            source_port: tcp.source_port(),
            destination_port: tcp.destination_port(),
            flags: FLAGS
                .iter()
                .filter(|(bit, _)| tcp.flags() & bit != 0)
                .map(|(_, name)| *name)
                .collect(),
        })
    };
    udp.or_else(tcp)
}

const FLAGS: [(u8, &str); 6] = [
    (Tcp::SYN, "SYN"),
    (Tcp::FIN, "FIN"),
    (Tcp::RST, "RST"),
    (Tcp::PSH, "PSH"),
    (Tcp::ACK, "ACK"),
    (Tcp::URG, "URG"),
];

fn inner(packet: &Packet<'_>) -> Option<Ip> {
    let v4 = packet.inner_ipv4().map(|ip: Ipv4<'_>| Ip {
        version: 4,
        source: ip.source_addr().into(),
        destination: ip.destination_addr().into(),
        protocol: Some(ip.protocol()),
        fragment_offset: None,
    });
    let v6 = || {
        packet.inner_ipv6().map(|ip| Ip {
            version: 6,
            source: ip.source_addr().into(),
            destination: ip.destination_addr().into(),
            protocol: Some(ip.next_header()),
            fragment_offset: None,
        })
    };
    v4.or_else(v6)
}

impl QuicIds {
    fn plausible(quic: Quic<'_>, expected: bool) -> Option<Self> {
        match quic {
            Quic::Long {
                version,
                destination,
                source,
            } => {
                // Version negotiation, versions 1 and 2, and the drafts that were deployed.
                let known = matches!(version, 0 | 1 | 0x6B33_43CF | 0xFF00_001D..=0xFF00_0022);
                (known || expected).then(|| Self {
                    form: "long",
                    version: Some(version),
                    destination_cid: hex(destination),
                    source_cid: Some(hex(source)),
                })
            }
            Quic::Short { destination } => expected.then(|| Self {
                form: "short",
                version: None,
                destination_cid: hex(destination),
                source_cid: None,
            }),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the headers in a few words.
impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in &self.vlan {
            write!(f, "VLAN {id}, ")?;
        }
        let Some(link) = &self.ethernet else {
            return f.write_str("no Ethernet header");
        };
        let Some(ip) = &self.ip else {
            return match ethertype_name(link.ethertype) {
                Some(name) => write!(f, "{name} {} > {}", link.source, link.destination),
                None => {
                    let (kind, source, destination) =
                        (link.ethertype, &link.source, &link.destination);
                    write!(f, "EtherType 0x{kind:04x} {source} > {destination}")
                }
            };
        };
        match (&self.transport, &self.icmp, &self.inner_ip) {
            (Some(transport), _, _) => write_transport(f, ip, transport)?,
            (None, Some(message), _) => {
                f.write_str(&message_name(ip.version, message))?;
                write!(f, " {} > {}", ip.source, ip.destination)?;
            }
            (None, None, Some(inner)) => {
                write!(f, "IPv{} in IPv{}", inner.version, ip.version)?;
                write!(f, " {} > {}", ip.source, ip.destination)?;
                let name = inner.protocol.map(protocol_name).unwrap_or_default();
                write!(f, ", inner {name} {} > {}", inner.source, inner.destination)?;
            }
            (None, None, None) => {
                let name = match ip.protocol {
                    Some(number) => protocol_name(number),
                    None => "extension headers".into(),
                };
                write!(
                    f,
                    "IPv{} {name} {} > {}",
                    ip.version, ip.source, ip.destination
                )?;
            }
        }
        match ip.fragment_offset {
            Some(0) => f.write_str(", first fragment")?,
            Some(offset) => write!(f, ", fragment at {offset}")?,
            None => {}
        }
        match &self.quic {
            Some(QuicIds {
                source_cid: Some(source),
                destination_cid,
                ..
            }) => {
                write!(f, ", QUIC long dcid {destination_cid} scid {source}")
            }
            Some(QuicIds {
                destination_cid, ..
            }) => write!(f, ", QUIC short {destination_cid}"),
            None => Ok(()),
        }
    }
}

fn write_transport(f: &mut fmt::Formatter<'_>, ip: &Ip, transport: &Transport) -> fmt::Result {
    let (from, to) = (transport.source_port, transport.destination_port);
    f.write_str(transport.protocol)?;
    match ip.version {
        4 => write!(f, " {}:{from} > {}:{to}", ip.source, ip.destination)?,
        _ => write!(f, " [{}]:{from} > [{}]:{to}", ip.source, ip.destination)?,
    }
    if !transport.flags.is_empty() {
        write!(f, " {}", transport.flags.join("+"))?;
    }
    Ok(())
}

pub(crate) const fn ethertype_name(number: u16) -> Option<&'static str> {
    Some(match number {
        0..=1500 => "IEEE 802.3",
        0x0800 => "broken IPv4",
        0x0806 => "ARP",
        0x86DD => "broken IPv6",
        0x8847 => "MPLS",
        0x8863 | 0x8864 => "PPPoE",
        0x888E => "EAPOL",
        0x88CC => "LLDP",
        0x88E5 => "MACsec",
        0x88F7 => "PTP",
        _ => return None,
    })
}

pub(crate) fn protocol_name(number: u8) -> String {
    match number {
        protocol::ICMP => "ICMP".into(),
        2 => "IGMP".into(),
        protocol::IPV4 => "IPv4".into(),
        protocol::TCP => "TCP".into(),
        protocol::UDP => "UDP".into(),
        protocol::IPV6 => "IPv6".into(),
        47 => "GRE".into(),
        50 => "ESP".into(),
        51 => "AH".into(),
        protocol::ICMPV6 => "ICMPv6".into(),
        132 => "SCTP".into(),
        number => format!("protocol {number}"),
    }
}

fn message_name(version: u8, message: &Message) -> String {
    match (version, message.kind) {
        (4, Icmp::V4_ECHO_REPLY) => "ICMP echo reply".into(),
        (4, Icmp::V4_ECHO_REQUEST) => "ICMP echo request".into(),
        (4, 3) => "ICMP unreachable".into(),
        (4, kind) => format!("ICMP type {kind}"),
        (_, Icmp::V6_ECHO_REPLY) => "ICMPv6 echo reply".into(),
        (_, Icmp::V6_ECHO_REQUEST) => "ICMPv6 echo request".into(),
        (_, 1) => "ICMPv6 unreachable".into(),
        (_, 133..=137) => "ICMPv6 neighbour discovery".into(),
        (_, kind) => format!("ICMPv6 type {kind}"),
    }
}

/// Returns what rules see differently from what the headers say, and why.
pub(super) fn notes(frame: &[u8], wire_size: u32) -> Vec<String> {
    let facts = Packet::parse_slice(frame, Depth::Upper).facts();
    let found = Extended::parse_slice(frame);
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: &str| {
        if applies {
            notes.push(text.to_owned());
        }
    };
    note(
        frame.len() < Ethernet::SIZE,
        "too short for Ethernet: only rules that match all see it",
    );
    note(
        facts.contains(Facts::VLAN),
        "rules do not look behind VLAN tags",
    );
    note(
        facts.contains(Facts::IPV4_OPTIONS),
        "rules do not look at IPv4 with options",
    );
    note(
        facts.contains(Facts::IPV6_EXTENSION),
        "rules do not look behind IPv6 extension headers",
    );
    let later = found
        .fragment
        .is_some_and(|fragment| fragment.offset_bytes != 0);
    let ports = facts.intersects(Facts::UDP | Facts::TCP);
    note(
        later && ports,
        "rules take the start of this fragment for a UDP or TCP header",
    );
    if frame.len() < wire_size as usize {
        let size = frame.len();
        notes.push(format!(
            "{size} of {wire_size} bytes were captured: rules may see more"
        ));
    }
    notes
}

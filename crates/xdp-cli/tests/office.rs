//! The bundled captures are what the frame builder makes; `XDP_BLESS=1` writes them anew.

use pcap_file::pcap::{PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use xdp_packet::{FrameBuilder, Icmp, Ipv4Header, Tcp, VlanTag};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const SERVER_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 1, 0, 0, 0, 0, 1);
const CLIENT_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 2, 0, 0, 0, 0, 0x10);
/// Least size of a frame without its check sequence.
const LEAST: usize = 60;

fn to_server() -> FrameBuilder {
    FrameBuilder::new().ipv4(CLIENT, SERVER)
}

fn to_server_6() -> FrameBuilder {
    FrameBuilder::new().ipv6(CLIENT_6, SERVER_6)
}

fn frames() -> Vec<Vec<u8>> {
    let arp = [
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 10, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1,
    ];
    let get = b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n";
    let later = Ipv4Header {
        dont_fragment: false,
        fragment_offset_bytes: 1480,
        ..Ipv4Header::new(CLIENT, SERVER)
    };
    let initial = to_server()
        .udp(50_001, 443)
        .quic_long(1, &[0x83; 8], &[0xC1, 0xD2, 0xE3, 0xF4]);
    let initial_6 = to_server_6()
        .udp(50_002, 443)
        .quic_long(1, &[0x84; 8], &[0xB0, 0xB1]);
    let established = to_server()
        .udp(50_001, 443)
        .quic_short(&[0x5E, 0xED, 0, 0, 0, 0, 0, 7]);
    let tunnelled = FrameBuilder::new()
        .ipv4(Ipv4Addr::new(198, 51, 100, 7), SERVER)
        .ipv4(Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 1, 2, 3))
        .udp(6000, 6001);
    vec![
        FrameBuilder::new()
            .ethertype(0x0806)
            .payload(&arp)
            .finish_padded(LEAST),
        to_server().udp(40_000, 53).payload(&[0xAB; 33]).finish(),
        to_server_6().udp(40_001, 53).payload(&[0xAB; 33]).finish(),
        to_server().tcp(51_000, 80, Tcp::SYN).finish_padded(LEAST),
        to_server()
            .tcp(51_000, 80, Tcp::ACK | Tcp::PSH)
            .payload(get)
            .finish(),
        initial.payload(&[0x77; 1200]).finish(),
        initial_6.payload(&[0x77; 1200]).finish(),
        established.payload(&[0x99; 120]).finish(),
        to_server().tcp(51_002, 23, Tcp::SYN).finish_padded(LEAST),
        to_server().tcp(51_002, 23, Tcp::ACK).finish_padded(LEAST),
        to_server()
            .icmpv4_echo_reply(7, 1)
            .payload(&[0x61; 32])
            .finish(),
        to_server()
            .icmpv4(Icmp::V4_ECHO_REQUEST, 0, &[0, 7, 0, 1])
            .payload(&[0x61; 32])
            .finish(),
        tunnelled.payload(&[0x42; 20]).finish(),
        FrameBuilder::new()
            .vlan(VlanTag::new(42))
            .ipv4(CLIENT, SERVER)
            .udp(40_002, 53)
            .finish_padded(LEAST),
        FrameBuilder::new()
            .ipv4_with(later, &[])
            .protocol(17)
            .payload(&[0x35; 64])
            .finish(),
        to_server_6()
            .ipv6_extension(0, &[0, 1, 4, 0, 0, 0, 0])
            .udp(40_003, 53)
            .finish_padded(LEAST),
        vec![0xFF; 9],
    ]
}

fn time(index: usize) -> Duration {
    Duration::new(1_763_800_000, 125_000_000) + Duration::from_micros(1_370) * index as u32
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for (index, frame) in frames.iter().enumerate() {
        let packet = PcapPacket::new(time(index), frame.len() as u32, frame);
        writer.write_packet(&packet).unwrap();
    }
    writer.into_writer()
}

/// Two interfaces, of which the second is not Ethernet; a packet cut by the snap length; a packet without a time.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
    let interface = |linktype, name: &'static str| InterfaceDescriptionBlock {
        linktype,
        snaplen: 64,
        options: vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
            InterfaceDescriptionOption::IfTsResol(9),
        ],
    };
    writer
        .write_pcapng_block(interface(pcap_file::DataLink::ETHERNET, "Ethernet 2"))
        .unwrap();
    writer
        .write_pcapng_block(interface(pcap_file::DataLink::RAW, "tun0"))
        .unwrap();
    for (index, interface_id) in [(1, 0), (3, 1), (5, 0)] {
        let frame: &Vec<u8> = &frames[index];
        let bytes = if interface_id == 0 {
            &frame[..]
        } else {
            &frame[14..]
        };
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: time(index),
            original_len: bytes.len() as u32,
            data: Cow::Borrowed(&bytes[..bytes.len().min(64)]),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).unwrap();
    }
    let block = SimplePacketBlock {
        original_len: 60,
        data: Cow::Borrowed(&frames[0]),
    };
    writer.write_pcapng_block(block).unwrap();
    writer.into_inner()
}

#[test]
fn the_bundled_captures_are_what_the_builder_makes() {
    let frames = frames();
    let whole = pcap(&frames);
    let cut = whole[..whole.len() - 5 - 16 - 9].to_vec();
    for (name, bytes) in [
        ("office.pcap", whole),
        ("office.pcapng", pcapng(&frames)),
        ("cut.pcap", cut),
    ] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name);
        if std::env::var_os("XDP_BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap() == bytes,
            "{name} differs: XDP_BLESS=1 writes it anew"
        );
    }
}

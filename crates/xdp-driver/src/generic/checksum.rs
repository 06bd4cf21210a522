//! What a socket wants the network card to compute.

use nt::ndis::Packet;
use nt::sys::TcpIpChecksumNetBufferListInfo;
use xdp_abi::frame::{
    FrameChecksum, FrameLayout, Layer2Type, Layer3Type, Layer4Type, TxChecksumAction,
};

const ETHERNET_HEADER: usize = 14;

// Bits of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO for sending.
const IS_IPV4: usize = 1;
const IS_IPV6: usize = 1 << 1;
const TCP_CHECKSUM: usize = 1 << 2;
const UDP_CHECKSUM: usize = 1 << 3;
const IP_HEADER_CHECKSUM: usize = 1 << 4;
const TCP_HEADER_OFFSET: u32 = 16;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Tells the network card which checksums to compute. What makes no sense for the frame is not asked for, and `false`.
pub(crate) fn request(packet: &mut Packet, wish: Option<(FrameChecksum, FrameLayout)>) -> bool {
    // Packets come without information.
    let Some((actions, layout)) = wish else {
        return true;
    };
    let frame = packet.data();
    let information = information(frame, actions, layout);
    packet.set_info(TcpIpChecksumNetBufferListInfo, information.unwrap_or(0));
    information.is_some()
}

fn information(frame: &[u8], actions: FrameChecksum, layout: FrameLayout) -> Option<usize> {
    let layer3 = actions.layer3() == TxChecksumAction::REQUIRED.0;
    let layer4 = actions.layer4() == TxChecksumAction::REQUIRED.0;
    if !layer3 && !layer4 {
        return Some(0);
    }
    if layout.layer2_type() != Layer2Type::ETHERNET
        || usize::from(layout.layer2_header_length()) != ETHERNET_HEADER
    {
        return None;
    }
    let ip = frame.get(ETHERNET_HEADER..)?;
    let (family, protocol, header) = match layout.layer3_type() {
        Layer3Type::IPV4_UNSPECIFIED_OPTIONS
        | Layer3Type::IPV4_WITH_OPTIONS
        | Layer3Type::IPV4_NO_OPTIONS => ipv4(ip)?,
        Layer3Type::IPV6_NO_EXTENSIONS => ipv6(ip)?,
        _ => return None,
    };
    if usize::from(layout.layer3_header_length()) != header {
        return None;
    }
    let mut bits = family;
    if layer3 {
        if family != IS_IPV4 {
            return None;
        }
        bits |= IP_HEADER_CHECKSUM;
    }
    if layer4 {
        let offset = ETHERNET_HEADER + header;
        let segment = ip.get(header..)?;
        bits |= match layout.layer4_type() {
            Layer4Type::TCP if protocol == TCP => {
                tcp(segment)?;
                TCP_CHECKSUM | offset << TCP_HEADER_OFFSET
            }
            Layer4Type::UDP if protocol == UDP => {
                udp(segment)?;
                UDP_CHECKSUM
            }
            _ => return None,
        };
    }
    Some(bits)
}

/// The family's bit, the protocol and the header's length.
fn ipv4(packet: &[u8]) -> Option<(usize, u8, usize)> {
    let head = packet.first_chunk::<20>()?;
    let [first, ..] = *head;
    let header = usize::from(first & 0xf) * 4;
    let [.., protocol, _, _, _, _, _, _, _, _, _, _] = *head;
    (first >> 4 == 4 && header >= 20 && header <= packet.len())
        .then_some((IS_IPV4, protocol, header))
}

/// As [`ipv4`], for a header without extensions.
fn ipv6(packet: &[u8]) -> Option<(usize, u8, usize)> {
    let [first, _, _, _, _, _, next, ..] = *packet.first_chunk::<40>()?;
    (first >> 4 == 6).then_some((IS_IPV6, next, 40))
}

fn tcp(segment: &[u8]) -> Option<()> {
    let [_, _, _, _, _, _, _, _, _, _, _, _, offset, ..] = *segment.first_chunk::<20>()?;
    let header = usize::from(offset >> 4) * 4;
    (header >= 20 && header <= segment.len()).then_some(())
}

fn udp(segment: &[u8]) -> Option<()> {
    let [_, _, _, _, high, low, _, _] = *segment.first_chunk::<8>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (length >= 8 && length <= segment.len()).then_some(())
}

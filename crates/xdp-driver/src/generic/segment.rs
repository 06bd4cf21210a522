//! Sending back frames that the network card has put together of several TCP segments: they are too long for the wire, so
//! they are cut again, by the card where it can.

use core::num::NonZeroUsize;

use nt::ndis::{Nbl, NetBuffer, Packet};
use nt::sys::{TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo};
use xdp_packet::checksum::{Checksum, checksum};

use super::TaskOffload;
use super::forward::{ADDRESS, ADDRESSES, Outgoing};
use crate::counters::count;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP: usize = 20;

const IPV4_TYPE: [u8; 2] = [0x08, 0x00];
const IPV6_TYPE: [u8; 2] = [0x86, 0xdd];
const TCP_PROTOCOL: u8 = 6;
/// TCP flags that belong to the last byte.
const FIN_PSH: u8 = 0x01 | 0x08;

// Bits of NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO for sending.
const IS_IPV4: usize = 1;
const IS_IPV6: usize = 1 << 1;
const TCP_CHECKSUM: usize = 1 << 2;
const IP_HEADER_CHECKSUM: usize = 1 << 4;
const TCP_HEADER_OFFSET: u32 = 16;

// Bits of NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO for the second version.
const LSO_TCP_HEADER_OFFSET: u32 = 20;
const LSO_V2: usize = 1 << 30;
const LSO_IPV6: usize = 1 << 31;

/// A frame of several segments.
struct Coalesced<'a> {
    buffer: NetBuffer<'a>,
    /// All headers.
    headers: &'a [u8],
    is_ipv4: bool,
    /// Where the TCP header is.
    tcp: usize,
    /// Bytes of TCP payload.
    payload: usize,
    segments: usize,
    /// Payload of a segment.
    mss: NonZeroUsize,
    hash: u32,
}

/// A part of the payload that is sent as one frame.
struct Part {
    start: usize,
    len: usize,
    /// Segments before it.
    before: usize,
    /// Whether the network card is to cut it.
    is_large: bool,
    is_last: bool,
}

/// Adds the frames of a list of which the network card says that it has put them together.
pub(super) fn add(outgoing: &mut Outgoing<'_>, list: &Nbl) {
    let max_frame = outgoing.interface().max_frame() as usize;
    let offload = outgoing.interface().task_offload.lock().unwrap_or_default();
    for buffer in list.buffers() {
        match Coalesced::parse(list, buffer, max_frame) {
            Some(frame) => frame.forward(outgoing, offload),
            None => {
                let counters = outgoing.counters();
                count(counters.forward_requested(), 1);
                count(counters.forward_rsc_invalid(), 1);
            }
        }
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk().copied()?;
    Some(u16::from_be_bytes(bytes))
}

fn put<const SIZE: usize>(bytes: &mut [u8], at: usize, value: [u8; SIZE]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

impl<'a> Coalesced<'a> {
    /// Looks at the headers as they are now: a program may have changed them. `None` when they make no sense, or do not lie
    /// in the frame's first piece.
    fn parse(list: &Nbl, buffer: NetBuffer<'a>, max_frame: usize) -> Option<Self> {
        let first = buffer.first_segment()?;
        let ethertype = *first.get(ETHERNET - 2..)?.first_chunk::<2>()?;
        let (is_ipv4, ip) = match ethertype {
            IPV4_TYPE => (true, IPV4),
            IPV6_TYPE => (false, IPV6),
            _ => return None,
        };
        let tcp = ETHERNET + ip;
        let tcp_header = first.get(tcp..)?.first_chunk::<TCP>()?;
        let ip_payload = if is_ipv4 {
            usize::from(half(first, ETHERNET + 2)?).checked_sub(IPV4)?
        } else {
            usize::from(half(first, ETHERNET + 4)?)
        };
        if tcp + ip_payload > buffer.len() {
            return None;
        }
        let [_, _, _, _, _, _, _, _, _, _, _, _, words, ..] = *tcp_header;
        let tcp_len = usize::from(words >> 4) * 4;
        let payload = ip_payload.checked_sub(tcp_len)?;
        let headers = first.get(..tcp + tcp_len)?;
        let segments = NonZeroUsize::new(list.coalesced_segments().into())?;
        let counted = payload.max(1);
        if tcp_len < TCP || counted < segments.get() {
            return None;
        }
        let room = max_frame.checked_sub(headers.len())?;
        let share = (counted + segments.get() - 1) / segments;
        Some(Self {
            buffer,
            headers,
            is_ipv4,
            tcp,
            payload,
            segments: segments.get(),
            mss: NonZeroUsize::new(room.min(share))?,
            hash: list.hash_value(),
        })
    }

    /// Sends the frame back in parts that the network card takes. What was produced before a part for which there is no
    /// packet goes out.
    fn forward(&self, outgoing: &mut Outgoing<'_>, offload: TaskOffload) {
        let (largest, fewest) = (offload.lso_max as usize, offload.lso_min as usize);
        let cuts = (self.payload + self.segments - 1) / self.mss;
        if largest != 0 && self.payload <= largest && cuts >= fewest {
            let whole = Part {
                start: 0,
                len: self.payload,
                before: 0,
                is_large: true,
                is_last: true,
            };
            self.push(outgoing, &whole, offload);
            return;
        }
        let mss = self.mss.get();
        // Payload from which on the network card cuts.
        let smallest = fewest.saturating_sub(1).saturating_mul(mss) + 1;
        let (mut start, mut before) = (0, 0);
        loop {
            let rest = self.payload - start;
            let large = match rest {
                _ if smallest > largest || rest < smallest => 0,
                _ if rest <= largest => rest,
                _ => largest / self.mss * mss,
            };
            let len = if large == 0 { rest.min(mss) } else { large };
            let part = Part {
                start,
                len,
                before,
                is_large: large != 0,
                is_last: len == rest,
            };
            if !self.push(outgoing, &part, offload) || part.is_last {
                return;
            }
            start += len;
            before += (len + mss - 1) / self.mss;
        }
    }

    fn push(&self, outgoing: &mut Outgoing<'_>, part: &Part, offload: TaskOffload) -> bool {
        let headers = self.headers.len();
        outgoing.push(headers + part.len, self.hash, |packet| {
            let bytes = packet.buffer_mut().get_mut(..headers + part.len);
            if let Some((head, payload)) = bytes.and_then(|all| all.split_at_mut_checked(headers)) {
                self.buffer.read(headers + part.start, payload);
                head.copy_from_slice(self.headers);
                self.rewrite(head, payload, part, offload.checksums);
            }
            self.instruct(packet, part, offload.checksums);
        })
    }

    /// Makes the headers those of a part.
    fn rewrite(&self, head: &mut [u8], payload: &[u8], part: &Part, card_sums: bool) {
        if let Some(addresses) = head.get_mut(..ADDRESSES) {
            addresses.rotate_left(ADDRESS);
        }
        let tcp = self.tcp;
        let sequence = head.get(tcp + 4..).and_then(<[u8]>::first_chunk).copied();
        let sequence = u32::from_be_bytes(sequence.unwrap_or_default());
        put(
            head,
            tcp + 4,
            sequence.wrapping_add(part.start as u32).to_be_bytes(),
        );
        if let Some(flags) = head.get_mut(tcp + 13)
            && !part.is_last
        {
            *flags &= !FIN_PSH;
        }
        // The network card fills in the lengths of what it cuts.
        let segment = match part.is_large {
            true => 0,
            false => self.headers.len() - tcp + part.len,
        };
        if self.is_ipv4 {
            let total = match part.is_large {
                true => 0,
                false => IPV4 + segment,
            };
            put(head, ETHERNET + 2, (total as u16).to_be_bytes());
            let identification = half(head, ETHERNET + 4).unwrap_or(0);
            let identification = identification.wrapping_add(part.before as u16);
            put(head, ETHERNET + 4, identification.to_be_bytes());
            put(head, ETHERNET + 10, [0; 2]);
            if !part.is_large && !card_sums {
                let header = head.get(ETHERNET..tcp).unwrap_or_default();
                let sum = checksum(header);
                put(head, ETHERNET + 10, sum.to_be_bytes());
            }
        } else {
            put(head, ETHERNET + 4, (segment as u16).to_be_bytes());
        }
        let mut sum = self.pseudo_header(segment as u32);
        if part.is_large || card_sums {
            // Not complemented: the network card goes on with it.
            put(head, tcp + 16, (!sum.finish()).to_be_bytes());
        } else {
            put(head, tcp + 16, [0; 2]);
            sum.add(head.get(tcp..).unwrap_or_default());
            sum.add(payload);
            put(head, tcp + 16, sum.finish().to_be_bytes());
        }
    }

    fn pseudo_header(&self, len: u32) -> Checksum {
        let addresses = if self.is_ipv4 {
            let both = self.headers.get(ETHERNET + 12..);
            let both = both.and_then(<[u8]>::first_chunk::<8>);
            both.map(|&[a, b, c, d, e, f, g, h]| {
                Checksum::pseudo_ipv4([a, b, c, d], [e, f, g, h], TCP_PROTOCOL, len)
            })
        } else {
            let address = |at: usize| self.headers.get(at..)?.first_chunk::<16>().copied();
            address(ETHERNET + 8)
                .zip(address(ETHERNET + 24))
                .map(|(from, to)| Checksum::pseudo_ipv6(from, to, TCP_PROTOCOL, len))
        };
        addresses.unwrap_or_default()
    }

    /// Tells the network card what is left to do for a part.
    fn instruct(&self, packet: &mut Packet, part: &Part, card_sums: bool) {
        if part.is_large {
            let family = if self.is_ipv4 { 0 } else { LSO_IPV6 };
            let large = self.mss.get() | self.tcp << LSO_TCP_HEADER_OFFSET | LSO_V2 | family;
            packet.set_info(TcpLargeSendNetBufferListInfo, large);
        } else if card_sums {
            let ip = if self.is_ipv4 {
                IS_IPV4 | IP_HEADER_CHECKSUM
            } else {
                IS_IPV6
            };
            let sums = ip | TCP_CHECKSUM | self.tcp << TCP_HEADER_OFFSET;
            packet.set_info(TcpIpChecksumNetBufferListInfo, sums);
        }
    }
}

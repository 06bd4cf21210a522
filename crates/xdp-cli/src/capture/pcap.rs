//! The older format: one header, then packets.

use super::{Captured, Input, LinkType, MAX_PACKET, Order, Problem};
use std::io::Read;
use std::time::Duration;

pub(super) struct Header {
    order: Order,
    nanoseconds: bool,
    link_type: LinkType,
}

impl Header {
    pub(super) fn open<R: Read>(magic: [u8; 4], input: &mut Input<R>) -> Result<Self, Problem> {
        let (order, nanoseconds) = match magic {
            [0xD4, 0xC3, 0xB2, 0xA1] => (Order::Little, false),
            [0xA1, 0xB2, 0xC3, 0xD4] => (Order::Big, false),
            [0x4D, 0x3C, 0xB2, 0xA1] => (Order::Little, true),
            [0xA1, 0xB2, 0x3C, 0x4D] => (Order::Big, true),
            _ => return Err(Problem::File("this is neither pcap nor pcapng".into())),
        };
        let rest = input.need::<20>("the file header")?;
        let [a, b, c, d] = *rest.last_chunk().unwrap_or(&[0; 4]);
        // The upper half says whether frames keep their check sequence.
        let link_type = LinkType(order.u32([a, b, c, d]) as u16);
        Ok(Self {
            order,
            nanoseconds,
            link_type,
        })
    }

    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Result<Option<Captured>, Problem> {
        let start = input.at;
        let Some(header) = input.take::<16>("a packet header")? else {
            return Ok(None);
        };
        let Some(([seconds, fraction, size, wire_size], _)) = self.order.words::<4>(&header) else {
            return Ok(None);
        };
        if size > MAX_PACKET {
            return Err(Problem::File(format!(
                "the file is damaged at byte {start}: a packet of {size} bytes cannot be"
            )));
        }
        let scale = if self.nanoseconds { 1 } else { 1000 };
        let nanoseconds = fraction.saturating_mul(scale).min(999_999_999);
        Ok(Some(Captured {
            time: Some(Duration::new(seconds.into(), nanoseconds)),
            link_type: self.link_type,
            wire_size: wire_size.max(size),
            bytes: input.bytes(size as usize, "the packet")?,
        }))
    }
}

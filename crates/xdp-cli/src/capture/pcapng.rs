//! The newer format: blocks in sections, each with interfaces of its own.

use super::{Captured, Input, LinkType, MAX_PACKET, Order, Problem};
use std::io::Read;
use std::time::Duration;

/// The type of a section header block, the same in either byte order.
pub(super) const SECTION: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];

const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The longest block that is believed: the longest packet with many options.
const MAX_BLOCK: u32 = 2 * MAX_PACKET;
/// More interfaces than any machine has; each costs memory.
const MAX_INTERFACES: usize = 65_536;

struct Interface {
    link_type: LinkType,
    snap_size: u32,
    /// Time stamps a second.
    ticks: u64,
}

pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

impl Section {
    /// Reads a section header of which the type has been read.
    pub(super) fn open<R: Read>(input: &mut Input<R>) -> Result<Self, Problem> {
        let start = input.at.saturating_sub(4);
        let header = input.need::<8>("a section header")?;
        let order = match header {
            [.., 0x4D, 0x3C, 0x2B, 0x1A] => Order::Little,
            [.., 0x1A, 0x2B, 0x3C, 0x4D] => Order::Big,
            _ => {
                return Err(Problem::File(format!(
                    "the file is damaged at byte {start}: no byte order in the section header"
                )));
            }
        };
        let [a, b, c, d, ..] = header;
        let size = block_size(order.u32([a, b, c, d]), 28, start)?;
        input.bytes(size - 12, "a section header")?;
        Ok(Self {
            order,
            interfaces: Vec::new(),
        })
    }

    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Result<Option<Captured>, Problem> {
        loop {
            let start = input.at;
            let Some(kind) = input.take::<4>("a block header")? else {
                return Ok(None);
            };
            if kind == SECTION {
                *self = Self::open(input)?;
                continue;
            }
            let size = self.order.u32(input.need("a block header")?);
            let size = block_size(size, 12, start)?;
            let kind = self.order.u32(kind);
            let what = match kind {
                ENHANCED_PACKET | SIMPLE_PACKET => "the packet",
                _ => "a block",
            };
            let body = input.bytes(size - 12, what)?;
            input.need::<4>(what)?;
            match kind {
                INTERFACE => self.interface(&body, start)?,
                ENHANCED_PACKET => return self.enhanced(&body).map(Some),
                SIMPLE_PACKET => return self.simple(&body).map(Some),
                _ => {}
            }
        }
    }

    fn interface(&mut self, body: &[u8], start: u64) -> Result<(), Problem> {
        let damaged = || {
            Problem::File(format!(
                "the file is damaged at byte {start}: an interface of no size"
            ))
        };
        let ([kind, snap_size], options) = self.order.words(body).ok_or_else(damaged)?;
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Problem::File(
                "the file has more than 65,536 interfaces".into(),
            ));
        }
        let kind = match self.order {
            Order::Little => kind as u16,
            Order::Big => (kind >> 16) as u16,
        };
        let ticks = self.resolution(options);
        self.interfaces.push(Interface {
            link_type: LinkType(kind),
            snap_size,
            ticks,
        });
        Ok(())
    }

    /// Returns the time stamps a second that an interface's options state.
    fn resolution(&self, mut options: &[u8]) -> u64 {
        const RESOLUTION: u16 = 9;
        while let Some((&[a, b, c, d], rest)) = options.split_first_chunk() {
            let size = usize::from(self.order.u16([c, d]));
            match (self.order.u16([a, b]), rest.first()) {
                (0, _) => break,
                (RESOLUTION, Some(&power)) if size == 1 => {
                    let (base, power) = if power & 0x80 == 0 {
                        (10u64, power)
                    } else {
                        (2, power & 0x7F)
                    };
                    return base.checked_pow(power.into()).unwrap_or(u64::MAX);
                }
                _ => {}
            }
            options = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
        1_000_000
    }

    fn enhanced(&self, body: &[u8]) -> Result<Captured, Problem> {
        let short = || Problem::Packet("its block is too short".into());
        let ([index, high, low, size, wire_size], data) =
            self.order.words(body).ok_or_else(short)?;
        let interface = usize::try_from(index)
            .ok()
            .and_then(|index| self.interfaces.get(index))
            .ok_or_else(|| {
                Problem::Packet(format!(
                    "it names interface {index}, which the file does not have"
                ))
            })?;
        let bytes = data.get(..size as usize).ok_or_else(|| {
            Problem::Packet(format!(
                "it says {size} bytes, and its block has {}",
                data.len()
            ))
        })?;
        let stamp = u64::from(high) << 32 | u64::from(low);
        let nanoseconds =
            u128::from(stamp % interface.ticks) * 1_000_000_000 / u128::from(interface.ticks);
        Ok(Captured {
            time: Some(Duration::new(stamp / interface.ticks, nanoseconds as u32)),
            link_type: interface.link_type,
            wire_size: wire_size.max(size),
            bytes: bytes.to_vec(),
        })
    }

    fn simple(&self, body: &[u8]) -> Result<Captured, Problem> {
        let short = || Problem::Packet("its block is too short".into());
        let ([wire_size], data) = self.order.words(body).ok_or_else(short)?;
        let interface = self.interfaces.first().ok_or_else(|| {
            Problem::Packet("it belongs to the first interface, and the file has none".into())
        })?;
        let limit = if interface.snap_size == 0 {
            u32::MAX
        } else {
            interface.snap_size
        };
        let size = wire_size.min(limit) as usize;
        // A block is padded to a multiple of four bytes, a packet that fills it is not.
        let bytes = data.get(..size).ok_or_else(|| {
            Problem::Packet(format!(
                "it says {size} bytes, and its block has {}",
                data.len()
            ))
        })?;
        Ok(Captured {
            time: None,
            link_type: interface.link_type,
            wire_size,
            bytes: bytes.to_vec(),
        })
    }
}

fn block_size(size: u32, least: u32, start: u64) -> Result<usize, Problem> {
    if size < least || size > MAX_BLOCK || !size.is_multiple_of(4) {
        return Err(Problem::File(format!(
            "the file is damaged at byte {start}: a block of {size} bytes cannot be"
        )));
    }
    Ok(size as usize)
}

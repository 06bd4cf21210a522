//! QUIC connection IDs: a tuple space whose groups are the offset and length that rules compare.

use crate::NONE;
use crate::groups::Groups;
use crate::pattern::{CidSlice, Flow};
use crate::store::{OutOfMemory, Pool, Store};
use crate::table::Table;

/// Offset and end of the bytes that are compared.
type Part = [u8; 2];

/// Port, part, and the bytes followed by zeros.
type Key = [u32; 6];

pub(crate) struct Cids<S: Store> {
    /// How many rules name a port: most packets are of no interest here, and end at this.
    ports: Table<u16, S>,
    pub(crate) groups: Groups<Part, S>,
    pub(crate) table: Table<Key, S>,
}

impl<S: Store> Cids<S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            ports: Table::new(pool, seed),
            groups: Groups::new(pool),
            table: Table::new(pool, seed),
        }
    }

    /// Returns the earliest rule for a packet with this port and connection ID if it is earlier than `best`.
    #[inline]
    pub(crate) fn find(&self, port: u16, cid: &[u8], mut best: u32) -> u32 {
        if self.ports.find(&port) == NONE {
            return best;
        }
        let bytes = Bytes::load(cid);
        for group in self.groups.iter() {
            if group.head >= best {
                break;
            }
            let [_, end] = group.part;
            if usize::from(end) <= cid.len() {
                best = best.min(self.table.find(&bytes.key(port, group.part)));
            }
        }
        best
    }

    pub(crate) fn reserve_one(&mut self, pool: &mut Pool<S>) -> Result<(), OutOfMemory> {
        self.ports.reserve_one(pool)?;
        self.groups.reserve_one(pool)?;
        self.table.reserve_one(pool)
    }

    /// Notes one rule more for a port.
    pub(crate) fn add_port(&mut self, port: u16) {
        match self.ports.find(&port) {
            NONE => self.ports.insert(port, 1),
            count => self.ports.replace(&port, count.wrapping_add(1)),
        }
    }

    /// Notes one rule less for a port.
    pub(crate) fn remove_port(&mut self, port: u16) {
        match self.ports.find(&port) {
            NONE => {}
            1 => self.ports.remove(&port),
            count => self.ports.replace(&port, count.wrapping_sub(1)),
        }
    }
}

/// Returns where the rules for a flow are found.
pub(crate) fn place(flow: &Flow) -> (Part, Key) {
    let part = [flow.cid.offset(), flow.cid.end()];
    let [offset, end] = part;
    // The rule's bytes lie at its offset of a connection ID: as if from a packet that has just those.
    let unshifted = Bytes::load(flow.cid.padded());
    (
        part,
        unshifted.key_with(flow.port, [0, end.wrapping_sub(offset)], part),
    )
}

/// The first twenty bytes of a connection ID, zeros behind its end; first byte lowest.
#[derive(Clone, Copy)]
struct Bytes {
    low: u128,
    high: u32,
}

impl Bytes {
    /// Reads up to twenty bytes with two loads that overlap where there are fewer.
    #[inline]
    fn load(cid: &[u8]) -> Self {
        let bits = |bytes: usize| (bytes as u32).wrapping_mul(8);
        let count = cid.len().min(CidSlice::MAX);
        let cid = cid.get(..count).unwrap_or(cid);
        if let (Some(first), Some(last)) = (cid.first_chunk::<16>(), cid.last_chunk::<4>()) {
            let behind = bits(CidSlice::MAX.wrapping_sub(count));
            return Self {
                low: u128::from_le_bytes(*first),
                high: u32::from_le_bytes(*last).unbounded_shr(behind),
            };
        }
        let low = if let (Some(first), Some(last)) = (cid.first_chunk(), cid.last_chunk()) {
            let shift = bits(count.wrapping_sub(8));
            u128::from(u64::from_le_bytes(*first))
                | u128::from(u64::from_le_bytes(*last)).unbounded_shl(shift)
        } else if let (Some(first), Some(last)) = (cid.first_chunk(), cid.last_chunk()) {
            let shift = bits(count.wrapping_sub(4));
            u128::from(u32::from_le_bytes(*first))
                | u128::from(u32::from_le_bytes(*last)).unbounded_shl(shift)
        } else {
            cid.iter()
                .rev()
                .fold(0, |bytes, &byte| bytes << 8 | u128::from(byte))
        };
        Self { low, high: 0 }
    }

    #[inline]
    fn key(self, port: u16, part: Part) -> Key {
        self.key_with(port, part, part)
    }

    /// Cuts out the bytes of `cut`, and makes them a key of the group of `part`.
    #[inline]
    fn key_with(self, port: u16, [offset, end]: Part, part: Part) -> Key {
        let start = u32::from(offset).wrapping_mul(8);
        let size = u32::from(end.wrapping_sub(offset)).wrapping_mul(8);
        let mut low = self.low;
        let mut high = self.high;
        if start > 0 {
            let into_low = if start >= 128 {
                u128::from(high) >> (start & 31)
            } else {
                u128::from(high).unbounded_shl(128u32.wrapping_sub(start))
            };
            low = low.unbounded_shr(start) | into_low;
            high = high.unbounded_shr(start);
        }
        low &= !u128::MAX.unbounded_shl(size);
        high &= !u32::MAX.unbounded_shl(size.saturating_sub(128));
        let [group_offset, group_end] = part;
        let head = u32::from(port) | u32::from(group_offset) << 16 | u32::from(group_end) << 24;
        [
            head,
            low as u32,
            (low >> 32) as u32,
            (low >> 64) as u32,
            (low >> 96) as u32,
            high,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by bytes.
    fn expected(port: u16, cid: &[u8], [offset, end]: Part) -> Key {
        let mut bytes = [0u8; 20];
        let cut = &cid[usize::from(offset)..usize::from(end)];
        bytes[..cut.len()].copy_from_slice(cut);
        let head = u32::from(port) | u32::from(offset) << 16 | u32::from(end) << 24;
        let mut key = [head; 6];
        for (word, bytes) in key[1..].iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        }
        key
    }

    #[test]
    fn every_part_of_every_length_is_cut_out() {
        let all: Vec<u8> = (1..=40).collect();
        for length in 0..=40 {
            let cid = &all[..length];
            let most = length.min(20) as u8;
            for offset in 0..=most {
                for end in offset..=most {
                    let part = [offset, end];
                    let key = Bytes::load(cid).key(443, part);
                    assert_eq!(key, expected(443, cid, part), "{length} {part:?}");
                    let cut = &cid[usize::from(offset)..usize::from(end)];
                    let cid = CidSlice::new(offset, cut).expect("within 20 bytes");
                    assert_eq!(place(&Flow { port: 443, cid }), (part, key));
                }
            }
        }
    }
}

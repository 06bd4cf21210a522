//! QUIC connection IDs: a tuple space whose groups are the offset and length that rules compare.

use crate::NONE;
use crate::groups::Groups;
use crate::hash::{Key, ODD, fold};
use crate::pattern::{CidSlice, Flow};
use crate::store::{OutOfMemory, Pool, Store};
use crate::table::Table;

/// The bytes that a group of rules compares.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    offset: u8,
    /// How long a connection ID must be at least.
    end: u8,
    /// Whether the first eight bytes of a connection ID hold it all, at its start.
    is_short: bool,
    mask: Bytes,
}

impl Part {
    fn of(cid: &CidSlice) -> Self {
        let (offset, end) = (cid.offset(), cid.end());
        let ones = [u8::MAX; CidSlice::MAX];
        let length = usize::from(end.wrapping_sub(offset));
        Self {
            offset,
            end,
            is_short: offset == 0 && end <= 8,
            mask: Bytes::load(ones.get(..length).unwrap_or(&ones)),
        }
    }

    #[inline]
    fn head(&self, port: u16) -> u32 {
        u32::from(port) | u32::from(self.offset) << 16 | u32::from(self.end) << 24
    }

    /// Returns the key of a connection ID with these first eight bytes.
    #[inline]
    fn short(&self, port: u16, start: u64) -> ShortKey {
        ShortKey {
            bytes: start & self.mask.low,
            head: self.head(port),
        }
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        (self.offset, self.end) == (other.offset, other.end)
    }
}

impl Eq for Part {}

/// A part of at most eight bytes at the start: the bytes followed by zeros, the port and the part. Packed, so that a rule's
/// number fits behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, packed(4))]
pub(crate) struct ShortKey {
    bytes: u64,
    head: u32,
}

impl Key for ShortKey {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        fold(self.bytes ^ seed, u64::from(self.head) ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        (self.bytes ^ other.bytes) | u64::from(self.head ^ other.head) == 0
    }
}

/// Any other part: the bytes followed by zeros; the last word has the last four of them, the port and the part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, packed(4))]
pub(crate) struct LongKey([u64; 3]);

impl Key for LongKey {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let [low, middle, rest] = self.0;
        fold(fold(low ^ seed, middle ^ ODD), rest ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        (a ^ d) | (b ^ e) | (c ^ f) == 0
    }
}

/// Where the rules for a flow are found.
pub(crate) enum CidKey {
    Short(ShortKey),
    Long(LongKey),
}

pub(crate) struct Cids<S: Store> {
    /// How many rules name a port.
    ports: Table<u16, S>,
    /// A bit for the low bits of each of these ports: most packets are of no interest here, and end at this.
    wanted: [u64; 16],
    pub(crate) groups: Groups<Part, S>,
    pub(crate) short: Table<ShortKey, S>,
    pub(crate) long: Table<LongKey, S>,
}

impl<S: Store> Cids<S> {
    pub(crate) fn new(pool: &Pool<S>, seed: u64) -> Self {
        Self {
            ports: Table::new(pool, seed),
            wanted: [0; 16],
            groups: Groups::new(pool),
            short: Table::new(pool, seed),
            long: Table::new(pool, seed),
        }
    }

    /// Tells whether there may be rules for a port.
    #[inline]
    pub(crate) fn wants(&self, port: u16) -> bool {
        let word = self.wanted.get(usize::from(port >> 6 & 0xF));
        word.is_some_and(|word| word >> (port & 63) & 1 != 0)
    }

    fn want(&mut self, port: u16) {
        if let Some(word) = self.wanted.get_mut(usize::from(port >> 6 & 0xF)) {
            *word |= 1 << (port & 63);
        }
    }

    /// Returns the earliest rule for a packet with this port and connection ID if it is earlier than `best`.
    #[inline(always)]
    pub(crate) fn find(&self, port: u16, cid: &[u8], best: u32) -> u32 {
        // What servers have: connection IDs of one length.
        if let [group] = self.groups.list()
            && group.part.is_short
            && let Some(start) = cid.first_chunk()
        {
            return self.find_short(port, u64::from_le_bytes(*start), &group.part);
        }
        self.find_among_many(port, cid, best)
    }

    #[inline(never)]
    fn find_among_many(&self, port: u16, cid: &[u8], mut best: u32) -> u32 {
        let start = Bytes::start(cid);
        for group in self.groups.list() {
            if group.head >= best {
                break;
            }
            let part = &group.part;
            if usize::from(part.end) <= cid.len() {
                best = best.min(if part.is_short {
                    self.find_short(port, start, part)
                } else {
                    self.find_long(port, cid, part)
                });
            }
        }
        best
    }

    #[inline]
    fn find_short(&self, port: u16, start: u64, part: &Part) -> u32 {
        let key = part.short(port, start);
        if let Some(id) = self.short.find_only(&key) {
            return id;
        }
        match self.short.find_soon(&key, self.short.hash(&key)) {
            Some(id) => id,
            None => self.find_short_further(port, start, part),
        }
    }

    /// Takes the parts of the key, in registers: the whole key would be put into memory before it is known whether this is called.
    #[cold]
    #[inline(never)]
    fn find_short_further(&self, port: u16, start: u64, part: &Part) -> u32 {
        let key = part.short(port, start);
        self.short.find_further(key, self.short.hash(&key))
    }

    #[inline(never)]
    fn find_long(&self, port: u16, cid: &[u8], part: &Part) -> u32 {
        self.long.find(&Bytes::load(cid).key(port, part))
    }

    pub(crate) fn reserve_one(
        &mut self,
        pool: &mut Pool<S>,
        flow: &Flow,
    ) -> Result<(), OutOfMemory> {
        self.ports.reserve_one(pool)?;
        self.groups.reserve_one(pool)?;
        if Part::of(&flow.cid).is_short {
            self.short.reserve_one(pool)
        } else {
            self.long.reserve_one(pool)
        }
    }

    /// Notes one rule more for a port.
    pub(crate) fn add_port(&mut self, port: u16) {
        match self.ports.find(&port) {
            NONE => {
                self.ports.insert(port, 1);
                self.want(port);
            }
            count => self.ports.replace(&port, count.wrapping_add(1)),
        }
    }

    /// Clears bits that no port has any more, which takes a look at all of them when there are few.
    fn forget_unwanted(&mut self) {
        const FEW: usize = 256;
        if self.ports.groups() <= FEW {
            let mut wanted = [0u64; 16];
            for port in self.ports.keys() {
                if let Some(word) = wanted.get_mut(usize::from(port >> 6 & 0xF)) {
                    *word |= 1 << (port & 63);
                }
            }
            self.wanted = wanted;
        }
    }

    /// Notes one rule less for a port.
    pub(crate) fn remove_port(&mut self, port: u16) {
        match self.ports.find(&port) {
            NONE => {}
            1 => {
                self.ports.remove(&port);
                self.forget_unwanted();
            }
            count => self.ports.replace(&port, count.wrapping_sub(1)),
        }
    }
}

/// Returns where the rules for a flow are found.
pub(crate) fn place(flow: &Flow) -> (Part, CidKey) {
    let part = Part::of(&flow.cid);
    let bytes = Bytes::load(flow.cid.padded());
    let key = if part.is_short {
        CidKey::Short(part.short(flow.port, bytes.low))
    } else {
        CidKey::Long(bytes.headed(flow.port, &part))
    };
    (part, key)
}

/// The first twenty bytes of a connection ID, zeros behind its end; first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bytes {
    low: u64,
    middle: u64,
    high: u32,
}

impl Bytes {
    /// Reads up to twenty bytes, with two loads that overlap where there are fewer than the loads have.
    #[inline]
    fn load(cid: &[u8]) -> Self {
        let bits = |bytes: usize| (bytes as u32).wrapping_mul(8);
        let count = cid.len().min(CidSlice::MAX);
        let cid = cid.get(..count).unwrap_or(cid);
        if let (Some((first, rest)), Some(last)) = (cid.split_first_chunk(), cid.last_chunk::<4>())
        {
            let low = u64::from_le_bytes(*first);
            if let Some(second) = rest.first_chunk() {
                let behind = bits(CidSlice::MAX.wrapping_sub(count));
                return Self {
                    low,
                    middle: u64::from_le_bytes(*second),
                    high: u32::from_le_bytes(*last).unbounded_shr(behind),
                };
            }
            let end = cid.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
            return Self {
                low,
                middle: end.unbounded_shr(bits(16usize.wrapping_sub(count))),
                high: 0,
            };
        }
        let low = if let (Some(first), Some(last)) = (cid.first_chunk(), cid.last_chunk()) {
            let shift = bits(count.wrapping_sub(4));
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << shift
        } else {
            cid.iter()
                .rev()
                .fold(0, |bytes, &byte| bytes << 8 | u64::from(byte))
        };
        Self {
            low,
            middle: 0,
            high: 0,
        }
    }

    /// Reads the first eight bytes, or all there are.
    #[inline]
    fn start(cid: &[u8]) -> u64 {
        match cid.first_chunk() {
            Some(first) => u64::from_le_bytes(*first),
            None => Self::load(cid).low,
        }
    }

    /// Cuts out a part, as a key.
    #[inline]
    fn key(self, port: u16, part: &Part) -> LongKey {
        let bytes = if part.offset == 0 {
            self
        } else {
            self.without_first(part.offset)
        };
        let cut = Self {
            low: bytes.low & part.mask.low,
            middle: bytes.middle & part.mask.middle,
            high: bytes.high & part.mask.high,
        };
        cut.headed(port, part)
    }

    #[inline]
    fn headed(self, port: u16, part: &Part) -> LongKey {
        let rest = u64::from(part.head(port)) << 32 | u64::from(self.high);
        LongKey([self.low, self.middle, rest])
    }

    /// Moves all bytes forward.
    fn without_first(self, count: u8) -> Self {
        let wide = u128::from(self.low) | u128::from(self.middle) << 64;
        let count = u32::from(count).wrapping_mul(8);
        // What moves from the last four bytes into the first sixteen.
        let moved = match count.checked_sub(128) {
            Some(more) => u128::from(self.high.unbounded_shr(more)),
            None => u128::from(self.high).unbounded_shl(128u32.wrapping_sub(count)),
        };
        let wide = wide.unbounded_shr(count) | moved;
        Self {
            low: wide as u64,
            middle: (wide >> 64) as u64,
            high: self.high.unbounded_shr(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by bytes.
    fn expected(port: u16, cid: &[u8], [offset, end]: [u8; 2]) -> LongKey {
        let mut bytes = [0u8; 20];
        let cut = &cid[usize::from(offset)..usize::from(end)];
        bytes[..cut.len()].copy_from_slice(cut);
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let head = u64::from(port) | u64::from(offset) << 16 | u64::from(end) << 24;
        LongKey([word(0), word(8), head << 32 | word(12) >> 32])
    }

    #[test]
    fn every_part_of_every_length_is_cut_out() {
        let all: Vec<u8> = (1..=40).collect();
        for length in 0..=40 {
            let cid = &all[..length];
            let most = length.min(20) as u8;
            for offset in 0..=most {
                for end in offset..=most {
                    let cut = &cid[usize::from(offset)..usize::from(end)];
                    let slice = CidSlice::new(offset, cut).expect("within 20 bytes");
                    let part = Part::of(&slice);
                    let key = Bytes::load(cid).key(443, &part);
                    assert_eq!(key, expected(443, cid, [offset, end]), "{length}");
                    let flow = Flow {
                        port: 443,
                        cid: slice,
                    };
                    let (found, rule) = place(&flow);
                    let same = match rule {
                        CidKey::Long(rule) => rule == key,
                        CidKey::Short(rule) => {
                            let ShortKey { bytes, head } = rule;
                            let LongKey([low, middle, rest]) = key;
                            rule == part.short(443, Bytes::start(cid))
                                && (low, middle) == (bytes, 0)
                                && rest == u64::from(head) << 32
                        }
                    };
                    assert!(found == part && same, "{length} {offset} {end}");
                }
            }
        }
    }
}

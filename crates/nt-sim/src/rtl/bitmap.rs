//! Bitmaps, and bits in integers.

use nt::sys::RTL_BITMAP;

use crate::exports;
use crate::mem::guest;

/// What the search functions return when there is no such run.
const NOT_FOUND: u32 = u32::MAX;

/// The bits of a bitmap, taken out of the driver's memory.
struct Bits {
    words: Vec<u32>,
    len: u32,
}

impl Bits {
    fn load(bitmap: *const RTL_BITMAP) -> Self {
        let header = guest::load(bitmap);
        let words = guest::load_many(
            header.Buffer.cast_const(),
            (header.SizeOfBitMap as usize).div_ceil(32),
        );
        Self {
            words,
            len: header.SizeOfBitMap,
        }
    }

    fn get(&self, index: u32) -> bool {
        self.words[index as usize / 32] >> (index % 32) & 1 != 0
    }

    fn count(&self) -> u32 {
        let whole = self.len / 32;
        let full: u32 = self.words[..whole as usize]
            .iter()
            .map(|word| word.count_ones())
            .sum();
        let rest = self.len % 32;
        full + if rest == 0 {
            0
        } else {
            (self.words[whole as usize] & ((1 << rest) - 1)).count_ones()
        }
    }

    /// The start of the first run of `count` bits of `value`, looked for from `hint` on and then from the start.
    fn find(&self, count: u32, hint: u32, value: bool) -> Option<u32> {
        let hint = if hint >= self.len { 0 } else { hint & !7 };
        if count == 0 {
            return Some(hint);
        }
        let search = |from: u32| {
            let mut run = 0;
            for index in from..self.len {
                run = if self.get(index) == value { run + 1 } else { 0 };
                if run == count {
                    return Some(index + 1 - count);
                }
            }
            None
        };
        search(hint).or_else(|| if hint == 0 { None } else { search(0) })
    }

    /// Runs of bits of `value` from `from` on: start and length.
    fn runs(&self, from: u32, value: bool) -> Vec<(u32, u32)> {
        let mut runs = Vec::new();
        let mut start = None;
        for index in from..=self.len {
            let here = index < self.len && self.get(index) == value;
            match (start, here) {
                (None, true) => start = Some(index),
                (Some(first), false) => {
                    runs.push((first, index - first));
                    start = None;
                }
                _ => {}
            }
        }
        runs
    }

    fn all(&self, start: u32, count: u32, value: bool) -> bool {
        let inside = start.checked_add(count).is_some_and(|end| end <= self.len);
        count != 0 && inside && (start..start + count).all(|index| self.get(index) == value)
    }
}

/// Sets `count` bits to `value`, touching only the words they are in.
fn change(bitmap: *const RTL_BITMAP, start: u32, count: u32, value: bool) {
    let header = guest::load(bitmap);
    let end = start.saturating_add(count).min(header.SizeOfBitMap);
    let mut index = start;
    while index < end {
        let word_at = header.Buffer.wrapping_add(index as usize / 32);
        let upto = ((index / 32 + 1) * 32).min(end);
        let ones = u32::MAX >> (32 - (upto - index)) << (index % 32);
        let word = guest::load(word_at.cast_const());
        guest::store(word_at, if value { word | ones } else { word & !ones });
        index = upto;
    }
}

fn find(bitmap: *const RTL_BITMAP, count: u32, hint: u32, value: bool, flip: bool) -> u32 {
    match Bits::load(bitmap).find(count, hint, value) {
        Some(start) => {
            if flip {
                change(bitmap, start, count, !value);
            }
            start
        }
        None => NOT_FOUND,
    }
}

/// Stores where a run starts and returns its length.
fn told(run: Option<(u32, u32)>, otherwise: u32, start: *mut u32) -> u32 {
    let (first, len) = run.unwrap_or((otherwise, 0));
    guest::store(start, first);
    len
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a bitmap of `bits` bits in given memory, whose bits it leaves as they are.
    #[irql(ANY)]
    fn RtlInitializeBitMap(bitmap: *mut RTL_BITMAP, buffer: *mut u32, bits: u32) {
        guest::store(bitmap, RTL_BITMAP { SizeOfBitMap: bits, Buffer: buffer });
    }

    /// Clears every bit.
    #[irql(APC)]
    fn RtlClearAllBits(bitmap: *mut RTL_BITMAP) {
        let header = guest::load(bitmap);
        guest::store_many(header.Buffer, &vec![0; (header.SizeOfBitMap as usize).div_ceil(32)]);
    }

    /// Sets every bit.
    #[irql(APC)]
    fn RtlSetAllBits(bitmap: *mut RTL_BITMAP) {
        let header = guest::load(bitmap);
        guest::store_many(header.Buffer, &vec![u32::MAX; (header.SizeOfBitMap as usize).div_ceil(32)]);
    }

    /// Sets a bit.
    #[irql(APC)]
    fn RtlSetBit(bitmap: *mut RTL_BITMAP, index: u32) {
        change(bitmap, index, 1, true);
    }

    /// Clears a bit.
    #[irql(APC)]
    fn RtlClearBit(bitmap: *mut RTL_BITMAP, index: u32) {
        change(bitmap, index, 1, false);
    }

    /// Whether a bit is set.
    #[irql(APC)]
    fn RtlTestBit(bitmap: *const RTL_BITMAP, index: u32) -> u8 {
        let header = guest::load(bitmap);
        let word = guest::load(header.Buffer.wrapping_add(index as usize / 32).cast_const());
        (index < header.SizeOfBitMap && word >> (index % 32) & 1 != 0).into()
    }

    /// Sets bits.
    #[irql(APC)]
    fn RtlSetBits(bitmap: *mut RTL_BITMAP, start: u32, count: u32) {
        change(bitmap, start, count, true);
    }

    /// Clears bits.
    #[irql(APC)]
    fn RtlClearBits(bitmap: *mut RTL_BITMAP, start: u32, count: u32) {
        change(bitmap, start, count, false);
    }

    /// The start of a run of clear bits, or -1.
    #[irql(APC)]
    fn RtlFindClearBits(bitmap: *const RTL_BITMAP, count: u32, hint: u32) -> u32 {
        find(bitmap, count, hint, false, false)
    }

    /// The start of a run of set bits, or -1.
    #[irql(APC)]
    fn RtlFindSetBits(bitmap: *const RTL_BITMAP, count: u32, hint: u32) -> u32 {
        find(bitmap, count, hint, true, false)
    }

    /// Finds a run of clear bits and sets them.
    #[irql(APC)]
    fn RtlFindClearBitsAndSet(bitmap: *mut RTL_BITMAP, count: u32, hint: u32) -> u32 {
        find(bitmap, count, hint, false, true)
    }

    /// Finds a run of set bits and clears them.
    #[irql(APC)]
    fn RtlFindSetBitsAndClear(bitmap: *mut RTL_BITMAP, count: u32, hint: u32) -> u32 {
        find(bitmap, count, hint, true, true)
    }

    /// The length of the first run of clear bits, and where it starts.
    #[irql(APC)]
    fn RtlFindFirstRunClear(bitmap: *const RTL_BITMAP, start: *mut u32) -> u32 {
        let bits = Bits::load(bitmap);
        told(bits.runs(0, false).first().copied(), bits.len, start)
    }

    /// The length of the longest run of clear bits, and where it starts.
    #[irql(APC)]
    fn RtlFindLongestRunClear(bitmap: *const RTL_BITMAP, start: *mut u32) -> u32 {
        let runs = Bits::load(bitmap).runs(0, false);
        let longest = runs.iter().copied().rev().max_by_key(|&(_, len)| len);
        told(longest, 0, start)
    }

    /// The length of the next run of clear bits at or behind an index, and where it starts.
    #[irql(APC)]
    fn RtlFindNextForwardRunClear(bitmap: *const RTL_BITMAP, from: u32, start: *mut u32) -> u32 {
        let bits = Bits::load(bitmap);
        told(bits.runs(from, false).first().copied(), bits.len, start)
    }

    /// The number of set bits.
    #[irql(APC)]
    fn RtlNumberOfSetBits(bitmap: *const RTL_BITMAP) -> u32 {
        Bits::load(bitmap).count()
    }

    /// The number of clear bits.
    #[irql(APC)]
    fn RtlNumberOfClearBits(bitmap: *const RTL_BITMAP) -> u32 {
        let bits = Bits::load(bitmap);
        bits.len - bits.count()
    }

    /// Whether all bits of a range are set.
    #[irql(APC)]
    fn RtlAreBitsSet(bitmap: *const RTL_BITMAP, start: u32, count: u32) -> u8 {
        Bits::load(bitmap).all(start, count, true).into()
    }

    /// Whether all bits of a range are clear.
    #[irql(APC)]
    fn RtlAreBitsClear(bitmap: *const RTL_BITMAP, start: u32, count: u32) -> u8 {
        Bits::load(bitmap).all(start, count, false).into()
    }

    /// The number of set bits.
    #[irql(ANY)]
    fn RtlNumberOfSetBitsUlongPtr(value: u64) -> u32 {
        value.count_ones()
    }

    /// The index of the lowest set bit, or -1.
    #[irql(ANY)]
    fn RtlFindLeastSignificantBit(value: u64) -> i8 {
        if value == 0 { -1 } else { value.trailing_zeros() as i8 }
    }

    /// The index of the highest set bit, or -1.
    #[irql(ANY)]
    fn RtlFindMostSignificantBit(value: u64) -> i8 {
        if value == 0 { -1 } else { 63 - value.leading_zeros() as i8 }
    }
}

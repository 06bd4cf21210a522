//! Random numbers that a seed repeats.

/// A generator (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// A number that arithmetic may stumble over.
    pub(crate) fn odd(&mut self) -> u64 {
        match self.below(6) {
            0 => self.below(4),
            1 => 1 << self.below(64),
            2 => (1 << self.below(64)) - 1,
            3 => u64::MAX - self.below(4),
            4 => self.below(70_000),
            _ => self.next(),
        }
    }

    /// An address: somewhere in or behind `memory`, or anywhere.
    pub(crate) fn address(&mut self, memory: usize) -> u64 {
        match self.below(4) {
            0 => self.odd(),
            1 => 0xFFFF_8000_0000_0000 | self.odd(),
            _ => memory as u64 + self.below(5000),
        }
    }

    pub(crate) fn bytes(&mut self, limit: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.below(limit) as usize];
        bytes.fill_with(|| self.next() as u8);
        bytes
    }

    /// Changes some of the bytes.
    pub(crate) fn mutate(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.below(4) {
            if !bytes.is_empty() {
                let at = self.below(bytes.len() as u64) as usize;
                bytes[at] = self.odd() as u8;
            }
        }
    }
}

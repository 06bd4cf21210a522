//! Hashing of short fixed-size keys.

/// A key of a [`Table`](crate::table::Table).
pub(crate) trait Key: Copy + Default {
    /// Returns a hash whose high bits choose the group; the tag is the lowest 7 of the upper 32 bits.
    fn hash(&self, seed: u64) -> u64;

    /// Tells whether two keys are the same: word by word, so that a key in registers need not go through memory.
    fn same(&self, other: &Self) -> bool;
}

pub(crate) const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Multiplies to 128 bits and folds the halves together.
#[inline]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    // The halves are taken apart on purpose.
    {
        let product = (a as u128).wrapping_mul(b as u128);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[inline]
pub(crate) const fn one(word: u64, seed: u64) -> u64 {
    fold(word ^ seed, ODD)
}

impl Key for u16 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        one(u64::from(*self), seed)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

/// One multiplication: addresses are looked up more often than anything else. The seed goes into the factor that is not the golden
/// ratio: with that one neighbouring addresses are spread evenly, and with most others they can fall together. The lower half of
/// the result is no hash.
impl Key for u32 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        (u64::from(*self) ^ seed).wrapping_mul(ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Key for [u32; 2] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        one(u64::from(self[0]) | (u64::from(self[1]) << 32), seed)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        let ([a, b], [other_a, other_b]) = (*self, *other);
        (a ^ other_a) | (b ^ other_b) == 0
    }
}

impl Key for [u32; 3] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let pair = u64::from(self[0]) | (u64::from(self[1]) << 32);
        fold(pair ^ seed, u64::from(self[2]) ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        let ([a, b, c], [other_a, other_b, other_c]) = (*self, *other);
        (a ^ other_a) | (b ^ other_b) | (c ^ other_c) == 0
    }
}

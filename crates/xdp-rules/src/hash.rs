//! Hashing of short fixed-size keys.

/// A key of a [`Table`](crate::table::Table).
pub(crate) trait Key: Copy + Eq + Default {
    /// Returns a hash whose high 32 bits choose the group and whose low 7 bits are the tag.
    fn hash(&self, seed: u64) -> u64;
}

const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

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
}

impl Key for u32 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        one(u64::from(*self), seed)
    }
}

impl Key for [u32; 2] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        one(u64::from(self[0]) | (u64::from(self[1]) << 32), seed)
    }
}

impl Key for [u32; 3] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let pair = u64::from(self[0]) | (u64::from(self[1]) << 32);
        fold(pair ^ seed, u64::from(self[2]) ^ ODD)
    }
}

impl Key for [u32; 4] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let low = u64::from(self[0]) | (u64::from(self[1]) << 32);
        let high = u64::from(self[2]) | (u64::from(self[3]) << 32);
        fold(low ^ seed, high ^ ODD)
    }
}

impl Key for [u32; 5] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let [a, b, c, d, e] = *self;
        fold([a, b, c, d].hash(seed), u64::from(e) ^ seed ^ ODD)
    }
}

impl Key for [u32; 6] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let [a, b, c, d, e, f] = *self;
        let last = u64::from(e) | (u64::from(f) << 32);
        fold([a, b, c, d].hash(seed), last ^ seed ^ ODD)
    }
}

impl Key for [u32; 9] {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, i] = *self;
        let low = [a, b, c, d].hash(seed);
        let high = [e, f, g, h].hash(seed ^ u64::from(i));
        fold(low ^ seed, high ^ ODD)
    }
}

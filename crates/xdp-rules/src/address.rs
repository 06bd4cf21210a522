//! Addresses as numbers, first byte of the packet highest.

use crate::hash::{Key, ODD, fold};
use core::net::{Ipv4Addr, Ipv6Addr};

/// A number of [`Address::BITS`] bits, counted from the most significant one.
pub(crate) trait Address: Copy + Eq + Default {
    const BITS: u32;
    const ZERO: Self;
    /// The address behind the number of its mask.
    type Key: Key;

    fn and(self, mask: Self) -> Self;
    /// Returns how many leading bits are the same.
    fn common(self, other: Self) -> u32;
    /// Returns the mask of the first `len` bits.
    fn mask(len: u32) -> Self;
    /// Tells whether the first `len` bits are the same.
    fn agrees(self, other: Self, len: u32) -> bool;
    /// Returns 0 if the bits under `mask` are the same, else all ones: without a branch.
    fn differs(self, other: Self, mask: Self) -> u32;
    /// Returns how many bits are one.
    fn ones(self) -> u32;
    /// Returns `count` (at most 16) bits from `position`, which is not the end; bits behind the end are zero.
    fn bits(self, position: u32, count: u32) -> usize;
    /// Does the same where `count` is not zero.
    fn some_bits(self, position: u32, count: u32) -> usize;
    /// Returns the address with `bits` (`count` of them) put at `position`, which must hold zeros.
    fn with_bits(self, position: u32, count: u32, bits: usize) -> Self;
    fn keyed(self, number: u32) -> Self::Key;
    /// Takes a key apart.
    fn unkeyed(key: &Self::Key) -> (u32, Self);
    /// Returns a hash whose high bits depend on all bits, if the multiplier is odd and looks random.
    fn blend(self, multiplier: u64) -> u64;
    /// Returns the length of the prefix that this is the mask of, if its ones are contiguous.
    fn prefix_length(self) -> Option<u32>;
}

impl Address for u32 {
    const BITS: u32 = 32;
    const ZERO: Self = 0;
    type Key = [u32; 2];

    #[inline]
    fn and(self, mask: Self) -> Self {
        self & mask
    }

    #[inline]
    fn common(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }

    #[inline]
    fn mask(len: u32) -> Self {
        !Self::MAX.unbounded_shr(len)
    }

    #[inline]
    fn agrees(self, other: Self, len: u32) -> bool {
        (self ^ other) & Self::mask(len) == 0
    }

    #[inline]
    fn differs(self, other: Self, mask: Self) -> u32 {
        u32::from((self ^ other) & mask != 0).wrapping_neg()
    }

    #[inline]
    fn ones(self) -> u32 {
        self.count_ones()
    }

    #[inline]
    fn bits(self, position: u32, count: u32) -> usize {
        // A position is less than 32.
        (self.wrapping_shl(position)).unbounded_shr(32u32.wrapping_sub(count)) as usize
    }

    #[inline]
    fn some_bits(self, position: u32, count: u32) -> usize {
        (self.wrapping_shl(position)).wrapping_shr(32u32.wrapping_sub(count)) as usize
    }

    #[inline]
    fn with_bits(self, position: u32, count: u32, bits: usize) -> Self {
        // At most 16 bits are given.
        let bits = bits as Self;
        self | bits.unbounded_shl(32u32.wrapping_sub(position).wrapping_sub(count))
    }

    #[inline]
    fn keyed(self, number: u32) -> Self::Key {
        [number, self]
    }

    fn unkeyed(&[number, address]: &Self::Key) -> (u32, Self) {
        (number, address)
    }

    #[inline]
    fn blend(self, multiplier: u64) -> u64 {
        u64::from(self).wrapping_mul(multiplier)
    }

    #[inline]
    fn prefix_length(self) -> Option<u32> {
        let len = self.leading_ones();
        (self == Self::mask(len)).then_some(len)
    }
}

/// An IPv6 address; two words keep the alignment at 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct V6 {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

impl V6 {
    #[inline]
    const fn wide(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    #[inline]
    // The halves are taken apart on purpose.
    const fn from_wide(wide: u128) -> Self {
        Self {
            high: (wide >> 64) as u64,
            low: wide as u64,
        }
    }
}

impl Address for V6 {
    const BITS: u32 = 128;
    const ZERO: Self = Self { high: 0, low: 0 };
    type Key = Numbered6;

    #[inline]
    fn and(self, mask: Self) -> Self {
        Self {
            high: self.high & mask.high,
            low: self.low & mask.low,
        }
    }

    #[inline]
    fn common(self, other: Self) -> u32 {
        (self.wide() ^ other.wide()).leading_zeros()
    }

    #[inline]
    fn mask(len: u32) -> Self {
        Self {
            high: !u64::MAX.unbounded_shr(len),
            low: !u64::MAX.unbounded_shr(len.saturating_sub(64)),
        }
    }

    #[inline]
    fn agrees(self, other: Self, len: u32) -> bool {
        let mask = Self::mask(len);
        ((self.high ^ other.high) & mask.high) | ((self.low ^ other.low) & mask.low) == 0
    }

    #[inline]
    fn differs(self, other: Self, mask: Self) -> u32 {
        let difference =
            ((self.high ^ other.high) & mask.high) | ((self.low ^ other.low) & mask.low);
        u32::from(difference != 0).wrapping_neg()
    }

    #[inline]
    fn ones(self) -> u32 {
        self.wide().count_ones()
    }

    #[inline]
    fn bits(self, position: u32, count: u32) -> usize {
        let top = if position < 64 {
            // Bits of the lower word move in behind those of the upper one.
            let behind = self.low.unbounded_shr(64u32.wrapping_sub(position));
            self.high.unbounded_shl(position) | behind
        } else {
            self.low.unbounded_shl(position.wrapping_sub(64))
        };
        top.unbounded_shr(64u32.wrapping_sub(count)) as usize
    }

    #[inline]
    fn some_bits(self, position: u32, count: u32) -> usize {
        let top = if position == 0 {
            self.high
        } else if position < 64 {
            // Bits of the lower word move in behind those of the upper one.
            self.high.wrapping_shl(position) | self.low.wrapping_shr(64u32.wrapping_sub(position))
        } else {
            self.low.wrapping_shl(position)
        };
        top.wrapping_shr(64u32.wrapping_sub(count)) as usize
    }

    #[inline]
    fn with_bits(self, position: u32, count: u32, bits: usize) -> Self {
        let shift = 128u32.wrapping_sub(position).wrapping_sub(count);
        Self::from_wide(self.wide() | (bits as u128).unbounded_shl(shift))
    }

    #[inline]
    // The halves are taken apart on purpose.
    fn keyed(self, number: u32) -> Self::Key {
        Numbered6 {
            address: self,
            number,
        }
    }

    fn unkeyed(key: &Self::Key) -> (u32, Self) {
        (key.number, key.address)
    }

    #[inline]
    fn blend(self, multiplier: u64) -> u64 {
        let other = multiplier.rotate_left(32) | 1;
        self.high
            .wrapping_mul(multiplier)
            .wrapping_add(self.low.wrapping_mul(other))
    }

    #[inline]
    fn prefix_length(self) -> Option<u32> {
        let len = self.wide().leading_ones();
        (self == Self::mask(len)).then_some(len)
    }
}

impl Key for V6 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        fold(self.high ^ seed, self.low ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        (self.high ^ other.high) | (self.low ^ other.low) == 0
    }
}

/// An IPv6 address behind the number of its mask. Packed, so that a rule's number fits behind it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed(4))]
pub(crate) struct Numbered6 {
    address: V6,
    number: u32,
}

impl Key for Numbered6 {
    #[inline]
    fn hash(&self, seed: u64) -> u64 {
        let Self { address, number } = *self;
        let numbered = seed ^ u64::from(number).wrapping_mul(ODD);
        fold(address.high ^ numbered, address.low ^ ODD)
    }

    #[inline]
    fn same(&self, other: &Self) -> bool {
        let (Self { address, number }, other) = (*self, *other);
        { other.address }.same(&address) && other.number == number
    }
}

impl From<Ipv6Addr> for V6 {
    #[inline]
    fn from(address: Ipv6Addr) -> Self {
        Self::from_wide(address.to_bits())
    }
}

impl From<&[u8; 16]> for V6 {
    #[inline]
    fn from(bytes: &[u8; 16]) -> Self {
        Self::from_wide(u128::from_be_bytes(*bytes))
    }
}

/// A textual address type and the number it is.
pub(crate) trait ToAddress: Copy {
    type Number: Address;
    fn number(self) -> Self::Number;
}

impl ToAddress for Ipv4Addr {
    type Number = u32;

    #[inline]
    fn number(self) -> u32 {
        self.to_bits()
    }
}

impl ToAddress for Ipv6Addr {
    type Number = V6;

    #[inline]
    fn number(self) -> V6 {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<A: Address + core::fmt::Debug>(samples: &[A]) {
        for &a in samples {
            for len in 0..=A::BITS {
                let mask = A::mask(len);
                assert_eq!(mask.prefix_length(), Some(len));
                assert_eq!(mask.ones(), len);
                assert!(a.agrees(a.and(mask), len));
                assert_eq!(a.differs(a.and(mask), mask), 0);
                assert!(a.common(a.and(mask)) >= len);
            }
            let mut copy = A::default();
            for position in (0..A::BITS).step_by(4) {
                assert_eq!(a.some_bits(position, 4), a.bits(position, 4));
                copy = copy.with_bits(position, 4, a.bits(position, 4));
            }
            assert_eq!(copy, a);
            for &b in samples {
                let common = a.common(b);
                assert!(a.agrees(b, common));
                assert!(common == A::BITS || !a.agrees(b, common + 1));
                assert!(common == A::BITS || a.differs(b, A::mask(common + 1)) == u32::MAX);
            }
        }
    }

    #[test]
    fn bits_are_counted_from_the_front() {
        check(&[0u32, 1, 0x8000_0000, 0x0A01_0203, u32::MAX]);
        check(&[
            V6::default(),
            V6::from_wide(1),
            V6::from_wide(1 << 64),
            V6::from_wide(0x2001_0DB8_0000_1234_5678_9ABC_DEF0_0001),
            V6::from_wide(u128::MAX),
        ]);
    }

    #[test]
    fn a_wide_piece_may_cross_the_words() {
        let address = V6 {
            high: 0x1234,
            low: 0x5678_0000_0000_0000,
        };
        assert_eq!(address.bits(56, 16), 0x3456);
        assert_eq!(0xABCD_0000u32.bits(4, 12), 0xBCD);
    }

    #[test]
    fn a_mask_with_a_hole_is_no_prefix() {
        assert_eq!(0xFF00_FF00u32.prefix_length(), None);
        assert_eq!(V6 { high: 1, low: 0 }.prefix_length(), None);
    }
}

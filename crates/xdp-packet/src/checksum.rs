//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// A running ones' complement sum over bytes that may come in pieces of any length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Wide enough for more bytes than memory holds before anything could be lost.
    sum: u64,
    /// Whether the next byte is the second half of a 16-bit word.
    odd: bool,
}

impl Checksum {
    /// Starts a sum.
    #[must_use]
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// Starts a sum with the pseudo header that UDP and TCP checksums cover in IPv4.
    #[must_use]
    pub fn pseudo_ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, length: u32) -> Self {
        let mut sum = Self::new();
        sum.add(&source);
        sum.add(&destination);
        sum.add(&[0, protocol]);
        sum.add(&length.to_be_bytes());
        sum
    }

    /// Starts a sum with the pseudo header that UDP, TCP and ICMPv6 checksums cover in IPv6.
    #[must_use]
    pub fn pseudo_ipv6(source: [u8; 16], destination: [u8; 16], protocol: u8, length: u32) -> Self {
        let mut sum = Self::new();
        sum.add(&source);
        sum.add(&destination);
        sum.add(&length.to_be_bytes());
        sum.add(&[0, 0, 0, protocol]);
        sum
    }

    /// Adds bytes that follow the ones added before.
    pub fn add(&mut self, mut bytes: &[u8]) {
        if self.odd
            && let Some((&low, rest)) = bytes.split_first()
        {
            self.sum = self.sum.wrapping_add(u64::from(low));
            self.odd = false;
            bytes = rest;
        }
        // Four bytes at a time: a ones' complement sum does not care how wide its words are (RFC 1071 section 2).
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            self.sum = self.sum.wrapping_add(u64::from(u32::from_be_bytes(*word)));
        }
        let (halves, rest) = rest.as_chunks::<2>();
        for half in halves {
            self.sum = self.sum.wrapping_add(u64::from(u16::from_be_bytes(*half)));
        }
        if let [high] = rest {
            self.sum = self.sum.wrapping_add(u64::from(*high) << 8);
            self.odd = true;
        }
    }

    /// Returns the checksum as a header field holds it.
    #[must_use]
    pub const fn finish(self) -> u16 {
        !fold(self.sum)
    }

    /// Returns the checksum as a UDP header holds it, where 0 would mean "none".
    #[must_use]
    pub const fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xFFFF,
            checksum => checksum,
        }
    }

    /// Tells whether the bytes added, checksum field included, are intact.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        fold(self.sum) == 0xFFFF
    }
}

/// Returns the Internet checksum of `bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Checksum::new();
    sum.add(bytes);
    sum.finish()
}

/// Returns `checksum` after a 16-bit word under it changed from `old` to `new` (RFC 1624, equation 3).
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(
        (!checksum as u64)
            .wrapping_add(!old as u64)
            .wrapping_add(new as u64),
    )
}

/// Returns `checksum` after bytes under it, starting at an even offset, changed from `old` to `new`: an address, for instance.
#[must_use]
pub fn update_bytes<const SIZE: usize>(checksum: u16, old: &[u8; SIZE], new: &[u8; SIZE]) -> u16 {
    const {
        assert!(
            SIZE.is_multiple_of(2),
            "the checksum is made of 16-bit words"
        )
    };
    let (old, _) = old.as_chunks::<2>();
    let (new, _) = new.as_chunks::<2>();
    old.iter().zip(new).fold(checksum, |checksum, (old, new)| {
        update(checksum, u16::from_be_bytes(*old), u16::from_be_bytes(*new))
    })
}

const fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32).wrapping_add(sum & 0xFFFF_FFFF);
    let sum = (sum >> 32).wrapping_add(sum & 0xFFFF_FFFF);
    let sum = (sum >> 16).wrapping_add(sum & 0xFFFF);
    let sum = (sum >> 16).wrapping_add(sum & 0xFFFF);
    (sum >> 16).wrapping_add(sum & 0xFFFF) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_holds() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]),
            !0xDDF2
        );
        assert_eq!(checksum(&[]), 0xFFFF);
        assert_eq!(checksum(&[0xFF]), 0x00FF);
    }

    #[test]
    fn the_example_of_rfc_1624_holds() {
        assert_eq!(update(0xDD2F, 0x5555, 0x3285), 0x0000);
    }

    /// One addition per 16-bit word, carry folded at once: slow and obvious.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        !(sum as u16)
    }

    proptest! {
        #[test]
        fn pieces_give_the_sum_of_the_whole(bytes: Vec<u8>, cuts: [proptest::sample::Index; 2]) {
            let mut cuts = cuts.map(|cut| cut.index(bytes.len() + 1));
            cuts.sort_unstable();
            let mut sum = Checksum::new();
            sum.add(&bytes[..cuts[0]]);
            sum.add(&bytes[cuts[0]..cuts[1]]);
            sum.add(&bytes[cuts[1]..]);
            prop_assert_eq!(sum.finish(), plain(&bytes));
        }

        #[test]
        fn an_update_leaves_the_sum_valid(mut bytes: [u8; 20], address: [u8; 4]) {
            bytes[0] |= 1; // All zero bytes are the one case with two checksums.
            bytes[10..12].fill(0);
            let sum = checksum(&bytes);
            let old = [bytes[12], bytes[13], bytes[14], bytes[15]];
            bytes[12..16].copy_from_slice(&address);
            bytes[10..12].copy_from_slice(&update_bytes(sum, &old, &address).to_be_bytes());
            let mut check = Checksum::new();
            check.add(&bytes);
            prop_assert!(check.is_valid());
        }
    }
}

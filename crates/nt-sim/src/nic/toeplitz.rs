//! The Toeplitz hash of receive-side scaling.

/// Longest input: two IPv6 addresses and two ports.
const MAX_INPUT: usize = 36;

/// A secret key, expanded so that a byte of input costs one look-up.
pub(crate) struct Toeplitz {
    table: Box<[[u32; 256]; MAX_INPUT]>,
}

impl Toeplitz {
    /// Expands `key` (40 bytes; a shorter one counts as padded with zeroes).
    pub(crate) fn new(key: &[u8]) -> Toeplitz {
        let byte = |n: usize| key.get(n).copied().map_or(0, u64::from);
        let mut table = vec![[0_u32; 256]; MAX_INPUT].into_boxed_slice();
        for (position, row) in table.iter_mut().enumerate() {
            // The key from this byte on: the 32 bits that start at its bit `i` are what input bit `i` adds.
            let key = (0..5).fold(0_u64, |key, i| (key << 8) | byte(position + i));
            for value in 1..256_usize {
                // What all set bits but the lowest add is known already.
                let lowest = value.trailing_zeros();
                row[value] = row[value & (value - 1)] ^ (key >> (1 + lowest)) as u32;
            }
        }
        let table: Box<[[u32; 256]; MAX_INPUT]> = match table.try_into() {
            Ok(table) => table,
            Err(_) => unreachable!("made with this length"),
        };
        Toeplitz { table }
    }

    /// Hash of the concatenation of `parts`.
    #[inline]
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> u32 {
        let mut hash = 0;
        let mut position = 0;
        for part in parts {
            for &byte in *part {
                hash ^= self.table[position][usize::from(byte)];
                position += 1;
            }
        }
        hash
    }
}

/// The key that Microsoft's RSS verification suite uses, and this NIC until it is given another.
pub(crate) const DEFAULT_KEY: [u8; 40] = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The published verification values for IPv4: destination, source, with ports and without.
    #[test]
    fn the_published_ipv4_values_come_out() {
        let toeplitz = Toeplitz::new(&DEFAULT_KEY);
        for (src, sport, dst, dport, with_ports, without) in [
            (
                [66, 9, 149, 187],
                2794_u16,
                [161, 142, 100, 80],
                1766_u16,
                0x51cc_c178,
                0x323e_8fc2,
            ),
            (
                [199, 92, 111, 2],
                14230,
                [65, 69, 140, 83],
                4739,
                0xc626_b0ea,
                0xd718_262a,
            ),
            (
                [24, 19, 198, 95],
                12898,
                [12, 22, 207, 184],
                38024,
                0x5c2b_394a,
                0xd2d0_a5de,
            ),
            (
                [38, 27, 205, 30],
                48228,
                [209, 142, 163, 6],
                2217,
                0xafc7_327f,
                0x8298_9176,
            ),
            (
                [153, 39, 163, 191],
                44251,
                [202, 188, 127, 2],
                1303,
                0x10e8_28a2,
                0x5d18_09c5_u32,
            ),
        ] {
            let ports = [sport.to_be_bytes(), dport.to_be_bytes()];
            assert_eq!(toeplitz.hash(&[&src, &dst]), without);
            assert_eq!(
                toeplitz.hash(&[&src, &dst, &ports[0], &ports[1]]),
                with_ports
            );
        }
    }

    #[test]
    fn the_published_ipv6_value_comes_out() {
        let toeplitz = Toeplitz::new(&DEFAULT_KEY);
        let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        let (src, dst) = (
            address("3ffe:2501:200:1fff::7"),
            address("3ffe:2501:200:3::1"),
        );
        let ports = [2794_u16.to_be_bytes(), 1766_u16.to_be_bytes()];
        assert_eq!(toeplitz.hash(&[&src, &dst]), 0x2cc1_8cd5);
        assert_eq!(
            toeplitz.hash(&[&src, &dst, &ports[0], &ports[1]]),
            0x4020_7d3d
        );
    }
}

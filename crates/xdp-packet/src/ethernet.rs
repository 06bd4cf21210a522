//! Ethernet II.

use core::fmt;
use core::str::FromStr;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86DD;

/// A MAC address.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Six bytes in hexadecimal, with colons or hyphens between them: `02:00:5e:10:00:01`, `02-00-5E-10-00-01`.
impl FromStr for MacAddr {
    type Err = InvalidMacAddr;

    fn from_str(text: &str) -> Result<Self, InvalidMacAddr> {
        let mut address = Self::default();
        let mut parts = text.split([':', '-']);
        for byte in &mut address.0 {
            let part = parts.next().ok_or(InvalidMacAddr)?;
            // `from_str_radix` takes a sign.
            if !matches!(part.len(), 1..=2) || part.starts_with('+') {
                return Err(InvalidMacAddr);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| InvalidMacAddr)?;
        }
        parts.next().map_or(Ok(address), |_| Err(InvalidMacAddr))
    }
}

/// A text is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMacAddr;

impl fmt::Display for InvalidMacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six bytes in hexadecimal, as 02:00:5e:10:00:01")
    }
}

impl core::error::Error for InvalidMacAddr {}

/// A view of an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet<'a>(pub &'a [u8; 14]);

impl<'a> Ethernet<'a> {
    /// Length of the header.
    pub const SIZE: usize = 14;

    /// Returns the destination address.
    #[inline]
    #[must_use]
    pub const fn destination(&self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = *self.0;
        MacAddr([a, b, c, d, e, f])
    }

    /// Returns the source address.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> MacAddr {
        let [_, _, _, _, _, _, a, b, c, d, e, f, _, _] = *self.0;
        MacAddr([a, b, c, d, e, f])
    }

    /// Returns the EtherType (or, up to 1500, an IEEE 802.3 length).
    #[inline]
    #[must_use]
    pub const fn ethertype(&self) -> u16 {
        let [.., a, b] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the header's bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 14] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let address = MacAddr([2, 0, 0x5E, 0x10, 0, 0xA]);
        for text in ["02:00:5e:10:00:0a", "02-00-5E-10-00-0A", "2:0:5e:10:0:a"] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        assert_eq!(address.to_string().parse(), Ok(address));
        for text in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:0a:0b",
            "+2:0:0:0:0:0",
            "002:0:0:0:0:0",
            "g:0:0:0:0:0",
            "::::::",
        ] {
            assert_eq!(text.parse::<MacAddr>(), Err(InvalidMacAddr), "{text}");
        }
    }
}

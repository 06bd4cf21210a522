//! Values that are written as text.

use super::catalog::PROTOCOLS;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// An address family that prefixes and masks exist for.
pub(super) trait Address: Copy + std::str::FromStr + std::fmt::Display {
    const BITS: u32;
    fn bits(self) -> u128;
    fn from_bits(bits: u128) -> Self;
}

impl Address for Ipv4Addr {
    const BITS: u32 = 32;
    fn bits(self) -> u128 {
        self.to_bits().into()
    }
    fn from_bits(bits: u128) -> Self {
        Self::from_bits(bits as u32)
    }
}

impl Address for Ipv6Addr {
    const BITS: u32 = 128;
    fn bits(self) -> u128 {
        self.to_bits()
    }
    fn from_bits(bits: u128) -> Self {
        Self::from_bits(bits)
    }
}

/// Returns the mask of a prefix length, if there is such a prefix.
fn prefix_mask<A: Address>(length: u32) -> Option<A> {
    let host_bits = A::BITS.checked_sub(length)?;
    let all = u128::MAX >> (128 - A::BITS);
    Some(A::from_bits(
        all & u128::MAX.checked_shl(host_bits).unwrap_or(0),
    ))
}

/// Returns the length of the prefix that a mask stands for, if it is one.
pub(super) fn prefix_length<A: Address>(mask: A) -> Option<u32> {
    let bits = mask.bits() << (128 - A::BITS);
    (bits.leading_ones() == bits.count_ones()).then(|| bits.leading_ones())
}

/// Reads `ADDRESS` or `ADDRESS/LENGTH` into address and mask.
pub(super) fn prefix<A: Address>(text: &str) -> Result<(A, Option<A>), String> {
    let wrong = || format!("\"{text}\" is not an address or prefix");
    let Some((address, length)) = text.split_once('/') else {
        return Ok((text.parse().map_err(|_| wrong())?, None));
    };
    let address: A = address.parse().map_err(|_| wrong())?;
    if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let mask: A = length
        .parse()
        .ok()
        .and_then(prefix_mask::<A>)
        .ok_or_else(|| {
            format!(
                "/{length} is longer than an address, which has {} bits",
                A::BITS
            )
        })?;
    let network = address.bits() & mask.bits();
    if network != address.bits() {
        let network = A::from_bits(network);
        return Err(format!(
            "{address} has bits set behind its first {length}, so that nothing could match; \
             did you mean \"{network}/{length}\"?"
        ));
    }
    Ok((address, Some(mask)))
}

/// Reads `PORT` or `FIRST-LAST`.
pub(super) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| digits)
            .ok_or_else(|| format!("\"{text}\" is not a port"))
    };
    let Some((first, last)) = text.split_once('-') else {
        let only = port(text)?;
        return Ok(only..=only);
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!(
            "range {first}-{last} is empty; did you mean \"{last}-{first}\"?"
        ));
    }
    Ok(first..=last)
}

/// Reads bytes in hexadecimal: `c1d2e3` or `c1:d2:e3`, with or without `0x`.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    if let Some(bad) = digits.chars().find(|c| !c.is_ascii_hexdigit() && *c != ':') {
        return Err(format!(
            "`{}` is not a hexadecimal digit",
            bad.escape_debug()
        ));
    }
    let groups = digits.split(':').filter(|_| !digits.is_empty());
    let mut bytes = Vec::new();
    for group in groups {
        if group.len() % 2 != 0 || group.is_empty() {
            return Err(format!(
                "\"{text}\" does not have two digits for every byte"
            ));
        }
        for start in (0..group.len()).step_by(2) {
            // Only hexadecimal digits are left, so that every two of them are a byte.
            bytes.extend(u8::from_str_radix(&group[start..start + 2], 16));
        }
    }
    Ok(bytes)
}

/// Reads the name of an IP protocol.
pub(super) fn protocol(text: &str) -> Result<u8, String> {
    let wanted = text.to_ascii_lowercase();
    let known = PROTOCOLS.iter().find(|(name, _)| *name == wanted);
    known.map(|(_, number)| *number).ok_or_else(|| {
        let names = PROTOCOLS.iter().map(|(name, _)| *name);
        format!(
            "no protocol is called \"{text}\"{}",
            did_you_mean(&wanted, names)
        )
    })
}

/// Returns `; did you mean ...?` when one of `names` is close enough to `written`.
pub(super) fn did_you_mean<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> String {
    // What people write is compared with every name: a limit keeps hostile input cheap.
    let written: Vec<char> = written.chars().take(64).collect();
    let distances = names.map(|name| (distance(&written, name), name));
    match distances.min() {
        Some((distance, name)) if distance <= 2.max(name.len() / 4) && distance < name.len() => {
            format!("; did you mean \"{name}\"?")
        }
        _ => String::new(),
    }
}

/// Returns how many characters have to be put in, taken out or replaced to turn one text into the other.
fn distance(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (above, letter) in right.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (index, other) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[left.len()]
}

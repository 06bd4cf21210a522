//! Characters and counted strings: what the string functions share.

use nt::sys::{STRING, UNICODE_STRING};

use crate::mem::guest;

/// The upper-case form of a character, where that is one character of the same plane.
pub(super) fn upcase(unit: u16) -> u16 {
    single(char::from_u32(unit.into()).map(|c| c.to_uppercase()), unit)
}

/// The lower-case form of a character, where that is one character of the same plane.
pub(super) fn downcase(unit: u16) -> u16 {
    single(char::from_u32(unit.into()).map(|c| c.to_lowercase()), unit)
}

fn single(mapped: Option<impl ExactSizeIterator<Item = char>>, unit: u16) -> u16 {
    match mapped {
        Some(mut mapped) if mapped.len() == 1 => mapped
            .next()
            .and_then(|c| u16::try_from(u32::from(c)).ok())
            .unwrap_or(unit),
        _ => unit,
    }
}

/// The upper-case form of a byte of an ANSI string.
pub(super) fn upcase_byte(byte: u8) -> u8 {
    byte.to_ascii_uppercase()
}

pub(super) fn load_unicode(from: *const UNICODE_STRING) -> Vec<u16> {
    let string = guest::load(from);
    guest::load_many(string.Buffer.cast_const(), usize::from(string.Length / 2))
}

pub(super) fn load_ansi(from: *const STRING) -> Vec<u8> {
    let string = guest::load(from);
    guest::load_many(string.Buffer.cast_const(), usize::from(string.Length))
}

/// Stores text in a counted string's buffer, with a terminator if there is room; false when the text does not fit.
pub(super) fn store_unicode(to: *mut UNICODE_STRING, text: &[u16]) -> bool {
    let string = guest::load(to);
    let room = usize::from(string.MaximumLength / 2);
    if text.len() > room {
        return false;
    }
    guest::store_many(string.Buffer, text);
    if text.len() < room {
        guest::store(string.Buffer.wrapping_add(text.len()), 0);
    }
    guest::store(
        to,
        UNICODE_STRING {
            Length: text.len() as u16 * 2,
            ..string
        },
    );
    true
}

/// As [`store_unicode`], for bytes.
pub(super) fn store_ansi(to: *mut STRING, text: &[u8]) -> bool {
    let string = guest::load(to);
    let room = usize::from(string.MaximumLength);
    if text.len() > room {
        return false;
    }
    guest::store_many(string.Buffer, text);
    if text.len() < room {
        guest::store(string.Buffer.wrapping_add(text.len()), 0);
    }
    guest::store(
        to,
        STRING {
            Length: text.len() as u16,
            ..string
        },
    );
    true
}

/// The ANSI code page is Latin-1, as far as it is also Windows-1252; what it lacks becomes a question mark.
pub(super) fn to_ansi(text: &[u16]) -> Vec<u8> {
    text.iter()
        .map(|&unit| u8::try_from(unit).unwrap_or(b'?'))
        .collect()
}

/// The inverse of [`to_ansi`].
pub(super) fn from_ansi(text: &[u8]) -> Vec<u16> {
    text.iter().map(|&byte| byte.into()).collect()
}

/// Parses an integer as `RtlUnicodeStringToInteger` does: blanks, a sign, a prefix for the base, digits as far as
/// they go.
pub(super) fn parse_integer(text: &[u16], base: u32) -> Option<u32> {
    let text: String = String::from_utf16_lossy(text);
    let text = text.trim_start_matches(|c: char| c <= ' ');
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)];
    let (base, digits) = match base {
        0 => {
            let found = prefixed
                .iter()
                .find_map(|(prefix, base)| Some((*base, text.strip_prefix(prefix)?)));
            found.unwrap_or((10, text))
        }
        2 | 8 | 10 | 16 => (base, text),
        _ => return None,
    };
    let digits = digits.chars().map_while(|c| c.to_digit(base));
    let value = digits.fold(0u32, |value, digit| {
        value.wrapping_mul(base).wrapping_add(digit)
    });
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Digits of a number in a base of 2, 8, 10 (the default, 0) or 16.
pub(super) fn digits(value: u64, base: u32) -> Option<Vec<u16>> {
    let text = match base {
        2 => format!("{value:b}"),
        8 => format!("{value:o}"),
        0 | 10 => value.to_string(),
        16 => format!("{value:X}"),
        _ => return None,
    };
    Some(text.encode_utf16().collect())
}

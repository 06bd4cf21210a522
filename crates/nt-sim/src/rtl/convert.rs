//! GUIDs, addresses and random values.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::sync::Mutex;
use nt::sys::{
    GUID, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_SUCCESS, UNICODE_STRING,
};

use super::text::load_unicode;
use crate::ex::pool;
use crate::exports;
use crate::kernel::kernel;
use crate::mem::guest;
use crate::mem::pool::Request;

/// Where random values come from: a seeded kernel repeats them.
#[derive(Debug)]
pub(crate) struct Random(Mutex<u64>);

impl Random {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let start = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64) ^ u64::from(std::process::id()) << 32
        });
        Self(Mutex::new(start))
    }

    /// The next value (SplitMix64).
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = *state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}

fn guid_text(guid: &GUID) -> String {
    let [a, b, rest @ ..] = guid.Data4;
    let node: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{{{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-{node}}}",
        guid.Data1, guid.Data2, guid.Data3
    )
}

fn parse_guid(text: &str) -> Option<GUID> {
    let text = text.strip_prefix('{')?.strip_suffix('}')?;
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if lengths != [8, 4, 4, 4, 12]
        || !text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    {
        return None;
    }
    let tail = u64::from_str_radix(&format!("{}{}", parts[3], parts[4]), 16).ok()?;
    Some(GUID {
        Data1: u32::from_str_radix(parts[0], 16).ok()?,
        Data2: u16::from_str_radix(parts[1], 16).ok()?,
        Data3: u16::from_str_radix(parts[2], 16).ok()?,
        Data4: tail.to_be_bytes(),
    })
}

/// Stores an address's text, terminated, and returns where it ends.
fn store_wide(text: &str, to: *mut u16) -> *mut u16 {
    let units: Vec<u16> = text.encode_utf16().collect();
    guest::store_many(to, &units);
    let end = to.wrapping_add(units.len());
    guest::store(end, 0);
    end
}

fn store_narrow(text: &str, to: *mut u8) -> *mut u8 {
    guest::store_many(to, text.as_bytes());
    let end = to.wrapping_add(text.len());
    guest::store(end, 0);
    end
}

fn ipv4(from: *const [u8; 4]) -> String {
    Ipv4Addr::from(guest::load(from)).to_string()
}

fn ipv6(from: *const [u8; 16]) -> String {
    Ipv6Addr::from(guest::load(from)).to_string()
}

/// Reads `a.b.c.d` at the start of a text: the address and how many characters it took. Not strict: fewer parts are
/// allowed, the last then fills the rest.
fn parse_ipv4(text: &[u16], strict: bool) -> Option<([u8; 4], usize)> {
    let text: String = text
        .iter()
        .map_while(|&unit| char::from_u32(unit.into()).filter(char::is_ascii))
        .collect();
    let len = text
        .find(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != 'x' && c != 'X')
        .unwrap_or(text.len());
    let parts: Vec<&str> = text[..len].split('.').collect();
    if parts.len() > 4 || strict && parts.len() != 4 {
        return None;
    }
    let part = |text: &str| {
        if strict {
            let plain = text.len() == 1 || !text.starts_with('0');
            return text.parse::<u64>().ok().filter(|_| plain);
        }
        match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
            None => text.parse().ok(),
        }
    };
    let values: Vec<u64> = parts.iter().map(|text| part(text)).collect::<Option<_>>()?;
    let (last, first) = values.split_last()?;
    let free = 8 * (4 - first.len() as u32);
    if first.iter().any(|&value| value > 255) || *last >> free != 0 {
        return None;
    }
    let high = first.iter().fold(0u64, |all, value| all << 8 | value);
    Some((((high << free | last) as u32).to_be_bytes(), len))
}

fn ipv4_from<T: Copy>(
    text: *const T,
    units: &[u16],
    strict: u8,
    end: *mut *const T,
    to: *mut [u8; 4],
) -> NTSTATUS {
    match parse_ipv4(units, strict != 0) {
        Some((address, len)) => {
            guest::store(to, address);
            guest::store(end, text.wrapping_add(len));
            STATUS_SUCCESS
        }
        None => {
            guest::store(end, text);
            STATUS_INVALID_PARAMETER
        }
    }
}

/// The step of the run-time library's documented generators.
fn uniform(seed: u32) -> u32 {
    ((u64::from(seed) * 0x7fff_ffed + 0x7fff_ffc3) % 0x7fff_ffff) as u32
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// A new random GUID.
    #[irql(PASSIVE)]
    fn ExUuidCreate(to: *mut GUID) -> NTSTATUS {
        let (a, b) = (kernel().random.next(), kernel().random.next());
        guest::store(to, GUID {
            Data1: a as u32,
            Data2: (a >> 32) as u16,
            // Version 4, variant 1: random.
            Data3: (a >> 48) as u16 & 0x0fff | 0x4000,
            Data4: (b & !(0xc0 << 56) | 0x80 << 56).to_be_bytes(),
        });
        STATUS_SUCCESS
    }

    /// Writes a GUID into a string with a buffer of its own.
    #[irql(PASSIVE)]
    fn RtlStringFromGUID(guid: *const GUID, to: *mut UNICODE_STRING) -> NTSTATUS {
        let text = guid_text(&guest::load(guid));
        let bytes = text.len() * 2 + 2;
        let request = Request::from_pool_type(1, bytes, u32::from_le_bytes(*b"RtlS"));
        let buffer: *mut u16 = pool::allocate("RtlStringFromGUID", request).cast();
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        store_wide(&text, buffer);
        let string = UNICODE_STRING { Length: bytes as u16 - 2, MaximumLength: bytes as u16, Buffer: buffer };
        guest::store(to, string);
        STATUS_SUCCESS
    }

    /// Reads a GUID in braces.
    #[irql(PASSIVE)]
    fn RtlGUIDFromString(from: *const UNICODE_STRING, to: *mut GUID) -> NTSTATUS {
        match parse_guid(&String::from_utf16_lossy(&load_unicode(from))) {
            Some(guid) => {
                guest::store(to, guid);
                STATUS_SUCCESS
            }
            None => STATUS_INVALID_PARAMETER,
        }
    }

    /// Writes an IPv4 address; returns where the text ends.
    #[irql(ANY)]
    fn RtlIpv4AddressToStringW(address: *const [u8; 4], to: *mut u16) -> *mut u16 {
        store_wide(&ipv4(address), to)
    }

    /// Writes an IPv4 address; returns where the text ends.
    #[irql(ANY)]
    fn RtlIpv4AddressToStringA(address: *const [u8; 4], to: *mut u8) -> *mut u8 {
        store_narrow(&ipv4(address), to)
    }

    /// Writes an IPv6 address; returns where the text ends.
    #[irql(ANY)]
    fn RtlIpv6AddressToStringW(address: *const [u8; 16], to: *mut u16) -> *mut u16 {
        store_wide(&ipv6(address), to)
    }

    /// Writes an IPv6 address; returns where the text ends.
    #[irql(ANY)]
    fn RtlIpv6AddressToStringA(address: *const [u8; 16], to: *mut u8) -> *mut u8 {
        store_narrow(&ipv6(address), to)
    }

    /// Reads an IPv4 address.
    #[irql(ANY)]
    fn RtlIpv4StringToAddressW(text: *const u16, strict: u8, end: *mut *const u16, to: *mut [u8; 4]) -> NTSTATUS {
        ipv4_from(text, &guest::load_terminated(text), strict, end, to)
    }

    /// Reads an IPv4 address.
    #[irql(ANY)]
    fn RtlIpv4StringToAddressA(text: *const u8, strict: u8, end: *mut *const u8, to: *mut [u8; 4]) -> NTSTATUS {
        let units: Vec<u16> = guest::load_terminated(text).into_iter().map(u16::from).collect();
        ipv4_from(text, &units, strict, end, to)
    }

    /// The next number of a sequence, below 2^31 - 1.
    #[irql(APC)]
    fn RtlRandomEx(seed: *mut u32) -> u32 {
        let next = uniform(guest::load(seed));
        guest::store(seed, next);
        next
    }

    /// The next number of a sequence, below 2^31 - 1.
    #[irql(APC)]
    fn RtlRandom(seed: *mut u32) -> u32 {
        let next = uniform(guest::load(seed));
        guest::store(seed, next);
        next
    }

    /// The next number of a sequence, below 2^31 - 1.
    #[irql(ANY)]
    fn RtlUniform(seed: *mut u32) -> u32 {
        let next = uniform(guest::load(seed));
        guest::store(seed, next);
        next
    }
}

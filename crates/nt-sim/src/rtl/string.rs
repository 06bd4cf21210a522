//! Counted strings.

use std::cmp::Ordering;

use nt::sys::{
    NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_NAME_TOO_LONG, STATUS_NO_MEMORY, STATUS_SUCCESS, STRING, UNICODE_STRING,
};

use super::text::{
    digits, downcase, from_ansi, load_ansi, load_unicode, parse_integer, store_ansi, store_unicode,
    to_ansi, upcase, upcase_byte,
};
use crate::ex::pool;
use crate::exports;
use crate::mem::caller::Tag;
use crate::mem::guest;
use crate::mem::pool::{PoolKind, Request};

/// Characters in the longest string with a terminator.
const MAX_UNITS: usize = 0x7ffe;

/// The tag of strings that the functions here allocate.
const STRING_TAG: Tag = Tag::new(b"RtlS");

fn allocate(function: &'static str, bytes: usize) -> *mut u8 {
    let kind = PoolKind {
        paged: true,
        executable: false,
    };
    let request = Request {
        size: bytes.max(1),
        tag: STRING_TAG,
        kind,
        zero: false,
        cache_aligned: false,
        raise: false,
    };
    pool::allocate(function, Ok(request))
}

fn ordering(order: Ordering) -> i32 {
    order as i32
}

fn folded(text: Vec<u16>, ignore_case: u8) -> Vec<u16> {
    if ignore_case == 0 {
        text
    } else {
        text.into_iter().map(upcase).collect()
    }
}

fn folded_bytes(text: Vec<u8>, ignore_case: u8) -> Vec<u8> {
    if ignore_case == 0 {
        text
    } else {
        text.into_iter().map(upcase_byte).collect()
    }
}

fn unicode_of(text: *const u16) -> Option<UNICODE_STRING> {
    if text.is_null() {
        return Some(UNICODE_STRING::zeroed());
    }
    let len = guest::load_terminated(text).len();
    (len <= MAX_UNITS).then(|| UNICODE_STRING {
        Length: len as u16 * 2,
        MaximumLength: len as u16 * 2 + 2,
        Buffer: text.cast_mut(),
    })
}

fn ansi_of(text: *const u8) -> STRING {
    if text.is_null() {
        return STRING::zeroed();
    }
    // Longer strings are cut, as in Windows.
    let len = guest::load_terminated(text).len().min(0xfffe);
    STRING {
        Length: len as u16,
        MaximumLength: len as u16 + 1,
        Buffer: text.cast_mut(),
    }
}

/// Gives a string its text, in a buffer of its own if asked.
fn assign_unicode(
    function: &'static str,
    to: *mut UNICODE_STRING,
    text: &[u16],
    allocated: bool,
) -> NTSTATUS {
    if text.len() > MAX_UNITS {
        return STATUS_INVALID_PARAMETER;
    }
    if allocated {
        let bytes = text.len() * 2 + 2;
        let buffer = allocate(function, bytes);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        guest::store(
            to,
            UNICODE_STRING {
                Length: 0,
                MaximumLength: bytes as u16,
                Buffer: buffer.cast(),
            },
        );
    }
    if store_unicode(to, text) {
        STATUS_SUCCESS
    } else {
        STATUS_BUFFER_OVERFLOW
    }
}

fn assign_ansi(function: &'static str, to: *mut STRING, text: &[u8], allocated: bool) -> NTSTATUS {
    if text.len() > 0xfffe {
        return STATUS_INVALID_PARAMETER;
    }
    if allocated {
        let buffer = allocate(function, text.len() + 1);
        if buffer.is_null() {
            return STATUS_NO_MEMORY;
        }
        guest::store(
            to,
            STRING {
                Length: 0,
                MaximumLength: text.len() as u16 + 1,
                Buffer: buffer,
            },
        );
    } else if usize::from(guest::load(to).MaximumLength) < text.len() + 1 {
        // What fits is stored, and terminated.
        let room = usize::from(guest::load(to).MaximumLength).saturating_sub(1);
        store_ansi(to, &text[..room.min(text.len())]);
        return STATUS_BUFFER_OVERFLOW;
    }
    if store_ansi(to, text) {
        STATUS_SUCCESS
    } else {
        STATUS_BUFFER_OVERFLOW
    }
}

fn append(to: *mut UNICODE_STRING, text: &[u16]) -> NTSTATUS {
    let mut all = load_unicode(to);
    all.extend_from_slice(text);
    if all.len() <= MAX_UNITS && store_unicode(to, &all) {
        STATUS_SUCCESS
    } else {
        STATUS_BUFFER_TOO_SMALL
    }
}

/// Bytes that a conversion writes, at most `room`, and how many there would be.
fn convert_into<T: Copy>(to: *mut T, room: u32, written: *mut u32, text: &[T]) -> NTSTATUS {
    let fits = (room as usize / size_of::<T>()).min(text.len());
    guest::store_many(to, &text[..fits]);
    if !written.is_null() {
        guest::store(written, (fits * size_of::<T>()) as u32);
    }
    if fits < text.len() {
        STATUS_BUFFER_TOO_SMALL
    } else {
        STATUS_SUCCESS
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Points a counted string at a terminated one.
    #[irql(DISPATCH)]
    fn RtlInitUnicodeString(to: *mut UNICODE_STRING, text: *const u16) {
        // Longer text is cut, as in Windows.
        let cut = UNICODE_STRING { Length: 0xfffc, MaximumLength: 0xfffe, Buffer: text.cast_mut() };
        guest::store(to, unicode_of(text).unwrap_or(cut));
    }

    /// Points a counted string at a terminated one that is not too long.
    #[irql(DISPATCH)]
    fn RtlInitUnicodeStringEx(to: *mut UNICODE_STRING, text: *const u16) -> NTSTATUS {
        match unicode_of(text) {
            Some(string) => {
                guest::store(to, string);
                STATUS_SUCCESS
            }
            None => STATUS_NAME_TOO_LONG,
        }
    }

    /// Points a counted string at a terminated one.
    #[irql(DISPATCH)]
    fn RtlInitString(to: *mut STRING, text: *const u8) {
        guest::store(to, ansi_of(text));
    }

    /// Points a counted string at a terminated one.
    #[irql(DISPATCH)]
    fn RtlInitAnsiString(to: *mut STRING, text: *const u8) {
        guest::store(to, ansi_of(text));
    }

    /// Whether two strings are equal.
    #[irql(PASSIVE)]
    fn RtlEqualUnicodeString(a: *const UNICODE_STRING, b: *const UNICODE_STRING, ignore_case: u8) -> u8 {
        (folded(load_unicode(a), ignore_case) == folded(load_unicode(b), ignore_case)).into()
    }

    /// Compares two strings by their characters' numbers.
    #[irql(PASSIVE)]
    fn RtlCompareUnicodeString(a: *const UNICODE_STRING, b: *const UNICODE_STRING, ignore_case: u8) -> i32 {
        ordering(folded(load_unicode(a), ignore_case).cmp(&folded(load_unicode(b), ignore_case)))
    }

    /// Whether the second string starts with the first.
    #[irql(PASSIVE)]
    fn RtlPrefixUnicodeString(prefix: *const UNICODE_STRING, text: *const UNICODE_STRING, ignore_case: u8) -> u8 {
        folded(load_unicode(text), ignore_case).starts_with(&folded(load_unicode(prefix), ignore_case)).into()
    }

    /// Whether the second string ends with the first.
    #[irql(PASSIVE)]
    fn RtlSuffixUnicodeString(suffix: *const UNICODE_STRING, text: *const UNICODE_STRING, ignore_case: u8) -> u8 {
        folded(load_unicode(text), ignore_case).ends_with(&folded(load_unicode(suffix), ignore_case)).into()
    }

    /// Whether two strings are equal.
    #[irql(PASSIVE)]
    fn RtlEqualString(a: *const STRING, b: *const STRING, ignore_case: u8) -> u8 {
        (folded_bytes(load_ansi(a), ignore_case) == folded_bytes(load_ansi(b), ignore_case)).into()
    }

    /// Compares two strings by their bytes.
    #[irql(PASSIVE)]
    fn RtlCompareString(a: *const STRING, b: *const STRING, ignore_case: u8) -> i32 {
        ordering(folded_bytes(load_ansi(a), ignore_case).cmp(&folded_bytes(load_ansi(b), ignore_case)))
    }

    /// Whether the second string starts with the first.
    #[irql(PASSIVE)]
    fn RtlPrefixString(prefix: *const STRING, text: *const STRING, ignore_case: u8) -> u8 {
        folded_bytes(load_ansi(text), ignore_case).starts_with(&folded_bytes(load_ansi(prefix), ignore_case)).into()
    }

    /// Copies as much as fits.
    #[irql(ANY)]
    fn RtlCopyUnicodeString(to: *mut UNICODE_STRING, from: *const UNICODE_STRING) {
        let text = if from.is_null() { Vec::new() } else { load_unicode(from) };
        let room = usize::from(guest::load(to).MaximumLength / 2);
        store_unicode(to, &text[..room.min(text.len())]);
    }

    /// Copies as much as fits.
    #[irql(ANY)]
    fn RtlCopyString(to: *mut STRING, from: *const STRING) {
        let text = if from.is_null() { Vec::new() } else { load_ansi(from) };
        let room = usize::from(guest::load(to).MaximumLength);
        store_ansi(to, &text[..room.min(text.len())]);
    }

    /// Appends a terminated string.
    #[irql(PASSIVE)]
    fn RtlAppendUnicodeToString(to: *mut UNICODE_STRING, text: *const u16) -> NTSTATUS {
        if text.is_null() { STATUS_SUCCESS } else { append(to, &guest::load_terminated(text)) }
    }

    /// Appends a counted string.
    #[irql(PASSIVE)]
    fn RtlAppendUnicodeStringToString(to: *mut UNICODE_STRING, text: *const UNICODE_STRING) -> NTSTATUS {
        append(to, &load_unicode(text))
    }

    /// The upper-case form of a character.
    #[irql(APC)]
    fn RtlUpcaseUnicodeChar(unit: u16) -> u16 {
        upcase(unit)
    }

    /// The lower-case form of a character.
    #[irql(APC)]
    fn RtlDowncaseUnicodeChar(unit: u16) -> u16 {
        downcase(unit)
    }

    /// The upper-case form of a byte.
    #[irql(ANY)]
    fn RtlUpperChar(byte: u8) -> u8 {
        upcase_byte(byte)
    }

    /// Copies in upper case.
    #[irql(PASSIVE)]
    fn RtlUpcaseUnicodeString(to: *mut UNICODE_STRING, from: *const UNICODE_STRING, allocate: u8) -> NTSTATUS {
        let text: Vec<u16> = load_unicode(from).into_iter().map(upcase).collect();
        assign_unicode("RtlUpcaseUnicodeString", to, &text, allocate != 0)
    }

    /// Copies in lower case.
    #[irql(PASSIVE)]
    fn RtlDowncaseUnicodeString(to: *mut UNICODE_STRING, from: *const UNICODE_STRING, allocate: u8) -> NTSTATUS {
        let text: Vec<u16> = load_unicode(from).into_iter().map(downcase).collect();
        assign_unicode("RtlDowncaseUnicodeString", to, &text, allocate != 0)
    }

    /// Widens a string.
    #[irql(PASSIVE)]
    fn RtlAnsiStringToUnicodeString(to: *mut UNICODE_STRING, from: *const STRING, allocate: u8) -> NTSTATUS {
        assign_unicode("RtlAnsiStringToUnicodeString", to, &from_ansi(&load_ansi(from)), allocate != 0)
    }

    /// Narrows a string.
    #[irql(PASSIVE)]
    fn RtlUnicodeStringToAnsiString(to: *mut STRING, from: *const UNICODE_STRING, allocate: u8) -> NTSTATUS {
        assign_ansi("RtlUnicodeStringToAnsiString", to, &to_ansi(&load_unicode(from)), allocate != 0)
    }

    /// Bytes that a string takes when widened, with its terminator.
    #[irql(PASSIVE)]
    fn RtlxAnsiStringToUnicodeSize(from: *const STRING) -> u32 {
        u32::from(guest::load(from).Length) * 2 + 2
    }

    /// Bytes that a string takes when narrowed, with its terminator.
    #[irql(PASSIVE)]
    fn RtlxUnicodeStringToAnsiSize(from: *const UNICODE_STRING) -> u32 {
        u32::from(guest::load(from).Length / 2) + 1
    }

    /// Frees the buffer of a string that a function here allocated.
    #[irql(PASSIVE)]
    fn RtlFreeUnicodeString(string: *mut UNICODE_STRING) {
        let buffer = guest::load(string).Buffer;
        if !buffer.is_null() {
            pool::free("RtlFreeUnicodeString", buffer.cast(), None);
            guest::store(string, UNICODE_STRING::zeroed());
        }
    }

    /// Frees the buffer of a string that a function here allocated.
    #[irql(APC)]
    fn RtlFreeAnsiString(string: *mut STRING) {
        let buffer = guest::load(string).Buffer;
        if !buffer.is_null() {
            pool::free("RtlFreeAnsiString", buffer, None);
            guest::store(string, STRING::zeroed());
        }
    }

    /// Copies a string into a buffer of its own.
    #[irql(PASSIVE)]
    fn RtlDuplicateUnicodeString(_flags: u32, from: *const UNICODE_STRING, to: *mut UNICODE_STRING) -> NTSTATUS {
        assign_unicode("RtlDuplicateUnicodeString", to, &load_unicode(from), true)
    }

    /// A hash of a string (the x65599 algorithm).
    #[irql(PASSIVE)]
    fn RtlHashUnicodeString(from: *const UNICODE_STRING, ignore_case: u8, algorithm: u32, hash: *mut u32) -> NTSTATUS {
        const DEFAULT: u32 = 0;
        const X65599: u32 = 1;
        if algorithm != DEFAULT && algorithm != X65599 {
            return STATUS_INVALID_PARAMETER;
        }
        let text = folded(load_unicode(from), ignore_case);
        let value = text.iter().fold(0u32, |hash, &unit| hash.wrapping_mul(65599).wrapping_add(unit.into()));
        guest::store(hash, value);
        STATUS_SUCCESS
    }

    /// Writes a number.
    #[irql(PASSIVE)]
    fn RtlIntegerToUnicodeString(value: u32, base: u32, to: *mut UNICODE_STRING) -> NTSTATUS {
        match digits(value.into(), base) {
            Some(text) => assign_unicode("RtlIntegerToUnicodeString", to, &text, false),
            None => STATUS_INVALID_PARAMETER,
        }
    }

    /// Writes a number.
    #[irql(PASSIVE)]
    fn RtlInt64ToUnicodeString(value: u64, base: u32, to: *mut UNICODE_STRING) -> NTSTATUS {
        match digits(value, base) {
            Some(text) => assign_unicode("RtlInt64ToUnicodeString", to, &text, false),
            None => STATUS_INVALID_PARAMETER,
        }
    }

    /// Reads a number.
    #[irql(PASSIVE)]
    fn RtlUnicodeStringToInteger(from: *const UNICODE_STRING, base: u32, value: *mut u32) -> NTSTATUS {
        match parse_integer(&load_unicode(from), base) {
            Some(parsed) => {
                guest::store(value, parsed);
                STATUS_SUCCESS
            }
            None => STATUS_INVALID_PARAMETER,
        }
    }

    /// Reads a number from a terminated string.
    #[irql(PASSIVE)]
    fn RtlCharToInteger(from: *const u8, base: u32, value: *mut u32) -> NTSTATUS {
        match parse_integer(&from_ansi(&guest::load_terminated(from)), base) {
            Some(parsed) => {
                guest::store(value, parsed);
                STATUS_SUCCESS
            }
            None => STATUS_INVALID_PARAMETER,
        }
    }

    /// Narrows characters.
    #[irql(PASSIVE)]
    fn RtlUnicodeToMultiByteN(to: *mut u8, room: u32, written: *mut u32, from: *const u16, bytes: u32) -> NTSTATUS {
        let text = to_ansi(&guest::load_many(from, bytes as usize / 2));
        convert_into(to, room, written, &text);
        STATUS_SUCCESS
    }

    /// Widens characters.
    #[irql(PASSIVE)]
    fn RtlMultiByteToUnicodeN(to: *mut u16, room: u32, written: *mut u32, from: *const u8, bytes: u32) -> NTSTATUS {
        let text = from_ansi(&guest::load_many(from, bytes as usize));
        convert_into(to, room, written, &text);
        STATUS_SUCCESS
    }

    /// Encodes characters as UTF-8.
    #[irql(PASSIVE)]
    fn RtlUnicodeToUTF8N(to: *mut u8, room: u32, written: *mut u32, from: *const u16, bytes: u32) -> NTSTATUS {
        let text = String::from_utf16_lossy(&guest::load_many(from, bytes as usize / 2));
        if to.is_null() {
            guest::store(written, text.len() as u32);
            return STATUS_SUCCESS;
        }
        convert_into(to, room, written, text.as_bytes())
    }

    /// Decodes UTF-8.
    #[irql(PASSIVE)]
    fn RtlUTF8ToUnicodeN(to: *mut u16, room: u32, written: *mut u32, from: *const u8, bytes: u32) -> NTSTATUS {
        let bytes = guest::load_many(from, bytes as usize);
        let text: Vec<u16> = String::from_utf8_lossy(&bytes).encode_utf16().collect();
        if to.is_null() {
            guest::store(written, text.len() as u32 * 2);
            return STATUS_SUCCESS;
        }
        convert_into(to, room, written, &text)
    }
}

//! The printf family.

use super::format::{Arguments, format};
use crate::exports;
use crate::mem::guest;

/// What the functions without a safe variant return when the text does not fit.
const TOO_LONG: i32 = -1;

/// Count that means "as much as fits" in the `_s` functions.
const TRUNCATE: usize = usize::MAX;

fn narrow(text: &[u16]) -> Vec<u8> {
    text.iter().map(|&unit| unit as u8).collect()
}

pub(super) fn format_wide(text: *const u16, arguments: &mut Arguments<'_>) -> Vec<u16> {
    format(&guest::load_terminated(text), arguments, true)
}

pub(super) fn format_narrow(text: *const u8, arguments: &mut Arguments<'_>) -> Vec<u8> {
    let units: Vec<u16> = guest::load_terminated(text)
        .into_iter()
        .map(u16::from)
        .collect();
    narrow(&format(&units, arguments, false))
}

/// Stores as `_snprintf` does: no terminator when the text just fits, as much as fits when it does not.
fn store_counted<T: Copy + Default>(to: *mut T, count: usize, text: &[T]) -> i32 {
    if text.len() > count {
        guest::store_many(to, &text[..count]);
        return TOO_LONG;
    }
    guest::store_many(to, text);
    if text.len() < count {
        guest::store(to.wrapping_add(text.len()), T::default());
    }
    text.len() as i32
}

/// Stores as the `_s` functions do: always terminated; text that does not fit is an error unless it may be truncated.
fn store_safe<T: Copy + Default>(to: *mut T, room: usize, count: usize, text: &[T]) -> i32 {
    if to.is_null() || room == 0 {
        return TOO_LONG;
    }
    let wanted = text.len().min(count);
    let truncated = wanted < text.len();
    if wanted < room {
        guest::store_many(to, &text[..wanted]);
        guest::store(to.wrapping_add(wanted), T::default());
        return if truncated { TOO_LONG } else { wanted as i32 };
    }
    if count == TRUNCATE {
        guest::store_many(to, &text[..room - 1]);
        guest::store(to.wrapping_add(room - 1), T::default());
    } else {
        guest::store(to, T::default());
    }
    TOO_LONG
}

fn store_all<T: Copy + Default>(to: *mut T, text: &[T]) -> i32 {
    guest::store_many(to, text);
    guest::store(to.wrapping_add(text.len()), T::default());
    text.len() as i32
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Formats into at most `count` characters.
    #[irql(ANY)] #[hosted]
    fn _vsnwprintf(to: *mut u16, count: usize, text: *const u16, list: *const u64) -> i32 {
        store_counted(to, count, &format_wide(text, &mut Arguments::List(list)))
    }

    /// Formats into at most `count` bytes.
    #[irql(ANY)] #[hosted]
    fn _vsnprintf(to: *mut u8, count: usize, text: *const u8, list: *const u64) -> i32 {
        store_counted(to, count, &format_narrow(text, &mut Arguments::List(list)))
    }

    /// Formats into at most `count` characters.
    #[irql(ANY)] #[hosted]
    fn _snwprintf(
        to: *mut u16, count: usize, text: *const u16,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_counted(to, count, &format_wide(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats into at most `count` bytes.
    #[irql(ANY)] #[hosted]
    fn _snprintf(
        to: *mut u8, count: usize, text: *const u8,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_counted(to, count, &format_narrow(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn _vsnwprintf_s(to: *mut u16, room: usize, count: usize, text: *const u16, list: *const u64) -> i32 {
        store_safe(to, room, count, &format_wide(text, &mut Arguments::List(list)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn _vsnprintf_s(to: *mut u8, room: usize, count: usize, text: *const u8, list: *const u64) -> i32 {
        store_safe(to, room, count, &format_narrow(text, &mut Arguments::List(list)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn vswprintf_s(to: *mut u16, room: usize, text: *const u16, list: *const u64) -> i32 {
        store_safe(to, room, room, &format_wide(text, &mut Arguments::List(list)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn vsprintf_s(to: *mut u8, room: usize, text: *const u8, list: *const u64) -> i32 {
        store_safe(to, room, room, &format_narrow(text, &mut Arguments::List(list)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn swprintf_s(
        to: *mut u16, room: usize, text: *const u16,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_safe(to, room, room, &format_wide(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats, always terminated.
    #[irql(ANY)] #[hosted]
    fn sprintf_s(
        to: *mut u8, room: usize, text: *const u8,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_safe(to, room, room, &format_narrow(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats into memory that is large enough.
    #[irql(ANY)] #[hosted]
    fn sprintf(
        to: *mut u8, text: *const u8,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_all(to, &format_narrow(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats into memory that is large enough.
    #[irql(ANY)] #[hosted]
    fn swprintf(
        to: *mut u16, text: *const u16,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    ) -> i32 {
        let slots = [a, b, c, d, e, f, g, h, i, j, k, l, m, n];
        store_all(to, &format_wide(text, &mut Arguments::Slots(&slots)))
    }

    /// Formats into memory that is large enough.
    #[irql(ANY)] #[hosted]
    fn vsprintf(to: *mut u8, text: *const u8, list: *const u64) -> i32 {
        store_all(to, &format_narrow(text, &mut Arguments::List(list)))
    }

    /// The number of characters that formatting gives.
    #[irql(ANY)] #[hosted]
    fn _vscwprintf(text: *const u16, list: *const u64) -> i32 {
        format_wide(text, &mut Arguments::List(list)).len() as i32
    }

    /// The number of bytes that formatting gives.
    #[irql(ANY)] #[hosted]
    fn _vscprintf(text: *const u8, list: *const u64) -> i32 {
        format_narrow(text, &mut Arguments::List(list)).len() as i32
    }
}

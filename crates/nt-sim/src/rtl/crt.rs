//! C library functions on terminated strings, characters and arrays.

use super::text::{downcase, upcase};
use crate::exports;
use crate::invoke;
use crate::mem::{guest, raw};

const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// A character of either width.
trait Unit: Copy + Default + Ord + Into<u32> {
    fn lower(self) -> Self;
}

impl Unit for u8 {
    fn lower(self) -> Self {
        self.to_ascii_lowercase()
    }
}

impl Unit for u16 {
    fn lower(self) -> Self {
        downcase(self)
    }
}

fn at<T: Unit>(text: *const T, index: usize) -> T {
    guest::load(text.wrapping_add(index))
}

fn len<T: Unit>(text: *const T, limit: usize) -> usize {
    (0..limit)
        .find(|&index| at(text, index) == T::default())
        .unwrap_or(limit)
}

/// Compares up to `limit` characters: negative, zero or positive.
fn compare<T: Unit>(a: *const T, b: *const T, limit: usize, ignore_case: bool) -> i32 {
    for index in 0..limit {
        let (mut x, mut y) = (at(a, index), at(b, index));
        if ignore_case {
            (x, y) = (x.lower(), y.lower());
        }
        if x != y || x == T::default() {
            return x.cmp(&y) as i32;
        }
    }
    0
}

fn find<T: Unit>(text: *const T, wanted: T) -> *const T {
    let end = len(text, usize::MAX);
    (0..=end)
        .find(|&index| at(text, index) == wanted)
        .map_or(std::ptr::null(), |index| text.wrapping_add(index))
}

fn find_last<T: Unit>(text: *const T, wanted: T) -> *const T {
    let end = len(text, usize::MAX);
    (0..=end)
        .rev()
        .find(|&index| at(text, index) == wanted)
        .map_or(std::ptr::null(), |index| text.wrapping_add(index))
}

fn find_text<T: Unit>(text: *const T, wanted: *const T) -> *const T {
    let (text_units, wanted) = (guest::load_terminated(text), guest::load_terminated(wanted));
    if wanted.is_empty() {
        return text;
    }
    text_units
        .windows(wanted.len())
        .position(|window| window == wanted)
        .map_or(std::ptr::null(), |index| text.wrapping_add(index))
}

fn copy<T: Unit>(to: *mut T, from: *const T) -> *mut T {
    let mut text = guest::load_terminated(from);
    text.push(T::default());
    guest::store_many(to, &text);
    to
}

/// Copies at most `count` characters and fills the rest with zeros.
fn copy_counted<T: Unit>(to: *mut T, from: *const T, count: usize) -> *mut T {
    let mut text = guest::load_many(from, len(from, count));
    text.resize(count, T::default());
    guest::store_many(to, &text);
    to
}

/// The safe functions: what does not fit empties the target and is an error.
fn copy_safe<T: Unit>(to: *mut T, room: usize, offset: usize, from: *const T, count: usize) -> i32 {
    const TRUNCATE: usize = usize::MAX;
    const STRUNCATE: i32 = 80;
    if to.is_null() || room == 0 {
        return EINVAL;
    }
    if from.is_null() || offset >= room {
        guest::store(to, T::default());
        return EINVAL;
    }
    let rest = room - offset;
    let wanted = len(from, count.min(rest));
    let target = to.wrapping_add(offset);
    if wanted < rest {
        guest::store_many(target, &guest::load_many(from, wanted));
        guest::store(target.wrapping_add(wanted), T::default());
        return 0;
    }
    if count == TRUNCATE {
        guest::store_many(target, &guest::load_many(from, rest - 1));
        guest::store(target.wrapping_add(rest - 1), T::default());
        return STRUNCATE;
    }
    guest::store(to, T::default());
    ERANGE
}

/// For the copying functions, whose sources are as long as they are.
const NO_LIMIT: usize = usize::MAX - 1;

fn append_safe<T: Unit>(to: *mut T, room: usize, from: *const T, count: usize) -> i32 {
    if to.is_null() || room == 0 {
        return EINVAL;
    }
    copy_safe(to, room, len(to.cast_const(), room), from, count)
}

/// Reads an integer; returns its value and how many characters it took.
fn integer<T: Unit>(text: *const T, base: u32) -> (i64, usize) {
    let get = |index: usize| char::from_u32(at(text, index).into()).unwrap_or('\0');
    let mut index = (0..)
        .take_while(|&index| get(index).is_ascii_whitespace())
        .count();
    let negative = get(index) == '-';
    if matches!(get(index), '-' | '+') {
        index += 1;
    }
    let hexadecimal = get(index) == '0' && matches!(get(index + 1), 'x' | 'X');
    let base = match base {
        0 if hexadecimal => 16,
        0 if get(index) == '0' => 8,
        0 => 10,
        base => base.clamp(2, 36),
    };
    if base == 16 && hexadecimal {
        index += 2;
    }
    let start = index;
    let mut value = 0i64;
    while let Some(digit) = get(index).to_digit(base) {
        value = value
            .saturating_mul(base.into())
            .saturating_add(digit.into());
        index += 1;
    }
    let taken = if index == start { 0 } else { index };
    (if negative { -value } else { value }, taken)
}

fn parse<T: Unit>(text: *const T, end: *mut *const T, base: i32) -> i64 {
    let (value, taken) = integer(text, base as u32);
    if !end.is_null() {
        guest::store(end, text.wrapping_add(taken));
    }
    value
}

/// Swaps two elements of an array.
fn swap(a: usize, b: usize, size: usize) {
    let first = raw::bytes(a, size);
    raw::copy(a, b, size);
    raw::write(b, &first);
}

/// Sorts in place with the driver's comparison (a heap sort: no memory, no bad cases).
fn sort(base: usize, count: usize, size: usize, compare: *const ()) {
    if count < 2 || size == 0 {
        return;
    }
    let element = |index: usize| base + index * size;
    let less = |a: usize, b: usize| (invoke!(compare, element(a), element(b)) as i32) < 0;
    let sift = |mut root: usize, end: usize| {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && less(child, child + 1) {
                child += 1;
            }
            if !less(root, child) {
                return;
            }
            swap(element(root), element(child), size);
            root = child;
        }
    };
    for root in (0..count / 2).rev() {
        sift(root, count);
    }
    for end in (1..count).rev() {
        swap(element(0), element(end), size);
        sift(0, end);
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Length of a string.
    #[irql(ANY)] #[hosted]
    fn strlen(text: *const u8) -> usize {
        len(text, usize::MAX)
    }

    /// Length of a string, up to a limit.
    #[irql(ANY)] #[hosted]
    fn strnlen(text: *const u8, limit: usize) -> usize {
        len(text, limit)
    }

    /// Length of a string.
    #[irql(ANY)] #[hosted]
    fn wcslen(text: *const u16) -> usize {
        len(text, usize::MAX)
    }

    /// Length of a string, up to a limit.
    #[irql(ANY)] #[hosted]
    fn wcsnlen(text: *const u16, limit: usize) -> usize {
        len(text, limit)
    }

    /// Compares strings.
    #[irql(ANY)] #[hosted]
    fn strcmp(a: *const u8, b: *const u8) -> i32 {
        compare(a, b, usize::MAX, false)
    }

    /// Compares strings, up to a limit.
    #[irql(ANY)] #[hosted]
    fn strncmp(a: *const u8, b: *const u8, limit: usize) -> i32 {
        compare(a, b, limit, false)
    }

    /// Compares strings without case.
    #[irql(ANY)] #[hosted]
    fn _stricmp(a: *const u8, b: *const u8) -> i32 {
        compare(a, b, usize::MAX, true)
    }

    /// Compares strings without case, up to a limit.
    #[irql(ANY)] #[hosted]
    fn _strnicmp(a: *const u8, b: *const u8, limit: usize) -> i32 {
        compare(a, b, limit, true)
    }

    /// Compares strings.
    #[irql(ANY)] #[hosted]
    fn wcscmp(a: *const u16, b: *const u16) -> i32 {
        compare(a, b, usize::MAX, false)
    }

    /// Compares strings, up to a limit.
    #[irql(ANY)] #[hosted]
    fn wcsncmp(a: *const u16, b: *const u16, limit: usize) -> i32 {
        compare(a, b, limit, false)
    }

    /// Compares strings without case.
    #[irql(ANY)] #[hosted]
    fn _wcsicmp(a: *const u16, b: *const u16) -> i32 {
        compare(a, b, usize::MAX, true)
    }

    /// Compares strings without case, up to a limit.
    #[irql(ANY)] #[hosted]
    fn _wcsnicmp(a: *const u16, b: *const u16, limit: usize) -> i32 {
        compare(a, b, limit, true)
    }

    /// Finds a character.
    #[irql(ANY)] #[hosted]
    fn strchr(text: *const u8, wanted: i32) -> *const u8 {
        find(text, wanted as u8)
    }

    /// Finds a character from the end.
    #[irql(ANY)] #[hosted]
    fn strrchr(text: *const u8, wanted: i32) -> *const u8 {
        find_last(text, wanted as u8)
    }

    /// Finds a string in another.
    #[irql(ANY)] #[hosted]
    fn strstr(text: *const u8, wanted: *const u8) -> *const u8 {
        find_text(text, wanted)
    }

    /// Finds a character.
    #[irql(ANY)] #[hosted]
    fn wcschr(text: *const u16, wanted: u16) -> *const u16 {
        find(text, wanted)
    }

    /// Finds a character from the end.
    #[irql(ANY)] #[hosted]
    fn wcsrchr(text: *const u16, wanted: u16) -> *const u16 {
        find_last(text, wanted)
    }

    /// Finds a string in another.
    #[irql(ANY)] #[hosted]
    fn wcsstr(text: *const u16, wanted: *const u16) -> *const u16 {
        find_text(text, wanted)
    }

    /// Copies a string.
    #[irql(ANY)] #[hosted]
    fn strcpy(to: *mut u8, from: *const u8) -> *mut u8 {
        copy(to, from)
    }

    /// Copies a string, cut or filled to a length.
    #[irql(ANY)] #[hosted]
    fn strncpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        copy_counted(to, from, count)
    }

    /// Appends a string.
    #[irql(ANY)] #[hosted]
    fn strcat(to: *mut u8, from: *const u8) -> *mut u8 {
        copy(to.wrapping_add(len(to.cast_const(), usize::MAX)), from);
        to
    }

    /// Copies a string.
    #[irql(ANY)] #[hosted]
    fn wcscpy(to: *mut u16, from: *const u16) -> *mut u16 {
        copy(to, from)
    }

    /// Copies a string, cut or filled to a length.
    #[irql(ANY)] #[hosted]
    fn wcsncpy(to: *mut u16, from: *const u16, count: usize) -> *mut u16 {
        copy_counted(to, from, count)
    }

    /// Appends a string.
    #[irql(ANY)] #[hosted]
    fn wcscat(to: *mut u16, from: *const u16) -> *mut u16 {
        copy(to.wrapping_add(len(to.cast_const(), usize::MAX)), from);
        to
    }

    /// Copies a string that must fit.
    #[irql(ANY)] #[hosted]
    fn strcpy_s(to: *mut u8, room: usize, from: *const u8) -> i32 {
        copy_safe(to, room, 0, from, NO_LIMIT)
    }

    /// Copies up to `count` characters that must fit.
    #[irql(ANY)] #[hosted]
    fn strncpy_s(to: *mut u8, room: usize, from: *const u8, count: usize) -> i32 {
        copy_safe(to, room, 0, from, count)
    }

    /// Appends a string that must fit.
    #[irql(ANY)] #[hosted]
    fn strcat_s(to: *mut u8, room: usize, from: *const u8) -> i32 {
        append_safe(to, room, from, NO_LIMIT)
    }

    /// Copies a string that must fit.
    #[irql(ANY)] #[hosted]
    fn wcscpy_s(to: *mut u16, room: usize, from: *const u16) -> i32 {
        copy_safe(to, room, 0, from, NO_LIMIT)
    }

    /// Copies up to `count` characters that must fit.
    #[irql(ANY)] #[hosted]
    fn wcsncpy_s(to: *mut u16, room: usize, from: *const u16, count: usize) -> i32 {
        copy_safe(to, room, 0, from, count)
    }

    /// Appends a string that must fit.
    #[irql(ANY)] #[hosted]
    fn wcscat_s(to: *mut u16, room: usize, from: *const u16) -> i32 {
        append_safe(to, room, from, NO_LIMIT)
    }

    /// Appends up to `count` characters that must fit.
    #[irql(ANY)] #[hosted]
    fn wcsncat_s(to: *mut u16, room: usize, from: *const u16, count: usize) -> i32 {
        append_safe(to, room, from, count)
    }

    /// Lower case.
    #[irql(ANY)] #[hosted]
    fn towlower(unit: u16) -> u16 {
        downcase(unit)
    }

    /// Upper case.
    #[irql(ANY)] #[hosted]
    fn towupper(unit: u16) -> u16 {
        upcase(unit)
    }

    /// Lower case.
    #[irql(ANY)] #[hosted]
    fn tolower(byte: i32) -> i32 {
        (byte as u8).to_ascii_lowercase().into()
    }

    /// Upper case.
    #[irql(ANY)] #[hosted]
    fn toupper(byte: i32) -> i32 {
        (byte as u8).to_ascii_uppercase().into()
    }

    /// Whether a byte is a digit.
    #[irql(ANY)] #[hosted]
    fn isdigit(byte: i32) -> i32 {
        (byte as u8).is_ascii_digit().into()
    }

    /// Whether a byte is white space.
    #[irql(ANY)] #[hosted]
    fn isspace(byte: i32) -> i32 {
        (matches!(byte as u8, b' ' | 9..=13)).into()
    }

    /// Whether a byte is a hexadecimal digit.
    #[irql(ANY)] #[hosted]
    fn isxdigit(byte: i32) -> i32 {
        (byte as u8).is_ascii_hexdigit().into()
    }

    /// Reads an integer.
    #[irql(ANY)] #[hosted]
    fn atoi(text: *const u8) -> i32 {
        integer(text, 10).0 as i32
    }

    /// Reads an integer.
    #[irql(ANY)] #[hosted]
    fn atol(text: *const u8) -> i32 {
        integer(text, 10).0 as i32
    }

    /// Reads an integer.
    #[irql(ANY)] #[hosted]
    fn _wtoi(text: *const u16) -> i32 {
        integer(text, 10).0 as i32
    }

    /// Reads an integer.
    #[irql(ANY)] #[hosted]
    fn _wtol(text: *const u16) -> i32 {
        integer(text, 10).0 as i32
    }

    /// Reads an integer and tells where it ends.
    #[irql(ANY)] #[hosted]
    fn strtoul(text: *const u8, end: *mut *const u8, base: i32) -> u32 {
        parse(text, end, base) as u32
    }

    /// Reads an integer and tells where it ends.
    #[irql(ANY)] #[hosted]
    fn strtol(text: *const u8, end: *mut *const u8, base: i32) -> i32 {
        parse(text, end, base) as i32
    }

    /// Reads an integer and tells where it ends.
    #[irql(ANY)] #[hosted]
    fn wcstoul(text: *const u16, end: *mut *const u16, base: i32) -> u32 {
        parse(text, end, base) as u32
    }

    /// Sorts an array with a comparison of the driver.
    #[irql(ANY)] #[hosted]
    fn qsort(base: usize, count: usize, size: usize, compare: *const ()) {
        sort(base, count, size, compare);
    }

    /// Finds an element of a sorted array with a comparison of the driver.
    #[irql(ANY)] #[hosted]
    fn bsearch(key: usize, base: usize, count: usize, size: usize, compare: *const ()) -> usize {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let element = base + middle * size;
            match invoke!(compare, key, element) as i32 {
                0 => return element,
                order if order < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        0
    }
}

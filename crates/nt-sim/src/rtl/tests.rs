//! The run-time library as drivers use it.

use nt::sys::{GUID, RTL_BITMAP, RTL_OSVERSIONINFOEXW, RTL_OSVERSIONINFOW, STRING, UNICODE_STRING};

use super::bitmap::*;
use super::convert::*;
use super::crt::*;
use super::debug::*;
use super::format::{Arguments, format};
use super::generic_table::*;
use super::hash_table::*;
use super::memory::*;
use super::print::*;
use super::status::*;
use super::string::*;
use super::version::*;
use crate::mem::testing::as_driver;
use crate::{Lab, LabError};

/// Runs driver code in a lab of its own; a broken rule fails the test.
fn driver(body: impl FnMut() -> u64) {
    let lab = Lab::boot().unwrap();
    match as_driver(&lab, body) {
        Ok(_) => {}
        Err(LabError::BugCheck(report)) => panic!("{report}"),
        Err(other) => panic!("{other}"),
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn unicode(text: &mut [u16]) -> UNICODE_STRING {
    let len = text.len() as u16 * 2;
    UNICODE_STRING {
        Length: len - 2,
        MaximumLength: len,
        Buffer: text.as_mut_ptr(),
    }
}

fn text_of(string: &UNICODE_STRING) -> String {
    String::from_utf16(&crate::mem::guest::load_many(
        string.Buffer,
        usize::from(string.Length / 2),
    ))
    .unwrap()
}

fn formatted(text: &str, arguments: &[u64], wide: bool) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    String::from_utf16(&format(&units, &mut Arguments::Slots(arguments), wide)).unwrap()
}

#[test]
fn formats_as_the_windows_library_does() {
    driver(|| {
        let minus = -5i32 as u32 as u64;
        let narrow = c"bytes".as_ptr() as u64;
        let wide_text = wide("units");
        let wide_at = wide_text.as_ptr() as u64;
        let mut counted = wide("counted");
        let string = unicode(&mut counted);
        let string_at = &raw const string as u64;
        let mut bytes = *b"ansi";
        let ansi = STRING {
            Length: 4,
            MaximumLength: 4,
            Buffer: bytes.as_mut_ptr(),
        };
        let ansi_at = &raw const ansi as u64;
        let cases: &[(&str, &[u64], &str)] = &[
            ("plain 100%%", &[], "plain 100%"),
            ("%d %i %u", &[minus, 7, minus], "-5 7 4294967291"),
            ("%I64d %lld", &[u64::MAX, u64::MAX], "-1 -1"),
            ("%ld", &[0xffff_ffff_0000_0001], "1"),
            ("%hd %hhu", &[0x1_8000, 0x1ff], "-32768 255"),
            (
                "%I64x|%Ix|%I32x",
                &[0x1_0000_0000, 0x2_0000_0000, 0x3_0000_0004],
                "100000000|200000000|4",
            ),
            (
                "[%5d|%-5d|%05d|%+d|% d]",
                &[42, 42, 42, 42, 42],
                "[   42|42   |00042|+42| 42]",
            ),
            ("%#x %#o %X", &[255, 8, 0xbeef], "0xff 010 BEEF"),
            ("%.3d|%8.3d|%.0d|", &[5, 5, 0], "005|     005||"),
            ("%*d|%-*d|", &[4, 1, 4, 2], "   1|2   |"),
            ("%p", &[0xdead_beef], "00000000DEADBEEF"),
            ("%c%C", &[u64::from(b'a'), u64::from(b'b')], "ab"),
            (
                "%hs %ws %ls %S",
                &[narrow, wide_at, wide_at, narrow],
                "bytes units units bytes",
            ),
            ("%.2ws|%7hs|", &[wide_at, narrow], "un|  bytes|"),
            ("%wZ %Z", &[string_at, ansi_at], "counted ansi"),
            ("%s %wZ", &[0, 0], "(null) (null)"),
            (
                "%f %.2e %g",
                &[1.5f64.to_bits(), 12345.0f64.to_bits(), 0.5f64.to_bits()],
                "1.500000 1.23e+004 0.5",
            ),
            ("%n%d", &[1, 2], "2"),
            ("%", &[], ""),
        ];
        for (text, arguments, expected) in cases {
            assert_eq!(formatted(text, arguments, true), *expected, "{text}");
        }
        assert_eq!(formatted("%s %S", &[narrow, wide_at], false), "bytes units");
        0
    });
}

#[test]
fn printing_into_buffers_keeps_their_bounds() {
    driver(|| {
        let text = wide("%d:%ws");
        let word = wide("abc");
        let list = [12u64, word.as_ptr() as u64];
        let print = |room: usize| {
            let mut to = [0xffffu16; 10];
            // SAFETY: a buffer of at least `room` units, a format and its arguments.
            let result =
                unsafe { _vsnwprintf(to.as_mut_ptr(), room, text.as_ptr(), list.as_ptr()) };
            (result, to)
        };
        let (result, to) = print(8);
        assert_eq!(
            (result, &to[..8]),
            (6, &[49, 50, 58, 97, 98, 99, 0, 0xffff][..])
        );
        let (result, to) = print(6);
        assert_eq!(
            (result, to[5], to[6]),
            (6, 99, 0xffff),
            "just fits: no terminator"
        );
        let (result, to) = print(5);
        assert_eq!((result, to[4], to[5]), (-1, 98, 0xffff));
        let mut safe = [1u8; 4];
        // SAFETY: a buffer of the given size.
        let result = unsafe {
            _vsnprintf_s(
                safe.as_mut_ptr(),
                4,
                usize::MAX,
                c"%d%d".as_ptr().cast(),
                [123u64, 45].as_ptr(),
            )
        };
        assert_eq!((result, safe), (-1, *b"123\0"), "truncated");
        0
    });
}

#[test]
fn messages_reach_the_lab() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        // SAFETY: a format and an argument for it.
        unsafe {
            DbgPrintEx(
                77,
                0,
                c"x=%u %s\n".as_ptr().cast(),
                5,
                c"y".as_ptr() as u64,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ) as u64
        }
    })
    .unwrap();
    let messages = lab.take_debug_messages();
    assert_eq!(
        (
            messages.len(),
            messages[0].component,
            messages[0].text.as_str()
        ),
        (1, 77, "x=5 y\n")
    );
    assert!(lab.take_debug_messages().is_empty());
}

#[test]
fn strings_compare_copy_and_convert() {
    driver(|| {
        let (mut a, mut b) = (wide("Hello"), wide("hELLO"));
        let (a, b) = (unicode(&mut a), unicode(&mut b));
        // SAFETY: counted strings.
        assert_eq!(unsafe { RtlEqualUnicodeString(&a, &b, 0) }, 0);
        // SAFETY: counted strings.
        assert_eq!(unsafe { RtlEqualUnicodeString(&a, &b, 1) }, 1);
        // SAFETY: counted strings.
        assert!(unsafe { RtlCompareUnicodeString(&a, &b, 0) } < 0);
        let mut buffer = [0xffffu16; 4];
        let mut small = UNICODE_STRING {
            Length: 0,
            MaximumLength: 8,
            Buffer: buffer.as_mut_ptr(),
        };
        // SAFETY: counted strings.
        unsafe { RtlCopyUnicodeString(&mut small, &a) };
        assert_eq!(text_of(&small), "Hell", "cut to fit");
        // SAFETY: counted strings.
        assert_eq!(unsafe { RtlPrefixUnicodeString(&small, &a, 0) }, 1);
        assert!(
            // SAFETY: counted strings.
            unsafe { RtlAppendUnicodeStringToString(&mut small, &a) } < 0,
            "no room"
        );
        assert_eq!(text_of(&small), "Hell");
        let mut ansi = STRING::zeroed();
        // SAFETY: counted strings.
        assert_eq!(unsafe { RtlUnicodeStringToAnsiString(&mut ansi, &a, 1) }, 0);
        let mut back = UNICODE_STRING::zeroed();
        assert_eq!(
            // SAFETY: counted strings.
            unsafe { RtlAnsiStringToUnicodeString(&mut back, &ansi, 1) },
            0
        );
        assert_eq!(text_of(&back), "Hello");
        // SAFETY: allocated by the two calls above.
        unsafe { RtlFreeUnicodeString(&mut back) };
        // SAFETY: as above.
        unsafe { RtlFreeAnsiString(&mut ansi) };
        assert!(back.Buffer.is_null());
        let mut none = UNICODE_STRING {
            Length: 9,
            MaximumLength: 9,
            Buffer: 8 as *mut u16,
        };
        // SAFETY: no text is allowed.
        unsafe { RtlInitUnicodeString(&mut none, std::ptr::null()) };
        assert_eq!(
            (none.Length, none.MaximumLength, none.Buffer),
            (0, 0, std::ptr::null_mut())
        );
        assert!(crate::kernel::kernel().mem.pool.leaks(1).is_empty());
        0
    });
}

#[test]
fn numbers_guids_and_addresses() {
    driver(|| {
        let mut buffer = [0u16; 40];
        let mut to = UNICODE_STRING {
            Length: 0,
            MaximumLength: 80,
            Buffer: buffer.as_mut_ptr(),
        };
        // SAFETY: a string with room.
        assert_eq!(unsafe { RtlIntegerToUnicodeString(0xbeef, 16, &mut to) }, 0);
        assert_eq!(text_of(&to), "BEEF");
        assert!(
            // SAFETY: a string with room.
            unsafe { RtlIntegerToUnicodeString(1, 3, &mut to) } < 0,
            "no such base"
        );
        for (text, base, expected) in [
            ("  -12x", 0, -12i32 as u32),
            ("0x1F", 0, 31),
            ("777", 8, 511),
            ("", 10, 0),
        ] {
            let mut units = wide(text);
            let string = unicode(&mut units);
            let mut value = 0;
            assert_eq!(
                // SAFETY: a string and a place for its value.
                unsafe { RtlUnicodeStringToInteger(&string, base, &mut value) },
                0
            );
            assert_eq!(value, expected, "{text}");
        }
        let guid = GUID {
            Data1: 0x0123_4567,
            Data2: 0x89ab,
            Data3: 0xcdef,
            Data4: [1, 2, 3, 4, 5, 6, 7, 8],
        };
        let mut text = UNICODE_STRING::zeroed();
        // SAFETY: a GUID and a place for its text.
        assert_eq!(unsafe { RtlStringFromGUID(&guid, &mut text) }, 0);
        assert_eq!(text_of(&text), "{01234567-89ab-cdef-0102-030405060708}");
        let mut parsed = GUID::zeroed();
        // SAFETY: a string and a place for the GUID.
        assert_eq!(unsafe { RtlGUIDFromString(&text, &mut parsed) }, 0);
        assert_eq!(parsed, guid);
        text.Length -= 2;
        assert!(
            // SAFETY: as above.
            unsafe { RtlGUIDFromString(&text, &mut parsed) } < 0,
            "no closing brace"
        );
        text.Length += 2;
        // SAFETY: allocated above.
        unsafe { RtlFreeUnicodeString(&mut text) };
        let (mut first, mut second) = (GUID::zeroed(), GUID::zeroed());
        // SAFETY: places for GUIDs.
        unsafe {
            ExUuidCreate(&mut first);
        }
        // SAFETY: as above.
        unsafe { ExUuidCreate(&mut second) };
        assert!(first != second && first.Data3 >> 12 == 4 && first.Data4[0] >> 6 == 2);
        let mut shown = [0u16; 16];
        // SAFETY: an address and room for 16 units.
        let end = unsafe { RtlIpv4AddressToStringW(&[192, 168, 0, 1], shown.as_mut_ptr()) };
        let len = (end as usize - shown.as_ptr() as usize) / 2;
        assert_eq!(String::from_utf16_lossy(&shown[..len]), "192.168.0.1");
        for (text, strict, expected) in [
            ("10.1.2.3/8", 1, Some([10, 1, 2, 3])),
            ("10.1", 1, None),
            ("10.1", 0, Some([10, 0, 0, 1])),
            ("0x7f.1", 0, Some([127, 0, 0, 1])),
            ("300.1.1.1", 1, None),
            ("", 1, None),
        ] {
            let units = wide(text);
            let (mut at, mut address) = (std::ptr::null(), [0; 4]);
            // SAFETY: a terminated text and places for the results.
            let status =
                unsafe { RtlIpv4StringToAddressW(units.as_ptr(), strict, &mut at, &mut address) };
            assert_eq!((status == 0).then_some(address), expected, "{text}");
        }
        0
    });
}

#[test]
fn bitmaps_find_and_count() {
    driver(|| {
        let mut words = [0u32; 3];
        let mut map = RTL_BITMAP::zeroed();
        // SAFETY: memory for 70 bits.
        unsafe { RtlInitializeBitMap(&mut map, words.as_mut_ptr(), 70) };
        // SAFETY: a bitmap.
        unsafe { RtlSetBits(&mut map, 30, 10) };
        // SAFETY: a bitmap.
        unsafe { RtlSetBit(&mut map, 69) };
        words[2] |= 0xffff_ff00;
        // SAFETY: bits behind the end must not count.
        assert_eq!(unsafe { RtlNumberOfSetBits(&map) }, 11);
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlFindClearBits(&map, 30, 0) }, 0);
        assert_eq!(
            // SAFETY: a bitmap.
            unsafe { RtlFindClearBits(&map, 30, 31) },
            0,
            "from the start when there is none behind the hint"
        );
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlFindClearBits(&map, 29, 40) }, 40);
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlFindClearBits(&map, 31, 0) }, u32::MAX);
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlFindClearBitsAndSet(&mut map, 2, 0) }, 0);
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlTestBit(&map, 1) }, 1);
        // SAFETY: a bitmap.
        unsafe { RtlClearBits(&mut map, 0, 70) };
        // SAFETY: a bitmap.
        assert_eq!(unsafe { RtlAreBitsClear(&map, 0, 70) }, 1);
        assert_eq!(
            words,
            [0, 0, 0xffff_ff00 & !0x3f],
            "bits behind the end stay"
        );
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { RtlFindLeastSignificantBit(0x50) }, 4);
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { RtlFindMostSignificantBit(0x50) }, 6);
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { RtlFindMostSignificantBit(0) }, -1);
        0
    });
}

#[test]
fn c_strings_and_safe_appending() {
    driver(|| {
        let mut room = wide("ab");
        room.resize(6, 0xffff);
        let tail = wide("cde");
        // SAFETY: a target of six units.
        assert_eq!(unsafe { wcscat_s(room.as_mut_ptr(), 6, tail.as_ptr()) }, 0);
        assert_eq!(room, wide("abcde"));
        assert_eq!(
            // SAFETY: as above.
            unsafe { wcscat_s(room.as_mut_ptr(), 6, tail.as_ptr()) },
            34,
            "does not fit"
        );
        assert_eq!(room[0], 0);
        let (a, b) = (wide("abc"), wide("abD"));
        // SAFETY: terminated strings.
        assert!(unsafe { wcscmp(a.as_ptr(), b.as_ptr()) } > 0);
        // SAFETY: terminated strings.
        assert!(unsafe { _wcsicmp(a.as_ptr(), b.as_ptr()) } < 0);
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { towlower(u16::from(b'Q')) }, u16::from(b'q'));
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { towupper(0xe4) }, 0xc4);
        let mut end = std::ptr::null();
        let number = c" 0x1fz";
        // SAFETY: a terminated string.
        assert_eq!(unsafe { strtoul(number.as_ptr().cast(), &mut end, 0) }, 31);
        assert_eq!(end as usize - number.as_ptr() as usize, 5);
        let mut copy = [0u8; 4];
        // SAFETY: both are four bytes.
        unsafe { memcpy(copy.as_mut_ptr(), b"wxyz".as_ptr(), 4) };
        // SAFETY: as above.
        assert!(unsafe { memcmp(copy.as_ptr(), b"wxzz".as_ptr(), 4) } < 0);
        assert_eq!(
            // SAFETY: as above.
            unsafe { RtlCompareMemory(copy.as_ptr(), b"wxzz".as_ptr(), 4) },
            2
        );
        0
    });
}

extern "win64" fn by_value(a: *const u32, b: *const u32) -> i32 {
    crate::mem::guest::load(a).cmp(&crate::mem::guest::load(b)) as i32
}

#[test]
fn sorting_and_searching_call_the_driver() {
    driver(|| {
        let mut values: Vec<u32> = (0..200)
            .map(|index: u32| index.wrapping_mul(2_654_435_761) >> 20)
            .collect();
        let mut expected = values.clone();
        expected.sort_unstable();
        let (base, compare) = (values.as_mut_ptr() as usize, by_value as *const ());
        // SAFETY: an array of 200 words.
        unsafe { qsort(base, 200, 4, compare) };
        assert_eq!(values, expected);
        let key = expected[77];
        // SAFETY: as above.
        let found = unsafe { bsearch(&raw const key as usize, base, 200, 4, compare) };
        assert_eq!(values[(found - base) / 4], key);
        let missing = u32::MAX;
        assert_eq!(
            // SAFETY: as above.
            unsafe { bsearch(&raw const missing as usize, base, 200, 4, compare) },
            0
        );
        0
    });
}

#[test]
fn the_version_is_the_labs() {
    let lab = Lab::builder().windows_build(17763).boot().unwrap();
    as_driver(&lab, || {
        let mut all = RTL_OSVERSIONINFOEXW {
            dwOSVersionInfoSize: 0x11c,
            ..RTL_OSVERSIONINFOEXW::zeroed()
        };
        assert_eq!(
            // SAFETY: a structure of the size it states.
            unsafe { RtlGetVersion((&raw mut all).cast::<RTL_OSVERSIONINFOW>()) },
            0
        );
        assert_eq!(
            (all.dwMajorVersion, all.dwBuildNumber, all.wProductType),
            (10, 17763, 3)
        );
        all.dwOSVersionInfoSize = 5;
        // SAFETY: as above.
        assert!(unsafe { RtlGetVersion((&raw mut all).cast::<RTL_OSVERSIONINFOW>()) } < 0);
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { RtlIsNtDdiVersionAvailable(0x0a00_0006) }, 1);
        // SAFETY: no memory is touched.
        assert_eq!(unsafe { RtlIsNtDdiVersionAvailable(0x0a00_0008) }, 0);
        0
    })
    .unwrap();
}

#[test]
fn statuses_have_their_win32_codes() {
    driver(|| {
        // SAFETY: no memory is touched.
        let code = |status: u32| unsafe { RtlNtStatusToDosErrorNoTeb(status) };
        for (status, expected) in [
            (0, 0),
            (0xc000_000d, 87),
            (0xc000_0184, 22),
            (0xc000_0225, 1168),
            (0xc000_00bb, 50),
            (0xc000_0022, 5),
            (0xc000_0034, 2),
            (0xc000_003a, 3),
            (0x8000_0005, 234),
            (0xc000_0023, 122),
            (0x102, 1460),
            (0x103, 997),
            (0xc000_0120, 995),
            (0xc000_00a3, 21),
            (0xc000_02b6, 1617),
            (0xc000_022a, 5010),
            (0xc000_0056, 5),
            (0xc000_0008, 6),
            (0xc000_0005, 998),
            (0xc000_009a, 1450),
            (0xc007_0057, 87),
            (0xc0ff_1234, 317),
        ] {
            assert_eq!(code(status), expected, "{status:#x}");
        }
        0
    });
}

#[test]
fn hash_tables_keep_their_entries() {
    driver(|| {
        let mut table = std::ptr::null_mut();
        // SAFETY: a place for the table.
        assert_eq!(unsafe { RtlCreateHashTableEx(&mut table, 4, 0, 0) }, 1);
        let mut entries = [[0u64; 3]; 40];
        for (index, entry) in entries.iter_mut().enumerate() {
            // SAFETY: a table, and an entry that lives as long.
            unsafe {
                RtlInsertEntryHashTable(
                    table,
                    entry.as_mut_ptr().cast(),
                    index as u64 / 2,
                    std::ptr::null_mut(),
                )
            };
        }
        let counted = crate::mem::guest::load(table.cast::<[u32; 8]>());
        assert_eq!(counted[5], 40, "NumEntries");
        let mut context = [0u64; 3];
        let context = context.as_mut_ptr().cast();
        // SAFETY: a table and a context.
        let mut found = unsafe { RtlLookupEntryHashTable(table, 7, context) };
        let mut same = 0;
        while !found.is_null() {
            same += 1;
            // SAFETY: as above.
            found = unsafe { RtlGetNextEntryHashTable(table, context) };
        }
        assert_eq!(same, 2);
        // SAFETY: as above.
        assert!(unsafe { RtlLookupEntryHashTable(table, 99, context) }.is_null());
        let mut enumerator = [0u64; 5];
        let enumerator = enumerator.as_mut_ptr().cast();
        // SAFETY: a table and an enumerator.
        unsafe { RtlInitEnumerationHashTable(table, enumerator) };
        // SAFETY: as above.
        let seen =
            std::iter::from_fn(|| Some(unsafe { RtlEnumerateEntryHashTable(table, enumerator) }));
        assert_eq!(seen.take_while(|entry| !entry.is_null()).count(), 40);
        // SAFETY: as above.
        unsafe { RtlEndEnumerationHashTable(table, enumerator) };
        for entry in &mut entries {
            // SAFETY: an entry of the table.
            unsafe {
                RtlRemoveEntryHashTable(table, entry.as_mut_ptr().cast(), std::ptr::null_mut())
            };
        }
        let counted = crate::mem::guest::load(table.cast::<[u32; 8]>());
        assert_eq!((counted[5], counted[6], counted[7]), (0, 0, 0));
        // SAFETY: an empty table.
        unsafe { RtlDeleteHashTable(table) };
        assert!(crate::kernel::kernel().mem.pool.leaks(1).is_empty());
        0
    });
}

extern "win64" fn order(_: usize, a: *const u32, b: *const u32) -> i32 {
    const LESS: i32 = 0;
    const GREATER: i32 = 1;
    const EQUAL: i32 = 2;
    match crate::mem::guest::load(a).cmp(&crate::mem::guest::load(b)) {
        std::cmp::Ordering::Less => LESS,
        std::cmp::Ordering::Greater => GREATER,
        std::cmp::Ordering::Equal => EQUAL,
    }
}

const TABLE_TAG: u32 = u32::from_le_bytes(*b"Tabl");

extern "win64" fn allocate_node(_: usize, bytes: u32) -> *mut u8 {
    // SAFETY: a plain request.
    unsafe { crate::ex::pool::ExAllocatePoolWithTag(512, bytes as usize, TABLE_TAG) }
}

extern "win64" fn free_node(_: usize, node: *mut u8) {
    // SAFETY: allocated by `allocate_node`.
    unsafe { crate::ex::pool::ExFreePoolWithTag(node, TABLE_TAG) }
}

#[test]
fn generic_tables_stay_in_order() {
    driver(|| {
        let mut memory = [0u64; 13];
        let table = memory.as_mut_ptr().cast();
        let (compare, allocate, free) = (
            order as *const (),
            allocate_node as *const (),
            free_node as *const (),
        );
        // SAFETY: memory for a table, and its three functions.
        unsafe { RtlInitializeGenericTableAvl(table, compare, allocate, free, 0) };
        let values: Vec<u32> = (0..300u32)
            .map(|index| index.wrapping_mul(2_654_435_761) >> 8)
            .collect();
        let insert = |value: u32| {
            let mut new = 9;
            // SAFETY: a table and an element.
            let at = unsafe {
                RtlInsertElementGenericTableAvl(table, &raw const value as usize, 4, &raw mut new)
            };
            (crate::mem::guest::load(at as *const u32), new)
        };
        for &value in &values {
            assert_eq!(insert(value), (value, 1));
        }
        assert_eq!(
            insert(values[5]),
            (values[5], 0),
            "an equal element is there"
        );
        let in_order = || {
            let mut key = 0;
            let next = || {
                // SAFETY: a table and a key that starts as zero.
                let at = unsafe { RtlEnumerateGenericTableWithoutSplayingAvl(table, &raw mut key) };
                (at != 0).then(|| crate::mem::guest::load(at as *const u32))
            };
            std::iter::from_fn(next).collect::<Vec<u32>>()
        };
        let mut expected = values.clone();
        expected.sort_unstable();
        assert_eq!(in_order(), expected);
        for value in values.iter().step_by(2) {
            assert_eq!(
                // SAFETY: a table and an element.
                unsafe {
                    RtlDeleteElementGenericTableAvl(table, std::ptr::from_ref(value) as usize)
                },
                1
            );
            assert_eq!(
                // SAFETY: as above.
                unsafe {
                    RtlLookupElementGenericTableAvl(table, std::ptr::from_ref(value) as usize)
                },
                0
            );
        }
        let mut rest: Vec<u32> = values.iter().skip(1).step_by(2).copied().collect();
        rest.sort_unstable();
        assert_eq!(in_order(), rest);
        // SAFETY: a table.
        assert_eq!(unsafe { RtlNumberGenericTableElementsAvl(table) }, 150);
        // SAFETY: a table.
        let tenth = unsafe { RtlGetElementGenericTableAvl(table, 10) };
        assert_eq!(crate::mem::guest::load(tenth as *const u32), rest[10]);
        // SAFETY: a table.
        assert_eq!(unsafe { RtlGetElementGenericTableAvl(table, 150) }, 0);
        for value in rest {
            // SAFETY: a table and an element.
            unsafe { RtlDeleteElementGenericTableAvl(table, &raw const value as usize) };
        }
        // SAFETY: a table.
        assert_eq!(unsafe { RtlIsGenericTableEmptyAvl(table) }, 1);
        assert!(crate::kernel::kernel().mem.pool.leaks(1).is_empty());
        0
    });
}

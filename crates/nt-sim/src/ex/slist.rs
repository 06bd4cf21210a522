//! Interlocked singly linked lists.
//!
//! The head has the real layout (depth and sequence in the first word, the first entry in the second), because drivers
//! read the depth inline. All changes go through the functions here, so a lock per head serialises them; unlike the
//! lock-free original, popping never reads an entry that another processor has just freed.

use std::mem::offset_of;

use crate::sync::{Mutex, MutexGuard};
use nt::sys::{SLIST_ENTRY, SLIST_HEADER};

use crate::exports;
use crate::kernel::strict;
use crate::mem::guest;
use crate::verifier::Rule;

static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// The first entry's address leaves four bits of its word to flags.
const ENTRY_MASK: u64 = !0xf;
/// Set in a header of the 16-byte form.
const HEADER_X64: u64 = 1;

fn lock(head: *mut SLIST_HEADER) -> MutexGuard<'static, ()> {
    LOCKS[(head as usize >> 4) % LOCKS.len()].lock()
}

fn check(function: &str, what: &str, address: usize) {
    if strict() && !address.is_multiple_of(16) {
        crate::bugcheck!(Rule::SListMisuse, address; "{function}: the {what} at {address:#x} is not aligned to 16 bytes");
    }
}

fn next_of(entry: u64) -> *mut u64 {
    (entry as usize + offset_of!(SLIST_ENTRY, Next)) as *mut u64
}

fn first(head: *const SLIST_HEADER) -> u64 {
    guest::load(head).Region & ENTRY_MASK
}

fn depth(head: *const SLIST_HEADER) -> u16 {
    guest::load(head).Alignment as u16
}

/// Stores a new first entry and depth; the sequence counts every change.
fn store(head: *mut SLIST_HEADER, entry: u64, depth: u16) {
    let sequence = (guest::load(head).Alignment >> 16).wrapping_add(1);
    guest::store(
        head,
        SLIST_HEADER {
            Alignment: sequence << 16 | u64::from(depth),
            Region: entry | HEADER_X64,
        },
    );
}

/// Empties a head.
pub(super) fn initialize(function: &str, head: *mut SLIST_HEADER) {
    check(function, "list head", head as usize);
    guest::store(
        head,
        SLIST_HEADER {
            Alignment: 0,
            Region: HEADER_X64,
        },
    );
}

/// Puts an entry first and returns the one that was.
pub(super) fn push(
    function: &str,
    head: *mut SLIST_HEADER,
    entry: *mut SLIST_ENTRY,
) -> *mut SLIST_ENTRY {
    push_list(function, head, entry, entry, 1)
}

fn push_list(
    function: &str,
    head: *mut SLIST_HEADER,
    list: *mut SLIST_ENTRY,
    last: *mut SLIST_ENTRY,
    count: u32,
) -> *mut SLIST_ENTRY {
    check(function, "list head", head as usize);
    check(function, "entry", list as usize);
    let _guard = lock(head);
    let old = first(head);
    if strict() && old != 0 && old == list as u64 {
        crate::bugcheck!(Rule::SListMisuse, list as usize; "{function}: the entry at {list:p} is in the list already");
    }
    guest::store(next_of(last as u64), old);
    store(head, list as u64, depth(head).wrapping_add(count as u16));
    old as *mut SLIST_ENTRY
}

/// Takes the first entry; null when there is none.
pub(super) fn pop(function: &str, head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    check(function, "list head", head as usize);
    let _guard = lock(head);
    let entry = first(head);
    if entry != 0 {
        let next = guest::load(next_of(entry));
        store(head, next, depth(head).wrapping_sub(1));
    }
    entry as *mut SLIST_ENTRY
}

/// Takes all entries; the first is returned and leads to the others.
pub(super) fn flush(function: &str, head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    check(function, "list head", head as usize);
    let _guard = lock(head);
    let entry = first(head);
    if entry != 0 {
        store(head, 0, 0);
    }
    entry as *mut SLIST_ENTRY
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes an empty list.
    #[irql(ANY)]
    fn InitializeSListHead(head: *mut SLIST_HEADER) {
        initialize("InitializeSListHead", head);
    }

    /// Makes an empty list.
    #[irql(ANY)]
    fn RtlInitializeSListHead(head: *mut SLIST_HEADER) {
        initialize("RtlInitializeSListHead", head);
    }

    /// Puts an entry first; returns the one that was.
    #[irql(ANY)]
    fn ExpInterlockedPushEntrySList(head: *mut SLIST_HEADER, entry: *mut SLIST_ENTRY) -> *mut SLIST_ENTRY {
        push("ExpInterlockedPushEntrySList", head, entry)
    }

    /// Takes the first entry.
    #[irql(ANY)]
    fn ExpInterlockedPopEntrySList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
        pop("ExpInterlockedPopEntrySList", head)
    }

    /// Takes all entries.
    #[irql(ANY)]
    fn ExpInterlockedFlushSList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
        flush("ExpInterlockedFlushSList", head)
    }

    /// Puts a chain of `count` entries first; returns the entry that was.
    #[irql(ANY)]
    fn InterlockedPushListSList(
        head: *mut SLIST_HEADER,
        list: *mut SLIST_ENTRY,
        last: *mut SLIST_ENTRY,
        count: u32,
    ) -> *mut SLIST_ENTRY {
        push_list("InterlockedPushListSList", head, list, last, count)
    }

    /// The number of entries.
    #[irql(ANY)]
    fn ExQueryDepthSList(head: *const SLIST_HEADER) -> u16 {
        depth(head)
    }

    /// The number of entries.
    #[irql(ANY)]
    fn RtlQueryDepthSList(head: *const SLIST_HEADER) -> u16 {
        depth(head)
    }

    /// The first entry, which stays.
    #[irql(ANY)]
    fn FirstEntrySList(head: *const SLIST_HEADER) -> *mut SLIST_ENTRY {
        first(head) as *mut SLIST_ENTRY
    }
}

//! Lists that are changed under a spin lock of the driver.
//!
//! The lock's memory is not touched: drivers may only reach such a list through these functions with the same lock, so a
//! lock of our own per lock address does.

use crate::sync::{Mutex, MutexGuard};
use nt::sys::{LIST_ENTRY, SINGLE_LIST_ENTRY};

use crate::exports;
use crate::mem::guest;

static LOCKS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

fn lock(spin_lock: *mut usize) -> MutexGuard<'static, ()> {
    LOCKS[(spin_lock as usize >> 3) % LOCKS.len()].lock()
}

fn insert(before: *mut LIST_ENTRY, entry: *mut LIST_ENTRY, after: *mut LIST_ENTRY) {
    guest::store(
        entry,
        LIST_ENTRY {
            Flink: after,
            Blink: before,
        },
    );
    guest::store(
        before,
        LIST_ENTRY {
            Flink: entry,
            ..guest::load(before)
        },
    );
    guest::store(
        after,
        LIST_ENTRY {
            Blink: entry,
            ..guest::load(after)
        },
    );
}

/// The entry unless it is the list's head.
fn unless_head(entry: *mut LIST_ENTRY, head: *mut LIST_ENTRY) -> *mut LIST_ENTRY {
    if entry == head {
        std::ptr::null_mut()
    } else {
        entry
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Inserts an entry first; returns the one that was, or null.
    #[irql(ANY)]
    fn ExInterlockedInsertHeadList(head: *mut LIST_ENTRY, entry: *mut LIST_ENTRY, spin_lock: *mut usize) -> *mut LIST_ENTRY {
        let _guard = lock(spin_lock);
        let first = guest::load(head).Flink;
        insert(head, entry, first);
        unless_head(first, head)
    }

    /// Inserts an entry last; returns the one that was, or null.
    #[irql(ANY)]
    fn ExInterlockedInsertTailList(head: *mut LIST_ENTRY, entry: *mut LIST_ENTRY, spin_lock: *mut usize) -> *mut LIST_ENTRY {
        let _guard = lock(spin_lock);
        let last = guest::load(head).Blink;
        insert(last, entry, head);
        unless_head(last, head)
    }

    /// Takes the first entry out, or returns null.
    #[irql(ANY)]
    fn ExInterlockedRemoveHeadList(head: *mut LIST_ENTRY, spin_lock: *mut usize) -> *mut LIST_ENTRY {
        let _guard = lock(spin_lock);
        let first = guest::load(head).Flink;
        if first == head {
            return std::ptr::null_mut();
        }
        let next = guest::load(first).Flink;
        guest::store(head, LIST_ENTRY { Flink: next, ..guest::load(head) });
        guest::store(next, LIST_ENTRY { Blink: head, ..guest::load(next) });
        first
    }

    /// Puts an entry on a singly linked list; returns the one that was first.
    #[irql(ANY)]
    fn ExInterlockedPushEntryList(
        head: *mut SINGLE_LIST_ENTRY,
        entry: *mut SINGLE_LIST_ENTRY,
        spin_lock: *mut usize,
    ) -> *mut SINGLE_LIST_ENTRY {
        let _guard = lock(spin_lock);
        let first = guest::load(head).Next;
        guest::store(entry, SINGLE_LIST_ENTRY { Next: first });
        guest::store(head, SINGLE_LIST_ENTRY { Next: entry });
        first
    }

    /// Takes the first entry of a singly linked list, or returns null.
    #[irql(ANY)]
    fn ExInterlockedPopEntryList(head: *mut SINGLE_LIST_ENTRY, spin_lock: *mut usize) -> *mut SINGLE_LIST_ENTRY {
        let _guard = lock(spin_lock);
        let first = guest::load(head).Next;
        if !first.is_null() {
            guest::store(head, guest::load(first));
        }
        first
    }
}

//! Dynamic hash tables: entries of the driver on doubly linked chains.
//!
//! The entries and the table have the real layout; the buckets behind `Directory` are this module's own. The table does not
//! grow by itself, as in Windows, where the driver expands it.

use nt::sys::LIST_ENTRY;

use crate::ex::pool;
use crate::exports;
use crate::mem::guest;
use crate::mem::pool::Request;

/// `RTL_DYNAMIC_HASH_TABLE`, whose counts drivers read inline.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Table {
    flags: u32,
    shift: u32,
    table_size: u32,
    pivot: u32,
    divisor_mask: u32,
    num_entries: u32,
    non_empty_buckets: u32,
    num_enumerators: u32,
    directory: Link,
}

/// `RTL_DYNAMIC_HASH_TABLE_ENTRY`, part of the driver's own structures.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Entry {
    linkage: LIST_ENTRY,
    signature: u64,
}

/// `RTL_DYNAMIC_HASH_TABLE_CONTEXT`: where a search ended.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Context {
    chain_head: Link,
    prev_linkage: Link,
    signature: u64,
}

/// `RTL_DYNAMIC_HASH_TABLE_ENUMERATOR`: where an enumeration goes on.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Enumerator {
    entry: Entry,
    chain_head: Link,
    bucket_index: u32,
}

const _: () = {
    assert!(size_of::<Table>() == 40 && std::mem::offset_of!(Table, directory) == 32);
    assert!(size_of::<Entry>() == 24 && size_of::<Context>() == 24);
    assert!(size_of::<Enumerator>() == 40 && std::mem::offset_of!(Enumerator, chain_head) == 24);
};

type Link = *mut LIST_ENTRY;

/// Set in tables that the functions here allocated (`RTL_HASH_ALLOCATED_HEADER`).
const ALLOCATED: u32 = 1;
const DEFAULT_BUCKETS: u32 = 128;
const MAX_BUCKETS: u32 = 1 << 20;

fn allocate(bytes: usize) -> *mut u8 {
    const NON_PAGED_NX: u32 = 512;
    pool::allocate(
        "RtlCreateHashTable",
        Request::from_pool_type(NON_PAGED_NX, bytes, u32::from_le_bytes(*b"HTab")),
    )
}

/// The chain that a signature belongs to.
fn bucket(table: &Table, signature: u64) -> Link {
    let hash = (signature >> table.shift).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    table
        .directory
        .wrapping_add((hash % u64::from(table.table_size)) as usize)
}

fn flink(link: Link) -> Link {
    guest::load(link).Flink
}

fn insert_after(before: Link, link: Link) {
    let after = flink(before);
    guest::store(
        link,
        LIST_ENTRY {
            Flink: after,
            Blink: before,
        },
    );
    guest::store(
        before,
        LIST_ENTRY {
            Flink: link,
            ..guest::load(before)
        },
    );
    guest::store(
        after,
        LIST_ENTRY {
            Blink: link,
            ..guest::load(after)
        },
    );
}

fn unlink(link: Link) {
    let LIST_ENTRY {
        Flink: after,
        Blink: before,
    } = guest::load(link);
    guest::store(
        before,
        LIST_ENTRY {
            Flink: after,
            ..guest::load(before)
        },
    );
    guest::store(
        after,
        LIST_ENTRY {
            Blink: before,
            ..guest::load(after)
        },
    );
}

fn is_empty(chain: Link) -> bool {
    flink(chain) == chain
}

/// The link in front of the first entry with the signature, or the end of the chain.
fn before_match(chain: Link, signature: u64) -> Link {
    let mut before = chain;
    loop {
        let link = flink(before);
        if link == chain || guest::load(link.cast::<Entry>()).signature >= signature {
            return before;
        }
        before = link;
    }
}

fn position(table: *mut Table, signature: u64, context: *mut Context) -> Link {
    let header = guest::load(table);
    let chain = bucket(&header, signature);
    let before = before_match(chain, signature);
    if !context.is_null() {
        guest::store(
            context,
            Context {
                chain_head: chain,
                prev_linkage: before,
                signature,
            },
        );
    }
    before
}

fn entry_behind(before: Link, chain: Link, signature: u64) -> *mut Entry {
    let link = flink(before);
    if link == chain || guest::load(link.cast::<Entry>()).signature != signature {
        return std::ptr::null_mut();
    }
    link.cast()
}

fn count(table: *mut Table, entries: i32, filled: i32) {
    let header = guest::load(table);
    guest::store(
        table,
        Table {
            num_entries: header.num_entries.wrapping_add_signed(entries),
            non_empty_buckets: header.non_empty_buckets.wrapping_add_signed(filled),
            ..header
        },
    );
}

fn create(place: *mut *mut Table, buckets: u32, shift: u32) -> u8 {
    let buckets = if buckets == 0 {
        DEFAULT_BUCKETS
    } else {
        buckets
    };
    if !buckets.is_power_of_two() || buckets > MAX_BUCKETS {
        return 0;
    }
    let mut table = guest::load(place);
    let allocated = table.is_null();
    if allocated {
        table = allocate(size_of::<Table>()).cast();
        if table.is_null() {
            return 0;
        }
    }
    let directory: Link = allocate(buckets as usize * size_of::<LIST_ENTRY>()).cast();
    if directory.is_null() {
        if allocated {
            pool::free("RtlCreateHashTable", table.cast(), None);
        }
        return 0;
    }
    for index in 0..buckets as usize {
        let chain = directory.wrapping_add(index);
        guest::store(
            chain,
            LIST_ENTRY {
                Flink: chain,
                Blink: chain,
            },
        );
    }
    guest::store(
        table,
        Table {
            flags: if allocated { ALLOCATED } else { 0 },
            shift: shift.min(63),
            table_size: buckets,
            pivot: 0,
            divisor_mask: buckets - 1,
            num_entries: 0,
            non_empty_buckets: 0,
            num_enumerators: 0,
            directory,
        },
    );
    guest::store(place, table);
    1
}

/// The first entry at or behind a bucket.
fn first_from(table: &Table, from: u32) -> Option<(u32, Link)> {
    let chains = table.directory;
    (from..table.table_size)
        .map(|index| (index, chains.wrapping_add(index as usize)))
        .find(|&(_, chain)| !is_empty(chain))
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a table; its structure is allocated unless one is given.
    #[irql(DISPATCH)]
    fn RtlCreateHashTable(place: *mut *mut Table, shift: u32, _flags: u32) -> u8 {
        create(place, 0, shift)
    }

    /// Makes a table with a number of buckets.
    #[irql(DISPATCH)]
    fn RtlCreateHashTableEx(place: *mut *mut Table, buckets: u32, shift: u32, _flags: u32) -> u8 {
        create(place, buckets, shift)
    }

    /// Frees a table; the entries are the driver's.
    #[irql(DISPATCH)]
    fn RtlDeleteHashTable(table: *mut Table) {
        let header = guest::load(table);
        pool::free("RtlDeleteHashTable", header.directory.cast(), None);
        if header.flags & ALLOCATED != 0 {
            pool::free("RtlDeleteHashTable", table.cast(), None);
        }
    }

    /// Inserts an entry.
    #[irql(ANY)]
    fn RtlInsertEntryHashTable(
        table: *mut Table,
        entry: *mut Entry,
        signature: u64,
        context: *mut Context,
    ) -> u8 {
        let chain = bucket(&guest::load(table), signature);
        let was_empty = is_empty(chain);
        let before = position(table, signature, context);
        guest::store(entry, Entry { signature, ..guest::load(entry) });
        insert_after(before, entry.cast());
        count(table, 1, was_empty.into());
        1
    }

    /// Takes an entry out.
    #[irql(ANY)]
    fn RtlRemoveEntryHashTable(
        table: *mut Table,
        entry: *mut Entry,
        context: *mut Context,
    ) -> u8 {
        let signature = guest::load(entry).signature;
        unlink(entry.cast());
        let emptied = is_empty(bucket(&guest::load(table), signature));
        count(table, -1, -i32::from(emptied));
        if !context.is_null() {
            position(table, signature, context);
        }
        1
    }

    /// Finds the first entry with a signature.
    #[irql(ANY)]
    fn RtlLookupEntryHashTable(
        table: *mut Table,
        signature: u64,
        context: *mut Context,
    ) -> *mut Entry {
        let chain = bucket(&guest::load(table), signature);
        entry_behind(position(table, signature, context), chain, signature)
    }

    /// Finds the next entry with the signature of the last look-up.
    #[irql(ANY)]
    fn RtlGetNextEntryHashTable(
        _table: *mut Table,
        context: *mut Context,
    ) -> *mut Entry {
        let state = guest::load(context);
        let before = flink(state.prev_linkage);
        guest::store(context, Context { prev_linkage: before, ..state });
        entry_behind(before, state.chain_head, state.signature)
    }

    /// Starts going through all entries.
    #[irql(ANY)]
    fn RtlInitEnumerationHashTable(
        table: *mut Table,
        enumerator: *mut Enumerator,
    ) -> u8 {
        let header = guest::load(table);
        guest::store(table, Table { num_enumerators: header.num_enumerators + 1, ..header });
        // Between entries the enumerator points at the link it goes on from; at first, at the first chain's head.
        let linkage = LIST_ENTRY { Flink: header.directory, Blink: std::ptr::null_mut() };
        let entry = Entry { linkage, signature: 0 };
        guest::store(enumerator, Enumerator { entry, chain_head: header.directory, bucket_index: 0 });
        1
    }

    /// The next entry, or null.
    #[irql(ANY)]
    fn RtlEnumerateEntryHashTable(
        table: *mut Table,
        enumerator: *mut Enumerator,
    ) -> *mut Entry {
        let header = guest::load(table);
        let state = guest::load(enumerator);
        let at = state.entry.linkage.Flink;
        let mut next = flink(at);
        let (mut index, mut chain) = (state.bucket_index, state.chain_head);
        if next == chain {
            let Some((found, head)) = first_from(&header, index + 1) else { return std::ptr::null_mut() };
            (index, chain, next) = (found, head, flink(head));
        }
        let linkage = LIST_ENTRY { Flink: next, ..state.entry.linkage };
        let entry = Entry { linkage, ..state.entry };
        guest::store(enumerator, Enumerator { entry, chain_head: chain, bucket_index: index });
        next.cast()
    }

    /// Ends going through the entries.
    #[irql(ANY)]
    fn RtlEndEnumerationHashTable(
        table: *mut Table,
        _enumerator: *mut Enumerator,
    ) {
        let header = guest::load(table);
        guest::store(table, Table { num_enumerators: header.num_enumerators.saturating_sub(1), ..header });
    }
}

//! Lookaside lists: free blocks of one size kept at hand.
//!
//! Both generations of the structure begin with the same fields, which drivers use inline: they pop from `ListHead`, call
//! `Allocate` when it is empty, and call `Free` when it is full (`Depth`). In strict mode the depth is zero, so every
//! block really comes from and goes to the pool and is checked there.

use std::mem::offset_of;

use nt::sys::{
    GENERAL_LOOKASIDE_POOL, LIST_ENTRY, LOOKASIDE_LIST_EX, NTSTATUS, SLIST_HEADER, STATUS_SUCCESS,
};

use super::{pool, slist};
use crate::exports;
use crate::kernel::{kernel, strict};
use crate::mem::caller::Tag;
use crate::mem::guest;
use crate::mem::pool::Request;
use crate::verifier::Rule;

type Fields = GENERAL_LOOKASIDE_POOL;

/// Blocks kept when nothing is checked; what Windows grows busy lists to.
const DEPTH: u16 = 256;
const KIND: &str = "lookaside list";

const STATUS_INVALID_PARAMETER_4: NTSTATUS = 0xc000_00f2_u32 as i32;
const STATUS_INVALID_PARAMETER_5: NTSTATUS = 0xc000_00f3_u32 as i32;

const RAISE_ON_FAIL: u32 = 1;
const FAIL_NO_RAISE: u32 = 2;
const POOL_RAISE: u32 = 16;

/// How a list was asked for.
struct Wanted {
    /// The driver's functions, or null for the pool's.
    allocate: *const (),
    free: *const (),
    pool_type: u32,
    size: usize,
    tag: u32,
}

fn field(list: *mut Fields, offset: usize) -> usize {
    list as usize + offset
}

fn head(list: *mut Fields) -> *mut SLIST_HEADER {
    field(list, offset_of!(Fields, ListHead)) as *mut SLIST_HEADER
}

fn add_one(list: *mut Fields, offset: usize) {
    let counter = field(list, offset) as *mut u32;
    guest::store(counter, guest::load(counter).wrapping_add(1));
}

fn initialize(
    function: &str,
    list: *mut Fields,
    size_of_list: usize,
    wanted: &Wanted,
    defaults: (&str, &str),
) {
    let address = list as usize;
    if strict() {
        if !address.is_multiple_of(16) {
            crate::bugcheck!(Rule::LookasideMisuse, address; "{function}: the list at {address:#x} is not aligned to 16 bytes");
        }
        let owner = crate::mem::caller::owner();
        let mut objects = kernel().verifier.objects.lock();
        let active = objects
            .first_in(address..address + size_of_list)
            .is_some_and(|(at, o)| at == address && o.kind == KIND);
        if !active {
            objects.insert(address, KIND, size_of_list, owner);
        }
        drop(objects);
        if active {
            crate::bugcheck!(Rule::LookasideMisuse, address; "{function}: the list at {address:#x} is initialised already");
        }
    }
    slist::initialize(function, head(list));
    let default = |function: *const (), name: &str| {
        if function.is_null() {
            crate::mm::routine_address(name)
        } else {
            function
        }
    };
    let depth = if strict() { 0 } else { DEPTH };
    let put32 = |offset: usize, value: u32| guest::store(field(list, offset) as *mut u32, value);
    guest::store(field(list, offset_of!(Fields, Depth)) as *mut u16, depth);
    guest::store(
        field(list, offset_of!(Fields, MaximumDepth)) as *mut u16,
        DEPTH,
    );
    for counter in [
        offset_of!(Fields, TotalAllocates),
        offset_of!(Fields, AllocateMisses),
        offset_of!(Fields, TotalFrees),
        offset_of!(Fields, FreeMisses),
        offset_of!(Fields, LastTotalAllocates),
        offset_of!(Fields, LastAllocateMisses),
    ] {
        put32(counter, 0);
    }
    put32(offset_of!(Fields, Type), wanted.pool_type);
    put32(offset_of!(Fields, Tag), wanted.tag);
    // A free block holds the list's link.
    put32(
        offset_of!(Fields, Size),
        wanted.size.max(size_of::<usize>()) as u32,
    );
    let functions = [
        (
            offset_of!(Fields, AllocateEx),
            default(wanted.allocate, defaults.0),
        ),
        (offset_of!(Fields, FreeEx), default(wanted.free, defaults.1)),
    ];
    for (offset, function) in functions {
        guest::store(field(list, offset) as *mut *const (), function);
    }
    let links = field(list, offset_of!(Fields, ListEntry)) as *mut LIST_ENTRY;
    guest::store(
        links,
        LIST_ENTRY {
            Flink: links,
            Blink: links,
        },
    );
}

fn check_initialized(function: &str, list: *mut Fields) {
    let address = list as usize;
    if !strict() {
        return;
    }
    let objects = kernel().verifier.objects.lock();
    let known = objects
        .first_in(address..address + 1)
        .is_some_and(|(at, o)| at == address && o.kind == KIND);
    drop(objects);
    if !known {
        crate::bugcheck!(Rule::LookasideMisuse, address; "{function}: there is no initialised lookaside list at {address:#x}");
    }
}

/// Frees the blocks at hand with `free_block`.
fn delete(function: &str, list: *mut Fields, free_block: impl Fn(*mut u8)) {
    check_initialized(function, list);
    loop {
        let block = slist::pop(function, head(list));
        if block.is_null() {
            break;
        }
        free_block(block.cast());
    }
    if strict() {
        kernel().verifier.objects.lock().remove(list as usize);
    }
}

/// Deletes a list of the first generation, whose free function takes the block only.
fn delete_old(function: &'static str, list: *mut Fields) {
    let fields = guest::load(list);
    let free = fields.FreeEx.map(|free| free as *const ());
    delete(function, list, |block| match free {
        Some(free) if !crate::mm::is_routine(free, "ExFreePool") => {
            crate::invoke!(free, block as usize);
        }
        _ => pool::free(function, block, None),
    });
}

fn free_ex(function: &'static str, list: *mut LOOKASIDE_LIST_EX, block: *mut u8) {
    let fields = guest::load(list.cast::<Fields>());
    match fields.FreeEx.map(|free| free as *const ()) {
        Some(free) if !crate::mm::is_routine(free, DEFAULT_FREE_EX) => {
            crate::invoke!(free, block as usize, list as usize);
        }
        _ => pool::free(function, block, Some(Tag(fields.Tag))),
    }
}

const DEFAULT_ALLOCATE_EX: &str = "ExpAllocateLookasideDefault";
const DEFAULT_FREE_EX: &str = "ExpFreeLookasideDefault";

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a list of non-paged blocks. The depth argument is reserved.
    #[irql(DISPATCH)] #[raises]
    fn ExInitializeNPagedLookasideList(
        list: *mut GENERAL_LOOKASIDE_POOL,
        allocate: *const (),
        free: *const (),
        flags: u32,
        size: usize,
        tag: u32,
        _depth: u16,
    ) {
        const NX: u32 = 512;
        let raise = if flags & POOL_RAISE != 0 { POOL_RAISE } else { 0 };
        let wanted = Wanted { allocate, free, pool_type: raise | flags & NX, size, tag };
        let defaults = ("ExAllocatePoolWithTag", "ExFreePool");
        initialize("ExInitializeNPagedLookasideList", list, OLD_SIZE, &wanted, defaults);
    }

    /// Makes a list of paged blocks.
    #[irql(APC)] #[raises]
    fn ExInitializePagedLookasideList(
        list: *mut GENERAL_LOOKASIDE_POOL,
        allocate: *const (),
        free: *const (),
        flags: u32,
        size: usize,
        tag: u32,
        _depth: u16,
    ) {
        let wanted = Wanted { allocate, free, pool_type: 1 | flags & POOL_RAISE, size, tag };
        let defaults = ("ExAllocatePoolWithTag", "ExFreePool");
        initialize("ExInitializePagedLookasideList", list, OLD_SIZE, &wanted, defaults);
    }

    /// Frees the blocks at hand.
    #[irql(DISPATCH)]
    fn ExDeleteNPagedLookasideList(list: *mut GENERAL_LOOKASIDE_POOL) {
        delete_old("ExDeleteNPagedLookasideList", list);
    }

    /// Frees the blocks at hand.
    #[irql(APC)]
    fn ExDeletePagedLookasideList(list: *mut GENERAL_LOOKASIDE_POOL) {
        delete_old("ExDeletePagedLookasideList", list);
    }

    /// Makes a list whose functions get the list.
    #[irql(DISPATCH)] #[raises]
    fn ExInitializeLookasideListEx(
        list: *mut LOOKASIDE_LIST_EX,
        allocate: *const (),
        free: *const (),
        pool_type: u32,
        flags: u32,
        size: usize,
        tag: u32,
        _depth: u16,
    ) -> NTSTATUS {
        if flags & !(RAISE_ON_FAIL | FAIL_NO_RAISE) != 0 || flags == RAISE_ON_FAIL | FAIL_NO_RAISE {
            return STATUS_INVALID_PARAMETER_5;
        }
        if Request::from_pool_type(pool_type, size, tag).is_err() {
            return STATUS_INVALID_PARAMETER_4;
        }
        let raise = if flags & RAISE_ON_FAIL != 0 { POOL_RAISE } else { 0 };
        let wanted = Wanted { allocate, free, pool_type: pool_type | raise, size, tag };
        let defaults = (DEFAULT_ALLOCATE_EX, DEFAULT_FREE_EX);
        initialize("ExInitializeLookasideListEx", list.cast(), size_of::<LOOKASIDE_LIST_EX>(), &wanted, defaults);
        STATUS_SUCCESS
    }

    /// Frees the blocks at hand.
    #[irql(DISPATCH)]
    fn ExDeleteLookasideListEx(list: *mut LOOKASIDE_LIST_EX) {
        delete("ExDeleteLookasideListEx", list.cast(), |block| free_ex("ExDeleteLookasideListEx", list, block));
    }

    /// Frees the blocks at hand; the list stays.
    #[irql(DISPATCH)]
    fn ExFlushLookasideListEx(list: *mut LOOKASIDE_LIST_EX) {
        check_initialized("ExFlushLookasideListEx", list.cast());
        loop {
            let block = slist::pop("ExFlushLookasideListEx", head(list.cast()));
            if block.is_null() {
                break;
            }
            free_ex("ExFlushLookasideListEx", list, block.cast());
        }
    }

    /// Takes a block from the list or from its allocation function.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocateFromLookasideListEx(list: *mut LOOKASIDE_LIST_EX) -> *mut u8 {
        let fields_at = list.cast::<Fields>();
        check_initialized("ExAllocateFromLookasideListEx", fields_at);
        add_one(fields_at, offset_of!(Fields, TotalAllocates));
        let block = slist::pop("ExAllocateFromLookasideListEx", head(fields_at));
        if !block.is_null() {
            return block.cast();
        }
        add_one(fields_at, offset_of!(Fields, AllocateMisses));
        let fields = guest::load(fields_at);
        let pool_type = fields.Type as u32;
        match fields.AllocateEx.map(|allocate| allocate as *const ()) {
            Some(allocate) if !crate::mm::is_routine(allocate, DEFAULT_ALLOCATE_EX) => {
                crate::invoke!(allocate, pool_type, fields.Size, fields.Tag, list as usize) as *mut u8
            }
            _ => pool::allocate(
                "ExAllocateFromLookasideListEx",
                Request::from_pool_type(pool_type, fields.Size as usize, fields.Tag),
            ),
        }
    }

    /// Gives a block back to the list, or to its free function when the list is full.
    #[irql(DISPATCH)]
    fn ExFreeToLookasideListEx(list: *mut LOOKASIDE_LIST_EX, block: *mut u8) {
        let fields_at = list.cast::<Fields>();
        check_initialized("ExFreeToLookasideListEx", fields_at);
        add_one(fields_at, offset_of!(Fields, TotalFrees));
        let fields = guest::load(fields_at);
        if fields.ListHead.Alignment as u16 >= fields.Depth {
            add_one(fields_at, offset_of!(Fields, FreeMisses));
            free_ex("ExFreeToLookasideListEx", list, block);
        } else {
            slist::push("ExFreeToLookasideListEx", head(fields_at), block.cast());
        }
    }

    /// What `AllocateEx` of a list is when the driver gave none: drivers that use the list inline call it.
    #[irql(DISPATCH)] #[raises]
    fn ExpAllocateLookasideDefault(pool_type: u32, bytes: usize, tag: u32, _list: *mut LOOKASIDE_LIST_EX) -> *mut u8 {
        pool::allocate("ExAllocateFromLookasideListEx", Request::from_pool_type(pool_type, bytes, tag))
    }

    /// What `FreeEx` of a list is when the driver gave none.
    #[irql(DISPATCH)]
    fn ExpFreeLookasideDefault(block: *mut u8, list: *mut LOOKASIDE_LIST_EX) {
        let tag = guest::load(list.cast::<Fields>()).Tag;
        pool::free("ExFreeToLookasideListEx", block, Some(Tag(tag)));
    }
}

/// Bytes of a list of the first generation (`NPAGED_LOOKASIDE_LIST`).
const OLD_SIZE: usize = 128;

//! Pool, lookaside and interlocked lists as drivers use them.

use nt::sys::{LIST_ENTRY, LOOKASIDE_LIST_EX, SLIST_ENTRY, SLIST_HEADER};

use super::list::*;
use super::lookaside::*;
use super::pool::*;
use super::slist::*;
use crate::irql;
use crate::kernel::kernel;
use crate::mem::faults::FaultPlan;
use crate::mem::testing::{as_driver, both_modes, broken_rule};
use crate::mem::{guest, raw};
use crate::{Lab, LabError, Rule};

const TAG: u32 = u32::from_le_bytes(*b"Test");
const NX: u32 = 512;

fn alloc(size: usize) -> *mut u8 {
    // SAFETY: any size and tag may be asked for.
    unsafe { ExAllocatePoolWithTag(NX, size, TAG) }
}

fn free(block: *mut u8) {
    // SAFETY: what is freed wrongly is what the tests are about.
    unsafe { ExFreePoolWithTag(block, TAG) }
}

#[test]
fn blocks_come_and_go() {
    both_modes(|lab| {
        as_driver(lab, || {
            let block = alloc(100);
            raw::fill(block as usize, 100, 1);
            free(block);
            // SAFETY: a plain request.
            let zeroed = unsafe { ExAllocatePool2(0x40, 64, TAG) };
            assert_eq!(guest::load_many(zeroed, 64), [0; 64]);
            // SAFETY: allocated above.
            unsafe { ExFreePool(zeroed) };
            0
        })
        .unwrap();
        assert!(kernel().mem.pool.leaks(1).is_empty());
    });
}

#[test]
fn each_misuse_is_its_own_rule() {
    let cases: [(Rule, fn() -> u64); 9] = [
        (Rule::PoolDoubleFree, || {
            let block = alloc(10);
            free(block);
            free(block);
            0
        }),
        (Rule::PoolFreeNotPool, || {
            free((alloc(100) as usize + 16) as *mut u8);
            0
        }),
        (Rule::PoolWrongTag, || {
            // SAFETY: the wrong tag is the test.
            unsafe { ExFreePoolWithTag(alloc(10), 1) };
            0
        }),
        (Rule::PoolOverrun, || {
            let block = alloc(10);
            raw::fill(block as usize, 11, 0);
            free(block);
            0
        }),
        (Rule::PoolUnderrun, || {
            let block = alloc(10);
            raw::fill(block as usize - 1, 1, 0);
            free(block);
            0
        }),
        (Rule::PoolUseAfterFree, || {
            let block = alloc(10);
            free(block);
            guest::load(block).into()
        }),
        (Rule::PoolZeroBytes, || alloc(0) as u64),
        (Rule::PoolBadRequest, || {
            // SAFETY: the wrong pool type is the test.
            unsafe { ExAllocatePoolWithTag(0x8000, 1, TAG) as u64 }
        }),
        (Rule::PoolPagedIrql, || {
            irql::raise(irql::DISPATCH);
            // SAFETY: the wrong level is the test.
            unsafe { ExAllocatePoolWithTag(1, 1, TAG) as u64 }
        }),
    ];
    for (rule, body) in cases {
        let (broken, words) = broken_rule(body);
        assert_eq!(broken, rule, "{words}");
    }
}

#[test]
fn reports_name_the_block_and_both_stacks() {
    let (_, words) = broken_rule(|| {
        let block = alloc(24);
        free(block);
        free(block);
        0
    });
    for part in [
        "24 bytes",
        "'Test'",
        "non-paged pool",
        "allocated by thread",
        "freed by thread",
    ] {
        assert!(words.contains(part), "{part:?} is not in: {words}");
    }
}

#[test]
fn memory_with_an_object_in_use_is_not_freed() {
    let (rule, words) = broken_rule(|| {
        let block = alloc(256);
        kernel()
            .verifier
            .objects
            .lock()
            .insert(block as usize + 64, "timer", 64, 1);
        free(block);
        0
    });
    assert_eq!(rule, Rule::ActiveObjectFreed);
    assert!(
        words.contains("offset 64") && words.contains("timer"),
        "{words}"
    );
}

#[test]
fn leaks_are_reported_at_unload() {
    let lab = Lab::boot().unwrap();
    let result = as_driver(&lab, || {
        alloc(24);
        alloc(24);
        kernel().mem.check_unloaded(1, "test.sys");
        0
    });
    let Err(LabError::BugCheck(report)) = result else {
        panic!("the leak passed")
    };
    assert_eq!(report.rule, Rule::PoolLeak);
    assert!(
        report.details.contains("'Test': 2 blocks, 48 bytes"),
        "{}",
        report.details
    );
}

#[test]
fn injected_failures_hit_and_are_told() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        kernel().mem.faults.arm(FaultPlan::Nth(2));
        let blocks = [alloc(8), alloc(8), alloc(8)];
        assert_eq!(blocks.map(|block| block.is_null()), [false, true, false]);
        let injected = kernel().mem.faults.injected();
        assert_eq!(
            (injected.len(), injected[0].function),
            (1, "ExAllocatePoolWithTag")
        );
        assert!(!injected[0].caller.stack.is_empty());
        kernel().mem.faults.arm(FaultPlan::OncePerStack);
        let again: Vec<bool> = (0..3).map(|_| alloc(8).is_null()).collect();
        assert_eq!(
            again,
            [true, false, false],
            "one place in the code fails once"
        );
        0
    })
    .unwrap();
}

fn list_ex() -> *mut LOOKASIDE_LIST_EX {
    alloc(size_of::<LOOKASIDE_LIST_EX>()).cast()
}

fn initialize_ex(list: *mut LOOKASIDE_LIST_EX) -> i32 {
    let none = std::ptr::null();
    // SAFETY: memory for a list.
    unsafe { ExInitializeLookasideListEx(list, none, none, NX, 0, 40, TAG, 0) }
}

#[test]
fn lookaside_lists_keep_blocks_in_fast_mode_only() {
    both_modes(|lab| {
        as_driver(lab, || {
            let list = list_ex();
            assert_eq!(initialize_ex(list), 0);
            // SAFETY: an initialised list.
            let first = unsafe { ExAllocateFromLookasideListEx(list) };
            raw::fill(first as usize, 40, 1);
            // SAFETY: as above, and a block of it.
            unsafe { ExFreeToLookasideListEx(list, first) };
            // SAFETY: as above.
            let second = unsafe { ExAllocateFromLookasideListEx(list) };
            assert_eq!(first == second, !crate::kernel::strict());
            // SAFETY: as above.
            unsafe { ExFreeToLookasideListEx(list, second) };
            // SAFETY: as above.
            unsafe { ExDeleteLookasideListEx(list) };
            free(list.cast());
            0
        })
        .unwrap();
        assert!(kernel().mem.pool.leaks(1).is_empty());
    });
}

#[test]
fn old_lists_work_inline() {
    both_modes(|lab| {
        as_driver(lab, || {
            let list = alloc(128).cast::<nt::sys::GENERAL_LOOKASIDE_POOL>();
            let none = std::ptr::null();
            // SAFETY: memory for a list.
            unsafe { ExInitializeNPagedLookasideList(list, none, none, NX, 48, TAG, 0) };
            let fields = guest::load(list);
            assert_eq!((fields.Size, fields.Tag, fields.Type as u32), (48, TAG, NX));
            // What ExAllocateFromNPagedLookasideList is, inline in drivers.
            // SAFETY: the list's head.
            let mut block = unsafe { ExpInterlockedPopEntrySList(list.cast()) };
            assert!(block.is_null());
            let allocate = fields.AllocateEx.unwrap() as *const ();
            block = crate::invoke!(allocate, NX, 48u64, TAG) as *mut SLIST_ENTRY;
            // And ExFreeToNPagedLookasideList.
            // SAFETY: the list's head.
            if unsafe { ExQueryDepthSList(list.cast()) } >= fields.Depth {
                crate::invoke!(fields.FreeEx.unwrap(), block as usize);
            } else {
                // SAFETY: a block of the list.
                unsafe { ExpInterlockedPushEntrySList(list.cast(), block) };
            }
            // SAFETY: an initialised list.
            unsafe { ExDeleteNPagedLookasideList(list) };
            free(list.cast());
            0
        })
        .unwrap();
        assert!(kernel().mem.pool.leaks(1).is_empty());
    });
}

#[test]
fn lookaside_misuse_is_caught() {
    let twice = broken_rule(|| {
        let list = list_ex();
        initialize_ex(list);
        initialize_ex(list) as u64
    });
    assert_eq!(twice.0, Rule::LookasideMisuse);
    let before = broken_rule(|| {
        // SAFETY: the missing initialisation is the test.
        unsafe { ExAllocateFromLookasideListEx(list_ex()) as u64 }
    });
    assert_eq!(before.0, Rule::LookasideMisuse);
    let freed = broken_rule(|| {
        let list = list_ex();
        initialize_ex(list);
        free(list.cast());
        0
    });
    assert_eq!(freed.0, Rule::ActiveObjectFreed);
}

#[test]
fn interlocked_lists_are_last_in_first_out() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        let head = alloc(16).cast::<SLIST_HEADER>();
        let entries: Vec<*mut SLIST_ENTRY> = (0..4).map(|_| alloc(16).cast()).collect();
        // SAFETY: memory for a head and entries, all aligned by the pool.
        unsafe { InitializeSListHead(head) };
        for &entry in &entries[..2] {
            // SAFETY: as above.
            unsafe { ExpInterlockedPushEntrySList(head, entry) };
        }
        guest::store(entries[3].cast::<*mut SLIST_ENTRY>(), entries[2]);
        // SAFETY: a chain of two entries.
        let old = unsafe { InterlockedPushListSList(head, entries[3], entries[2], 2) };
        assert_eq!(old, entries[1]);
        // SAFETY: the list's head.
        assert_eq!(unsafe { ExQueryDepthSList(head) }, 4);
        // SAFETY: as above.
        assert_eq!(unsafe { ExpInterlockedPopEntrySList(head) }, entries[3]);
        // SAFETY: as above.
        let rest = unsafe { ExpInterlockedFlushSList(head) };
        assert_eq!(rest, entries[2]);
        assert_eq!(guest::load(rest.cast::<*mut SLIST_ENTRY>()), entries[1]);
        // SAFETY: as above.
        assert!(unsafe { ExpInterlockedPopEntrySList(head) }.is_null());
        // SAFETY: as above.
        assert_eq!(unsafe { ExQueryDepthSList(head) }, 0);
        0
    })
    .unwrap();
    drop(lab);
    let misaligned = broken_rule(|| {
        // SAFETY: the alignment is the test.
        unsafe { InitializeSListHead((alloc(64) as usize + 8) as *mut SLIST_HEADER) };
        0
    });
    assert_eq!(misaligned.0, Rule::SListMisuse);
}

#[test]
fn locked_lists_keep_their_order() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        let head = alloc(16).cast::<LIST_ENTRY>();
        guest::store(
            head,
            LIST_ENTRY {
                Flink: head,
                Blink: head,
            },
        );
        let entries: Vec<*mut LIST_ENTRY> = (0..3).map(|_| alloc(16).cast()).collect();
        let mut lock = 0;
        let lock = &raw mut lock;
        // SAFETY: an initialised list, an entry and a lock.
        assert!(unsafe { ExInterlockedInsertTailList(head, entries[0], lock) }.is_null());
        assert_eq!(
            // SAFETY: as above.
            unsafe { ExInterlockedInsertTailList(head, entries[1], lock) },
            entries[0]
        );
        assert_eq!(
            // SAFETY: as above.
            unsafe { ExInterlockedInsertHeadList(head, entries[2], lock) },
            entries[0]
        );
        for expected in [entries[2], entries[0], entries[1], std::ptr::null_mut()] {
            // SAFETY: as above.
            assert_eq!(unsafe { ExInterlockedRemoveHeadList(head, lock) }, expected);
        }
        0
    })
    .unwrap();
}

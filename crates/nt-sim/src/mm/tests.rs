//! Memory manager functions as drivers use them.

use nt::sys::{IRP, MDL, STATUS_ACCESS_VIOLATION, STATUS_DATATYPE_MISALIGNMENT, UNICODE_STRING};

use super::mdl::*;
use super::pages::*;
use super::user::*;
use super::*;
use crate::export::{Exit, Raise};
use crate::irql;
use crate::kernel::kernel;
use crate::mem::faults::FaultPlan;
use crate::mem::mdl::MdlView;
use crate::mem::os::Protection;
use crate::mem::testing::{as_driver, broken_rule};
use crate::mem::user::{begin_system_call, switch_to};
use crate::mem::{PAGE_SIZE, USER_END, raw};
use crate::{Lab, LabError, Rule, invoke};

unsafe extern "win64" {
    fn KeStackAttachProcess(process: usize, state: *mut u64);
    fn KeUnstackDetachProcess(state: *mut u64);
}

fn alloc(size: usize) -> *mut u8 {
    // SAFETY: a plain request.
    unsafe { crate::ex::pool::ExAllocatePoolWithTag(512, size, u32::from_le_bytes(*b"Test")) }
}

fn mdl_for(address: usize, len: u32) -> *mut MDL {
    // SAFETY: any buffer may be described.
    unsafe { IoAllocateMdl(address as *const u8, len, 0, 0, std::ptr::null_mut()) }
}

/// What `body`, code of an exported function, raises.
fn raised(body: impl FnOnce()) -> Option<Raise> {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).err()?;
    match *payload.downcast::<Exit>().unwrap() {
        Exit::Raise(raise) => Some(raise),
        Exit::Stopped => panic!(
            "the kernel stopped: {}",
            kernel().verifier.report().unwrap()
        ),
    }
}

#[test]
fn probing_raises_and_permits() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        let mem = &kernel().mem;
        let space = mem.create_space().unwrap();
        let old = switch_to(Some(space.id()));
        begin_system_call();
        let at = space
            .alloc(&mem.phys, None, PAGE_SIZE, Protection::ReadWrite)
            .unwrap();
        let read_only = space
            .alloc(&mem.phys, None, PAGE_SIZE, Protection::Read)
            .unwrap();
        let code = |address, len, alignment, write| {
            raised(|| probe_for_test(address, len, alignment, write)).map(|raise| raise.code as i32)
        };
        let violation = Some(STATUS_ACCESS_VIOLATION);
        assert_eq!(
            code(at + 1, 4, 4, false),
            Some(STATUS_DATATYPE_MISALIGNMENT)
        );
        assert_eq!(code(USER_END, 4, 1, false), violation);
        assert_eq!(
            code(alloc(8) as usize, 4, 1, false),
            violation,
            "a kernel address"
        );
        assert_eq!(code(at, usize::MAX, 1, false), violation, "wraps");
        assert_eq!(
            code(usize::MAX, 0, 8, true),
            None,
            "nothing is always there"
        );
        assert_eq!(code(read_only, 4, 1, true), violation);
        assert_eq!(code(at, PAGE_SIZE + 1, 1, true), violation, "past the end");
        assert_eq!(
            code(at, PAGE_SIZE + 1, 1, false),
            None,
            "reading is not tried"
        );
        assert_eq!(code(at, 16, 8, true), None);
        guest::store(at as *mut u64, 0x1122);
        assert_eq!(raw::load::<u64>(space.host(at, 8).unwrap()), 0x1122);
        let past = raised(|| {
            guest::load_many(at as *const u8, PAGE_SIZE + 1);
        });
        assert_eq!(past.unwrap().information, [0, (at + PAGE_SIZE) as u64]);
        switch_to(old);
        mem.end_process(&space);
        0
    })
    .unwrap();
}

#[test]
fn user_memory_has_its_rules() {
    let not_probed = broken_rule(|| {
        let mem = &kernel().mem;
        let space = mem.create_space().unwrap();
        let at = space
            .alloc(&mem.phys, None, 64, Protection::ReadWrite)
            .unwrap();
        switch_to(Some(space.id()));
        begin_system_call();
        // SAFETY: the missing probe is the test.
        unsafe { crate::rtl::memory::memcpy(alloc(8), at as *const u8, 8) as u64 }
    });
    assert_eq!(not_probed.0, Rule::UserNotProbed);
    let other = broken_rule(|| {
        let mem = &kernel().mem;
        let space = mem.create_space().unwrap();
        let at = space
            .alloc(&mem.phys, None, 64, Protection::ReadWrite)
            .unwrap();
        switch_to(None);
        // SAFETY: the wrong process is the test.
        unsafe { crate::rtl::memory::memset(at as *mut u8, 0, 8) as u64 }
    });
    assert_eq!(other.0, Rule::UserWrongProcess);
    let level = broken_rule(|| {
        irql::raise(irql::DISPATCH);
        // SAFETY: the level is the test.
        unsafe { crate::rtl::memory::memset(0x2_0000_0000 as *mut u8, 0, 8) as u64 }
    });
    assert_eq!(level.0, Rule::UserAtDispatch);
    let held = broken_rule(|| {
        let mem = &kernel().mem;
        let space = mem.create_space().unwrap();
        let at = space
            .alloc(&mem.phys, None, 64, Protection::ReadWrite)
            .unwrap();
        switch_to(Some(space.id()));
        // SAFETY: a user buffer of the current process.
        unsafe { MmProbeAndLockPages(mdl_for(at, 64), 1, 0) };
        mem.end_process(&space);
        0
    });
    assert_eq!(held.0, Rule::ProcessHasLockedPages);
}

#[test]
fn mdls_go_through_their_life() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        let buffer = alloc(3 * PAGE_SIZE) as usize;
        let irp = alloc(size_of::<IRP>()).cast::<IRP>();
        raw::fill(irp as usize, size_of::<IRP>(), 0);
        // SAFETY: zeroed memory for an IRP.
        let first = unsafe { IoAllocateMdl(buffer as *const u8, 10, 0, 0, irp) };
        // SAFETY: as above.
        let second = unsafe { IoAllocateMdl((buffer + 10) as *const u8, 10, 1, 0, irp) };
        // SAFETY: as above.
        let third = unsafe { IoAllocateMdl((buffer + 20) as *const u8, 10, 1, 0, irp) };
        assert_eq!(guest::load(irp).MdlAddress, first);
        assert_eq!(
            (guest::load(first).Next, guest::load(second).Next),
            (second, third)
        );
        for mdl in [first, second, third] {
            // SAFETY: MDLs allocated above.
            unsafe { IoFreeMdl(mdl) };
        }
        let mdl = mdl_for(buffer, 2 * PAGE_SIZE as u32);
        // SAFETY: an MDL of a non-paged buffer.
        unsafe { MmBuildMdlForNonPagedPool(mdl) };
        // SAFETY: as above.
        let mapped = unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, 0, 0, 16) };
        assert_ne!(mapped, 0);
        // SAFETY: mapped above.
        unsafe { MmUnmapLockedPages(mapped, mdl) };
        kernel().mem.faults.arm(FaultPlan::Nth(1));
        assert_eq!(
            // SAFETY: as above.
            unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, 0, 0, 16) },
            0,
            "an injected failure"
        );
        // SAFETY: allocated above.
        unsafe { IoFreeMdl(mdl) };
        // SAFETY: the buffer's address.
        assert_eq!(unsafe { MmGetPhysicalAddress(buffer + 5) } % 4096, 5);
        // SAFETY: any address may be asked about.
        assert_eq!(unsafe { MmIsAddressValid(buffer + 3 * PAGE_SIZE) }, 0);
        let on_stack = 0u8;
        // SAFETY: as above.
        assert_eq!(unsafe { MmIsAddressValid(&raw const on_stack as usize) }, 1);
        assert_eq!(
            // SAFETY: as above.
            unsafe { MmIsAddressValid(0xdead_beef_0000_0000) },
            0,
            "no such address"
        );
        // SAFETY: any size may be asked about.
        assert!(unsafe { MmSizeOfMdl(std::ptr::null(), usize::MAX) } > 1 << 40);
        // SAFETY: any size may be asked for.
        assert_eq!(unsafe { MmAllocateMappingAddress(usize::MAX, 1) }, 0);
        0
    })
    .unwrap();
}

#[test]
fn mdl_misuse_is_caught() {
    let freed_twice = broken_rule(|| {
        let mdl = mdl_for(alloc(8) as usize, 8);
        // SAFETY: the second call is the test.
        unsafe { IoFreeMdl(mdl) };
        // SAFETY: as above.
        unsafe { IoFreeMdl(mdl) };
        0
    });
    assert_eq!(freed_twice.0, Rule::MdlBadAddress);
    let must_map = broken_rule(|| {
        let mdl = mdl_for(alloc(8) as usize, 8);
        // SAFETY: an MDL of a non-paged buffer.
        unsafe { MmBuildMdlForNonPagedPool(mdl) };
        kernel().mem.faults.arm(FaultPlan::Nth(1));
        // SAFETY: as above.
        unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, 0, 1, 16) as u64 }
    });
    assert_eq!(must_map.0, Rule::MappingFailed);
    let used_after_free = broken_rule(|| {
        let mdl = mdl_for(alloc(8) as usize, 8);
        // SAFETY: allocated above.
        unsafe { IoFreeMdl(mdl) };
        // SAFETY: the freed MDL is the test.
        unsafe { MmUnlockPages(mdl) };
        0
    });
    assert_eq!(used_after_free.0, Rule::PoolUseAfterFree);
    let leaked = broken_rule(|| {
        mdl_for(alloc(8) as usize, 8);
        kernel().mem.check_unloaded(1, "test.sys");
        0
    });
    assert_eq!(leaked.0, Rule::MdlLeak);
    let inside_block = broken_rule(|| {
        let mdl = alloc(256).cast::<MDL>();
        let buffer = alloc(16);
        // SAFETY: memory for an MDL.
        unsafe { MmCreateMdl(mdl, buffer, 16) };
        // SAFETY: described above.
        unsafe { MmBuildMdlForNonPagedPool(mdl) };
        // SAFETY: as above.
        unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, 0, 0, 16) };
        // SAFETY: freeing memory that holds a mapped MDL is the test.
        unsafe { crate::ex::pool::ExFreePool(mdl.cast()) };
        0
    });
    assert_eq!(inside_block.0, Rule::ActiveObjectFreed);
    let paged = broken_rule(|| {
        // SAFETY: a plain request.
        let paged = unsafe { crate::ex::pool::ExAllocatePoolWithTag(1, 64, 0x31) };
        // SAFETY: paged memory is the test.
        unsafe { MmBuildMdlForNonPagedPool(mdl_for(paged as usize, 64)) };
        0
    });
    assert_eq!(paged.0, Rule::MdlBadAddress);
}

#[test]
fn frames_and_contiguous_memory() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        // SAFETY: a plain request.
        let mdl = unsafe { MmAllocatePagesForMdlEx(0, u64::MAX, 0, 5 * PAGE_SIZE, 1, 4) };
        assert_eq!(MdlView(mdl as usize).pages(), 5);
        // SAFETY: allocated above.
        unsafe { MmFreePagesFromMdl(mdl) };
        // SAFETY: as above.
        unsafe { crate::ex::pool::ExFreePool(mdl.cast()) };
        // SAFETY: a plain request.
        let low =
            unsafe { MmAllocateContiguousMemorySpecifyCache(3 * PAGE_SIZE, 0, 0xffff_ffff, 0, 1) };
        // SAFETY: allocated above.
        let physical = unsafe { MmGetPhysicalAddress(low as usize) };
        assert!(physical + 3 * 4096 <= 1 << 32 && physical != 0);
        raw::write(low as usize, b"abc");
        let mut copy = [0u8; 3];
        let mut count = 0;
        // SAFETY: source and targets are there.
        let status = unsafe { MmCopyMemory(copy.as_mut_ptr(), physical, 3, 1, &raw mut count) };
        assert_eq!((status, count, &copy), (0, 3, b"abc"));
        let end = low as usize + 3 * PAGE_SIZE;
        let mut page = [0u8; 100];
        // SAFETY: that the end is not there is the test.
        let status =
            unsafe { MmCopyMemory(page.as_mut_ptr(), end as u64 - 10, 100, 2, &raw mut count) };
        assert!(status < 0 && count == 10, "{status:#x} {count}");
        // SAFETY: allocated above.
        unsafe { MmFreeContiguousMemory(low as usize) };
        kernel().mem.check_unloaded(1, "test.sys");
        0
    })
    .unwrap();
}

#[test]
fn routines_are_found_by_name() {
    let lab = Lab::boot().unwrap();
    as_driver(&lab, || {
        let address = |name: &str| {
            let mut units: Vec<u16> = name.encode_utf16().collect();
            let len = units.len() as u16 * 2;
            let string = UNICODE_STRING {
                Length: len,
                MaximumLength: len,
                Buffer: units.as_mut_ptr(),
            };
            // SAFETY: a string.
            unsafe { MmGetSystemRoutineAddress(&raw const string) }
        };
        assert_eq!(
            address("ExAllocatePoolWithTag"),
            routine_address("ExAllocatePoolWithTag")
        );
        assert!(address("NoSuchRoutine").is_null());
        0
    })
    .unwrap();
}

#[test]
fn a_mapping_into_a_process_is_undone_from_another() {
    let lab = Lab::boot().unwrap();
    let (owner, other) = (
        lab.administrator("owner").unwrap(),
        lab.administrator("other").unwrap(),
    );
    let block = lab.enter(|| alloc(4096)).unwrap();
    let (mdl, address, process) = owner
        .as_kernel(|| {
            let mdl = mdl_for(block as usize, 4096);
            invoke!(MmBuildMdlForNonPagedPool, mdl);
            let address = invoke!(MmMapLockedPagesSpecifyCache, mdl, 1, 1, 0, 0, 0x4000_0010);
            let process = crate::ps::current_process().object().address;
            (mdl as usize, address as usize, process)
        })
        .unwrap();
    let shared = owner.memory(address, 4096).unwrap();
    shared.write(100, b"shared");
    lab.enter(|| {
        // SAFETY: the block has 4096 bytes, and nobody else writes them.
        let bytes = unsafe { std::slice::from_raw_parts(block.wrapping_add(100), 6) };
        assert_eq!(bytes, b"shared");
    })
    .unwrap();
    other
        .as_kernel(|| {
            let mut state = [0_u64; 8];
            invoke!(
                KeStackAttachProcess as *const (),
                process,
                state.as_mut_ptr()
            );
            invoke!(MmUnmapLockedPages, address, mdl);
            invoke!(KeUnstackDetachProcess as *const (), state.as_mut_ptr());
            invoke!(IoFreeMdl, mdl);
        })
        .unwrap();
    assert!(owner.memory(address, 4096).is_err(), "it is gone");
    lab.enter(|| invoke!(crate::ex::pool::ExFreePoolWithTag, block, 0))
        .unwrap();
}

#[test]
fn a_mapping_undone_in_the_wrong_process_is_caught() {
    let lab = Lab::boot().unwrap();
    let (owner, other) = (
        lab.administrator("owner").unwrap(),
        lab.administrator("other").unwrap(),
    );
    let block = lab.enter(|| alloc(4096)).unwrap();
    let (mdl, address) = owner
        .as_kernel(|| {
            let mdl = mdl_for(block as usize, 4096);
            invoke!(MmBuildMdlForNonPagedPool, mdl);
            let address = invoke!(MmMapLockedPagesSpecifyCache, mdl, 1, 1, 0, 0, 0x4000_0010);
            (mdl as usize, address as usize)
        })
        .unwrap();
    let result = other.as_kernel(|| invoke!(MmUnmapLockedPages, address, mdl));
    let Err(LabError::BugCheck(report)) = result else {
        panic!("no bugcheck");
    };
    assert_eq!(report.rule, Rule::MdlWrongProcess);
}

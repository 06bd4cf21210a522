use nt::sys::{STATUS_ACCESS_VIOLATION, STATUS_INVALID_PARAMETER};

use super::*;
use crate::mem::os::Protection;
use crate::mem::phys::FIRST_PFN;
use crate::mem::va::Use;
use crate::mem::{MemoryConfig, raw, user};

fn machine(strict: bool) -> Memory {
    let config = MemoryConfig {
        strict,
        physical_bytes: 64 << 20,
        kernel_bytes: 1 << 30,
        pool_bytes: 8 << 20,
    };
    Memory::new(&config).unwrap()
}

fn driver() -> Caller {
    Caller {
        owner: 2,
        stack: [0x40].into(),
        thread: 1,
    }
}

fn broken<T: fmt::Debug>(result: Result<T>) -> MdlRule {
    match result {
        Err(MdlError::Rule(rule, _)) => rule,
        other => panic!("no rule was broken: {other:?}"),
    }
}

fn block(memory: &Memory, size: usize) -> usize {
    let request = Request::from_pool_type(512, size, 0x41).unwrap();
    memory
        .pool
        .alloc(&memory.phys, &memory.va, &request, &driver())
        .unwrap()
        .unwrap()
}

#[test]
fn non_paged_buffers_have_their_frames() {
    for strict in [true, false] {
        let memory = machine(strict);
        let buffer = block(&memory, 3 * PAGE_SIZE) + 100;
        let mdl = memory
            .mdl_allocate(buffer, 2 * PAGE_SIZE, &driver())
            .unwrap();
        assert_eq!(
            (mdl.address(), mdl.len(), mdl.pages()),
            (buffer, 2 * PAGE_SIZE, 3)
        );
        memory.mdl_build_for_nonpaged(mdl).unwrap();
        assert!(mdl.has(MDL_SOURCE_IS_NONPAGED_POOL));
        assert_eq!(mdl.mapped(), buffer);
        let expected: Vec<u64> = (0..3)
            .map(|page| memory.physical_address(buffer + page * PAGE_SIZE).unwrap() / 4096)
            .collect();
        assert_eq!(mdl.pfns(), expected);
        let again = memory
            .mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver())
            .unwrap();
        raw::write(buffer, b"seen twice");
        assert_eq!(raw::bytes(again, 10), b"seen twice");
        memory.mdl_unmap_system(mdl, again).unwrap();
        memory.mdl_free(mdl, &driver()).unwrap();
        assert_eq!(memory.mdl_leaks(None), []);
    }
}

#[test]
fn statics_of_the_host_can_be_described_and_mapped_in_place() {
    let memory = machine(true);
    let buffer = vec![7u8; 3 * PAGE_SIZE];
    let mdl = memory
        .mdl_allocate(buffer.as_ptr() as usize, buffer.len(), &driver())
        .unwrap();
    memory.mdl_build_for_nonpaged(mdl).unwrap();
    let at = memory
        .mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver())
        .unwrap();
    assert_eq!(at, buffer.as_ptr() as usize);
    memory.mdl_unmap_system(mdl, at).unwrap();
    memory.mdl_free(mdl, &driver()).unwrap();
}

#[test]
fn user_buffers_lock_map_and_unlock() {
    for strict in [true, false] {
        let memory = machine(strict);
        let space = memory.create_space().unwrap();
        space.set_process_object(0x7777_0000);
        let old = user::switch_to(Some(space.id()));
        let buffer = space
            .alloc(&memory.phys, None, 4 * PAGE_SIZE, Protection::ReadWrite)
            .unwrap()
            + 5;
        let mdl = memory
            .mdl_allocate(buffer, 2 * PAGE_SIZE, &driver())
            .unwrap();
        memory
            .mdl_lock(mdl, true, Access::Write, &driver())
            .unwrap();
        assert_eq!(mdl.header().Process as usize, 0x7777_0000);
        assert_eq!(
            broken(memory.mdl_lock(mdl, true, Access::Write, &driver())),
            MdlRule::LockedTwice
        );
        let kernel = memory
            .mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver())
            .unwrap();
        assert_eq!(kernel % PAGE_SIZE, 5);
        raw::write(kernel, b"hello");
        assert_eq!(raw::bytes(space.host(buffer, 5).unwrap(), 5), b"hello");
        let mapped = memory.mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver());
        assert_eq!(broken(mapped), MdlRule::MappedTwice);
        assert_eq!(
            broken(memory.mdl_free(mdl, &driver())),
            MdlRule::FreedLocked
        );
        let what: Vec<&str> = memory
            .mdl_leaks(Some(2))
            .iter()
            .map(|leak| leak.what)
            .collect();
        assert!(what.contains(&"locked") && what.contains(&"mapped"));
        memory.mdl_unlock(mdl).unwrap();
        assert!(
            !mdl.has(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA),
            "unlocking unmaps"
        );
        assert_eq!(broken(memory.mdl_unlock(mdl)), MdlRule::NotLocked);
        memory.mdl_free(mdl, &driver()).unwrap();
        user::switch_to(old);
        memory.delete_space(&space).unwrap();
        assert_eq!(memory.mdl_leaks(None), []);
    }
}

#[test]
fn hostile_user_buffers_raise() {
    let memory = machine(true);
    let (space, other) = (
        memory.create_space().unwrap(),
        memory.create_space().unwrap(),
    );
    let readable = space
        .alloc(&memory.phys, None, PAGE_SIZE, Protection::Read)
        .unwrap();
    let foreign = other
        .alloc(&memory.phys, None, PAGE_SIZE, Protection::ReadWrite)
        .unwrap();
    let kernel = block(&memory, 64);
    let lock = |address: usize, len, access| {
        let mdl = memory.mdl_allocate(address, len, &driver()).unwrap();
        let result = memory.mdl_lock(mdl, true, access, &driver());
        if result.is_ok() {
            memory.mdl_unlock(mdl).unwrap();
        }
        memory.mdl_free(mdl, &driver()).unwrap();
        result
    };
    assert_eq!(
        broken(lock(readable, 8, Access::Read)),
        MdlRule::WrongProcess,
        "no process is current"
    );
    let old = user::switch_to(Some(space.id()));
    let raise = Err(MdlError::Raise(STATUS_ACCESS_VIOLATION));
    assert_eq!(lock(readable, 8, Access::Read), Ok(()));
    assert_eq!(lock(readable, 8, Access::Write), raise, "read-only");
    assert_eq!(
        lock(readable + 4090, 8, Access::Read),
        raise,
        "past the end"
    );
    assert_eq!(
        lock(kernel, 8, Access::Read),
        raise,
        "kernel address from user mode"
    );
    assert_eq!(
        lock(foreign, 8, Access::Read),
        raise,
        "another process' memory"
    );
    assert_eq!(lock(0, 8, Access::Read), raise);
    assert_eq!(lock(usize::MAX - 3, 8, Access::Read), raise, "wraps");
    assert_eq!(lock(readable, 0, Access::Read), raise, "nothing");
    user::switch_to(old);
}

#[test]
fn partial_mdls_share_the_mapping_and_own_theirs() {
    let memory = machine(true);
    let buffer = block(&memory, 4 * PAGE_SIZE);
    let whole = memory
        .mdl_allocate(buffer, 4 * PAGE_SIZE, &driver())
        .unwrap();
    memory.mdl_build_for_nonpaged(whole).unwrap();
    let part = memory
        .mdl_allocate(buffer, 2 * PAGE_SIZE, &driver())
        .unwrap();
    memory
        .mdl_build_partial(whole, part, buffer + 5000, 3000)
        .unwrap();
    assert_eq!(
        (part.address(), part.len(), part.mapped()),
        (buffer + 5000, 3000, buffer + 5000)
    );
    assert_eq!(part.pfns(), whole.pfns()[1..2]);
    assert!(part.has(MDL_PARTIAL) && part.has(MDL_SOURCE_IS_NONPAGED_POOL));
    memory
        .mdl_build_partial(whole, part, buffer + 3 * PAGE_SIZE, 0)
        .unwrap();
    assert_eq!(part.len(), PAGE_SIZE, "no length means the rest");
    let outside = memory.mdl_build_partial(whole, part, buffer + 3 * PAGE_SIZE, PAGE_SIZE + 1);
    assert_eq!(broken(outside), MdlRule::Malformed);
    assert_eq!(
        broken(memory.mdl_build_partial(whole, part, buffer - 1, 10)),
        MdlRule::Malformed
    );
    assert_eq!(
        broken(memory.mdl_build_partial(whole, part, buffer, 4 * PAGE_SIZE)),
        MdlRule::Malformed,
        "no room"
    );
    memory.mdl_free(part, &driver()).unwrap();

    // A partial MDL of locked, unmapped memory maps by itself, and freeing it unmaps.
    let space = memory.create_space().unwrap();
    let old = user::switch_to(Some(space.id()));
    let at = space
        .alloc(&memory.phys, None, 2 * PAGE_SIZE, Protection::ReadWrite)
        .unwrap();
    let locked = memory.mdl_allocate(at, 2 * PAGE_SIZE, &driver()).unwrap();
    memory
        .mdl_lock(locked, true, Access::Read, &driver())
        .unwrap();
    let part = memory.mdl_allocate(at, PAGE_SIZE, &driver()).unwrap();
    memory
        .mdl_build_partial(locked, part, at + PAGE_SIZE, 10)
        .unwrap();
    let mapped = memory
        .mdl_map(part, MapMode::Kernel, MapOptions::default(), &driver())
        .unwrap();
    assert!(part.has(MDL_PARTIAL_HAS_BEEN_MAPPED));
    assert_eq!(
        broken(memory.mdl_build_partial(locked, part, at, 10)),
        MdlRule::MappedTwice
    );
    memory.mdl_free(part, &driver()).unwrap();
    assert_eq!(memory.va.find(mapped), None);
    memory.mdl_unlock(locked).unwrap();
    memory.mdl_free(locked, &driver()).unwrap();
    user::switch_to(old);
}

#[test]
fn mapping_needs_pages_and_unmapping_a_mapping() {
    let memory = machine(true);
    let buffer = block(&memory, 100);
    let mdl = memory.mdl_allocate(buffer, 100, &driver()).unwrap();
    let map = || memory.mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver());
    assert_eq!(broken(map()), MdlRule::PagesNotLocked);
    memory.mdl_build_for_nonpaged(mdl).unwrap();
    assert_eq!(
        broken(memory.mdl_unmap_system(mdl, buffer)),
        MdlRule::NotMapped
    );
    let at = map().unwrap();
    assert_eq!(
        broken(memory.mdl_unmap_system(mdl, at + 1)),
        MdlRule::NotMapped
    );
    assert_eq!(
        broken(memory.mdl_free(mdl, &driver())),
        MdlRule::FreedMapped
    );
    memory.mdl_protect(mdl, Protection::Read).unwrap();
    assert_eq!(
        memory.va.find(at).unwrap().mapped.unwrap().1,
        Protection::Read
    );
    memory.mdl_unmap_system(mdl, at).unwrap();
    mdl.set_pfns(&[FIRST_PFN + (1 << 30)]);
    assert_eq!(
        broken(map()),
        MdlRule::Malformed,
        "a frame that does not exist"
    );
    memory.mdl_free(mdl, &driver()).unwrap();
    assert_eq!(broken(memory.mdl_free(mdl, &driver())), MdlRule::BadAddress);
    assert_eq!(
        broken(memory.mdl_free(MdlView(buffer), &driver())),
        MdlRule::BadAddress
    );
}

#[test]
fn user_mappings_belong_to_their_process() {
    let memory = machine(true);
    let buffer = block(&memory, 2 * PAGE_SIZE);
    raw::fill(buffer, 2 * PAGE_SIZE, 3);
    let mdl = memory
        .mdl_allocate(buffer, 2 * PAGE_SIZE, &driver())
        .unwrap();
    memory.mdl_build_for_nonpaged(mdl).unwrap();
    let map = |at| memory.mdl_map(mdl, MapMode::User(at), MapOptions::default(), &driver());
    assert_eq!(broken(map(None)), MdlRule::WrongProcess);
    let space = memory.create_space().unwrap();
    let old = user::switch_to(Some(space.id()));
    let at = map(None).unwrap();
    assert!(is_user(at));
    assert_eq!(raw::bytes(space.host(at, 4).unwrap(), 4), [3; 4]);
    assert_eq!(
        map(Some(at)),
        Err(MdlError::Raise(STATUS_INVALID_PARAMETER))
    );
    user::switch_to(None);
    assert_eq!(
        broken(memory.mdl_unmap_user(mdl, at)),
        MdlRule::WrongProcess
    );
    user::switch_to(Some(space.id()));
    assert_eq!(
        broken(memory.mdl_free(mdl, &driver())),
        MdlRule::UserMappingLeft
    );
    assert_eq!(
        broken(memory.mdl_unmap_user(mdl, at + PAGE_SIZE)),
        MdlRule::NotMapped
    );
    let second = map(None).unwrap();
    memory.mdl_unmap_user(mdl, at).unwrap();
    assert!(second != at);
    let left = memory.delete_space(&space).unwrap_err();
    assert_eq!((left.len(), left[0].what), (1, "mapped into it"));
    // The other mapping went with the process; to undo it there now does nothing, elsewhere it is an error.
    memory.mdl_unmap_user(mdl, second).unwrap();
    user::switch_to(old);
    assert_eq!(
        broken(memory.mdl_unmap_user(mdl, second)),
        MdlRule::NotMapped
    );
    memory.mdl_free(mdl, &driver()).unwrap();
}

#[test]
fn reserved_addresses_map_without_failing() {
    let memory = machine(true);
    let tag = Tag::new(b"Rsvd");
    let at = memory
        .reserve_mapping(2 * PAGE_SIZE, tag, &driver())
        .unwrap();
    let buffer = block(&memory, 3 * PAGE_SIZE);
    let mdl = memory
        .mdl_allocate(buffer, 2 * PAGE_SIZE, &driver())
        .unwrap();
    memory.mdl_build_for_nonpaged(mdl).unwrap();
    mdl.change_flags(MDL_SOURCE_IS_NONPAGED_POOL, MDL_PAGES_LOCKED);
    let wrong = memory.mdl_map_reserved(mdl, at, Tag::new(b"Else"), &driver());
    assert_eq!(broken(wrong), MdlRule::ReservedMapping);
    let mapped = memory
        .mdl_map_reserved(mdl, at, tag, &driver())
        .unwrap()
        .unwrap();
    assert_eq!(mapped, at);
    raw::write(mapped + PAGE_SIZE, b"page two");
    assert_eq!(raw::bytes(buffer + PAGE_SIZE, 8), b"page two");
    let other = memory
        .mdl_allocate(buffer, 3 * PAGE_SIZE, &driver())
        .unwrap();
    memory.mdl_build_for_nonpaged(other).unwrap();
    assert_eq!(
        broken(memory.mdl_map_reserved(other, at, tag, &driver())),
        MdlRule::ReservedMapping,
        "in use"
    );
    assert_eq!(
        broken(memory.release_mapping(at, tag)),
        MdlRule::ReservedMapping
    );
    memory.mdl_unmap_reserved(mdl, mapped, tag).unwrap();
    assert_eq!(
        broken(memory.mdl_unmap_reserved(mdl, mapped, tag)),
        MdlRule::ReservedMapping
    );
    assert_eq!(
        memory.mdl_map_reserved(other, at, tag, &driver()),
        Ok(None),
        "three pages into two"
    );
    assert_eq!(memory.va.count(Use::ReservedMapping), 1);
    memory.release_mapping(at, tag).unwrap();
    assert_eq!(
        broken(memory.release_mapping(at, tag)),
        MdlRule::ReservedMapping
    );
    assert_eq!(
        broken(memory.reserve_mapping(0, tag, &driver())),
        MdlRule::ReservedMapping
    );
}

#[test]
fn pages_without_addresses() {
    let memory = machine(true);
    let live = memory.phys.live_pages();
    let request = PageRequest {
        range: 0..memory.phys.end(),
        len: 5 * PAGE_SIZE + 1,
        all: true,
        contiguous: false,
        zero: true,
    };
    let mdl = memory.mdl_allocate_pages(&request, &driver()).unwrap();
    assert_eq!((mdl.pages(), mdl.address()), (6, 0));
    let at = memory
        .mdl_map(mdl, MapMode::Kernel, MapOptions::default(), &driver())
        .unwrap();
    assert_eq!(raw::first_other(at, 6 * PAGE_SIZE, 0), None);
    assert_eq!(broken(memory.mdl_free_pages(mdl)), MdlRule::FreedMapped);
    memory.mdl_unmap_system(mdl, at).unwrap();
    assert_eq!(memory.mdl_leaks(Some(2)).len(), 1);
    memory.mdl_free_pages(mdl).unwrap();
    assert_eq!(broken(memory.mdl_free_pages(mdl)), MdlRule::BadAddress);
    memory
        .pool
        .free(&memory.phys, &memory.va, mdl.0, None, &driver())
        .unwrap();
    assert_eq!(memory.phys.live_pages(), live);
    let too_much = PageRequest {
        len: 1 << 30,
        ..request.clone()
    };
    assert_eq!(
        memory.mdl_allocate_pages(&too_much, &driver()),
        Err(MdlError::NoResources)
    );
    let some = PageRequest {
        all: false,
        ..too_much
    };
    let mdl = memory.mdl_allocate_pages(&some, &driver()).unwrap();
    assert!(mdl.len() < 1 << 26, "as much as there is");
}

#[test]
fn contiguous_memory_follows_its_limits() {
    let memory = machine(true);
    let at = memory
        .allocate_contiguous(3 * PAGE_SIZE, 0..FIRST_PFN + 100, 0, &driver())
        .unwrap();
    let first = memory.physical_address(at).unwrap();
    assert_eq!(
        memory.physical_address(at + 2 * PAGE_SIZE + 7),
        Some(first + 2 * 4096 + 7)
    );
    assert_eq!(
        memory.allocate_contiguous(4096, 0..FIRST_PFN, 0, &driver()),
        None
    );
    let io = memory
        .map_io_space(first + 8, 16, Protection::ReadWrite)
        .unwrap();
    raw::write(io, b"device");
    assert_eq!(raw::bytes(at + 8, 6), b"device");
    assert_eq!(
        broken(memory.unmap_io_space(io, 2 * PAGE_SIZE)),
        MdlRule::NotMapped
    );
    memory.unmap_io_space(io, 16).unwrap();
    assert_eq!(
        memory.map_io_space(0xfee0_0000_0000, 16, Protection::Read),
        None
    );
    assert_eq!(
        broken(memory.free_contiguous(at + PAGE_SIZE)),
        MdlRule::BadAddress
    );
    memory.free_contiguous(at).unwrap();
    assert_eq!(broken(memory.free_contiguous(at)), MdlRule::BadAddress);
}

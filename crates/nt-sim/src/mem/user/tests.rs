use super::*;

struct Machine {
    phys: Phys,
    pins: Pins,
    spaces: Spaces,
}

fn machine(strict: bool) -> Machine {
    Machine {
        phys: Phys::new(64 << 20).unwrap(),
        pins: Pins::default(),
        spaces: Spaces::new(strict),
    }
}

/// A system call of a thread of `space`.
fn in_process<R>(space: &AddressSpace, body: impl FnOnce() -> R) -> R {
    let old = switch_to(Some(space.id()));
    begin_system_call();
    let result = body();
    begin_system_call();
    switch_to(old);
    result
}

#[test]
fn processes_have_their_own_addresses() {
    for strict in [true, false] {
        let machine = machine(strict);
        let (a, b) = (
            machine.spaces.create().unwrap(),
            machine.spaces.create().unwrap(),
        );
        let in_a = a
            .alloc(&machine.phys, None, 5000, Protection::ReadWrite)
            .unwrap();
        let in_b = b
            .alloc(&machine.phys, None, 5000, Protection::ReadWrite)
            .unwrap();
        assert!(is_user(in_a) && is_user(in_b) && in_a != in_b);
        assert_eq!(machine.spaces.of(in_a + 4999).unwrap().id(), a.id());
        assert_eq!(machine.spaces.of(in_b).unwrap().id(), b.id());
        assert!(
            a.host(in_a, 5000)
                .is_some_and(|host| (host == in_a) != strict)
        );
        let host = a.host(in_a, 5000).unwrap();
        assert_eq!(raw::first_other(host, 5000, 0), None);
        raw::fill(host, 5000, 7);
        assert_eq!(a.host(in_b, 1), None);
        assert_eq!(a.host(in_a + 5000, 8192), None, "the end is not mapped");
        machine.spaces.delete(&machine.phys, &machine.pins, &a);
        assert!(machine.spaces.of(in_a).is_none());
        machine.spaces.delete(&machine.phys, &machine.pins, &b);
        assert_eq!(machine.phys.live_pages(), 0);
    }
}

#[test]
fn only_probed_memory_of_the_current_process_is_reached() {
    let machine = machine(true);
    let (a, b) = (
        machine.spaces.create().unwrap(),
        machine.spaces.create().unwrap(),
    );
    let at = a
        .alloc(&machine.phys, None, 4 * PAGE_SIZE, Protection::ReadWrite)
        .unwrap();
    let spaces = &machine.spaces;
    let why = |address, len, access| {
        spaces
            .resolve(address, len, access)
            .map_err(|fault| fault.why)
    };
    assert_eq!(
        why(at, 4, Access::Read),
        Err(Denied::OtherProcess {
            owner: a.id(),
            current: None
        })
    );
    in_process(&b, || {
        let denied = Denied::OtherProcess {
            owner: a.id(),
            current: Some(b.id()),
        };
        assert_eq!(why(at, 4, Access::Read), Err(denied));
    });
    in_process(&a, || {
        assert_eq!(why(at, 4, Access::Read), Err(Denied::NotProbed));
        note_probe(at, 16, false);
        assert_eq!(why(at, 16, Access::Read), Ok(a.delta()));
        assert_eq!(
            why(at + 1, 16, Access::Read),
            Err(Denied::NotProbed),
            "one byte too far"
        );
        assert_eq!(
            why(at, 4, Access::Write),
            Err(Denied::NotProbed),
            "probed for read"
        );
        note_probe(at + 16, 16, true);
        assert_eq!(
            why(at + 4, 28, Access::Read),
            Ok(a.delta()),
            "two probes side by side"
        );
        assert_eq!(why(at + 20, 4, Access::Write), Ok(a.delta()));
        assert_eq!(why(0x1000, 4, Access::Read), Err(Denied::NotAccessible));
        a.protect(at, PAGE_SIZE, Protection::Read).unwrap();
        assert_eq!(why(at + 20, 4, Access::Write), Err(Denied::NotAccessible));
        note_probe(at, 2 * PAGE_SIZE, true);
        a.protect(at + PAGE_SIZE, 1, Protection::None).unwrap();
        let fault = spaces
            .resolve(at + PAGE_SIZE - 2, 4, Access::Read)
            .unwrap_err();
        assert_eq!(
            (fault.address, fault.why),
            (at + PAGE_SIZE, Denied::NotAccessible)
        );
    });
    in_process(&a, || {
        assert_eq!(
            why(at, 4, Access::Read),
            Err(Denied::NotProbed),
            "a probe holds for one call"
        );
    });
    machine.spaces.delete(&machine.phys, &machine.pins, &a);
    in_process(&a, || {
        assert_eq!(why(at, 4, Access::Read), Err(Denied::NotAccessible))
    });
}

#[test]
fn ranges_are_placed_checked_and_secured() {
    let machine = machine(true);
    let space = machine.spaces.create().unwrap();
    let phys = &machine.phys;
    let at = space
        .alloc(phys, None, 2 * PAGE_SIZE, Protection::ReadWrite)
        .unwrap();
    let rw = Protection::ReadWrite;
    assert_eq!(
        space.alloc(phys, Some(at + PAGE_SIZE), 1, rw),
        Err(RangeError::Conflict)
    );
    assert_eq!(
        space.alloc(phys, Some(at + 1), 1, rw),
        Err(RangeError::Conflict)
    );
    assert_eq!(
        space.alloc(phys, Some(0x1000), 1, rw),
        Err(RangeError::Conflict)
    );
    assert_eq!(space.alloc(phys, None, 0, rw), Err(RangeError::NoMemory));
    assert_eq!(
        space.alloc(phys, None, usize::MAX - 5000, rw),
        Err(RangeError::NoMemory)
    );
    assert_eq!(
        space.alloc(phys, None, 1 << 30, rw),
        Err(RangeError::NoMemory),
        "more than the machine has"
    );
    let next = space.alloc(phys, Some(at + 2 * PAGE_SIZE), 1, rw).unwrap();
    assert_eq!(
        space.pages(at, 3 * PAGE_SIZE, Access::Read).unwrap().len(),
        3,
        "two ranges side by side"
    );
    space.secure(at, 10, Access::Write, true).unwrap();
    let release = |start| space.release(phys, &machine.pins, start, Backing::Private);
    assert_eq!(release(at), Err(RangeError::Secured));
    assert_eq!(
        space.protect(at, 1, Protection::None),
        Err(RangeError::Secured)
    );
    space.secure(at, 10, Access::Write, false).unwrap();
    assert_eq!(release(at + PAGE_SIZE), Err(RangeError::NotAllocated));
    release(at).unwrap();
    assert_eq!(release(at), Err(RangeError::NotAllocated));
    release(next).unwrap();
    assert_eq!(phys.live_pages(), 0);
}

#[test]
fn locked_frames_outlive_their_range() {
    let machine = machine(true);
    let space = machine.spaces.create().unwrap();
    let at = space
        .alloc(&machine.phys, None, 3 * PAGE_SIZE, Protection::ReadWrite)
        .unwrap();
    let pfns = space.pages(at, 2 * PAGE_SIZE, Access::Write).unwrap();
    machine.pins.pin(&pfns);
    machine.pins.pin(&pfns[..1]);
    machine.spaces.delete(&machine.phys, &machine.pins, &space);
    assert_eq!(machine.phys.live_pages(), 2);
    assert_eq!(machine.pins.unpin(&pfns[..1]), []);
    for run in machine.pins.unpin(&pfns) {
        machine.phys.free(run);
    }
    assert_eq!((machine.phys.live_pages(), machine.pins.count()), (0, 0));
}

#[test]
fn frames_of_drivers_appear_in_the_process() {
    let machine = machine(false);
    let space = machine.spaces.create().unwrap();
    let pages: Vec<Run> = (0..4).map(|_| machine.phys.alloc(1).unwrap()).collect();
    let pfns = [pages[2].first, pages[0].first];
    let at = space
        .map(&machine.phys, None, &pfns, Protection::Read)
        .unwrap();
    assert_eq!(space.pages(at, 2 * PAGE_SIZE, Access::Read).unwrap(), pfns);
    assert_eq!(space.pages(at, 1, Access::Write), Err(at));
    let release = |backing| space.release(&machine.phys, &machine.pins, at, backing);
    assert_eq!(release(Backing::Private), Err(RangeError::Mapped));
    release(Backing::Mapped).unwrap();
    assert_eq!(machine.phys.live_pages(), 4, "the frames are the driver's");
    let foreign = crate::mem::phys::host_pfn(0x7000_0000_0000);
    assert_eq!(
        space.map(&machine.phys, None, &[foreign], Protection::Read),
        Err(RangeError::NoMemory)
    );
    let left = space
        .map(&machine.phys, None, &pfns, Protection::Read)
        .unwrap();
    assert_eq!(
        machine.spaces.delete(&machine.phys, &machine.pins, &space),
        [left]
    );
}

//! The wrappers under the simulated kernel, which checks that they keep its rules: a driver made of them, linked into
//! this program, does one thing for each control code, and must leave nothing behind.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod answers;
mod counters;
mod driver;
mod keys;
mod memory;
mod modules;
mod packets;
mod published;
mod signal;

use nt::Status;
use nt::sys::{DRIVER_OBJECT, GENERIC_ALL, NTSTATUS, UNICODE_STRING};
use nt_sim::{FaultPlan, Handle, Lab, LabError, NtStatus, Process};

use self::driver::{
    CLASS, COPY, COUNT, DPC, ECHO, EVENTS, FAST, FILL, FINISH, LOCKS, LOOK, MAP, NMR, PARK,
    PROCESSORS, PUBLISHED, REGISTRY, RUNDOWN, START_COUNTING, THREAD, TIMER, TRACE, WAIT, WAITED,
    WATCH, WORK, Wrapped, code,
};

nt::kernel_fn! {
    unsafe fn driver_entry(driver: *mut DRIVER_OBJECT, registry_path: *mut UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the loader's arguments.
        unsafe { nt::io::entry::<Wrapped>(driver, registry_path) }
    }
}

/// Runs a story with a handle of an administrator's program; afterwards the driver must unload clean.
fn with_driver(story: impl FnOnce(&Process<'_>, &Handle<'_>)) {
    in_lab(&Lab::builder().cpus(2).boot().unwrap(), story);
}

fn in_lab(lab: &Lab, story: impl FnOnce(&Process<'_>, &Handle<'_>)) {
    let driver = lab.start_linked("wrapped", driver_entry).unwrap();
    let program = lab.administrator("program").unwrap();
    let handle = program
        .open(r"\Device\wrapped")
        .ea("Open", b"value")
        .open()
        .unwrap();
    story(&program, &handle);
    drop(handle);
    drop(program);
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
}

/// What a control code answers in its output.
fn ask(handle: &Handle<'_>, code: u32) -> usize {
    let output = handle.control(code, &[], 8).unwrap();
    usize::from_le_bytes(output.bytes.try_into().unwrap())
}

fn status_of<T>(result: std::result::Result<T, LabError>) -> Option<NtStatus> {
    match result {
        Err(LabError::Status { status, .. }) => Some(status),
        _ => None,
    }
}

#[test]
fn threads_timers_deferred_calls_and_work_items_run_and_end() {
    with_driver(|_, handle| {
        assert_eq!(ask(handle, THREAD), 2);
        assert_eq!(ask(handle, TIMER), 3);
        assert_eq!(ask(handle, DPC), 1);
        assert_eq!(ask(handle, WORK), 3);
        assert_eq!(ask(handle, PROCESSORS), 2);
    });
}

#[test]
fn locks_exclude_and_run_down_waits() {
    with_driver(|_, handle| {
        assert_eq!(ask(handle, LOCKS), 400);
        assert_eq!(ask(handle, RUNDOWN), 1);
        assert_eq!(ask(handle, EVENTS), 2);
    });
}

#[test]
fn replaced_values_are_freed_when_nobody_reads_them() {
    for cpus in [1, 2, 5] {
        in_lab(&Lab::builder().cpus(cpus).boot().unwrap(), |_, handle| {
            assert_ne!(ask(handle, PUBLISHED), 0);
        });
    }
}

#[test]
fn registry_values_are_read_and_watched() {
    with_driver(|_, handle| {
        assert_eq!(ask(handle, REGISTRY), 1234);
        assert_eq!(ask(handle, WATCH), 3);
    });
}

#[test]
fn modules_attach_and_detach_and_events_are_traced() {
    with_driver(|_, handle| {
        // One client attached (1), one was refused (2).
        assert_eq!(ask(handle, NMR), 3);
        assert_eq!(ask(handle, TRACE), 1);
    });
}

#[test]
fn events_carry_their_fields_to_whoever_listens() {
    let lab = Lab::boot().unwrap();
    // A GUID as it lies in memory.
    let mut provider = [0; 16];
    provider[..4].copy_from_slice(&CLASS.Data1.to_le_bytes());
    provider[4..6].copy_from_slice(&CLASS.Data2.to_le_bytes());
    provider[6..8].copy_from_slice(&CLASS.Data3.to_le_bytes());
    provider[8..].copy_from_slice(&CLASS.Data4);
    in_lab(&lab, |_, handle| {
        assert_eq!(ask(handle, TRACE), 1);
        assert_eq!(lab.take_events().unwrap(), []);
        lab.listen(provider, 4, 2).unwrap();
        assert_eq!(ask(handle, TRACE), 0b10);
        let events = lab.take_events().unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(
            (events[0].provider, &events[0].data[..]),
            (provider, &b"onetwo"[..])
        );
        // Identifier 9, level 4, keyword 2.
        assert_eq!(
            events[0].descriptor,
            [9, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        );
    });
}

#[test]
fn counters_are_collected_as_long_as_their_instance_lives() {
    let lab = Lab::boot().unwrap();
    let collect = || lab.counter_instances("Wrapped Values").unwrap();
    in_lab(&lab, |_, handle| {
        ask(handle, START_COUNTING);
        assert_eq!(ask(handle, COUNT), 3);
        let [instance] = &collect()[..] else {
            panic!("{:?}", collect());
        };
        let bytes = [1, 2, 0x1_0000_0003_u64].map(u64::to_le_bytes).concat();
        assert_eq!(
            (&instance.name[..], &instance.blocks),
            ("one", &vec![bytes])
        );
    });
    assert!(collect().is_empty());
}

#[test]
fn buffered_input_and_output_are_one_buffer() {
    with_driver(|_, handle| {
        let output = handle.control(ECHO, b"abc", 8).unwrap();
        assert_eq!((output.information, &output.bytes[..3]), (3, &b"cba"[..]));
        assert_eq!(
            status_of(handle.control(code(99, 0), &[], 0)),
            Some(NtStatus(Status::NOT_SUPPORTED.0))
        );
    });
}

#[test]
fn user_memory_is_copied_or_its_fault_returned() {
    with_driver(|program, handle| {
        let memory = program.alloc(8192).unwrap();
        memory.write(4090, b"0123456789");
        let at = |offset: usize, len| (memory.address() + offset, len);
        let done = |input, output| {
            handle
                .control_raw(COPY, input, output)
                .unwrap()
                .wait(None)
                .unwrap()
                .unwrap()
        };

        let ok = done(at(4090, 10), at(100, 10));
        assert_eq!((ok.status, ok.information), (NtStatus(0), 10));
        assert_eq!(memory.read(100, 10), b"9876543210");

        let fault = NtStatus(Status::ACCESS_VIOLATION.0);
        // Behind the memory, in kernel space, and at the very end of the address space.
        assert_eq!(done(at(8190, 10), at(0, 10)).status, fault);
        assert_eq!(done(at(0, 10), at(8190, 10)).status, fault);
        assert_eq!(done((usize::MAX - 20, 10), at(0, 10)).status, fault);
        assert_eq!(done((usize::MAX - 4, 10), at(0, 10)).status, fault);
        assert_eq!(done((0, 10), at(0, 10)).status, fault);
        assert_eq!(
            done(at(0, 10), at(0, 4)).status,
            NtStatus(Status::BUFFER_TOO_SMALL.0)
        );
        program.free(memory).unwrap();
        assert_eq!(done(at(0, 10), at(0, 10)).status, fault);
    });
}

#[test]
fn locked_pages_are_the_processs_own() {
    with_driver(|program, handle| {
        let memory = program.alloc(3 * 4096).unwrap();
        let fill = |input| {
            handle
                .control_raw(FILL, input, (0, 0))
                .unwrap()
                .wait(None)
                .unwrap()
                .unwrap()
        };
        assert_eq!(fill((memory.address() + 100, 5000)).information, 5000);
        let bytes = memory.read(0, 6000);
        assert!(bytes[100..5100].iter().all(|byte| *byte == 0x5a));
        assert!(
            bytes[..100]
                .iter()
                .chain(&bytes[5100..])
                .all(|byte| *byte == 0)
        );
        assert_eq!(
            fill((memory.address() + 2 * 4096, 8192)).status,
            NtStatus(Status::ACCESS_VIOLATION.0)
        );
        assert_eq!(
            fill((usize::MAX - 4096, 100)).status,
            NtStatus(Status::ACCESS_VIOLATION.0)
        );
        program.free(memory).unwrap();
    });
}

#[test]
fn kernel_pages_are_lent_until_the_handle_is_closed() {
    with_driver(|program, handle| {
        let address = ask(handle, MAP);
        let memory = program.memory(address, 8192).unwrap();
        assert_eq!(memory.read(4998, 3), [0, 0x77, 0]);
        // What the program writes, the driver sees: the word at 16, and the half at 20 again.
        memory.write(16, &[1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(ask(handle, LOOK), (2 << 32 | 1) + 2);
    });
}

#[test]
fn lent_pages_leave_the_process_whoever_closes_the_last_handle() {
    let lab = Lab::builder().cpus(2).boot().unwrap();
    in_lab(&lab, |program, _| {
        let handle = program
            .open(r"\Device\wrapped")
            .ea("Open", b"value")
            .open()
            .unwrap();
        let address = ask(&handle, MAP);
        let heir = lab.administrator("heir").unwrap();
        let theirs = handle.duplicate(&heir, GENERIC_ALL).unwrap();
        // Attached to its creator, the driver looks from the other process too.
        assert_eq!(ask(&theirs, LOOK), 0);
        handle.close().unwrap();
        assert!(program.memory(address, 8192).is_ok());
        theirs.close().unwrap();
        assert!(program.memory(address, 8192).is_err());
    });
}

#[test]
fn every_allocation_of_lent_pages_may_fail() {
    let lab = Lab::builder().cpus(2).boot().unwrap();
    in_lab(&lab, |_, handle| {
        for nth in 1.. {
            lab.inject_failures(FaultPlan::Nth(nth));
            let asked = handle.control(MAP, &[], 8);
            let failures = lab.injected_failures().len();
            lab.inject_failures(FaultPlan::Never);
            if failures == 0 {
                assert!(asked.is_ok() && nth > 4);
                break;
            }
            let status = status_of(asked);
            assert_eq!(status, Some(NtStatus(Status::INSUFFICIENT_RESOURCES.0)));
        }
    });
}

#[test]
fn lent_pages_leave_the_process_when_it_ends() {
    let lab = Lab::builder().cpus(2).boot().unwrap();
    in_lab(&lab, |heir, _| {
        let creator = lab.administrator("creator").unwrap();
        let handle = creator
            .open(r"\Device\wrapped")
            .ea("Open", b"value")
            .open()
            .unwrap();
        ask(&handle, MAP);
        let theirs = handle.duplicate(heir, GENERIC_ALL).unwrap();
        drop(handle);
        // The lab stops when something is mapped into what has ended.
        creator.terminate().unwrap();
        let looked = theirs.control(LOOK, &[], 8);
        assert_eq!(status_of(looked), Some(NtStatus(Status::NOT_FOUND.0)));
        theirs.close().unwrap();
    });
}

#[test]
fn a_waiting_request_ends_by_the_driver_by_cancelling_or_with_its_handle() {
    with_driver(|program, handle| {
        let wait = || handle.control_raw(PARK, (0, 0), (0, 0)).unwrap();
        let ended = |pending: &nt_sim::Pending<'_>| pending.wait(None).unwrap().unwrap();

        let finished = wait();
        assert!(finished.result().is_none());
        assert_eq!(ended(&wait()).status, NtStatus(Status::DEVICE_BUSY.0));
        handle.control(FINISH, &[], 0).unwrap();
        assert_eq!(
            (ended(&finished).status, ended(&finished).information),
            (NtStatus(0), 5)
        );
        assert_eq!(
            status_of(handle.control(FINISH, &[], 0)),
            Some(NtStatus(Status::NOT_FOUND.0))
        );

        let cancelled = wait();
        assert!(cancelled.cancel().unwrap());
        assert_eq!(ended(&cancelled).status, NtStatus(Status::CANCELLED.0));

        let other = program
            .open(r"\Device\wrapped")
            .ea("Open", b"")
            .open()
            .unwrap();
        let abandoned = other.control_raw(PARK, (0, 0), (0, 0)).unwrap();
        drop(abandoned);
        other.close().unwrap();
    });
}

#[test]
fn fast_controls_need_no_packet() {
    with_driver(|_, handle| {
        let output = handle.control(FAST, b"12345", 8).unwrap();
        assert_eq!((output.information, &output.bytes[..4]), (5, &b"fast"[..]));
    });
}

#[test]
fn opens_are_told_apart_by_their_attributes() {
    with_driver(|program, _| {
        let refused = program.open(r"\Device\wrapped").ea("Shut", b"value").open();
        assert_eq!(
            status_of(refused.map(drop)),
            Some(NtStatus(Status::INVALID_PARAMETER.0))
        );
        let inert = program.open(r"\Device\wrapped").open().unwrap();
        assert_eq!(
            status_of(inert.control(ECHO, b"abc", 8)),
            Some(NtStatus(Status::NOT_SUPPORTED.0))
        );
    });
}

#[test]
fn the_descriptor_is_in_force_and_can_be_overridden() {
    for (service, everybody) in [("wrapped", false), ("everybody", true)] {
        let lab = Lab::boot().unwrap();
        let driver = lab.start_linked(service, driver_entry).unwrap();
        let user = lab.user("user").unwrap();
        let opened = user.open(r"\Device\wrapped").open().map(drop);
        let expected = (!everybody).then_some(NtStatus(Status::ACCESS_DENIED.0));
        assert_eq!(status_of(opened), expected, "{service}");
        drop(user);
        let report = driver.unload().unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn a_wait_of_a_program_ends_with_it() {
    let lab = Lab::builder().cpus(2).boot().unwrap();
    in_lab(&lab, |program, _| {
        let victim = lab.administrator("victim").unwrap();
        let handle = victim
            .open(r"\Device\wrapped")
            .ea("Open", b"value")
            .open()
            .unwrap();
        let watch = handle.duplicate(program, GENERIC_ALL).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(handle.control(WAIT, &[], 8)));
            while ask(&watch, WAITED) != 0x2_0000_0000 {
                std::thread::yield_now();
            }
            victim.kill().unwrap();
            waiter.join().unwrap();
        });
        assert_eq!(ask(&watch, WAITED), Status::USER_APC.0 as usize);
        watch.close().unwrap();
    });
}

#[test]
fn any_order_of_threads_gives_the_same() {
    for seed in 0..40 {
        let lab = Lab::builder().cpus(2).seed(seed).boot().unwrap();
        in_lab(&lab, |_, handle| {
            let expected = [
                (THREAD, 2),
                (DPC, 1),
                (TIMER, 3),
                (WORK, 3),
                (WATCH, 3),
                (LOCKS, 400),
                (RUNDOWN, 1),
                (EVENTS, 2),
                (NMR, 3),
            ];
            for (code, answer) in expected {
                assert_eq!(ask(handle, code), answer, "seed {seed}, code {code:#x}");
            }
            let _ = ask(handle, PUBLISHED);
            let waiting = handle.control_raw(PARK, (0, 0), (0, 0)).unwrap();
            assert!(waiting.cancel().unwrap());
            assert!(waiting.wait(None).unwrap().is_some());
        });
    }
}

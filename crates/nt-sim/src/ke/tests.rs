//! The kernel core, exercised by small "drivers" of linked functions.

use std::{
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

use nt::sys::{KDPC, KEVENT, KTIMER};

use super::{dispatcher, dpc::*, object_exports::*, processor_exports::*, spin_lock::*, timer::*};
use crate::{
    Lab, LabError, Mode, Rule,
    arch::{self, ThunkKind, ThunkPage},
    export, invoke, irql, sched,
};

fn bugcheck_of(result: Result<u64, LabError>) -> Rule {
    match result {
        Err(LabError::BugCheck(report)) => report.rule,
        other => panic!("no bugcheck: {other:?}"),
    }
}

fn zeroed<T>() -> Box<T> {
    // SAFETY: the kernel objects used here are integers and pointers.
    unsafe { Box::<T>::new_zeroed().assume_init() }
}

#[test]
fn an_event_wakes_a_waiting_thread() {
    let lab = Lab::boot().unwrap();
    let event = Box::into_raw(zeroed::<KEVENT>());
    let address = event as usize;
    let woken = lab
        .enter(|| {
            // SAFETY: memory for an event.
            unsafe { KeInitializeEvent(event, 1, 0) };
            let thread = sched::spawn_system("waiter", move || {
                dispatcher::wait(&[address], false, None);
            });
            // SAFETY: an initialised event.
            unsafe { KeSetEvent(event, 0, 0) };
            dispatcher::wait(&[thread.kthread() as usize], false, Some(-10 * 10_000_000))
        })
        .unwrap();
    assert_eq!(woken, 0);
    drop(lab);
    // SAFETY: made above; nobody uses it any more.
    drop(unsafe { Box::from_raw(event) });
}

#[test]
fn a_wait_times_out_when_virtual_time_passes() {
    let lab = Lab::builder().seed(1).boot().unwrap();
    let mut event = zeroed::<KEVENT>();
    let status = lab
        .enter(|| {
            // SAFETY: memory for an event.
            unsafe { KeInitializeEvent(&raw mut *event, 0, 0) };
            dispatcher::wait(&[&raw const *event as usize], false, Some(-50_000_000))
        })
        .unwrap();
    assert_eq!(status, dispatcher::STATUS_TIMEOUT);
}

static RAN_ON: AtomicU32 = AtomicU32::new(u32::MAX);

unsafe extern "win64" fn dpc_routine(_: *mut KDPC, context: *mut u8, a: *mut u8, b: *mut u8) {
    assert_eq!(irql::current(), irql::DISPATCH);
    assert_eq!((a as usize, b as usize), (3, 4));
    RAN_ON.store(sched::current().processor(), Ordering::SeqCst);
    // SAFETY: the context is an event.
    unsafe { KeSetEvent(context.cast(), 0, 0) };
}

#[test]
fn a_dpc_runs_at_dispatch_on_its_target_processor() {
    let lab = Lab::builder().cpus(4).boot().unwrap();
    let mut event = zeroed::<KEVENT>();
    let mut dpc = zeroed::<KDPC>();
    lab.enter(|| {
        // SAFETY: memory for an event.
        unsafe { KeInitializeEvent(&raw mut *event, 0, 0) };
        let context = (&raw mut *event).cast();
        // SAFETY: memory for a DPC.
        unsafe { KeInitializeDpc(&raw mut *dpc, dpc_routine as *const u8, context) };
        let third = nt::sys::PROCESSOR_NUMBER {
            Group: 0,
            Number: 3,
            Reserved: 0,
        };
        // SAFETY: initialised above.
        unsafe { KeSetTargetProcessorDpcEx(&raw mut *dpc, &raw const third) };
        // SAFETY: initialised above.
        let queued = unsafe { KeInsertQueueDpc(&raw mut *dpc, 3 as *mut u8, 4 as *mut u8) };
        assert_eq!(queued, 1);
        dispatcher::wait(&[context as usize], false, None);
        // SAFETY: at PASSIVE_LEVEL.
        unsafe { KeFlushQueuedDpcs() };
    })
    .unwrap();
    assert_eq!(RAN_ON.load(Ordering::SeqCst), 3);
}

#[test]
fn a_periodic_timer_goes_off_each_period() {
    let lab = Lab::builder()
        .clock(crate::ClockMode::Virtual)
        .boot()
        .unwrap();
    let mut timer = zeroed::<KTIMER>();
    lab.enter(|| {
        // SAFETY: memory for a timer.
        unsafe { KeInitializeTimerEx(&raw mut *timer, 1) };
        // SAFETY: initialised above; due in 10 ms, then each 10 ms.
        unsafe { KeSetTimerEx(&raw mut *timer, -100_000, 10, std::ptr::null_mut()) };
    })
    .unwrap();
    let fired = AtomicUsize::new(0);
    for _ in 0..5 {
        lab.advance(Duration::from_millis(10)).unwrap();
        lab.enter(|| {
            let object = &raw const *timer as usize;
            if dispatcher::wait(&[object], false, Some(0)) == 0 {
                fired.fetch_add(1, Ordering::SeqCst);
            }
        })
        .unwrap();
    }
    assert_eq!(fired.load(Ordering::SeqCst), 5);
    // SAFETY: initialised above.
    lab.enter(|| assert_eq!(unsafe { KeCancelTimer(&raw mut *timer) }, 1))
        .unwrap();
}

unsafe extern "win64" fn take_lock_twice(lock: *mut usize) {
    // SAFETY: a spin lock.
    unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: the same lock: deadlock.
    unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
}

unsafe extern "win64" fn wait_with_lock(lock: *mut usize, event: *mut u8) {
    // SAFETY: a spin lock.
    unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: an event, but too high.
    unsafe { KeWaitForSingleObject(event, 0, 0, 0, std::ptr::null()) };
}

unsafe extern "win64" fn flush_at_dispatch() {
    irql::raise(irql::DISPATCH);
    // SAFETY: too high.
    unsafe { KeFlushQueuedDpcs() };
}

#[test]
fn a_recursive_spin_lock_is_caught() {
    let lab = Lab::boot().unwrap();
    let lock = &mut 0_usize;
    let result = lab.enter(|| invoke!(take_lock_twice, &raw mut *lock));
    assert_eq!(bugcheck_of(result), Rule::SpinLockRecursive);
    assert!(
        lab.bugcheck()
            .unwrap()
            .to_string()
            .contains("SPIN_LOCK_ALREADY_OWNED")
    );
    assert!(
        matches!(lab.enter(|| ()), Err(LabError::BugCheck(_))),
        "the kernel stays stopped"
    );
}

#[test]
fn a_wait_at_dispatch_is_caught() {
    let lab = Lab::boot().unwrap();
    let lock = &mut 0_usize;
    let mut event = zeroed::<KEVENT>();
    let result = lab.enter(|| invoke!(wait_with_lock, &raw mut *lock, &raw mut *event));
    assert_eq!(bugcheck_of(result), Rule::WaitAtDispatch);
}

#[test]
fn a_call_above_its_irql_is_caught() {
    let lab = Lab::boot().unwrap();
    let result = lab.enter(|| invoke!(flush_at_dispatch));
    assert_eq!(bugcheck_of(result), Rule::IrqlTooHigh);
}

/// Ten arguments, so that six come on the stack.
unsafe extern "win64" fn ten(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
) -> u64 {
    [a, b, c, d, e, f, g, h, i, j]
        .iter()
        .fold(0, |sum, &x| sum * 10 + x)
}

#[test]
fn arguments_survive_both_directions_and_both_thunks() {
    for mode in [Mode::Strict, Mode::Fast] {
        let lab = Lab::builder().mode(mode).boot().unwrap();
        let mut page = ThunkPage::new(2).unwrap();
        let plain = page.add(ThunkKind::Plain, ten as *const ());
        let raising = page.add(ThunkKind::Raising, ten as *const ());
        page.seal().unwrap();
        // The thunks stand for driver code: a tail call into them runs on the kernel stack.
        let range = plain as usize..raising as usize + 32;
        arch::register_image(range.clone());
        for thunk in [plain, raising] {
            if thunk == plain && mode == Mode::Fast {
                continue;
            }
            let sum = lab
                .enter(|| invoke!(thunk, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0))
                .unwrap();
            assert_eq!(sum, 1_234_567_890);
        }
        arch::unregister_image(&range);
    }
}

#[test]
fn seeds_replay_the_same_interleaving() {
    fn run(seed: u64) -> Vec<u32> {
        let lab = Lab::builder().seed(seed).boot().unwrap();
        let order = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        lab.enter(|| {
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let order = std::sync::Arc::clone(&order);
                    sched::spawn_system(&format!("t{n}"), move || {
                        for _ in 0..20 {
                            // SAFETY: no output asked for.
                            unsafe { KeGetCurrentProcessorNumberEx(std::ptr::null_mut()) };
                            order.lock().push(n);
                        }
                    })
                })
                .collect();
            for thread in threads {
                dispatcher::wait(&[thread.kthread() as usize], false, None);
            }
        })
        .unwrap();
        std::mem::take(&mut *order.lock())
    }
    let first = run(7);
    assert_eq!(first, run(7));
    assert!(
        (8..20).any(|seed| run(seed) != first),
        "every seed gives one order"
    );
}

#[test]
fn a_deadlock_is_reported_under_a_seed() {
    let lab = Lab::builder().seed(3).boot().unwrap();
    let mut event = zeroed::<KEVENT>();
    let result = lab.enter(|| {
        // SAFETY: memory for an event.
        unsafe { KeInitializeEvent(&raw mut *event, 0, 0) };
        dispatcher::wait(&[&raw const *event as usize], false, None) as u64
    });
    assert_eq!(bugcheck_of(result), Rule::Deadlock);
}

#[test]
fn every_export_is_found_by_module_and_name_and_hal_forwards() {
    assert!(export::lookup("NTOSKRNL.EXE", "KeSetEvent").is_some());
    assert!(export::lookup("hal.dll", "KeStallExecutionProcessor").is_some());
    assert!(export::lookup("ntoskrnl.exe", "KeSetEvents").is_none());
    assert!(export::lookup("win32k.sys", "KeSetEvent").is_none());
    assert!(export::all().count() > 50);
}

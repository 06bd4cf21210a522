//! Locks, timers, work items, memory and processors.

use std::sync::atomic::{AtomicU32, Ordering};

use nt::sys::*;

use super::{driver::new_filter, rule};
use crate::{
    ClockMode, Lab, Rule, invoke, irql,
    ndis::{header, rw_lock::*, system::*, timer::*},
};

#[test]
fn reader_writer_locks_raise_and_restore_the_level() {
    let lab = Lab::boot().unwrap();
    lab.enter(|| {
        let lock = invoke!(NdisAllocateRWLock, 0);
        let mut first = LOCK_STATE_EX::zeroed();
        let mut second = LOCK_STATE_EX::zeroed();
        invoke!(NdisAcquireRWLockRead, lock, &raw mut first, 0);
        invoke!(NdisAcquireRWLockRead, lock, &raw mut second, 1);
        assert_eq!(irql::current(), irql::DISPATCH);
        invoke!(NdisReleaseRWLock, lock, &raw mut second);
        invoke!(NdisReleaseRWLock, lock, &raw mut first);
        assert_eq!(irql::current(), irql::PASSIVE);
        invoke!(NdisAcquireRWLockWrite, lock, &raw mut first, 0);
        invoke!(NdisReleaseRWLock, lock, &raw mut first);
        invoke!(NdisFreeRWLock, lock);
    })
    .unwrap();
}

#[test]
fn misuse_of_reader_writer_locks_is_caught() {
    let run = |misuse: fn(u64)| {
        let lab = Lab::boot().unwrap();
        rule(lab.enter(|| misuse(invoke!(NdisAllocateRWLock, 0))))
    };
    let upgrade = run(|lock| {
        let mut state = LOCK_STATE_EX::zeroed();
        invoke!(NdisAcquireRWLockRead, lock, &raw mut state, 0);
        invoke!(NdisAcquireRWLockWrite, lock, &raw mut state, 0);
    });
    assert_eq!(upgrade, Rule::SpinLockRecursive);
    let not_held = run(|lock| {
        let mut state = LOCK_STATE_EX::zeroed();
        invoke!(NdisReleaseRWLock, lock, &raw mut state);
    });
    assert_eq!(not_held, Rule::SpinLockNotOwned);
    let held = run(|lock| {
        let mut state = LOCK_STATE_EX::zeroed();
        invoke!(NdisAcquireRWLockRead, lock, &raw mut state, 0);
        invoke!(NdisFreeRWLock, lock);
    });
    assert_eq!(held, Rule::ActiveObjectFreed);
    let low = run(|lock| {
        let mut state = LOCK_STATE_EX::zeroed();
        invoke!(NdisAcquireRWLockRead, lock, &raw mut state, 1);
    });
    assert_eq!(low, Rule::IrqlTooLow);
}

static FIRED: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn fire(_: PVOID, context: PVOID, _: PVOID, _: PVOID) {
    assert_eq!(irql::current(), irql::DISPATCH);
    FIRED.fetch_add(context as u32, Ordering::SeqCst);
}

fn new_timer() -> u64 {
    let mut c = NDIS_TIMER_CHARACTERISTICS::zeroed();
    c.Header = header(NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, 1, 0x18);
    c.TimerFunction = Some(fire);
    c.FunctionContext = 1 as PVOID;
    let mut timer = 0_u64;
    assert_eq!(
        invoke!(NdisAllocateTimerObject, 0, &raw const c, &raw mut timer),
        0
    );
    timer
}

#[test]
fn timers_fire_repeat_and_are_cancelled() {
    let lab = Lab::builder().clock(ClockMode::Virtual).boot().unwrap();
    let timer = lab
        .enter(|| {
            let timer = new_timer();
            assert_eq!(
                invoke!(NdisSetTimerObject, timer, -100_000_i64, 10, 0) as u8,
                0
            );
            timer
        })
        .unwrap();
    lab.advance(std::time::Duration::from_millis(55)).unwrap();
    lab.enter(|| {
        crate::ke::dpc::flush();
        assert_eq!(FIRED.load(Ordering::SeqCst), 5);
        assert_eq!(invoke!(NdisCancelTimerObject, timer) as u8, 1);
        assert_eq!(invoke!(NdisCancelTimerObject, timer) as u8, 0);
        invoke!(NdisFreeTimerObject, timer);
    })
    .unwrap();
}

#[test]
fn a_set_timer_must_not_be_freed() {
    let lab = Lab::builder().clock(ClockMode::Virtual).boot().unwrap();
    let result = lab.enter(|| {
        let timer = new_timer();
        invoke!(NdisSetTimerObject, timer, -100_000_i64, 0, 0);
        invoke!(NdisFreeTimerObject, timer)
    });
    assert_eq!(rule(result), Rule::ActiveObjectFreed);
}

#[test]
fn a_timer_left_at_detach_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    lab.nic("eth0").create().unwrap();
    let handle = filter.handle();
    lab.enter(|| {
        let mut c = NDIS_TIMER_CHARACTERISTICS::zeroed();
        c.Header = header(NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, 1, 0x18);
        c.TimerFunction = Some(fire);
        let mut timer = 0_u64;
        invoke!(
            NdisAllocateTimerObject,
            handle,
            &raw const c,
            &raw mut timer
        );
        invoke!(NdisSetTimerObject, timer, -600_000_000_i64, 0, 0);
    })
    .unwrap();
    assert_eq!(rule(filter.deregister(&lab)), Rule::NdisPendingAtDetach);
}

static RAN: AtomicU32 = AtomicU32::new(0);

unsafe extern "win64" fn work(context: PVOID, _: PVOID) {
    assert_eq!(irql::current(), irql::PASSIVE);
    RAN.store(context as u32, Ordering::SeqCst);
}

#[test]
fn work_items_run_at_passive_level_and_memory_and_processors_are_given() {
    let lab = Lab::builder().cpus(3).boot().unwrap();
    lab.enter(|| {
        let item = invoke!(NdisAllocateIoWorkItem, 0);
        invoke!(NdisQueueIoWorkItem, item, work as *const (), 7);
        crate::ndis::settle();
        assert_eq!(RAN.load(Ordering::SeqCst), 7);
        invoke!(NdisFreeIoWorkItem, item);
        let memory = invoke!(NdisAllocateMemoryWithTagPriority, 0, 100, 0, 0) as *mut u8;
        assert!(!memory.is_null());
        invoke!(NdisFreeMemory, memory, 100, 0);
        let mut size = 0_usize;
        let short = invoke!(NdisGetRssProcessorInformation, 0, 0, &raw mut size) as i32;
        assert_eq!((short, size), (NDIS_STATUS_BUFFER_TOO_SHORT, 0x28 + 3 * 8));
        let mut info = vec![0_u8; size];
        assert_eq!(
            invoke!(
                NdisGetRssProcessorInformation,
                0,
                info.as_mut_ptr(),
                &raw mut size
            ),
            0
        );
        assert_eq!(info[0x18], 3);
        let mut size = 0_usize;
        let ask = |to: *mut u8, size: &mut usize| {
            invoke!(
                NdisGetProcessorInformationEx,
                0,
                to,
                std::ptr::from_mut(size)
            ) as i32
        };
        let short = ask(std::ptr::null_mut(), &mut size);
        assert_eq!(
            (short, size),
            (NDIS_STATUS_BUFFER_TOO_SHORT, 0x28 + 3 * 0x14)
        );
        let mut info = vec![0_u8; size];
        assert_eq!(ask(info.as_mut_ptr(), &mut size), 0);
        assert_eq!((info[0x10], info[0x20], info[0x24]), (3, 3, 0x14));
        let last = &info[0x28 + 2 * 0x14..];
        assert_eq!((last[2], last[8]), (2, 2), "processor 2, core 2");
    })
    .unwrap();
}

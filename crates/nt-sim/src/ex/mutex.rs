//! Fast mutexes.

use nt::sys::FAST_MUTEX;

use crate::{exports, irql, ke::dispatcher, sched, verifier::Rule};

const FREE: i32 = 1;

fn owner(mutex: *mut FAST_MUTEX) -> usize {
    // SAFETY: the caller passes a fast mutex.
    unsafe { (*mutex).Owner as usize }
}

fn set_owner(mutex: *mut FAST_MUTEX, owner: usize) {
    // SAFETY: as in `owner`; by the owner only.
    unsafe { (*mutex).Owner = owner as *mut _ };
}

/// The count, which comes first.
fn count<'a>(mutex: *mut FAST_MUTEX) -> &'a std::sync::atomic::AtomicI32 {
    // SAFETY: the caller passes a fast mutex, whose count is only used atomically.
    unsafe { std::sync::atomic::AtomicI32::from_ptr(mutex.cast()) }
}

fn try_take(mutex: *mut FAST_MUTEX) -> bool {
    count(mutex)
        .compare_exchange(
            FREE,
            0,
            std::sync::atomic::Ordering::Acquire,
            std::sync::atomic::Ordering::Relaxed,
        )
        .is_ok()
}

fn event(mutex: *mut FAST_MUTEX) -> usize {
    mutex as usize + std::mem::offset_of!(FAST_MUTEX, Event)
}

fn acquire(mutex: *mut FAST_MUTEX) {
    let me = sched::current().kthread() as usize;
    if owner(mutex) == me {
        crate::bugcheck!(Rule::PushLockMisused, mutex;
            "the fast mutex at {mutex:p} was acquired by the thread that owns it");
    }
    while !try_take(mutex) {
        dispatcher::wait(&[event(mutex)], false, None);
    }
    set_owner(mutex, me);
}

fn release(mutex: *mut FAST_MUTEX) {
    if owner(mutex) != sched::current().kthread() as usize {
        crate::bugcheck!(Rule::PushLockMisused, mutex;
            "the fast mutex at {mutex:p} was released by a thread that does not own it");
    }
    set_owner(mutex, 0);
    count(mutex).store(FREE, std::sync::atomic::Ordering::Release);
    dispatcher::update(event(mutex), |_| 1);
}

fn set_old_irql(mutex: *mut FAST_MUTEX, level: u8) {
    // SAFETY: as in `owner`; by the owner only.
    unsafe { (*mutex).OldIrql = u32::from(level) };
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Raises to APC_LEVEL and takes a fast mutex.
    #[irql(APC)]
    fn ExAcquireFastMutex(mutex: *mut FAST_MUTEX) {
        let old = irql::raise(irql::APC);
        acquire(mutex);
        set_old_irql(mutex, old);
    }

    /// Releases a fast mutex and goes back to the old level.
    #[irql(APC)]
    fn ExReleaseFastMutex(mutex: *mut FAST_MUTEX) {
        // SAFETY: the owner reads what it stored.
        let old = unsafe { (*mutex).OldIrql } as u8;
        release(mutex);
        irql::lower(old);
    }

    /// Takes a fast mutex inside a critical region.
    #[irql(APC)]
    fn ExAcquireFastMutexUnsafe(mutex: *mut FAST_MUTEX) {
        acquire(mutex);
    }

    /// Releases a fast mutex inside a critical region.
    #[irql(APC)]
    fn ExReleaseFastMutexUnsafe(mutex: *mut FAST_MUTEX) {
        release(mutex);
    }

    /// Takes a fast mutex if it is free.
    #[irql(APC)]
    fn ExTryToAcquireFastMutex(mutex: *mut FAST_MUTEX) -> u8 {
        let old = irql::raise(irql::APC);
        if try_take(mutex) {
            set_owner(mutex, sched::current().kthread() as usize);
            set_old_irql(mutex, old);
            return 1;
        }
        irql::lower(old);
        0
    }
}

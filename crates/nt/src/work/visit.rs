//! A visit to every processor.

use core::cell::UnsafeCell;
use core::ptr;

use crate::irql::Passive;
use crate::processor::{self, ProcessorNumber};
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    Executive, HighImportance, KDPC, KEVENT, KernelMode, PVOID, SynchronizationEvent,
};

/// Waits until every running processor has been below DISPATCH_LEVEL, however busy its threads are: a deferred call goes
/// round, which interrupts threads of any priority and nothing that runs at DISPATCH_LEVEL.
///
/// It cannot fail, because it needs no memory.
pub fn visit_processors(_passive: Passive<'_>) {
    // On the stack, which stays in memory while a thread waits in kernel mode.
    let arrived = UnsafeCell::new(KEVENT::zeroed());
    let call = UnsafeCell::new(KDPC::zeroed());
    // SAFETY: room for an event that stays where it is.
    unsafe { ntoskrnl::KeInitializeEvent(arrived.get(), SynchronizationEvent, 0) };
    // SAFETY: room for a call that stays where it is, as does the event that it gets.
    unsafe { ntoskrnl::KeInitializeDpc(call.get(), Some(arrive), arrived.get().cast()) };
    // Others may be left until their processor has nothing better to do.
    // SAFETY: initialised.
    unsafe { ntoskrnl::KeSetImportanceDpc(call.get(), HighImportance) };
    // A processor that starts later than it is counted here has nothing of before on it.
    for index in 0..processor::active_count() {
        // What has no number does not exist.
        let Ok(number) = ProcessorNumber::from_index(index) else {
            continue;
        };
        let mut number = number.raw();
        // SAFETY: initialised and not queued; the number is a local. It was just asked for, so it is taken.
        let _ = unsafe { ntoskrnl::KeSetTargetProcessorDpcEx(call.get(), &mut number) };
        // SAFETY: initialised, and not queued: the last visit has been waited for.
        let _ = unsafe { ntoskrnl::KeInsertQueueDpc(call.get(), ptr::null_mut(), ptr::null_mut()) };
        let (event, mode) = (arrived.get().cast(), KernelMode as i8);
        // SAFETY: initialised; the level is proven.
        let _ =
            unsafe { ntoskrnl::KeWaitForSingleObject(event, Executive, mode, 0, ptr::null_mut()) };
    }
    // The call that set the event may still be on its way back, in code that must not be unloaded under it.
    // SAFETY: initialised; the level is proven.
    let _ = unsafe { ntoskrnl::KeRemoveQueueDpcEx(call.get(), 1) };
}

kernel_fn! {
    unsafe fn arrive(_dpc: *mut KDPC, context: PVOID, _argument1: PVOID, _argument2: PVOID) {
        // SAFETY: the event of `visit_processors`, which waits for it. Nothing of that stack is touched after this.
        let _ = unsafe { ntoskrnl::KeSetEvent(context.cast::<KEVENT>(), 0, 0) };
    }
}

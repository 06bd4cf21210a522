//! Cancel-safe queues: the I/O manager cancels for drivers that keep requests in a queue.
//!
//! The packet's `DriverContext[3]` leads to the queue, or to the context that the driver gave with it.

use std::sync::atomic::{AtomicUsize, Ordering};

use nt::sys::{
    IO_CSQ, IO_CSQ_IRP_CONTEXT, IRP, IRP_Tail_Overlay, NTSTATUS, SL_PENDING_RETURNED,
    STATUS_SUCCESS,
};

use super::irp;
use crate::{
    export::{self, Info, MaxIrql},
    exports, irql,
    ke::spin_lock,
    kernel::kernel,
    mem::guest,
};

/// Values of the `Type` that queues and contexts start with.
mod kind {
    pub(super) const CONTEXT: u32 = 1;
    pub(super) const QUEUE: u32 = 2;
    pub(super) const QUEUE_EX: u32 = 3;
}

/// Offsets of the callbacks in an `IO_CSQ`.
mod callback {
    use std::mem::offset_of;

    use nt::sys::IO_CSQ;

    pub(super) const INSERT: usize = offset_of!(IO_CSQ, CsqInsertIrp);
    pub(super) const REMOVE: usize = offset_of!(IO_CSQ, CsqRemoveIrp);
    pub(super) const PEEK_NEXT: usize = offset_of!(IO_CSQ, CsqPeekNextIrp);
    pub(super) const ACQUIRE: usize = offset_of!(IO_CSQ, CsqAcquireLock);
    pub(super) const RELEASE: usize = offset_of!(IO_CSQ, CsqReleaseLock);
    pub(super) const COMPLETE_CANCELED: usize = offset_of!(IO_CSQ, CsqCompleteCanceledIrp);
}

fn call(csq: *mut IO_CSQ, offset: usize, arguments: &[u64]) -> u64 {
    let routine: usize = guest::load(csq.wrapping_byte_add(offset).cast());
    let mut all = vec![csq as u64];
    all.extend_from_slice(arguments);
    crate::arch::call_driver(routine as *const (), &all)
}

/// Runs `body` with the driver's queue lock held.
fn locked<R>(csq: *mut IO_CSQ, body: impl FnOnce() -> R) -> R {
    let mut level = 0_u64;
    call(csq, callback::ACQUIRE, &[(&raw mut level) as u64]);
    let result = body();
    call(csq, callback::RELEASE, &[level & 0xff]);
    result
}

/// The word of a packet that belongs to its queue.
fn slot(packet: *mut IRP) -> *mut usize {
    let context = std::mem::offset_of!(IRP_Tail_Overlay, DriverContext);
    irp::overlay(packet)
        .wrapping_byte_add(context + 3 * size_of::<usize>())
        .cast()
}

fn exchange_cancel_routine(packet: *mut IRP, routine: usize) -> usize {
    let field = packet
        .wrapping_byte_add(std::mem::offset_of!(IRP, CancelRoutine))
        .cast();
    // SAFETY: the packet is alive: its queue's driver holds it; the field is only exchanged.
    unsafe { AtomicUsize::from_ptr(field) }.swap(routine, Ordering::AcqRel)
}

fn initialize(csq: *mut IO_CSQ, kind: u32, callbacks: [*const (); 6]) {
    guest::store(csq.cast(), kind);
    for (offset, routine) in [
        callback::INSERT,
        callback::REMOVE,
        callback::PEEK_NEXT,
        callback::ACQUIRE,
        callback::RELEASE,
        callback::COMPLETE_CANCELED,
    ]
    .into_iter()
    .zip(callbacks)
    {
        guest::store(csq.wrapping_byte_add(offset).cast(), routine as usize);
    }
    let reserved = csq.wrapping_byte_add(std::mem::offset_of!(IO_CSQ, ReservePointer));
    guest::store(reserved.cast(), 0_usize);
}

/// The cancel routine of queued packets. The I/O manager calls it as it would a driver's.
extern "win64" fn cancel(_device: usize, packet: *mut IRP) {
    static INFO: Info = Info {
        name: "the cancel routine of a cancel-safe queue",
        max_irql: MaxIrql::DISPATCH,
        raises: false,
        data: false,
    };
    // As an exported function: the driver's callbacks may stop the kernel.
    export::enter(&INFO, || cancel_queued(packet));
}

/// Cancels a queued packet; the cancel lock is held.
fn cancel_queued(packet: *mut IRP) {
    let lock = kernel().io.cancel_lock();
    // SAFETY: the packet is being cancelled, so it is alive.
    let level = unsafe { (*packet).CancelIrql };
    spin_lock::release_raised(lock, "IoReleaseCancelSpinLock");
    irql::lower(level);
    let link = guest::load(slot(packet));
    let (csq, context) = if guest::load(link as *const u32) == kind::CONTEXT {
        let context = link as *mut IO_CSQ_IRP_CONTEXT;
        (guest::load(context).Csq, context)
    } else {
        (link as *mut IO_CSQ, std::ptr::null_mut())
    };
    locked(csq, || {
        call(csq, callback::REMOVE, &[packet as u64]);
        forget(packet, context);
    });
    call(csq, callback::COMPLETE_CANCELED, &[packet as u64]);
}

/// The packet has left its queue.
fn forget(packet: *mut IRP, context: *mut IO_CSQ_IRP_CONTEXT) {
    if !context.is_null() {
        let old = guest::load(context);
        guest::store(
            context,
            IO_CSQ_IRP_CONTEXT {
                Irp: std::ptr::null_mut(),
                ..old
            },
        );
    }
    guest::store(slot(packet), 0);
}

fn insert(
    csq: *mut IO_CSQ,
    packet: *mut IRP,
    context: *mut IO_CSQ_IRP_CONTEXT,
    more: u64,
) -> NTSTATUS {
    let state = irp::expect(packet, "IoCsqInsertIrp");
    let link = if context.is_null() {
        csq as usize
    } else {
        guest::store(
            context,
            IO_CSQ_IRP_CONTEXT {
                Type: kind::CONTEXT,
                Irp: packet,
                Csq: csq,
            },
        );
        context as usize
    };
    let (status, cancelled) = locked(csq, || {
        guest::store(slot(packet), link);
        let location = state.location();
        // SAFETY: the packet is at the driver's location.
        let control = unsafe { (*location).Control };
        // SAFETY: as above.
        unsafe { (*location).Control = control | SL_PENDING_RETURNED };
        if guest::load(csq.cast::<u32>()) == kind::QUEUE_EX {
            let status = call(csq, callback::INSERT, &[packet as u64, more]) as NTSTATUS;
            if status < 0 {
                // SAFETY: as above.
                unsafe { (*location).Control = control };
                forget(packet, context);
                return (status, false);
            }
        } else {
            call(csq, callback::INSERT, &[packet as u64]);
        }
        exchange_cancel_routine(packet, cancel as *const () as usize);
        // SAFETY: the packet is alive: it is in the queue, whose lock is held.
        let asked = unsafe { (*packet).Cancel } != 0;
        // Whoever takes the routine back cancels.
        let mine = asked && exchange_cancel_routine(packet, 0) != 0;
        if mine {
            call(csq, callback::REMOVE, &[packet as u64]);
            forget(packet, context);
        }
        (STATUS_SUCCESS, mine)
    });
    if cancelled {
        call(csq, callback::COMPLETE_CANCELED, &[packet as u64]);
    }
    status
}

/// Takes a packet out of its queue, unless it is being cancelled.
fn take(csq: *mut IO_CSQ, packet: *mut IRP) -> bool {
    if exchange_cancel_routine(packet, 0) == 0 {
        return false;
    }
    let link = guest::load(slot(packet));
    let context = if guest::load(link as *const u32) == kind::CONTEXT {
        link as *mut IO_CSQ_IRP_CONTEXT
    } else {
        std::ptr::null_mut()
    };
    call(csq, callback::REMOVE, &[packet as u64]);
    forget(packet, context);
    true
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a queue of the driver's callbacks.
    #[irql(ANY)]
    fn IoCsqInitialize(csq: *mut IO_CSQ, insert: *const (), remove: *const (), peek: *const (), acquire: *const (), release: *const (), complete: *const ()) -> i32 {
        initialize(csq, kind::QUEUE, [insert, remove, peek, acquire, release, complete]);
        STATUS_SUCCESS
    }

    /// As IoCsqInitialize; the insert callback can refuse.
    #[irql(ANY)]
    fn IoCsqInitializeEx(csq: *mut IO_CSQ, insert: *const (), remove: *const (), peek: *const (), acquire: *const (), release: *const (), complete: *const ()) -> i32 {
        initialize(csq, kind::QUEUE_EX, [insert, remove, peek, acquire, release, complete]);
        STATUS_SUCCESS
    }

    /// Marks a packet pending and queues it.
    #[irql(DISPATCH)]
    fn IoCsqInsertIrp(csq: *mut IO_CSQ, packet: *mut IRP, context: *mut IO_CSQ_IRP_CONTEXT) {
        insert(csq, packet, context, 0);
    }

    /// As IoCsqInsertIrp, with a word for the insert callback, whose status it returns.
    #[irql(DISPATCH)]
    fn IoCsqInsertIrpEx(csq: *mut IO_CSQ, packet: *mut IRP, context: *mut IO_CSQ_IRP_CONTEXT, more: u64) -> i32 {
        insert(csq, packet, context, more)
    }

    /// Takes the packet out of the queue that it was queued with this context in; null when it was cancelled.
    #[irql(DISPATCH)]
    fn IoCsqRemoveIrp(csq: *mut IO_CSQ, context: *mut IO_CSQ_IRP_CONTEXT) -> *mut IRP {
        locked(csq, || {
            let packet = guest::load(context).Irp;
            let taken = !packet.is_null() && take(csq, packet);
            if taken { packet } else { std::ptr::null_mut() }
        })
    }

    /// Takes out the next packet that matches what the peek callback is given; null when there is none.
    #[irql(DISPATCH)]
    fn IoCsqRemoveNextIrp(csq: *mut IO_CSQ, matching: u64) -> *mut IRP {
        locked(csq, || {
            let mut packet = std::ptr::null_mut::<IRP>();
            loop {
                packet = call(csq, callback::PEEK_NEXT, &[packet as u64, matching]) as *mut IRP;
                if packet.is_null() || take(csq, packet) {
                    return packet;
                }
            }
        })
    }
}

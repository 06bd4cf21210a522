//! I/O request packets on their way through drivers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::sync::Mutex;
use nt::sys::{
    IO_STACK_LOCATION, IRP, IRP_INPUT_OPERATION, NTSTATUS, SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR,
    SL_INVOKE_ON_SUCCESS, SL_PENDING_RETURNED, STATUS_MORE_PROCESSING_REQUIRED, STATUS_PENDING,
};

use super::device;
use crate::{
    invoke, irql,
    kernel::{kernel, strict},
    mem::caller,
    ob::Body,
    sched,
    verifier::Rule,
};

/// What happens when a request is complete: gets the final status and information.
pub(crate) type Finish = Box<dyn FnOnce(NTSTATUS, usize) + Send>;

/// What the I/O manager knows about a packet.
pub(crate) struct Irp {
    body: Body,
    /// Who asked; `None` for packets that drivers made.
    finish: Mutex<Option<Finish>>,
    /// Bytes that the caller has room for, of those that are copied back to it.
    room: AtomicUsize,
    made_by_driver: bool,
    /// The driver that made it.
    owner: u16,
    completed: AtomicBool,
    marked_pending: AtomicBool,
    /// What it asks for, for reports.
    pub(crate) what: String,
    /// The process it belongs to.
    pub(crate) process: usize,
}

const IRP_TYPE: i16 = 6;

/// Completed packets that are remembered in strict mode.
const RECENT: usize = 1024;

impl Irp {
    /// Makes a packet with room for `stack` drivers.
    pub(crate) fn create(stack: u8, what: String, finish: Option<Finish>) -> Arc<Irp> {
        let locations = usize::from(stack.max(1));
        let size = size_of::<IRP>() + locations * size_of::<IO_STACK_LOCATION>();
        let body = Body::new(size);
        let irp = body.address() as *mut IRP;
        // SAFETY: the body was made for a packet with its stack locations; zero is a value of all
        // of it.
        unsafe { (*irp).Type = IRP_TYPE };
        // SAFETY: as above.
        unsafe { (*irp).Size = size as u16 };
        // SAFETY: as above.
        unsafe { (*irp).StackCount = locations as i8 };
        // SAFETY: as above.
        unsafe { (*irp).CurrentLocation = locations as i8 + 1 };
        let end = body.address() + size;
        // SAFETY: as above; one past the last location, as in a packet nobody was given yet.
        unsafe { (*overlay(irp)).CurrentStackLocation = end as *mut IO_STACK_LOCATION };
        // SAFETY: as above.
        unsafe { (*overlay(irp)).Thread = sched::current().kthread().cast() };
        let made_by_driver = finish.is_none();
        let irp = Arc::new(Irp {
            body,
            finish: Mutex::new(finish),
            room: AtomicUsize::new(0),
            made_by_driver,
            owner: caller::owner(),
            completed: AtomicBool::new(false),
            marked_pending: AtomicBool::new(false),
            what,
            process: crate::ps::current_process().id,
        });
        kernel()
            .io
            .irps
            .lock()
            .insert(irp.pointer() as usize, Arc::clone(&irp));
        irp
    }

    pub(crate) fn pointer(&self) -> *mut IRP {
        self.body.address() as *mut IRP
    }

    /// Has bytes of the packet's system buffer copied back to an address of the caller. As on Windows: as many as the driver
    /// says, whatever room there is.
    pub(crate) fn copies_back(&self, room: usize) {
        self.room.store(room, Ordering::Relaxed);
        // SAFETY: nobody was given the packet yet.
        unsafe { (*self.pointer()).Flags |= IRP_INPUT_OPERATION };
    }

    /// What is copied back must be no more than there is room for.
    fn check_room(&self, status: NTSTATUS, information: usize) {
        // SAFETY: the packet's memory is there as long as this is.
        let flags = unsafe { (*self.pointer()).Flags };
        let room = self.room.load(Ordering::Relaxed);
        let is_error = status as u32 >> 30 == 3;
        if flags & IRP_INPUT_OPERATION != 0 && !is_error && information > room {
            crate::bugcheck!(Rule::IrpInformation, self.pointer(), information, room;
                "{} was completed with status {status:#010x} and {information} bytes, which are copied to a buffer of {room}",
                self.what);
        }
    }

    /// The location that the next driver will get.
    pub(crate) fn next_location(&self) -> *mut IO_STACK_LOCATION {
        self.location().wrapping_sub(1)
    }

    /// The location of the driver that has the packet.
    pub(crate) fn location(&self) -> *mut IO_STACK_LOCATION {
        // SAFETY: the packet's memory is there as long as this is.
        unsafe { (*overlay(self.pointer())).CurrentStackLocation }
    }

    pub(crate) fn completed(&self) -> bool {
        self.completed.load(Ordering::Acquire)
    }

    /// Whether a driver that unloads still had to deal with it: it made the packet, or holds it.
    fn concerns(&self, driver: &Arc<super::driver::Driver>, owner: u16) -> bool {
        if self.made_by_driver {
            return self.owner == owner;
        }
        if self.completed() {
            return false;
        }
        let slot = self.location();
        if slot.wrapping_add(1) as usize > self.body.address() + self.body.size() {
            return false;
        }
        // SAFETY: one of the packet's locations (checked above), whose memory is there as long as this.
        let device = unsafe { (*slot).DeviceObject } as usize;
        let devices = kernel().io.devices.lock();
        devices
            .get(&device)
            .is_some_and(|device| Arc::ptr_eq(&device.driver, driver))
    }

    fn forget(&self) {
        let io = &kernel().io;
        let Some(irp) = io.irps.lock().remove(&(self.pointer() as usize)) else {
            return;
        };
        if strict() {
            let mut recent = io.recent.lock();
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(irp);
        }
    }
}

/// Packets that a driver had not finished with, in words.
pub(crate) fn left_by(driver: &Arc<super::driver::Driver>, owner: u16) -> Vec<String> {
    let irps: Vec<_> = kernel().io.irps.lock().values().cloned().collect();
    irps.iter()
        .filter(|irp| irp.concerns(driver, owner))
        .map(|irp| irp.what.clone())
        .collect()
}

/// The part of a packet that is the I/O manager's and its owner's.
pub(crate) fn overlay(irp: *mut IRP) -> *mut nt::sys::IRP_Tail_Overlay {
    irp.wrapping_byte_add(std::mem::offset_of!(IRP, Tail))
        .cast()
}

/// The packet at `irp`, which a driver says is one.
pub(crate) fn expect(irp: *mut IRP, doing: &str) -> Arc<Irp> {
    let found = kernel().io.irps.lock().get(&(irp as usize)).cloned();
    found.unwrap_or_else(|| {
        let recent = kernel().io.recent.lock();
        let gone = recent.iter().rev().find(|i| i.pointer() == irp).cloned();
        drop(recent);
        if let Some(gone) = gone {
            let rule = if doing == "IoCompleteRequest" {
                Rule::IrpCompletedTwice
            } else {
                Rule::IrpInvalid
            };
            crate::bugcheck!(rule, irp; "{doing} for {}, which was completed already", gone.what);
        }
        crate::bugcheck!(Rule::IrpInvalid, irp;
            "{doing} with {irp:p}, which is no packet (or one that was completed and freed)")
    })
}

/// Gives a packet to the driver of `device`.
pub(crate) fn call_driver(device: usize, irp: *mut IRP) -> NTSTATUS {
    let device = device::expect(device, "IoCallDriver");
    let state = expect(irp, "IoCallDriver");
    // SAFETY: the packet is alive: `state` keeps its memory.
    let location = unsafe { (*irp).CurrentLocation } - 1;
    if location <= 0 {
        crate::bugcheck!(Rule::IrpNoStackLocation, irp;
            "IoCallDriver for {}, whose stack locations are used up", state.what);
    }
    let slot = state.next_location();
    // SAFETY: as above.
    unsafe { (*irp).CurrentLocation = location };
    // SAFETY: as above.
    unsafe { (*overlay(irp)).CurrentStackLocation = slot };
    // SAFETY: `slot` is one of the packet's locations.
    unsafe { (*slot).DeviceObject = device.body() };
    // SAFETY: as above.
    let major = unsafe { (*slot).MajorFunction };
    let routine = device.major_function(major);
    if routine == super::driver::invalid_device_request_address() || routine == 0 {
        complete_with(irp, nt::sys::STATUS_INVALID_DEVICE_REQUEST, 0);
        return nt::sys::STATUS_INVALID_DEVICE_REQUEST;
    }
    let before = sched::current().irql();
    let regions = sched::current().apc_disable.get();
    let status = invoke!(routine, device.body(), irp) as NTSTATUS;
    if strict() {
        check_dispatch(&state, status, before, regions);
    }
    status
}

fn check_dispatch(state: &Irp, status: NTSTATUS, before: u8, regions: i32) {
    let thread = sched::current();
    if thread.irql() != before {
        crate::bugcheck!(Rule::IrqlNotRestored, thread.irql(), before;
            "the dispatch routine for {} was called at {} and returned at {}",
            state.what, irql::name(before), irql::name(thread.irql()));
    }
    if before < irql::DISPATCH {
        kernel()
            .verifier
            .check_no_spin_lock_held(thread, "a dispatch routine returned");
    }
    if thread.apc_disable.get() != regions {
        crate::bugcheck!(Rule::CriticalRegionUnbalanced, thread.apc_disable.get(), regions;
            "the dispatch routine for {} left {} critical regions open", state.what,
            thread.apc_disable.get() - regions);
    }
    let completed = state.completed();
    let marked = state.marked_pending.load(Ordering::Acquire)
        || (!completed && {
            let slot = state.location();
            // SAFETY: not completed, so the packet is alive; `state` keeps its memory in any case.
            unsafe { (*slot).Control & SL_PENDING_RETURNED != 0 }
        });
    if status == STATUS_PENDING && !marked {
        crate::bugcheck!(Rule::IrpPendingNotMarked, state.pointer();
            "the dispatch routine for {} returned STATUS_PENDING without IoMarkIrpPending",
            state.what);
    }
    if status != STATUS_PENDING && marked {
        crate::bugcheck!(Rule::IrpPendingNotReturned, state.pointer(), status;
            "the dispatch routine for {} marked the packet pending and returned {status:#010x}",
            state.what);
    }
    if status != STATUS_PENDING && !completed {
        crate::bugcheck!(Rule::IrpNotCompleted, state.pointer(), status;
            "the dispatch routine for {} returned {status:#010x} without completing the packet",
            state.what);
    }
}

/// Completes a packet with a status.
pub(crate) fn complete_with(irp: *mut IRP, status: NTSTATUS, information: usize) {
    // SAFETY: the caller owns the packet.
    unsafe { (*irp).IoStatus.Status = status };
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = information };
    complete(irp);
}

/// Completes a packet: calls the completion routines of the drivers above, then whoever asked.
pub(crate) fn complete(irp: *mut IRP) {
    let state = expect(irp, "IoCompleteRequest");
    // SAFETY: the packet is alive: it is listed and `state` keeps its memory.
    let status = unsafe { (*irp).IoStatus.Status };
    if status == STATUS_PENDING {
        crate::bugcheck!(Rule::IrpCompletedPending, irp;
            "{} was completed with STATUS_PENDING", state.what);
    }
    // SAFETY: as above.
    let cancel = unsafe { (*irp).CancelRoutine }.map_or(0, |f| f as *const () as usize);
    if cancel != 0 {
        crate::bugcheck!(Rule::IrpCancelRoutineSet, irp, cancel;
            "{} was completed while its cancel routine is set", state.what);
    }
    loop {
        // SAFETY: as above.
        let current = unsafe { (*irp).CurrentLocation };
        // SAFETY: as above.
        let count = unsafe { (*irp).StackCount };
        if current > count {
            break;
        }
        let slot = state.location();
        // SAFETY: as above; `current` is within the packet's stack.
        let location = unsafe { slot.read() };
        let control = location.Control;
        // SAFETY: as above.
        unsafe { (*irp).PendingReturned = u8::from(control & SL_PENDING_RETURNED != 0) };
        if control & SL_PENDING_RETURNED != 0 && current == count {
            state.marked_pending.store(true, Ordering::Release);
        }
        // SAFETY: as above.
        unsafe { (*irp).CurrentLocation = current + 1 };
        let next = slot.wrapping_add(1);
        // SAFETY: as above.
        unsafe { (*overlay(irp)).CurrentStackLocation = next };
        // SAFETY: as above.
        let status = unsafe { (*irp).IoStatus.Status };
        // SAFETY: as above.
        let cancelled = unsafe { (*irp).Cancel } != 0;
        let wanted = (status >= 0 && control & SL_INVOKE_ON_SUCCESS != 0)
            || (status < 0 && control & SL_INVOKE_ON_ERROR != 0)
            || (cancelled && control & SL_INVOKE_ON_CANCEL != 0);
        if let (true, Some(routine)) = (wanted, location.CompletionRoutine) {
            let device = if current == count {
                std::ptr::null_mut()
            } else {
                // SAFETY: the next location belongs to the driver that set the routine.
                unsafe { (*next).DeviceObject }
            };
            let answer = invoke!(routine, device, irp, location.Context) as NTSTATUS;
            if answer == STATUS_MORE_PROCESSING_REQUIRED {
                return;
            }
        }
    }
    if state.made_by_driver {
        crate::bugcheck!(Rule::IrpInvalid, irp;
            "a packet made with IoAllocateIrp came back to its maker, whose completion routine must \
             return STATUS_MORE_PROCESSING_REQUIRED");
    }
    state.completed.store(true, Ordering::Release);
    state.forget();
    // SAFETY: `state` keeps the memory.
    let io_status = unsafe { (*irp).IoStatus };
    state.check_room(io_status.Status, io_status.Information);
    let finish = state.finish.lock().take();
    if let Some(finish) = finish {
        finish(io_status.Status, io_status.Information);
    }
}

/// Frees a packet that a driver made.
pub(crate) fn free(irp: *mut IRP) {
    let state = expect(irp, "IoFreeIrp");
    if !state.made_by_driver {
        crate::bugcheck!(Rule::IrpInvalid, irp;
            "IoFreeIrp for {}, which the I/O manager made: complete it instead", state.what);
    }
    state.forget();
}

//! The driver itself: start, dispatch, unload.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use super::irp::{Completion, Irp};
use super::request::{Control, Create, FastControl};
use crate::handle::FileObject;
use crate::irql::{CriticalRegion, Passive};
use crate::memory::Mode;
use crate::pool::{Arc, Box, Tag};
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    BOOLEAN, DEVICE_OBJECT, DRIVER_OBJECT, FAST_IO_DISPATCH, FILE_OBJECT, HANDLE, IO_STATUS_BLOCK,
    IRP, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, NTSTATUS,
    PDRIVER_DISPATCH, UNICODE_STRING,
};

/// A driver: what it does when started, opened, controlled and unloaded.
///
/// All calls come at PASSIVE_LEVEL; those for requests inside a critical region.
pub trait Driver: Send + Sync + Sized + 'static {
    /// What is behind an open handle.
    type File: Send + Sync + 'static;

    /// Whether [`Driver::fast_control`] is to be called.
    const FAST_IO: bool = false;

    /// Whether [`Driver::process_ended`] is to be called.
    const WATCHES_PROCESSES: bool = false;

    /// The tag of the driver's own block.
    const TAG: Tag;

    /// Where the running driver is kept: one static variable for each driver.
    fn slot() -> &'static DriverSlot<Self>;

    /// Starts the driver. Its devices are made here; they cannot be opened yet.
    ///
    /// # Errors
    ///
    /// Loading fails with the status; what was made is undone by dropping it.
    fn load(
        object: DriverObject,
        registry_path: UnicodeStr<'_>,
        passive: Passive<'_>,
    ) -> Result<Self>;

    /// Called when requests can be served, before the start ends.
    ///
    /// # Errors
    ///
    /// Loading fails with the status, after [`Driver::unload`].
    fn started(&self, passive: Passive<'_>) -> Result<()> {
        let _ = passive;
        Ok(())
    }

    /// Stops the driver.
    fn unload(self, passive: Passive<'_>);

    /// Opens a device; `None` gives a handle with nothing behind it.
    ///
    /// # Errors
    ///
    /// Opening fails with the status.
    fn create(&self, request: &Create<'_>, passive: Passive<'_>)
    -> Result<Option<Arc<Self::File>>>;

    /// The last handle was closed; requests may still be pending.
    fn cleanup(&self, file: &Arc<Self::File>, passive: Passive<'_>) {
        let _ = (file, passive);
    }

    /// The last reference is gone.
    fn close(&self, file: Arc<Self::File>, passive: Passive<'_>) {
        let _ = (file, passive);
    }

    /// A process is about to end: its threads are gone, its handles still open and its memory still there. What is locked
    /// of it has to be unlocked on return.
    fn process_ended(&self, id: usize, passive: Passive<'_>) {
        let _ = (id, passive);
    }

    /// Serves a device control request.
    fn control(
        &self,
        file: &Arc<Self::File>,
        request: Control,
        passive: Passive<'_>,
    ) -> Completion {
        let _ = (file, passive);
        request.complete(Status::NOT_SUPPORTED, 0)
    }

    /// Serves a device control request for a handle with nothing behind it.
    fn control_device(&self, request: Control, passive: Passive<'_>) -> Completion {
        let _ = passive;
        request.complete(Status::NOT_SUPPORTED, 0)
    }

    /// Serves a device control request without a packet; `None` has the packet made.
    fn fast_control(
        &self,
        file: &Arc<Self::File>,
        request: &FastControl<'_>,
        passive: Passive<'_>,
    ) -> Option<(Status, usize)> {
        let _ = (file, request, passive);
        None
    }
}

/// Where a running driver is kept.
#[derive(Debug)]
pub struct DriverSlot<D> {
    running: AtomicPtr<Running<D>>,
}

/// A running driver, and what the kernel points to in it.
struct Running<D> {
    driver: D,
    object: DriverObject,
    fast_io: FAST_IO_DISPATCH,
}

impl<D: Driver> DriverSlot<D> {
    /// An empty slot.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            running: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn get(&self) -> Option<&Running<D>> {
        // SAFETY: set once the block is complete; cleared at unload, when the kernel makes no more calls.
        unsafe { self.running.load(Ordering::Acquire).as_ref() }
    }

    /// What is behind a file object, when it is a handle of this driver with something behind it.
    #[must_use]
    pub fn file(&self, file: &FileObject) -> Option<Arc<D::File>> {
        let running = self.get()?;
        // SAFETY: the reference keeps the file object, and that its device.
        let device = unsafe { (*file.as_ptr()).DeviceObject };
        // SAFETY: as above.
        let owner = unsafe { (*device).DriverObject };
        if owner != running.object.as_ptr() {
            return None;
        }
        // SAFETY: a file of this driver that is not closed as long as it is referenced.
        unsafe { file_of::<D>(file.as_ptr()) }
    }
}

impl<D: Driver> Default for DriverSlot<D> {
    fn default() -> Self {
        Self::new()
    }
}

/// The driver object, as far as a driver uses it.
#[doc(alias = "DRIVER_OBJECT")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriverObject(NonNull<DRIVER_OBJECT>);

// SAFETY: only passed to functions that take it from anywhere.
unsafe impl Send for DriverObject {}
// SAFETY: as above.
unsafe impl Sync for DriverObject {}

impl DriverObject {
    /// The object, for functions that take one.
    #[must_use]
    pub const fn as_ptr(self) -> *mut DRIVER_OBJECT {
        self.0.as_ptr()
    }
}

/// Starts a driver: the body of its `DriverEntry`.
///
/// # Safety
///
/// Called by the kernel's loader with the arguments that it passed.
#[must_use]
pub unsafe fn entry<D: Driver>(
    object: *mut DRIVER_OBJECT,
    registry_path: *mut UNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: entry points are called at PASSIVE_LEVEL.
    let passive = unsafe { Passive::assume() };
    // SAFETY: the loader's string, there during the call.
    let path = unsafe { UnicodeStr::from_raw(registry_path) };
    let Some(object) = NonNull::new(object) else {
        return Status::INVALID_PARAMETER.0;
    };
    Status::of(&start::<D>(DriverObject(object), path, passive)).0
}

fn start<D: Driver>(
    object: DriverObject,
    path: UnicodeStr<'_>,
    passive: Passive<'_>,
) -> Result<()> {
    let room = Box::<Running<D>>::uninit(D::TAG)?;
    let driver = D::load(object, path, passive)?;
    let mut fast_io = FAST_IO_DISPATCH::zeroed();
    fast_io.SizeOfFastIoDispatch = size_of::<FAST_IO_DISPATCH>() as u32;
    fast_io.FastIoDeviceControl = Some(dispatch_fast_control::<D>);
    let running = Box::into_raw(room.write(Running {
        driver,
        object,
        fast_io,
    }));
    D::slot().running.store(running, Ordering::Release);

    let object = object.as_ptr();
    let routines: [(u8, PDRIVER_DISPATCH); 4] = [
        (IRP_MJ_CREATE, Some(dispatch_create::<D>)),
        (IRP_MJ_CLEANUP, Some(dispatch_cleanup::<D>)),
        (IRP_MJ_CLOSE, Some(dispatch_close::<D>)),
        (IRP_MJ_DEVICE_CONTROL, Some(dispatch_control::<D>)),
    ];
    for (major, routine) in routines {
        // SAFETY: until its start ends, the object is this driver's to fill in.
        unsafe { (&mut (*object).MajorFunction)[usize::from(major)] = routine };
    }
    if D::FAST_IO {
        // SAFETY: the block of the running driver, just stored.
        let table = unsafe { &raw mut (*running).fast_io };
        // SAFETY: as above; the table lives as long as the driver runs.
        unsafe { (*object).FastIoDispatch = table };
    }
    // SAFETY: as above.
    unsafe { (*object).DriverUnload = Some(unload::<D>) };

    if let Err(status) = watch_processes::<D>() {
        end::<D>(passive);
        return Err(status);
    }
    let started = D::slot()
        .get()
        .map_or(Ok(()), |running| running.driver.started(passive));
    if started.is_err() {
        stop::<D>(passive);
    }
    started
}

#[doc(alias = "PsSetCreateProcessNotifyRoutine")]
fn watch_processes<D: Driver>() -> Result<()> {
    if !D::WATCHES_PROCESSES {
        return Ok(());
    }
    // SAFETY: taken back by `stop`, before the driver goes.
    Status(unsafe { ntoskrnl::PsSetCreateProcessNotifyRoutine(Some(process::<D>), 0) }).ok()
}

fn stop<D: Driver>(passive: Passive<'_>) {
    if D::WATCHES_PROCESSES {
        // Returns when no call is in progress, so that none finds the driver half gone.
        // SAFETY: registered by `start`.
        let _ = unsafe { ntoskrnl::PsSetCreateProcessNotifyRoutine(Some(process::<D>), 1) };
    }
    end::<D>(passive);
}

fn end<D: Driver>(passive: Passive<'_>) {
    let running = D::slot().running.swap(ptr::null_mut(), Ordering::AcqRel);
    if !running.is_null() {
        // SAFETY: stored by `start`, taken once.
        let running = unsafe { Box::from_raw(running) };
        running.into_inner().driver.unload(passive);
    }
}

/// What is behind a file object of the driver.
///
/// # Safety
///
/// The file object is one of `D`'s devices, and is not closed meanwhile.
unsafe fn file_of<D: Driver>(file: *mut FILE_OBJECT) -> Option<Arc<D::File>> {
    if file.is_null() {
        return None;
    }
    // SAFETY: the caller's file object.
    let context = unsafe { (*file).FsContext }.cast::<D::File>().cast_const();
    // SAFETY: set by `dispatch_create`, taken back by `dispatch_close`.
    (!context.is_null()).then(|| unsafe { Arc::clone_raw(context) })
}

/// Calls a dispatch routine's body with what every one of them needs.
///
/// # Safety
///
/// `irp` is a request that the kernel dispatches to `D`.
unsafe fn dispatch<D: Driver>(
    irp: *mut IRP,
    body: impl FnOnce(&D, Irp, Option<Arc<D::File>>, Passive<'_>) -> Completion,
) -> NTSTATUS {
    let Some(irp) = NonNull::new(irp) else {
        return Status::INVALID_PARAMETER.0;
    };
    // SAFETY: the caller's request.
    let irp = unsafe { Irp::new(irp) };
    let Some(running) = D::slot().get() else {
        return irp.complete(Status::DEVICE_NOT_READY, 0).status().0;
    };
    let _region = CriticalRegion::enter();
    // SAFETY: these requests are dispatched at PASSIVE_LEVEL.
    let passive = unsafe { Passive::assume() };
    // SAFETY: requests come for files of this driver, open while the request is.
    let file = unsafe { file_of::<D>(irp.file()) };
    body(&running.driver, irp, file, passive).status().0
}

kernel_fn! {
    unsafe fn dispatch_create<D: Driver>(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        let body = |driver: &D, irp: Irp, _: Option<Arc<D::File>>, passive: Passive<'_>| {
            match driver.create(&Create::new(&irp), passive) {
                Ok(file) => {
                    let context = file.map_or(ptr::null_mut(), |file| Arc::into_raw(file).cast_mut());
                    let object = irp.file();
                    // SAFETY: the file object of a create request is the driver's to fill in.
                    unsafe { (*object).FsContext = context.cast() };
                    irp.complete(Status::SUCCESS, 0)
                }
                Err(status) => irp.complete(status, 0),
            }
        };
        // SAFETY: called by the kernel.
        unsafe { dispatch::<D>(irp, body) }
    }

    unsafe fn dispatch_cleanup<D: Driver>(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        let body = |driver: &D, irp: Irp, file: Option<Arc<D::File>>, passive: Passive<'_>| {
            if let Some(file) = file {
                driver.cleanup(&file, passive);
            }
            irp.complete(Status::SUCCESS, 0)
        };
        // SAFETY: called by the kernel.
        unsafe { dispatch::<D>(irp, body) }
    }

    unsafe fn dispatch_close<D: Driver>(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        let body = |driver: &D, irp: Irp, file: Option<Arc<D::File>>, passive: Passive<'_>| {
            if let Some(file) = file {
                let object = irp.file();
                // SAFETY: the last request for the file object.
                let context = unsafe { (*object).FsContext }.cast::<D::File>().cast_const();
                // SAFETY: as above.
                unsafe { (*object).FsContext = ptr::null_mut() };
                // SAFETY: the reference of `dispatch_create`, taken back once; `file` is another.
                drop(unsafe { Arc::from_raw(context) });
                driver.close(file, passive);
            }
            irp.complete(Status::SUCCESS, 0)
        };
        // SAFETY: called by the kernel.
        unsafe { dispatch::<D>(irp, body) }
    }

    unsafe fn dispatch_control<D: Driver>(_device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
        let body = |driver: &D, irp: Irp, file: Option<Arc<D::File>>, passive: Passive<'_>| match file {
            Some(file) => driver.control(&file, Control::new(irp), passive),
            None => driver.control_device(Control::new(irp), passive),
        };
        // SAFETY: called by the kernel.
        unsafe { dispatch::<D>(irp, body) }
    }

    unsafe fn dispatch_fast_control<D: Driver>(
        file: *mut FILE_OBJECT,
        _wait: BOOLEAN,
        input: *mut c_void,
        input_len: u32,
        output: *mut c_void,
        output_len: u32,
        code: u32,
        io_status: *mut IO_STATUS_BLOCK,
        _device: *mut DEVICE_OBJECT,
    ) -> BOOLEAN {
        let Some(running) = D::slot().get() else {
            return 0;
        };
        let _region = CriticalRegion::enter();
        // SAFETY: fast I/O is called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        // SAFETY: called for files of this driver, open during the call.
        let Some(file) = (unsafe { file_of::<D>(file) }) else {
            return 0;
        };
        // SAFETY: callable in any thread context.
        let mode = Mode::from_raw(unsafe { ntoskrnl::ExGetPreviousMode() });
        let request = FastControl::new(code, (input.cast(), input_len), (output.cast(), output_len), mode);
        let Some((status, information)) = running.driver.fast_control(&file, &request, passive) else {
            return 0;
        };
        let result = IO_STATUS_BLOCK { Status: status.0, Information: information };
        // SAFETY: the I/O manager's block.
        unsafe { io_status.write(result) };
        1
    }

    unsafe fn process<D: Driver>(_parent: HANDLE, id: HANDLE, create: BOOLEAN) {
        if create != 0 {
            return;
        }
        if let Some(running) = D::slot().get() {
            // SAFETY: called at PASSIVE_LEVEL, inside a critical region.
            let passive = unsafe { Passive::assume() };
            running.driver.process_ended(id.addr(), passive);
        }
    }

    unsafe fn unload<D: Driver>(_object: *mut DRIVER_OBJECT) {
        // SAFETY: called at PASSIVE_LEVEL.
        stop::<D>(unsafe { Passive::assume() });
    }
}

//! Reads and writes of files: requests whose buffer is passed as the device asks.

use std::sync::Arc;

use nt::sys::{
    DO_BUFFERED_IO, DO_DIRECT_IO, IRP, IRP_MJ_READ, IRP_MJ_WRITE, LARGE_INTEGER, NTSTATUS,
    STATUS_ACCESS_DENIED, STATUS_INVALID_HANDLE,
};

use super::{
    copy,
    device::Device,
    direct::LockedBuffer,
    file::File,
    irp::{self, Irp},
    request::{self, Pending},
};
use crate::{
    kernel::kernel,
    mem::user::Access,
    ob::{self, Body, Kind, Object},
    ps,
};

/// What a read or write asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) write: bool,
    /// Address and size of the caller's buffer.
    pub(crate) buffer: (usize, usize),
    pub(crate) offset: i64,
    pub(crate) key: u32,
    pub(crate) user: bool,
}

const FILE_READ_DATA: u32 = 1;
const FILE_WRITE_OR_APPEND: u32 = 2 | 4;

/// The caller's buffer as the driver gets it.
enum Given {
    /// A copy in kernel memory (DO_BUFFERED_IO).
    Copy(Body),
    /// Locked pages (DO_DIRECT_IO).
    Locked(LockedBuffer),
    /// The caller's own address, or nothing at all.
    Caller,
}

fn give(device: &Device, transfer: &Transfer) -> Result<Given, NTSTATUS> {
    // SAFETY: the device object is alive.
    let flags = unsafe { (*device.body()).Flags };
    let (address, length) = transfer.buffer;
    if flags & DO_BUFFERED_IO != 0 {
        if !transfer.write {
            return Ok(Given::Copy(Body::new(length.max(1))));
        }
        let bytes = copy::capture(address, length, transfer.user)?;
        return Ok(Given::Copy(request::system_copy(&bytes)));
    }
    if flags & DO_DIRECT_IO != 0 {
        // A read of the file writes to the buffer.
        let access = if transfer.write {
            Access::Read
        } else {
            Access::Write
        };
        let locked = LockedBuffer::lock(transfer.buffer, transfer.user, access)?;
        return Ok(locked.map_or(Given::Caller, Given::Locked));
    }
    Ok(Given::Caller)
}

/// Sends a read or write. The result may come later.
pub(crate) fn transfer(handle: usize, transfer: &Transfer) -> Result<Arc<Pending>, NTSTATUS> {
    let found = ob::table_of(handle).lookup(handle, Some(Kind::File), 0, false)?;
    let wanted = if transfer.write {
        FILE_WRITE_OR_APPEND
    } else {
        FILE_READ_DATA
    };
    if transfer.user && wanted & found.access == 0 {
        return Err(STATUS_ACCESS_DENIED);
    }
    let file = found.object.data::<File>().ok_or(STATUS_INVALID_HANDLE)?;
    let device = file.device.top();
    let given = give(&device, transfer)?;
    // The file must outlive the request even if another thread closes the handle.
    kernel().ob.reference(&found.object);
    let pending = send(&found.object, &device, transfer, given);
    if file.synchronous {
        pending.wait(None);
    }
    Ok(pending)
}

fn send(
    file: &Arc<Object>,
    device: &Arc<Device>,
    transfer: &Transfer,
    given: Given,
) -> Arc<Pending> {
    let pending = Pending::new();
    let (mut system, mut mdl) = (0, std::ptr::null_mut());
    match &given {
        Given::Copy(body) => system = body.address(),
        Given::Locked(locked) => mdl = locked.mdl(),
        Given::Caller => {}
    }
    let finish = {
        let (pending, file) = (Arc::clone(&pending), Arc::clone(file));
        let (process, transfer) = (ps::current_process(), *transfer);
        Box::new(move |mut status: NTSTATUS, information: usize| {
            if let Given::Copy(body) = &given
                && !transfer.write
                && status as u32 >> 30 != 3
            {
                let length = information.min(transfer.buffer.1);
                // SAFETY: the copy is as large as the caller's buffer.
                let bytes =
                    unsafe { std::slice::from_raw_parts(body.address() as *const u8, length) };
                let copied = ps::attached(&process, || {
                    copy::write(transfer.buffer.0, bytes, transfer.user)
                });
                if let Err(fault) = copied {
                    status = fault;
                }
            }
            drop(given);
            pending.set(status, information);
            kernel().ob.dereference(&file);
        })
    };
    let (major, what) = if transfer.write {
        (IRP_MJ_WRITE, "IRP_MJ_WRITE")
    } else {
        (IRP_MJ_READ, "IRP_MJ_READ")
    };
    let irp = Irp::create(request::stack_size(device), what.to_owned(), Some(finish));
    pending.follow(&irp);
    let packet: *mut IRP = irp.pointer();
    // SAFETY: the packet is fresh and ours.
    unsafe { (*packet).RequestorMode = request::mode(transfer.user) };
    // SAFETY: as above.
    unsafe { request::system_buffer_of(packet).write(system) };
    // SAFETY: as above.
    unsafe { (*packet).MdlAddress = mdl };
    // SAFETY: as above.
    unsafe { (*packet).UserBuffer = transfer.buffer.0 as *mut _ };
    let slot = request::prepare(&irp, file, major);
    // Reads and writes have the same parameters.
    // SAFETY: `slot` is the packet's first location.
    let parameters = unsafe { &raw mut (*slot).Parameters.Read };
    // SAFETY: as above.
    unsafe { (*parameters).Length = transfer.buffer.1 as u32 };
    // SAFETY: as above.
    unsafe { (*parameters).Key = transfer.key };
    // SAFETY: as above.
    unsafe {
        (*parameters).ByteOffset = LARGE_INTEGER {
            QuadPart: transfer.offset,
        }
    };
    irp::call_driver(device.body() as usize, packet);
    pending
}

//! System calls that drivers make: files and device controls.

use std::sync::Arc;

use nt::sys::{
    IO_STATUS_BLOCK, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_OBJECT_NAME_INVALID, STATUS_PENDING,
    STATUS_SUCCESS,
};

use super::{
    request::{self, Control, IoResult, Open, Pending},
    transfer::{self, Transfer},
};
use crate::{
    exports,
    ke::dispatcher,
    kernel::kernel,
    ob::{self, Kind, Object},
};

fn write_block(block: *mut IO_STATUS_BLOCK, status: NTSTATUS, information: usize) {
    if !block.is_null() {
        // SAFETY: the caller gives memory for a status block.
        unsafe {
            block.write(IO_STATUS_BLOCK {
                Status: status,
                Information: information,
            });
        }
    }
}

fn create_file(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    share: u32,
    disposition: u32,
    options: u32,
    ea: (usize, u32),
) -> Result<(), NTSTATUS> {
    let attributes = ob::parse_object_attributes(attributes)?;
    let path = attributes.path.ok_or(STATUS_OBJECT_NAME_INVALID)?;
    let handle = request::open(&Open {
        path: &path,
        access,
        disposition,
        options,
        share: share as u16,
        ea: super::copy::capture(ea.0, ea.1 as usize, false)?,
        user: false,
        attributes: attributes.attributes,
    })?;
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(handle) };
    Ok(())
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Opens a file.
    #[irql(PASSIVE)]
    fn ZwCreateFile(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, block: *mut IO_STATUS_BLOCK, size: *const i64, file_attributes: u32, share: u32, disposition: u32, options: u32, ea: usize, ea_length: u32) -> i32 {
        let _ = (size, file_attributes);
        let result = create_file(out, access, attributes, share, disposition, options, (ea, ea_length));
        let status = result.err().unwrap_or(STATUS_SUCCESS);
        write_block(block, status, 0);
        status
    }

    /// Opens a file that exists.
    #[irql(PASSIVE)]
    fn ZwOpenFile(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, block: *mut IO_STATUS_BLOCK, share: u32, options: u32) -> i32 {
        let result = create_file(out, access, attributes, share, 1, options, (0, 0));
        let status = result.err().unwrap_or(STATUS_SUCCESS);
        write_block(block, status, 0);
        status
    }

    /// Sends a device control; with an event, the result may come later.
    #[irql(PASSIVE)]
    fn ZwDeviceIoControlFile(file: usize, event: usize, apc: usize, apc_context: usize, block: *mut IO_STATUS_BLOCK, code: u32, input: usize, input_length: u32, output: usize, output_length: u32) -> i32 {
        let _ = (apc, apc_context);
        let event = match event_of(event) {
            Ok(event) => event,
            Err(status) => return status,
        };
        let control = Control {
            code,
            input: (input, input_length as usize),
            output: (output, output_length as usize),
            user: false,
            internal: false,
            packet: false,
        };
        let pending = match request::control(file, &control) {
            Ok(pending) => pending,
            Err(status) => return status,
        };
        report(pending, event, block)
    }

    /// Reads from a file; with an event, the result may come later.
    #[irql(PASSIVE)]
    fn ZwReadFile(file: usize, event: usize, apc: usize, apc_context: usize, block: *mut IO_STATUS_BLOCK, buffer: usize, length: u32, offset: *const i64, key: *const u32) -> i32 {
        let _ = (apc, apc_context);
        send_transfer(false, file, event, block, (buffer, length), offset, key)
    }

    /// Writes to a file; with an event, the result may come later.
    #[irql(PASSIVE)]
    fn ZwWriteFile(file: usize, event: usize, apc: usize, apc_context: usize, block: *mut IO_STATUS_BLOCK, buffer: usize, length: u32, offset: *const i64, key: *const u32) -> i32 {
        let _ = (apc, apc_context);
        send_transfer(true, file, event, block, (buffer, length), offset, key)
    }
}

fn send_transfer(
    write: bool,
    file: usize,
    event: usize,
    block: *mut IO_STATUS_BLOCK,
    (buffer, length): (usize, u32),
    offset: *const i64,
    key: *const u32,
) -> NTSTATUS {
    let event = match event_of(event) {
        Ok(event) => event,
        Err(status) => return status,
    };
    let transfer = Transfer {
        write,
        buffer: (buffer, length as usize),
        // SAFETY: null or a pointer to a LARGE_INTEGER.
        offset: unsafe { offset.as_ref() }.copied().unwrap_or(0),
        // SAFETY: null or a pointer to a key.
        key: unsafe { key.as_ref() }.copied().unwrap_or(0),
        user: false,
    };
    match transfer::transfer(file, &transfer) {
        Ok(pending) => report(pending, event, block),
        Err(status) => status,
    }
}

/// The event behind a handle, taken back to not signaled; 0 names none.
fn event_of(handle: usize) -> Result<Option<Arc<Object>>, NTSTATUS> {
    if handle == 0 {
        return Ok(None);
    }
    let found = ob::table_of(handle).lookup(handle, Some(Kind::Event), 0, false)?;
    dispatcher::update(found.object.address, |_| 0);
    Ok(Some(found.object))
}

/// Tells the caller how a request ended: now, or when it does.
fn report(
    pending: Arc<Pending>,
    event: Option<Arc<Object>>,
    block: *mut IO_STATUS_BLOCK,
) -> NTSTATUS {
    if let Some(result) = pending.result() {
        return finish(result, event.as_deref(), block);
    }
    let block = block as usize;
    if let Some(event) = &event {
        kernel().ob.reference(event);
    }
    crate::io::work_item::queue_internal(move || {
        if let Some(result) = pending.wait(None) {
            finish(result, event.as_deref(), block as *mut IO_STATUS_BLOCK);
        }
        if let Some(event) = event {
            kernel().ob.dereference(&event);
        }
    });
    STATUS_PENDING
}

fn finish(result: IoResult, event: Option<&Object>, block: *mut IO_STATUS_BLOCK) -> NTSTATUS {
    write_block(block, result.status, result.information);
    if let Some(event) = event {
        dispatcher::update(event.address, |_| 1);
    }
    result.status
}

//! System calls that drivers make: files and device controls.

use nt::sys::{
    IO_STATUS_BLOCK, NTSTATUS, OBJECT_ATTRIBUTES, STATUS_OBJECT_NAME_INVALID, STATUS_PENDING,
    STATUS_SUCCESS,
};

use super::request::{self, Control, Open};
use crate::{exports, ob};

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
        if let Some(result) = pending.result() {
            write_block(block, result.status, result.information);
            signal(event);
            return result.status;
        }
        let block = block as usize;
        crate::io::work_item::queue_internal(move || {
            if let Some(result) = pending.wait(None) {
                write_block(block as *mut IO_STATUS_BLOCK, result.status, result.information);
                signal(event);
            }
        });
        STATUS_PENDING
    }
}

fn signal(event: usize) {
    if event != 0
        && let Ok(found) = ob::table_of(event).lookup(event, Some(ob::Kind::Event), 0, false)
    {
        crate::ke::dispatcher::update(found.object.address, |_| 1);
    }
}

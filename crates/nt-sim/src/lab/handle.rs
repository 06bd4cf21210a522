//! Open handles, and the requests that are made of them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{Held, Lab, LabError, NtStatus, process::Process};
use crate::{
    io::{
        request::{self, Control},
        transfer::{self, Transfer},
    },
    kernel::kernel,
    ob::security::generic_to_file,
};

/// An open handle of a process. Dropping it closes it.
pub struct Handle<'process> {
    pub(super) process: Held<'process, Process<'process>>,
    pub(super) value: usize,
    pub(super) open: bool,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Final status.
    pub status: NtStatus,
    /// `IoStatusBlock.Information`.
    pub information: usize,
    /// Bytes of the output buffer, as many as it has.
    pub bytes: Vec<u8>,
}

/// A request that is under way.
pub struct Pending<'lab> {
    pub(super) lab: Held<'lab, Lab>,
    pub(super) pending: Arc<request::Pending>,
}

impl<'process> Handle<'process> {
    /// The handle's value, as the program would pass it to a driver.
    pub fn value(&self) -> usize {
        self.value
    }

    /// Sends a device control and waits for its end. `input` is copied to user memory, and
    /// `output_size` bytes of user memory take the output.
    ///
    /// # Errors
    /// With the status, when it is an error.
    pub fn control(&self, code: u32, input: &[u8], output_size: usize) -> Result<Output, LabError> {
        let output = self.control_any(code, input, output_size)?;
        if output.status.is_success() {
            return Ok(output);
        }
        Err(LabError::Status {
            what: format!("device control {code:#x}"),
            status: output.status,
        })
    }

    /// As [`Handle::control`], but an error status is an answer like any other.
    ///
    /// # Errors
    /// When the kernel has stopped or has no memory.
    pub fn control_any(
        &self,
        code: u32,
        input: &[u8],
        output_size: usize,
    ) -> Result<Output, LabError> {
        let process = &*self.process;
        let from = process.alloc(input.len().max(1))?;
        let to = process.alloc(output_size.max(1))?;
        from.write(0, input);
        let input_range = if input.is_empty() {
            (0, 0)
        } else {
            (from.address, input.len())
        };
        let output_range = if output_size == 0 {
            (0, 0)
        } else {
            (to.address, output_size)
        };
        let pending = self.control_raw(code, input_range, output_range)?;
        let result = pending.wait(None)?;
        let result = result.ok_or_else(|| LabError::Invalid("a request without result".into()))?;
        let output = Output {
            bytes: to.read(0, output_size),
            ..result
        };
        process.free(from)?;
        process.free(to)?;
        Ok(output)
    }

    /// Sends a device control with any buffers (user address and size), and does not wait.
    ///
    /// # Errors
    /// With the status, when the request could not be sent at all.
    pub fn control_raw(
        &self,
        code: u32,
        input: (usize, usize),
        output: (usize, usize),
    ) -> Result<Pending<'process>, LabError> {
        self.send(&Control {
            code,
            input,
            output,
            user: !self.process.is_kernel(),
            internal: false,
            packet: false,
        })
    }

    fn send(&self, control: &Control) -> Result<Pending<'process>, LabError> {
        let sent = self
            .process
            .call(|| request::control(self.value, control))?;
        match sent {
            Ok(pending) => Ok(Pending {
                lab: self.process.lab.clone(),
                pending,
            }),
            Err(status) => Err(LabError::Status {
                what: format!("device control {:#x}", control.code),
                status: NtStatus(status),
            }),
        }
    }

    /// As [`Handle::control_raw`], but as a request packet even where the driver offers fast I/O: what a driver
    /// in between would send.
    ///
    /// # Errors
    /// As [`Handle::control_raw`].
    pub fn control_packet(
        &self,
        code: u32,
        input: (usize, usize),
        output: (usize, usize),
    ) -> Result<Pending<'process>, LabError> {
        self.send(&Control {
            code,
            input,
            output,
            user: !self.process.is_kernel(),
            internal: false,
            packet: true,
        })
    }

    /// Makes a handle of another process (or of the same one) to what this handle stands for, with `access` as the
    /// access that it grants.
    ///
    /// # Errors
    /// When the kernel has stopped, or this handle was closed otherwise.
    pub fn duplicate<'other>(
        &self,
        process: &'other Process<'other>,
        access: u32,
    ) -> Result<Handle<'other>, LabError> {
        let value = self.process.call(|| {
            let found = self.process.process.handles.get(self.value)?;
            kernel().ob.reference(&found.object);
            let handles = &process.process.handles;
            Some(handles.insert(found.object, generic_to_file(access), false))
        })?;
        let value = value.ok_or_else(|| LabError::Invalid("the handle is closed".into()))?;
        Ok(Handle {
            process: Held::Borrowed(process),
            value,
            open: true,
        })
    }

    /// Reads from the file: sends a read request for `size` bytes and waits for its end.
    ///
    /// # Errors
    /// When the request cannot be sent.
    pub fn read(&self, offset: i64, size: usize) -> Result<Output, LabError> {
        let to = self.process.alloc(size.max(1))?;
        let output = self.transfer(false, (to.address, size), offset)?;
        let bytes = to.read(0, size);
        self.process.free(to)?;
        Ok(Output { bytes, ..output })
    }

    /// Writes to the file: sends a write request with these bytes and waits for its end.
    ///
    /// # Errors
    /// When the request cannot be sent.
    pub fn write(&self, offset: i64, bytes: &[u8]) -> Result<Output, LabError> {
        let from = self.process.alloc(bytes.len().max(1))?;
        from.write(0, bytes);
        let output = self.transfer(true, (from.address, bytes.len()), offset)?;
        self.process.free(from)?;
        Ok(output)
    }

    fn transfer(
        &self,
        write: bool,
        buffer: (usize, usize),
        offset: i64,
    ) -> Result<Output, LabError> {
        let transfer = Transfer {
            write,
            buffer,
            offset,
            key: 0,
            user: true,
        };
        let what = if write { "a write" } else { "a read" };
        let pending = self
            .process
            .call(|| transfer::transfer(self.value, &transfer))?
            .map_err(|status| LabError::Status {
                what: what.to_owned(),
                status: NtStatus(status),
            })?;
        let result = self.process.lab.enter(|| pending.wait(None))?;
        let result =
            result.ok_or_else(|| LabError::Invalid(format!("{what} ended without a result")))?;
        Ok(output(result))
    }

    /// Closes the handle.
    ///
    /// # Errors
    /// When the kernel has stopped, or the handle was closed otherwise.
    pub fn close(mut self) -> Result<(), LabError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LabError> {
        let ended = self.process.ended.load(Ordering::Acquire);
        if !std::mem::replace(&mut self.open, false) || ended {
            return Ok(());
        }
        self.process.close_handle(self.value)
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // A stopped kernel has been reported already.
        let _ = self.end();
    }
}

impl Pending<'_> {
    /// The result, if the request has ended.
    pub fn result(&self) -> Option<Output> {
        self.pending.result().map(output)
    }

    /// Waits for the result; `None` when `timeout` passes first.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Output>, LabError> {
        let timeout = timeout.map(|t| -((t.as_nanos() / 100) as i64));
        let result = self.lab.enter(|| self.pending.wait(timeout))?;
        Ok(result.map(output))
    }

    /// Asks the driver to cancel the request; `false` when there was nothing to cancel.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn cancel(&self) -> Result<bool, LabError> {
        self.lab.enter(|| self.pending.cancel())
    }
}

fn output(result: request::IoResult) -> Output {
    Output {
        status: NtStatus(result.status),
        information: result.information,
        bytes: Vec::new(),
    }
}

//! User processes: what a program does to a driver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Held, Lab, LabError, NtStatus};
use crate::{
    io::{
        request::{self, Control, Open},
        transfer::{self, Transfer},
    },
    kernel::kernel,
    mem::{os::Protection, user::Backing},
    ob::security::generic_to_file,
    ps::{self, ProcessKind},
    sync::Mutex,
};

const GENERIC_READ: u32 = 0x8000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const SYNCHRONIZE: u32 = 0x0010_0000;
const OBJ_KERNEL_HANDLE: u32 = 0x200;
const FILE_OPEN: u32 = 1;
const SHARE_READ_WRITE: u16 = 3;

/// A user process. It ends, closing its handles, when this is dropped.
pub struct Process<'lab> {
    pub(super) lab: Held<'lab, Lab>,
    pub(super) process: Arc<ps::Process>,
    pub(super) ended: AtomicBool,
    /// What a client in the kernel has allocated, by address; `None` for a process.
    pub(super) pool: Option<Mutex<Vec<usize>>>,
}

/// Memory of a user process.
///
/// Drivers see it at [`UserMemory::address`]; the test reaches it through [`UserMemory::write`] and
/// [`UserMemory::read`], as the program's own code would.
#[derive(Clone, Copy, Debug)]
pub struct UserMemory {
    pub(super) address: usize,
    pub(super) host: usize,
    pub(super) size: usize,
}

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

/// An open that is being described.
#[must_use]
pub struct OpenOptions<'process> {
    process: Held<'process, Process<'process>>,
    path: String,
    access: u32,
    disposition: u32,
    options: u32,
    share: u16,
    ea: Vec<u8>,
}

impl Lab {
    /// Starts a process of an administrator.
    ///
    /// # Errors
    /// When the kernel has stopped, or the host has no memory left.
    pub fn administrator(&self, name: &str) -> Result<Process<'_>, LabError> {
        Process::start(Held::Borrowed(self), name, ProcessKind::Administrator)
    }

    /// As [`Lab::administrator`], for a process that keeps the lab alive.
    ///
    /// # Errors
    /// As [`Lab::administrator`].
    pub fn shared_administrator(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Process<'static>, LabError> {
        let lab = Held::Shared(Arc::clone(self));
        Process::start(lab, name, ProcessKind::Administrator)
    }

    /// As [`Lab::user`], for a process that keeps the lab alive.
    ///
    /// # Errors
    /// As [`Lab::administrator`].
    pub fn shared_user(self: &Arc<Self>, name: &str) -> Result<Process<'static>, LabError> {
        let lab = Held::Shared(Arc::clone(self));
        Process::start(lab, name, ProcessKind::OrdinaryUser)
    }

    /// Starts a process of an ordinary user.
    ///
    /// # Errors
    /// As [`Lab::administrator`].
    pub fn user(&self, name: &str) -> Result<Process<'_>, LabError> {
        Process::start(Held::Borrowed(self), name, ProcessKind::OrdinaryUser)
    }
}

impl<'lab> Process<'lab> {
    fn start(lab: Held<'lab, Lab>, name: &str, kind: ProcessKind) -> Result<Self, LabError> {
        let process = lab
            .enter(|| kernel().ps.create(name, kind))?
            .map_err(|e| LabError::Invalid(format!("no memory for a process: {e}")))?;
        Ok(Process {
            lab,
            process,
            ended: AtomicBool::new(false),
            pool: None,
        })
    }

    /// Whether this is a client in the kernel.
    fn is_kernel(&self) -> bool {
        self.pool.is_some()
    }

    /// Name of the process.
    pub fn name(&self) -> &str {
        &self.process.name
    }

    /// Number of the process.
    pub fn id(&self) -> usize {
        self.process.id
    }

    /// Says that the process runs 32-bit code.
    pub fn run_32_bit(&self) {
        self.process
            .is_32_bit
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Runs a system call of this process.
    pub(super) fn call<R>(&self, body: impl FnOnce() -> R) -> Result<R, LabError> {
        if self.process.is_dying() {
            return Err(LabError::Invalid(format!(
                "process {} was killed: it makes no more calls",
                self.process.name
            )));
        }
        self.run(body)
    }

    /// Runs kernel code of a test in the context of this process.
    #[cfg(test)]
    pub(crate) fn as_kernel<R>(&self, body: impl FnOnce() -> R) -> Result<R, LabError> {
        self.call(body)
    }

    fn run<R>(&self, body: impl FnOnce() -> R) -> Result<R, LabError> {
        let user = !self.is_kernel();
        self.lab
            .enter(|| request::system_call(user, || ps::attached(&self.process, body)))
    }

    /// Starts describing an open of an NT path such as `\Device\xdp`.
    pub fn open(&self, path: &str) -> OpenOptions<'_> {
        Self::open_by(Held::Borrowed(self), path)
    }

    /// As [`Process::open`], for a handle that keeps the process alive.
    pub fn open_shared(self: &Arc<Self>, path: &str) -> OpenOptions<'lab> {
        Self::open_by(Held::Shared(Arc::clone(self)), path)
    }

    fn open_by<'p>(process: Held<'p, Process<'p>>, path: &str) -> OpenOptions<'p> {
        OpenOptions {
            process,
            path: path.to_owned(),
            access: GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE,
            disposition: FILE_OPEN,
            options: 0,
            share: SHARE_READ_WRITE,
            ea: Vec::new(),
        }
    }

    /// Allocates zeroed memory.
    ///
    /// # Errors
    /// When the kernel has stopped, or the process has no addresses or the machine no pages left.
    pub fn alloc(&self, size: usize) -> Result<UserMemory, LabError> {
        if let Some(blocks) = &self.pool {
            return self.alloc_pool(size, blocks);
        }
        let memory = &kernel().mem;
        let space = self.space()?;
        let address = self
            .call(|| space.alloc(&memory.phys, None, size, Protection::ReadWrite))?
            .map_err(|e| LabError::Invalid(format!("{size} bytes of user memory: {e:?}")))?;
        let host = space
            .host(address, size)
            .ok_or_else(|| LabError::Invalid("user memory vanished".into()))?;
        Ok(UserMemory {
            address,
            host,
            size,
        })
    }

    /// Memory that a driver mapped into the process, or that was allocated before.
    ///
    /// # Errors
    /// When the range is not all there.
    pub fn memory(&self, address: usize, size: usize) -> Result<UserMemory, LabError> {
        if self.is_kernel() {
            return Ok(UserMemory {
                address,
                host: address,
                size,
            });
        }
        let space = self.space()?;
        let host = space.host(address, size).ok_or_else(|| {
            LabError::Invalid(format!(
                "{size} bytes at {address:#x} are not mapped in process {}",
                self.process.id
            ))
        })?;
        Ok(UserMemory {
            address,
            host,
            size,
        })
    }

    /// Frees memory from [`Process::alloc`], whatever drivers still do with it.
    ///
    /// # Errors
    /// When there is none at that address, or a driver keeps the range secured.
    pub fn free(&self, memory: UserMemory) -> Result<(), LabError> {
        if let Some(blocks) = &self.pool {
            blocks.lock().retain(|&block| block != memory.address);
            return self.free_pool(memory.address);
        }
        let state = &kernel().mem;
        let space = self.space()?;
        self.call(|| space.release(&state.phys, &state.pins, memory.address, Backing::Private))?
            .map(|_| ())
            .map_err(|e| LabError::Invalid(format!("freeing {:#x}: {e:?}", memory.address)))
    }

    /// Writes to memory as the process's own code would; `false` where nothing is mapped. Unlike [`UserMemory::write`] it may
    /// race with a driver that unmaps the range.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn write(&self, address: usize, bytes: &[u8]) -> Result<bool, LabError> {
        let space = self.space()?;
        self.lab.enter(|| space.write(address, bytes))
    }

    /// Takes away the write access to pages from [`Process::alloc`], or gives it back.
    ///
    /// # Errors
    /// When the pages are not the process's, or a driver keeps them secured.
    pub fn set_writable(&self, memory: UserMemory, writable: bool) -> Result<(), LabError> {
        let space = self.space()?;
        let protection = if writable {
            Protection::ReadWrite
        } else {
            Protection::Read
        };
        self.call(|| space.protect(memory.address, memory.size, protection))?
            .map_err(|e| LabError::Invalid(format!("protecting {:#x}: {e:?}", memory.address)))
    }

    fn space(&self) -> Result<Arc<crate::mem::user::AddressSpace>, LabError> {
        self.process
            .space
            .clone()
            .ok_or_else(|| LabError::Invalid("the system process has no user memory".into()))
    }

    /// Kills the process while its threads (of the test) are inside system calls: their requests are
    /// cancelled, their waits in user mode end, and it makes no more calls. Its handles are closed
    /// when it is dropped, as the last thread of a process closes them.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn kill(&self) -> Result<(), LabError> {
        self.lab.enter(|| {
            self.process.kill();
            request::cancel_all_of(self.process.id);
        })
    }

    /// Closes a handle by its value, whoever uses it: as another thread of the program would.
    ///
    /// # Errors
    /// With the status, when there is no such handle; when the kernel has stopped.
    pub fn close_handle(&self, value: usize) -> Result<(), LabError> {
        let closed = self.call(|| crate::ob::table_of(value).close(value))?;
        closed.map_err(|status| LabError::Status {
            what: format!("closing handle {value:#x}"),
            status: NtStatus(status),
        })
    }

    /// Ends the process: cancels its requests and closes its handles.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn terminate(self) -> Result<(), LabError> {
        self.end()
    }

    /// As [`Process::terminate`], for a process that still has handles and perhaps threads in the kernel: the handles
    /// are closed under them.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn exit(&self) -> Result<(), LabError> {
        self.end()
    }

    fn end(&self) -> Result<(), LabError> {
        if self.ended.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if let Some(blocks) = &self.pool {
            for block in std::mem::take(&mut *blocks.lock()) {
                self.free_pool(block)?;
            }
            return Ok(());
        }
        self.run(|| {
            self.process.kill();
            request::cancel_all_of(self.process.id);
            // Its last thread tells before it closes what is open.
            let ps = &kernel().ps;
            ps.watches.tell(ps.system.id, self.process.id, false);
            for handle in self.process.handles.values() {
                // Closing one handle may close no other, so each is still there.
                let _ = self.process.handles.close(handle);
            }
        })?;
        self.lab.enter(|| {
            if let Some(space) = &self.process.space {
                kernel().mem.end_process(space);
            }
            kernel().ps.end(&self.process);
        })
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        // A stopped kernel has been reported already.
        let _ = self.end();
    }
}

impl<'process> OpenOptions<'process> {
    /// Access to ask for; the default is generic read and write, and synchronize.
    pub fn access(mut self, access: u32) -> Self {
        self.access = access;
        self
    }

    /// Create disposition; the default opens what exists.
    pub fn disposition(mut self, disposition: u32) -> Self {
        self.disposition = disposition;
        self
    }

    /// Create options; the default is none, which makes the handle asynchronous.
    pub fn options(mut self, options: u32) -> Self {
        self.options = options;
        self
    }

    /// Adds an extended attribute.
    pub fn ea(self, name: &str, value: &[u8]) -> Self {
        let mut ea = vec![0; 4];
        ea.push(0);
        ea.push(name.len() as u8);
        ea.extend((value.len() as u16).to_le_bytes());
        ea.extend(name.as_bytes());
        ea.push(0);
        ea.extend(value);
        self.raw_ea(ea)
    }

    /// Gives the extended attributes as the bytes of a `FILE_FULL_EA_INFORMATION` list.
    pub fn raw_ea(mut self, ea: Vec<u8>) -> Self {
        self.ea = ea;
        self
    }

    /// Opens.
    ///
    /// # Errors
    /// With the status that the kernel or the driver answered.
    pub fn open(self) -> Result<Handle<'process>, LabError> {
        let kernel_mode = self.process.is_kernel();
        let result = self.process.call(|| {
            request::open(&Open {
                path: &self.path,
                access: self.access,
                disposition: self.disposition,
                options: self.options,
                share: self.share,
                ea: self.ea,
                user: !kernel_mode,
                attributes: if kernel_mode { OBJ_KERNEL_HANDLE } else { 0 },
            })
        })?;
        match result {
            Ok(value) => Ok(Handle {
                process: self.process,
                value,
                open: true,
            }),
            Err(status) => Err(LabError::Status {
                what: format!("opening {}", self.path),
                status: NtStatus(status),
            }),
        }
    }
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

impl UserMemory {
    /// The address that drivers see.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where the program's own code (which runs as host code) reaches the memory.
    pub fn as_ptr(&self) -> *mut u8 {
        self.host as *mut u8
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.size, "write behind the memory");
        let to = (self.host + offset) as *mut u8;
        // SAFETY: inside the mapping (checked above), which lives until the memory is freed; the
        // driver may write at the same time, which gives wrong bytes and nothing worse.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Reads bytes.
    ///
    /// # Panics
    /// When the range lies behind the memory.
    pub fn read(&self, offset: usize, size: usize) -> Vec<u8> {
        assert!(offset + size <= self.size, "read behind the memory");
        let from = (self.host + offset) as *const u8;
        let mut bytes = vec![0; size];
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), size) };
        bytes
    }

    fn word<T>(&self, offset: usize) -> *mut T {
        let size = size_of::<T>();
        assert!(
            offset.is_multiple_of(size) && offset + size <= self.size,
            "a word at {offset} is not in the memory"
        );
        (self.host + offset) as *mut T
    }

    /// Loads a word with acquire semantics.
    ///
    /// # Panics
    /// When `offset` is not aligned or lies behind the memory.
    pub fn load_u32(&self, offset: usize) -> u32 {
        // SAFETY: aligned and inside the mapping, which lives until the memory is freed.
        let word = unsafe { AtomicU32::from_ptr(self.word(offset)) };
        word.load(Ordering::Acquire)
    }

    /// Stores a word with release semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn store_u32(&self, offset: usize, value: u32) {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU32::from_ptr(self.word(offset)) };
        word.store(value, Ordering::Release);
    }

    /// Loads a word of 64 bits with acquire semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn load_u64(&self, offset: usize) -> u64 {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU64::from_ptr(self.word(offset)) };
        word.load(Ordering::Acquire)
    }

    /// Stores a word of 64 bits with release semantics.
    ///
    /// # Panics
    /// As [`UserMemory::load_u32`].
    pub fn store_u64(&self, offset: usize, value: u64) {
        // SAFETY: as in `load_u32`.
        let word = unsafe { AtomicU64::from_ptr(self.word(offset)) };
        word.store(value, Ordering::Release);
    }
}

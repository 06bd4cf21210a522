//! User processes: what a program does to a driver.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Held, Lab, LabError, NtStatus, handle::Handle, user_memory::UserMemory};
use crate::{
    io::request::{self, Open},
    kernel::kernel,
    mem::{os::Protection, user::Backing},
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
    pub(super) fn is_kernel(&self) -> bool {
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

    pub(super) fn space(&self) -> Result<Arc<crate::mem::user::AddressSpace>, LabError> {
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

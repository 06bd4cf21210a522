// UNSAFETY: vouches for memory of a simulated process staying mapped.
#![expect(
    unsafe_code,
    reason = "only whoever allocates memory can say how long it stays mapped"
)]

//! The lab as a system: requests go to a driver in a simulated kernel in this process.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use nt_sim::{LabError, Process, UserMemory};

#[cfg(feature = "tokio")]
use super::Pending;
use super::{Access, Answer, Backend, Object};
use crate::error::{Fault, Kind};
use crate::interface::Details;
use crate::lab::Machine;
use crate::memory::{Mapped, Memory};
use crate::status::NtStatus;

const GENERIC_READ: u32 = 0x8000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const SYNCHRONIZE: u32 = 0x0010_0000;
const FILE_CREATE: u32 = 2;
const FILE_OPEN: u32 = 1;

/// What a lab answers when it does not do what it was asked to.
pub(crate) fn fault(error: LabError) -> Fault {
    match error {
        LabError::Status { status, .. } => Fault::Status(NtStatus(status.0 as u32)),
        LabError::BugCheck(report) => Fault::Other {
            kind: Kind::LabStopped,
            cause: format!("the driver broke a rule and the lab stopped\n{report}"),
            advice: Some("the report says which rule, and where in the driver".to_owned()),
        },
        LabError::NoMemory(error) => Fault::of(
            Kind::OutOfMemory,
            format!("the simulated machine gets no memory: {error}"),
        ),
        LabError::Image { .. } => Fault::of(Kind::DriverAbsent, error.to_string()),
        error => Fault::of(Kind::Failed, error.to_string()),
    }
}

fn answer(output: &nt_sim::Output) -> Answer {
    Answer {
        status: NtStatus(output.status.0 as u32),
        information: output.information,
    }
}

/// Memory of the simulated process.
struct Allocated {
    memory: UserMemory,
    process: Arc<Process<'static>>,
    /// The process cannot end before its memory is freed.
    _machine: Arc<Machine>,
}

impl Drop for Allocated {
    fn drop(&mut self) {
        // A driver that keeps the range secured keeps it; the process frees it when it ends.
        let _ = self.process.free(self.memory);
    }
}

// SAFETY: the memory is mapped, zeroed, readable and writable in this process for as long as the process of the lab does not
// free it, which only `drop` does.
unsafe impl Mapped for Allocated {
    fn pointer(&self) -> NonNull<u8> {
        NonNull::new(self.memory.as_ptr()).expect("memory is nowhere at address 0")
    }

    fn address(&self) -> u64 {
        self.memory.address() as u64
    }

    fn size(&self) -> usize {
        self.memory.size()
    }
}

/// Memory that the driver mapped into the simulated process for an object.
struct MappedByDriver {
    memory: UserMemory,
    /// It is unmapped when the handle is closed.
    _object: Arc<LabObject>,
}

// SAFETY: the driver maps the memory until the handle of the object is closed, which `_object` keeps open.
unsafe impl Mapped for MappedByDriver {
    fn pointer(&self) -> NonNull<u8> {
        NonNull::new(self.memory.as_ptr()).expect("memory is nowhere at address 0")
    }

    fn address(&self) -> u64 {
        self.memory.address() as u64
    }

    fn size(&self) -> usize {
        self.memory.size()
    }
}

/// An open handle.
struct LabObject {
    handle: nt_sim::Handle<'static>,
    /// Input of notifications.
    notification: Mutex<UserMemory>,
    process: Arc<Process<'static>>,
    #[cfg_attr(
        not(feature = "tokio"),
        expect(dead_code, reason = "it keeps the machine running")
    )]
    machine: Arc<Machine>,
}

impl Backend for Machine {
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault> {
        let process = self.process()?;
        let mut open = process.open_shared(device).disposition(FILE_OPEN);
        open = match access {
            Access::Read => open.access(GENERIC_READ | SYNCHRONIZE),
            Access::Full => open.access(GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE),
        };
        if let Some(value) = value {
            open = open
                .disposition(FILE_CREATE)
                .ea(xdp_abi::open::OPEN_PACKET_NAME, value);
        }
        let handle = open.open().map_err(fault)?;
        let notification = process.alloc(size_of::<u64>()).map_err(fault)?;
        Ok(Arc::new(LabObject {
            handle,
            notification: Mutex::new(notification),
            process,
            machine: self.shared(),
        }))
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Fault> {
        let process = self.process()?;
        let memory = process.alloc(bytes.max(1)).map_err(|error| match error {
            LabError::Invalid(cause) => Fault::of(Kind::OutOfMemory, cause),
            error => fault(error),
        })?;
        Ok(Memory::new(Arc::new(Allocated {
            memory,
            process,
            _machine: self.shared(),
        })))
    }

    fn interfaces(&self) -> Result<Vec<Details>, Fault> {
        Ok(self.details())
    }

    fn settle(&self) -> Result<(), Fault> {
        Machine::lab(self).settle().map_err(fault)
    }

    fn attached(&self) {
        self.start_replay();
    }

    fn lab(&self) -> Option<Arc<Machine>> {
        Some(self.shared())
    }
}

impl Object for LabObject {
    fn handle(&self) -> u64 {
        self.handle.value() as u64
    }

    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Answer, Fault> {
        let done = self
            .handle
            .control_any(code, input, output.len())
            .map_err(fault)?;
        output.copy_from_slice(&done.bytes);
        Ok(answer(&done))
    }

    fn notify(&self, input: [u8; 8]) -> Result<Answer, Fault> {
        let memory = self
            .notification
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        memory.write(0, &input);
        let code = xdp_abi::ioctl::xsk::NOTIFY;
        let pending = self
            .handle
            .control_raw(code, (memory.address(), input.len()), (0, 0))
            .map_err(fault)?;
        match pending.wait(None).map_err(fault)? {
            Some(done) => Ok(answer(&done)),
            None => Err(Fault::of(Kind::Failed, "a notification without an answer")),
        }
    }

    #[cfg(feature = "tokio")]
    fn submit(&self, code: u32, input: &[u8]) -> Result<Arc<dyn Pending>, Fault> {
        let memory = self.machine.allocate(input.len())?;
        memory.write(0, input);
        let range = (memory.address() as usize, input.len());
        let pending = self
            .handle
            .control_raw(code, range, (0, 0))
            .map_err(fault)?;
        Ok(Arc::new(LabPending {
            pending,
            _input: memory,
        }))
    }

    fn mapped(self: Arc<Self>, address: u64, bytes: usize) -> Result<Memory, Fault> {
        let memory = self
            .process
            .memory(address as usize, bytes)
            .map_err(fault)?;
        Ok(Memory::new(Arc::new(MappedByDriver {
            memory,
            _object: self,
        })))
    }
}

impl Drop for LabObject {
    fn drop(&mut self) {
        let memory = *self
            .notification
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The process frees what is left when it ends.
        let _ = self.process.free(memory);
    }
}

/// A request under way.
#[cfg(feature = "tokio")]
struct LabPending {
    pending: nt_sim::Pending<'static>,
    _input: Memory,
}

#[cfg(feature = "tokio")]
impl Pending for LabPending {
    fn wait(&self, timeout: Option<std::time::Duration>) -> Result<Option<Answer>, Fault> {
        let done = self.pending.wait(timeout).map_err(fault)?;
        Ok(done.as_ref().map(answer))
    }

    fn cancel(&self) {
        // A lab that has stopped has ended all requests.
        let _ = self.pending.cancel();
    }
}

// UNSAFETY: vouches for memory of a simulated process staying mapped.
#![expect(
    unsafe_code,
    reason = "only whoever allocates memory can say how long it stays mapped"
)]

//! The lab as a system: requests go to a driver in a simulated kernel in this process.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use std::time::Duration;

use nt_sim::{Event, LabError, Process, Stretch, UserMemory};

use super::{Access, Answer, Backend, Object, PeerProcess, Pending, Signal, SignalId};
use crate::error::{Fault, Kind};
use crate::interface::Details;
use crate::lab::{Machine, User};
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

/// A process of the lab, from which requests come.
#[derive(Clone)]
pub(crate) struct Caller {
    process: Arc<Process<'static>>,
    /// It runs as long as processes have something of it.
    machine: Arc<Machine>,
}

/// Memory of the simulated process.
struct Allocated {
    memory: UserMemory,
    /// The process cannot end before its memory is freed.
    caller: Caller,
}

impl Drop for Allocated {
    fn drop(&mut self) {
        // A driver that keeps the range secured keeps it; the process frees it when it ends.
        let _ = self.caller.process.free(self.memory);
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
    caller: Caller,
}

impl Caller {
    pub(crate) fn new(process: Arc<Process<'static>>, machine: Arc<Machine>) -> Self {
        Self { process, machine }
    }

    /// Starts a process.
    pub(crate) fn start(machine: &Arc<Machine>, name: &str, user: User) -> Result<Self, Fault> {
        let lab = machine.lab();
        let process = match user {
            User::Administrator => lab.shared_administrator(name),
            User::Ordinary => lab.shared_user(name),
        };
        let process = process.map_err(fault)?;
        Ok(Self::new(Arc::new(process), Arc::clone(machine)))
    }

    /// Kills the process: what it waits for in the kernel ends, and it makes no more requests.
    pub(crate) fn kill(&self) -> Result<(), Fault> {
        self.process.kill().map_err(fault)
    }

    /// Ends the process: its handles are closed, and its memory goes.
    pub(crate) fn exit(&self) -> Result<(), Fault> {
        self.process.exit().map_err(fault)
    }

    /// Where memory of the process is in the memory of the machine.
    pub(crate) fn stretches(&self, memory: &Memory) -> Result<Vec<Stretch>, Fault> {
        let range = self
            .process
            .memory(memory.address() as usize, memory.size());
        range
            .and_then(|range| self.process.stretches(range))
            .map_err(fault)
    }

    fn object(&self, handle: nt_sim::Handle<'static>) -> Result<Arc<dyn Object>, Fault> {
        let notification = self.process.alloc(size_of::<u64>()).map_err(fault)?;
        Ok(Arc::new(LabObject {
            handle,
            notification: Mutex::new(notification),
            caller: self.clone(),
        }))
    }
}

impl Backend for Caller {
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault> {
        let mut open = self.process.open_shared(device).disposition(FILE_OPEN);
        open = match access {
            Access::Read => open.access(GENERIC_READ | SYNCHRONIZE),
            Access::Full => open.access(GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE),
        };
        if let Some(value) = value {
            open = open
                .disposition(FILE_CREATE)
                .ea(xdp_abi::open::OPEN_PACKET_NAME, value);
        }
        self.object(open.open().map_err(fault)?)
    }

    fn adopt(&self, value: u64) -> Result<Arc<dyn Object>, Fault> {
        let adopted = self.process.adopt(value as usize);
        let handle = adopted.map_err(|error| match error {
            LabError::Invalid(_) => Fault::Status(NtStatus::INVALID_HANDLE),
            error => fault(error),
        })?;
        self.object(handle)
    }

    fn signal(&self) -> Result<Arc<dyn Signal>, Fault> {
        let event = self.machine.lab().shared_event().map_err(fault)?;
        let machine = Arc::clone(&self.machine);
        Ok(Arc::new(LabSignal {
            event,
            _machine: machine,
        }))
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Fault> {
        let memory = self
            .process
            .alloc(bytes.max(1))
            .map_err(|error| match error {
                LabError::Invalid(cause) => Fault::of(Kind::OutOfMemory, cause),
                error => fault(error),
            })?;
        let caller = self.clone();
        Ok(Memory::new(Arc::new(Allocated { memory, caller })))
    }

    fn interfaces(&self) -> Result<Vec<Details>, Fault> {
        Ok(self.machine.details())
    }

    fn process(&self) -> u64 {
        self.process.id() as u64
    }

    fn settle(&self) -> Result<(), Fault> {
        self.machine.lab().settle().map_err(fault)
    }

    fn attached(&self) {
        self.machine.start_replay();
    }

    fn lab(&self) -> Option<Arc<Machine>> {
        Some(Arc::clone(&self.machine))
    }
}

/// The process that this program is.
impl Backend for Machine {
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault> {
        self.caller()?.open(device, access, value)
    }

    fn adopt(&self, value: u64) -> Result<Arc<dyn Object>, Fault> {
        self.caller()?.adopt(value)
    }

    fn signal(&self) -> Result<Arc<dyn Signal>, Fault> {
        self.caller()?.signal()
    }

    fn allocate(&self, bytes: usize) -> Result<Memory, Fault> {
        self.caller()?.allocate(bytes)
    }

    fn interfaces(&self) -> Result<Vec<Details>, Fault> {
        Ok(self.details())
    }

    fn process(&self) -> u64 {
        self.process_id()
    }

    fn settle(&self) -> Result<(), Fault> {
        self.caller()?.settle()
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

    fn submit(
        &self,
        code: u32,
        input: &[u8],
        signal: Option<&Arc<dyn Signal>>,
    ) -> Result<Arc<dyn Pending>, Fault> {
        let memory = self.caller.allocate(input.len())?;
        memory.write(0, input);
        let range = (memory.address() as usize, input.len());
        let pending = self
            .handle
            .control_raw(code, range, (0, 0))
            .map_err(fault)?;
        if let Some(signal) = signal {
            let SignalId::Lab(event) = signal.id() else {
                return Err(SignalId::foreign());
            };
            pending.notify(event).map_err(fault)?;
        }
        Ok(Arc::new(LabPending {
            pending,
            _input: memory,
        }))
    }

    fn duplicate(&self, peer: &PeerProcess) -> Result<u64, Fault> {
        let PeerProcess::Lab(other) = peer;
        let value = self.handle.duplicate_into(&other.process).map_err(fault)?;
        Ok(value as u64)
    }

    fn mapped(self: Arc<Self>, address: u64, bytes: usize) -> Result<Memory, Fault> {
        let memory = self
            .caller
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
        let _ = self.caller.process.free(memory);
    }
}

/// A request under way.
struct LabPending {
    pending: nt_sim::Pending<'static>,
    _input: Memory,
}

impl Pending for LabPending {
    fn answer(&self) -> Result<Option<Answer>, Fault> {
        Ok(self.pending.result().as_ref().map(answer))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Answer>, Fault> {
        let done = self.pending.wait(timeout).map_err(fault)?;
        Ok(done.as_ref().map(answer))
    }

    fn cancel(&self) {
        // A lab that has stopped has ended all requests.
        let _ = self.pending.cancel();
    }
}

/// An event of the simulated kernel.
struct LabSignal {
    event: Event,
    _machine: Arc<Machine>,
}

impl Signal for LabSignal {
    fn reset(&self) -> Result<(), Fault> {
        self.event.reset().map_err(fault)
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), Fault> {
        self.event.wait(timeout).map(drop).map_err(fault)
    }

    fn id(&self) -> SignalId<'_> {
        SignalId::Lab(&self.event)
    }
}

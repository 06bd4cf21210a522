//! The one way to the system: what a system has to offer so that everything else in this crate works on it.
//!
//! Requests are bytes, as `xdp-abi` lays them out. Memory whose address is part of a request is allocated here, because
//! in the lab a program's memory has other addresses for the driver than for this process.

#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod lab;
#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod remote;
#[cfg(windows)]
pub(crate) mod windows;

use std::sync::Arc;
use std::time::Duration;

use xdp_abi::open::{
    DEVICE_NAME, INTERFACE_DEVICE_NAME, MAP_DEVICE_NAME, OPEN_PACKET_MAJOR_VERSION,
    OPEN_PACKET_MINOR_VERSION, ObjectType, OpenPacket, PROGRAM_DEVICE_NAME, XSK_DEVICE_NAME,
};
use zerocopy::IntoBytes;

use crate::error::Fault;
use crate::interface::Details;
use crate::memory::Memory;
use crate::status::NtStatus;

/// Version of the API that clients of this crate are built for.
const API_VERSION: u32 = 3;

/// A system that XDP runs on.
pub(crate) trait Backend: Send + Sync {
    /// Opens a device; `value` is the value of the extended attribute, if there is to be one.
    fn open(
        &self,
        device: &str,
        access: Access,
        value: Option<&[u8]>,
    ) -> Result<Arc<dyn Object>, Fault>;

    /// A handle that this process has, by its value. What is made of it closes it, so nobody else may.
    fn adopt(&self, value: u64) -> Result<Arc<dyn Object>, Fault>;

    /// A signal that requests raise when they end.
    fn signal(&self) -> Result<Arc<dyn Signal>, Fault>;

    /// Zeroed memory that requests can refer to.
    fn allocate(&self, bytes: usize) -> Result<Memory, Fault>;

    /// The network interfaces.
    fn interfaces(&self) -> Result<Vec<Details>, Fault>;

    /// The number that the driver knows this process by.
    fn process(&self) -> u64;

    /// Waits until what was attached sees frames, where that takes time and can be waited for.
    fn settle(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// A program has been attached, and it sees frames.
    fn attached(&self) {}

    /// The lab that it is.
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    fn lab(&self) -> Option<Arc<crate::lab::Machine>> {
        None
    }
}

/// What an open asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read: enough for lists.
    Read,
    /// Everything that objects need.
    Full,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: NtStatus,
    pub(crate) information: usize,
}

/// An open object. Dropping it closes its handle.
pub(crate) trait Object: Send + Sync {
    /// Value of the handle, as requests refer to it.
    fn handle(&self) -> u64;

    /// Sends a request and waits for its end; any status is an answer.
    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Answer, Fault>;

    /// Pokes and waits; as [`Object::control`] without output, but fast.
    fn notify(&self, input: [u8; 8]) -> Result<Answer, Fault>;

    /// Sends a request and does not wait for its end, which raises the signal, if one is given.
    fn submit(
        &self,
        code: u32,
        input: &[u8],
        signal: Option<&Arc<dyn Signal>>,
    ) -> Result<Arc<dyn Pending>, Fault>;

    /// Makes a handle of another process to the same object, and returns its value there.
    fn duplicate(&self, peer: &PeerProcess) -> Result<u64, Fault>;

    /// Memory that the driver mapped into this process for the object; it stays until both are dropped.
    fn mapped(self: Arc<Self>, address: u64, bytes: usize) -> Result<Memory, Fault>;
}

/// A request under way.
pub(crate) trait Pending: Send + Sync {
    /// How it ended, if it has.
    fn answer(&self) -> Result<Option<Answer>, Fault>;

    /// Waits for its end; `None` when `timeout` passes first.
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Answer>, Fault>;

    /// Asks for its end.
    fn cancel(&self);
}

/// What requests raise when they end. Sending a request may lower it, so look at all requests before waiting.
pub(crate) trait Signal: Send + Sync {
    /// Lowers it.
    fn reset(&self) -> Result<(), Fault>;

    /// Waits until it is raised, or `timeout` passes.
    fn wait(&self, timeout: Option<Duration>) -> Result<(), Fault>;

    /// How the system knows it.
    #[cfg(windows)]
    fn handle(&self) -> usize;

    /// How the lab knows it.
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    fn id(&self) -> SignalId<'_>;
}

/// How labs know a signal.
#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
pub(crate) enum SignalId<'a> {
    /// A lab in this process.
    Lab(&'a nt_sim::Event),
    /// A lab in another process.
    Remote(u64),
}

#[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
impl SignalId<'_> {
    /// It is one of another system than what it is to be used with.
    fn foreign() -> Fault {
        let cause = "the signal is one of another system";
        Fault::of(crate::error::Kind::InvalidArgument, cause)
    }
}

/// A process that handles are given to.
pub(crate) enum PeerProcess {
    /// A process of this Windows.
    #[cfg(windows)]
    Windows(std::os::windows::io::OwnedHandle),
    /// A process of the lab.
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    Lab(Arc<lab::Caller>),
}

/// Opens an object, on the device of its type or, with drivers that have none yet, on the common one.
pub(crate) fn open_object(
    backend: &dyn Backend,
    object_type: ObjectType,
    parameters: &[u8],
) -> Result<Arc<dyn Object>, Fault> {
    let packet = OpenPacket {
        major_version: OPEN_PACKET_MAJOR_VERSION,
        minor_version: OPEN_PACKET_MINOR_VERSION,
        api_version: API_VERSION,
        object_type,
    };
    let mut value = packet.as_bytes().to_vec();
    value.extend(parameters);
    let device = match object_type {
        ObjectType::PROGRAM => PROGRAM_DEVICE_NAME,
        ObjectType::XSK => XSK_DEVICE_NAME,
        ObjectType::INTERFACE => INTERFACE_DEVICE_NAME,
        ObjectType::MAP => MAP_DEVICE_NAME,
        _ => DEVICE_NAME,
    };
    match backend.open(device, Access::Full, Some(&value)) {
        Err(fault) if fault.says_no_driver() => {
            backend.open(DEVICE_NAME, Access::Full, Some(&value))
        }
        answer => answer,
    }
}

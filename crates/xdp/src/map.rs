//! Maps of sockets by queue.

use std::fmt;
use std::sync::Arc;

use xdp_abi::ClientPtr;
use xdp_abi::ioctl::map as ioctl;
use xdp_abi::map::{MapDeleteParams, MapInsertParams, MapOpen};
use xdp_abi::open::ObjectType;
use zerocopy::IntoBytes;

use crate::error::{Call, Error, Fault, Kind};
use crate::interface::System;
use crate::memory::Memory;
use crate::socket::Socket;
use crate::sys::{Object, open_object};

/// A map of sockets by queue: a rule that redirects to it delivers a frame to the socket of the queue on which it arrived.
///
/// A slot may be changed while programs use the map. Sockets may be dropped while they are in it: nothing is delivered
/// to them then.
#[doc(alias = "XSKMAP")]
pub struct Map {
    object: Arc<dyn Object>,
    system: System,
}

impl Map {
    /// Number of slots; queues count from 0.
    pub const SLOTS: u32 = 128;

    /// Creates a map for sockets of a system, or of the system that an interface is in.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`], [`Kind::NotPermitted`], [`Kind::OutOfMemory`]; [`Kind::NotSupported`] by drivers of versions
    /// before 1.4.
    #[doc(alias = "XdpMapCreate")]
    pub fn new(system: impl Into<System>) -> Result<Self, Error> {
        let system = system.into();
        let parameters = MapOpen::default();
        let object = open_object(system.backend(), ObjectType::MAP, parameters.as_bytes())
            .map_err(|fault| fault.during(Call::CreateMap, ""))?;
        Ok(Self { object, system })
    }

    pub(crate) fn object(&self) -> &Arc<dyn Object> {
        &self.object
    }

    /// Puts a socket into the slot of a queue, in place of the one that may be there. It may be bound to any queue, but
    /// receives only what arrives on its own.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when the map has no such slot or the socket is of another system.
    #[doc(alias = "XdpMapInsert")]
    pub fn insert(&self, queue: u32, socket: &Socket<'_>) -> Result<(), Error> {
        let call = Call::InsertIntoMap;
        self.check(call, queue)?;
        let (ours, theirs) = (
            self.system.shared_backend(),
            socket.system().shared_backend(),
        );
        if !Arc::ptr_eq(&ours, &theirs) {
            let cause = "the socket is of another system than the map";
            return Err(Error::new(Kind::InvalidArgument, call, slot(queue), cause));
        }
        let (key, value) = (0, 8);
        let memory = self.allocate(call, queue)?;
        memory.write(key, queue.as_bytes());
        memory.write(value, socket.object().handle().as_bytes());
        let parameters = MapInsertParams {
            key: ClientPtr(memory.address() + key as u64),
            value: ClientPtr(memory.address() + value as u64),
        };
        self.request(call, queue, ioctl::INSERT, parameters.as_bytes())
    }

    /// Empties the slot of a queue; it may be empty already.
    ///
    /// # Errors
    ///
    /// [`Kind::InvalidArgument`] when the map has no such slot.
    #[doc(alias = "XdpMapDelete")]
    pub fn remove(&self, queue: u32) -> Result<(), Error> {
        let call = Call::RemoveFromMap;
        self.check(call, queue)?;
        let memory = self.allocate(call, queue)?;
        memory.write(0, queue.as_bytes());
        let parameters = MapDeleteParams {
            key: ClientPtr(memory.address()),
        };
        self.request(call, queue, ioctl::DELETE, parameters.as_bytes())
    }

    fn check(&self, call: Call, queue: u32) -> Result<(), Error> {
        if queue < Self::SLOTS {
            return Ok(());
        }
        let cause = format!("a map has slots 0 to {}", Self::SLOTS - 1);
        Err(Error::new(Kind::InvalidArgument, call, slot(queue), cause))
    }

    fn allocate(&self, call: Call, queue: u32) -> Result<Memory, Error> {
        let memory = self.system.backend().allocate(16);
        memory.map_err(|fault| fault.during(call, slot(queue)))
    }

    fn request(&self, call: Call, queue: u32, code: u32, input: &[u8]) -> Result<(), Error> {
        match self.object.control(code, input, &mut []) {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Fault::Status(answer.status).during(call, slot(queue))),
            Err(fault) => Err(fault.during(call, slot(queue))),
        }
    }
}

fn slot(queue: u32) -> String {
    format!("slot {queue}")
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}

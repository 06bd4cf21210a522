//! A program: a process that opens XDP objects.

use std::ops::Deref;

use nt_sim::{Handle, Lab, Process, UserMemory};
use xdp_abi::{
    map::MapOpen,
    open::{
        DEVICE_NAME, INTERFACE_DEVICE_NAME, InterfaceOpen, MAP_DEVICE_NAME, ObjectType,
        PROGRAM_DEVICE_NAME, XSK_DEVICE_NAME,
    },
};
use zerocopy::IntoBytes;

use crate::{
    EA,
    interface::Interface,
    map::Map,
    open_value_of,
    status::{Answer, answer},
    xsk::Xsk,
};

/// Disposition that the stock client asks for.
pub const FILE_CREATE: u32 = 2;
/// Disposition that opens what exists.
pub const FILE_OPEN: u32 = 1;
/// Generic read, generic write and synchronize: the access that the stock client asks for.
pub const FULL_ACCESS: u32 = 0xC010_0000;
/// Generic read.
pub const GENERIC_READ: u32 = 0x8000_0000;
/// Generic write.
pub const GENERIC_WRITE: u32 = 0x4000_0000;

/// A process of an administrator that uses XDP.
pub struct Client<'lab> {
    lab: &'lab Lab,
    process: Process<'lab>,
    common_device: bool,
    api_version: u32,
}

impl<'lab> Client<'lab> {
    /// Starts one that was built for the newest API: it opens the device of each type.
    ///
    /// # Panics
    /// When the lab has stopped.
    pub fn new(lab: &'lab Lab, name: &str) -> Self {
        let process = lab.administrator(name).expect("a process starts");
        Client {
            lab,
            process,
            common_device: false,
            api_version: 3,
        }
    }

    /// Another driver as a client: in kernel mode, with kernel handles and kernel memory.
    pub fn in_kernel(lab: &'lab Lab) -> Self {
        Client {
            lab,
            process: lab.kernel_client(),
            common_device: false,
            api_version: 3,
        }
    }

    /// Makes the client open everything through the common device, as old programs do.
    #[must_use]
    pub fn through_common_device(mut self) -> Self {
        self.common_device = true;
        self
    }

    /// Makes it a client of another version of the API.
    #[must_use]
    pub fn api_version(mut self, version: u32) -> Self {
        self.api_version = version;
        self
    }

    /// Waits until the adapters run again: what attaches first to an adapter restarts it, and frames that arrive
    /// meanwhile are lost.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn settle(&self) {
        self.lab.settle().unwrap_or_else(|e| panic!("{e}"));
    }

    /// Ends the process.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn terminate(self) {
        self.process.terminate().expect("the process ends");
    }

    fn device(&self, object: ObjectType) -> &'static str {
        if self.common_device {
            return DEVICE_NAME;
        }
        match object {
            ObjectType::PROGRAM => PROGRAM_DEVICE_NAME,
            ObjectType::XSK => XSK_DEVICE_NAME,
            ObjectType::INTERFACE => INTERFACE_DEVICE_NAME,
            ObjectType::MAP => MAP_DEVICE_NAME,
            _ => DEVICE_NAME,
        }
    }

    /// Opens an object with the parameters given as bytes.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn open_object(&self, object: ObjectType, parameters: &[u8]) -> Answer<Handle<'_>> {
        self.open_object_as(object, parameters, FILE_CREATE, FULL_ACCESS)
    }

    /// As [`Client::open_object`], with another disposition and access.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn open_object_as(
        &self,
        object: ObjectType,
        parameters: &[u8],
        disposition: u32,
        access: u32,
    ) -> Answer<Handle<'_>> {
        let value = open_value_of(self.api_version, object, parameters);
        answer(
            self.process
                .open(self.device(object))
                .disposition(disposition)
                .access(access)
                .ea(EA, &value)
                .open(),
        )
    }

    /// Creates a socket.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn xsk(&self) -> Answer<Xsk<'_>> {
        self.xsk_as(FULL_ACCESS)
    }

    /// Creates a socket with another access than the stock client asks for.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn xsk_as(&self, access: u32) -> Answer<Xsk<'_>> {
        let handle = self.open_object_as(ObjectType::XSK, &[], FILE_CREATE, access)?;
        Ok(Xsk::new(self, handle))
    }

    /// Creates a map of sockets.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn map(&self) -> Answer<Map<'_>> {
        let handle = self.open_object(ObjectType::MAP, MapOpen::default().as_bytes())?;
        Ok(Map::new(self, handle))
    }

    /// Opens an interface.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn interface(&self, if_index: u32) -> Answer<Interface<'_>> {
        let handle = self.open_object(ObjectType::INTERFACE, InterfaceOpen { if_index }.as_bytes());
        Ok(Interface::new(handle?))
    }

    /// Copies bytes into fresh memory of the process.
    ///
    /// # Panics
    /// When there is no memory.
    pub fn place(&self, bytes: &[u8]) -> UserMemory {
        let memory = self
            .process
            .alloc(bytes.len().max(1))
            .expect("memory for the program");
        memory.write(0, bytes);
        memory
    }
}

impl<'lab> Deref for Client<'lab> {
    type Target = Process<'lab>;

    fn deref(&self) -> &Process<'lab> {
        &self.process
    }
}

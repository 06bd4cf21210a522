//! A map of sockets.

use nt_sim::Handle;
use xdp_abi::{
    ClientPtr,
    ioctl::map as ioctl,
    map::{MapDeleteParams, MapInsertParams},
};
use zerocopy::IntoBytes;

use crate::{
    client::Client,
    status::{Answer, answer},
    xsk::Xsk,
};

/// Slots that a map has.
pub const SLOTS: u32 = 128;

/// A map of a client.
pub struct Map<'c> {
    client: &'c Client<'c>,
    handle: Handle<'c>,
}

impl<'c> Map<'c> {
    pub(crate) fn new(client: &'c Client<'c>, handle: Handle<'c>) -> Self {
        Map { client, handle }
    }

    /// Its handle.
    pub fn handle(&self) -> &Handle<'c> {
        &self.handle
    }

    /// Closes the handle.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn close(self) {
        self.handle.close().expect("the handle closes");
    }

    /// Puts a socket into a slot.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn insert(&self, key: u32, socket: &Xsk<'_>) -> Answer<()> {
        self.insert_handle(key, socket.handle().value() as u64)
    }

    /// Puts what a handle value stands for into a slot.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn insert_handle(&self, key: u32, handle: u64) -> Answer<()> {
        let key = self.client.place(key.as_bytes());
        let value = self.client.place(handle.as_bytes());
        let result = self.insert_from(key.address() as u64, value.address() as u64);
        for memory in [key, value] {
            self.client.free(memory).expect("the parameter is freed");
        }
        result
    }

    /// Inserts with key and value at any addresses.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn insert_from(&self, key: u64, value: u64) -> Answer<()> {
        let parameters = MapInsertParams {
            key: ClientPtr(key),
            value: ClientPtr(value),
        };
        self.request(ioctl::INSERT, parameters.as_bytes())
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn delete(&self, key: u32) -> Answer<()> {
        let key = self.client.place(key.as_bytes());
        let result = self.delete_from(key.address() as u64);
        self.client.free(key).expect("the key is freed");
        result
    }

    /// Empties the slot whose number is at any address.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn delete_from(&self, key: u64) -> Answer<()> {
        let parameters = MapDeleteParams {
            key: ClientPtr(key),
        };
        self.request(ioctl::DELETE, parameters.as_bytes())
    }

    /// Sends any request.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn request(&self, code: u32, input: &[u8]) -> Answer<()> {
        answer(self.handle.control(code, input, 0)).map(|_| ())
    }
}

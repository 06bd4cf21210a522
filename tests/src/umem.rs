//! Frame memory of a client.

use nt_sim::UserMemory;
use xdp_abi::{ClientPtr, xsk::UmemReg};

use crate::client::Client;

/// Memory that is, or is to be, registered with a socket.
#[derive(Clone, Copy, Debug)]
pub struct Umem {
    memory: UserMemory,
    total_size: u64,
    chunk_size: u32,
    headroom: u32,
}

impl Umem {
    /// Allocates memory for a registration.
    ///
    /// # Panics
    /// When there is none.
    pub fn new(client: &Client<'_>, total_size: usize, chunk_size: u32, headroom: u32) -> Umem {
        Umem {
            memory: client.alloc(total_size).expect("frame memory"),
            total_size: total_size as u64,
            chunk_size,
            headroom,
        }
    }

    /// What is told to the driver.
    pub fn registration(&self) -> UmemReg {
        UmemReg {
            total_size: self.total_size,
            chunk_size: self.chunk_size,
            headroom: self.headroom,
            address: ClientPtr(self.memory.address() as u64),
        }
    }

    /// The memory.
    pub fn memory(&self) -> UserMemory {
        self.memory
    }

    /// Bytes of a chunk.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Address of a chunk, by its number.
    pub fn chunk(&self, number: u32) -> u64 {
        u64::from(number) * u64::from(self.chunk_size)
    }

    /// Whole chunks.
    pub fn chunks(&self) -> u32 {
        (self.total_size / u64::from(self.chunk_size)) as u32
    }

    /// Writes bytes at an address in the frame memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.memory.write(address as usize, bytes);
    }

    /// Reads bytes at an address in the frame memory.
    pub fn read(&self, address: u64, length: u32) -> Vec<u8> {
        self.memory.read(address as usize, length as usize)
    }
}

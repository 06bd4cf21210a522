//! A shared ring as the program sees it: both halves of the client's side, and raw access for hostile programs.

use nt_sim::UserMemory;
use xdp_abi::ring::{RingFlags, RingInfo, RingInfoSet};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::client::Client;

/// A ring in the memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    memory: UserMemory,
    info: RingInfo,
}

/// The rings of a socket, those that were sized.
#[derive(Clone, Copy, Debug)]
pub struct Rings {
    fill: Option<Ring>,
    completion: Option<Ring>,
    rx: Option<Ring>,
    tx: Option<Ring>,
}

impl Rings {
    /// Looks the rings up in the memory of `client`, which must be the process that sized them.
    pub fn of(client: &Client<'_>, info: &RingInfoSet) -> Rings {
        let ring = |info: &RingInfo| (!info.ring.is_null()).then(|| Ring::of(client, *info));
        Rings {
            fill: ring(&info.fill),
            completion: ring(&info.completion),
            rx: ring(&info.rx),
            tx: ring(&info.tx),
        }
    }

    /// Chunks for receiving.
    #[track_caller]
    pub fn fill(&self) -> Ring {
        self.fill.expect("a fill ring")
    }

    /// Chunks that were sent.
    #[track_caller]
    pub fn completion(&self) -> Ring {
        self.completion.expect("a completion ring")
    }

    /// Frames received.
    #[track_caller]
    pub fn rx(&self) -> Ring {
        self.rx.expect("a receive ring")
    }

    /// Frames to send.
    #[track_caller]
    pub fn tx(&self) -> Ring {
        self.tx.expect("a transmit ring")
    }
}

impl Ring {
    /// The ring that `info` describes, in the memory of `client`.
    ///
    /// # Panics
    /// When no memory is mapped there.
    pub fn of(client: &Client<'_>, info: RingInfo) -> Ring {
        let size =
            info.descriptors_offset as usize + info.size as usize * info.element_stride as usize;
        let memory = client
            .memory(info.ring.0 as usize, size)
            .expect("the ring is mapped");
        Ring { memory, info }
    }

    /// What the driver said of it.
    pub fn info(&self) -> RingInfo {
        self.info
    }

    /// Elements.
    pub fn size(&self) -> u32 {
        self.info.size
    }

    /// The producer index.
    pub fn producer(&self) -> u32 {
        self.memory
            .load_u32(self.info.producer_index_offset as usize)
    }

    /// The consumer index.
    pub fn consumer(&self) -> u32 {
        self.memory
            .load_u32(self.info.consumer_index_offset as usize)
    }

    /// Sets the producer index, sensibly or not.
    pub fn set_producer(&self, index: u32) {
        self.memory
            .store_u32(self.info.producer_index_offset as usize, index);
    }

    /// Sets the consumer index, sensibly or not.
    pub fn set_consumer(&self, index: u32) {
        self.memory
            .store_u32(self.info.consumer_index_offset as usize, index);
    }

    /// The flags.
    pub fn flags(&self) -> RingFlags {
        RingFlags::from_bits_retain(self.memory.load_u32(self.info.flags_offset as usize))
    }

    /// Overwrites the flags, which no decent program does.
    pub fn set_flags(&self, flags: u32) {
        self.memory
            .store_u32(self.info.flags_offset as usize, flags);
    }

    /// Whether the driver asks to be poked.
    pub fn need_poke(&self) -> bool {
        self.flags().contains(RingFlags::NEED_POKE)
    }

    /// Elements that the consumer may take.
    pub fn available(&self) -> u32 {
        self.producer().wrapping_sub(self.consumer())
    }

    /// Elements that the producer may add.
    pub fn free(&self) -> u32 {
        self.size().wrapping_sub(self.available())
    }

    fn place(&self, index: u32) -> usize {
        let slot = index & (self.info.size - 1);
        self.info.descriptors_offset as usize + slot as usize * self.info.element_stride as usize
    }

    /// Bytes of the element with a free-running index.
    pub fn element(&self, index: u32) -> Vec<u8> {
        self.memory
            .read(self.place(index), self.info.element_stride as usize)
    }

    /// Writes bytes into an element.
    pub fn write_element(&self, index: u32, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.info.element_stride as usize);
        self.memory.write(self.place(index) + offset, bytes);
    }

    /// Producer: index of the first of the free elements, at most `max`, that may be written.
    pub fn producer_reserve(&self, max: u32) -> (u32, u32) {
        (self.producer(), max.min(self.free()))
    }

    /// Producer: publishes elements.
    pub fn producer_submit(&self, count: u32) {
        self.set_producer(self.producer().wrapping_add(count));
    }

    /// Consumer: index of the first of the elements, at most `max`, that may be read.
    pub fn consumer_reserve(&self, max: u32) -> (u32, u32) {
        (self.consumer(), max.min(self.available()))
    }

    /// Consumer: gives elements back.
    pub fn consumer_release(&self, count: u32) {
        self.set_consumer(self.consumer().wrapping_add(count));
    }

    /// Producer: adds an element; `false` when the ring is full.
    pub fn push<T: IntoBytes + Immutable>(&self, value: &T) -> bool {
        let (index, count) = self.producer_reserve(1);
        if count == 0 {
            return false;
        }
        self.write_element(index, 0, value.as_bytes());
        self.producer_submit(1);
        true
    }

    /// Consumer: takes the bytes of an element, its extensions included.
    pub fn pop_bytes(&self) -> Option<Vec<u8>> {
        let (index, count) = self.consumer_reserve(1);
        if count == 0 {
            return None;
        }
        let bytes = self.element(index);
        self.consumer_release(1);
        Some(bytes)
    }

    /// Consumer: takes an element.
    pub fn pop<T: FromBytes>(&self) -> Option<T> {
        let bytes = self.pop_bytes()?;
        Some(T::read_from_prefix(&bytes).expect("an element holds one").0)
    }

    /// The memory that the ring lies in.
    pub fn memory(&self) -> UserMemory {
        self.memory
    }
}

//! Frame memory: which addresses are inside it.

use core::fmt;
use xdp_abi::frame::FrameDescriptor;

/// Largest frame memory: its size must fit 32 bits.
const MAX_TOTAL_SIZE: u64 = 0xFFFF_FFFF;
/// Largest headroom.
const MAX_HEADROOM: u32 = 65_535;

/// Why frame memory cannot be registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UmemError {
    /// It is empty or does not fit 32 bits.
    TotalSize {
        /// Its size.
        bytes: u64,
    },
    /// A chunk is empty or larger than the memory.
    ChunkSize {
        /// Its size.
        bytes: u32,
    },
    /// The headroom is larger than a chunk or than 65,535 bytes.
    Headroom {
        /// Its size.
        bytes: u32,
    },
}

impl fmt::Display for UmemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TotalSize { bytes } => {
                write!(
                    f,
                    "frame memory of {bytes} bytes: must be 1 to {MAX_TOTAL_SIZE}"
                )
            }
            Self::ChunkSize { bytes } => {
                write!(
                    f,
                    "chunks of {bytes} bytes: must be at least 1 and no larger than the memory"
                )
            }
            Self::Headroom { bytes } => {
                write!(
                    f,
                    "headroom of {bytes} bytes: must be at most {MAX_HEADROOM} and no larger than a chunk"
                )
            }
        }
    }
}

impl core::error::Error for UmemError {}

/// Sizes of frame memory. Neither chunks nor the memory need any alignment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UmemGeometry {
    /// Whole chunks only: what is left at the end is out of bounds.
    total_size: u32,
    chunk_size: u32,
    headroom: u32,
}

/// Room for a frame to be received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RxChunk {
    /// Address that was given for filling.
    pub base_address: u64,
    /// Bytes of headroom before the frame.
    pub headroom: u16,
    /// Where the frame starts in frame memory.
    pub start: usize,
    /// Bytes of the frame that fit.
    pub capacity: usize,
}

impl RxChunk {
    /// As [`RxChunk::descriptor`], keeping the part of the descriptor before it that is nobody's to write.
    #[inline]
    #[must_use]
    pub fn descriptor_over(&self, mut descriptor: FrameDescriptor, length: u32) -> FrameDescriptor {
        descriptor.buffer.address = self.descriptor(length).buffer.address;
        descriptor.buffer.length = length;
        descriptor
    }

    /// The descriptor of a frame of which `length` bytes were stored.
    #[must_use]
    pub fn descriptor(&self, length: u32) -> FrameDescriptor {
        FrameDescriptor::new(self.base_address, self.headroom, length)
    }
}

/// A frame to be sent that is inside frame memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameRange {
    /// Address the completion will carry.
    pub base_address: u64,
    /// Where the frame starts in frame memory.
    pub start: usize,
    /// Bytes of the frame, at least one.
    pub length: usize,
}

/// What limits a frame to be sent, besides frame memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxLimits {
    /// Longest frame: the smaller of the interface's buffer and frame limits.
    pub max_length: u32,
    /// Whether frames go through a copy of their chunk and may therefore not reach into the next.
    pub within_chunk: bool,
}

/// Why a frame is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TxRefusal {
    /// It is not inside frame memory.
    OutOfBounds,
    /// It has no byte.
    Empty,
    /// It is longer than the interface takes.
    TooLong,
    /// It reaches into the next chunk.
    CrossesChunk,
}

impl UmemGeometry {
    /// Sizes as an application states them, checked in the order that decides which error it gets.
    ///
    /// # Errors
    ///
    /// If a size is out of range.
    pub const fn new(total_size: u64, chunk_size: u32, headroom: u32) -> Result<Self, UmemError> {
        if total_size == 0 || total_size > MAX_TOTAL_SIZE {
            return Err(UmemError::TotalSize { bytes: total_size });
        }
        let total_size = total_size as u32;
        if chunk_size == 0 || chunk_size > total_size {
            return Err(UmemError::ChunkSize { bytes: chunk_size });
        }
        if headroom > chunk_size || headroom > MAX_HEADROOM {
            return Err(UmemError::Headroom { bytes: headroom });
        }
        let total_size = total_size - total_size % chunk_size;
        Ok(Self {
            total_size,
            chunk_size,
            headroom,
        })
    }

    /// Bytes that can be addressed.
    #[must_use]
    pub const fn total_size(&self) -> u32 {
        self.total_size
    }

    /// Bytes of a chunk.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Bytes left free before a received frame.
    #[must_use]
    pub const fn headroom(&self) -> u32 {
        self.headroom
    }

    /// Number of chunks.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        // The chunk size is never zero; said so that no check is left in the code.
        match self.total_size.checked_div(self.chunk_size) {
            Some(chunks) => chunks,
            None => 0,
        }
    }

    /// Where a frame goes that is received into the chunk at `address`; `None` if that is out of bounds. The address
    /// may be any that leaves room for a chunk.
    #[inline]
    #[must_use]
    pub fn rx_chunk(&self, address: u64) -> Option<RxChunk> {
        if address > u64::from(self.total_size - self.chunk_size) {
            return None;
        }
        Some(RxChunk {
            base_address: address,
            headroom: self.headroom as u16,
            start: address as usize + self.headroom as usize,
            capacity: (self.chunk_size - self.headroom) as usize,
        })
    }

    /// Where a frame lies that is to be sent.
    ///
    /// # Errors
    ///
    /// If it must not be sent.
    #[inline]
    pub fn tx_frame(
        &self,
        descriptor: FrameDescriptor,
        limits: TxLimits,
    ) -> Result<FrameRange, TxRefusal> {
        let address = descriptor.buffer.address;
        let length = descriptor.buffer.length;
        // 48 bits and 16 bits and 32 bits: this cannot overflow.
        let start = address.base_address() + u64::from(address.offset());
        let end = start + u64::from(length);
        if end > u64::from(self.total_size) {
            return Err(TxRefusal::OutOfBounds);
        }
        if length == 0 {
            return Err(TxRefusal::Empty);
        }
        if length > limits.max_length {
            return Err(TxRefusal::TooLong);
        }
        if limits.within_chunk {
            let base = address.base_address() as u32;
            // Most chunks are a power of two, for which nothing need be divided.
            let into_chunk = if self.chunk_size.is_power_of_two() {
                base & (self.chunk_size - 1)
            } else {
                base.checked_rem(self.chunk_size).unwrap_or(0)
            };
            if u64::from(into_chunk) + (end - address.base_address()) > u64::from(self.chunk_size) {
                return Err(TxRefusal::CrossesChunk);
            }
        }
        Ok(FrameRange {
            base_address: address.base_address(),
            start: start as usize,
            length: length as usize,
        })
    }

    /// Number of the chunk an address lies in; `None` if it is out of bounds.
    #[inline]
    #[must_use]
    pub fn chunk_of(&self, address: u64) -> Option<u32> {
        if address >= u64::from(self.total_size) {
            return None;
        }
        (address as u32).checked_div(self.chunk_size)
    }
}

//! Where the parts of a shared ring lie.

use crate::index::RingSize;
use core::fmt;
use xdp_abi::object::ClientPtr;
use xdp_abi::ring::RingInfo;

/// Distance of the parts of a ring: two cache lines of x86-64, because its processors fetch lines in pairs, and one of
/// arm64. Measured, elements arrive a tenth sooner than with the parts 64 bytes apart. Applications ask for the
/// offsets, so they may differ from [`SharedRing`](xdp_abi::ring::SharedRing)'s.
const SPACING: u32 = 128;

/// Offsets and sizes of a ring in one block of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingLayout {
    /// Offset of the producer's index.
    pub producer_index: u32,
    /// Offset of the consumer's index.
    pub consumer_index: u32,
    /// Offset of the flags.
    pub flags: u32,
    /// Offset of the elements.
    pub elements: u32,
    /// Number of elements.
    pub size: RingSize,
    /// Bytes from one element to the next.
    pub stride: u32,
}

/// Why numbers do not describe a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RingLayoutError {
    /// The number of elements is zero or no power of two.
    Size {
        /// The number.
        elements: u32,
    },
    /// Elements are not a positive multiple of eight bytes apart.
    Stride {
        /// The distance.
        bytes: u32,
    },
    /// A part is not aligned as it must be.
    Misaligned {
        /// Where it is.
        offset: u32,
    },
    /// A part is beyond the end of the memory, or the memory would be larger than there is.
    TooLong {
        /// Where it ends.
        end: u64,
    },
    /// Two parts share bytes.
    Overlap {
        /// Where the second starts.
        offset: u32,
    },
}

impl fmt::Display for RingLayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { elements } => write!(
                f,
                "a ring of {elements} elements: the size must be a power of two"
            ),
            Self::Stride { bytes } => {
                write!(f, "elements {bytes} bytes apart: must be a multiple of 8")
            }
            Self::Misaligned { offset } => write!(f, "the part at offset {offset} is not aligned"),
            Self::TooLong { end } => write!(f, "the ring ends at {end}, beyond its memory"),
            Self::Overlap { offset } => {
                write!(f, "the part at offset {offset} overlaps another one")
            }
        }
    }
}

impl core::error::Error for RingLayoutError {}

impl RingLayout {
    /// The layout the driver gives a ring: header, then elements.
    ///
    /// # Errors
    ///
    /// If `elements` is zero or no power of two, `stride` is no positive multiple of eight, or the ring would not
    /// fit in four gigabytes.
    pub fn new(elements: u32, stride: u32) -> Result<Self, RingLayoutError> {
        let size = RingSize::new(elements).ok_or(RingLayoutError::Size { elements })?;
        let layout = Self {
            producer_index: 0,
            consumer_index: SPACING,
            flags: 2 * SPACING,
            elements: 3 * SPACING,
            size,
            stride,
        };
        layout.check(u64::from(u32::MAX))?;
        Ok(layout)
    }

    /// The layout somebody else states, for memory of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// If that is no ring, or not inside the memory.
    pub fn from_info(info: &RingInfo, bytes: u64) -> Result<Self, RingLayoutError> {
        let size = RingSize::new(info.size).ok_or(RingLayoutError::Size {
            elements: info.size,
        })?;
        let layout = Self {
            producer_index: info.producer_index_offset,
            consumer_index: info.consumer_index_offset,
            flags: info.flags_offset,
            elements: info.descriptors_offset,
            size,
            stride: info.element_stride,
        };
        layout.check(bytes)?;
        Ok(layout)
    }

    /// What an application is told about the ring at an address.
    #[must_use]
    pub fn to_info(&self, address: ClientPtr) -> RingInfo {
        RingInfo {
            ring: address,
            descriptors_offset: self.elements,
            producer_index_offset: self.producer_index,
            consumer_index_offset: self.consumer_index,
            flags_offset: self.flags,
            size: self.size.get(),
            element_stride: self.stride,
            ..RingInfo::default()
        }
    }

    /// Bytes of the memory, from its start to the end of the elements.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.elements) + u64::from(self.size.get()) * u64::from(self.stride)
    }

    /// Words of the elements.
    pub(crate) fn element_words(&self) -> usize {
        self.size.get() as usize * (self.stride / 8) as usize
    }

    pub(crate) fn check(&self, bytes: u64) -> Result<(), RingLayoutError> {
        if self.stride == 0 || !self.stride.is_multiple_of(8) {
            return Err(RingLayoutError::Stride { bytes: self.stride });
        }
        if self.bytes() > bytes {
            return Err(RingLayoutError::TooLong { end: self.bytes() });
        }
        if !self.elements.is_multiple_of(8) {
            return Err(RingLayoutError::Misaligned {
                offset: self.elements,
            });
        }
        let words = [self.producer_index, self.consumer_index, self.flags];
        for (position, &offset) in words.iter().enumerate() {
            let end = u64::from(offset) + 4;
            if !offset.is_multiple_of(4) {
                return Err(RingLayoutError::Misaligned { offset });
            }
            if end > bytes {
                return Err(RingLayoutError::TooLong { end });
            }
            let in_elements = end > u64::from(self.elements) && u64::from(offset) < self.bytes();
            let twice = words
                .iter()
                .skip(position + 1)
                .any(|&other| other == offset);
            if in_elements || twice {
                return Err(RingLayoutError::Overlap { offset });
            }
        }
        Ok(())
    }
}

//! Rings shared between an application and the driver.

use crate::macros::open_flags;
use crate::object::ClientPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_flags! {
    /// What the driver tells the application through a ring.
    #[doc(alias = "XSK_RING_FLAGS")]
    pub struct RingFlags: u32 {
        /// The ring is dead; an option tells why.
        ERROR = 1, "XSK_RING_FLAG_ERROR";
        /// The driver will not look at the ring before it is poked.
        NEED_POKE = 2, "XSK_RING_FLAG_NEED_POKE";
        /// The driver works on another processor than before.
        AFFINITY_CHANGED = 4, "XSK_RING_FLAG_AFFINITY_CHANGED";
        /// The offload configuration changed.
        OFFLOAD_CHANGED = 8, "XSK_RING_FLAG_OFFLOAD_CHANGED";
    }
}

/// A word of a shared ring, alone on its cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, Immutable, KnownLayout)]
#[cfg_attr(target_arch = "aarch64", repr(C, align(128)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(C, align(64)))]
pub struct RingWord {
    /// The word.
    pub value: u32,
}

/// Header of a shared ring; the elements follow.
///
/// It describes offsets. The other side writes to the memory at any time, so no reference to a live header may exist.
#[doc(alias = "XSK_SHARED_RING")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SharedRing {
    /// Free-running count of elements published.
    pub producer_index: RingWord,
    /// Free-running count of elements taken.
    pub consumer_index: RingWord,
    /// [`RingFlags`].
    pub flags: RingWord,
}

const _: () = {
    assert!(size_of::<SharedRing>() == 3 * crate::CACHE_LINE);
    assert!(core::mem::offset_of!(SharedRing, consumer_index) == crate::CACHE_LINE);
    assert!(core::mem::offset_of!(SharedRing, flags) == 2 * crate::CACHE_LINE);
};

/// Where a ring is and what it looks like.
#[doc(alias = "XSK_RING_INFO")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RingInfo {
    /// Address in the process that sized the ring; null for a ring not sized.
    pub ring: ClientPtr,
    /// Offset of the elements.
    pub descriptors_offset: u32,
    /// Offset of the producer index.
    pub producer_index_offset: u32,
    /// Offset of the consumer index.
    pub consumer_index_offset: u32,
    /// Offset of the flags.
    pub flags_offset: u32,
    /// Elements, a power of two.
    pub size: u32,
    /// Bytes from one element to the next.
    pub element_stride: u32,
    /// Zero.
    pub reserved: u32,
    /// Padding.
    pub padding: u32,
}

/// The four rings of a socket.
#[doc(alias = "XSK_RING_INFO_SET")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RingInfoSet {
    /// Chunks the application gives for receiving.
    pub fill: RingInfo,
    /// Chunks the driver has sent.
    pub completion: RingInfo,
    /// Frames received.
    pub rx: RingInfo,
    /// Frames to send.
    pub tx: RingInfo,
}

/// State of the C ring helpers in an application, for code that hands one to C.
#[doc(alias = "XSK_RING")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct XskRing {
    /// Address of the producer index.
    pub shared_producer: ClientPtr,
    /// Address of the consumer index.
    pub shared_consumer: ClientPtr,
    /// Address of the flags.
    pub shared_flags: ClientPtr,
    /// Address of the elements.
    pub shared_elements: ClientPtr,
    /// Size less one.
    pub mask: u32,
    /// Elements.
    pub size: u32,
    /// Bytes from one element to the next.
    pub element_stride: u32,
    /// Producer index last seen.
    pub cached_producer: u32,
    /// Consumer index last seen.
    pub cached_consumer: u32,
    /// Padding.
    pub padding: u32,
}

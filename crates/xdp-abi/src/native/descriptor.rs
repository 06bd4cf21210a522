//! Rings and descriptors shared with a NIC driver.

use super::opaque;
use crate::macros::open_enum;
use core::ffi::c_void;

opaque! {
    /// A memory descriptor list.
    #[doc(alias = "MDL")]
    Mdl;
}

/// Header of a ring shared with a NIC driver; the elements follow.
#[doc(alias = "XDP_RING")]
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(target_arch = "aarch64", repr(C, align(128)))]
#[cfg_attr(not(target_arch = "aarch64"), repr(C, align(64)))]
pub struct Ring {
    /// Free-running count of elements published.
    pub producer_index: u32,
    /// Free-running count of elements taken.
    pub consumer_index: u32,
    /// For the NIC driver.
    pub interface_reserved: u32,
    /// For XDP.
    pub reserved: u32,
    /// Elements less one.
    pub mask: u32,
    /// Bytes from one element to the next.
    pub element_stride: u32,
}

const _: () = assert!(size_of::<Ring>() == crate::CACHE_LINE);

/// One buffer of a frame.
#[doc(alias = "XDP_BUFFER")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Buffer {
    /// Where the data starts.
    pub data_offset: u32,
    /// Bytes of data.
    pub data_length: u32,
    /// Bytes of the buffer.
    pub buffer_length: u32,
    /// Zero.
    pub reserved: u32,
}

/// A frame: its first buffer, then extensions.
#[doc(alias = "XDP_FRAME")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Frame {
    /// First buffer.
    pub buffer: Buffer,
}

/// Extension: kernel address of a buffer.
#[doc(alias = "XDP_BUFFER_VIRTUAL_ADDRESS")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BufferVirtualAddress {
    /// The address.
    pub virtual_address: *mut u8,
}

/// Extension: address of a buffer as the network card sees it.
#[doc(alias = "XDP_BUFFER_LOGICAL_ADDRESS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct BufferLogicalAddress {
    /// The address.
    pub logical_address: u64,
}

/// Extension: MDL of a buffer.
#[doc(alias = "XDP_BUFFER_MDL")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BufferMdl {
    /// The MDL.
    pub mdl: *mut Mdl,
    /// Where the buffer starts in it.
    pub mdl_offset: usize,
}

/// Extension: how many more buffers a frame has.
#[doc(alias = "XDP_FRAME_FRAGMENT")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct FrameFragment {
    /// Buffers besides the first.
    pub fragment_buffer_count: u8,
}

open_enum! {
    /// What the NIC driver is to do with a received frame.
    #[doc(alias = "XDP_RX_ACTION")]
    pub struct RxAction: u8 {
        /// Drop it.
        DROP = 0, "XDP_RX_ACTION_DROP";
        /// Indicate it to the network stack.
        PASS = 1, "XDP_RX_ACTION_PASS";
        /// Send it.
        TX = 2, "XDP_RX_ACTION_TX";
    }
}

/// Extension: what the NIC driver is to do with a received frame.
#[doc(alias = "XDP_FRAME_RX_ACTION")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct FrameRxAction {
    /// The action.
    pub rx_action: RxAction,
}

/// One frame sent, in a completion ring.
#[doc(alias = "XDP_TX_FRAME_COMPLETION")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct TxFrameCompletion {
    /// Address of its buffer, in the form the queue uses.
    pub buffer_address: u64,
}

/// Extension: value that comes back with a frame's completion.
#[doc(alias = "XDP_TX_FRAME_COMPLETION_CONTEXT")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TxFrameCompletionContext {
    /// The value.
    pub context: *mut c_void,
}

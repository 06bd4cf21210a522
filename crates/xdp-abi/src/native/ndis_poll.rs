//! NDIS polling structures, as far as a NIC driver that polls for XDP shows them.

use super::{Boolean, opaque};
use crate::macros::windows_fn;
use core::ffi::c_void;

opaque! {
    /// A list of network buffers.
    #[doc(alias = "NET_BUFFER_LIST")]
    NetBufferList;
}

/// First member of every NDIS structure.
#[doc(alias = "NDIS_OBJECT_HEADER")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct NdisObjectHeader {
    /// Kind of object.
    #[doc(alias = "Type")]
    pub object_type: u8,
    /// Revision of the structure.
    pub revision: u8,
    /// Bytes of the structure.
    pub size: u16,
}

/// Sent frames of one poll.
#[doc(alias = "NDIS_POLL_TRANSMIT_DATA")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NdisPollTransmitData {
    /// Lists that may be completed.
    pub max_nbls_to_complete: u32,
    /// Zero.
    pub reserved1: [u32; 3],
    /// Lists completed.
    pub completed_nbl_chain: *mut NetBufferList,
    /// How many.
    pub number_of_completed_nbls: u32,
    /// How many are left.
    pub number_of_remaining_nbls: u32,
    /// Flags of the completion.
    pub send_complete_flags: u32,
    /// Zero.
    pub reserved2: u32,
    /// Zero.
    pub reserved3: [*mut c_void; 4],
}

/// Received frames of one poll.
#[doc(alias = "NDIS_POLL_RECEIVE_DATA")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NdisPollReceiveData {
    /// Lists that may be indicated.
    pub max_nbls_to_indicate: u32,
    /// Zero.
    pub reserved1: [u32; 3],
    /// Lists indicated.
    pub indicated_nbl_chain: *mut NetBufferList,
    /// How many.
    pub number_of_indicated_nbls: u32,
    /// How many are left.
    pub number_of_remaining_nbls: u32,
    /// Flags of the indication.
    pub flags: u32,
    /// Zero.
    pub reserved2: u32,
    /// Zero.
    pub reserved3: [*mut c_void; 4],
}

/// One poll.
#[doc(alias = "NDIS_POLL_DATA")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NdisPollData {
    /// Kind, revision and size.
    pub header: NdisObjectHeader,
    /// Sent frames.
    pub transmit: NdisPollTransmitData,
    /// Received frames.
    pub receive: NdisPollReceiveData,
}

/// Whether a driver is to ask for polls by itself.
#[doc(alias = "NDIS_POLL_NOTIFICATION")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct NdisPollNotification {
    /// Kind, revision and size.
    pub header: NdisObjectHeader,
    /// Whether it is.
    pub enabled: Boolean,
}

/// Switches notifications.
pub type NdisSetPollNotificationFn = windows_fn!(fn(*mut c_void, *mut NdisPollNotification));
/// Polls once.
pub type NdisPollFn = windows_fn!(fn(*mut c_void, *mut NdisPollData));

/// What a driver registers for polling.
#[doc(alias = "NDIS_POLL_CHARACTERISTICS")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NdisPollCharacteristics {
    /// Kind, revision and size.
    pub header: NdisObjectHeader,
    /// Switches notifications.
    pub set_poll_notification_handler: Option<NdisSetPollNotificationFn>,
    /// Polls once.
    pub poll_handler: Option<NdisPollFn>,
}

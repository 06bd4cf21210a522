//! A NIC driver's interface: capabilities, opening and queues.

use super::queue::{
    RxQueueConfigActivate, RxQueueConfigCreate, TxQueueConfigActivate, TxQueueConfigCreate,
};
use super::{Boolean, opaque};
use crate::macros::{open_flags, windows_fn};
use crate::object::{Guid, ObjectHeader, Version};
use crate::status::NtStatus;
use core::ffi::c_void;
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// OID by which a NIC driver is asked for its capabilities.
#[doc(alias = "OID_XDP_QUERY_CAPABILITIES")]
pub const OID_QUERY_CAPABILITIES: u32 = 0x00A0_0204;

/// Version of the native interface declared here.
#[doc(alias = "XDP_DRIVER_API_MAJOR_VER")]
#[doc(alias = "XDP_DRIVER_API_MINOR_VER")]
#[doc(alias = "XDP_DRIVER_API_PATCH_VER")]
pub const DRIVER_API_VERSION: Version = Version {
    major: 0,
    minor: 10,
    patch: 0,
};

/// What a NIC driver says about itself; versions follow at the offset given.
#[doc(alias = "XDP_CAPABILITIES_EX")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct CapabilitiesEx {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Where the versions start.
    pub driver_api_versions_offset: u32,
    /// How many versions there are.
    pub driver_api_version_count: u32,
    /// Version of the kit the driver was built with.
    pub ddk_driver_api_version: Version,
    /// New for each registration.
    pub instance_id: Guid,
    /// Receive checksums are evaluated (beyond revision 1's size).
    pub rx_checksum_supported: Boolean,
    /// Received frames have time stamps (beyond revision 1's size).
    pub rx_timestamp_supported: Boolean,
    /// Sent frames have time stamps (beyond revision 1's size).
    pub tx_timestamp_supported: Boolean,
    /// Padding.
    pub padding: u8,
}

/// Revision of [`CapabilitiesEx`].
#[doc(alias = "XDP_CAPABILITIES_EX_REVISION_1")]
pub const CAPABILITIES_EX_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_CAPABILITIES_EX_REVISION_1")]
pub const SIZEOF_CAPABILITIES_EX_REVISION_1: usize =
    offset_of!(CapabilitiesEx, rx_checksum_supported);

/// Capabilities with exactly one version.
#[doc(alias = "XDP_CAPABILITIES")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Capabilities {
    /// The capabilities.
    pub capabilities_ex: CapabilitiesEx,
    /// The version.
    pub driver_api_version: Version,
}

opaque! {
    /// An interface's configuration object; starts with [`InterfaceConfigDetails`].
    #[doc(alias = "XDP_INTERFACE_CONFIG")]
    InterfaceConfig;
    /// An opened interface, of the NIC driver.
    #[doc(alias = "XDP_INTERFACE_HANDLE")]
    Interface;
    /// A registration of a NIC driver.
    #[doc(alias = "XDP_REGISTRATION_HANDLE")]
    Registration;
    /// XDP's receive queue; starts with a pointer to [`RxQueueDispatch`].
    #[doc(alias = "XDP_RX_QUEUE_HANDLE")]
    RxQueue;
    /// XDP's transmit queue; starts with a pointer to [`TxQueueDispatch`].
    #[doc(alias = "XDP_TX_QUEUE_HANDLE")]
    TxQueue;
}

/// The version that was negotiated.
#[doc(alias = "XDP_GET_DRIVER_API_VERSION")]
pub type GetDriverApiVersionFn = windows_fn!(fn(*mut InterfaceConfig) -> *const Version);

/// Functions of an interface's configuration object.
#[doc(alias = "XDP_INTERFACE_CONFIG_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterfaceConfigDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// The version that was negotiated.
    pub get_driver_api_version: Option<GetDriverApiVersionFn>,
}

/// Revision of [`InterfaceConfigDispatch`].
#[doc(alias = "XDP_INTERFACE_CONFIG_DISPATCH_REVISION_1")]
pub const INTERFACE_CONFIG_DISPATCH_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_INTERFACE_CONFIG_DISPATCH_REVISION_1")]
pub const SIZEOF_INTERFACE_CONFIG_DISPATCH_REVISION_1: usize = size_of::<InterfaceConfigDispatch>();

/// Start of an interface's configuration object.
#[doc(alias = "XDP_INTERFACE_CONFIG_DETAILS")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterfaceConfigDetails {
    /// Its functions.
    pub dispatch: *const InterfaceConfigDispatch,
}

open_flags! {
    /// What a NIC driver's queue is told.
    #[doc(alias = "XDP_NOTIFY_QUEUE_FLAGS")]
    pub struct NotifyQueueFlags: u32 {
        /// There is room for received frames.
        RX = 1, "XDP_NOTIFY_QUEUE_FLAG_RX";
        /// There are frames to send.
        TX = 2, "XDP_NOTIFY_QUEUE_FLAG_TX";
        /// Receiving is to be flushed.
        RX_FLUSH = 4, "XDP_NOTIFY_QUEUE_FLAG_RX_FLUSH";
        /// Sending is to be flushed.
        TX_FLUSH = 8, "XDP_NOTIFY_QUEUE_FLAG_TX_FLUSH";
    }
}

/// Tells a NIC driver's queue that there is work.
#[doc(alias = "XDP_INTERFACE_NOTIFY_QUEUE")]
pub type InterfaceNotifyQueueFn = windows_fn!(fn(*mut c_void, NotifyQueueFlags));

/// Functions of a NIC driver's receive queue.
#[doc(alias = "XDP_INTERFACE_RX_QUEUE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterfaceRxQueueDispatch {
    /// Tells the queue that there is work.
    pub interface_notify_queue: Option<InterfaceNotifyQueueFn>,
}

/// Functions of a NIC driver's transmit queue.
#[doc(alias = "XDP_INTERFACE_TX_QUEUE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterfaceTxQueueDispatch {
    /// Tells the queue that there is work.
    pub interface_notify_queue: Option<InterfaceNotifyQueueFn>,
}

/// XDP inspects the frames in the ring.
#[doc(alias = "XDP_RECEIVE")]
pub type ReceiveFn = windows_fn!(fn(*mut RxQueue));
/// XDP ends a batch of received frames.
#[doc(alias = "XDP_FLUSH_RECEIVE")]
pub type FlushReceiveFn = windows_fn!(fn(*mut RxQueue));
/// XDP ends a batch of sent frames.
#[doc(alias = "XDP_FLUSH_TRANSMIT")]
pub type FlushTransmitFn = windows_fn!(fn(*mut TxQueue));

/// Functions of XDP's receive queue.
#[doc(alias = "XDP_RX_QUEUE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RxQueueDispatch {
    /// Inspects the frames in the ring.
    pub receive: ReceiveFn,
    /// Ends a batch.
    pub flush_receive: FlushReceiveFn,
}

/// Functions of XDP's transmit queue.
#[doc(alias = "XDP_TX_QUEUE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TxQueueDispatch {
    /// Ends a batch.
    pub flush_transmit: FlushTransmitFn,
}

/// Opens the interface for its first queue.
#[doc(alias = "XDP_OPEN_INTERFACE")]
pub type OpenInterfaceFn = windows_fn!(fn(*mut c_void, *mut InterfaceConfig) -> NtStatus);
/// Closes the interface after its last queue.
#[doc(alias = "XDP_CLOSE_INTERFACE")]
pub type CloseInterfaceFn = windows_fn!(fn(*mut c_void));
/// Creates a receive queue.
#[doc(alias = "XDP_CREATE_RX_QUEUE")]
pub type CreateRxQueueFn = windows_fn!(
    fn(
        *mut c_void,
        *mut RxQueueConfigCreate,
        *mut *mut c_void,
        *mut *const InterfaceRxQueueDispatch,
    ) -> NtStatus
);
/// Activates a receive queue.
#[doc(alias = "XDP_ACTIVATE_RX_QUEUE")]
pub type ActivateRxQueueFn =
    windows_fn!(fn(*mut c_void, *mut RxQueue, *mut RxQueueConfigActivate) -> NtStatus);
/// Deletes a receive queue.
#[doc(alias = "XDP_DELETE_RX_QUEUE")]
pub type DeleteRxQueueFn = windows_fn!(fn(*mut c_void));
/// Creates a transmit queue.
#[doc(alias = "XDP_CREATE_TX_QUEUE")]
pub type CreateTxQueueFn = windows_fn!(
    fn(
        *mut c_void,
        *mut TxQueueConfigCreate,
        *mut *mut c_void,
        *mut *const InterfaceTxQueueDispatch,
    ) -> NtStatus
);
/// Activates a transmit queue.
#[doc(alias = "XDP_ACTIVATE_TX_QUEUE")]
pub type ActivateTxQueueFn =
    windows_fn!(fn(*mut c_void, *mut TxQueue, *mut TxQueueConfigActivate) -> NtStatus);
/// Deletes a transmit queue.
#[doc(alias = "XDP_DELETE_TX_QUEUE")]
pub type DeleteTxQueueFn = windows_fn!(fn(*mut c_void));

/// Functions of a NIC driver's interface.
#[doc(alias = "XDP_INTERFACE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct InterfaceDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Opens the interface; may be absent.
    pub open_interface: Option<OpenInterfaceFn>,
    /// Closes the interface; may be absent.
    pub close_interface: Option<CloseInterfaceFn>,
    /// Creates a receive queue.
    pub create_rx_queue: Option<CreateRxQueueFn>,
    /// Activates a receive queue.
    pub activate_rx_queue: Option<ActivateRxQueueFn>,
    /// Deletes a receive queue.
    pub delete_rx_queue: Option<DeleteRxQueueFn>,
    /// Creates a transmit queue.
    pub create_tx_queue: Option<CreateTxQueueFn>,
    /// Activates a transmit queue.
    pub activate_tx_queue: Option<ActivateTxQueueFn>,
    /// Deletes a transmit queue.
    pub delete_tx_queue: Option<DeleteTxQueueFn>,
}

/// Revision of [`InterfaceDispatch`].
#[doc(alias = "XDP_INTERFACE_DISPATCH_REVISION_1")]
pub const INTERFACE_DISPATCH_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_INTERFACE_DISPATCH_REVISION_1")]
pub const SIZEOF_INTERFACE_DISPATCH_REVISION_1: usize = size_of::<InterfaceDispatch>();

/// Asks a NIC driver for its functions in a version: version, the driver's context, and where the interface's
/// context and functions go.
#[doc(alias = "XDP_GET_INTERFACE_DISPATCH")]
pub type GetInterfaceDispatchFn = windows_fn!(
    fn(*const Version, *const c_void, *mut *mut c_void, *mut *const InterfaceDispatch) -> NtStatus
);

/// What a NIC driver hands over when XDP attaches to it.
#[doc(alias = "XDP_NPI_CLIENT")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NpiClient {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Context for the next function.
    pub get_interface_context: *const c_void,
    /// Gives the functions of the interface.
    pub get_interface_dispatch: Option<GetInterfaceDispatchFn>,
}

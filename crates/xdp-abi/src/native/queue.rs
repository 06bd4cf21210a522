//! Configuration objects of a NIC driver's queues.

use super::descriptor::Ring;
use super::{Boolean, opaque};
use crate::macros::{open_enum, windows_fn};
use crate::object::ObjectHeader;
use core::ffi::c_void;
use core::mem::offset_of;

opaque! {
    /// A device object.
    #[doc(alias = "DEVICE_OBJECT")]
    DeviceObject;
    /// A receive queue's configuration while it is created; starts with [`RxQueueConfigCreateDetails`].
    #[doc(alias = "XDP_RX_QUEUE_CONFIG_CREATE")]
    RxQueueConfigCreate;
    /// A receive queue's configuration while it is activated; starts with [`RxQueueConfigActivateDetails`].
    #[doc(alias = "XDP_RX_QUEUE_CONFIG_ACTIVATE")]
    RxQueueConfigActivate;
    /// A transmit queue's configuration while it is created; starts with [`TxQueueConfigCreateDetails`].
    #[doc(alias = "XDP_TX_QUEUE_CONFIG_CREATE")]
    TxQueueConfigCreate;
    /// A transmit queue's configuration while it is activated; starts with [`TxQueueConfigActivateDetails`].
    #[doc(alias = "XDP_TX_QUEUE_CONFIG_ACTIVATE")]
    TxQueueConfigActivate;
}

open_enum! {
    /// Kind of queue.
    #[doc(alias = "XDP_QUEUE_TYPE")]
    pub struct QueueType: u32 {
        /// A queue of the interface's default RSS configuration.
        DEFAULT_RSS = 0, "XDP_QUEUE_TYPE_DEFAULT_RSS";
    }
}

/// Which queue is created.
#[doc(alias = "XDP_QUEUE_INFO")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct QueueInfo {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Kind.
    pub queue_type: QueueType,
    /// Number.
    pub queue_id: u32,
}

/// Revision of [`QueueInfo`].
#[doc(alias = "XDP_QUEUE_INFO_REVISION_1")]
pub const QUEUE_INFO_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_QUEUE_INFO_REVISION_1")]
pub const SIZEOF_QUEUE_INFO_REVISION_1: usize = size_of::<QueueInfo>();

open_enum! {
    /// What an extension extends.
    #[doc(alias = "XDP_EXTENSION_TYPE")]
    pub struct ExtensionType: u32 {
        /// Frames.
        FRAME = 0, "XDP_EXTENSION_TYPE_FRAME";
        /// Buffers.
        BUFFER = 1, "XDP_EXTENSION_TYPE_BUFFER";
        /// Completions.
        TX_FRAME_COMPLETION = 2, "XDP_EXTENSION_TYPE_TX_FRAME_COMPLETION";
    }
}

/// Names an extension.
#[doc(alias = "XDP_EXTENSION_INFO")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ExtensionInfo {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Its name, in UTF-16 with a terminating zero.
    pub extension_name: *const u16,
    /// Version of its structure.
    pub extension_version: u32,
    /// What it extends.
    pub extension_type: ExtensionType,
}

/// Revision of [`ExtensionInfo`].
#[doc(alias = "XDP_EXTENSION_INFO_REVISION_1")]
pub const EXTENSION_INFO_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_EXTENSION_INFO_REVISION_1")]
pub const SIZEOF_EXTENSION_INFO_REVISION_1: usize = size_of::<ExtensionInfo>();

/// Where an extension is in its descriptor.
#[doc(alias = "XDP_EXTENSION")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ExtensionOffset {
    /// The offset; opaque to the NIC driver.
    pub reserved: u16,
}

/// What a NIC driver's receive queue can do.
#[doc(alias = "XDP_RX_CAPABILITIES")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct RxCapabilities {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Must be true.
    pub virtual_address_supported: Boolean,
    /// Frames a batch usually has.
    pub receive_frame_count_hint: u16,
    /// Buffers a frame may have besides the first.
    pub maximum_fragments: u8,
    /// Whether received frames can be sent back.
    pub tx_action_supported: Boolean,
}

/// Revision of [`RxCapabilities`].
#[doc(alias = "XDP_RX_CAPABILITIES_REVISION_1")]
pub const RX_CAPABILITIES_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_RX_CAPABILITIES_REVISION_1")]
pub const SIZEOF_RX_CAPABILITIES_REVISION_1: usize =
    offset_of!(RxCapabilities, tx_action_supported) + 1;

/// How a NIC driver reaches memory by DMA.
#[doc(alias = "XDP_DMA_CAPABILITIES")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DmaCapabilities {
    /// Bytes of this structure.
    pub size: u32,
    /// Device that does the transfers.
    pub physical_device_object: *mut DeviceObject,
}

/// What a NIC driver's transmit queue can do.
#[doc(alias = "XDP_TX_CAPABILITIES")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TxCapabilities {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Buffers may have kernel addresses.
    pub virtual_address_enabled: Boolean,
    /// Buffers may have MDLs.
    pub mdl_enabled: Boolean,
    /// Buffers may have addresses for DMA, if not null.
    pub dma_capabilities: *const DmaCapabilities,
    /// Frames a batch usually has.
    pub transmit_frame_count_hint: u16,
    /// Largest buffer.
    pub maximum_buffer_size: u32,
    /// Largest frame.
    pub maximum_frame_size: u32,
    /// Buffers a frame may have besides the first.
    pub maximum_fragments: u8,
    /// Whether frames complete in any order, through a completion ring.
    pub out_of_order_completion_enabled: Boolean,
    /// Whether checksums can be computed (beyond revision 1's size).
    pub checksum_offload: Boolean,
}

/// Revision of [`TxCapabilities`].
#[doc(alias = "XDP_TX_CAPABILITIES_REVISION_1")]
pub const TX_CAPABILITIES_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_TX_CAPABILITIES_REVISION_1")]
pub const SIZEOF_TX_CAPABILITIES_REVISION_1: usize = offset_of!(TxCapabilities, checksum_offload);

/// Bytes of each descriptor that belong to the NIC driver; the same structure serves both directions.
#[doc(alias = "XDP_RX_DESCRIPTOR_CONTEXTS")]
#[doc(alias = "XDP_TX_DESCRIPTOR_CONTEXTS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct DescriptorContexts {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Bytes of a frame.
    pub frame_context_size: u8,
    /// Their alignment.
    pub frame_context_alignment: u8,
    /// Bytes of a buffer.
    pub buffer_context_size: u8,
    /// Their alignment.
    pub buffer_context_alignment: u8,
}

/// Revision of [`DescriptorContexts`].
#[doc(alias = "XDP_RX_DESCRIPTOR_CONTEXTS_REVISION_1")]
#[doc(alias = "XDP_TX_DESCRIPTOR_CONTEXTS_REVISION_1")]
pub const DESCRIPTOR_CONTEXTS_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_RX_DESCRIPTOR_CONTEXTS_REVISION_1")]
#[doc(alias = "XDP_SIZEOF_TX_DESCRIPTOR_CONTEXTS_REVISION_1")]
pub const SIZEOF_DESCRIPTOR_CONTEXTS_REVISION_1: usize = size_of::<DescriptorContexts>();

/// Which NDIS poll object drives a queue.
#[doc(alias = "XDP_POLL_INFO")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PollInfo {
    /// Revision and size.
    pub header: ObjectHeader,
    /// Handle of the poll object.
    pub poll_handle: *mut c_void,
    /// Whether other queues use it too.
    pub shared: Boolean,
}

/// Revision of [`PollInfo`].
#[doc(alias = "XDP_POLL_INFO_REVISION_1")]
pub const POLL_INFO_REVISION_1: u32 = 1;
/// Bytes of revision 1.
#[doc(alias = "XDP_SIZEOF_POLL_INFO_REVISION_1")]
pub const SIZEOF_POLL_INFO_REVISION_1: usize = offset_of!(PollInfo, shared) + 1;

/// Result of polling for sent frames.
#[doc(alias = "XDP_POLL_TRANSMIT_DATA")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PollTransmitData {
    /// Frames completed.
    pub frames_completed: u32,
    /// Frames taken for sending.
    pub frames_transmitted: u32,
}

/// Result of polling for received frames.
#[doc(alias = "XDP_POLL_RECEIVE_DATA")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PollReceiveData {
    /// Frames that XDP kept.
    pub frames_absorbed: u32,
}

/// Result of polling.
#[doc(alias = "XDP_POLL_DATA")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct PollData {
    /// Of sent frames.
    pub transmit: PollTransmitData,
    /// Of received frames.
    pub receive: PollReceiveData,
}

/// Asks NDIS to call a poll handler soon: the poll object's handle, and null.
#[doc(alias = "XDP_NDIS_REQUEST_POLL")]
pub type NdisRequestPollFn = windows_fn!(fn(*mut c_void, *mut c_void));

/// Declares the function types of one direction's configuration objects.
macro_rules! config_fns {
    ($($name:ident $c_name:literal = $type:ty;)+) => {
        $(
            #[doc = concat!("Member of a dispatch table (`", $c_name, "`).")]
            #[doc(alias = $c_name)]
            pub type $name = $type;
        )+
    };
}

config_fns! {
    RxQueueGetTargetQueueInfoFn "XDP_RX_QUEUE_GET_TARGET_QUEUE_INFO" =
        windows_fn!(fn(*mut RxQueueConfigCreate) -> *const QueueInfo);
    RxQueueCreateIsEnabledFn "XDP_RX_QUEUE_CREATE_IS_ENABLED" =
        windows_fn!(fn(*mut RxQueueConfigCreate) -> Boolean);
    RxQueueRegisterExtensionVersionFn "XDP_RX_QUEUE_REGISTER_EXTENSION_VERSION" =
        windows_fn!(fn(*mut RxQueueConfigCreate, *const ExtensionInfo));
    RxQueueSetCapabilitiesFn "XDP_RX_QUEUE_SET_CAPABILITIES" =
        windows_fn!(fn(*mut RxQueueConfigCreate, *const RxCapabilities));
    RxQueueSetDescriptorContextsFn "XDP_RX_QUEUE_SET_DESCRIPTOR_CONTEXTS" =
        windows_fn!(fn(*mut RxQueueConfigCreate, *const DescriptorContexts));
    RxQueueSetPollInfoFn "XDP_RX_QUEUE_SET_POLL_INFO" =
        windows_fn!(fn(*mut RxQueueConfigCreate, *const PollInfo));
    RxQueueGetExtensionFn "XDP_RX_QUEUE_GET_EXTENSION" =
        windows_fn!(fn(*mut RxQueueConfigActivate, *const ExtensionInfo, *mut ExtensionOffset));
    RxQueueGetRingFn "XDP_RX_QUEUE_GET_RING" =
        windows_fn!(fn(*mut RxQueueConfigActivate) -> *mut Ring);
    RxQueueActivateIsEnabledFn "XDP_RX_QUEUE_ACTIVATE_IS_ENABLED" =
        windows_fn!(fn(*mut RxQueueConfigActivate) -> Boolean);
}

config_fns! {
    TxQueueGetTargetQueueInfoFn "XDP_TX_QUEUE_GET_TARGET_QUEUE_INFO" =
        windows_fn!(fn(*mut TxQueueConfigCreate) -> *const QueueInfo);
    TxQueueCreateIsEnabledFn "XDP_TX_QUEUE_CREATE_IS_ENABLED" =
        windows_fn!(fn(*mut TxQueueConfigCreate) -> Boolean);
    TxQueueRegisterExtensionVersionFn "XDP_TX_QUEUE_REGISTER_EXTENSION_VERSION" =
        windows_fn!(fn(*mut TxQueueConfigCreate, *const ExtensionInfo));
    TxQueueSetCapabilitiesFn "XDP_TX_QUEUE_SET_CAPABILITIES" =
        windows_fn!(fn(*mut TxQueueConfigCreate, *const TxCapabilities));
    TxQueueSetDescriptorContextsFn "XDP_TX_QUEUE_SET_DESCRIPTOR_CONTEXTS" =
        windows_fn!(fn(*mut TxQueueConfigCreate, *const DescriptorContexts));
    TxQueueSetPollInfoFn "XDP_TX_QUEUE_SET_POLL_INFO" =
        windows_fn!(fn(*mut TxQueueConfigCreate, *const PollInfo));
    TxQueueGetExtensionFn "XDP_TX_QUEUE_GET_EXTENSION" =
        windows_fn!(fn(*mut TxQueueConfigActivate, *const ExtensionInfo, *mut ExtensionOffset));
    TxQueueGetRingFn "XDP_TX_QUEUE_GET_RING" =
        windows_fn!(fn(*mut TxQueueConfigActivate) -> *mut Ring);
    TxQueueActivateIsEnabledFn "XDP_TX_QUEUE_ACTIVATE_IS_ENABLED" =
        windows_fn!(fn(*mut TxQueueConfigActivate) -> Boolean);
}

/// Functions of a receive queue's configuration while it is created.
#[doc(alias = "XDP_RX_QUEUE_CONFIG_CREATE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RxQueueConfigCreateDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// For XDP.
    pub reserved: *const c_void,
    /// Which queue is created.
    pub get_target_queue_info: RxQueueGetTargetQueueInfoFn,
    /// The driver knows an extension.
    pub register_extension_version: RxQueueRegisterExtensionVersionFn,
    /// What the queue can do; called exactly once.
    pub set_rx_queue_capabilities: RxQueueSetCapabilitiesFn,
    /// Bytes of each descriptor that belong to the driver.
    pub set_rx_descriptor_contexts: RxQueueSetDescriptorContextsFn,
    /// Which NDIS poll object drives the queue.
    pub set_poll_info: RxQueueSetPollInfoFn,
}

/// Functions of a transmit queue's configuration while it is created.
#[doc(alias = "XDP_TX_QUEUE_CONFIG_CREATE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TxQueueConfigCreateDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// For XDP.
    pub reserved: *const c_void,
    /// Which queue is created.
    pub get_target_queue_info: TxQueueGetTargetQueueInfoFn,
    /// The driver knows an extension.
    pub register_extension_version: TxQueueRegisterExtensionVersionFn,
    /// What the queue can do; called exactly once.
    pub set_tx_queue_capabilities: TxQueueSetCapabilitiesFn,
    /// Bytes of each descriptor that belong to the driver.
    pub set_tx_descriptor_contexts: TxQueueSetDescriptorContextsFn,
    /// Which NDIS poll object drives the queue.
    pub set_poll_info: TxQueueSetPollInfoFn,
}

/// Functions of a receive queue's configuration while it is activated.
#[doc(alias = "XDP_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RxQueueConfigActivateDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// For XDP.
    pub reserved: *const c_void,
    /// Ring of frames.
    pub get_frame_ring: RxQueueGetRingFn,
    /// Ring of further buffers, or null.
    pub get_fragment_ring: RxQueueGetRingFn,
    /// Where an extension is.
    pub get_extension: RxQueueGetExtensionFn,
    /// Whether buffers have kernel addresses.
    pub is_virtual_address_enabled: RxQueueActivateIsEnabledFn,
    /// Whether checksums are evaluated (beyond revision 1's size).
    pub is_checksum_offload_enabled: RxQueueActivateIsEnabledFn,
}

/// Functions of a transmit queue's configuration while it is activated.
#[doc(alias = "XDP_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TxQueueConfigActivateDispatch {
    /// Revision and size.
    pub header: ObjectHeader,
    /// For XDP.
    pub reserved: *const c_void,
    /// Ring of frames.
    pub get_frame_ring: TxQueueGetRingFn,
    /// Ring of further buffers, or null.
    pub get_fragment_ring: TxQueueGetRingFn,
    /// Ring of completions, or null.
    pub get_completion_ring: TxQueueGetRingFn,
    /// Where an extension is.
    pub get_extension: TxQueueGetExtensionFn,
    /// Whether completions carry a value back.
    pub is_tx_completion_context_enabled: TxQueueActivateIsEnabledFn,
    /// Whether frames have further buffers.
    pub is_fragmentation_enabled: TxQueueActivateIsEnabledFn,
    /// Whether frames complete in any order.
    pub is_out_of_order_completion_enabled: TxQueueActivateIsEnabledFn,
    /// Whether checksums are computed (beyond revision 1's size).
    pub is_checksum_offload_enabled: TxQueueActivateIsEnabledFn,
}

/// Declares revision and size of a dispatch table, and the start of the object it belongs to.
macro_rules! config_objects {
    ($(
        $details:ident $details_c:literal, $dispatch:ident,
        $revision:ident $revision_c:literal, $size:ident $size_c:literal = $bytes:expr;
    )+) => {$(
        #[doc = concat!("Revision of [`", stringify!($dispatch), "`].")]
        #[doc(alias = $revision_c)]
        pub const $revision: u32 = 1;
        #[doc = "Bytes of revision 1."]
        #[doc(alias = $size_c)]
        pub const $size: usize = $bytes;

        #[doc = concat!("Start of the object with [`", stringify!($dispatch), "`].")]
        #[doc(alias = $details_c)]
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $details {
            /// Its functions.
            pub dispatch: *const $dispatch,
        }
    )+};
}

config_objects! {
    RxQueueConfigCreateDetails "XDP_RX_QUEUE_CONFIG_CREATE_DETAILS", RxQueueConfigCreateDispatch,
    RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 "XDP_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
    SIZEOF_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 "XDP_SIZEOF_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1" =
        size_of::<RxQueueConfigCreateDispatch>();
    RxQueueConfigActivateDetails "XDP_RX_QUEUE_CONFIG_ACTIVATE_DETAILS", RxQueueConfigActivateDispatch,
    RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 "XDP_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
    SIZEOF_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 "XDP_SIZEOF_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1" =
        offset_of!(RxQueueConfigActivateDispatch, is_checksum_offload_enabled);
    TxQueueConfigCreateDetails "XDP_TX_QUEUE_CONFIG_CREATE_DETAILS", TxQueueConfigCreateDispatch,
    TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 "XDP_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
    SIZEOF_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 "XDP_SIZEOF_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1" =
        size_of::<TxQueueConfigCreateDispatch>();
    TxQueueConfigActivateDetails "XDP_TX_QUEUE_CONFIG_ACTIVATE_DETAILS", TxQueueConfigActivateDispatch,
    TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 "XDP_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
    SIZEOF_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 "XDP_SIZEOF_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1" =
        offset_of!(TxQueueConfigActivateDispatch, is_checksum_offload_enabled);
}

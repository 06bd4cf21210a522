//! The native NIC driver interface: how `xdp.sys` and a NIC driver find each other and share queues.
//!
//! Kernel only. Pointers are real pointers here: both sides run in one address space and trust each other.

pub mod descriptor;
pub mod interface;
pub mod ndis_poll;
pub mod npi;
pub mod queue;

pub use descriptor::{
    Buffer, BufferLogicalAddress, BufferMdl, BufferVirtualAddress, Frame, FrameFragment,
    FrameRxAction, Ring, RxAction, TxFrameCompletion, TxFrameCompletionContext,
};
pub use interface::{
    Capabilities, CapabilitiesEx, InterfaceConfigDetails, InterfaceConfigDispatch,
    InterfaceDispatch, InterfaceRxQueueDispatch, InterfaceTxQueueDispatch, NotifyQueueFlags,
    NpiClient, RxQueueDispatch, TxQueueDispatch,
};
pub use queue::{
    DescriptorContexts, DmaCapabilities, ExtensionInfo, ExtensionOffset, ExtensionType, PollInfo,
    QueueInfo, QueueType, RxCapabilities, RxQueueConfigActivateDetails,
    RxQueueConfigActivateDispatch, RxQueueConfigCreateDetails, RxQueueConfigCreateDispatch,
    TxCapabilities, TxQueueConfigActivateDetails, TxQueueConfigActivateDispatch,
    TxQueueConfigCreateDetails, TxQueueConfigCreateDispatch,
};

/// A `BOOLEAN`: 0 is false, anything else true.
pub type Boolean = u8;

/// Declares structures only ever seen behind a pointer.
macro_rules! opaque {
    ($($(#[$meta:meta])* $name:ident;)+) => {
        $($(#[$meta])*
        #[derive(Debug)]
        #[repr(C)]
        pub struct $name {
            opaque: [u8; 0],
            not_send: core::marker::PhantomData<*mut u8>,
        })+
    };
}
pub(crate) use opaque;

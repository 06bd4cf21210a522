//! Sockets: binding, activating, notifying, frame memory and statistics.

use crate::macros::{open_enum, open_flags};
use crate::object::ClientPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A wait that ends only when something happens.
#[doc(alias = "XDP_INFINITE")]
pub const INFINITE: u32 = u32::MAX;

open_flags! {
    /// Directions and modes of a bind.
    #[doc(alias = "XSK_BIND_FLAGS")]
    pub struct BindFlags: u32 {
        /// Receive.
        RX = 1, "XSK_BIND_FLAG_RX";
        /// Transmit.
        TX = 2, "XSK_BIND_FLAG_TX";
        /// Only in generic mode.
        GENERIC = 4, "XSK_BIND_FLAG_GENERIC";
        /// Only in native mode.
        NATIVE = 8, "XSK_BIND_FLAG_NATIVE";
    }
}

/// Input of `IOCTL_XSK_BIND`.
#[doc(alias = "XSK_BIND_IN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BindIn {
    /// Interface.
    pub if_index: u32,
    /// Queue.
    pub queue_id: u32,
    /// Directions and mode.
    pub flags: BindFlags,
}

/// Flags of an activation: none is defined.
#[doc(alias = "XSK_ACTIVATE_FLAGS")]
#[doc(alias = "XSK_ACTIVATE_FLAG_NONE")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct ActivateFlags(pub u32);

/// Input of `IOCTL_XSK_ACTIVATE`.
#[doc(alias = "XSK_ACTIVATE_IN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ActivateIn {
    /// Must be 0.
    pub flags: ActivateFlags,
}

open_flags! {
    /// What a notification asks for.
    #[doc(alias = "XSK_NOTIFY_FLAGS")]
    pub struct NotifyFlags: u32 {
        /// Look at the fill ring.
        POKE_RX = 1, "XSK_NOTIFY_FLAG_POKE_RX";
        /// Look at the transmit ring.
        POKE_TX = 2, "XSK_NOTIFY_FLAG_POKE_TX";
        /// Wait until the receive ring has an entry.
        WAIT_RX = 4, "XSK_NOTIFY_FLAG_WAIT_RX";
        /// Wait until the completion ring has an entry.
        WAIT_TX = 8, "XSK_NOTIFY_FLAG_WAIT_TX";
    }
}

open_flags! {
    /// What a notification found.
    #[doc(alias = "XSK_NOTIFY_RESULT_FLAGS")]
    pub struct NotifyResultFlags: u32 {
        /// The receive ring has an entry.
        RX_AVAILABLE = 1, "XSK_NOTIFY_RESULT_FLAG_RX_AVAILABLE";
        /// The completion ring has an entry.
        TX_COMP_AVAILABLE = 2, "XSK_NOTIFY_RESULT_FLAG_TX_COMP_AVAILABLE";
    }
}

/// Input of `IOCTL_XSK_NOTIFY` and `IOCTL_XSK_NOTIFY_ASYNC`.
#[doc(alias = "XSK_NOTIFY_IN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NotifyIn {
    /// What to do.
    pub flags: NotifyFlags,
    /// How long to wait, in milliseconds; [`INFINITE`] without end.
    pub wait_timeout_milliseconds: u32,
}

open_enum! {
    /// Error of a ring; the first one sticks.
    #[doc(alias = "XSK_ERROR")]
    pub struct XskError: u32 {
        /// None.
        NO_ERROR = 0, "XSK_NO_ERROR";
        /// The interface went away.
        INTERFACE_DETACH = 0x8000_0000, "XSK_ERROR_INTERFACE_DETACH";
        /// The application broke the ring.
        INVALID_RING = 0xC000_0000, "XSK_ERROR_INVALID_RING";
    }
}

open_enum! {
    /// Who polls the network card.
    #[doc(alias = "XSK_POLL_MODE")]
    pub struct PollMode: u32 {
        /// Interrupts and pokes.
        DEFAULT = 0, "XSK_POLL_MODE_DEFAULT";
        /// A kernel thread, all the time.
        BUSY = 1, "XSK_POLL_MODE_BUSY";
        /// Each poke and each wait.
        SOCKET = 2, "XSK_POLL_MODE_SOCKET";
    }
}

/// Registration of frame memory.
#[doc(alias = "XSK_UMEM_REG")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct UmemReg {
    /// Bytes of the memory.
    pub total_size: u64,
    /// Bytes of one chunk.
    pub chunk_size: u32,
    /// Bytes left free at the start of a chunk that receives a frame.
    pub headroom: u32,
    /// Address of the memory.
    pub address: ClientPtr,
}

/// Counters of a socket.
#[doc(alias = "XSK_STATISTICS")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Statistics {
    /// Frames meant for the socket and not delivered.
    pub rx_dropped: u64,
    /// Frames delivered but cut.
    pub rx_truncated: u64,
    /// Fill entries out of range.
    pub rx_invalid_descriptors: u64,
    /// Transmit entries refused.
    pub tx_invalid_descriptors: u64,
}

/// Processor the driver last worked on for a socket.
#[doc(alias = "PROCESSOR_NUMBER")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ProcessorNumber {
    /// Processor group.
    pub group: u16,
    /// Number in the group.
    pub number: u8,
    /// Zero.
    pub reserved: u8,
}

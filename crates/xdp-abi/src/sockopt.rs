//! Socket options.

use crate::macros::open_enum;
use crate::object::ClientPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// Number of a socket option.
    pub struct Sockopt: u32 {
        /// Set: register frame memory.
        UMEM_REG = 1, "XSK_SOCKOPT_UMEM_REG";
        /// Set: elements of the receive ring.
        RX_RING_SIZE = 2, "XSK_SOCKOPT_RX_RING_SIZE";
        /// Set: elements of the fill ring.
        RX_FILL_RING_SIZE = 3, "XSK_SOCKOPT_RX_FILL_RING_SIZE";
        /// Set: elements of the transmit ring.
        TX_RING_SIZE = 4, "XSK_SOCKOPT_TX_RING_SIZE";
        /// Set: elements of the completion ring.
        TX_COMPLETION_RING_SIZE = 5, "XSK_SOCKOPT_TX_COMPLETION_RING_SIZE";
        /// Get: where the rings are.
        RING_INFO = 6, "XSK_SOCKOPT_RING_INFO";
        /// Get: counters.
        STATISTICS = 7, "XSK_SOCKOPT_STATISTICS";
        /// Get and set: hook of the receive side.
        RX_HOOK_ID = 8, "XSK_SOCKOPT_RX_HOOK_ID";
        /// Get and set: hook of the transmit side.
        TX_HOOK_ID = 9, "XSK_SOCKOPT_TX_HOOK_ID";
        /// Get: error of the receive ring.
        RX_ERROR = 10, "XSK_SOCKOPT_RX_ERROR";
        /// Get: error of the fill ring.
        RX_FILL_ERROR = 11, "XSK_SOCKOPT_RX_FILL_ERROR";
        /// Get: error of the transmit ring.
        TX_ERROR = 12, "XSK_SOCKOPT_TX_ERROR";
        /// Get: error of the completion ring.
        TX_COMPLETION_ERROR = 13, "XSK_SOCKOPT_TX_COMPLETION_ERROR";
        /// Get: processor of the receive side; set: whether it is followed.
        RX_PROCESSOR_AFFINITY = 14, "XSK_SOCKOPT_RX_PROCESSOR_AFFINITY";
        /// Get: processor of the transmit side; set: whether it is followed.
        TX_PROCESSOR_AFFINITY = 15, "XSK_SOCKOPT_TX_PROCESSOR_AFFINITY";
        /// Set: who polls.
        POLL_MODE = 1000, "XSK_SOCKOPT_POLL_MODE";
        /// Get: offset of the layout in a transmit element.
        TX_FRAME_LAYOUT_EXTENSION = 1001, "XSK_SOCKOPT_TX_FRAME_LAYOUT_EXTENSION";
        /// Get: offset of the checksum in a transmit element.
        TX_FRAME_CHECKSUM_EXTENSION = 1002, "XSK_SOCKOPT_TX_FRAME_CHECKSUM_EXTENSION";
        /// Set: enable checksum offload for sending.
        TX_OFFLOAD_CHECKSUM = 1003, "XSK_SOCKOPT_TX_OFFLOAD_CHECKSUM";
        /// Get: current checksum configuration for sending.
        TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM = 1004, "XSK_SOCKOPT_TX_OFFLOAD_CURRENT_CONFIG_CHECKSUM";
        /// Get: offset of the checksum in a receive element.
        RX_FRAME_CHECKSUM_EXTENSION = 1005, "XSK_SOCKOPT_RX_FRAME_CHECKSUM_EXTENSION";
        /// Get: offset of the layout in a receive element.
        RX_FRAME_LAYOUT_EXTENSION = 1006, "XSK_SOCKOPT_RX_FRAME_LAYOUT_EXTENSION";
        /// Set: enable checksum offload for receiving.
        RX_OFFLOAD_CHECKSUM = 1007, "XSK_SOCKOPT_RX_OFFLOAD_CHECKSUM";
        /// Set: enable the length of frames before they were cut.
        RX_ORIGINAL_LENGTH = 1008, "XSK_SOCKOPT_RX_ORIGINAL_LENGTH";
        /// Get: offset of that length in a receive element.
        RX_FRAME_ORIGINAL_LENGTH_EXTENSION = 1009, "XSK_SOCKOPT_RX_FRAME_ORIGINAL_LENGTH_EXTENSION";
        /// Get: current checksum configuration for receiving.
        RX_OFFLOAD_CURRENT_CONFIG_CHECKSUM = 1010, "XSK_SOCKOPT_RX_OFFLOAD_CURRENT_CONFIG_CHECKSUM";
        /// Set: enable time stamps of received frames.
        RX_OFFLOAD_TIMESTAMP = 1011, "XSK_SOCKOPT_RX_OFFLOAD_TIMESTAMP";
        /// Get: offset of the time stamp in a receive element.
        RX_FRAME_TIMESTAMP_EXTENSION = 1012, "XSK_SOCKOPT_RX_FRAME_TIMESTAMP_EXTENSION";
        /// Set: enable time stamps of sent frames.
        TX_OFFLOAD_TIMESTAMP = 1013, "XSK_SOCKOPT_TX_OFFLOAD_TIMESTAMP";
        /// Get: offset of the time stamp in a completion element.
        TX_FRAME_TIMESTAMP_EXTENSION = 1014, "XSK_SOCKOPT_TX_FRAME_TIMESTAMP_EXTENSION";
    }
}

/// Input of `IOCTL_XSK_SET_SOCKOPT`: the value is in a second buffer.
#[doc(alias = "XSK_SET_SOCKOPT_IN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SetSockoptIn {
    /// Which option.
    pub option: Sockopt,
    /// Bytes of the value.
    pub input_buffer_length: u32,
    /// Address of the value.
    pub input_buffer: ClientPtr,
}

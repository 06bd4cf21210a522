//! Extensions: optional parts of a descriptor, known by name.

/// An extension that can be part of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: &'static str,
    /// Version of its structure.
    pub version: u32,
    /// Bytes of its structure; 0 where the NIC driver decides.
    pub size: u16,
    /// Alignment of its structure; the NIC driver may ask for more where it decides the size.
    pub align: u16,
}

/// Buffer count of a frame of several buffers.
#[doc(alias = "XDP_FRAME_EXTENSION_FRAGMENT_NAME")]
pub const FRAME_FRAGMENT: Extension = extension("ms_frame_fragment", 1, 1);
/// What XDP decided about a received frame.
#[doc(alias = "XDP_FRAME_EXTENSION_RX_ACTION_NAME")]
pub const FRAME_RX_ACTION: Extension = extension("ms_frame_rx_action", 1, 1);
/// Bytes of a frame that belong to the NIC driver.
#[doc(alias = "XDP_FRAME_EXTENSION_INTERFACE_CONTEXT_NAME")]
pub const FRAME_INTERFACE_CONTEXT: Extension = extension("ms_frame_interface_context", 0, 1);
/// Kinds and lengths of a frame's headers.
#[doc(alias = "XDP_FRAME_EXTENSION_LAYOUT_NAME")]
pub const FRAME_LAYOUT: Extension = extension("ms_frame_layout", 5, 1);
/// State or wish about a frame's checksums.
#[doc(alias = "XDP_FRAME_EXTENSION_CHECKSUM_NAME")]
pub const FRAME_CHECKSUM: Extension = extension("ms_frame_checksum", 1, 1);
/// When a frame arrived or left.
#[doc(alias = "XDP_FRAME_EXTENSION_TIMESTAMP_NAME")]
pub const FRAME_TIMESTAMP: Extension = extension("ms_frame_timestamp", 8, 8);
/// Length of a frame before it was cut (sockets only).
#[doc(alias = "XSK_FRAME_EXTENSION_ORIGINAL_LENGTH_NAME")]
pub const FRAME_ORIGINAL_LENGTH: Extension = extension("ms_xsk_frame_original_length", 4, 4);
/// Value that comes back with a frame's completion.
#[doc(alias = "XDP_TX_FRAME_COMPLETION_CONTEXT_EXTENSION_NAME")]
pub const TX_FRAME_COMPLETION_CONTEXT: Extension =
    extension("ms_tx_frame_completion_context", 8, 8);
/// Kernel address of a buffer.
#[doc(alias = "XDP_BUFFER_EXTENSION_VIRTUAL_ADDRESS_NAME")]
pub const BUFFER_VIRTUAL_ADDRESS: Extension = extension("ms_buffer_virtual_address", 8, 8);
/// Address of a buffer as the network card sees it.
#[doc(alias = "XDP_BUFFER_EXTENSION_LOGICAL_ADDRESS_NAME")]
pub const BUFFER_LOGICAL_ADDRESS: Extension = extension("ms_buffer_logical_address", 8, 8);
/// MDL of a buffer.
#[doc(alias = "XDP_BUFFER_EXTENSION_MDL_NAME")]
pub const BUFFER_MDL: Extension = extension("ms_buffer_mdl", 16, 8);
/// Bytes of a buffer that belong to the NIC driver.
#[doc(alias = "XDP_BUFFER_EXTENSION_INTERFACE_CONTEXT_NAME")]
pub const BUFFER_INTERFACE_CONTEXT: Extension = extension("ms_buffer_interface_context", 0, 1);

const fn extension(name: &'static str, size: u16, align: u16) -> Extension {
    Extension {
        name,
        version: 1,
        size,
        align,
    }
}

/// Extensions each descriptor of the native interface may have, in the order of registration.
pub mod native {
    use super::*;

    /// Frames received.
    pub const RX_FRAME: &[Extension] = &[
        FRAME_FRAGMENT,
        FRAME_RX_ACTION,
        FRAME_INTERFACE_CONTEXT,
        FRAME_LAYOUT,
        FRAME_CHECKSUM,
        FRAME_TIMESTAMP,
    ];
    /// Buffers of frames received.
    pub const RX_BUFFER: &[Extension] = &[BUFFER_VIRTUAL_ADDRESS, BUFFER_INTERFACE_CONTEXT];
    /// Frames to send.
    pub const TX_FRAME: &[Extension] = &[
        TX_FRAME_COMPLETION_CONTEXT,
        FRAME_INTERFACE_CONTEXT,
        FRAME_LAYOUT,
        FRAME_CHECKSUM,
        FRAME_TIMESTAMP,
    ];
    /// Buffers of frames to send.
    pub const TX_BUFFER: &[Extension] = &[
        BUFFER_VIRTUAL_ADDRESS,
        BUFFER_LOGICAL_ADDRESS,
        BUFFER_MDL,
        BUFFER_INTERFACE_CONTEXT,
    ];
    /// Completions of frames sent.
    pub const TX_FRAME_COMPLETION: &[Extension] = &[TX_FRAME_COMPLETION_CONTEXT, FRAME_TIMESTAMP];
}

/// Extensions each element of a socket's ring may have, in the order of registration.
pub mod socket {
    use super::*;

    /// The receive ring.
    pub const RX_FRAME: &[Extension] = &[
        FRAME_LAYOUT,
        FRAME_CHECKSUM,
        FRAME_ORIGINAL_LENGTH,
        FRAME_TIMESTAMP,
    ];
    /// The transmit ring.
    pub const TX_FRAME: &[Extension] = &[FRAME_LAYOUT, FRAME_CHECKSUM];
    /// The completion ring.
    pub const TX_COMPLETION: &[Extension] = &[FRAME_TIMESTAMP];
}

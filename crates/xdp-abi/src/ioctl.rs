//! IOCTL codes.
//!
//! Function numbers restart at 0 for each type of object, so a code means something only together with the type of
//! the object behind the handle. Write access is part of every code of an object.

/// The code of a function: device type network, write access.
const fn code(function: u32, method: u32) -> u32 {
    const FILE_DEVICE_NETWORK: u32 = 0x12;
    const FILE_WRITE_ACCESS: u32 = 2;
    FILE_DEVICE_NETWORK << 16 | FILE_WRITE_ACCESS << 14 | function << 2 | method
}

const METHOD_BUFFERED: u32 = 0;
const METHOD_NEITHER: u32 = 3;

/// Codes of a handle that was opened without an open packet.
pub mod common {
    use super::METHOD_BUFFERED;

    /// List what there is, as [`inventory`](crate::inventory) says; needs read access only. The function number is above those
    /// of all objects, so that it is never taken for one of theirs.
    pub const LIST: u32 = 0x12 << 16 | 1 << 14 | 0x800 << 2 | METHOD_BUFFERED;
}

/// Codes of a socket.
pub mod xsk {
    use super::{METHOD_BUFFERED, METHOD_NEITHER, code};

    /// Bind to a queue; input [`BindIn`](crate::xsk::BindIn).
    #[doc(alias = "IOCTL_XSK_BIND")]
    pub const BIND: u32 = code(0, METHOD_BUFFERED);
    /// Activate; input [`ActivateIn`](crate::xsk::ActivateIn).
    #[doc(alias = "IOCTL_XSK_ACTIVATE")]
    pub const ACTIVATE: u32 = code(1, METHOD_BUFFERED);
    /// Read an option; input its number.
    #[doc(alias = "IOCTL_XSK_GET_SOCKOPT")]
    pub const GET_SOCKOPT: u32 = code(2, METHOD_BUFFERED);
    /// Set an option; input [`SetSockoptIn`](crate::sockopt::SetSockoptIn).
    #[doc(alias = "IOCTL_XSK_SET_SOCKOPT")]
    pub const SET_SOCKOPT: u32 = code(3, METHOD_BUFFERED);
    /// Poke and wait; input [`NotifyIn`](crate::xsk::NotifyIn), result flags in the information field.
    #[doc(alias = "IOCTL_XSK_NOTIFY")]
    pub const NOTIFY: u32 = code(4, METHOD_NEITHER);
    /// Poke and wait without blocking the caller.
    #[doc(alias = "IOCTL_XSK_NOTIFY_ASYNC")]
    pub const NOTIFY_ASYNC: u32 = code(5, METHOD_NEITHER);
}

/// Codes of an interface.
pub mod interface {
    use super::{METHOD_BUFFERED, code};

    /// Read the RSS configuration.
    #[doc(alias = "IOCTL_INTERFACE_OFFLOAD_RSS_GET")]
    pub const RSS_GET: u32 = code(0, METHOD_BUFFERED);
    /// Change the RSS configuration.
    #[doc(alias = "IOCTL_INTERFACE_OFFLOAD_RSS_SET")]
    pub const RSS_SET: u32 = code(1, METHOD_BUFFERED);
    /// Read what RSS can do.
    #[doc(alias = "IOCTL_INTERFACE_OFFLOAD_RSS_GET_CAPABILITIES")]
    pub const RSS_GET_CAPABILITIES: u32 = code(2, METHOD_BUFFERED);
    /// Add or remove offloaded QUIC connections.
    #[doc(alias = "IOCTL_INTERFACE_OFFLOAD_QEO_SET")]
    pub const QEO_SET: u32 = code(3, METHOD_BUFFERED);
}

/// Codes of a map.
pub mod map {
    use super::{METHOD_BUFFERED, code};

    /// Put a socket in a slot; input [`MapInsertParams`](crate::map::MapInsertParams).
    #[doc(alias = "IOCTL_MAP_INSERT")]
    pub const INSERT: u32 = code(0, METHOD_BUFFERED);
    /// Empty a slot; input [`MapDeleteParams`](crate::map::MapDeleteParams).
    #[doc(alias = "IOCTL_MAP_DELETE")]
    pub const DELETE: u32 = code(1, METHOD_BUFFERED);
}

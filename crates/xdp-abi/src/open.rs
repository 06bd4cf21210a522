//! Opening an object: device names, the extended attribute and the open packet in it.

use crate::macros::open_enum;
use crate::object::Guid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// What kind of object an open asks for.
    #[doc(alias = "XDP_OBJECT_TYPE")]
    pub struct ObjectType: u32 {
        /// A program: rules attached to a queue.
        PROGRAM = 0, "XDP_OBJECT_TYPE_PROGRAM";
        /// A socket.
        XSK = 1, "XDP_OBJECT_TYPE_XSK";
        /// An interface, for its offloads.
        INTERFACE = 2, "XDP_OBJECT_TYPE_INTERFACE";
        /// A map of sockets.
        MAP = 3, "XDP_OBJECT_TYPE_MAP";
    }
}

/// The open packet. In the attribute it starts at an odd offset: read it unaligned.
#[doc(alias = "XDP_OPEN_PACKET")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OpenPacket {
    /// Clients send [`OPEN_PACKET_MAJOR_VERSION`].
    pub major_version: u16,
    /// Clients send [`OPEN_PACKET_MINOR_VERSION`].
    pub minor_version: u16,
    /// API version the client was compiled for.
    pub api_version: u32,
    /// Kind of object.
    pub object_type: ObjectType,
}

/// Major version clients send.
pub const OPEN_PACKET_MAJOR_VERSION: u16 = 1;
/// Minor version clients send.
pub const OPEN_PACKET_MINOR_VERSION: u16 = 0;

/// Parameters that follow the open packet of an interface.
#[doc(alias = "XDP_INTERFACE_OPEN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct InterfaceOpen {
    /// Interface.
    pub if_index: u32,
}

/// One extended attribute, up to the first byte of its name.
#[doc(alias = "XDP_FILE_FULL_EA_INFORMATION")]
#[doc(alias = "FILE_FULL_EA_INFORMATION")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FileFullEaInformation {
    /// Distance to the next attribute; 0 for the last.
    pub next_entry_offset: u32,
    /// Flags.
    pub flags: u8,
    /// Bytes of the name, without its terminating zero.
    pub ea_name_length: u8,
    /// Bytes of the value, which follows the name's zero directly.
    pub ea_value_length: u16,
    /// First byte of the name.
    pub ea_name: [u8; 1],
    /// Padding of the C structure; the name runs over it.
    pub padding: [u8; 3],
}

/// Name of the attribute, without its terminating zero.
#[doc(alias = "XDP_OPEN_PACKET_NAME")]
pub const OPEN_PACKET_NAME: &str = "XdpOpenPacket000";

/// Where the name starts in an attribute.
pub const EA_NAME_OFFSET: usize = core::mem::offset_of!(FileFullEaInformation, ea_name);
/// Where the open packet starts in an attribute.
pub const EA_OPEN_PACKET_OFFSET: usize = EA_NAME_OFFSET + OPEN_PACKET_NAME.len() + 1;
/// Where the parameters of the object start in an attribute.
pub const EA_PARAMS_OFFSET: usize = EA_OPEN_PACKET_OFFSET + size_of::<OpenPacket>();

/// Bytes of the attribute as the stock client sizes it, with `params` bytes of parameters.
///
/// It counts the whole C structure, whose last bytes the name overlaps, so the length is larger than what is used.
#[doc(alias = "XDP_OPEN_EA_LENGTH")]
#[must_use]
pub const fn ea_length(params: usize) -> usize {
    size_of::<FileFullEaInformation>()
        + OPEN_PACKET_NAME.len()
        + 1
        + size_of::<OpenPacket>()
        + params
}

/// The device that opens every type of object.
#[doc(alias = "XDP_DEVICE_NAME")]
pub const DEVICE_NAME: &str = r"\Device\xdp";
/// Directory of the devices that open one type each.
#[doc(alias = "XDP_DEVICE_DIRECTORY_NAME")]
pub const DEVICE_DIRECTORY_NAME: &str = r"\Device\xdpapi";
/// The device that opens programs.
#[doc(alias = "XDP_PROGRAM_DEVICE_NAME")]
pub const PROGRAM_DEVICE_NAME: &str = r"\Device\xdpapi\program";
/// The device that opens sockets.
#[doc(alias = "XDP_XSK_DEVICE_NAME")]
pub const XSK_DEVICE_NAME: &str = r"\Device\xdpapi\xsk";
/// The device that opens interfaces.
#[doc(alias = "XDP_INTERFACE_DEVICE_NAME")]
pub const INTERFACE_DEVICE_NAME: &str = r"\Device\xdpapi\interface";
/// The device that opens maps.
#[doc(alias = "XDP_MAP_DEVICE_NAME")]
pub const MAP_DEVICE_NAME: &str = r"\Device\xdpapi\map";
/// Callback object notified once the driver has started.
#[doc(alias = "XDP_DRIVER_START_CALLBACK_NAME")]
pub const DRIVER_START_CALLBACK_NAME: &str = r"\Callback\XdpDriverStart";

/// Device class of [`DEVICE_NAME`].
#[doc(alias = "XDP_DEVICE_CLASS_GUID")]
pub const DEVICE_CLASS_GUID: Guid = Guid::from_u128(0x28f93d3f_4c0a_4a7c_8ff1_96b24e19b856);
/// Device class of [`PROGRAM_DEVICE_NAME`].
#[doc(alias = "XDP_PROGRAM_DEVICE_CLASS_GUID")]
pub const PROGRAM_DEVICE_CLASS_GUID: Guid = Guid::from_u128(0x6ad95b14_2cb1_4646_ba32_bc090ab436e5);
/// Device class of [`XSK_DEVICE_NAME`].
#[doc(alias = "XDP_XSK_DEVICE_CLASS_GUID")]
pub const XSK_DEVICE_CLASS_GUID: Guid = Guid::from_u128(0x0903d898_39c3_4a0f_8528_13658fb280f3);
/// Device class of [`INTERFACE_DEVICE_NAME`].
#[doc(alias = "XDP_INTERFACE_DEVICE_CLASS_GUID")]
pub const INTERFACE_DEVICE_CLASS_GUID: Guid =
    Guid::from_u128(0x5f1fa9af_e48e_457a_b556_88492b514662);
/// Device class of [`MAP_DEVICE_NAME`].
#[doc(alias = "XDP_MAP_DEVICE_CLASS_GUID")]
pub const MAP_DEVICE_CLASS_GUID: Guid = Guid::from_u128(0x6bbd4cfc_90eb_4126_ba25_51d97bba239f);

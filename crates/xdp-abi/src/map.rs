//! Maps: sockets by queue id (API version 3).

use crate::macros::open_enum;
use crate::object::ClientPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// What a map holds.
    #[doc(alias = "XDP_MAP_TYPE")]
    pub struct MapType: u32 {
        /// Sockets, by a key of 32 bits below 128.
        XSKMAP = 0, "XDP_MAP_TYPE_XSKMAP";
    }
}

/// Parameters that follow the open packet of a map.
#[doc(alias = "XDP_MAP_OPEN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MapOpen {
    /// What the map holds.
    #[doc(alias = "Type")]
    pub map_type: MapType,
}

/// Input of `IOCTL_MAP_INSERT`.
#[doc(alias = "XDP_MAP_INSERT_PARAMS")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MapInsertParams {
    /// Address of the key.
    pub key: ClientPtr,
    /// Address of the value.
    pub value: ClientPtr,
}

/// Input of `IOCTL_MAP_DELETE`.
#[doc(alias = "XDP_MAP_DELETE_PARAMS")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct MapDeleteParams {
    /// Address of the key.
    pub key: ClientPtr,
}

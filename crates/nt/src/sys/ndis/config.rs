//! Driver configuration.

use crate::sys::*;

foreign! {
    pub struct NDIS_CONFIGURATION_OBJECT(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 NdisHandle: PVOID,
        0x10 Flags: u32,
    }

    pub union NDIS_CONFIGURATION_PARAMETER_ParameterData(0x10, 8) {
        0x00 IntegerData: u32,
        0x00 StringData: UNICODE_STRING,
        0x00 BinaryData: BINARY_DATA,
    }

    pub struct NDIS_CONFIGURATION_PARAMETER(0x18, 8) {
        0x00 ParameterType: NDIS_PARAMETER_TYPE,
        0x08 ParameterData: NDIS_CONFIGURATION_PARAMETER_ParameterData,
    }

    pub struct BINARY_DATA(0x10, 8) {
        0x00 Length: u16,
        0x08 Buffer: PVOID,
    }
}

//! OID requests and status indications.

use crate::sys::*;

foreign! {
    pub struct NDIS_OID_REQUEST_DATA_QUERY_INFORMATION(0x20, 8) {
        0x00 Oid: NDIS_OID,
        0x08 InformationBuffer: PVOID,
        0x10 InformationBufferLength: u32,
        0x14 BytesWritten: u32,
        0x18 BytesNeeded: u32,
    }

    pub struct NDIS_OID_REQUEST_DATA_SET_INFORMATION(0x20, 8) {
        0x00 Oid: NDIS_OID,
        0x08 InformationBuffer: PVOID,
        0x10 InformationBufferLength: u32,
        0x14 BytesRead: u32,
        0x18 BytesNeeded: u32,
    }

    pub struct NDIS_OID_REQUEST_DATA_METHOD_INFORMATION(0x28, 8) {
        0x00 Oid: NDIS_OID,
        0x08 InformationBuffer: PVOID,
        0x10 InputBufferLength: u32,
        0x14 OutputBufferLength: u32,
        0x18 MethodId: u32,
        0x1c BytesWritten: u32,
        0x20 BytesRead: u32,
        0x24 BytesNeeded: u32,
    }

    pub union NDIS_OID_REQUEST_DATA(0x28, 8) {
        0x00 QUERY_INFORMATION: NDIS_OID_REQUEST_DATA_QUERY_INFORMATION,
        0x00 SET_INFORMATION: NDIS_OID_REQUEST_DATA_SET_INFORMATION,
        0x00 METHOD_INFORMATION: NDIS_OID_REQUEST_DATA_METHOD_INFORMATION,
    }

    pub struct NDIS_OID_REQUEST(0xf8, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 RequestType: NDIS_REQUEST_TYPE,
        0x08 PortNumber: u32,
        0x0c Timeout: u32,
        0x10 RequestId: PVOID,
        0x18 RequestHandle: PVOID,
        0x20 DATA: NDIS_OID_REQUEST_DATA,
        0x48 NdisReserved: [u8; 128],
        0xc8 MiniportReserved: [u8; 16],
        0xd8 SourceReserved: [u8; 16],
        0xe8 SupportedRevision: u8,
        0xe9 Reserved1: u8,
        0xea Reserved2: u16,
        0xec SwitchId: u32,
        0xf0 VPortId: u32,
        0xf4 Flags: u32,
    }

    pub struct NDIS_STATUS_INDICATION(0x70, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 SourceHandle: PVOID,
        0x10 PortNumber: u32,
        0x14 StatusCode: NDIS_STATUS,
        0x18 Flags: u32,
        0x20 DestinationHandle: PVOID,
        0x28 RequestId: PVOID,
        0x30 StatusBuffer: PVOID,
        0x38 StatusBufferSize: u32,
        0x3c Guid: GUID,
        0x50 NdisReserved: [PVOID; 4],
    }
}

//! Plug-and-play events.

use crate::sys::*;

foreign! {
    pub struct NET_PNP_EVENT(0x98, 8) {
        0x00 NetEvent: NET_PNP_EVENT_CODE,
        0x08 Buffer: PVOID,
        0x10 BufferLength: u32,
        0x18 NdisReserved: [u64; 4],
        0x38 TransportReserved: [u64; 4],
        0x58 TdiReserved: [u64; 4],
        0x78 TdiClientReserved: [u64; 4],
    }

    pub struct NET_PNP_EVENT_NOTIFICATION(0xb0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 PortNumber: u32,
        0x08 NetPnPEvent: NET_PNP_EVENT,
        0xa0 Flags: u32,
        0xa4 SwitchId: u32,
        0xa8 VPortId: u32,
    }

    pub struct NET_DEVICE_PNP_EVENT(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 PortNumber: u32,
        0x08 DevicePnPEvent: NDIS_DEVICE_PNP_EVENT,
        0x10 InformationBuffer: PVOID,
        0x18 InformationBufferLength: u32,
        0x1c NdisReserved: [u8; 16],
    }
}

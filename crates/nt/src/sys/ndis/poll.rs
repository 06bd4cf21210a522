//! NDIS polling (looked up at run time: newer than Windows Server 2019).

use crate::sys::*;

foreign! {
    pub struct NDIS_POLL_CHARACTERISTICS(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 SetPollNotificationHandler: NDIS_SET_POLL_NOTIFICATION,
        0x10 PollHandler: NDIS_POLL,
    }

    pub struct NDIS_POLL_DATA(0x98, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 Transmit: NDIS_POLL_TRANSMIT_DATA,
        0x50 Receive: NDIS_POLL_RECEIVE_DATA,
    }

    pub struct NDIS_POLL_TRANSMIT_DATA(0x48, 8) {
        0x00 MaxNblsToComplete: u32,
        0x04 Reserved1: [u32; 3],
        0x10 CompletedNblChain: *mut NET_BUFFER_LIST,
        0x18 NumberOfCompletedNbls: u32,
        0x1c NumberOfRemainingNbls: u32,
        0x20 SendCompleteFlags: u32,
        0x24 Reserved2: u32,
        0x28 Reserved3: [PVOID; 4],
    }

    pub struct NDIS_POLL_RECEIVE_DATA(0x48, 8) {
        0x00 MaxNblsToIndicate: u32,
        0x04 Reserved1: [u32; 3],
        0x10 IndicatedNblChain: *mut NET_BUFFER_LIST,
        0x18 NumberOfIndicatedNbls: u32,
        0x1c NumberOfRemainingNbls: u32,
        0x20 Flags: u32,
        0x24 Reserved2: u32,
        0x28 Reserved3: [PVOID; 4],
    }

    pub struct NDIS_POLL_NOTIFICATION(0x6, 2) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Enabled: u8,
    }
}

//! Filter drivers and filter modules.

use crate::sys::*;

foreign! {
    pub struct NDIS_FILTER_DRIVER_CHARACTERISTICS(0xf0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MajorNdisVersion: u8,
        0x05 MinorNdisVersion: u8,
        0x06 MajorDriverVersion: u8,
        0x07 MinorDriverVersion: u8,
        0x08 Flags: u32,
        0x10 FriendlyName: UNICODE_STRING,
        0x20 UniqueName: UNICODE_STRING,
        0x30 ServiceName: UNICODE_STRING,
        0x40 SetOptionsHandler: SET_OPTIONS_HANDLER,
        0x48 SetFilterModuleOptionsHandler: FILTER_SET_FILTER_MODULE_OPTIONS_HANDLER,
        0x50 AttachHandler: FILTER_ATTACH_HANDLER,
        0x58 DetachHandler: FILTER_DETACH_HANDLER,
        0x60 RestartHandler: FILTER_RESTART_HANDLER,
        0x68 PauseHandler: FILTER_PAUSE_HANDLER,
        0x70 SendNetBufferListsHandler: FILTER_SEND_NET_BUFFER_LISTS_HANDLER,
        0x78 SendNetBufferListsCompleteHandler: FILTER_SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER,
        0x80 CancelSendNetBufferListsHandler: FILTER_CANCEL_SEND_HANDLER,
        0x88 ReceiveNetBufferListsHandler: FILTER_RECEIVE_NET_BUFFER_LISTS_HANDLER,
        0x90 ReturnNetBufferListsHandler: FILTER_RETURN_NET_BUFFER_LISTS_HANDLER,
        0x98 OidRequestHandler: FILTER_OID_REQUEST_HANDLER,
        0xa0 OidRequestCompleteHandler: FILTER_OID_REQUEST_COMPLETE_HANDLER,
        0xa8 CancelOidRequestHandler: FILTER_CANCEL_OID_REQUEST_HANDLER,
        0xb0 DevicePnPEventNotifyHandler: FILTER_DEVICE_PNP_EVENT_NOTIFY_HANDLER,
        0xb8 NetPnPEventHandler: FILTER_NET_PNP_EVENT_HANDLER,
        0xc0 StatusHandler: FILTER_STATUS_HANDLER,
        0xc8 DirectOidRequestHandler: FILTER_OID_REQUEST_HANDLER,
        0xd0 DirectOidRequestCompleteHandler: FILTER_OID_REQUEST_COMPLETE_HANDLER,
        0xd8 CancelDirectOidRequestHandler: FILTER_CANCEL_OID_REQUEST_HANDLER,
        0xe0 SynchronousOidRequestHandler: FILTER_SYNCHRONOUS_OID_REQUEST_HANDLER,
        0xe8 SynchronousOidRequestCompleteHandler: FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE_HANDLER,
    }

    pub struct NDIS_FILTER_PARTIAL_CHARACTERISTICS(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 SendNetBufferListsHandler: FILTER_SEND_NET_BUFFER_LISTS_HANDLER,
        0x10 SendNetBufferListsCompleteHandler: FILTER_SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER,
        0x18 CancelSendNetBufferListsHandler: FILTER_CANCEL_SEND_HANDLER,
        0x20 ReceiveNetBufferListsHandler: FILTER_RECEIVE_NET_BUFFER_LISTS_HANDLER,
        0x28 ReturnNetBufferListsHandler: FILTER_RETURN_NET_BUFFER_LISTS_HANDLER,
    }

    pub struct NDIS_FILTER_ATTRIBUTES(0x8, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
    }

    pub struct NDIS_FILTER_ATTACH_PARAMETERS(0xe0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 IfIndex: u32,
        0x08 NetLuid: NET_LUID_LH,
        0x10 FilterModuleGuidName: *mut UNICODE_STRING,
        0x18 BaseMiniportIfIndex: u32,
        0x20 BaseMiniportInstanceName: *mut UNICODE_STRING,
        0x28 BaseMiniportName: *mut UNICODE_STRING,
        0x30 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x34 MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        0x38 XmitLinkSpeed: u64,
        0x40 RcvLinkSpeed: u64,
        0x48 MiniportMediaType: NDIS_MEDIUM,
        0x4c MiniportPhysicalMediaType: NDIS_PHYSICAL_MEDIUM,
        0x50 MiniportMediaSpecificAttributes: PVOID,
        0x58 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        0x60 MacAddressLength: u16,
        0x62 CurrentMacAddress: [u8; 32],
        0x88 BaseMiniportNetLuid: NET_LUID_LH,
        0x90 LowerIfIndex: u32,
        0x98 LowerIfNetLuid: NET_LUID_LH,
        0xa0 Flags: u32,
        0xa8 HDSplitCurrentConfig: PVOID,
        0xb0 ReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        0xb8 MiniportPhysicalDeviceObject: *mut DEVICE_OBJECT,
        0xc0 NicSwitchCapabilities: PVOID,
        0xc8 BaseMiniportIfConnectorPresent: u8,
        0xd0 SriovCapabilities: PVOID,
        0xd8 NicSwitchArray: PVOID,
    }

    pub struct NDIS_FILTER_RESTART_PARAMETERS(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MiniportMediaType: NDIS_MEDIUM,
        0x08 MiniportPhysicalMediaType: NDIS_PHYSICAL_MEDIUM,
        0x10 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        0x18 LowerIfIndex: u32,
        0x20 LowerIfNetLuid: NET_LUID_LH,
        0x28 Flags: u32,
    }

    pub struct NDIS_FILTER_PAUSE_PARAMETERS(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 PauseReason: u32,
    }

    pub struct NDIS_FILTER_INTERFACE(0x40, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 FilterType: u32,
        0x0c FilterRunType: u32,
        0x10 IfIndex: u32,
        0x18 NetLuid: NET_LUID_LH,
        0x20 FilterClass: UNICODE_STRING,
        0x30 FilterInstanceName: UNICODE_STRING,
    }

    pub struct NDIS_ENUM_FILTERS(0x50, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 NumberOfFilters: u32,
        0x0c OffsetFirstFilter: u32,
        0x10 Filter: [NDIS_FILTER_INTERFACE; 1],
    }
}

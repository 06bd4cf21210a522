//! Protocol drivers and bindings.

use crate::sys::*;

foreign! {
    pub struct NDIS_PROTOCOL_DRIVER_CHARACTERISTICS(0x80, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MajorNdisVersion: u8,
        0x05 MinorNdisVersion: u8,
        0x06 MajorDriverVersion: u8,
        0x07 MinorDriverVersion: u8,
        0x08 Flags: u32,
        0x10 Name: UNICODE_STRING,
        0x20 SetOptionsHandler: SET_OPTIONS_HANDLER,
        0x28 BindAdapterHandlerEx: PROTOCOL_BIND_ADAPTER_HANDLER_EX,
        0x30 UnbindAdapterHandlerEx: PROTOCOL_UNBIND_ADAPTER_HANDLER_EX,
        0x38 OpenAdapterCompleteHandlerEx: PROTOCOL_OPEN_ADAPTER_COMPLETE_HANDLER_EX,
        0x40 CloseAdapterCompleteHandlerEx: PROTOCOL_CLOSE_ADAPTER_COMPLETE_HANDLER_EX,
        0x48 NetPnPEventHandler: PROTOCOL_NET_PNP_EVENT_HANDLER,
        0x50 UninstallHandler: PROTOCOL_UNINSTALL_HANDLER,
        0x58 OidRequestCompleteHandler: PROTOCOL_OID_REQUEST_COMPLETE_HANDLER,
        0x60 StatusHandlerEx: PROTOCOL_STATUS_HANDLER_EX,
        0x68 ReceiveNetBufferListsHandler: PROTOCOL_RECEIVE_NET_BUFFER_LISTS_HANDLER,
        0x70 SendNetBufferListsCompleteHandler: PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER,
        0x78 DirectOidRequestCompleteHandler: PROTOCOL_OID_REQUEST_COMPLETE_HANDLER,
    }

    pub struct NDIS_BIND_PARAMETERS(0x138, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 ProtocolSection: *mut UNICODE_STRING,
        0x10 AdapterName: *mut UNICODE_STRING,
        0x18 PhysicalDeviceObject: *mut DEVICE_OBJECT,
        0x20 MediaType: NDIS_MEDIUM,
        0x24 MtuSize: u32,
        0x28 MaxXmitLinkSpeed: u64,
        0x30 XmitLinkSpeed: u64,
        0x38 MaxRcvLinkSpeed: u64,
        0x40 RcvLinkSpeed: u64,
        0x48 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x4c MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        0x50 LookaheadSize: u32,
        0x58 PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
        0x60 SupportedPacketFilters: u32,
        0x64 MaxMulticastListSize: u32,
        0x68 MacAddressLength: u16,
        0x6a CurrentMacAddress: [u8; 32],
        0x8c PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
        0x90 RcvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        0x98 BoundIfNetluid: NET_LUID_LH,
        0xa0 BoundIfIndex: u32,
        0xa8 LowestIfNetluid: NET_LUID_LH,
        0xb0 LowestIfIndex: u32,
        0xb4 AccessType: NET_IF_ACCESS_TYPE,
        0xb8 DirectionType: NET_IF_DIRECTION_TYPE,
        0xbc ConnectionType: NET_IF_CONNECTION_TYPE,
        0xc0 IfType: u16,
        0xc2 IfConnectorPresent: u8,
        0xc8 ActivePorts: *mut NDIS_PORT,
        0xd0 DataBackFillSize: u32,
        0xd4 ContextBackFillSize: u32,
        0xd8 MacOptions: u32,
        0xdc CompartmentId: u32,
        0xe0 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        0xe8 TcpConnectionOffloadCapabilities: PVOID,
        0xf0 BoundAdapterName: *mut UNICODE_STRING,
        0xf8 HDSplitCurrentConfig: PVOID,
        0x100 ReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        0x108 PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
        0x110 NicSwitchCapabilities: PVOID,
        0x118 NDKEnabled: u8,
        0x120 NDKCapabilities: PVOID,
        0x128 SriovCapabilities: PVOID,
        0x130 NicSwitchArray: PVOID,
    }

    pub struct NDIS_OPEN_PARAMETERS(0x38, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 AdapterName: *mut UNICODE_STRING,
        0x10 MediumArray: PVOID,
        0x18 MediumArraySize: u32,
        0x20 SelectedMediumIndex: PVOID,
        0x28 FrameTypeArray: PVOID,
        0x30 FrameTypeArraySize: u32,
    }

    pub struct NDIS_PROTOCOL_RESTART_PARAMETERS(0x38, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 FilterModuleNameBuffer: PVOID,
        0x10 FilterModuleNameBufferLength: u32,
        0x18 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        0x20 BoundIfIndex: u32,
        0x28 BoundIfNetluid: NET_LUID_LH,
        0x30 Flags: u32,
    }

    pub struct NDIS_PROTOCOL_PAUSE_PARAMETERS(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 PauseReason: u32,
    }
}

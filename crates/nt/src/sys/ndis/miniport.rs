//! Miniport drivers and adapters.

use crate::sys::*;

foreign! {
    pub struct NDIS_MINIPORT_DRIVER_CHARACTERISTICS(0xa0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MajorNdisVersion: u8,
        0x05 MinorNdisVersion: u8,
        0x06 MajorDriverVersion: u8,
        0x07 MinorDriverVersion: u8,
        0x08 Flags: u32,
        0x10 SetOptionsHandler: SET_OPTIONS_HANDLER,
        0x18 InitializeHandlerEx: MINIPORT_INITIALIZE_HANDLER,
        0x20 HaltHandlerEx: MINIPORT_HALT_HANDLER,
        0x28 UnloadHandler: PDRIVER_UNLOAD,
        0x30 PauseHandler: MINIPORT_PAUSE_HANDLER,
        0x38 RestartHandler: MINIPORT_RESTART_HANDLER,
        0x40 OidRequestHandler: MINIPORT_OID_REQUEST_HANDLER,
        0x48 SendNetBufferListsHandler: MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER,
        0x50 ReturnNetBufferListsHandler: MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER,
        0x58 CancelSendHandler: MINIPORT_CANCEL_SEND_HANDLER,
        0x60 CheckForHangHandlerEx: MINIPORT_CHECK_FOR_HANG_HANDLER,
        0x68 ResetHandlerEx: MINIPORT_RESET_HANDLER,
        0x70 DevicePnPEventNotifyHandler: MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER,
        0x78 ShutdownHandlerEx: MINIPORT_SHUTDOWN_HANDLER,
        0x80 CancelOidRequestHandler: MINIPORT_CANCEL_OID_REQUEST_HANDLER,
        0x88 DirectOidRequestHandler: MINIPORT_OID_REQUEST_HANDLER,
        0x90 CancelDirectOidRequestHandler: MINIPORT_CANCEL_OID_REQUEST_HANDLER,
        0x98 SynchronousOidRequestHandler: MINIPORT_SYNCHRONOUS_OID_REQUEST_HANDLER,
    }

    pub struct NDIS_MINIPORT_PNP_CHARACTERISTICS(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 MiniportAddDeviceHandler: MINIPORT_ADD_DEVICE_HANDLER,
        0x10 MiniportRemoveDeviceHandler: MINIPORT_REMOVE_DEVICE_HANDLER,
        0x18 MiniportFilterResourceRequirementsHandler: MINIPORT_PNP_IRP_HANDLER,
        0x20 MiniportStartDeviceHandler: MINIPORT_PNP_IRP_HANDLER,
        0x28 Flags: u32,
    }

    pub struct NDIS_MINIPORT_SS_CHARACTERISTICS(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 IdleNotificationHandler: MINIPORT_IDLE_NOTIFICATION_HANDLER,
        0x10 CancelIdleNotificationHandler: MINIPORT_CANCEL_IDLE_NOTIFICATION_HANDLER,
    }

    pub struct NDIS_MINIPORT_INIT_PARAMETERS(0x40, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 AllocatedResources: PVOID,
        0x10 IMDeviceInstanceContext: PVOID,
        0x18 MiniportAddDeviceContext: PVOID,
        0x20 IfIndex: u32,
        0x28 NetLuid: NET_LUID_LH,
        0x30 DefaultPortAuthStates: *mut NDIS_PORT_AUTHENTICATION_PARAMETERS,
        0x38 PciDeviceCustomProperties: PVOID,
    }

    pub struct NDIS_MINIPORT_RESTART_PARAMETERS(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
        0x10 Flags: u32,
    }

    pub struct NDIS_MINIPORT_PAUSE_PARAMETERS(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 PauseReason: u32,
    }

    pub union NDIS_MINIPORT_ADAPTER_ATTRIBUTES(0xe0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x00 AddDeviceRegistrationAttributes: NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES,
        0x00 RegistrationAttributes: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        0x00 GeneralAttributes: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        0x00 OffloadAttributes: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
        0x00 HardwareAssistAttributes: NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES,
    }

    pub struct NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 MiniportAddDeviceContext: PVOID,
        0x10 Flags: u32,
    }

    pub struct NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES(0x20, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 MiniportAdapterContext: PVOID,
        0x10 AttributeFlags: u32,
        0x14 CheckForHangTimeInSeconds: u32,
        0x18 InterfaceType: NDIS_INTERFACE_TYPE,
    }

    pub struct NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES(0xe0, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 MediaType: NDIS_MEDIUM,
        0x0c PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
        0x10 MtuSize: u32,
        0x18 MaxXmitLinkSpeed: u64,
        0x20 XmitLinkSpeed: u64,
        0x28 MaxRcvLinkSpeed: u64,
        0x30 RcvLinkSpeed: u64,
        0x38 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x3c MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        0x40 LookaheadSize: u32,
        0x48 PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
        0x50 MacOptions: u32,
        0x54 SupportedPacketFilters: u32,
        0x58 MaxMulticastListSize: u32,
        0x5c MacAddressLength: u16,
        0x5e PermanentMacAddress: [u8; 32],
        0x7e CurrentMacAddress: [u8; 32],
        0xa0 RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        0xa8 AccessType: NET_IF_ACCESS_TYPE,
        0xac DirectionType: NET_IF_DIRECTION_TYPE,
        0xb0 ConnectionType: NET_IF_CONNECTION_TYPE,
        0xb4 IfType: u16,
        0xb6 IfConnectorPresent: u8,
        0xb8 SupportedStatistics: u32,
        0xbc SupportedPauseFunctions: u32,
        0xc0 DataBackFillSize: u32,
        0xc4 ContextBackFillSize: u32,
        0xc8 SupportedOidList: PVOID,
        0xd0 SupportedOidListLength: u32,
        0xd4 AutoNegotiationFlags: u32,
        0xd8 PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
    }

    pub struct NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES(0x28, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
        0x10 HardwareOffloadCapabilities: *mut NDIS_OFFLOAD,
        0x18 DefaultTcpConnectionOffloadConfiguration: PVOID,
        0x20 TcpConnectionOffloadHardwareCapabilities: PVOID,
    }

    pub struct NDIS_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES(0x60, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 HDSplitAttributes: PVOID,
        0x10 HardwareReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        0x18 CurrentReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
        0x20 HardwareNicSwitchCapabilities: PVOID,
        0x28 CurrentNicSwitchCapabilities: PVOID,
        0x30 HardwareSriovCapabilities: PVOID,
        0x38 CurrentSriovCapabilities: PVOID,
        0x40 HardwareQosCapabilities: PVOID,
        0x48 CurrentQosCapabilities: PVOID,
        0x50 HardwareGftOffloadCapabilities: PVOID,
        0x58 CurrentGftOffloadCapabilities: PVOID,
    }

    pub struct NDIS_SG_DMA_DESCRIPTION(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 MaximumPhysicalMapping: u32,
        0x10 ProcessSGListHandler: UNTYPED_FN,
        0x18 SharedMemAllocateCompleteHandler: UNTYPED_FN,
        0x20 ScatterGatherListSize: u32,
        0x28 PdoOverride: *mut DEVICE_OBJECT,
    }

    pub struct NDIS_PM_CAPABILITIES(0x3c, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 SupportedWoLPacketPatterns: u32,
        0x0c NumTotalWoLPatterns: u32,
        0x10 MaxWoLPatternSize: u32,
        0x14 MaxWoLPatternOffset: u32,
        0x18 MaxWoLPacketSaveBuffer: u32,
        0x1c SupportedProtocolOffloads: u32,
        0x20 NumArpOffloadIPv4Addresses: u32,
        0x24 NumNSOffloadIPv6Addresses: u32,
        0x28 MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
        0x2c MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
        0x30 MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
        0x34 SupportedWakeUpEvents: u32,
        0x38 MediaSpecificWakeUpEvents: u32,
    }

    pub struct NDIS_PNP_CAPABILITIES(0x10, 4) {
        0x00 Flags: u32,
        0x04 WakeUpCapabilities: NDIS_PM_WAKE_UP_CAPABILITIES,
    }

    pub struct NDIS_PM_WAKE_UP_CAPABILITIES(0xc, 4) {
        0x00 MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
        0x04 MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
        0x08 MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
    }
}

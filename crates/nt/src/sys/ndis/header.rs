//! The object header, ports, links, timers and other small NDIS types.

use crate::sys::*;

foreign! {
    #[derive(PartialEq, Eq, Debug)]
    pub struct NDIS_OBJECT_HEADER(0x4, 2) {
        0x00 Type: u8,
        0x01 Revision: u8,
        0x02 Size: u16,
    }

    pub struct NDIS_GENERIC_OBJECT(0x20, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 Caller: PVOID,
        0x10 CallersCaller: PVOID,
        0x18 DriverObject: *mut DRIVER_OBJECT,
    }

    pub struct NDIS_DRIVER_OPTIONAL_HANDLERS(0x4, 2) {
        0x00 Header: NDIS_OBJECT_HEADER,
    }

    pub struct NDIS_SPIN_LOCK(0x10, 8) {
        0x00 SpinLock: KSPIN_LOCK,
        0x08 OldIrql: u8,
    }

    pub struct NDIS_EVENT(0x18, 8) {
        0x00 Event: KEVENT,
    }

    pub struct NDIS_TIMER_CHARACTERISTICS(0x18, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 AllocationTag: u32,
        0x08 TimerFunction: PNDIS_TIMER_FUNCTION,
        0x10 FunctionContext: PVOID,
    }

    pub struct NDIS_DEVICE_OBJECT_ATTRIBUTES(0x38, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 DeviceName: *mut UNICODE_STRING,
        0x10 SymbolicName: *mut UNICODE_STRING,
        0x18 MajorFunctions: PVOID,
        0x20 ExtensionSize: u32,
        0x28 DefaultSDDLString: *mut UNICODE_STRING,
        0x30 DeviceClassGuid: *mut GUID,
    }

    #[derive(PartialEq, Eq, Debug)]
    pub struct LOCK_STATE_EX(0x3, 1) {
        0x00 OldIrql: u8,
        0x01 LockState: u8,
        0x02 Flags: u8,
    }

    #[repr(align(16))]
    pub struct NDIS_RESTART_ATTRIBUTES(0x20, 16) {
        0x00 Next: *mut NDIS_RESTART_ATTRIBUTES,
        0x08 Oid: u32,
        0x0c DataLength: u32,
        0x10 Data: [u8; 1],
    }

    pub struct NDIS_RESTART_GENERAL_ATTRIBUTES(0x58, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MtuSize: u32,
        0x08 MaxXmitLinkSpeed: u64,
        0x10 MaxRcvLinkSpeed: u64,
        0x18 LookaheadSize: u32,
        0x1c MacOptions: u32,
        0x20 SupportedPacketFilters: u32,
        0x24 MaxMulticastListSize: u32,
        0x28 RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
        0x30 AccessType: NET_IF_ACCESS_TYPE,
        0x34 Flags: u32,
        0x38 ConnectionType: NET_IF_CONNECTION_TYPE,
        0x3c SupportedStatistics: u32,
        0x40 DataBackFillSize: u32,
        0x44 ContextBackFillSize: u32,
        0x48 SupportedOidList: PVOID,
        0x50 SupportedOidListLength: u32,
        0x54 MaxLookaheadSizeAccessed: u32,
    }

    pub struct NDIS_LINK_STATE(0x28, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x08 MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        0x10 XmitLinkSpeed: u64,
        0x18 RcvLinkSpeed: u64,
        0x20 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        0x24 AutoNegotiationFlags: u32,
    }

    pub struct NDIS_LINK_SPEED(0x10, 8) {
        0x00 XmitLinkSpeed: u64,
        0x08 RcvLinkSpeed: u64,
    }

    pub struct NDIS_LINK_PARAMETERS(0x20, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
        0x08 XmitLinkSpeed: u64,
        0x10 RcvLinkSpeed: u64,
        0x18 PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
        0x1c AutoNegotiationFlags: u32,
    }

    pub struct NDIS_OPER_STATE(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 OperationalStatus: NET_IF_OPER_STATUS,
        0x08 OperationalStatusFlags: u32,
    }

    pub struct IF_COUNTED_STRING_LH(0x204, 2) {
        0x00 Length: u16,
        0x02 String: [u16; 257],
    }

    pub struct IF_PHYSICAL_ADDRESS_LH(0x22, 2) {
        0x00 Length: u16,
        0x02 Address: [u8; 32],
    }

    pub struct NET_PHYSICAL_LOCATION_LH(0xc, 4) {
        0x00 BusNumber: u32,
        0x04 SlotNumber: u32,
        0x08 FunctionNumber: u32,
    }

    pub struct NDIS_PORT_CHARACTERISTICS(0x40, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 PortNumber: u32,
        0x08 Flags: u32,
        0x0c Type: NDIS_PORT_TYPE,
        0x10 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x18 XmitLinkSpeed: u64,
        0x20 RcvLinkSpeed: u64,
        0x28 Direction: NET_IF_DIRECTION_TYPE,
        0x2c SendControlState: NDIS_PORT_CONTROL_STATE,
        0x30 RcvControlState: NDIS_PORT_CONTROL_STATE,
        0x34 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        0x38 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    }

    pub struct NDIS_PORT(0x60, 8) {
        0x00 Next: *mut NDIS_PORT,
        0x08 NdisReserved: PVOID,
        0x10 MiniportReserved: PVOID,
        0x18 ProtocolReserved: PVOID,
        0x20 PortCharacteristics: NDIS_PORT_CHARACTERISTICS,
    }

    pub struct NDIS_PORT_ARRAY(0x50, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 NumberOfPorts: u32,
        0x08 OffsetFirstPort: u32,
        0x0c ElementSize: u32,
        0x10 Ports: [NDIS_PORT_CHARACTERISTICS; 1],
    }

    pub struct NDIS_PORT_STATE(0x30, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
        0x08 XmitLinkSpeed: u64,
        0x10 RcvLinkSpeed: u64,
        0x18 Direction: NET_IF_DIRECTION_TYPE,
        0x1c SendControlState: NDIS_PORT_CONTROL_STATE,
        0x20 RcvControlState: NDIS_PORT_CONTROL_STATE,
        0x24 SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        0x28 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        0x2c Flags: u32,
    }

    pub struct NDIS_PORT_AUTHENTICATION_PARAMETERS(0x14, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 SendControlState: NDIS_PORT_CONTROL_STATE,
        0x08 RcvControlState: NDIS_PORT_CONTROL_STATE,
        0x0c SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
        0x10 RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    }

    pub struct NDIS_STATISTICS_INFO(0x98, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 SupportedStatistics: u32,
        0x08 ifInDiscards: u64,
        0x10 ifInErrors: u64,
        0x18 ifHCInOctets: u64,
        0x20 ifHCInUcastPkts: u64,
        0x28 ifHCInMulticastPkts: u64,
        0x30 ifHCInBroadcastPkts: u64,
        0x38 ifHCOutOctets: u64,
        0x40 ifHCOutUcastPkts: u64,
        0x48 ifHCOutMulticastPkts: u64,
        0x50 ifHCOutBroadcastPkts: u64,
        0x58 ifOutErrors: u64,
        0x60 ifOutDiscards: u64,
        0x68 ifHCInUcastOctets: u64,
        0x70 ifHCInMulticastOctets: u64,
        0x78 ifHCInBroadcastOctets: u64,
        0x80 ifHCOutUcastOctets: u64,
        0x88 ifHCOutMulticastOctets: u64,
        0x90 ifHCOutBroadcastOctets: u64,
    }

    pub struct NDIS_INTERRUPT_MODERATION_PARAMETERS(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 InterruptModeration: NDIS_INTERRUPT_MODERATION,
    }
}

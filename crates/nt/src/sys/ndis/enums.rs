//! Enumerations of NDIS.

enumerations! {
    pub type NDIS_REQUEST_TYPE {
        NdisRequestQueryInformation = 0,
        NdisRequestSetInformation = 1,
        NdisRequestQueryStatistics = 2,
        NdisRequestOpen = 3,
        NdisRequestClose = 4,
        NdisRequestSend = 5,
        NdisRequestTransferData = 6,
        NdisRequestReset = 7,
        NdisRequestGeneric1 = 8,
        NdisRequestGeneric2 = 9,
        NdisRequestGeneric3 = 10,
        NdisRequestGeneric4 = 11,
        NdisRequestMethod = 12,
    }
    pub type NDIS_MEDIUM {
        NdisMedium802_3 = 0,
        NdisMedium802_5 = 1,
        NdisMediumFddi = 2,
        NdisMediumWan = 3,
        NdisMediumLocalTalk = 4,
        NdisMediumDix = 5,
        NdisMediumArcnetRaw = 6,
        NdisMediumArcnet878_2 = 7,
        NdisMediumAtm = 8,
        NdisMediumWirelessWan = 9,
        NdisMediumIrda = 10,
        NdisMediumBpc = 11,
        NdisMediumCoWan = 12,
        NdisMedium1394 = 13,
        NdisMediumInfiniBand = 14,
        NdisMediumTunnel = 15,
        NdisMediumNative802_11 = 16,
        NdisMediumLoopback = 17,
        NdisMediumWiMAX = 18,
        NdisMediumIP = 19,
        NdisMediumMax = 20,
    }
    pub type NDIS_PHYSICAL_MEDIUM {
        NdisPhysicalMediumUnspecified = 0,
        NdisPhysicalMediumWirelessLan = 1,
        NdisPhysicalMediumCableModem = 2,
        NdisPhysicalMediumPhoneLine = 3,
        NdisPhysicalMediumPowerLine = 4,
        NdisPhysicalMediumDSL = 5,
        NdisPhysicalMediumFibreChannel = 6,
        NdisPhysicalMedium1394 = 7,
        NdisPhysicalMediumWirelessWan = 8,
        NdisPhysicalMediumNative802_11 = 9,
        NdisPhysicalMediumBluetooth = 10,
        NdisPhysicalMediumInfiniband = 11,
        NdisPhysicalMediumWiMax = 12,
        NdisPhysicalMediumUWB = 13,
        NdisPhysicalMedium802_3 = 14,
        NdisPhysicalMedium802_5 = 15,
        NdisPhysicalMediumIrda = 16,
        NdisPhysicalMediumWiredWAN = 17,
        NdisPhysicalMediumWiredCoWan = 18,
        NdisPhysicalMediumOther = 19,
        NdisPhysicalMediumNative802_15_4 = 20,
        NdisPhysicalMediumMax = 21,
    }
    pub type NDIS_NET_BUFFER_LIST_INFO {
        TcpIpChecksumNetBufferListInfo = 0,
        TcpOffloadBytesTransferred = 0,
        IPsecOffloadV1NetBufferListInfo = 1,
        IPsecOffloadV2NetBufferListInfo = 1,
        TcpLargeSendNetBufferListInfo = 2,
        TcpReceiveNoPush = 2,
        ClassificationHandleNetBufferListInfo = 3,
        Ieee8021QNetBufferListInfo = 4,
        NetBufferListCancelId = 5,
        MediaSpecificInformation = 6,
        NetBufferListFrameType = 7,
        NetBufferListProtocolId = 7,
        NetBufferListHashValue = 8,
        NetBufferListHashInfo = 9,
        WfpNetBufferListInfo = 10,
        IPsecOffloadV2TunnelNetBufferListInfo = 11,
        IPsecOffloadV2HeaderNetBufferListInfo = 12,
        NetBufferListCorrelationId = 13,
        NetBufferListFilteringInfo = 14,
        MediaSpecificInformationEx = 15,
        NblOriginalInterfaceIfIndex = 16,
        NblReAuthWfpFlowContext = 16,
        TcpReceiveBytesTransferred = 17,
        NrtNameResolutionId = 17,
        UdpRecvSegCoalesceOffloadInfo = 17,
        SwitchForwardingReserved = 18,
        SwitchForwardingDetail = 19,
        VirtualSubnetInfo = 20,
        IMReserved = 21,
        TcpRecvSegCoalesceInfo = 22,
        UdpSegmentationOffloadInfo = 22,
        RscTcpTimestampDelta = 23,
        TcpSendOffloadsSupplementalNetBufferListInfo = 23,
        GftOffloadInformation = 24,
        GftFlowEntryId = 25,
        NetBufferListInfoReserved3 = 26,
        MaxNetBufferListInfo = 27,
    }
    pub type NDIS_PARAMETER_TYPE {
        NdisParameterInteger = 0,
        NdisParameterHexInteger = 1,
        NdisParameterString = 2,
        NdisParameterMultiString = 3,
        NdisParameterBinary = 4,
    }
    pub type NDIS_INTERFACE_TYPE {
        NdisInterfaceInternal = 0,
        NdisInterfaceIsa = 1,
        NdisInterfaceEisa = 2,
        NdisInterfaceMca = 3,
        NdisInterfaceTurboChannel = 4,
        NdisInterfacePci = 5,
        NdisInterfacePcMcia = 8,
        NdisInterfaceCBus = 9,
        NdisInterfaceMPIBus = 10,
        NdisInterfaceMPSABus = 11,
        NdisInterfaceProcessorInternal = 12,
        NdisInterfaceInternalPowerBus = 13,
        NdisInterfacePNPISABus = 14,
        NdisInterfacePNPBus = 15,
        NdisInterfaceUSB = 16,
        NdisInterfaceIrda = 17,
        NdisInterface1394 = 18,
        NdisMaximumInterfaceType = 19,
    }
    pub type NDIS_HALT_ACTION {
        NdisHaltDeviceDisabled = 0,
        NdisHaltDeviceInstanceDeInitialized = 1,
        NdisHaltDevicePoweredDown = 2,
        NdisHaltDeviceSurpriseRemoved = 3,
        NdisHaltDeviceFailed = 4,
        NdisHaltDeviceInitializationFailed = 5,
        NdisHaltDeviceStopped = 6,
    }
    pub type NDIS_SHUTDOWN_ACTION {
        NdisShutdownPowerOff = 0,
        NdisShutdownBugCheck = 1,
    }
    pub type NDIS_PORT_TYPE {
        NdisPortTypeUndefined = 0,
        NdisPortTypeBridge = 1,
        NdisPortTypeRasConnection = 2,
        NdisPortType8021xSupplicant = 3,
        NdisPortTypeNdisImPlatform = 4,
        NdisPortTypeMax = 5,
    }
    pub type NDIS_PORT_CONTROL_STATE {
        NdisPortControlStateUnknown = 0,
        NdisPortControlStateControlled = 1,
        NdisPortControlStateUncontrolled = 2,
    }
    pub type NDIS_PORT_AUTHORIZATION_STATE {
        NdisPortAuthorizationUnknown = 0,
        NdisPortAuthorized = 1,
        NdisPortUnauthorized = 2,
        NdisPortReauthorizing = 3,
    }
    pub type NDIS_SUPPORTED_PAUSE_FUNCTIONS {
        NdisPauseFunctionsUnsupported = 0,
        NdisPauseFunctionsSendOnly = 1,
        NdisPauseFunctionsReceiveOnly = 2,
        NdisPauseFunctionsSendAndReceive = 3,
        NdisPauseFunctionsUnknown = 4,
    }
    pub type NDIS_INTERRUPT_MODERATION {
        NdisInterruptModerationUnknown = 0,
        NdisInterruptModerationNotSupported = 1,
        NdisInterruptModerationEnabled = 2,
        NdisInterruptModerationDisabled = 3,
    }
    pub type NDIS_INTERRUPT_TYPE {
        NDIS_CONNECT_LINE_BASED = 1,
        NDIS_CONNECT_MESSAGE_BASED = 2,
    }
    pub type NDIS_RSS_PROFILE {
        NdisRssProfileClosest = 1,
        NdisRssProfileClosestStatic = 2,
        NdisRssProfileNuma = 3,
        NdisRssProfileNumaStatic = 4,
        NdisRssProfileConservative = 5,
        NdisRssProfileMaximum = 6,
    }
    pub type NDIS_DEVICE_PNP_EVENT {
        NdisDevicePnPEventQueryRemoved = 0,
        NdisDevicePnPEventRemoved = 1,
        NdisDevicePnPEventSurpriseRemoved = 2,
        NdisDevicePnPEventQueryStopped = 3,
        NdisDevicePnPEventStopped = 4,
        NdisDevicePnPEventPowerProfileChanged = 5,
        NdisDevicePnPEventFilterListChanged = 6,
        NdisDevicePnPEventMaximum = 7,
    }
    pub type NDIS_DEVICE_POWER_STATE {
        NdisDeviceStateUnspecified = 0,
        NdisDeviceStateD0 = 1,
        NdisDeviceStateD1 = 2,
        NdisDeviceStateD2 = 3,
        NdisDeviceStateD3 = 4,
        NdisDeviceStateMaximum = 5,
    }
    pub type NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS {
        NDIS_RFC6877_464XLAT_OFFLOAD_NOT_SUPPORTED = 0,
        NDIS_RFC6877_464XLAT_OFFLOAD_DISABLED = 1,
        NDIS_RFC6877_464XLAT_OFFLOAD_ENABLED = 2,
        NDIS_RFC6877_464XLAT_OFFLOAD_ON_DEMAND = 3,
    }
    pub type NET_PNP_EVENT_CODE {
        NetEventSetPower = 0,
        NetEventQueryPower = 1,
        NetEventQueryRemoveDevice = 2,
        NetEventCancelRemoveDevice = 3,
        NetEventReconfigure = 4,
        NetEventBindList = 5,
        NetEventBindsComplete = 6,
        NetEventPnPCapabilities = 7,
        NetEventPause = 8,
        NetEventRestart = 9,
        NetEventPortActivation = 10,
        NetEventPortDeactivation = 11,
        NetEventIMReEnableDevice = 12,
        NetEventNDKEnable = 13,
        NetEventNDKDisable = 14,
        NetEventFilterPreDetach = 15,
        NetEventBindFailed = 16,
        NetEventSwitchActivate = 17,
        NetEventAllowBindsAbove = 18,
        NetEventInhibitBindsAbove = 19,
        NetEventAllowStart = 20,
        NetEventRequirePause = 21,
        NetEventUploadGftFlowEntries = 22,
        NetEventMaximum = 23,
    }
    pub type NET_IF_ACCESS_TYPE {
        NET_IF_ACCESS_LOOPBACK = 1,
        NET_IF_ACCESS_BROADCAST = 2,
        NET_IF_ACCESS_POINT_TO_POINT = 3,
        NET_IF_ACCESS_POINT_TO_MULTI_POINT = 4,
        NET_IF_ACCESS_MAXIMUM = 5,
    }
    pub type NET_IF_CONNECTION_TYPE {
        NET_IF_CONNECTION_DEDICATED = 1,
        NET_IF_CONNECTION_PASSIVE = 2,
        NET_IF_CONNECTION_DEMAND = 3,
        NET_IF_CONNECTION_MAXIMUM = 4,
    }
    pub type NET_IF_DIRECTION_TYPE {
        NET_IF_DIRECTION_SENDRECEIVE = 0,
        NET_IF_DIRECTION_SENDONLY = 1,
        NET_IF_DIRECTION_RECEIVEONLY = 2,
        NET_IF_DIRECTION_MAXIMUM = 3,
    }
    pub type NET_IF_MEDIA_CONNECT_STATE {
        MediaConnectStateUnknown = 0,
        MediaConnectStateConnected = 1,
        MediaConnectStateDisconnected = 2,
    }
    pub type NET_IF_MEDIA_DUPLEX_STATE {
        MediaDuplexStateUnknown = 0,
        MediaDuplexStateHalf = 1,
        MediaDuplexStateFull = 2,
    }
    pub type NET_IF_OPER_STATUS {
        NET_IF_OPER_STATUS_UP = 1,
        NET_IF_OPER_STATUS_DOWN = 2,
        NET_IF_OPER_STATUS_TESTING = 3,
        NET_IF_OPER_STATUS_UNKNOWN = 4,
        NET_IF_OPER_STATUS_DORMANT = 5,
        NET_IF_OPER_STATUS_NOT_PRESENT = 6,
        NET_IF_OPER_STATUS_LOWER_LAYER_DOWN = 7,
    }
    pub type NDIS_MEDIA_STATE {
        NdisMediaStateConnected = 0,
        NdisMediaStateDisconnected = 1,
    }
    pub type NDIS_POWER_PROFILE {
        NdisPowerProfileBattery = 0,
        NdisPowerProfileAcOnLine = 1,
    }
    pub type NDIS_PROCESSOR_TYPE {
        NdisProcessorX86 = 0,
        NdisProcessorMips = 1,
        NdisProcessorAlpha = 2,
        NdisProcessorPpc = 3,
        NdisProcessorAmd64 = 4,
        NdisProcessorIA64 = 5,
        NdisProcessorArm = 6,
        NdisProcessorArm64 = 7,
    }
}

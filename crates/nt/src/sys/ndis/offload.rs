//! Task offloads and time stamps.

use crate::sys::*;

foreign! {
    pub struct NDIS_OFFLOAD(0xd8, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Checksum: NDIS_TCP_IP_CHECKSUM_OFFLOAD,
        0x24 LsoV1: NDIS_TCP_LARGE_SEND_OFFLOAD_V1,
        0x34 IPsecV1: NDIS_IPSEC_OFFLOAD_V1,
        0x50 LsoV2: NDIS_TCP_LARGE_SEND_OFFLOAD_V2,
        0x6c Flags: u32,
        0x70 IPsecV2: NDIS_IPSEC_OFFLOAD_V2,
        0x90 Rsc: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD,
        0x94 EncapsulatedPacketTaskOffloadGre: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD,
        0x9c EncapsulatedPacketTaskOffloadVxlan: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2,
        0xb0 EncapsulationTypes: u8,
        0xb4 Rfc6877Xlat: NDIS_RFC6877_464XLAT_OFFLOAD,
        0xbc UdpSegmentation: NDIS_UDP_SEGMENTATION_OFFLOAD,
    }

    pub struct NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters(0x2, 2) {
        0x00 VxlanUDPPortNumber: u16,
    }

    pub union NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters(0x4, 4) {
        0x00 VxlanParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters_VxlanParameters,
        0x00 Value: u32,
    }

    pub struct NDIS_OFFLOAD_PARAMETERS_UdpSegmentation(0x2, 1) {
        0x00 IPv4: u8,
        0x01 IPv6: u8,
    }

    pub struct NDIS_OFFLOAD_PARAMETERS(0x24, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 IPv4Checksum: u8,
        0x05 TCPIPv4Checksum: u8,
        0x06 UDPIPv4Checksum: u8,
        0x07 TCPIPv6Checksum: u8,
        0x08 UDPIPv6Checksum: u8,
        0x09 LsoV1: u8,
        0x0a IPsecV1: u8,
        0x0b LsoV2IPv4: u8,
        0x0c LsoV2IPv6: u8,
        0x0d TcpConnectionIPv4: u8,
        0x0e TcpConnectionIPv6: u8,
        0x10 Flags: u32,
        0x14 IPsecV2: u8,
        0x15 IPsecV2IPv4: u8,
        0x16 RscIPv4: u8,
        0x17 RscIPv6: u8,
        0x18 EncapsulatedPacketTaskOffload: u8,
        0x19 EncapsulationTypes: u8,
        0x1c EncapsulationProtocolParameters: NDIS_OFFLOAD_PARAMETERS_EncapsulationProtocolParameters,
        0x20 UdpSegmentation: NDIS_OFFLOAD_PARAMETERS_UdpSegmentation,
    }

    pub struct NDIS_OFFLOAD_ENCAPSULATION_IPv4(0xc, 4) {
        0x00 Enabled: u32,
        0x04 EncapsulationType: u32,
        0x08 HeaderSize: u32,
    }

    pub struct NDIS_OFFLOAD_ENCAPSULATION_IPv6(0xc, 4) {
        0x00 Enabled: u32,
        0x04 EncapsulationType: u32,
        0x08 HeaderSize: u32,
    }

    pub struct NDIS_OFFLOAD_ENCAPSULATION(0x1c, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 IPv4: NDIS_OFFLOAD_ENCAPSULATION_IPv4,
        0x10 IPv6: NDIS_OFFLOAD_ENCAPSULATION_IPv6,
    }

    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit(0x8, 4) {
        0x00 Encapsulation: u32,
        0x04 Bits: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit_Bits,
    }

    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive(0x8, 4) {
        0x00 Encapsulation: u32,
        0x04 Bits: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive_Bits,
    }

    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit(0x8, 4) {
        0x00 Encapsulation: u32,
        0x04 Bits: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit_Bits,
    }

    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive(0x8, 4) {
        0x00 Encapsulation: u32,
        0x04 Bits: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive_Bits,
    }

    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD(0x20, 4) {
        0x00 IPv4Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit,
        0x08 IPv4Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive,
        0x10 IPv6Transmit: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit,
        0x18 IPv6Receive: NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive,
    }

    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4(0x10, 4) {
        0x00 Encapsulation: u32,
        0x04 MaxOffLoadSize: u32,
        0x08 MinSegmentCount: u32,
        0x0c Bits: NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4_Bits,
    }

    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1(0x10, 4) {
        0x00 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4,
    }

    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4(0xc, 4) {
        0x00 Encapsulation: u32,
        0x04 MaxOffLoadSize: u32,
        0x08 MinSegmentCount: u32,
    }

    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6(0x10, 4) {
        0x00 Encapsulation: u32,
        0x04 MaxOffLoadSize: u32,
        0x08 MinSegmentCount: u32,
        0x0c Bits: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6_Bits,
    }

    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2(0x1c, 4) {
        0x00 IPv4: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv4,
        0x0c IPv6: NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6,
    }

    pub struct NDIS_IPSEC_OFFLOAD_V1_Supported(0x14, 4) {
        0x00 Encapsulation: u32,
        0x04 AhEspCombined: u32,
        0x08 TransportTunnelCombined: u32,
        0x0c IPv4Options: u32,
        0x10 Flags: u32,
    }

    pub struct NDIS_IPSEC_OFFLOAD_V1(0x1c, 4) {
        0x00 Supported: NDIS_IPSEC_OFFLOAD_V1_Supported,
        0x14 IPv4AH: NDIS_IPSEC_OFFLOAD_V1_IPv4AH,
        0x18 IPv4ESP: NDIS_IPSEC_OFFLOAD_V1_IPv4ESP,
    }

    pub struct NDIS_IPSEC_OFFLOAD_V2(0x20, 4) {
        0x00 Encapsulation: u32,
        0x04 IPv6Supported: u8,
        0x05 IPv4Options: u8,
        0x06 IPv6NonIPsecExtensionHeaders: u8,
        0x07 Ah: u8,
        0x08 Esp: u8,
        0x09 AhEspCombined: u8,
        0x0a Transport: u8,
        0x0b Tunnel: u8,
        0x0c TransportTunnelCombined: u8,
        0x0d LsoSupported: u8,
        0x0e ExtendedSequenceNumbers: u8,
        0x10 UdpEsp: u32,
        0x14 AuthenticationAlgorithms: u32,
        0x18 EncryptionAlgorithms: u32,
        0x1c SaOffloadCapacity: u32,
    }

    pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4(0x1, 1) {
        0x00 Enabled: u8,
    }

    pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6(0x1, 1) {
        0x00 Enabled: u8,
    }

    pub struct NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD(0x2, 1) {
        0x00 IPv4: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv4,
        0x01 IPv6: NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD_IPv6,
    }

    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD(0x8, 4) {
        0x00 Bits: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_Bits,
        0x04 MaxHeaderSizeSupported: u32,
    }

    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo(0x4, 2) {
        0x00 VxlanUDPPortNumber: u16,
        0x02 Bits: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo_Bits,
    }

    pub union NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo(0x4, 4) {
        0x00 VxlanInfo: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo,
        0x00 Value: u32,
    }

    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2(0x14, 4) {
        0x00 Bits: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_Bits,
        0x04 MaxHeaderSizeSupported: u32,
        0x08 EncapsulationProtocolInfo: NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo,
        0x0c Reserved1: u32,
        0x10 Reserved2: u32,
    }

    pub struct NDIS_RFC6877_464XLAT_OFFLOAD(0x8, 4) {
        0x00 XlatOffload: NDIS_RFC6877_464XLAT_OFFLOAD_OPTIONS,
        0x04 Flags: u32,
    }

    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4(0xc, 4) {
        0x00 Encapsulation: u32,
        0x04 MaxOffLoadSize: u32,
        0x08 Bits: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4_Bits,
    }

    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6(0x10, 4) {
        0x00 Encapsulation: u32,
        0x04 MaxOffLoadSize: u32,
        0x08 Bits: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6_Bits,
        0x0c Bits1: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6_Bits13,
    }

    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD(0x1c, 4) {
        0x00 IPv4: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4,
        0x0c IPv6: NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6,
    }

    pub struct NDIS_TIMESTAMP_CAPABILITIES(0x38, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x08 HardwareClockFrequencyHz: u64,
        0x10 CrossTimestamp: u8,
        0x18 Reserved1: u64,
        0x20 Reserved2: u64,
        0x28 TimestampFlags: NDIS_TIMESTAMP_CAPABILITY_FLAGS,
    }

    pub struct NDIS_TIMESTAMP_CAPABILITY_FLAGS(0xe, 1) {
        0x00 PtpV2OverUdpIPv4EventMsgReceiveHw: u8,
        0x01 PtpV2OverUdpIPv4AllMsgReceiveHw: u8,
        0x02 PtpV2OverUdpIPv4EventMsgTransmitHw: u8,
        0x03 PtpV2OverUdpIPv4AllMsgTransmitHw: u8,
        0x04 PtpV2OverUdpIPv6EventMsgReceiveHw: u8,
        0x05 PtpV2OverUdpIPv6AllMsgReceiveHw: u8,
        0x06 PtpV2OverUdpIPv6EventMsgTransmitHw: u8,
        0x07 PtpV2OverUdpIPv6AllMsgTransmitHw: u8,
        0x08 AllReceiveHw: u8,
        0x09 AllTransmitHw: u8,
        0x0a TaggedTransmitHw: u8,
        0x0b AllReceiveSw: u8,
        0x0c AllTransmitSw: u8,
        0x0d TaggedTransmitSw: u8,
    }

    pub struct NDIS_HARDWARE_CROSSTIMESTAMP(0x20, 8) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 SystemTimestamp1: u64,
        0x10 HardwareClockTimestamp: u64,
        0x18 SystemTimestamp2: u64,
    }
}

bits! {
    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit_Bits(u32) {
        IpOptionsSupported: 0..2,
        TcpOptionsSupported: 2..4,
        TcpChecksum: 4..6,
        UdpChecksum: 6..8,
        IpChecksum: 8..10,
    }
    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive_Bits(u32) {
        IpOptionsSupported: 0..2,
        TcpOptionsSupported: 2..4,
        TcpChecksum: 4..6,
        UdpChecksum: 6..8,
        IpChecksum: 8..10,
    }
    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit_Bits(u32) {
        IpExtensionHeadersSupported: 0..2,
        TcpOptionsSupported: 2..4,
        TcpChecksum: 4..6,
        UdpChecksum: 6..8,
    }
    pub struct NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive_Bits(u32) {
        IpExtensionHeadersSupported: 0..2,
        TcpOptionsSupported: 2..4,
        TcpChecksum: 4..6,
        UdpChecksum: 6..8,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V1_IPv4_Bits(u32) {
        TcpOptions: 0..2,
        IpOptions: 2..4,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6_Bits(u32) {
        IpExtensionHeadersSupported: 0..2,
        TcpOptionsSupported: 2..4,
    }
    pub struct NDIS_IPSEC_OFFLOAD_V1_IPv4AH(u32) {
        Md5: 0..2,
        Sha_1: 2..4,
        Transport: 4..6,
        Tunnel: 6..8,
        Send: 8..10,
        Receive: 10..12,
    }
    pub struct NDIS_IPSEC_OFFLOAD_V1_IPv4ESP(u32) {
        Des: 0..2,
        Reserved: 2..4,
        TripleDes: 4..6,
        NullEsp: 6..8,
        Transport: 8..10,
        Tunnel: 10..12,
        Send: 12..14,
        Receive: 14..16,
    }
    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_Bits(u32) {
        TransmitChecksumOffloadSupported: 0..4,
        ReceiveChecksumOffloadSupported: 4..8,
        LsoV2Supported: 8..12,
        RssSupported: 12..16,
        VmqSupported: 16..20,
        UsoSupported: 20..24,
        Reserved: 24..32,
    }
    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_Bits(u32) {
        TransmitChecksumOffloadSupported: 0..4,
        ReceiveChecksumOffloadSupported: 4..8,
        LsoV2Supported: 8..12,
        RssSupported: 12..16,
        VmqSupported: 16..20,
        UsoSupported: 20..24,
        Reserved: 24..32,
    }
    pub struct NDIS_ENCAPSULATED_PACKET_TASK_OFFLOAD_V2_EncapsulationProtocolInfo_VxlanInfo_Bits(u16) {
        VxlanUDPPortNumberConfigurable: 0..1,
    }
    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv4_Bits(u32) {
        MinSegmentCount: 0..6,
        SubMssFinalSegmentSupported: 6..7,
        Reserved: 7..32,
    }
    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6_Bits(u32) {
        MinSegmentCount: 0..6,
        SubMssFinalSegmentSupported: 6..7,
        Reserved1: 7..32,
    }
    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_IPv6_Bits13(u32) {
        IpExtensionHeadersSupported: 0..2,
        Reserved2: 2..32,
    }
}

//! What travels in the `NetBufferListInfo` slots.

use crate::sys::*;

foreign! {
    pub union NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO(0x8, 8) {
        0x00 Transmit: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit,
        0x00 Receive: NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive,
        0x00 Value: PVOID,
    }

    pub union NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO(0x8, 8) {
        0x00 Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0x00 LsoV1Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit,
        0x00 LsoV1TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete,
        0x00 LsoV2Transmit: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit,
        0x00 LsoV2TransmitComplete: NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete,
        0x00 Value: PVOID,
    }

    pub union NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO(0x8, 8) {
        0x00 Transmit: NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit,
        0x00 Value: PVOID,
    }

    pub struct NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive(0x4, 2) {
        0x00 SegCount: u16,
        0x02 SegSize: u16,
    }

    pub union NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO(0x8, 8) {
        0x00 Receive: NDIS_UDP_RSC_OFFLOAD_NET_BUFFER_LIST_INFO_Receive,
        0x00 Value: PVOID,
    }

    pub union NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO(0x8, 8) {
        0x00 EncapsulatedPacketOffsets: NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets,
        0x00 Value: PVOID,
    }

    pub struct NDIS_RSC_NBL_INFO_Info(0x4, 2) {
        0x00 CoalescedSegCount: u16,
        0x02 DupAckCount: u16,
    }

    pub union NDIS_RSC_NBL_INFO(0x8, 8) {
        0x00 Info: NDIS_RSC_NBL_INFO_Info,
        0x00 Value: PVOID,
    }

    pub union NDIS_NET_BUFFER_LIST_8021Q_INFO(0x8, 8) {
        0x00 TagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader,
        0x00 WLanTagHeader: NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader,
        0x00 Value: PVOID,
    }

    pub union NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo(0x2, 2) {
        0x00 QueueId: u16,
        0x00 VPortId: u16,
    }

    pub struct NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo(0x4, 2) {
        0x00 FilterId: u16,
        0x02 QueueVPortInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo_QueueVPortInfo,
    }

    pub union NDIS_NET_BUFFER_LIST_FILTERING_INFO(0x8, 8) {
        0x00 FilteringInfo: NDIS_NET_BUFFER_LIST_FILTERING_INFO_FilteringInfo,
        0x00 Value: PVOID,
    }

    pub struct NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO_s(0x8, 4) {
        0x00 Bits: NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO_s_Bits,
        0x04 Reserved: u32,
    }

    pub union NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO(0x8, 8) {
        0x00 s: NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO_s,
        0x00 Value: PVOID,
    }

    pub union NDIS_NET_BUFFER_LIST_MEDIA_SPECIFIC_INFO(0x8, 8) {
        0x00 MediaSpecificInfo: PVOID,
        0x00 NativeWifiSpecificInfo: PVOID,
        0x00 Value: PVOID,
    }

    pub struct NET_BUFFER_LIST_TIMESTAMP(0x8, 8) {
        0x00 Timestamp: u64,
    }

    #[repr(align(16))]
    pub struct NDIS_NBL_MEDIA_SPECIFIC_INFORMATION(0x20, 16) {
        0x00 NextEntry: *mut NDIS_NBL_MEDIA_SPECIFIC_INFORMATION,
        0x08 Tag: u32,
        0x0c _pad0: [u8; 4],
        0x10 Data: [u8; 1],
    }
}

bits! {
    pub struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Transmit(u32) {
        IsIPv4: 0..1,
        IsIPv6: 1..2,
        TcpChecksum: 2..3,
        UdpChecksum: 3..4,
        IpHeaderChecksum: 4..5,
        Reserved: 5..16,
        TcpHeaderOffset: 16..26,
    }
    pub struct NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO_Receive(u32) {
        TcpChecksumFailed: 0..1,
        UdpChecksumFailed: 1..2,
        IpChecksumFailed: 2..3,
        TcpChecksumSucceeded: 3..4,
        UdpChecksumSucceeded: 4..5,
        IpChecksumSucceeded: 5..6,
        Loopback: 6..7,
        TcpChecksumValueInvalid: 7..8,
        IpChecksumValueInvalid: 8..9,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit(u32) {
        Unused: 0..30,
        Type: 30..31,
        Reserved2: 31..32,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1Transmit(u32) {
        MSS: 0..20,
        TcpHeaderOffset: 20..30,
        Type: 30..31,
        Reserved2: 31..32,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV1TransmitComplete(u32) {
        TcpPayload: 0..30,
        Type: 30..31,
        Reserved2: 31..32,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2Transmit(u32) {
        MSS: 0..20,
        TcpHeaderOffset: 20..30,
        Type: 30..31,
        IPVersion: 31..32,
    }
    pub struct NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO_LsoV2TransmitComplete(u32) {
        Reserved: 0..30,
        Type: 30..31,
        Reserved2: 31..32,
    }
    pub struct NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO_Transmit(u32) {
        MSS: 0..20,
        UdpHeaderOffset: 20..30,
        Reserved: 30..31,
        IPVersion: 31..32,
    }
    pub struct NDIS_TCP_SEND_OFFLOADS_SUPPLEMENTAL_NET_BUFFER_LIST_INFO_EncapsulatedPacketOffsets(u32) {
        IsEncapsulatedPacket: 0..1,
        EncapsulatedPacketOffsetsValid: 1..2,
        InnerFrameOffset: 2..10,
        TransportIpHeaderRelativeOffset: 10..16,
        TcpHeaderRelativeOffset: 16..26,
        IsInnerIPv6: 26..27,
        TcpOptionsPresent: 27..28,
        Reserved: 28..32,
    }
    pub struct NDIS_NET_BUFFER_LIST_8021Q_INFO_TagHeader(u32) {
        UserPriority: 0..3,
        CanonicalFormatId: 3..4,
        VlanId: 4..16,
        Reserved: 16..32,
    }
    pub struct NDIS_NET_BUFFER_LIST_8021Q_INFO_WLanTagHeader(u32) {
        UserPriority: 0..3,
        CanonicalFormatId: 3..4,
        VlanId: 4..16,
        WMMInfo: 16..20,
        Reserved: 20..32,
    }
    pub struct NDIS_NET_BUFFER_LIST_VIRTUAL_SUBNET_INFO_s_Bits(u32) {
        VirtualSubnetId: 0..24,
        ReservedVsidBits: 24..32,
    }
}

//! Receive-side scaling.

use crate::sys::*;

foreign! {
    pub struct NDIS_RECEIVE_SCALE_CAPABILITIES(0x14, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 CapabilitiesFlags: u32,
        0x08 NumberOfInterruptMessages: u32,
        0x0c NumberOfReceiveQueues: u32,
        0x10 NumberOfIndirectionTableEntries: u16,
    }

    pub struct NDIS_RECEIVE_SCALE_PARAMETERS(0x2c, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u16,
        0x06 BaseCpuNumber: u16,
        0x08 HashInformation: u32,
        0x0c IndirectionTableSize: u16,
        0x10 IndirectionTableOffset: u32,
        0x14 HashSecretKeySize: u16,
        0x18 HashSecretKeyOffset: u32,
        0x1c ProcessorMasksOffset: u32,
        0x20 NumberOfProcessorMasks: u32,
        0x24 ProcessorMasksEntrySize: u32,
        0x28 DefaultProcessorNumber: PROCESSOR_NUMBER,
    }

    pub struct NDIS_RECEIVE_SCALE_PARAMETERS_V2(0x1c, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 HashInformation: u32,
        0x0c HashSecretKeySize: u32,
        0x10 HashSecretKeyOffset: u32,
        0x14 NumberOfQueues: u32,
        0x18 NumberOfIndirectionTableEntries: u32,
    }

    pub struct NDIS_RECEIVE_HASH_PARAMETERS(0x14, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 HashInformation: u32,
        0x0c HashSecretKeySize: u16,
        0x10 HashSecretKeyOffset: u32,
    }

    pub struct NDIS_RSS_PROCESSOR(0x8, 2) {
        0x00 ProcNum: PROCESSOR_NUMBER,
        0x04 PreferenceIndex: u16,
        0x06 Reserved: u16,
    }

    pub struct NDIS_RSS_PROCESSOR_INFO(0x28, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 RssBaseProcessor: PROCESSOR_NUMBER,
        0x0c MaxNumRssProcessors: u32,
        0x10 PreferredNumaNode: u16,
        0x14 RssProcessorArrayOffset: u32,
        0x18 RssProcessorCount: u32,
        0x1c RssProcessorEntrySize: u32,
        0x20 RssMaxProcessor: PROCESSOR_NUMBER,
        0x24 RssProfile: NDIS_RSS_PROFILE,
    }

    pub struct NDIS_RSS_SET_INDIRECTION_ENTRY(0x18, 4) {
        0x00 SwitchId: u32,
        0x04 VPortId: u32,
        0x08 Flags: u32,
        0x0c IndirectionTableIndex: u16,
        0x0e TargetProcessorNumber: PROCESSOR_NUMBER,
        0x14 EntryStatus: i32,
    }

    pub struct NDIS_RSS_SET_INDIRECTION_ENTRIES(0x14, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 RssEntrySize: u32,
        0x0c RssEntryTableOffset: u32,
        0x10 NumberOfRssEntries: u32,
    }

    pub struct NDIS_RECEIVE_FILTER_CAPABILITIES(0x54, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 Flags: u32,
        0x08 EnabledFilterTypes: u32,
        0x0c EnabledQueueTypes: u32,
        0x10 NumQueues: u32,
        0x14 SupportedQueueProperties: u32,
        0x18 SupportedFilterTests: u32,
        0x1c SupportedHeaders: u32,
        0x20 SupportedMacHeaderFields: u32,
        0x24 MaxMacHeaderFilters: u32,
        0x28 MaxQueueGroups: u32,
        0x2c MaxQueuesPerQueueGroup: u32,
        0x30 MinLookaheadSplitSize: u32,
        0x34 MaxLookaheadSplitSize: u32,
        0x38 SupportedARPHeaderFields: u32,
        0x3c SupportedIPv4HeaderFields: u32,
        0x40 SupportedIPv6HeaderFields: u32,
        0x44 SupportedUdpHeaderFields: u32,
        0x48 MaxFieldTestsPerPacketCoalescingFilter: u32,
        0x4c MaxPacketCoalescingFilters: u32,
        0x50 NdisReserved: u32,
    }
}

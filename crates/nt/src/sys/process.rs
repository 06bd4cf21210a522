//! Process attachment and processor topology.

use crate::sys::*;

foreign! {
    pub struct KAPC_STATE(0x30, 8) {
        0x00 ApcListHead: [LIST_ENTRY; 2],
        0x20 Process: *mut EPROCESS,
        0x28 InProgressFlags: u8,
        0x29 KernelApcPending: u8,
        0x2a UserApcPending: u8,
    }

    pub struct KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT(0x10, 4) {
        0x00 State: KE_PROCESSOR_CHANGE_NOTIFY_STATE,
        0x04 NtNumber: u32,
        0x08 Status: i32,
        0x0c ProcNumber: PROCESSOR_NUMBER,
    }

    pub union SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX_u0(0x48, 8) {
        0x00 Processor: PROCESSOR_RELATIONSHIP,
        0x00 NumaNode: NUMA_NODE_RELATIONSHIP,
        0x00 Cache: CACHE_RELATIONSHIP,
        0x00 Group: GROUP_RELATIONSHIP,
    }

    pub struct SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX(0x50, 8) {
        0x00 Relationship: LOGICAL_PROCESSOR_RELATIONSHIP,
        0x04 Size: u32,
        0x08 u: SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX_u0,
    }

    pub struct PROCESSOR_RELATIONSHIP(0x28, 8) {
        0x00 Flags: u8,
        0x01 EfficiencyClass: u8,
        0x02 Reserved: [u8; 20],
        0x16 GroupCount: u16,
        0x18 GroupMask: [GROUP_AFFINITY; 1],
    }

    pub struct NUMA_NODE_RELATIONSHIP(0x28, 8) {
        0x00 NodeNumber: u32,
        0x04 Reserved: [u8; 20],
        0x18 GroupMask: GROUP_AFFINITY,
    }

    pub struct CACHE_RELATIONSHIP(0x30, 8) {
        0x00 Level: u8,
        0x01 Associativity: u8,
        0x02 LineSize: u16,
        0x04 CacheSize: u32,
        0x08 Type: PROCESSOR_CACHE_TYPE,
        0x0c Reserved: [u8; 20],
        0x20 GroupMask: GROUP_AFFINITY,
    }

    pub struct GROUP_RELATIONSHIP(0x48, 8) {
        0x00 MaximumGroupCount: u16,
        0x02 ActiveGroupCount: u16,
        0x04 Reserved: [u8; 20],
        0x18 GroupInfo: [PROCESSOR_GROUP_INFO; 1],
    }

    pub struct PROCESSOR_GROUP_INFO(0x30, 8) {
        0x00 MaximumProcessorCount: u8,
        0x01 ActiveProcessorCount: u8,
        0x02 Reserved: [u8; 38],
        0x28 ActiveProcessorMask: u64,
    }
}

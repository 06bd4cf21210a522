//! Net buffers, net buffer lists and their pools.

use crate::sys::*;

foreign! {
    #[repr(align(16))]
    pub struct NET_BUFFER(0xb0, 16) {
        0x00 Next: *mut NET_BUFFER,
        0x08 CurrentMdl: *mut MDL,
        0x10 CurrentMdlOffset: u32,
        0x14 _pad0: [u8; 4],
        0x18 DataLength: u32,
        0x20 MdlChain: *mut MDL,
        0x28 DataOffset: u32,
        0x2c _pad1: [u8; 4],
        0x30 ChecksumBias: u16,
        0x32 Reserved: u16,
        0x38 NdisPoolHandle: PVOID,
        0x40 NdisReserved: [PVOID; 2],
        0x50 ProtocolReserved: [PVOID; 6],
        0x80 MiniportReserved: [PVOID; 4],
        0xa0 DataPhysicalAddress: LARGE_INTEGER,
        0xa8 SharedMemoryInfo: *mut NET_BUFFER_SHARED_MEMORY,
    }

    #[repr(align(16))]
    pub struct NET_BUFFER_LIST(0x170, 16) {
        0x00 Next: *mut NET_BUFFER_LIST,
        0x08 FirstNetBuffer: *mut NET_BUFFER,
        0x10 Context: *mut NET_BUFFER_LIST_CONTEXT,
        0x18 ParentNetBufferList: *mut NET_BUFFER_LIST,
        0x20 NdisPoolHandle: PVOID,
        0x28 _pad0: [u8; 8],
        0x30 NdisReserved: [PVOID; 2],
        0x40 ProtocolReserved: [PVOID; 4],
        0x60 MiniportReserved: [PVOID; 2],
        0x70 Scratch: PVOID,
        0x78 SourceHandle: PVOID,
        0x80 NblFlags: u32,
        0x84 ChildRefCount: i32,
        0x88 Flags: u32,
        0x8c Status: NDIS_STATUS,
        0x90 NetBufferListInfo: [PVOID; 27],
    }

    #[repr(align(16))]
    pub struct NET_BUFFER_LIST_CONTEXT(0x10, 16) {
        0x00 Next: *mut NET_BUFFER_LIST_CONTEXT,
        0x08 Size: u16,
        0x0a Offset: u16,
        0x0c _pad0: [u8; 4],
        0x10 ContextData: [u8; 0],
    }

    pub struct NET_BUFFER_SHARED_MEMORY(0x20, 8) {
        0x00 NextSharedMemorySegment: *mut NET_BUFFER_SHARED_MEMORY,
        0x08 SharedMemoryFlags: u32,
        0x10 SharedMemoryHandle: PVOID,
        0x18 SharedMemoryOffset: u32,
        0x1c SharedMemoryLength: u32,
    }

    pub struct NET_BUFFER_LIST_POOL_PARAMETERS(0x10, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 ProtocolId: u8,
        0x05 fAllocateNetBuffer: u8,
        0x06 ContextSize: u16,
        0x08 PoolTag: u32,
        0x0c DataSize: u32,
    }

    pub struct NET_BUFFER_POOL_PARAMETERS(0xc, 4) {
        0x00 Header: NDIS_OBJECT_HEADER,
        0x04 PoolTag: u32,
        0x08 DataSize: u32,
    }
}

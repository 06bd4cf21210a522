//! DMA adapters and scatter-gather lists.

use crate::sys::*;

foreign! {
    pub struct DMA_ADAPTER(0x10, 8) {
        0x00 Version: u16,
        0x02 Size: u16,
        0x08 DmaOperations: *mut DMA_OPERATIONS,
    }

    pub struct DMA_OPERATIONS(0x110, 8) {
        0x00 Size: u32,
        0x08 PutDmaAdapter: PPUT_DMA_ADAPTER,
        0x10 AllocateCommonBuffer: PALLOCATE_COMMON_BUFFER,
        0x18 FreeCommonBuffer: PFREE_COMMON_BUFFER,
        0x20 AllocateAdapterChannel: UNTYPED_FN,
        0x28 FlushAdapterBuffers: UNTYPED_FN,
        0x30 FreeAdapterChannel: UNTYPED_FN,
        0x38 FreeMapRegisters: UNTYPED_FN,
        0x40 MapTransfer: UNTYPED_FN,
        0x48 GetDmaAlignment: PGET_DMA_ALIGNMENT,
        0x50 ReadDmaCounter: UNTYPED_FN,
        0x58 GetScatterGatherList: PGET_SCATTER_GATHER_LIST,
        0x60 PutScatterGatherList: PPUT_SCATTER_GATHER_LIST,
        0x68 CalculateScatterGatherList: UNTYPED_FN,
        0x70 BuildScatterGatherList: UNTYPED_FN,
        0x78 BuildMdlFromScatterGatherList: UNTYPED_FN,
        0x80 GetDmaAdapterInfo: UNTYPED_FN,
        0x88 GetDmaTransferInfo: UNTYPED_FN,
        0x90 InitializeDmaTransferContext: UNTYPED_FN,
        0x98 AllocateCommonBufferEx: UNTYPED_FN,
        0xa0 AllocateAdapterChannelEx: UNTYPED_FN,
        0xa8 ConfigureAdapterChannel: UNTYPED_FN,
        0xb0 CancelAdapterChannel: UNTYPED_FN,
        0xb8 MapTransferEx: UNTYPED_FN,
        0xc0 GetScatterGatherListEx: UNTYPED_FN,
        0xc8 BuildScatterGatherListEx: UNTYPED_FN,
        0xd0 FlushAdapterBuffersEx: UNTYPED_FN,
        0xd8 FreeAdapterObject: UNTYPED_FN,
        0xe0 CancelMappedTransfer: UNTYPED_FN,
        0xe8 AllocateDomainCommonBuffer: UNTYPED_FN,
        0xf0 FlushDmaBuffer: UNTYPED_FN,
        0xf8 JoinDmaDomain: UNTYPED_FN,
        0x100 LeaveDmaDomain: UNTYPED_FN,
        0x108 GetDmaDomain: UNTYPED_FN,
    }

    pub struct DEVICE_DESCRIPTION(0x40, 8) {
        0x00 Version: u32,
        0x04 Master: u8,
        0x05 ScatterGather: u8,
        0x06 DemandMode: u8,
        0x07 AutoInitialize: u8,
        0x08 Dma32BitAddresses: u8,
        0x09 IgnoreCount: u8,
        0x0a Reserved1: u8,
        0x0b Dma64BitAddresses: u8,
        0x0c BusNumber: u32,
        0x10 DmaChannel: u32,
        0x14 InterfaceType: INTERFACE_TYPE,
        0x18 DmaWidth: DMA_WIDTH,
        0x1c DmaSpeed: DMA_SPEED,
        0x20 MaximumLength: u32,
        0x24 DmaPort: u32,
        0x28 DmaAddressWidth: u32,
        0x2c DmaControllerInstance: u32,
        0x30 DmaRequestLine: u32,
        0x38 DeviceAddress: LARGE_INTEGER,
    }

    pub struct SCATTER_GATHER_ELEMENT(0x18, 8) {
        0x00 Address: LARGE_INTEGER,
        0x08 Length: u32,
        0x10 Reserved: u64,
    }

    pub struct SCATTER_GATHER_LIST(0x10, 8) {
        0x00 NumberOfElements: u32,
        0x08 Reserved: usize,
        0x10 Elements: [SCATTER_GATHER_ELEMENT; 0],
    }
}

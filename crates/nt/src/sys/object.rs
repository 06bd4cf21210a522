//! Driver, device and file objects.

use crate::sys::*;

foreign! {
    pub struct DRIVER_OBJECT(0x150, 8) {
        0x00 Type: i16,
        0x02 Size: i16,
        0x08 DeviceObject: *mut DEVICE_OBJECT,
        0x10 Flags: u32,
        0x18 DriverStart: PVOID,
        0x20 DriverSize: u32,
        0x28 DriverSection: PVOID,
        0x30 DriverExtension: *mut DRIVER_EXTENSION,
        0x38 DriverName: UNICODE_STRING,
        0x48 HardwareDatabase: *mut UNICODE_STRING,
        0x50 FastIoDispatch: *mut FAST_IO_DISPATCH,
        0x58 DriverInit: PDRIVER_INITIALIZE,
        0x60 DriverStartIo: PDRIVER_STARTIO,
        0x68 DriverUnload: PDRIVER_UNLOAD,
        0x70 MajorFunction: [PDRIVER_DISPATCH; 28],
    }

    pub struct DRIVER_EXTENSION(0x28, 8) {
        0x00 DriverObject: *mut DRIVER_OBJECT,
        0x08 AddDevice: PDRIVER_ADD_DEVICE,
        0x10 Count: u32,
        0x18 ServiceKeyName: UNICODE_STRING,
    }

    pub struct FAST_IO_DISPATCH(0xe0, 8) {
        0x00 SizeOfFastIoDispatch: u32,
        0x08 FastIoCheckIfPossible: UNTYPED_FN,
        0x10 FastIoRead: UNTYPED_FN,
        0x18 FastIoWrite: UNTYPED_FN,
        0x20 FastIoQueryBasicInfo: UNTYPED_FN,
        0x28 FastIoQueryStandardInfo: UNTYPED_FN,
        0x30 FastIoLock: UNTYPED_FN,
        0x38 FastIoUnlockSingle: UNTYPED_FN,
        0x40 FastIoUnlockAll: UNTYPED_FN,
        0x48 FastIoUnlockAllByKey: UNTYPED_FN,
        0x50 FastIoDeviceControl: PFAST_IO_DEVICE_CONTROL,
        0x58 AcquireFileForNtCreateSection: UNTYPED_FN,
        0x60 ReleaseFileForNtCreateSection: UNTYPED_FN,
        0x68 FastIoDetachDevice: PFAST_IO_DETACH_DEVICE,
        0x70 FastIoQueryNetworkOpenInfo: UNTYPED_FN,
        0x78 AcquireForModWrite: UNTYPED_FN,
        0x80 MdlRead: UNTYPED_FN,
        0x88 MdlReadComplete: UNTYPED_FN,
        0x90 PrepareMdlWrite: UNTYPED_FN,
        0x98 MdlWriteComplete: UNTYPED_FN,
        0xa0 FastIoReadCompressed: UNTYPED_FN,
        0xa8 FastIoWriteCompressed: UNTYPED_FN,
        0xb0 MdlReadCompleteCompressed: UNTYPED_FN,
        0xb8 MdlWriteCompleteCompressed: UNTYPED_FN,
        0xc0 FastIoQueryOpen: UNTYPED_FN,
        0xc8 ReleaseForModWrite: UNTYPED_FN,
        0xd0 AcquireForCcFlush: UNTYPED_FN,
        0xd8 ReleaseForCcFlush: UNTYPED_FN,
    }

    pub union DEVICE_OBJECT_Queue(0x48, 8) {
        0x00 ListEntry: LIST_ENTRY,
        0x00 Wcb: WAIT_CONTEXT_BLOCK,
    }

    #[repr(align(16))]
    pub struct DEVICE_OBJECT(0x150, 16) {
        0x00 Type: i16,
        0x02 Size: u16,
        0x04 ReferenceCount: i32,
        0x08 DriverObject: *mut DRIVER_OBJECT,
        0x10 NextDevice: *mut DEVICE_OBJECT,
        0x18 AttachedDevice: *mut DEVICE_OBJECT,
        0x20 CurrentIrp: *mut IRP,
        0x28 Timer: PVOID,
        0x30 Flags: u32,
        0x34 Characteristics: u32,
        0x38 Vpb: *mut VPB,
        0x40 DeviceExtension: PVOID,
        0x48 DeviceType: u32,
        0x4c StackSize: i8,
        0x50 Queue: DEVICE_OBJECT_Queue,
        0x98 AlignmentRequirement: u32,
        0xa0 DeviceQueue: KDEVICE_QUEUE,
        0xc8 Dpc: KDPC,
        0x108 ActiveThreadCount: u32,
        0x110 SecurityDescriptor: PVOID,
        0x118 DeviceLock: KEVENT,
        0x130 SectorSize: u16,
        0x132 Spare1: u16,
        0x138 DeviceObjectExtension: *mut DEVOBJ_EXTENSION,
        0x140 Reserved: PVOID,
    }

    pub struct DEVOBJ_EXTENSION(0x68, 8) {
        0x00 Type: i16,
        0x02 Size: u16,
        0x08 DeviceObject: *mut DEVICE_OBJECT,
        0x10 PowerFlags: u32,
        0x18 Dope: PVOID,
        0x20 ExtensionFlags: u32,
        0x28 DeviceNode: PVOID,
        0x30 AttachedTo: *mut DEVICE_OBJECT,
        0x38 StartIoCount: i32,
        0x3c StartIoKey: i32,
        0x40 StartIoFlags: u32,
        0x48 Vpb: *mut VPB,
        0x50 DependencyNode: PVOID,
        0x58 InterruptContext: PVOID,
        0x60 VerifierContext: PVOID,
    }

    pub struct WAIT_CONTEXT_BLOCK(0x48, 8) {
        0x00 WaitQueueEntry: KDEVICE_QUEUE_ENTRY,
        0x18 DeviceRoutine: PDRIVER_CONTROL,
        0x20 DeviceContext: PVOID,
        0x28 NumberOfMapRegisters: u32,
        0x30 DeviceObject: PVOID,
        0x38 CurrentIrp: PVOID,
        0x40 BufferChainingDpc: *mut KDPC,
    }

    pub struct VPB(0x60, 8) {
        0x00 Type: i16,
        0x02 Size: i16,
        0x04 Flags: u16,
        0x06 VolumeLabelLength: u16,
        0x08 DeviceObject: *mut DEVICE_OBJECT,
        0x10 RealDevice: *mut DEVICE_OBJECT,
        0x18 SerialNumber: u32,
        0x1c ReferenceCount: u32,
        0x20 VolumeLabel: [u16; 32],
    }

    pub struct FILE_OBJECT(0xd8, 8) {
        0x00 Type: i16,
        0x02 Size: i16,
        0x08 DeviceObject: *mut DEVICE_OBJECT,
        0x10 Vpb: *mut VPB,
        0x18 FsContext: PVOID,
        0x20 FsContext2: PVOID,
        0x28 SectionObjectPointer: *mut SECTION_OBJECT_POINTERS,
        0x30 PrivateCacheMap: PVOID,
        0x38 FinalStatus: i32,
        0x40 RelatedFileObject: *mut FILE_OBJECT,
        0x48 LockOperation: u8,
        0x49 DeletePending: u8,
        0x4a ReadAccess: u8,
        0x4b WriteAccess: u8,
        0x4c DeleteAccess: u8,
        0x4d SharedRead: u8,
        0x4e SharedWrite: u8,
        0x4f SharedDelete: u8,
        0x50 Flags: u32,
        0x58 FileName: UNICODE_STRING,
        0x68 CurrentByteOffset: LARGE_INTEGER,
        0x70 Waiters: u32,
        0x74 Busy: u32,
        0x78 LastLock: PVOID,
        0x80 Lock: KEVENT,
        0x98 Event: KEVENT,
        0xb0 CompletionContext: *mut IO_COMPLETION_CONTEXT,
        0xb8 IrpListLock: KSPIN_LOCK,
        0xc0 IrpList: LIST_ENTRY,
        0xd0 FileObjectExtension: PVOID,
    }

    pub struct SECTION_OBJECT_POINTERS(0x18, 8) {
        0x00 DataSectionObject: PVOID,
        0x08 SharedCacheMap: PVOID,
        0x10 ImageSectionObject: PVOID,
    }

    pub struct IO_COMPLETION_CONTEXT(0x10, 8) {
        0x00 Port: PVOID,
        0x08 Key: PVOID,
    }
}

//! I/O requests and their stack locations.

use crate::sys::*;

foreign! {
    pub struct IO_STATUS_BLOCK(0x10, 8) {
        0x00 Status: NTSTATUS,
        0x08 Information: usize,
    }

    pub struct IO_SECURITY_CONTEXT(0x18, 8) {
        0x00 SecurityQos: *mut SECURITY_QUALITY_OF_SERVICE,
        0x08 AccessState: *mut ACCESS_STATE,
        0x10 DesiredAccess: u32,
        0x14 FullCreateOptions: u32,
    }

    pub union IRP_AssociatedIrp(0x8, 8) {
        0x00 MasterIrp: *mut IRP,
        0x00 IrpCount: i32,
        0x00 SystemBuffer: PVOID,
    }

    pub struct IRP_Overlay_AsynchronousParameters(0x10, 8) {
        0x00 UserApcRoutine: PIO_APC_ROUTINE,
        0x08 UserApcContext: PVOID,
    }

    pub union IRP_Overlay(0x10, 8) {
        0x00 AsynchronousParameters: IRP_Overlay_AsynchronousParameters,
        0x00 AllocationSize: LARGE_INTEGER,
    }

    pub struct IRP_Tail_Overlay(0x50, 8) {
        0x00 DriverContext: [PVOID; 4],
        0x20 Thread: *mut KTHREAD,
        0x28 AuxiliaryBuffer: PVOID,
        0x30 ListEntry: LIST_ENTRY,
        0x40 CurrentStackLocation: *mut IO_STACK_LOCATION,
        0x48 OriginalFileObject: *mut FILE_OBJECT,
    }

    pub union IRP_Tail(0x58, 8) {
        0x00 Overlay: IRP_Tail_Overlay,
        0x00 Apc: KAPC,
        0x00 CompletionKey: PVOID,
    }

    #[repr(align(16))]
    pub struct IRP(0xd0, 16) {
        0x00 Type: i16,
        0x02 Size: u16,
        0x08 MdlAddress: *mut MDL,
        0x10 Flags: u32,
        0x18 AssociatedIrp: IRP_AssociatedIrp,
        0x20 ThreadListEntry: LIST_ENTRY,
        0x30 IoStatus: IO_STATUS_BLOCK,
        0x40 RequestorMode: KPROCESSOR_MODE,
        0x41 PendingReturned: u8,
        0x42 StackCount: i8,
        0x43 CurrentLocation: i8,
        0x44 Cancel: u8,
        0x45 CancelIrql: u8,
        0x46 ApcEnvironment: i8,
        0x47 AllocationFlags: u8,
        0x48 UserIosb: *mut IO_STATUS_BLOCK,
        0x50 UserEvent: *mut KEVENT,
        0x58 Overlay: IRP_Overlay,
        0x68 CancelRoutine: PDRIVER_CANCEL,
        0x70 UserBuffer: PVOID,
        0x78 Tail: IRP_Tail,
    }

    pub struct IO_STACK_LOCATION_Parameters_Create(0x20, 8) {
        0x00 SecurityContext: *mut IO_SECURITY_CONTEXT,
        0x08 Options: u32,
        0x0c _pad0: [u8; 4],
        0x10 FileAttributes: u16,
        0x12 ShareAccess: u16,
        0x14 _pad1: [u8; 4],
        0x18 EaLength: u32,
    }

    pub struct IO_STACK_LOCATION_Parameters_Read(0x18, 8) {
        0x00 Length: u32,
        0x04 _pad0: [u8; 4],
        0x08 Key: u32,
        0x10 ByteOffset: LARGE_INTEGER,
    }

    pub struct IO_STACK_LOCATION_Parameters_Write(0x18, 8) {
        0x00 Length: u32,
        0x04 _pad0: [u8; 4],
        0x08 Key: u32,
        0x10 ByteOffset: LARGE_INTEGER,
    }

    #[repr(align(8))]
    pub struct IO_STACK_LOCATION_Parameters_QueryFile(0x10, 8) {
        0x00 Length: u32,
        0x04 _pad0: [u8; 4],
        0x08 FileInformationClass: FILE_INFORMATION_CLASS,
    }

    pub struct IO_STACK_LOCATION_Parameters_SetFile(0x20, 8) {
        0x00 Length: u32,
        0x04 _pad0: [u8; 4],
        0x08 FileInformationClass: FILE_INFORMATION_CLASS,
        0x10 FileObject: *mut FILE_OBJECT,
        0x18 ClusterCount: u32,
    }

    pub struct IO_STACK_LOCATION_Parameters_DeviceIoControl(0x20, 8) {
        0x00 OutputBufferLength: u32,
        0x04 _pad0: [u8; 4],
        0x08 InputBufferLength: u32,
        0x0c _pad1: [u8; 4],
        0x10 IoControlCode: u32,
        0x18 Type3InputBuffer: PVOID,
    }

    #[repr(align(8))]
    pub struct IO_STACK_LOCATION_Parameters_QuerySecurity(0x10, 8) {
        0x00 SecurityInformation: u32,
        0x04 _pad0: [u8; 4],
        0x08 Length: u32,
    }

    pub struct IO_STACK_LOCATION_Parameters_SetSecurity(0x10, 8) {
        0x00 SecurityInformation: u32,
        0x08 SecurityDescriptor: PVOID,
    }

    pub struct IO_STACK_LOCATION_Parameters_WMI(0x20, 8) {
        0x00 ProviderId: usize,
        0x08 DataPath: PVOID,
        0x10 BufferSize: u32,
        0x18 Buffer: PVOID,
    }

    pub struct IO_STACK_LOCATION_Parameters_Others(0x20, 8) {
        0x00 Argument1: PVOID,
        0x08 Argument2: PVOID,
        0x10 Argument3: PVOID,
        0x18 Argument4: PVOID,
    }

    pub union IO_STACK_LOCATION_Parameters(0x20, 8) {
        0x00 Create: IO_STACK_LOCATION_Parameters_Create,
        0x00 Read: IO_STACK_LOCATION_Parameters_Read,
        0x00 Write: IO_STACK_LOCATION_Parameters_Write,
        0x00 QueryFile: IO_STACK_LOCATION_Parameters_QueryFile,
        0x00 SetFile: IO_STACK_LOCATION_Parameters_SetFile,
        0x00 DeviceIoControl: IO_STACK_LOCATION_Parameters_DeviceIoControl,
        0x00 QuerySecurity: IO_STACK_LOCATION_Parameters_QuerySecurity,
        0x00 SetSecurity: IO_STACK_LOCATION_Parameters_SetSecurity,
        0x00 WMI: IO_STACK_LOCATION_Parameters_WMI,
        0x00 Others: IO_STACK_LOCATION_Parameters_Others,
    }

    pub struct IO_STACK_LOCATION(0x48, 8) {
        0x00 MajorFunction: u8,
        0x01 MinorFunction: u8,
        0x02 Flags: u8,
        0x03 Control: u8,
        0x08 Parameters: IO_STACK_LOCATION_Parameters,
        0x28 DeviceObject: *mut DEVICE_OBJECT,
        0x30 FileObject: *mut FILE_OBJECT,
        0x38 CompletionRoutine: PIO_COMPLETION_ROUTINE,
        0x40 Context: PVOID,
    }

    pub struct IO_CSQ(0x40, 8) {
        0x00 Type: u32,
        0x08 CsqInsertIrp: PIO_CSQ_INSERT_IRP,
        0x10 CsqRemoveIrp: PIO_CSQ_REMOVE_IRP,
        0x18 CsqPeekNextIrp: PIO_CSQ_PEEK_NEXT_IRP,
        0x20 CsqAcquireLock: PIO_CSQ_ACQUIRE_LOCK,
        0x28 CsqReleaseLock: PIO_CSQ_RELEASE_LOCK,
        0x30 CsqCompleteCanceledIrp: PIO_CSQ_COMPLETE_CANCELED_IRP,
        0x38 ReservePointer: PVOID,
    }

    pub struct IO_CSQ_IRP_CONTEXT(0x18, 8) {
        0x00 Type: u32,
        0x08 Irp: *mut IRP,
        0x10 Csq: *mut IO_CSQ,
    }
}

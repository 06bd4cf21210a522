//! `Io`: devices, requests, memory descriptor lists, work items.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn IoCreateDevice(
        DriverObject: *mut DRIVER_OBJECT,
        DeviceExtensionSize: u32,
        DeviceName: *mut UNICODE_STRING,
        DeviceType: u32,
        DeviceCharacteristics: u32,
        Exclusive: BOOLEAN,
        DeviceObject: *mut *mut DEVICE_OBJECT,
    ) -> NTSTATUS;
    fn IoDeleteDevice(DeviceObject: *mut DEVICE_OBJECT);
    fn IoCreateSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING, DeviceName: *mut UNICODE_STRING) -> NTSTATUS;
    fn IoDeleteSymbolicLink(SymbolicLinkName: *mut UNICODE_STRING) -> NTSTATUS;
    fn IoGetDeviceObjectPointer(
        ObjectName: *mut UNICODE_STRING,
        DesiredAccess: ACCESS_MASK,
        FileObject: *mut *mut FILE_OBJECT,
        DeviceObject: *mut *mut DEVICE_OBJECT,
    ) -> NTSTATUS;
    fn IoGetDmaAdapter(
        PhysicalDeviceObject: *mut DEVICE_OBJECT,
        DeviceDescription: *mut DEVICE_DESCRIPTION,
        NumberOfMapRegisters: *mut u32,
    ) -> *mut DMA_ADAPTER;

    fn IoAllocateIrp(StackSize: i8, ChargeQuota: BOOLEAN) -> *mut IRP;
    fn IoFreeIrp(Irp: *mut IRP);
    fn IofCallDriver(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS;
    fn IofCompleteRequest(Irp: *mut IRP, PriorityBoost: i8);
    fn IoCancelIrp(Irp: *mut IRP) -> BOOLEAN;
    fn IoAcquireCancelSpinLock(Irql: *mut KIRQL);
    fn IoReleaseCancelSpinLock(Irql: KIRQL);
    fn IoCsqInitialize(
        Csq: *mut IO_CSQ,
        CsqInsertIrp: PIO_CSQ_INSERT_IRP,
        CsqRemoveIrp: PIO_CSQ_REMOVE_IRP,
        CsqPeekNextIrp: PIO_CSQ_PEEK_NEXT_IRP,
        CsqAcquireLock: PIO_CSQ_ACQUIRE_LOCK,
        CsqReleaseLock: PIO_CSQ_RELEASE_LOCK,
        CsqCompleteCanceledIrp: PIO_CSQ_COMPLETE_CANCELED_IRP,
    ) -> NTSTATUS;
    fn IoGetRequestorProcess(Irp: *mut IRP) -> *mut EPROCESS;
    fn IoGetCurrentProcess() -> *mut EPROCESS;
    fn IoIs32bitProcess(Irp: *mut IRP) -> BOOLEAN;

    fn IoAllocateMdl(
        VirtualAddress: PVOID,
        Length: u32,
        SecondaryBuffer: BOOLEAN,
        ChargeQuota: BOOLEAN,
        Irp: *mut IRP,
    ) -> *mut MDL;
    fn IoFreeMdl(Mdl: *mut MDL);
    fn IoBuildPartialMdl(SourceMdl: *mut MDL, TargetMdl: *mut MDL, VirtualAddress: PVOID, Length: u32);

    fn IoSizeofWorkItem() -> u32;
    fn IoAllocateWorkItem(DeviceObject: *mut DEVICE_OBJECT) -> *mut IO_WORKITEM;
    fn IoFreeWorkItem(IoWorkItem: *mut IO_WORKITEM);
    fn IoInitializeWorkItem(IoObject: PVOID, IoWorkItem: *mut IO_WORKITEM);
    fn IoUninitializeWorkItem(IoWorkItem: *mut IO_WORKITEM);
    fn IoQueueWorkItem(
        IoWorkItem: *mut IO_WORKITEM,
        WorkerRoutine: PIO_WORKITEM_ROUTINE,
        QueueType: WORK_QUEUE_TYPE,
        Context: PVOID,
    );
    fn IoQueueWorkItemEx(
        IoWorkItem: *mut IO_WORKITEM,
        WorkerRoutine: PIO_WORKITEM_ROUTINE_EX,
        QueueType: WORK_QUEUE_TYPE,
        Context: PVOID,
    );
} }

//! Types of the functions that drivers give to the kernel and to NDIS, and the scalars in their signatures.

use core::ffi::c_void;

use super::*;

/// Untyped memory.
pub type PVOID = *mut c_void;
/// An object handle, or a handle that NDIS gave out.
pub type HANDLE = PVOID;
pub type NDIS_HANDLE = PVOID;
pub type NTSTATUS = i32;
pub type NDIS_STATUS = i32;
pub type NDIS_OID = u32;
pub type NDIS_PORT_NUMBER = u32;
pub type BOOLEAN = u8;
pub type KIRQL = u8;
pub type KPRIORITY = i32;
pub type KAFFINITY = usize;
pub type KPROCESSOR_MODE = i8;
pub type KSPIN_LOCK = usize;
pub type EX_SPIN_LOCK = i32;
pub type EX_PUSH_LOCK = usize;
pub type ACCESS_MASK = u32;
pub type REGHANDLE = u64;
pub type PHYSICAL_ADDRESS = LARGE_INTEGER;
pub type ANSI_STRING = STRING;
pub type NDIS_STRING = UNICODE_STRING;
pub type KMUTEX = KMUTANT;
pub type NET_LUID = NET_LUID_LH;
pub type NPIID = GUID;
pub type PFN_NUMBER = usize;

macro_rules! opaque {
    ($($(#[$meta:meta])* $name:ident)*) => { $(
        $(#[$meta])*
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )* };
}
opaque! {
    /// A kernel thread object.
    KTHREAD
    /// A process object.
    EPROCESS
    /// A type of objects.
    OBJECT_TYPE
    /// A timer of `ExAllocateTimer`.
    EX_TIMER
    /// A callback object of `ExCreateCallback`.
    CALLBACK_OBJECT
    /// Run-down protection with a counter per processor.
    EX_RUNDOWN_REF_CACHE_AWARE
    /// A work item of `IoAllocateWorkItem`.
    IO_WORKITEM
    /// A counter set of `PcwRegister`.
    PCW_REGISTRATION
    /// An instance of `PcwCreateInstance`.
    PCW_INSTANCE
    /// The buffer of a counter query.
    PCW_BUFFER
    /// A lock of `NdisAllocateRWLock`.
    NDIS_RW_LOCK_EX
}
/// Threads are named by either type in the headers.
pub type ETHREAD = KTHREAD;

callbacks! {
    /// A function whose signature drivers of this kind do not use.
    pub type UNTYPED_FN = fn();

    pub type PDRIVER_INITIALIZE = fn(DriverObject: *mut DRIVER_OBJECT, RegistryPath: *mut UNICODE_STRING) -> NTSTATUS;
    pub type PDRIVER_UNLOAD = fn(DriverObject: *mut DRIVER_OBJECT);
    pub type PDRIVER_DISPATCH = fn(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP) -> NTSTATUS;
    pub type PDRIVER_STARTIO = fn(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    pub type PDRIVER_CANCEL = fn(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP);
    pub type PDRIVER_ADD_DEVICE =
        fn(DriverObject: *mut DRIVER_OBJECT, PhysicalDeviceObject: *mut DEVICE_OBJECT) -> NTSTATUS;
    pub type PDRIVER_CONTROL =
        fn(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP, MapRegisterBase: PVOID, Context: PVOID) -> i32;
    pub type PIO_COMPLETION_ROUTINE = fn(DeviceObject: *mut DEVICE_OBJECT, Irp: *mut IRP, Context: PVOID) -> NTSTATUS;
    pub type PIO_APC_ROUTINE = fn(ApcContext: PVOID, IoStatusBlock: *mut IO_STATUS_BLOCK, Reserved: u32);
    pub type PIO_WORKITEM_ROUTINE = fn(DeviceObject: *mut DEVICE_OBJECT, Context: PVOID);
    pub type PIO_WORKITEM_ROUTINE_EX = fn(IoObject: PVOID, Context: PVOID, IoWorkItem: *mut IO_WORKITEM);
    pub type PFAST_IO_DEVICE_CONTROL = fn(
        FileObject: *mut FILE_OBJECT,
        Wait: BOOLEAN,
        InputBuffer: PVOID,
        InputBufferLength: u32,
        OutputBuffer: PVOID,
        OutputBufferLength: u32,
        IoControlCode: u32,
        IoStatus: *mut IO_STATUS_BLOCK,
        DeviceObject: *mut DEVICE_OBJECT,
    ) -> BOOLEAN;
    pub type PFAST_IO_DETACH_DEVICE = fn(SourceDevice: *mut DEVICE_OBJECT, TargetDevice: *mut DEVICE_OBJECT);

    pub type PIO_CSQ_INSERT_IRP = fn(Csq: *mut IO_CSQ, Irp: *mut IRP);
    pub type PIO_CSQ_REMOVE_IRP = fn(Csq: *mut IO_CSQ, Irp: *mut IRP);
    pub type PIO_CSQ_PEEK_NEXT_IRP = fn(Csq: *mut IO_CSQ, Irp: *mut IRP, PeekContext: PVOID) -> *mut IRP;
    pub type PIO_CSQ_ACQUIRE_LOCK = fn(Csq: *mut IO_CSQ, Irql: *mut KIRQL);
    pub type PIO_CSQ_RELEASE_LOCK = fn(Csq: *mut IO_CSQ, Irql: KIRQL);
    pub type PIO_CSQ_COMPLETE_CANCELED_IRP = fn(Csq: *mut IO_CSQ, Irp: *mut IRP);

    pub type PKDEFERRED_ROUTINE =
        fn(Dpc: *mut KDPC, DeferredContext: PVOID, SystemArgument1: PVOID, SystemArgument2: PVOID);
    pub type PEXT_CALLBACK = fn(Timer: *mut EX_TIMER, Context: PVOID);
    pub type PEXT_DELETE_CALLBACK = fn(Context: PVOID);
    pub type PKSTART_ROUTINE = fn(StartContext: PVOID);
    pub type PKIPI_BROADCAST_WORKER = fn(Argument: usize) -> usize;
    pub type PEXPAND_STACK_CALLOUT = fn(Parameter: PVOID);
    pub type PWORKER_THREAD_ROUTINE = fn(Parameter: PVOID);
    pub type PCALLBACK_FUNCTION = fn(CallbackContext: PVOID, Argument1: PVOID, Argument2: PVOID);
    pub type PPROCESSOR_CALLBACK_FUNCTION =
        fn(CallbackContext: PVOID, ChangeContext: *mut KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT, OperationStatus: *mut NTSTATUS);
    pub type PALLOCATE_FUNCTION_EX =
        fn(PoolType: POOL_TYPE, NumberOfBytes: usize, Tag: u32, Lookaside: *mut LOOKASIDE_LIST_EX) -> PVOID;
    pub type PFREE_FUNCTION_EX = fn(Buffer: PVOID, Lookaside: *mut LOOKASIDE_LIST_EX);
    pub type PCREATE_PROCESS_NOTIFY_ROUTINE = fn(ParentId: HANDLE, ProcessId: HANDLE, Create: BOOLEAN);
    pub type PEXCEPTION_ROUTINE = fn(
        ExceptionRecord: *mut EXCEPTION_RECORD,
        EstablisherFrame: PVOID,
        ContextRecord: *mut CONTEXT,
        DispatcherContext: PVOID,
    ) -> i32;
    pub type PCOMPARE_FUNCTION = fn(Left: *const c_void, Right: *const c_void) -> i32;

    pub type PRTL_QUERY_REGISTRY_ROUTINE = fn(
        ValueName: *mut u16,
        ValueType: u32,
        ValueData: PVOID,
        ValueLength: u32,
        Context: PVOID,
        EntryContext: PVOID,
    ) -> NTSTATUS;
    pub type PETWENABLECALLBACK = fn(
        SourceId: *const GUID,
        ControlCode: u32,
        Level: u8,
        MatchAnyKeyword: u64,
        MatchAllKeyword: u64,
        FilterData: *mut EVENT_FILTER_DESCRIPTOR,
        CallbackContext: PVOID,
    );
    pub type PPCW_CALLBACK = fn(Type: PCW_CALLBACK_TYPE, Info: *mut PCW_CALLBACK_INFORMATION, Context: PVOID) -> NTSTATUS;

    pub type PPUT_DMA_ADAPTER = fn(DmaAdapter: *mut DMA_ADAPTER);
    pub type PALLOCATE_COMMON_BUFFER = fn(
        DmaAdapter: *mut DMA_ADAPTER,
        Length: u32,
        LogicalAddress: *mut PHYSICAL_ADDRESS,
        CacheEnabled: BOOLEAN,
    ) -> PVOID;
    pub type PFREE_COMMON_BUFFER = fn(
        DmaAdapter: *mut DMA_ADAPTER,
        Length: u32,
        LogicalAddress: PHYSICAL_ADDRESS,
        VirtualAddress: PVOID,
        CacheEnabled: BOOLEAN,
    );
    pub type PGET_DMA_ALIGNMENT = fn(DmaAdapter: *mut DMA_ADAPTER) -> u32;
    pub type PDRIVER_LIST_CONTROL = fn(
        DeviceObject: *mut DEVICE_OBJECT,
        Irp: *mut IRP,
        ScatterGather: *mut SCATTER_GATHER_LIST,
        Context: PVOID,
    );
    pub type PGET_SCATTER_GATHER_LIST = fn(
        DmaAdapter: *mut DMA_ADAPTER,
        DeviceObject: *mut DEVICE_OBJECT,
        Mdl: *mut MDL,
        CurrentVa: PVOID,
        Length: u32,
        ExecutionRoutine: PDRIVER_LIST_CONTROL,
        Context: PVOID,
        WriteToDevice: BOOLEAN,
    ) -> NTSTATUS;
    pub type PPUT_SCATTER_GATHER_LIST =
        fn(DmaAdapter: *mut DMA_ADAPTER, ScatterGather: *mut SCATTER_GATHER_LIST, WriteToDevice: BOOLEAN);

    pub type PNPI_CLIENT_ATTACH_PROVIDER_FN = fn(
        NmrBindingHandle: HANDLE,
        ClientContext: PVOID,
        ProviderRegistrationInstance: *mut NPI_REGISTRATION_INSTANCE,
    ) -> NTSTATUS;
    pub type PNPI_CLIENT_DETACH_PROVIDER_FN = fn(ClientBindingContext: PVOID) -> NTSTATUS;
    pub type PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN = fn(ClientBindingContext: PVOID);
    pub type PNPI_PROVIDER_ATTACH_CLIENT_FN = fn(
        NmrBindingHandle: HANDLE,
        ProviderContext: PVOID,
        ClientRegistrationInstance: *mut NPI_REGISTRATION_INSTANCE,
        ClientBindingContext: PVOID,
        ClientDispatch: *const c_void,
        ProviderBindingContext: *mut PVOID,
        ProviderDispatch: *mut *const c_void,
    ) -> NTSTATUS;
    pub type PNPI_PROVIDER_DETACH_CLIENT_FN = fn(ProviderBindingContext: PVOID) -> NTSTATUS;
    pub type PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN = fn(ProviderBindingContext: PVOID);
}

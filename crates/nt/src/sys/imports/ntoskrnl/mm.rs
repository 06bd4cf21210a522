//! `Mm`: locking and mapping memory.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn MmSizeOfMdl(Base: PVOID, Length: usize) -> usize;
    fn MmCreateMdl(MemoryDescriptorList: *mut MDL, Base: PVOID, Length: usize) -> *mut MDL;
    fn MmProbeAndLockPages(MemoryDescriptorList: *mut MDL, AccessMode: KPROCESSOR_MODE, Operation: LOCK_OPERATION);
    fn MmUnlockPages(MemoryDescriptorList: *mut MDL);
    fn MmBuildMdlForNonPagedPool(MemoryDescriptorList: *mut MDL);
    fn MmMapLockedPagesSpecifyCache(
        MemoryDescriptorList: *mut MDL,
        AccessMode: KPROCESSOR_MODE,
        CacheType: MEMORY_CACHING_TYPE,
        RequestedAddress: PVOID,
        BugCheckOnFailure: u32,
        Priority: u32,
    ) -> PVOID;
    fn MmUnmapLockedPages(BaseAddress: PVOID, MemoryDescriptorList: *mut MDL);
    fn MmProtectMdlSystemAddress(MemoryDescriptorList: *mut MDL, NewProtect: u32) -> NTSTATUS;
    fn MmAllocateMappingAddress(NumberOfBytes: usize, PoolTag: u32) -> PVOID;
    fn MmFreeMappingAddress(BaseAddress: PVOID, PoolTag: u32);
    fn MmMapLockedPagesWithReservedMapping(
        MappingAddress: PVOID,
        PoolTag: u32,
        MemoryDescriptorList: *mut MDL,
        CacheType: MEMORY_CACHING_TYPE,
    ) -> PVOID;
    fn MmUnmapReservedMapping(BaseAddress: PVOID, PoolTag: u32, MemoryDescriptorList: *mut MDL);
    fn MmAllocatePagesForMdlEx(
        LowAddress: PHYSICAL_ADDRESS,
        HighAddress: PHYSICAL_ADDRESS,
        SkipBytes: PHYSICAL_ADDRESS,
        TotalBytes: usize,
        CacheType: MEMORY_CACHING_TYPE,
        Flags: u32,
    ) -> *mut MDL;
    fn MmFreePagesFromMdl(MemoryDescriptorList: *mut MDL);
    fn MmAllocateContiguousMemorySpecifyCache(
        NumberOfBytes: usize,
        LowestAcceptableAddress: PHYSICAL_ADDRESS,
        HighestAcceptableAddress: PHYSICAL_ADDRESS,
        BoundaryAddressMultiple: PHYSICAL_ADDRESS,
        CacheType: MEMORY_CACHING_TYPE,
    ) -> PVOID;
    fn MmFreeContiguousMemory(BaseAddress: PVOID);
    fn MmGetPhysicalAddress(BaseAddress: PVOID) -> PHYSICAL_ADDRESS;
    fn MmIsAddressValid(VirtualAddress: PVOID) -> BOOLEAN;
    fn MmSecureVirtualMemory(Address: PVOID, Size: usize, ProbeMode: u32) -> HANDLE;
    fn MmUnsecureVirtualMemory(SecureHandle: HANDLE);
    fn MmGetSystemRoutineAddress(SystemRoutineName: *mut UNICODE_STRING) -> PVOID;
    fn ProbeForRead(Address: PVOID, Length: usize, Alignment: u32);
    fn ProbeForWrite(Address: PVOID, Length: usize, Alignment: u32);
} }

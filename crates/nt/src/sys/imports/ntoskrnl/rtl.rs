//! `Rtl`: strings, bitmaps, versions, security descriptors, registry helpers.

use core::ffi::c_void;

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const u16);
    fn RtlInitString(DestinationString: *mut STRING, SourceString: *const u8);
    fn RtlInitAnsiString(DestinationString: *mut ANSI_STRING, SourceString: *const u8);
    fn RtlEqualString(String1: *const STRING, String2: *const STRING, CaseInSensitive: BOOLEAN) -> BOOLEAN;
    fn RtlEqualUnicodeString(
        String1: *const UNICODE_STRING,
        String2: *const UNICODE_STRING,
        CaseInSensitive: BOOLEAN,
    ) -> BOOLEAN;
    fn RtlCompareUnicodeString(
        String1: *const UNICODE_STRING,
        String2: *const UNICODE_STRING,
        CaseInSensitive: BOOLEAN,
    ) -> i32;
    fn RtlPrefixUnicodeString(
        String1: *const UNICODE_STRING,
        String2: *const UNICODE_STRING,
        CaseInSensitive: BOOLEAN,
    ) -> BOOLEAN;
    fn RtlCopyUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const UNICODE_STRING);
    fn RtlUpcaseUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *const UNICODE_STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
    fn RtlAnsiStringToUnicodeString(
        DestinationString: *mut UNICODE_STRING,
        SourceString: *const ANSI_STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
    fn RtlUnicodeStringToAnsiString(
        DestinationString: *mut ANSI_STRING,
        SourceString: *const UNICODE_STRING,
        AllocateDestinationString: BOOLEAN,
    ) -> NTSTATUS;
    fn RtlFreeUnicodeString(UnicodeString: *mut UNICODE_STRING);
    fn RtlIntegerToUnicodeString(Value: u32, Base: u32, String: *mut UNICODE_STRING) -> NTSTATUS;
    fn RtlUnicodeStringToInteger(String: *const UNICODE_STRING, Base: u32, Value: *mut u32) -> NTSTATUS;
    fn RtlGUIDFromString(GuidString: *const UNICODE_STRING, Guid: *mut GUID) -> NTSTATUS;
    fn RtlStringFromGUID(Guid: *const GUID, GuidString: *mut UNICODE_STRING) -> NTSTATUS;

    fn RtlInitializeBitMap(BitMapHeader: *mut RTL_BITMAP, BitMapBuffer: *mut u32, SizeOfBitMap: u32);
    fn RtlSetBit(BitMapHeader: *mut RTL_BITMAP, BitNumber: u32);
    fn RtlSetBits(BitMapHeader: *mut RTL_BITMAP, StartingIndex: u32, NumberToSet: u32);
    fn RtlClearBits(BitMapHeader: *mut RTL_BITMAP, StartingIndex: u32, NumberToClear: u32);
    fn RtlFindClearBits(BitMapHeader: *mut RTL_BITMAP, NumberToFind: u32, HintIndex: u32) -> u32;
    fn RtlNumberOfSetBits(BitMapHeader: *mut RTL_BITMAP) -> u32;
    fn RtlFindLeastSignificantBit(Set: u64) -> i8;
    fn RtlFindMostSignificantBit(Set: u64) -> i8;
    fn RtlCompareMemory(Source1: *const c_void, Source2: *const c_void, Length: usize) -> usize;
    fn RtlRandomEx(Seed: *mut u32) -> u32;

    fn RtlGetVersion(VersionInformation: *mut RTL_OSVERSIONINFOW) -> NTSTATUS;
    fn RtlNtStatusToDosErrorNoTeb(Status: NTSTATUS) -> u32;
    fn RtlCaptureStackBackTrace(
        FramesToSkip: u32,
        FramesToCapture: u32,
        BackTrace: *mut PVOID,
        BackTraceHash: *mut u32,
    ) -> u16;
    fn RtlQueryRegistryValues(
        RelativeTo: u32,
        Path: *const u16,
        QueryTable: *mut RTL_QUERY_REGISTRY_TABLE,
        Context: PVOID,
        Environment: PVOID,
    ) -> NTSTATUS;
    fn RtlWriteRegistryValue(
        RelativeTo: u32,
        Path: *const u16,
        ValueName: *const u16,
        ValueType: u32,
        ValueData: PVOID,
        ValueLength: u32,
    ) -> NTSTATUS;

    fn RtlCreateSecurityDescriptor(SecurityDescriptor: PVOID, Revision: u32) -> NTSTATUS;
    fn RtlSetDaclSecurityDescriptor(
        SecurityDescriptor: PVOID,
        DaclPresent: BOOLEAN,
        Dacl: *mut ACL,
        DaclDefaulted: BOOLEAN,
    ) -> NTSTATUS;
    fn RtlCreateAcl(Acl: *mut ACL, AclLength: u32, AclRevision: u32) -> NTSTATUS;
    fn RtlAddAccessAllowedAce(Acl: *mut ACL, AceRevision: u32, AccessMask: ACCESS_MASK, Sid: *mut SID) -> NTSTATUS;
    fn RtlLengthSid(Sid: *mut SID) -> u32;
} }

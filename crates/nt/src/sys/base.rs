//! Lists, strings, integers and other types that everything uses.

use crate::sys::*;

foreign! {
    pub struct LIST_ENTRY(0x10, 8) {
        0x00 Flink: *mut LIST_ENTRY,
        0x08 Blink: *mut LIST_ENTRY,
    }

    pub struct SINGLE_LIST_ENTRY(0x8, 8) {
        0x00 Next: *mut SINGLE_LIST_ENTRY,
    }

    pub union LARGE_INTEGER(0x8, 8) {
        0x00 QuadPart: i64,
    }

    pub union ULARGE_INTEGER(0x8, 8) {
        0x00 QuadPart: u64,
    }

    #[derive(PartialEq, Eq, Debug)]
    pub struct GUID(0x10, 4) {
        0x00 Data1: u32,
        0x04 Data2: u16,
        0x06 Data3: u16,
        0x08 Data4: [u8; 8],
    }

    pub struct UNICODE_STRING(0x10, 8) {
        0x00 Length: u16,
        0x02 MaximumLength: u16,
        0x08 Buffer: *mut u16,
    }

    pub struct STRING(0x10, 8) {
        0x00 Length: u16,
        0x02 MaximumLength: u16,
        0x08 Buffer: *mut u8,
    }

    #[derive(PartialEq, Eq, Debug)]
    pub struct LUID(0x8, 4) {
        0x00 LowPart: u32,
        0x04 HighPart: i32,
    }

    pub struct CLIENT_ID(0x10, 8) {
        0x00 UniqueProcess: HANDLE,
        0x08 UniqueThread: HANDLE,
    }

    #[derive(PartialEq, Eq, Debug)]
    pub struct GROUP_AFFINITY(0x10, 8) {
        0x00 Mask: KAFFINITY,
        0x08 Group: u16,
        0x0a Reserved: [u16; 3],
    }

    #[derive(PartialEq, Eq, Debug)]
    pub struct PROCESSOR_NUMBER(0x4, 2) {
        0x00 Group: u16,
        0x02 Number: u8,
        0x03 Reserved: u8,
    }

    pub struct OBJECT_ATTRIBUTES(0x30, 8) {
        0x00 Length: u32,
        0x08 RootDirectory: HANDLE,
        0x10 ObjectName: *mut UNICODE_STRING,
        0x18 Attributes: u32,
        0x20 SecurityDescriptor: PVOID,
        0x28 SecurityQualityOfService: PVOID,
    }

    pub struct OBJECT_HANDLE_INFORMATION(0x8, 4) {
        0x00 HandleAttributes: u32,
        0x04 GrantedAccess: u32,
    }

    pub struct RTL_BITMAP(0x10, 8) {
        0x00 SizeOfBitMap: u32,
        0x08 Buffer: *mut u32,
    }

    pub struct RTL_OSVERSIONINFOW(0x114, 4) {
        0x00 dwOSVersionInfoSize: u32,
        0x04 dwMajorVersion: u32,
        0x08 dwMinorVersion: u32,
        0x0c dwBuildNumber: u32,
        0x10 dwPlatformId: u32,
        0x14 szCSDVersion: [u16; 128],
    }

    pub struct RTL_OSVERSIONINFOEXW(0x11c, 4) {
        0x00 dwOSVersionInfoSize: u32,
        0x04 dwMajorVersion: u32,
        0x08 dwMinorVersion: u32,
        0x0c dwBuildNumber: u32,
        0x10 dwPlatformId: u32,
        0x14 szCSDVersion: [u16; 128],
        0x114 wServicePackMajor: u16,
        0x116 wServicePackMinor: u16,
        0x118 wSuiteMask: u16,
        0x11a wProductType: u8,
        0x11b wReserved: u8,
    }

    pub struct KSYSTEM_TIME(0xc, 4) {
        0x00 LowPart: u32,
        0x04 High1Time: i32,
        0x08 High2Time: i32,
    }

    pub struct TIME_FIELDS(0x10, 2) {
        0x00 Year: i16,
        0x02 Month: i16,
        0x04 Day: i16,
        0x06 Hour: i16,
        0x08 Minute: i16,
        0x0a Second: i16,
        0x0c Milliseconds: i16,
        0x0e Weekday: i16,
    }
}

//! Extended attributes and file information.

use crate::sys::*;

foreign! {
    pub struct FILE_FULL_EA_INFORMATION(0xc, 4) {
        0x00 NextEntryOffset: u32,
        0x04 Flags: u8,
        0x05 EaNameLength: u8,
        0x06 EaValueLength: u16,
        0x08 EaName: [i8; 1],
    }

    pub struct FILE_BASIC_INFORMATION(0x28, 8) {
        0x00 CreationTime: LARGE_INTEGER,
        0x08 LastAccessTime: LARGE_INTEGER,
        0x10 LastWriteTime: LARGE_INTEGER,
        0x18 ChangeTime: LARGE_INTEGER,
        0x20 FileAttributes: u32,
    }

    pub struct FILE_STANDARD_INFORMATION(0x18, 8) {
        0x00 AllocationSize: LARGE_INTEGER,
        0x08 EndOfFile: LARGE_INTEGER,
        0x10 NumberOfLinks: u32,
        0x14 DeletePending: u8,
        0x15 Directory: u8,
    }

    pub struct FILE_POSITION_INFORMATION(0x8, 8) {
        0x00 CurrentByteOffset: LARGE_INTEGER,
    }

    pub struct FILE_NETWORK_OPEN_INFORMATION(0x38, 8) {
        0x00 CreationTime: LARGE_INTEGER,
        0x08 LastAccessTime: LARGE_INTEGER,
        0x10 LastWriteTime: LARGE_INTEGER,
        0x18 ChangeTime: LARGE_INTEGER,
        0x20 AllocationSize: LARGE_INTEGER,
        0x28 EndOfFile: LARGE_INTEGER,
        0x30 FileAttributes: u32,
    }
}

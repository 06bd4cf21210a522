//! Registry information classes.

use crate::sys::*;

foreign! {
    pub struct KEY_BASIC_INFORMATION(0x18, 8) {
        0x00 LastWriteTime: LARGE_INTEGER,
        0x08 TitleIndex: u32,
        0x0c NameLength: u32,
        0x10 Name: [u16; 1],
    }

    pub struct KEY_FULL_INFORMATION(0x30, 8) {
        0x00 LastWriteTime: LARGE_INTEGER,
        0x08 TitleIndex: u32,
        0x0c ClassOffset: u32,
        0x10 ClassLength: u32,
        0x14 SubKeys: u32,
        0x18 MaxNameLen: u32,
        0x1c MaxClassLen: u32,
        0x20 Values: u32,
        0x24 MaxValueNameLen: u32,
        0x28 MaxValueDataLen: u32,
        0x2c Class: [u16; 1],
    }

    pub struct KEY_VALUE_BASIC_INFORMATION(0x10, 4) {
        0x00 TitleIndex: u32,
        0x04 Type: u32,
        0x08 NameLength: u32,
        0x0c Name: [u16; 1],
    }

    pub struct KEY_VALUE_FULL_INFORMATION(0x18, 4) {
        0x00 TitleIndex: u32,
        0x04 Type: u32,
        0x08 DataOffset: u32,
        0x0c DataLength: u32,
        0x10 NameLength: u32,
        0x14 Name: [u16; 1],
    }

    pub struct KEY_VALUE_PARTIAL_INFORMATION(0x10, 4) {
        0x00 TitleIndex: u32,
        0x04 Type: u32,
        0x08 DataLength: u32,
        0x0c Data: [u8; 1],
    }

    pub struct RTL_QUERY_REGISTRY_TABLE(0x38, 8) {
        0x00 QueryRoutine: PRTL_QUERY_REGISTRY_ROUTINE,
        0x08 Flags: u32,
        0x10 Name: PVOID,
        0x18 EntryContext: PVOID,
        0x20 DefaultType: u32,
        0x28 DefaultData: PVOID,
        0x30 DefaultLength: u32,
    }
}

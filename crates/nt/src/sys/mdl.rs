//! Memory descriptor lists.

use crate::sys::*;

foreign! {
    pub struct MDL(0x30, 8) {
        0x00 Next: *mut MDL,
        0x08 Size: i16,
        0x0a MdlFlags: i16,
        0x10 Process: *mut EPROCESS,
        0x18 MappedSystemVa: PVOID,
        0x20 StartVa: PVOID,
        0x28 ByteCount: u32,
        0x2c ByteOffset: u32,
    }
}

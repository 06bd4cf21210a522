//! Exception records and floating-point state.

use crate::sys::*;

foreign! {
    pub struct EXCEPTION_RECORD(0x98, 8) {
        0x00 ExceptionCode: NTSTATUS,
        0x04 ExceptionFlags: u32,
        0x08 ExceptionRecord: *mut EXCEPTION_RECORD,
        0x10 ExceptionAddress: PVOID,
        0x18 NumberParameters: u32,
        0x20 ExceptionInformation: [usize; 15],
    }

    #[repr(align(16))]
    pub struct M128A(0x10, 16) {
        0x00 Low: u64,
        0x08 High: i64,
    }

    pub struct XSAVE_FORMAT(0x200, 16) {
        0x00 ControlWord: u16,
        0x02 StatusWord: u16,
        0x04 TagWord: u8,
        0x05 Reserved1: u8,
        0x06 ErrorOpcode: u16,
        0x08 ErrorOffset: u32,
        0x0c ErrorSelector: u16,
        0x0e Reserved2: u16,
        0x10 DataOffset: u32,
        0x14 DataSelector: u16,
        0x16 Reserved3: u16,
        0x18 MxCsr: u32,
        0x1c MxCsr_Mask: u32,
        0x20 FloatRegisters: [M128A; 8],
        0xa0 XmmRegisters: [M128A; 16],
        0x1a0 Reserved4: [u8; 96],
    }
}

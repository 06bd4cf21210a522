//! The processor context that exceptions carry.

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use crate::sys::*;

    foreign! {
        pub struct CONTEXT(0x4d0, 16) {
            0x00 P1Home: u64,
            0x08 P2Home: u64,
            0x10 P3Home: u64,
            0x18 P4Home: u64,
            0x20 P5Home: u64,
            0x28 P6Home: u64,
            0x30 ContextFlags: u32,
            0x34 MxCsr: u32,
            0x38 SegCs: u16,
            0x3a SegDs: u16,
            0x3c SegEs: u16,
            0x3e SegFs: u16,
            0x40 SegGs: u16,
            0x42 SegSs: u16,
            0x44 EFlags: u32,
            0x48 Dr0: u64,
            0x50 Dr1: u64,
            0x58 Dr2: u64,
            0x60 Dr3: u64,
            0x68 Dr6: u64,
            0x70 Dr7: u64,
            0x78 Rax: u64,
            0x80 Rcx: u64,
            0x88 Rdx: u64,
            0x90 Rbx: u64,
            0x98 Rsp: u64,
            0xa0 Rbp: u64,
            0xa8 Rsi: u64,
            0xb0 Rdi: u64,
            0xb8 R8: u64,
            0xc0 R9: u64,
            0xc8 R10: u64,
            0xd0 R11: u64,
            0xd8 R12: u64,
            0xe0 R13: u64,
            0xe8 R14: u64,
            0xf0 R15: u64,
            0xf8 Rip: u64,
            0x100 FltSave: XSAVE_FORMAT,
            0x300 VectorRegister: [M128A; 26],
            0x4a0 VectorControl: u64,
            0x4a8 DebugControl: u64,
            0x4b0 LastBranchToRip: u64,
            0x4b8 LastBranchFromRip: u64,
            0x4c0 LastExceptionToRip: u64,
            0x4c8 LastExceptionFromRip: u64,
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    foreign! {
        pub struct ARM64_NT_NEON128(0x10, 8) {
            0x00 Low: u64,
            0x08 High: i64,
        }

        #[repr(align(16))]
        pub struct CONTEXT(0x390, 16) {
            0x00 ContextFlags: u32,
            0x04 Cpsr: u32,
            0x08 X: [u64; 31],
            0x100 Sp: u64,
            0x108 Pc: u64,
            0x110 V: [ARM64_NT_NEON128; 32],
            0x310 Fpcr: u32,
            0x314 Fpsr: u32,
            0x318 Bcr: [u32; 8],
            0x338 Bvr: [u64; 8],
            0x378 Wcr: [u32; 2],
            0x380 Wvr: [u64; 2],
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub use self::aarch64::{ARM64_NT_NEON128, CONTEXT};
#[cfg(target_arch = "x86_64")]
pub use self::x86_64::CONTEXT;

#[cfg(all(test, target_arch = "aarch64"))]
pub(crate) use self::aarch64::LAYOUTS;
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use self::x86_64::LAYOUTS;

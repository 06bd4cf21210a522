//! Status codes that exceptions carry.

pub(crate) const DATATYPE_MISALIGNMENT: u32 = 0x8000_0002;
pub(crate) const BREAKPOINT: u32 = 0x8000_0003;
pub(crate) const SINGLE_STEP: u32 = 0x8000_0004;
pub(crate) const ACCESS_VIOLATION: u32 = 0xc000_0005;
pub(crate) const ILLEGAL_INSTRUCTION: u32 = 0xc000_001d;
pub(crate) const NONCONTINUABLE_EXCEPTION: u32 = 0xc000_0025;
pub(crate) const UNWIND: u32 = 0xc000_0027;
pub(crate) const FLOAT_INVALID_OPERATION: u32 = 0xc000_0090;
pub(crate) const INTEGER_DIVIDE_BY_ZERO: u32 = 0xc000_0094;
pub(crate) const ASSERTION_FAILURE: u32 = 0xc000_0420;

/// An exception in words: its name, its code, and for memory accesses the address.
pub(crate) fn describe(code: u32, information: &[u64]) -> String {
    let name = match code {
        DATATYPE_MISALIGNMENT => "misaligned access",
        BREAKPOINT => "breakpoint",
        SINGLE_STEP => "single step",
        ACCESS_VIOLATION => "access violation",
        0xc000_0006 => "in-page error",
        0xc000_0017 => "out of memory",
        ILLEGAL_INSTRUCTION => "illegal instruction",
        FLOAT_INVALID_OPERATION => "invalid floating-point operation",
        INTEGER_DIVIDE_BY_ZERO => "division by zero",
        0xc000_009a => "insufficient resources",
        ASSERTION_FAILURE => "assertion failure",
        _ => "exception",
    };
    match (code, information) {
        (ACCESS_VIOLATION, &[_, u64::MAX, ..]) => {
            format!("{name} ({code:#010x}) through an address that is not canonical")
        }
        (ACCESS_VIOLATION, &[kind, address, ..]) => {
            let verb = match kind {
                0 => "reading",
                1 => "writing",
                _ => "executing",
            };
            let null = if address < 0x1_0000 {
                ", a null pointer or an offset from one"
            } else {
                ""
            };
            format!("{name} ({code:#010x}) {verb} {address:#x}{null}")
        }
        _ => format!("{name} ({code:#010x})"),
    }
}

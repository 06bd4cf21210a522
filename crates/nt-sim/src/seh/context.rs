//! Processor state and the records that exception handlers are given.

use std::mem::offset_of;

/// `CONTEXT` for x86-64: every register at one place of a driver's code.
#[doc(alias = "CONTEXT")]
#[repr(C, align(16))]
#[derive(Clone)]
pub(crate) struct Context {
    _home: [u64; 6],
    pub(crate) flags: u32,
    pub(crate) mxcsr: u32,
    _segments: [u16; 6],
    pub(crate) eflags: u32,
    _debug: [u64; 6],
    /// Integer registers in the order of their encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8
    /// to R15.
    pub(crate) gpr: [u64; 16],
    pub(crate) rip: u64,
    pub(crate) fx: [u64; 4],
    _st: [u64; 16],
    pub(crate) xmm: [u128; 16],
    _rest: [u64; 12 + 52 + 6],
}

pub(crate) const RAX: usize = 0;
pub(crate) const RBX: usize = 3;
pub(crate) const RSP: usize = 4;
pub(crate) const RBP: usize = 5;
pub(crate) const RSI: usize = 6;
pub(crate) const RDI: usize = 7;
pub(crate) const R12: usize = 12;
pub(crate) const R13: usize = 13;
pub(crate) const R14: usize = 14;
pub(crate) const R15: usize = 15;

/// CONTEXT_AMD64 with control, integer, segment and floating-point parts.
const CONTEXT_ALL: u32 = 0x0010_000f;
const DEFAULT_MXCSR: u32 = 0x1f80;

const _: () = {
    assert!(size_of::<Context>() == 0x4d0);
    assert!(offset_of!(Context, flags) == 0x30);
    assert!(offset_of!(Context, mxcsr) == 0x34);
    assert!(offset_of!(Context, eflags) == 0x44);
    assert!(offset_of!(Context, gpr) == 0x78);
    assert!(offset_of!(Context, rip) == 0xf8);
    assert!(offset_of!(Context, fx) == 0x100);
    assert!(offset_of!(Context, xmm) == 0x1a0);
};

impl Context {
    /// A context with every register zero.
    pub(crate) fn zeroed() -> Context {
        Context {
            _home: [0; 6],
            flags: CONTEXT_ALL,
            mxcsr: DEFAULT_MXCSR,
            _segments: [0x10, 0x2b, 0x2b, 0x53, 0x2b, 0x18],
            eflags: 0x202,
            _debug: [0; 6],
            gpr: [0; 16],
            rip: 0,
            fx: [0; 4],
            _st: [0; 16],
            xmm: [0; 16],
            _rest: [0; 70],
        }
    }

    pub(crate) fn rsp(&self) -> u64 {
        self.gpr[RSP]
    }
}

/// Most information words of an exception.
const PARAMETERS: usize = 15;

/// `EXCEPTION_RECORD`: what happened.
#[doc(alias = "EXCEPTION_RECORD")]
#[repr(C)]
#[derive(Clone, Debug)]
pub(crate) struct ExceptionRecord {
    pub(crate) code: u32,
    pub(crate) flags: u32,
    pub(crate) nested: *mut ExceptionRecord,
    pub(crate) address: u64,
    pub(crate) count: u32,
    _pad: u32,
    pub(crate) information: [u64; PARAMETERS],
}

const _: () = assert!(size_of::<ExceptionRecord>() == 0x98);

impl ExceptionRecord {
    pub(crate) fn new(code: u32, flags: u32, address: u64, information: &[u64]) -> ExceptionRecord {
        let count = information.len().min(PARAMETERS);
        let mut words = [0; PARAMETERS];
        words[..count].copy_from_slice(&information[..count]);
        ExceptionRecord {
            code,
            flags,
            nested: std::ptr::null_mut(),
            address,
            count: count as u32,
            _pad: 0,
            information: words,
        }
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Bits of [`ExceptionRecord::flags`].
pub(crate) mod flag {
    /// Execution cannot go on where the exception happened.
    pub(crate) const NONCONTINUABLE: u32 = 0x01;
    /// Termination handlers are being called.
    pub(crate) const UNWINDING: u32 = 0x02;
    /// Termination handlers of the whole stack are being called.
    pub(crate) const EXIT_UNWIND: u32 = 0x04;
    /// The exception happened inside a handler for another one.
    pub(crate) const NESTED_CALL: u32 = 0x10;
    /// The frame being unwound is the one that handles the exception.
    pub(crate) const TARGET_UNWIND: u32 = 0x20;
    /// The search or unwind took over from an unwind that was going on.
    pub(crate) const COLLIDED_UNWIND: u32 = 0x40;
    /// Termination handlers are to be called, as opposed to filters.
    pub(crate) const ANY_UNWIND: u32 = UNWINDING | EXIT_UNWIND;
}

/// `EXCEPTION_POINTERS`: what a filter is given.
#[repr(C)]
pub(crate) struct ExceptionPointers {
    pub(crate) record: *mut ExceptionRecord,
    pub(crate) context: *mut Context,
}

/// `DISPATCHER_CONTEXT`: what a language handler is given about its frame.
#[doc(alias = "DISPATCHER_CONTEXT")]
#[repr(C)]
#[derive(Clone)]
pub(crate) struct DispatcherContext {
    pub(crate) control_pc: u64,
    pub(crate) image_base: u64,
    pub(crate) function_entry: u64,
    pub(crate) establisher_frame: u64,
    pub(crate) target_ip: u64,
    /// The frame's registers: before unwinding it in the unwind phase.
    pub(crate) context: *mut Context,
    pub(crate) language_handler: u64,
    pub(crate) handler_data: u64,
    pub(crate) history_table: u64,
    pub(crate) scope_index: u32,
    _fill: u32,
}

const _: () = assert!(size_of::<DispatcherContext>() == 80);

impl DispatcherContext {
    pub(crate) fn new() -> DispatcherContext {
        DispatcherContext {
            control_pc: 0,
            image_base: 0,
            function_entry: 0,
            establisher_frame: 0,
            target_ip: 0,
            context: std::ptr::null_mut(),
            language_handler: 0,
            handler_data: 0,
            history_table: 0,
            scope_index: 0,
            _fill: 0,
        }
    }
}

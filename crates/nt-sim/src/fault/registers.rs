//! The registers of the interrupted code, as the signal handler sees and changes them.

use crate::seh::Context;

/// Linux's order of the integer registers, by their encoding.
const GPR: [usize; 16] = [
    libc::REG_RAX as usize,
    libc::REG_RCX as usize,
    libc::REG_RDX as usize,
    libc::REG_RBX as usize,
    libc::REG_RSP as usize,
    libc::REG_RBP as usize,
    libc::REG_RSI as usize,
    libc::REG_RDI as usize,
    libc::REG_R8 as usize,
    libc::REG_R9 as usize,
    libc::REG_R10 as usize,
    libc::REG_R11 as usize,
    libc::REG_R12 as usize,
    libc::REG_R13 as usize,
    libc::REG_R14 as usize,
    libc::REG_R15 as usize,
];

/// Registers of the interrupted code.
pub(super) struct Registers<'a> {
    machine: &'a mut libc::mcontext_t,
}

impl<'a> Registers<'a> {
    pub(super) fn new(machine: &'a mut libc::mcontext_t) -> Registers<'a> {
        Registers { machine }
    }

    pub(super) fn gpr(&self, number: usize) -> u64 {
        self.machine.gregs[GPR[number]] as u64
    }

    pub(super) fn set_gpr(&mut self, number: usize, value: u64) {
        self.machine.gregs[GPR[number]] = value as i64;
    }

    pub(super) fn rip(&self) -> u64 {
        self.machine.gregs[libc::REG_RIP as usize] as u64
    }

    pub(super) fn set_rip(&mut self, value: u64) {
        self.machine.gregs[libc::REG_RIP as usize] = value as i64;
    }

    pub(super) fn flags(&self) -> u64 {
        self.machine.gregs[libc::REG_EFL as usize] as u64
    }

    pub(super) fn set_flags(&mut self, value: u64) {
        self.machine.gregs[libc::REG_EFL as usize] = value as i64;
    }

    /// Number of the processor exception.
    pub(super) fn trap(&self) -> u64 {
        self.machine.gregs[libc::REG_TRAPNO as usize] as u64
    }

    /// Error code of the processor exception.
    pub(super) fn error(&self) -> u64 {
        self.machine.gregs[libc::REG_ERR as usize] as u64
    }

    /// Everything, in the form that exception handlers get.
    pub(super) fn context(&self) -> Context {
        let mut context = Context::zeroed();
        for (number, register) in context.gpr.iter_mut().enumerate() {
            *register = self.gpr(number);
        }
        context.rip = self.rip();
        context.eflags = self.flags() as u32;
        // SAFETY: null, or the floating-point state that the kernel saved on the signal stack.
        if let Some(fp) = unsafe { self.machine.fpregs.as_ref() } {
            context.mxcsr = fp.mxcsr;
            for (to, from) in context.xmm.iter_mut().zip(&fp._xmm) {
                let [a, b, c, d] = from.element.map(u128::from);
                *to = a | b << 32 | c << 64 | d << 96;
            }
        }
        context
    }
}

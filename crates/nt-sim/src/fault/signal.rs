//! The signal handlers.

use std::{
    ptr,
    sync::{
        Once,
        atomic::{AtomicPtr, Ordering},
    },
};

use super::{
    access::{self, Outcome},
    decode, guarded,
    landing::{Event, Place, prepare},
    privileged::{self, Request},
    registers::Registers,
    step,
};
use crate::{
    arch, sched,
    seh::{self, status},
    sync,
};

const SIGNALS: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

/// What was installed before us, per signal.
static PREVIOUS: [AtomicPtr<libc::sigaction>; SIGNALS.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS.len()];

const DEBUG_TRAP: u64 = 1;
const PROTECTION_FAULT: u64 = 13;
const PAGE_FAULT: u64 = 14;
const ERROR_WRITE: u64 = 1 << 1;
const ERROR_FETCH: u64 = 1 << 4;

/// Installs the handlers, once per process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, previous) in SIGNALS.iter().zip(&PREVIOUS) {
            // SAFETY: all-zero bytes are a valid `sigaction`.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                on_signal;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            // SAFETY: as above.
            let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: both structures are valid; the handler chains to the old one.
            let result = unsafe { libc::sigaction(*signal, &raw const action, &raw mut old) };
            assert_eq!(result, 0, "installing a signal handler cannot fail");
            previous.store(Box::into_raw(Box::new(old)), Ordering::Release);
        }
    });
}

/// A stack for the handlers of this thread: deep enough to decode and re-encode instructions.
pub(crate) struct SignalStack {
    memory: Vec<u8>,
    old: libc::stack_t,
}

impl SignalStack {
    const SIZE: usize = 128 * 1024;

    /// Installs a stack for the calling thread until dropped, on the same thread.
    pub(crate) fn install() -> SignalStack {
        let mut memory = vec![0; Self::SIZE];
        let new = libc::stack_t {
            ss_sp: memory.as_mut_ptr().cast(),
            ss_flags: 0,
            ss_size: Self::SIZE,
        };
        // SAFETY: all-zero bytes are a valid `stack_t`.
        let mut old: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: the memory lives until the old stack is back.
        let result = unsafe { libc::sigaltstack(&raw const new, &raw mut old) };
        assert_eq!(result, 0, "installing a signal stack cannot fail");
        SignalStack { memory, old }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        // SAFETY: all-zero bytes are a valid `stack_t`.
        let mut current: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: only asks.
        unsafe { libc::sigaltstack(ptr::null(), &raw mut current) };
        // The standard library takes a thread's stack away, and frees its own, before thread-local
        // values such as this one are dropped.
        if current.ss_sp == self.memory.as_mut_ptr().cast() {
            // SAFETY: the stack that was installed before ours, still in place on this thread.
            unsafe { libc::sigaltstack(&raw const self.old, ptr::null_mut()) };
        }
    }
}

extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    ucontext: *mut libc::c_void,
) {
    // SAFETY: the kernel passes the interrupted code's context, which is ours during the handler.
    let context = unsafe { &mut *ucontext.cast::<libc::ucontext_t>() };
    // SAFETY: the kernel passes what happened; faults carry an address.
    let info_ref = unsafe { &*info };
    // SAFETY: as above.
    let address = unsafe { info_ref.si_addr() } as u64;
    let mut registers = Registers::new(&mut context.uc_mcontext);
    if !handle(signal, address, &mut registers) {
        chain(signal, info, ucontext);
    }
}

/// Deals with a signal, or says that it is not for us.
fn handle(signal: libc::c_int, address: u64, registers: &mut Registers<'_>) -> bool {
    match signal {
        libc::SIGTRAP if step::finish(registers) => return true,
        libc::SIGTRAP if registers.trap() == DEBUG_TRAP => {
            return exception(registers, status::SINGLE_STEP);
        }
        libc::SIGTRAP => return exception(registers, status::BREAKPOINT),
        libc::SIGFPE => return arithmetic(registers),
        libc::SIGILL => return illegal(registers),
        _ => {}
    }
    match registers.trap() {
        PAGE_FAULT => page_fault(address, registers),
        PROTECTION_FAULT => protection_fault(registers),
        _ => exception(registers, status::ACCESS_VIOLATION),
    }
}

fn page_fault(address: u64, registers: &mut Registers<'_>) -> bool {
    let write = registers.error() & ERROR_WRITE != 0;
    let execute = registers.error() & ERROR_FETCH != 0;
    step::cancel(registers);
    let mut event = Event::Page {
        address,
        write,
        execute,
    };
    if !execute {
        match access::emulate(registers, address, write) {
            Outcome::Done => return true,
            Outcome::NotOurs => {}
            Outcome::Refused(fault) => event = Event::User(fault),
        }
    }
    if let Some((rip, rax, rdx)) = guarded::fix_up(registers.rip(), address, write) {
        registers.set_gpr(0, rax);
        registers.set_gpr(2, rdx);
        registers.set_rip(rip);
        return true;
    }
    land(registers, event)
}

fn protection_fault(registers: &mut Registers<'_>) -> bool {
    step::cancel(registers);
    if let Some((rip, rax, rdx)) = guarded::fix_up(registers.rip(), u64::MAX, false) {
        registers.set_gpr(0, rax);
        registers.set_gpr(2, rdx);
        registers.set_rip(rip);
        return true;
    }
    if !decode::in_driver(registers.rip()) {
        return land(registers, Event::NotCanonical);
    }
    let Some(instruction) = decode::at(registers.rip()) else {
        return exception(registers, status::ILLEGAL_INSTRUCTION);
    };
    let event = match privileged::examine(&instruction, registers) {
        Request::Done => return true,
        Request::SetIrql(level) => Event::SetIrql {
            level,
            next: instruction.next_ip(),
        },
        Request::FastFail(code) => Event::FastFail(code),
        Request::AssertionFailure => Event::Exception(status::ASSERTION_FAILURE),
        Request::Forbidden(mnemonic) => Event::Forbidden(mnemonic),
        Request::Ordinary => Event::NotCanonical,
    };
    land(registers, event)
}

fn illegal(registers: &mut Registers<'_>) -> bool {
    if decode::in_driver(registers.rip())
        && let Some(instruction) = decode::at(registers.rip())
        && let Request::Forbidden(mnemonic) = privileged::examine(&instruction, registers)
    {
        return land(registers, Event::Forbidden(mnemonic));
    }
    exception(registers, status::ILLEGAL_INSTRUCTION)
}

fn arithmetic(registers: &mut Registers<'_>) -> bool {
    const DIVIDE_ERROR: u64 = 0;
    let code = if registers.trap() == DIVIDE_ERROR {
        status::INTEGER_DIVIDE_BY_ZERO
    } else {
        status::FLOAT_INVALID_OPERATION
    };
    exception(registers, code)
}

fn exception(registers: &mut Registers<'_>, code: u32) -> bool {
    if code == status::BREAKPOINT && decode::in_driver(registers.rip()) {
        // The processor points behind the instruction, Windows at it.
        let at = registers.rip();
        registers.set_rip(at - 1);
    }
    land(registers, Event::Exception(code))
}

/// Goes on with an event outside of the signal handler, if a driver is concerned.
fn land(registers: &mut Registers<'_>, event: Event) -> bool {
    let rip = registers.rip();
    if sched::try_current().is_none() {
        return false;
    }
    if decode::in_driver(rip) {
        prepare(registers, event, Place::Driver);
        return true;
    }
    // A call to nowhere: the return address tells who.
    if let Event::Page { execute: true, .. } = event
        && let Some(caller) = guarded::read_word(registers.gpr(4) as usize)
        && decode::in_driver(caller)
    {
        prepare(registers, event, Place::Driver);
        return true;
    }
    let code = match event {
        Event::Page { .. } | Event::NotCanonical | Event::User(_) => status::ACCESS_VIOLATION,
        Event::Exception(code) => code,
        _ => return false,
    };
    // Going back would skip kernel code that holds a lock: not what the driver guards.
    if seh::linked_handler_catches() && !sync::any_held() {
        let (rip, rdi, rsi) = seh::linked_way_back(code);
        registers.set_gpr(7, rdi);
        registers.set_gpr(6, rsi);
        registers.set_rip(rip);
        return true;
    }
    if arch::current_call().is_null() || matches!(event, Event::Exception(_)) {
        return false;
    }
    prepare(registers, event, Place::Kernel);
    true
}

/// Passes a signal on to whoever had it before us.
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, ucontext: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|&s| s == signal);
    let previous = index.map_or(ptr::null_mut(), |i| PREVIOUS[i].load(Ordering::Acquire));
    // SAFETY: null, or stored by `install` and never freed.
    let action = unsafe { previous.as_ref() };
    match action {
        Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: an installed handler; one without SA_SIGINFO ignores the other arguments.
            let handler: Handler = unsafe { std::mem::transmute(old.sa_sigaction) };
            handler(signal, info, ucontext);
        }
        _ => {
            // SAFETY: the default action; going on at the instruction makes it happen.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

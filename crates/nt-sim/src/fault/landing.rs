//! Where a fault is dealt with: in ordinary code on the host stack, called as if the faulting
//! instruction had called it.

use std::{
    arch::global_asm,
    mem::offset_of,
    panic::{AssertUnwindSafe, catch_unwind},
};

use iced_x86::Mnemonic;

use super::{privileged, registers::Registers};
use crate::{
    arch, bugcheck, irql,
    mem::{
        is_user, report,
        user::{Access, UserFault},
    },
    pe, sched,
    seh::{self, Context, ExceptionRecord, RBX, RDI, RSP, status},
    symbols, sync,
    verifier::Rule,
};

/// What has happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A memory access that cannot be carried out.
    Page {
        address: u64,
        write: bool,
        execute: bool,
    },
    /// An access to user memory that is refused.
    User(UserFault),
    /// An address that is not canonical.
    NotCanonical,
    /// An exception without parameters.
    Exception(u32),
    /// `mov cr8`.
    SetIrql { level: u8, next: u64 },
    /// `int 0x29`.
    FastFail(u64),
    /// A privileged instruction.
    Forbidden(Mnemonic),
}

/// Whose code faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The driver's.
    Driver,
    /// Kernel code that a driver called.
    Kernel,
}

/// What the handler leaves on the host stack for [`land`].
#[repr(C, align(16))]
struct Landing {
    context: Context,
    event: Event,
    place: Place,
}

unsafe extern "C" {
    safe fn nt_sim_landing();
}

// There is no way back: no return address is needed but the alignment of a call is. The unwinder finds the registers
// of the interrupted code in the landing's context, so that a linked driver's functions are on the stack of a report.
global_asm!(
    ".text",
    ".globl nt_sim_landing",
    ".type nt_sim_landing,@function",
    "nt_sim_landing:",
    ".cfi_startproc",
    ".cfi_signal_frame",
    ".cfi_def_cfa rbx, 0",
    ".cfi_offset rbx, {gpr} + 3*8",
    ".cfi_offset rsp, {gpr} + 4*8",
    ".cfi_offset rbp, {gpr} + 5*8",
    ".cfi_offset r12, {gpr} + 12*8",
    ".cfi_offset r13, {gpr} + 13*8",
    ".cfi_offset r14, {gpr} + 14*8",
    ".cfi_offset r15, {gpr} + 15*8",
    ".cfi_offset rip, {rip}",
    "cld",
    "call {land}",
    "ud2",
    ".cfi_endproc",
    ".size nt_sim_landing, . - nt_sim_landing",
    land = sym land,
    gpr = const offset_of!(Context, gpr),
    rip = const offset_of!(Context, rip),
);

/// Bytes below the interrupted frame that its code may still use.
const RED_ZONE: u64 = 256;

/// Makes the interrupted thread call [`land`] when the signal handler returns.
pub(super) fn prepare(registers: &mut Registers<'_>, event: Event, place: Place) {
    let context = registers.context();
    let stack = host_stack(&context, place);
    let at = (stack - size_of::<Landing>() as u64) & !15;
    let landing = Landing {
        context,
        event,
        place,
    };
    // SAFETY: below everything that lives on the host stack: in strict mode the driver runs on its
    // own stack, otherwise the red zone is skipped.
    unsafe { (at as *mut Landing).write(landing) };
    registers.set_gpr(RSP, at - 256);
    registers.set_gpr(RBX, at);
    registers.set_gpr(RDI, at);
    registers.set_rip(nt_sim_landing as *const () as u64);
}

fn host_stack(context: &Context, place: Place) -> u64 {
    if place == Place::Driver
        && let Some(thread) = sched::try_current()
        && let Some(stack) = thread.stack()
        && runs_on(stack, context.rsp() as usize)
    {
        // SAFETY: the block belongs to this thread.
        return unsafe { (*thread.block()).host_rsp };
    }
    context.rsp() - RED_ZONE
}

fn runs_on(stack: &arch::KernelStack, rsp: usize) -> bool {
    stack.contains(rsp) || stack.guards(rsp)
}

/// Deals with the event. Runs as ordinary code of the simulated kernel.
extern "sysv64" fn land(landing: &mut Landing) -> ! {
    if landing.place == Place::Driver {
        make_room(&landing.context);
    } else {
        sync::abandon();
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| deal_with(landing)));
    let payload = match outcome {
        Ok(never) => never,
        Err(payload) => payload,
    };
    arch::abandon_driver(payload)
}

/// Calls into the driver, such as those of its filters, go below the interrupted frame.
fn make_room(context: &Context) {
    let thread = sched::current();
    if let Some(stack) = thread.stack()
        && stack.contains(context.rsp() as usize)
    {
        let below = (context.rsp() - RED_ZONE) & !15;
        // SAFETY: the block belongs to this thread.
        unsafe { (*thread.block()).kernel_rsp = below };
    }
}

fn deal_with(landing: &mut Landing) -> ! {
    if let (Place::Driver, Event::Page { execute: true, .. }) = (landing.place, &landing.event)
        && let Some(caller) = super::read_word(landing.context.rsp() as usize)
    {
        // The caller is the interesting frame: where control went has none.
        landing.context.rip = caller;
        landing.context.gpr[RSP] += 8;
    }
    let mut context = landing.context.clone();
    if landing.place == Place::Kernel {
        if !symbols::linked_driver_faulted() {
            kernel_fault(&landing.event, &context);
        }
        linked_fault(&mut landing.event);
    }
    // What is reported from here on is reported with the stack of the fault.
    match landing.event.clone() {
        Event::SetIrql { level, next } => {
            if level >= irql::current() {
                irql::raise(level);
            } else {
                irql::lower(level);
            }
            context.rip = next;
            // SAFETY: the driver frame that was interrupted is alive, and nothing of ours is.
            unsafe { seh::restore(&context) }
        }
        Event::FastFail(code) => seh::report_at(&context, || {
            bugcheck!(Rule::FastFail, code, context.rsp();
                "{}: {} (code {code})", pe::describe(context.rip as usize),
                privileged::fast_fail_meaning(code))
        }),
        Event::Forbidden(mnemonic) => seh::report_at(&context, || {
            bugcheck!(Rule::PrivilegedInstruction, context.rip;
                "{} executed {mnemonic:?}, which this simulated machine does not have for drivers",
                pe::describe(context.rip as usize))
        }),
        Event::Exception(code) => raise(code, &[], context.rip, context),
        Event::NotCanonical => access_violation(0, u64::MAX, context),
        Event::User(fault) => user_fault(fault, context),
        Event::Page {
            address,
            write,
            execute,
        } => page_fault(address, write, execute, context),
    }
}

fn raise(code: u32, information: &[u64], address: u64, context: Context) -> ! {
    let record = ExceptionRecord::new(code, 0, address, information);
    seh::dispatch_fault(record, context)
}

fn access_violation(kind: u64, address: u64, context: Context) -> ! {
    let at = context.rip;
    raise(status::ACCESS_VIOLATION, &[kind, address], at, context)
}

fn user_fault(fault: UserFault, context: Context) -> ! {
    use crate::mem::user::Denied;
    let write = fault.access == Access::Write;
    check_irql(fault.address as u64, write, &context);
    if fault.why == Denied::NotAccessible {
        access_violation(write.into(), fault.address as u64, context);
    }
    seh::report_at(&context, || report::user_rule(fault))
}

/// Pages may not be looked for at DISPATCH_LEVEL.
fn check_irql(address: u64, write: bool, context: &Context) {
    let level = irql::current();
    if level < irql::DISPATCH {
        return;
    }
    seh::report_at(context, || {
        bugcheck!(Rule::PageFaultAtDispatch, address, level, write, context.rip;
            "{} {} {address:#x} at {}, where nothing can be brought in{}",
            pe::describe(context.rip as usize), if write { "wrote" } else { "read" },
            irql::name(level), null_words(address))
    })
}

fn null_words(address: u64) -> &'static str {
    if address < 0x1_0000 {
        " (a null pointer or an offset from one)"
    } else {
        ""
    }
}

fn page_fault(address: u64, write: bool, execute: bool, context: Context) -> ! {
    let at = address as usize;
    let thread = sched::current();
    if thread.stack().is_some_and(|stack| stack.guards(at)) {
        seh::report_at(&context, || {
            bugcheck!(Rule::StackOverflow, 8, address, context.rip;
                "{} needs more than the {} bytes of a kernel stack",
                pe::describe(context.rip as usize), arch::KERNEL_STACK_SIZE)
        });
    }
    if let Some(image) = pe::find(at) {
        seh::report_at(&context, || {
            image_fault(image, at, write, execute, &context)
        });
    }
    if execute && !is_user(at) {
        seh::report_at(&context, || {
            bugcheck!(Rule::ExecuteData, address, 0, context.rsp();
                "{} called {address:#x}, which is not code",
                pe::describe(context.rip as usize))
        });
    }
    if is_user(at) {
        check_irql(address, write, &context);
        if execute {
            raise(status::ACCESS_VIOLATION, &[8, address], address, context);
        }
        access_violation(write.into(), address, context);
    }
    let access = if write { Access::Write } else { Access::Read };
    seh::report_at(&context, || report::bad_access(at, access))
}

fn image_fault(
    image: &pe::Image,
    address: usize,
    write: bool,
    execute: bool,
    context: &Context,
) -> ! {
    let who = pe::describe(context.rip as usize);
    let what = pe::describe(address);
    let verb = match (execute, write) {
        (true, _) => "called",
        (false, true) => "wrote",
        (false, false) => "read",
    };
    if image.unloaded() {
        bugcheck!(Rule::UnloadedDriver, address, write, context.rip;
            "{who} {verb} {what} after {} was unloaded: something of it was still pending",
            image.name());
    }
    if image.init_discarded() && image.section_at(address).is_some_and(|s| s.discardable()) {
        bugcheck!(Rule::UnloadedDriver, address, write, context.rip;
            "{who} {verb} {what} in section \"{}\", which is freed once DriverEntry has returned",
            image.section_at(address).map_or("?", |s| s.name.as_str()));
    }
    if execute {
        bugcheck!(Rule::ExecuteData, address;
            "{who} called {what}, which is data");
    }
    bugcheck!(Rule::WriteReadOnly, address, 0, context.rip;
        "{who} {verb} {what}, which is read-only")
}

/// The code of a linked driver faulted. Its accesses to user memory are never carried out elsewhere, so what is there and
/// may be touched is as good as missing.
fn linked_fault(event: &mut Event) {
    if let Event::Page { address, write, .. } = *event
        && is_user(address as usize)
        && irql::current() < irql::DISPATCH
    {
        let access = if write { Access::Write } else { Access::Read };
        let spaces = &crate::kernel::kernel().mem.spaces;
        if let Err(fault) = spaces.resolve(address as usize, 1, access) {
            *event = Event::User(fault);
        }
    }
}

/// Kernel code faulted on what a driver gave it. Its frames cannot be unwound from the middle of
/// an instruction, so they are left as they are: the kernel stops.
fn kernel_fault(event: &Event, context: &Context) -> ! {
    let caller = seh::driver_stack(1).first().copied();
    let function = caller
        .and_then(|address| pe::find(address)?.import_called_before(address))
        .map_or("a kernel function", |import| import.name.as_str());
    let caller = caller.map_or_else(|| "a driver".to_owned(), pe::describe);
    let (address, write) = match *event {
        Event::Page { address, write, .. } => (address, write),
        Event::User(fault) => (fault.address as u64, fault.access == Access::Write),
        _ => bugcheck!(Rule::Simulator, context.rip;
            "{function}, called by {caller}, failed at {:#x}: {event:?}", context.rip),
    };
    let access = if write { Access::Write } else { Access::Read };
    if crate::kernel::kernel()
        .mem
        .pool
        .describe(address as usize)
        .is_some()
    {
        report::bad_access(address as usize, access);
    }
    bugcheck!(Rule::BadPointerArgument, address, write, context.rip;
        "{function}, called by {caller}, faulted {} {address:#x}{}: a bad pointer was passed to it",
        if write { "writing" } else { "reading" }, null_words(address))
}

//! From an exception to the driver code that handles it: search, then unwind.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use super::{
    context::{Context, DispatcherContext, ExceptionRecord, RAX, flag},
    restore::restore,
    unwind::{
        self, Code, EXCEPTION_HANDLER, Handler, Stack, TERMINATION_HANDLER, UnwindError,
        unwind_frame,
    },
};
use crate::{
    arch::{self, CallFrame},
    bugcheck, fault,
    pe::{self, Image},
    verifier::Rule,
};

/// What a language handler answers.
mod disposition {
    pub(super) const CONTINUE_EXECUTION: u32 = 0;
    pub(super) const CONTINUE_SEARCH: u32 = 1;
}

/// Reads the driver's stack, which may be damaged.
pub(super) struct LiveStack;

impl Stack for LiveStack {
    fn word(&self, address: u64) -> Option<u64> {
        fault::read_word(address as usize)
    }
}

/// The unwinder's view of an image.
pub(super) fn code_of(image: &Image) -> Code<'_> {
    Code {
        base: image.base() as u64,
        bytes: image.bytes(),
        functions: image.functions(),
    }
}

/// A handler, filter or termination handler that is running because of an exception. An exception
/// inside it goes on from there to the frames of the first exception.
struct Running {
    previous: *mut Running,
    /// The driver call that the handler was called from.
    caller: *mut CallFrame,
    /// The driver call that the first exception happened in.
    resume_call: *mut CallFrame,
    /// Registers to go on with.
    resume: *const Context,
    /// Set while unwinding: the frame whose termination handlers are being called.
    unwinding: *const DispatcherContext,
}

thread_local! {
    static RUNNING: Cell<*mut Running> = const { Cell::new(ptr::null_mut()) };
    static ORIGIN: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

/// Where the exception being dispatched on this thread happened; null outside of dispatching.
pub(super) fn origin() -> *const Context {
    ORIGIN.get()
}

/// Says where the fault happened that is about to be reported.
pub(super) fn set_origin(context: *const Context) {
    ORIGIN.set(context);
}

/// The innermost handler that is running on this thread.
pub(super) fn running() -> *const () {
    RUNNING.get().cast_const().cast()
}

/// Makes an earlier result of [`running`] the innermost handler again.
pub(super) fn forget_inside(running: *const ()) {
    forget(running.cast_mut().cast());
}

/// Forgets the exceptions of this thread: what was being dispatched has been abandoned.
fn forget(running: *mut Running) {
    RUNNING.set(running);
    // SAFETY: null, or a record of a dispatch that is still on the stack.
    let outer = unsafe { running.as_ref() };
    ORIGIN.set(outer.map_or(ptr::null(), |running| running.resume));
}

/// A walk over driver frames, innermost first.
struct Walk {
    context: Context,
    call: *mut CallFrame,
    running: *mut Running,
    scope_index: u32,
    nested: bool,
    collided: bool,
}

impl Walk {
    fn from(context: Context) -> Walk {
        Walk {
            context,
            call: arch::current_call(),
            running: RUNNING.get(),
            scope_index: 0,
            nested: false,
            collided: false,
        }
    }

    /// The image that the current frame belongs to; goes from a handler's frames on to those of
    /// the exception it was called for. `None` at the end of the driver's frames.
    fn image(&mut self) -> Option<&'static Image> {
        loop {
            if let Some(image) = pe::find(self.context.rip as usize) {
                return Some(image);
            }
            // SAFETY: null, or a record further up this thread's stack.
            let running = unsafe { self.running.as_ref() }?;
            // SAFETY: null, or a call that has not returned.
            let call = unsafe { self.call.as_ref() }?;
            if self.context.rip != arch::return_address() || call.previous() != running.caller {
                return None;
            }
            // SAFETY: the dispatch that owns the context is further up this thread's stack.
            self.context = unsafe { (*running.resume).clone() };
            self.call = running.resume_call;
            self.running = running.previous;
            self.nested = true;
            // SAFETY: null, or owned by the unwind that is further up this thread's stack.
            if let Some(dispatcher) = unsafe { running.unwinding.as_ref() } {
                self.scope_index = dispatcher.scope_index;
                self.collided = true;
            }
        }
    }

    /// Unwinds one frame and describes it for its handler. The dispatcher context's register
    /// pointer is left for the caller to set.
    fn frame(&mut self, image: &Image, wanted: u8) -> (unwind::Frame, DispatcherContext) {
        let pc = self.context.rip;
        let before = self.context.rsp();
        let frame = unwind_frame(code_of(image), &LiveStack, &mut self.context, wanted)
            .unwrap_or_else(|error| cannot_unwind(image, pc, error));
        if self.context.rsp() <= before {
            cannot_unwind(image, pc, UnwindError::BadStack(self.context.rsp()));
        }
        let mut dispatcher = DispatcherContext::new();
        dispatcher.control_pc = pc;
        dispatcher.image_base = image.base() as u64;
        dispatcher.function_entry = frame
            .entry
            .map_or(0, |rva| image.base() as u64 + u64::from(rva));
        dispatcher.establisher_frame = frame.establisher;
        dispatcher.scope_index = std::mem::take(&mut self.scope_index);
        if let Some(handler) = frame.handler {
            dispatcher.language_handler = handler.routine;
            dispatcher.handler_data = handler.data;
        }
        (frame, dispatcher)
    }
}

fn cannot_unwind(image: &Image, pc: u64, error: UnwindError) -> ! {
    let why = match error {
        UnwindError::BadUnwindInfo => "its unwind information is damaged".to_owned(),
        UnwindError::BadStack(at) => format!("the stack at {at:#x} is damaged"),
    };
    bugcheck!(Rule::StackCorrupted, pc;
        "the frame of {} cannot be unwound: {why}", image.describe(pc as usize))
}

/// Calls a language handler.
fn call_handler(
    handler: Handler,
    record: &mut ExceptionRecord,
    context: *mut Context,
    dispatcher: &mut DispatcherContext,
    resume: &Context,
    unwinding: bool,
) -> u32 {
    let call = arch::current_call();
    let mut running = Running {
        previous: RUNNING.get(),
        caller: call,
        resume_call: call,
        resume,
        unwinding: if unwinding { dispatcher } else { ptr::null() },
    };
    let previous = running.previous;
    RUNNING.set(&raw mut running);
    let answer = crate::invoke!(
        handler.routine as *const (),
        ptr::from_mut(record),
        dispatcher.establisher_frame,
        context,
        ptr::from_mut(dispatcher)
    );
    RUNNING.set(previous);
    answer as u32
}

/// Calls a filter or termination handler on behalf of a language handler. An exception inside it
/// goes on to the frames that the language handler's caller was looking at.
pub(super) fn call_funclet(function: u64, first: u64, frame: u64) -> u64 {
    let outer = RUNNING.get();
    let call = arch::current_call();
    // SAFETY: null, or a record further up this thread's stack.
    let handler = unsafe { outer.as_ref() };
    // SAFETY: null, or a call that has not returned.
    let handler_call = unsafe { call.as_ref() };
    let (Some(handler), Some(handler_call)) = (handler, handler_call) else {
        return crate::invoke!(function as *const (), first, frame);
    };
    if handler_call.previous() != handler.caller {
        return crate::invoke!(function as *const (), first, frame);
    }
    let mut running = Running {
        previous: handler.previous,
        caller: call,
        resume_call: handler.resume_call,
        resume: handler.resume,
        unwinding: handler.unwinding,
    };
    RUNNING.set(&raw mut running);
    let answer = crate::invoke!(function as *const (), first, frame);
    RUNNING.set(outer);
    answer
}

/// Gives an exception to the driver code that it happened in, and goes on where that code says.
/// Stops the kernel if no frame handles it.
pub(super) fn dispatch(mut record: ExceptionRecord, mut origin: Context) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(|| search(&mut record, &mut origin)));
    let payload = match outcome {
        Ok(never) => never,
        Err(payload) => payload,
    };
    arch::abandon_driver(payload)
}

/// First phase: asks each frame's handler, innermost first.
fn search(record: &mut ExceptionRecord, origin: &mut Context) -> ! {
    ORIGIN.set(origin);
    let call = arch::current_call();
    let running = RUNNING.get();
    let mut walk = Walk::from(origin.clone());
    while let Some(image) = walk.image() {
        let (frame, mut dispatcher) = walk.frame(image, EXCEPTION_HANDLER);
        let Some(handler) = frame.handler else {
            continue;
        };
        dispatcher.context = &raw mut walk.context;
        set(record, flag::NESTED_CALL, walk.nested);
        set(
            record,
            flag::COLLIDED_UNWIND,
            std::mem::take(&mut walk.collided),
        );
        let resume = origin.clone();
        match call_handler(handler, record, origin, &mut dispatcher, &resume, false) {
            disposition::CONTINUE_SEARCH => set(record, flag::COLLIDED_UNWIND, false),
            disposition::CONTINUE_EXECUTION if record.has(flag::NONCONTINUABLE) => bugcheck!(
                Rule::UnhandledException, super::status::NONCONTINUABLE_EXCEPTION, record.address;
                "a filter asked to go on after {}, which cannot be continued", record.describe()
            ),
            disposition::CONTINUE_EXECUTION => go_on(origin, call, running),
            other => bad_disposition(image, handler, other),
        }
    }
    super::unhandled(record, origin)
}

/// Second phase: calls the termination handlers of every frame below the target, then goes on at
/// `target_ip` in the target's frame.
pub(super) fn unwind(
    from: Context,
    target_frame: u64,
    target_ip: u64,
    record: &mut ExceptionRecord,
    value: u64,
) -> ! {
    record.flags |= flag::UNWINDING;
    set(record, flag::EXIT_UNWIND, target_frame == 0);
    let mut walk = Walk::from(from);
    while let Some(image) = walk.image() {
        let mut before = walk.context.clone();
        let (frame, mut dispatcher) = walk.frame(image, TERMINATION_HANDLER);
        let is_target = frame.establisher == target_frame;
        if let Some(handler) = frame.handler {
            set(record, flag::TARGET_UNWIND, is_target);
            set(
                record,
                flag::COLLIDED_UNWIND,
                std::mem::take(&mut walk.collided),
            );
            before.gpr[RAX] = value;
            dispatcher.target_ip = target_ip;
            dispatcher.context = &raw mut before;
            let resume = before.clone();
            let answer = call_handler(
                handler,
                record,
                dispatcher.context,
                &mut dispatcher,
                &resume,
                true,
            );
            if answer != disposition::CONTINUE_SEARCH {
                bad_disposition(image, handler, answer);
            }
        }
        if is_target {
            before.gpr[RAX] = value;
            before.rip = target_ip;
            go_on(&before, walk.call, walk.running);
        }
    }
    bugcheck!(Rule::BadUnwindTarget, target_frame, target_ip;
        "the driver asked to unwind to the frame {target_frame:#x}, which is not on its stack")
}

fn set(record: &mut ExceptionRecord, flag: u32, on: bool) {
    record.flags = if on {
        record.flags | flag
    } else {
        record.flags & !flag
    };
}

fn bad_disposition(image: &Image, handler: Handler, answer: u32) -> ! {
    bugcheck!(Rule::BadDisposition, answer, handler.routine;
        "the language handler {} answered {answer}",
        image.describe(handler.routine as usize))
}

/// Goes on in a driver frame of `call`; everything that runs below it is forgotten.
fn go_on(context: &Context, call: *mut CallFrame, running: *mut Running) -> ! {
    forget(running);
    // SAFETY: the frame that is gone on with belongs to this call, so it has not returned; its
    // handlers are abandoned with what called them.
    let call = unsafe { &mut *call };
    // SAFETY: as above.
    unsafe { call.resume_inside() };
    // SAFETY: the context is one of a live driver frame. Skipped are driver frames and this
    // module's own, which own nothing.
    unsafe { restore(context) }
}

//! What drivers import to raise, handle and unwind exceptions.

use std::ptr;

use super::{
    caller_context,
    context::{Context, DispatcherContext, ExceptionRecord, flag},
    dispatch::{self, LiveStack, code_of},
    raise, scope, stack, status, try_frame,
    unwind::{Code, unwind_frame},
};
use crate::{
    bugcheck, exports,
    pe::{self, FunctionTable, Image, RuntimeFunction},
    verifier::Rule,
};

/// Answers of a language handler.
const CONTINUE_EXECUTION: i32 = 0;
const CONTINUE_SEARCH: i32 = 1;

/// Most frames that a driver may ask for.
const MOST_FRAMES: u32 = 1024;

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Raises an exception with a status.
    #[irql(APC)]
    #[raises]
    fn ExRaiseStatus(status: i32) {
        raise(status as u32, &[])
    }

    /// Raises an exception with a status.
    #[irql(APC)]
    #[raises]
    fn RtlRaiseStatus(status: i32) {
        raise(status as u32, &[])
    }

    /// Raises STATUS_ACCESS_VIOLATION.
    #[irql(APC)]
    #[raises]
    fn ExRaiseAccessViolation() {
        raise(status::ACCESS_VIOLATION, &[])
    }

    /// Raises STATUS_DATATYPE_MISALIGNMENT.
    #[irql(APC)]
    #[raises]
    fn ExRaiseDatatypeMisalignment() {
        raise(status::DATATYPE_MISALIGNMENT, &[])
    }

    /// Raises the exception that a record describes.
    #[irql(APC)]
    #[raises]
    fn RtlRaiseException(record: *mut ExceptionRecord) {
        // SAFETY: the caller passes a record.
        let mut raised = unsafe { (*record).clone() };
        try_frame::resume_if_active(raised.code);
        let Some(context) = caller_context() else {
            bugcheck!(Rule::UnhandledException, raised.code;
                "{} was raised into a caller that handles no exceptions", raised.describe())
        };
        raised.address = context.rip;
        raised.count = raised.count.min(raised.information.len() as u32);
        dispatch::dispatch(raised, context)
    }

    /// Finds and calls the handlers of a C function.
    #[irql(ANY)]
    #[raises]
    fn __C_specific_handler(
        record: *mut ExceptionRecord,
        frame: u64,
        context: *mut Context,
        dispatcher: *mut DispatcherContext,
    ) -> i32 {
        // SAFETY: language handlers are called with these structures; nobody else uses them while
        // the handler runs.
        let current = unsafe { &mut *dispatcher };
        // SAFETY: as above.
        let flags = unsafe { (*record).flags };
        let scopes = scopes_of(current);
        if flags & flag::ANY_UNWIND != 0 {
            scope::terminate(&scopes, flags, current);
            return CONTINUE_SEARCH;
        }
        match scope::search(&scopes, record, context, current) {
            scope::Found::Nothing => CONTINUE_SEARCH,
            scope::Found::ContinueExecution => CONTINUE_EXECUTION,
            scope::Found::Handler(target) => {
                drop(scopes);
                // SAFETY: as above.
                let code = unsafe { (*record).code };
                unwind_from_caller(frame, target, record, code.into())
            }
        }
    }

    /// Unwinds to a frame and goes on there.
    #[irql(ANY)]
    #[raises]
    fn RtlUnwind(frame: u64, target: u64, record: *mut ExceptionRecord, value: u64) {
        unwind_from_caller(frame, target, record, value)
    }

    /// Unwinds to a frame and goes on there.
    #[irql(ANY)]
    #[raises]
    fn RtlUnwindEx(
        frame: u64,
        target: u64,
        record: *mut ExceptionRecord,
        value: u64,
        _context: *mut Context,
        _history: *mut u8,
    ) {
        unwind_from_caller(frame, target, record, value)
    }

    /// Unwinds to a frame and goes on there: what `goto` out of `__try` compiles to.
    #[irql(ANY)]
    #[raises]
    fn _local_unwind(frame: u64, target: u64) {
        unwind_from_caller(frame, target, ptr::null_mut(), 0)
    }

    /// Goes on at a place whose registers were captured.
    #[irql(ANY)]
    #[raises]
    fn RtlRestoreContext(context: *const Context, _record: *mut ExceptionRecord) {
        // SAFETY: the caller passes a context of a frame that is alive.
        let context = unsafe { (*context).clone() };
        // SAFETY: the context belongs to the driver that called, whose call has not returned.
        let call = unsafe { &mut *crate::arch::current_call() };
        // SAFETY: as above; what runs inside the call is left.
        unsafe { call.resume_inside() };
        // SAFETY: as above; kernel frames that are skipped own nothing.
        unsafe { super::restore(&context) }
    }

    /// Registers of the caller: the nonvolatile ones, as after this call.
    #[irql(ANY)]
    #[raises]
    fn RtlCaptureContext(context: *mut Context) {
        let caller = caller_context().unwrap_or_else(Context::zeroed);
        // SAFETY: the caller passes memory for a context.
        unsafe { context.write(caller) };
    }

    /// Return addresses of the caller and its callers.
    #[irql(ANY)]
    #[raises]
    fn RtlCaptureStackBackTrace(skip: u32, count: u32, frames: *mut usize, hash: *mut u32) -> u16 {
        let wanted = skip.saturating_add(count).min(MOST_FRAMES) as usize;
        let found = stack::driver_stack(wanted);
        let found: Vec<usize> = found.into_iter().skip(skip as usize).collect();
        for (i, address) in found.iter().enumerate() {
            // SAFETY: the caller passes room for `count` addresses, and there are not more.
            let slot = unsafe { frames.add(i) };
            // SAFETY: as above.
            unsafe { slot.write(*address) };
        }
        if !hash.is_null() {
            let sum = found.iter().fold(0_u32, |sum, a| sum.wrapping_add(*a as u32));
            // SAFETY: the caller passes null or memory for a hash.
            unsafe { hash.write(sum) };
        }
        found.len() as u16
    }

    /// Base of the image that an address lies in; null if it lies in none.
    #[irql(ANY)]
    fn RtlPcToFileHeader(address: usize, base: *mut usize) -> usize {
        let found = pe::find(address).map_or(0, Image::base);
        // SAFETY: the caller passes memory for an address.
        unsafe { base.write(found) };
        found
    }

    /// The function table entry of an address.
    #[irql(ANY)]
    fn RtlLookupFunctionEntry(
        address: usize,
        base: *mut usize,
        _history: *mut u8,
    ) -> *const RuntimeFunction {
        let Some(image) = pe::find(address) else {
            return ptr::null();
        };
        // SAFETY: the caller passes memory for an address.
        unsafe { base.write(image.base()) };
        let rva = image.rva(address).unwrap_or(u32::MAX);
        match image.functions().find(image.bytes(), rva) {
            Some((index, _)) => {
                (image.base() + image.functions().rva_of(index) as usize) as *const RuntimeFunction
            }
            None => ptr::null(),
        }
    }

    /// Unwinds one frame of a context.
    #[irql(ANY)]
    fn RtlVirtualUnwind(
        kinds: u32,
        base: u64,
        pc: u64,
        function: *const RuntimeFunction,
        context: *mut Context,
        data: *mut u64,
        frame: *mut u64,
        _saved: *mut u8,
    ) -> u64 {
        // SAFETY: the caller passes a context.
        let context = unsafe { &mut *context };
        context.rip = pc;
        let empty = FunctionTable::default();
        let code = match pe::find(base as usize) {
            Some(image) if !function.is_null() => code_of(image),
            // No entry: a leaf function.
            _ => Code { base, bytes: &[], functions: &empty },
        };
        let unwound = unwind_frame(code, &LiveStack, context, kinds as u8);
        let Ok(unwound) = unwound else {
            context.rip = 0;
            return 0;
        };
        // SAFETY: the caller passes memory for the frame's address.
        unsafe { frame.write(unwound.establisher) };
        let Some(handler) = unwound.handler else {
            return 0;
        };
        // SAFETY: the caller passes memory for the address of the handler's data.
        unsafe { data.write(handler.data) };
        handler.routine
    }
}

/// The scope table of the frame that a handler is called for.
fn scopes_of(dispatcher: &DispatcherContext) -> Vec<scope::Scope> {
    let table = pe::find(dispatcher.handler_data as usize).and_then(|image| {
        let rva = image.rva(dispatcher.handler_data as usize)?;
        scope::read(image.bytes(), rva)
    });
    table.unwrap_or_else(|| {
        bugcheck!(Rule::StackCorrupted, dispatcher.control_pc;
            "the scope table of {} is damaged", pe::describe(dispatcher.control_pc as usize))
    })
}

fn unwind_from_caller(frame: u64, target: u64, record: *mut ExceptionRecord, value: u64) -> ! {
    let Some(context) = caller_context() else {
        bugcheck!(Rule::BadUnwindTarget, frame, target;
            "an unwind was asked for by code that is in no driver image")
    };
    let mut own;
    // SAFETY: null, or the record of an exception that is being handled.
    let record = match unsafe { record.as_mut() } {
        Some(record) => record,
        None => {
            own = ExceptionRecord::new(status::UNWIND, 0, context.rip, &[]);
            &mut own
        }
    };
    dispatch::unwind(context, frame, target, record, value)
}

//! Processes and threads as drivers see them.

use nt::sys::{NTSTATUS, OBJECT_ATTRIBUTES, STATUS_SUCCESS};

use super::{attach, current_process, detach};
use crate::{
    exports, invoke, irql,
    kernel::{kernel, strict},
    mem::caller,
    ob, sched,
    verifier::Rule,
};

/// Ends the calling system thread: unwinds to its start.
struct Terminate;

fn run_system_thread(start: usize, context: usize) {
    let result = std::panic::catch_unwind(|| {
        invoke!(start, context);
    });
    if let Err(payload) = result
        && !payload.is::<Terminate>()
    {
        std::panic::resume_unwind(payload);
    }
    let thread = sched::current();
    if strict() && thread.irql() != irql::PASSIVE {
        crate::bugcheck!(Rule::IrqlNotRestored, thread.irql(), 0;
            "the system thread \"{}\" ended at {}", thread.name, irql::name(thread.irql()));
    }
    if strict() && thread.apc_disable.get() != 0 {
        crate::bugcheck!(Rule::CriticalRegionUnbalanced, thread.apc_disable.get();
            "the system thread \"{}\" ended in a critical region", thread.name);
    }
}

fn create_thread(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    start: usize,
    context: usize,
) -> Result<(), NTSTATUS> {
    let attributes = ob::parse_object_attributes(attributes)?;
    let name = format!("driver thread {start:#x}");
    let thread = sched::spawn_system(&name, move || run_system_thread(start, context));
    thread
        .owner
        .store(caller::owner(), std::sync::atomic::Ordering::Relaxed);
    let object = super::thread_object(&thread);
    kernel().ob.reference(&object);
    let handle = ob::new_handle(object, access, attributes.attributes);
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(handle) };
    Ok(())
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Starts a system thread.
    #[irql(PASSIVE)]
    fn PsCreateSystemThread(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, process: usize, client_id: *mut u8, start: usize, context: usize) -> i32 {
        let _ = (process, client_id);
        if crate::verifier::fault("PsCreateSystemThread") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        create_thread(out, access, attributes, start, context).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Ends the calling system thread.
    #[irql(PASSIVE)]
    fn PsTerminateSystemThread(status: i32) -> i32 {
        let _ = status;
        std::panic::resume_unwind(Box::new(Terminate));
    }

    /// The current process.
    #[irql(DISPATCH)]
    fn IoGetCurrentProcess() -> usize {
        current_process().object().address
    }

    /// The current process.
    #[irql(DISPATCH)]
    fn PsGetCurrentProcess() -> usize {
        current_process().object().address
    }

    /// Number of the current process.
    #[irql(ANY)]
    fn PsGetCurrentProcessId() -> usize {
        current_process().id
    }

    /// Number of a process.
    #[irql(DISPATCH)]
    fn PsGetProcessId(process: usize) -> usize {
        let object = kernel().ob.expect(process, "PsGetProcessId");
        object.data::<usize>().map_or(0, |id| *id)
    }

    /// Number of the current thread.
    #[irql(DISPATCH)]
    fn PsGetCurrentThreadId() -> usize {
        sched::current().id as usize * 4
    }

    /// The current thread.
    #[irql(DISPATCH)]
    fn PsGetCurrentThread() -> usize {
        ob_thread()
    }

    /// Whether a thread is a system thread.
    #[irql(DISPATCH)]
    fn PsIsSystemThread(thread: usize) -> u8 {
        let threads = kernel().sched.threads.lock();
        u8::from(threads.iter().any(|t| t.kthread() as usize == thread && t.kind == sched::ThreadKind::System))
    }

    /// Finds and references the process with a number.
    #[irql(APC)]
    fn PsLookupProcessByProcessId(id: usize, out: *mut usize) -> i32 {
        let ps = &kernel().ps;
        let found = if id == ps.system.id {
            Some(std::sync::Arc::clone(&ps.system))
        } else {
            ps.processes.lock().iter().find(|p| p.id == id).cloned()
        };
        let Some(process) = found else {
            return 0xC000_000B_u32 as i32;
        };
        let object = process.object();
        kernel().ob.reference(&object);
        // SAFETY: the caller gives memory for the pointer.
        unsafe { out.write(object.address) };
        STATUS_SUCCESS
    }

    /// Uses the address space and handles of another process, of which nothing is left when it has ended.
    #[irql(APC)]
    fn KeStackAttachProcess(process: usize, state: *mut u8) {
        let _ = state;
        let Some(found) = kernel().ps.find(process) else {
            crate::bugcheck!(Rule::BadObject, process; "KeStackAttachProcess with {process:#x}, which is no process");
        };
        attach(&found);
    }

    /// Undoes KeStackAttachProcess.
    #[irql(APC)]
    fn KeUnstackDetachProcess(state: *mut u8) {
        let _ = state;
        detach();
    }

    /// Mode of the code that made the current system call.
    #[irql(DISPATCH)]
    fn ExGetPreviousMode() -> i8 {
        i8::from(sched::current().previous_mode_user.get())
    }
}

fn ob_thread() -> usize {
    super::current_thread_object().address
}

//! `Ob`, `Ps` and `Se`: objects, processes, threads, access checks.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn ObReferenceObjectByHandle(
        Handle: HANDLE,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
        Object: *mut PVOID,
        HandleInformation: *mut OBJECT_HANDLE_INFORMATION,
    ) -> NTSTATUS;
    fn ObReferenceObjectByPointer(
        Object: PVOID,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
    ) -> NTSTATUS;
    fn ObOpenObjectByPointer(
        Object: PVOID,
        HandleAttributes: u32,
        PassedAccessState: *mut ACCESS_STATE,
        DesiredAccess: ACCESS_MASK,
        ObjectType: *mut OBJECT_TYPE,
        AccessMode: KPROCESSOR_MODE,
        Handle: *mut HANDLE,
    ) -> NTSTATUS;
    fn ObfReferenceObject(Object: PVOID) -> isize;
    fn ObfDereferenceObject(Object: PVOID) -> isize;
    fn ObCloseHandle(Handle: HANDLE, PreviousMode: KPROCESSOR_MODE) -> NTSTATUS;

    fn PsCreateSystemThread(
        ThreadHandle: *mut HANDLE,
        DesiredAccess: u32,
        ObjectAttributes: *mut OBJECT_ATTRIBUTES,
        ProcessHandle: HANDLE,
        ClientId: *mut CLIENT_ID,
        StartRoutine: PKSTART_ROUTINE,
        StartContext: PVOID,
    ) -> NTSTATUS;
    fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS;
    fn PsIsSystemThread(Thread: *mut KTHREAD) -> BOOLEAN;
    fn PsGetCurrentProcessId() -> HANDLE;
    fn PsGetCurrentThreadId() -> HANDLE;
    fn PsGetProcessId(Process: *mut EPROCESS) -> HANDLE;
    fn PsLookupProcessByProcessId(ProcessId: HANDLE, Process: *mut *mut EPROCESS) -> NTSTATUS;
    fn PsSetCreateProcessNotifyRoutine(NotifyRoutine: PCREATE_PROCESS_NOTIFY_ROUTINE, Remove: BOOLEAN) -> NTSTATUS;

    fn SeCaptureSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT);
    fn SeLockSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT);
    fn SeUnlockSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT);
    fn SeReleaseSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT);
    fn SeAccessCheck(
        SecurityDescriptor: PVOID,
        SubjectSecurityContext: *mut SECURITY_SUBJECT_CONTEXT,
        SubjectContextLocked: BOOLEAN,
        DesiredAccess: ACCESS_MASK,
        PreviouslyGrantedAccess: ACCESS_MASK,
        Privileges: *mut *mut PRIVILEGE_SET,
        GenericMapping: *mut GENERIC_MAPPING,
        AccessMode: KPROCESSOR_MODE,
        GrantedAccess: *mut ACCESS_MASK,
        AccessStatus: *mut NTSTATUS,
    ) -> BOOLEAN;
} }

#[cfg_attr(
    windows,
    link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")
)]
unsafe extern "C" {
    /// The type of file objects.
    pub static IoFileObjectType: *mut OBJECT_TYPE;
    /// The type of thread objects.
    pub static PsThreadType: *mut OBJECT_TYPE;
    /// The first address that user mode may not use.
    pub static MmUserProbeAddress: usize;
}

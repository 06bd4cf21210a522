//! Event tracing, performance counters and debugger output.

use crate::sys::*;

imports! { "ntoskrnl.exe" {
    fn EtwRegister(
        ProviderId: *const GUID,
        EnableCallback: PETWENABLECALLBACK,
        CallbackContext: PVOID,
        RegHandle: *mut REGHANDLE,
    ) -> NTSTATUS;
    fn EtwUnregister(RegHandle: REGHANDLE) -> NTSTATUS;
    fn EtwSetInformation(
        RegHandle: REGHANDLE,
        InformationClass: EVENT_INFO_CLASS,
        EventInformation: PVOID,
        InformationLength: u32,
    ) -> NTSTATUS;
    fn EtwEventEnabled(RegHandle: REGHANDLE, EventDescriptor: *const EVENT_DESCRIPTOR) -> BOOLEAN;
    fn EtwProviderEnabled(RegHandle: REGHANDLE, Level: u8, Keyword: u64) -> BOOLEAN;
    fn EtwWrite(
        RegHandle: REGHANDLE,
        EventDescriptor: *const EVENT_DESCRIPTOR,
        ActivityId: *const GUID,
        UserDataCount: u32,
        UserData: *mut EVENT_DATA_DESCRIPTOR,
    ) -> NTSTATUS;
    fn EtwWriteTransfer(
        RegHandle: REGHANDLE,
        EventDescriptor: *const EVENT_DESCRIPTOR,
        ActivityId: *const GUID,
        RelatedActivityId: *const GUID,
        UserDataCount: u32,
        UserData: *mut EVENT_DATA_DESCRIPTOR,
    ) -> NTSTATUS;
    fn EtwActivityIdControl(ControlCode: u32, ActivityId: *mut GUID) -> NTSTATUS;

    fn PcwRegister(Registration: *mut *mut PCW_REGISTRATION, Info: *mut PCW_REGISTRATION_INFORMATION) -> NTSTATUS;
    fn PcwUnregister(Registration: *mut PCW_REGISTRATION);
    fn PcwCreateInstance(
        Instance: *mut *mut PCW_INSTANCE,
        Registration: *mut PCW_REGISTRATION,
        Name: *const UNICODE_STRING,
        Count: u32,
        Data: *mut PCW_DATA,
    ) -> NTSTATUS;
    fn PcwCloseInstance(Instance: *mut PCW_INSTANCE);
    fn PcwAddInstance(
        Buffer: *mut PCW_BUFFER,
        Name: *const UNICODE_STRING,
        Id: u32,
        Count: u32,
        Data: *mut PCW_DATA,
    ) -> NTSTATUS;
} }

#[cfg(target_arch = "x86_64")]
#[cfg_attr(
    windows,
    link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")
)]
unsafe extern "win64" {
    /// Prints to the kernel debugger.
    pub fn DbgPrintEx(ComponentId: u32, Level: u32, Format: *const u8, ...) -> u32;
}

#[cfg(not(target_arch = "x86_64"))]
#[cfg_attr(
    windows,
    link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")
)]
unsafe extern "C" {
    /// Prints to the kernel debugger.
    pub fn DbgPrintEx(ComponentId: u32, Level: u32, Format: *const u8, ...) -> u32;
}

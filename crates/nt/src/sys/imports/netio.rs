//! Exports of netio.sys: the Network Module Registrar and interface identifiers.

use core::ffi::c_void;

use crate::sys::*;

imports! { "netio.sys" {
    fn NmrRegisterClient(
        ClientCharacteristics: *const NPI_CLIENT_CHARACTERISTICS,
        ClientContext: PVOID,
        NmrClientHandle: *mut HANDLE,
    ) -> NTSTATUS;
    fn NmrDeregisterClient(NmrClientHandle: HANDLE) -> NTSTATUS;
    fn NmrWaitForClientDeregisterComplete(NmrClientHandle: HANDLE) -> NTSTATUS;
    fn NmrClientAttachProvider(
        NmrBindingHandle: HANDLE,
        ClientBindingContext: PVOID,
        ClientDispatch: *const c_void,
        ProviderBindingContext: *mut PVOID,
        ProviderDispatch: *mut *const c_void,
    ) -> NTSTATUS;
    fn NmrClientDetachProviderComplete(NmrBindingHandle: HANDLE);
    fn NmrRegisterProvider(
        ProviderCharacteristics: *const NPI_PROVIDER_CHARACTERISTICS,
        ProviderContext: PVOID,
        NmrProviderHandle: *mut HANDLE,
    ) -> NTSTATUS;
    fn NmrDeregisterProvider(NmrProviderHandle: HANDLE) -> NTSTATUS;
    fn NmrWaitForProviderDeregisterComplete(NmrProviderHandle: HANDLE) -> NTSTATUS;
    fn NmrProviderDetachClientComplete(NmrBindingHandle: HANDLE);
    fn ConvertInterfaceGuidToLuid(InterfaceGuid: *const GUID, InterfaceLuid: *mut NET_LUID) -> NTSTATUS;
    fn ConvertInterfaceIndexToLuid(InterfaceIndex: u32, InterfaceLuid: *mut NET_LUID) -> NTSTATUS;
    fn ConvertInterfaceLuidToIndex(InterfaceLuid: *const NET_LUID, InterfaceIndex: *mut u32) -> NTSTATUS;
    fn ConvertInterfaceLuidToGuid(InterfaceLuid: *const NET_LUID, InterfaceGuid: *mut GUID) -> NTSTATUS;
} }

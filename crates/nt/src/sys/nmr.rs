//! The Network Module Registrar.

use core::ffi::c_void;

use crate::sys::*;

foreign! {
    pub struct NPI_MODULEID(0x18, 4) {
        0x00 Length: u16,
        0x04 Type: NPI_MODULEID_TYPE,
        0x08 Guid: GUID,
    }

    pub struct NPI_REGISTRATION_INSTANCE(0x28, 8) {
        0x00 Version: u16,
        0x02 Size: u16,
        0x08 NpiId: *const GUID,
        0x10 ModuleId: *const NPI_MODULEID,
        0x18 Number: u32,
        0x20 NpiSpecificCharacteristics: *const c_void,
    }

    pub struct NPI_CLIENT_CHARACTERISTICS(0x48, 8) {
        0x00 Version: u16,
        0x02 Length: u16,
        0x08 ClientAttachProvider: PNPI_CLIENT_ATTACH_PROVIDER_FN,
        0x10 ClientDetachProvider: PNPI_CLIENT_DETACH_PROVIDER_FN,
        0x18 ClientCleanupBindingContext: PNPI_CLIENT_CLEANUP_BINDING_CONTEXT_FN,
        0x20 ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE,
    }

    pub struct NPI_PROVIDER_CHARACTERISTICS(0x48, 8) {
        0x00 Version: u16,
        0x02 Length: u16,
        0x08 ProviderAttachClient: PNPI_PROVIDER_ATTACH_CLIENT_FN,
        0x10 ProviderDetachClient: PNPI_PROVIDER_DETACH_CLIENT_FN,
        0x18 ProviderCleanupBindingContext: PNPI_PROVIDER_CLEANUP_BINDING_CONTEXT_FN,
        0x20 ProviderRegistrationInstance: NPI_REGISTRATION_INSTANCE,
    }

    pub union NET_LUID_LH(0x8, 8) {
        0x00 Value: u64,
        0x00 Info: NET_LUID_LH_Info,
    }
}

bits! {
    pub struct NET_LUID_LH_Info(u64) {
        Reserved: 0..24,
        NetLuidIndex: 24..48,
        IfType: 48..64,
    }
}

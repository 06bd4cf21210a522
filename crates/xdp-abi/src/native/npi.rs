//! The Network Module Registrar structures through which `xdp.sys` and a NIC driver meet.

use crate::macros::{open_enum, windows_fn};
use crate::object::Guid;
use crate::status::NtStatus;
use core::ffi::c_void;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Identifies the programming interface.
pub const NPI_XDP_ID: Guid = Guid::from_u128(0xe1cadf68_e3dd_4a4a_932d_386a29399f5e);
/// Version both registration instances carry.
#[doc(alias = "XDP_BINDING_VERSION_1")]
pub const BINDING_VERSION_1: u16 = 1;

/// A locally unique identifier.
#[doc(alias = "LUID")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Luid {
    /// Low half.
    pub low_part: u32,
    /// High half.
    pub high_part: i32,
}

open_enum! {
    /// How a module is identified.
    #[doc(alias = "NPI_MODULEID_TYPE")]
    pub struct ModuleIdType: u32 {
        /// By a GUID.
        GUID = 1, "MIT_GUID";
        /// By an interface's LUID.
        IF_LUID = 2, "MIT_IF_LUID";
    }
}

/// Identifies a module; this interface uses the GUID form only.
#[doc(alias = "NPI_MODULEID")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ModuleId {
    /// Bytes of this structure.
    pub length: u16,
    /// How the module is identified.
    #[doc(alias = "Type")]
    pub id_type: ModuleIdType,
    /// The GUID; its first half is the LUID in the other form.
    #[doc(alias = "IfLuid")]
    pub guid: Guid,
}

/// One registered instance of a module.
#[doc(alias = "NPI_REGISTRATION_INSTANCE")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RegistrationInstance {
    /// Version of the binding.
    pub version: u16,
    /// Bytes of this structure.
    pub size: u16,
    /// Which programming interface.
    pub npi_id: *const Guid,
    /// Which module.
    pub module_id: *const ModuleId,
    /// Interface index.
    pub number: u32,
    /// A NIC driver's [`CapabilitiesEx`](super::CapabilitiesEx).
    pub npi_specific_characteristics: *const c_void,
}

/// A module is offered one of the other side: the binding, a context, and the other side's registration.
pub type AttachProviderFn =
    windows_fn!(fn(*mut c_void, *mut c_void, *const RegistrationInstance) -> NtStatus);
/// A provider is offered a client: binding, context, the client's registration, its context and dispatch, and where
/// the provider's context and dispatch go.
pub type AttachClientFn = windows_fn!(
    fn(
        *mut c_void,
        *mut c_void,
        *const RegistrationInstance,
        *mut c_void,
        *const c_void,
        *mut *mut c_void,
        *mut *const c_void,
    ) -> NtStatus
);
/// A binding is ending.
pub type DetachFn = windows_fn!(fn(*mut c_void) -> NtStatus);
/// A binding has ended.
pub type CleanupBindingContextFn = windows_fn!(fn(*mut c_void));

/// What a client registers.
#[doc(alias = "NPI_CLIENT_CHARACTERISTICS")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ClientCharacteristics {
    /// Zero.
    pub version: u16,
    /// Bytes of this structure.
    pub length: u16,
    /// A provider is there.
    pub client_attach_provider: Option<AttachProviderFn>,
    /// A provider is leaving.
    pub client_detach_provider: Option<DetachFn>,
    /// A provider has left.
    pub client_cleanup_binding_context: Option<CleanupBindingContextFn>,
    /// The client.
    pub client_registration_instance: RegistrationInstance,
}

/// What a provider registers.
#[doc(alias = "NPI_PROVIDER_CHARACTERISTICS")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ProviderCharacteristics {
    /// Zero.
    pub version: u16,
    /// Bytes of this structure.
    pub length: u16,
    /// A client is there.
    pub provider_attach_client: Option<AttachClientFn>,
    /// A client is leaving.
    pub provider_detach_client: Option<DetachFn>,
    /// A client has left.
    pub provider_cleanup_binding_context: Option<CleanupBindingContextFn>,
    /// The provider.
    pub provider_registration_instance: RegistrationInstance,
}

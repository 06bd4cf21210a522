//! The Network Module Registrar: providers and clients of a network programming interface.

use core::ffi::c_void;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::irql::Passive;
use crate::pool::{Arc, Box, Tag};
use crate::status::{Result, Status};
use crate::sys::imports::netio;
use crate::sys::{
    GUID, HANDLE, MIT_GUID, NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_PROVIDER_CHARACTERISTICS,
    NPI_REGISTRATION_INSTANCE, NTSTATUS, PVOID,
};

/// Who registers, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// The interface.
    pub npi: GUID,
    /// The module: the same identifier as its counterpart's makes a pair.
    pub module: GUID,
    /// A number that tells the module's registrations apart.
    pub number: u32,
    /// The version of the registration instance, which the interface defines.
    pub version: u16,
    /// Characteristics that the interface defines, valid while registered; may be null.
    pub characteristics: *const c_void,
}

/// One side's registration as the other side sees it during an attach.
#[derive(Clone, Copy)]
pub struct Peer<'a> {
    instance: &'a NPI_REGISTRATION_INSTANCE,
}

impl<'a> Peer<'a> {
    /// All of it.
    #[must_use]
    pub const fn raw(&self) -> &'a NPI_REGISTRATION_INSTANCE {
        self.instance
    }

    /// The version of its registration instance.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.instance.Version
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.instance.Number
    }

    /// Its module's identifier, when that is a GUID.
    #[must_use]
    pub fn module(&self) -> Option<GUID> {
        // SAFETY: null or valid while the other side is registered.
        let module = unsafe { self.instance.ModuleId.as_ref() }?;
        (module.Type == MIT_GUID).then_some(module.Guid)
    }

    /// Characteristics that the interface defines.
    #[must_use]
    pub const fn characteristics(&self) -> *const c_void {
        self.instance.NpiSpecificCharacteristics
    }
}

/// Whether a detach is finished when its callback returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detach {
    /// It is.
    Done,
    /// [`BindingHandle::provider_detached`] or [`BindingHandle::client_detached`] will say.
    Pending,
}

/// A binding of a provider and a client. Not to be used after its detach has completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindingHandle(HANDLE);

// SAFETY: the registrar takes the handle on any thread.
unsafe impl Send for BindingHandle {}
// SAFETY: as above.
unsafe impl Sync for BindingHandle {}

impl BindingHandle {
    /// Says that a provider's pending detach is finished.
    pub fn provider_detached(self) {
        // SAFETY: a binding whose detach is pending.
        unsafe { netio::NmrProviderDetachClientComplete(self.0) }
    }

    /// Says that a client's pending detach is finished.
    pub fn client_detached(self) {
        // SAFETY: a binding whose detach is pending.
        unsafe { netio::NmrClientDetachProviderComplete(self.0) }
    }
}

/// A client that wants to attach to a provider.
#[derive(Clone, Copy)]
pub struct AttachingClient<'a> {
    /// Its registration.
    pub peer: Peer<'a>,
    /// Its context, for its dispatch table's functions.
    pub context: PVOID,
    /// Its dispatch table, valid until the detach has completed.
    pub dispatch: *const c_void,
    /// The binding that is being made.
    pub binding: BindingHandle,
}

/// A provider of an interface.
pub trait Provider: Send + Sync + 'static {
    /// What is kept for one client.
    type Binding: Send + Sync + 'static;

    /// Accepts a client; returns what is kept for it, and the provider's dispatch table or null.
    ///
    /// # Errors
    ///
    /// The client is refused.
    fn attach(
        &self,
        client: &AttachingClient<'_>,
        passive: Passive<'_>,
    ) -> Result<(Arc<Self::Binding>, *const c_void)>;

    /// Lets go of a client.
    fn detach(&self, binding: &Arc<Self::Binding>, passive: Passive<'_>) -> Detach;
}

struct Bound<P: Provider> {
    provider: Arc<P>,
    binding: Arc<P::Binding>,
}

/// What the registrar points to while something is registered.
struct Identity {
    npi: GUID,
    module: NPI_MODULEID,
}

impl Identity {
    fn new(tag: Tag, registration: &Registration) -> Result<Box<Self>> {
        let mut module = NPI_MODULEID::zeroed();
        module.Length = size_of::<NPI_MODULEID>() as u16;
        module.Type = MIT_GUID;
        module.Guid = registration.module;
        Box::new(
            tag,
            Self {
                npi: registration.npi,
                module,
            },
        )
    }

    fn instance(&self, registration: &Registration) -> NPI_REGISTRATION_INSTANCE {
        let mut instance = NPI_REGISTRATION_INSTANCE::zeroed();
        instance.Version = registration.version;
        instance.Size = size_of::<NPI_REGISTRATION_INSTANCE>() as u16;
        instance.NpiId = &raw const self.npi;
        instance.ModuleId = &raw const self.module;
        instance.Number = registration.number;
        instance.NpiSpecificCharacteristics = registration.characteristics;
        instance
    }
}

struct Registered<P> {
    target: Arc<P>,
    tag: Tag,
    identity: Box<Identity>,
}

/// A registered provider; deregistered, and waited for, when dropped at PASSIVE_LEVEL.
pub struct ProviderRegistration<P: Provider> {
    handle: HANDLE,
    // The registrar points to both for as long as the provider is registered.
    _characteristics: Box<NPI_PROVIDER_CHARACTERISTICS>,
    registered: Box<Registered<P>>,
}

// SAFETY: the handle is only used to deregister.
unsafe impl<P: Provider> Send for ProviderRegistration<P> {}
// SAFETY: as above.
unsafe impl<P: Provider> Sync for ProviderRegistration<P> {}

impl<P: Provider> ProviderRegistration<P> {
    /// Registers a provider; clients may attach before this returns.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], or the status of `NmrRegisterProvider`.
    pub fn new(
        tag: Tag,
        registration: &Registration,
        provider: Arc<P>,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let identity = Identity::new(tag, registration)?;
        let registered = Box::new(
            tag,
            Registered {
                target: provider,
                tag,
                identity,
            },
        )?;
        let mut characteristics = NPI_PROVIDER_CHARACTERISTICS::zeroed();
        characteristics.Length = size_of::<NPI_PROVIDER_CHARACTERISTICS>() as u16;
        characteristics.ProviderAttachClient = Some(provider_attach::<P>);
        characteristics.ProviderDetachClient = Some(provider_detach::<P>);
        characteristics.ProviderCleanupBindingContext = Some(provider_cleanup::<P>);
        characteristics.ProviderRegistrationInstance = registered.identity.instance(registration);
        let characteristics = Box::new(tag, characteristics)?;
        let context = Box::as_ptr(&registered).cast();
        let mut handle = ptr::null_mut();
        // SAFETY: what is pointed to lives until deregistration is complete.
        let status = unsafe {
            netio::NmrRegisterProvider(&raw const *characteristics, context, &mut handle)
        };
        Status(status).ok()?;
        Ok(Self {
            handle,
            _characteristics: characteristics,
            registered,
        })
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &Arc<P> {
        &self.registered.target
    }
}

impl<P: Provider> Drop for ProviderRegistration<P> {
    fn drop(&mut self) {
        // SAFETY: registered, deregistered once.
        let status = unsafe { netio::NmrDeregisterProvider(self.handle) };
        if Status(status) == Status::PENDING {
            // SAFETY: the deregistration is pending.
            let _ = unsafe { netio::NmrWaitForProviderDeregisterComplete(self.handle) };
        }
    }
}

impl<P: Provider> fmt::Debug for ProviderRegistration<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderRegistration")
    }
}

kernel_fn! {
    unsafe fn provider_attach<P: Provider>(
        binding: HANDLE,
        context: PVOID,
        instance: *mut NPI_REGISTRATION_INSTANCE,
        client_context: PVOID,
        client_dispatch: *const c_void,
        provider_context: *mut PVOID,
        provider_dispatch: *mut *const c_void,
    ) -> NTSTATUS {
        // SAFETY: the block of the registration.
        let registered = unsafe { &*context.cast::<Registered<P>>().cast_const() };
        // SAFETY: valid during the call.
        let Some(instance) = (unsafe { instance.as_ref() }) else {
            return Status::INVALID_PARAMETER.0;
        };
        let client = AttachingClient {
            peer: Peer { instance },
            context: client_context,
            dispatch: client_dispatch,
            binding: BindingHandle(binding),
        };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        match bind(registered, &client, passive) {
            Ok((bound, dispatch)) => {
                // SAFETY: the registrar's variable.
                unsafe { provider_context.write(bound.as_ptr().cast()) };
                // SAFETY: the registrar's variable.
                unsafe { provider_dispatch.write(dispatch) };
                Status::SUCCESS.0
            }
            Err(status) => status.0,
        }
    }

    unsafe fn provider_detach<P: Provider>(context: PVOID) -> NTSTATUS {
        // SAFETY: the block of a binding, there until its clean-up.
        let bound = unsafe { &*context.cast::<Bound<P>>().cast_const() };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        detached(bound.provider.detach(&bound.binding, passive))
    }

    unsafe fn provider_cleanup<P: Provider>(context: PVOID) {
        // SAFETY: the block of a binding, for the last time.
        drop(unsafe { Box::from_raw(context.cast::<Bound<P>>()) });
    }
}

fn bind<P: Provider>(
    registered: &Registered<P>,
    client: &AttachingClient<'_>,
    passive: Passive<'_>,
) -> Result<(NonNull<Bound<P>>, *const c_void)> {
    let room = Box::<Bound<P>>::uninit(registered.tag)?;
    let (binding, dispatch) = registered.target.attach(client, passive)?;
    let bound = Box::into_raw(room.write(Bound {
        provider: registered.target.clone(),
        binding,
    }));
    // SAFETY: a box's pointer is not null.
    Ok((unsafe { NonNull::new_unchecked(bound) }, dispatch))
}

const fn detached(detach: Detach) -> NTSTATUS {
    match detach {
        Detach::Done => Status::SUCCESS.0,
        Detach::Pending => Status::PENDING.0,
    }
}

/// A provider that a client may attach to.
#[derive(Clone, Copy)]
pub struct OfferedProvider<'a> {
    /// Its registration.
    pub peer: Peer<'a>,
    /// The binding that is being made.
    pub binding: BindingHandle,
    client: PVOID,
}

/// A provider that a client has attached to.
#[derive(Clone, Copy, Debug)]
pub struct AttachedProvider {
    /// Its context, for its dispatch table's functions.
    pub context: PVOID,
    /// Its dispatch table, valid until the detach has completed; may be null.
    pub dispatch: *const c_void,
}

impl OfferedProvider<'_> {
    /// Attaches, with a dispatch table whose functions are called with the address of the client.
    ///
    /// # Errors
    ///
    /// The provider refused.
    ///
    /// # Safety
    ///
    /// The dispatch table is what the interface defines, and lives until the detach has completed.
    pub unsafe fn attach(&self, dispatch: *const c_void) -> Result<AttachedProvider> {
        let mut provider = AttachedProvider {
            context: ptr::null_mut(),
            dispatch: ptr::null(),
        };
        let (handle, context) = (self.binding.0, self.client);
        // SAFETY: the binding being made; the variables are locals; the table is the caller's promise.
        let status = unsafe {
            netio::NmrClientAttachProvider(
                handle,
                context,
                dispatch,
                &mut provider.context,
                &mut provider.dispatch,
            )
        };
        Status(status).ok()?;
        Ok(provider)
    }
}

/// A client of an interface.
pub trait Client: Send + Sync + 'static {
    /// Looks at a provider, and attaches to it with [`OfferedProvider::attach`] or refuses it.
    ///
    /// # Errors
    ///
    /// The provider is refused.
    fn offered(&self, provider: &OfferedProvider<'_>, passive: Passive<'_>) -> Result<()>;

    /// The provider goes away.
    fn detach(&self, passive: Passive<'_>) -> Detach;
}

/// A registered client; deregistered, and waited for, when dropped at PASSIVE_LEVEL.
pub struct ClientRegistration<C: Client> {
    handle: HANDLE,
    // The registrar points to all of this for as long as the client is registered.
    _characteristics: Box<NPI_CLIENT_CHARACTERISTICS>,
    _identity: Box<Identity>,
    client: Arc<C>,
}

// SAFETY: the handle is only used to deregister.
unsafe impl<C: Client> Send for ClientRegistration<C> {}
// SAFETY: as above.
unsafe impl<C: Client> Sync for ClientRegistration<C> {}

impl<C: Client> ClientRegistration<C> {
    /// Registers a client; providers may be offered before this returns.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`], or the status of `NmrRegisterClient`.
    pub fn new(
        tag: Tag,
        registration: &Registration,
        client: Arc<C>,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let identity = Identity::new(tag, registration)?;
        let mut characteristics = NPI_CLIENT_CHARACTERISTICS::zeroed();
        characteristics.Length = size_of::<NPI_CLIENT_CHARACTERISTICS>() as u16;
        characteristics.ClientAttachProvider = Some(client_attach::<C>);
        characteristics.ClientDetachProvider = Some(client_detach::<C>);
        characteristics.ClientRegistrationInstance = identity.instance(registration);
        let characteristics = Box::new(tag, characteristics)?;
        let context = ptr::from_ref(&*client).cast_mut().cast();
        let mut handle = ptr::null_mut();
        // SAFETY: what is pointed to lives until deregistration is complete.
        let status =
            unsafe { netio::NmrRegisterClient(&raw const *characteristics, context, &mut handle) };
        Status(status).ok()?;
        Ok(Self {
            handle,
            _characteristics: characteristics,
            _identity: identity,
            client,
        })
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Arc<C> {
        &self.client
    }
}

impl<C: Client> Drop for ClientRegistration<C> {
    fn drop(&mut self) {
        // SAFETY: registered, deregistered once.
        let status = unsafe { netio::NmrDeregisterClient(self.handle) };
        if Status(status) == Status::PENDING {
            // SAFETY: the deregistration is pending.
            let _ = unsafe { netio::NmrWaitForClientDeregisterComplete(self.handle) };
        }
    }
}

impl<C: Client> fmt::Debug for ClientRegistration<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientRegistration")
    }
}

kernel_fn! {
    unsafe fn client_attach<C: Client>(
        binding: HANDLE,
        context: PVOID,
        instance: *mut NPI_REGISTRATION_INSTANCE,
    ) -> NTSTATUS {
        // SAFETY: the client of the registration.
        let client = unsafe { &*context.cast::<C>().cast_const() };
        // SAFETY: valid during the call.
        let Some(instance) = (unsafe { instance.as_ref() }) else {
            return Status::INVALID_PARAMETER.0;
        };
        let offered = OfferedProvider { peer: Peer { instance }, binding: BindingHandle(binding), client: context };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        Status::of(&client.offered(&offered, passive)).0
    }

    unsafe fn client_detach<C: Client>(context: PVOID) -> NTSTATUS {
        // SAFETY: `OfferedProvider::attach` attaches with the client's address.
        let client = unsafe { &*context.cast::<C>().cast_const() };
        // SAFETY: called at PASSIVE_LEVEL.
        detached(client.detach(unsafe { Passive::assume() }))
    }
}

//! The Network Module Registrar: brings clients and providers of network programming interfaces
//! together.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use crate::sync::Mutex;
use nt::sys::{
    GUID, NPI_CLIENT_CHARACTERISTICS, NPI_PROVIDER_CHARACTERISTICS, NPI_REGISTRATION_INSTANCE,
    NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};

use crate::{
    exports, invoke, ke::dispatcher, kernel::kernel, mem::caller, ob::Body, verifier::Rule,
};

/// Registered modules and their bindings.
#[derive(Default)]
pub(crate) struct Nmr {
    modules: Mutex<Vec<Arc<Module>>>,
    bindings: Mutex<Vec<Arc<Binding>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Client,
    Provider,
}

struct Module {
    side: Side,
    /// Attach, detach and clean-up routines, in the order of the characteristics.
    attach: usize,
    detach: usize,
    cleanup: usize,
    /// The registration instance, which stays in the module's memory.
    instance: usize,
    npi: [u8; 16],
    context: usize,
    /// Address that stands for the registration; signaled when deregistration is complete.
    event: Body,
    leaving: AtomicBool,
    owner: u16,
}

const ATTACHING: u8 = 0;
const ATTACHED: u8 = 1;
const DETACHING: u8 = 2;
const DETACHED: u8 = 3;

struct Binding {
    client: Arc<Module>,
    provider: Arc<Module>,
    handle: Body,
    client_context: Mutex<usize>,
    provider_context: Mutex<usize>,
    client_state: AtomicU8,
    provider_state: AtomicU8,
}

impl Module {
    fn handle(&self) -> usize {
        self.event.address()
    }
}

fn guid_bytes(guid: *const GUID) -> Option<[u8; 16]> {
    if guid.is_null() {
        return None;
    }
    // SAFETY: a GUID is 16 bytes.
    Some(unsafe { guid.cast::<[u8; 16]>().read_unaligned() })
}

fn instance_npi(instance: *const NPI_REGISTRATION_INSTANCE) -> Option<[u8; 16]> {
    // SAFETY: inside the characteristics that the module passed.
    guid_bytes(unsafe { (*instance).NpiId })
}

fn new_module(
    side: Side,
    routines: [usize; 3],
    instance: *const NPI_REGISTRATION_INSTANCE,
    context: usize,
) -> Option<Arc<Module>> {
    let event = Body::new(64);
    dispatcher::initialize(event.address(), dispatcher::kind::NOTIFICATION_EVENT, 24, 0);
    Some(Arc::new(Module {
        side,
        attach: routines[0],
        detach: routines[1],
        cleanup: routines[2],
        instance: instance as usize,
        npi: instance_npi(instance)?,
        context,
        event,
        leaving: AtomicBool::new(false),
        owner: caller::owner(),
    }))
}

/// Adds a module and attaches it to everybody on the other side, before the registration returns.
fn register(module: &Arc<Module>, out: *mut usize) {
    let others: Vec<_> = {
        let mut modules = kernel().nmr.modules.lock();
        let others = modules
            .iter()
            .filter(|m| m.side != module.side && m.npi == module.npi)
            .filter(|m| !m.leaving.load(Ordering::Acquire))
            .cloned()
            .collect();
        modules.push(Arc::clone(module));
        others
    };
    // SAFETY: the caller gives memory for the handle; attach callbacks may use it already.
    unsafe { out.write(module.handle()) };
    for other in others {
        let (client, provider) = match module.side {
            Side::Client => (module, &other),
            Side::Provider => (&other, module),
        };
        attach(client, provider);
    }
}

fn attach(client: &Arc<Module>, provider: &Arc<Module>) {
    let binding = Arc::new(Binding {
        client: Arc::clone(client),
        provider: Arc::clone(provider),
        handle: Body::new(64),
        client_context: Mutex::new(0),
        provider_context: Mutex::new(0),
        client_state: AtomicU8::new(ATTACHING),
        provider_state: AtomicU8::new(ATTACHING),
    });
    kernel().nmr.bindings.lock().push(Arc::clone(&binding));
    let status = invoke!(
        client.attach,
        binding.handle.address(),
        client.context,
        provider.instance
    ) as NTSTATUS;
    let provider_attached = binding.provider_state.load(Ordering::Acquire) == ATTACHED;
    if status == STATUS_SUCCESS && provider_attached {
        binding.client_state.store(ATTACHED, Ordering::Release);
        return;
    }
    if provider_attached {
        crate::bugcheck!(Rule::NmrMisused, binding.handle.address(), status;
            "a client's attach callback returned {status:#010x} after NmrClientAttachProvider succeeded");
    }
    remove(&binding);
}

fn remove(binding: &Arc<Binding>) {
    kernel()
        .nmr
        .bindings
        .lock()
        .retain(|b| !Arc::ptr_eq(b, binding));
}

fn find(handle: usize, doing: &str) -> Arc<Binding> {
    let bindings = kernel().nmr.bindings.lock();
    let found = bindings
        .iter()
        .find(|b| b.handle.address() == handle)
        .cloned();
    drop(bindings);
    found.unwrap_or_else(|| {
        crate::bugcheck!(Rule::NmrMisused, handle; "{doing} with {handle:#x}, which is no binding")
    })
}

/// Takes a module out: tells both sides of each of its bindings.
fn deregister(handle: usize, side: Side) -> NTSTATUS {
    let found = {
        let modules = kernel().nmr.modules.lock();
        modules
            .iter()
            .find(|m| m.handle() == handle && m.side == side)
            .cloned()
    };
    let Some(module) = found else {
        crate::bugcheck!(Rule::NmrMisused, handle;
            "{handle:#x} was deregistered, which is no registered {side:?}");
    };
    if module.leaving.swap(true, Ordering::AcqRel) {
        return STATUS_INVALID_PARAMETER;
    }
    let bindings: Vec<_> = kernel()
        .nmr
        .bindings
        .lock()
        .iter()
        .filter(|b| Arc::ptr_eq(&b.client, &module) || Arc::ptr_eq(&b.provider, &module))
        .cloned()
        .collect();
    for binding in bindings {
        detach(&binding, Side::Client);
        detach(&binding, Side::Provider);
    }
    finish_if_free(&module);
    STATUS_PENDING
}

fn detach(binding: &Arc<Binding>, side: Side) {
    let (module, state, context) = match side {
        Side::Client => (
            &binding.client,
            &binding.client_state,
            &binding.client_context,
        ),
        Side::Provider => (
            &binding.provider,
            &binding.provider_state,
            &binding.provider_context,
        ),
    };
    if state
        .compare_exchange(ATTACHED, DETACHING, Ordering::AcqRel, Ordering::Acquire)
        .is_err()
    {
        return;
    }
    let context = *context.lock();
    let status = invoke!(module.detach, context) as NTSTATUS;
    if status != STATUS_PENDING {
        detached(binding, side);
    }
}

/// One side is done; when both are, the binding goes.
fn detached(binding: &Arc<Binding>, side: Side) {
    let state = match side {
        Side::Client => &binding.client_state,
        Side::Provider => &binding.provider_state,
    };
    let old = state.swap(DETACHED, Ordering::AcqRel);
    if old != DETACHING {
        crate::bugcheck!(Rule::NmrMisused, binding.handle.address(), old;
            "the detach of a {side:?} was completed, but had not begun");
    }
    let both = binding.client_state.load(Ordering::Acquire) == DETACHED
        && binding.provider_state.load(Ordering::Acquire) == DETACHED;
    let listed = kernel()
        .nmr
        .bindings
        .lock()
        .iter()
        .any(|b| Arc::ptr_eq(b, binding));
    if !both || !listed {
        return;
    }
    remove(binding);
    for (module, context) in [
        (&binding.client, &binding.client_context),
        (&binding.provider, &binding.provider_context),
    ] {
        let context = *context.lock();
        if module.cleanup != 0 && context != 0 {
            invoke!(module.cleanup, context);
        }
    }
    finish_if_free(&binding.client);
    finish_if_free(&binding.provider);
}

fn finish_if_free(module: &Arc<Module>) {
    let bound = kernel()
        .nmr
        .bindings
        .lock()
        .iter()
        .any(|b| Arc::ptr_eq(&b.client, module) || Arc::ptr_eq(&b.provider, module));
    if module.leaving.load(Ordering::Acquire) && !bound {
        dispatcher::update(module.handle(), |_| 1);
    }
}

fn wait(handle: usize, side: Side) -> NTSTATUS {
    let found = {
        let modules = kernel().nmr.modules.lock();
        modules
            .iter()
            .find(|m| m.handle() == handle && m.side == side)
            .cloned()
    };
    let Some(module) = found else {
        return STATUS_INVALID_PARAMETER;
    };
    dispatcher::wait(&[module.handle()], false, None);
    kernel()
        .nmr
        .modules
        .lock()
        .retain(|m| !Arc::ptr_eq(m, &module));
    STATUS_SUCCESS
}

/// Registrations that a driver left, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let modules = kernel().nmr.modules.lock();
    modules
        .iter()
        .filter(|module| module.owner == owner)
        .map(|module| {
            format!(
                "{:?} {}",
                module.side,
                crate::trace::guid_words(&module.npi)
            )
        })
        .collect()
}

exports! { "netio.sys" => pub(crate) EXPORTS;
    /// Registers a client.
    #[irql(PASSIVE)]
    fn NmrRegisterClient(characteristics: *const NPI_CLIENT_CHARACTERISTICS, context: usize, out: *mut usize) -> i32 {
        if crate::verifier::fault("NmrRegister") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: the caller passes its characteristics and keeps them while registered.
        let table = unsafe { &*characteristics };
        let routines = [
            table.ClientAttachProvider.map_or(0, |f| f as *const () as usize),
            table.ClientDetachProvider.map_or(0, |f| f as *const () as usize),
            table.ClientCleanupBindingContext.map_or(0, |f| f as *const () as usize),
        ];
        match new_module(Side::Client, routines, &raw const table.ClientRegistrationInstance, context) {
            Some(module) if routines[0] != 0 && routines[1] != 0 => {
                register(&module, out);
                STATUS_SUCCESS
            }
            _ => STATUS_INVALID_PARAMETER,
        }
    }

    /// Registers a provider.
    #[irql(PASSIVE)]
    fn NmrRegisterProvider(characteristics: *const NPI_PROVIDER_CHARACTERISTICS, context: usize, out: *mut usize) -> i32 {
        if crate::verifier::fault("NmrRegister") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: the caller passes its characteristics and keeps them while registered.
        let table = unsafe { &*characteristics };
        let routines = [
            table.ProviderAttachClient.map_or(0, |f| f as *const () as usize),
            table.ProviderDetachClient.map_or(0, |f| f as *const () as usize),
            table.ProviderCleanupBindingContext.map_or(0, |f| f as *const () as usize),
        ];
        match new_module(Side::Provider, routines, &raw const table.ProviderRegistrationInstance, context) {
            Some(module) if routines[0] != 0 && routines[1] != 0 => {
                register(&module, out);
                STATUS_SUCCESS
            }
            _ => STATUS_INVALID_PARAMETER,
        }
    }

    /// Attaches a client to the provider it was offered; called in its attach callback.
    #[irql(PASSIVE)]
    fn NmrClientAttachProvider(handle: usize, context: usize, dispatch: usize, provider_context: *mut usize, provider_dispatch: *mut usize) -> i32 {
        let binding = find(handle, "NmrClientAttachProvider");
        *binding.client_context.lock() = context;
        let mut given_context = 0_usize;
        let mut given_dispatch = 0_usize;
        let status = invoke!(
            binding.provider.attach,
            handle,
            binding.provider.context,
            binding.client.instance,
            context,
            dispatch,
            &raw mut given_context,
            &raw mut given_dispatch
        ) as NTSTATUS;
        if status == STATUS_SUCCESS {
            *binding.provider_context.lock() = given_context;
            binding.provider_state.store(ATTACHED, Ordering::Release);
            // SAFETY: the caller gives memory for both pointers.
            unsafe { provider_context.write(given_context) };
            // SAFETY: as above.
            unsafe { provider_dispatch.write(given_dispatch) };
        }
        status
    }

    /// Takes a client out.
    #[irql(DISPATCH)]
    fn NmrDeregisterClient(handle: usize) -> i32 {
        deregister(handle, Side::Client)
    }

    /// Takes a provider out.
    #[irql(DISPATCH)]
    fn NmrDeregisterProvider(handle: usize) -> i32 {
        deregister(handle, Side::Provider)
    }

    /// Waits for a client to be out.
    #[irql(APC)]
    fn NmrWaitForClientDeregisterComplete(handle: usize) -> i32 {
        wait(handle, Side::Client)
    }

    /// Waits for a provider to be out.
    #[irql(APC)]
    fn NmrWaitForProviderDeregisterComplete(handle: usize) -> i32 {
        wait(handle, Side::Provider)
    }

    /// Completes a client's detach.
    #[irql(DISPATCH)]
    fn NmrClientDetachProviderComplete(handle: usize) {
        let binding = find(handle, "NmrClientDetachProviderComplete");
        detached(&binding, Side::Client);
    }

    /// Completes a provider's detach.
    #[irql(DISPATCH)]
    fn NmrProviderDetachClientComplete(handle: usize) {
        let binding = find(handle, "NmrProviderDetachClientComplete");
        detached(&binding, Side::Provider);
    }
}

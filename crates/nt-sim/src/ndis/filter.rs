//! Filter drivers: registration, and the functions that act on one filter module.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicBool, Ordering},
};

use nt::sys::{
    NDIS_FILTER_ATTRIBUTES, NDIS_FILTER_DRIVER_CHARACTERISTICS,
    NDIS_FILTER_PARTIAL_CHARACTERISTICS, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES,
    NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS, NDIS_STATUS_BAD_CHARACTERISTICS,
    NDIS_STATUS_BAD_VERSION, NDIS_STATUS_FAILURE, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_SUCCESS,
};

use super::{
    layer::{Hooks, Layer, State, awaited, callback},
    lifecycle,
    raw::{copy, load, store, text},
    version,
};
use crate::{
    exports,
    kernel::{kernel, strict},
    verifier::Rule,
};

/// A registered filter driver; its address is the driver handle.
pub(crate) struct FilterDriver {
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) unique: String,
    /// Address of the driver object; 0 for none.
    pub(crate) driver_object: usize,
    pub(crate) characteristics: NDIS_FILTER_DRIVER_CHARACTERISTICS,
    /// The driver's context, given to FilterAttach.
    pub(crate) context: usize,
    pub(crate) leaving: AtomicBool,
    /// Order of registration: later filters sit above earlier ones.
    pub(crate) order: u64,
}

// SAFETY: the pointers in the characteristics (names, functions) are only used to call the driver,
// from any thread, as its contract with NDIS says; the names are copied at registration.
unsafe impl Send for FilterDriver {}
// SAFETY: as above.
unsafe impl Sync for FilterDriver {}

impl FilterDriver {
    pub(crate) fn handle(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// Address of an optional callback; 0 for none.
macro_rules! address {
    ($f:expr) => {
        $f.map_or(0, |f| f as usize)
    };
}
pub(crate) use address;

/// Resets a module's data path functions to those its driver registered with.
pub(crate) fn default_hooks(hooks: &Hooks, c: &NDIS_FILTER_DRIVER_CHARACTERISTICS) {
    let set = |slot: &std::sync::atomic::AtomicUsize, f: usize| slot.store(f, Ordering::Relaxed);
    set(&hooks.send, address!(c.SendNetBufferListsHandler));
    set(
        &hooks.send_complete,
        address!(c.SendNetBufferListsCompleteHandler),
    );
    set(
        &hooks.cancel_send,
        address!(c.CancelSendNetBufferListsHandler),
    );
    set(&hooks.receive, address!(c.ReceiveNetBufferListsHandler));
    set(&hooks.returned, address!(c.ReturnNetBufferListsHandler));
}

/// The data path rules of the reference page: who filters must also complete, who takes receives
/// must also return.
fn inconsistent(
    send: usize,
    complete: usize,
    receive: usize,
    returned: usize,
) -> Option<&'static str> {
    if send != 0 && complete == 0 {
        return Some("a send handler without a send-complete handler");
    }
    if (receive != 0) != (returned != 0) {
        return Some("a receive handler and a return handler come together or not at all");
    }
    None
}

fn register(
    driver_object: usize,
    context: usize,
    characteristics: *const NDIS_FILTER_DRIVER_CHARACTERISTICS,
) -> Result<&'static FilterDriver, i32> {
    let header: NDIS_OBJECT_HEADER = load(characteristics.cast());
    let size: usize = match (header.Type, header.Revision) {
        (NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS, 1) => 0xc8,
        (NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS, 2) => 0xe0,
        (NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS, 3) => 0xf0,
        _ => return Err(NDIS_STATUS_BAD_VERSION),
    };
    if usize::from(header.Size) < size {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let mut c = NDIS_FILTER_DRIVER_CHARACTERISTICS::zeroed();
    copy((&raw mut c).cast(), characteristics.cast(), size);
    if !version::supports(c.MajorNdisVersion, c.MinorNdisVersion) {
        return Err(NDIS_STATUS_BAD_VERSION);
    }
    let mandatory = [
        address!(c.AttachHandler),
        address!(c.DetachHandler),
        address!(c.RestartHandler),
        address!(c.PauseHandler),
    ];
    if mandatory.contains(&0) {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let problem = inconsistent(
        address!(c.SendNetBufferListsHandler),
        address!(c.SendNetBufferListsCompleteHandler),
        address!(c.ReceiveNetBufferListsHandler),
        address!(c.ReturnNetBufferListsHandler),
    );
    let oids = c.OidRequestHandler.is_some() && c.OidRequestCompleteHandler.is_none()
        || c.DirectOidRequestHandler.is_some() && c.DirectOidRequestCompleteHandler.is_none();
    if problem.is_some() || oids {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let unique = text(&c.UniqueName);
    if unique.is_empty() || text(&c.FriendlyName).is_empty() || text(&c.ServiceName).is_empty() {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let ndis = &kernel().ndis;
    let driver = ndis.filter_drivers.insert(FilterDriver {
        name: text(&c.FriendlyName),
        service: text(&c.ServiceName),
        unique,
        driver_object,
        characteristics: c,
        context,
        leaving: AtomicBool::new(false),
        order: ndis.next_number(),
    });
    Ok(driver)
}

fn module(handle: *mut c_void, function: &'static str) -> &'static Layer {
    let layer = kernel().ndis.layers.get(handle, function);
    if strict() && layer.filter().is_none() {
        crate::bugcheck!(Rule::NdisBadHandle, handle; "{function} needs a filter module handle");
    }
    layer
}

fn set_partial(layer: &'static Layer, p: *const NDIS_FILTER_PARTIAL_CHARACTERISTICS) -> i32 {
    super::check_header(
        load(p.cast()),
        NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS,
        1,
        0x30,
        "NDIS_FILTER_PARTIAL_CHARACTERISTICS",
    );
    let p = load(p);
    if layer.state() != State::Paused {
        if strict() {
            crate::bugcheck!(Rule::NdisWrongState, layer.handle();
                "NdisSetOptionalHandlers for {}, which is {:?}: handlers may only change in FilterSetModuleOptions",
                layer.name(), layer.state());
        }
        return nt::sys::NDIS_STATUS_INVALID_STATE;
    }
    let (send, complete) = (
        address!(p.SendNetBufferListsHandler),
        address!(p.SendNetBufferListsCompleteHandler),
    );
    let (receive, returned) = (
        address!(p.ReceiveNetBufferListsHandler),
        address!(p.ReturnNetBufferListsHandler),
    );
    if inconsistent(send, complete, receive, returned).is_some() {
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    let hooks = &layer.hooks;
    hooks.send.store(send, Ordering::Relaxed);
    hooks.send_complete.store(complete, Ordering::Relaxed);
    hooks.cancel_send.store(
        address!(p.CancelSendNetBufferListsHandler),
        Ordering::Relaxed,
    );
    hooks.receive.store(receive, Ordering::Relaxed);
    hooks.returned.store(returned, Ordering::Relaxed);
    NDIS_STATUS_SUCCESS
}

/// A pause or restart that was pending is over.
pub(crate) fn complete_change(layer: &'static Layer, what: u8, status: i32, function: &str) {
    let expected = layer.awaited.swap(awaited::NOTHING, Ordering::AcqRel);
    if expected != what {
        crate::bugcheck!(Rule::NdisWrongState, layer.handle();
            "{function} for {}, which is {:?} and not waited for", layer.name(), layer.state());
    }
    layer.done_status.store(status, Ordering::Release);
    layer.done.set();
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Registers a filter driver. NDIS attaches it to the adapters soon after.
    #[irql(PASSIVE)]
    fn NdisFRegisterFilterDriver(
        driver_object: *mut c_void, context: *mut c_void, characteristics: *const NDIS_FILTER_DRIVER_CHARACTERISTICS,
        handle: *mut *mut c_void,
    ) -> i32 {
        store(handle, std::ptr::null_mut());
        match register(driver_object as usize, context as usize, characteristics) {
            Ok(driver) => {
                store(handle, driver.handle());
                if let Some(options) = driver.characteristics.SetOptionsHandler {
                    let status = callback("FilterSetOptions", options as usize,
                        &[driver.handle() as u64, context as u64]) as i32;
                    if status != NDIS_STATUS_SUCCESS {
                        kernel().ndis.filter_drivers.retire(driver);
                        store(handle, std::ptr::null_mut());
                        return status;
                    }
                }
                kernel().ndis.workers.queue(move || lifecycle::attach_everywhere(driver));
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Detaches every module of a filter driver and forgets it.
    #[irql(PASSIVE)]
    fn NdisFDeregisterFilterDriver(handle: *mut c_void) {
        let driver = kernel().ndis.filter_drivers.get(handle, "NdisFDeregisterFilterDriver");
        lifecycle::detach_everywhere(driver);
        super::check_owner_left_nothing(driver.handle() as usize, &format!("filter driver \"{}\"", driver.name));
        kernel().ndis.filter_drivers.retire(driver);
    }

    /// Sets a filter module's context.
    #[irql(PASSIVE)]
    fn NdisFSetAttributes(handle: *mut c_void, context: *mut c_void, attributes: *const NDIS_FILTER_ATTRIBUTES) -> i32 {
        let layer = module(handle, "NdisFSetAttributes");
        if attributes.is_null() {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        super::check_header(load(attributes.cast()), NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES, 1, 8, "NDIS_FILTER_ATTRIBUTES");
        if layer.state() != State::Attaching {
            if strict() {
                crate::bugcheck!(Rule::NdisWrongState, handle;
                    "NdisFSetAttributes for {} outside FilterAttach", layer.name());
            }
            return NDIS_STATUS_FAILURE;
        }
        layer.context.store(context as usize, Ordering::Release);
        NDIS_STATUS_SUCCESS
    }

    /// Sets optional handlers of a driver, or a filter module's data path handlers.
    #[irql(PASSIVE)]
    fn NdisSetOptionalHandlers(handle: *mut c_void, handlers: *const NDIS_OBJECT_HEADER) -> i32 {
        let ndis = &kernel().ndis;
        if let Some(layer) = ndis.layers.find(handle) {
            return match load(handlers).Type {
                NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS if layer.filter().is_some() =>
                    set_partial(layer, handlers.cast()),
                _ => NDIS_STATUS_NOT_SUPPORTED,
            };
        }
        super::miniport::set_optional(handle, handlers)
    }

    /// Completes a pause that FilterPause left pending.
    #[irql(DISPATCH)]
    fn NdisFPauseComplete(handle: *mut c_void) {
        let layer = module(handle, "NdisFPauseComplete");
        complete_change(layer, awaited::PAUSE, NDIS_STATUS_SUCCESS, "NdisFPauseComplete");
    }

    /// Completes a restart that FilterRestart left pending.
    #[irql(PASSIVE)]
    fn NdisFRestartComplete(handle: *mut c_void, status: i32) {
        let layer = module(handle, "NdisFRestartComplete");
        complete_change(layer, awaited::RESTART, status, "NdisFRestartComplete");
    }

    /// Asks for a pause and restart, so that handlers can change.
    #[irql(DISPATCH)]
    fn NdisFRestartFilter(handle: *mut c_void) -> i32 {
        let layer = module(handle, "NdisFRestartFilter");
        if layer.state() == State::Detached {
            return NDIS_STATUS_FAILURE;
        }
        let adapter = layer.adapter;
        kernel().ndis.workers.queue(move || lifecycle::restart_for_filter(adapter));
        NDIS_STATUS_SUCCESS
    }
}

//! The callbacks of a filter driver: from NDIS's arguments to the traits.

use core::ptr::NonNull;

use super::chain::NblChain;
use super::filter::{
    Attach, Filter, FilterDriver, FilterModule, Flags, Receive, Restart, StatusView,
};
use super::oid::{self, OidRequest, OidView, Route};
use super::{returned, status};
use crate::irql::Passive;
use crate::pool::Box;
use crate::status::Status;
use crate::sys::imports::ndis;
use crate::sys::{
    NDIS_FILTER_ATTACH_PARAMETERS, NDIS_FILTER_ATTRIBUTES, NDIS_FILTER_ATTRIBUTES_REVISION_1,
    NDIS_FILTER_CHARACTERISTICS_REVISION_2, NDIS_FILTER_CHARACTERISTICS_REVISION_3,
    NDIS_FILTER_DRIVER_CHARACTERISTICS, NDIS_FILTER_PARTIAL_CHARACTERISTICS,
    NDIS_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1, NDIS_FILTER_PAUSE_PARAMETERS,
    NDIS_FILTER_RESTART_PARAMETERS, NDIS_HANDLE, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES, NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS,
    NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS, NDIS_OID_REQUEST,
    NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1, NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2,
    NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3,
    NDIS_SIZEOF_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NET_BUFFER_LIST,
    NET_DEVICE_PNP_EVENT, NET_PNP_EVENT_NOTIFICATION, PVOID,
};

/// Everything that NDIS is told of a filter driver but its names.
pub(super) fn characteristics<F: FilterDriver>(
    version: (u8, u8),
) -> NDIS_FILTER_DRIVER_CHARACTERISTICS {
    let (revision, size) = if version >= (6, 80) {
        (
            NDIS_FILTER_CHARACTERISTICS_REVISION_3,
            NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3,
        )
    } else {
        (
            NDIS_FILTER_CHARACTERISTICS_REVISION_2,
            NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2,
        )
    };
    let mut characteristics = NDIS_FILTER_DRIVER_CHARACTERISTICS::zeroed();
    characteristics.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS,
        Revision: revision,
        Size: size,
    };
    characteristics.MajorNdisVersion = version.0;
    characteristics.MinorNdisVersion = version.1;
    characteristics.SetFilterModuleOptionsHandler = Some(set_module_options::<F::Module>);
    characteristics.AttachHandler = Some(attach::<F>);
    characteristics.DetachHandler = Some(detach::<F::Module>);
    characteristics.RestartHandler = Some(restart::<F::Module>);
    characteristics.PauseHandler = Some(pause::<F::Module>);
    characteristics.SendNetBufferListsHandler = Some(send::<F::Module>);
    characteristics.SendNetBufferListsCompleteHandler = Some(send_complete::<F::Module>);
    characteristics.CancelSendNetBufferListsHandler = Some(cancel_send::<F::Module>);
    characteristics.ReceiveNetBufferListsHandler = Some(receive::<F::Module>);
    characteristics.ReturnNetBufferListsHandler = Some(return_lists::<F::Module>);
    characteristics.OidRequestHandler = Some(oid_request::<F::Module>);
    characteristics.OidRequestCompleteHandler = Some(oid_request_complete::<F::Module>);
    characteristics.CancelOidRequestHandler = Some(cancel_oid_request::<F::Module>);
    characteristics.DirectOidRequestHandler = Some(direct_oid_request::<F::Module>);
    characteristics.DirectOidRequestCompleteHandler =
        Some(direct_oid_request_complete::<F::Module>);
    characteristics.CancelDirectOidRequestHandler = Some(cancel_direct_oid_request::<F::Module>);
    characteristics.StatusHandler = Some(status_indication::<F::Module>);
    characteristics.NetPnPEventHandler = Some(net_pnp_event::<F::Module>);
    characteristics.DevicePnPEventNotifyHandler = Some(device_pnp_event::<F::Module>);
    characteristics
}

/// The module behind a context.
///
/// # Safety
///
/// `context` was given to NDIS by [`attach`] for this type, and is not detached during `'a`.
#[inline]
unsafe fn module<'a, M: FilterModule>(context: NDIS_HANDLE) -> &'a M {
    // SAFETY: the caller's promise.
    unsafe { &*context.cast::<M>().cast_const() }
}

kernel_fn! {
    unsafe fn attach<F: FilterDriver>(
        handle: NDIS_HANDLE,
        driver: NDIS_HANDLE,
        parameters: *mut NDIS_FILTER_ATTACH_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: the context that the driver was registered with.
        let driver = unsafe { &*driver.cast::<F>().cast_const() };
        // SAFETY: valid during the call.
        let Some(parameters) = (unsafe { parameters.as_ref() }) else {
            return NDIS_STATUS_INVALID_PARAMETER;
        };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        returned(&attach_module(driver, &Attach::new(parameters), Filter::new(handle), passive))
    }

    unsafe fn detach<M: FilterModule>(context: NDIS_HANDLE) {
        // SAFETY: made by `attach`, and this is the last callback for it.
        let module = unsafe { Box::from_raw(context.cast::<M>()) };
        // SAFETY: called at PASSIVE_LEVEL.
        module.into_inner().detach(unsafe { Passive::assume() });
    }

    unsafe fn restart<M: FilterModule>(
        context: NDIS_HANDLE,
        parameters: *mut NDIS_FILTER_RESTART_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: null or valid during the call.
        let parameters = unsafe { parameters.as_ref() };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        returned(&module.restart(&Restart::new(parameters), passive))
    }

    unsafe fn pause<M: FilterModule>(
        context: NDIS_HANDLE,
        _parameters: *mut NDIS_FILTER_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: called at PASSIVE_LEVEL.
        module.pause(unsafe { Passive::assume() });
        NDIS_STATUS_SUCCESS
    }

    unsafe fn set_module_options<M: FilterModule>(context: NDIS_HANDLE) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        let mut partial = NDIS_FILTER_PARTIAL_CHARACTERISTICS::zeroed();
        partial.Header = NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS,
            Revision: NDIS_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1,
            Size: NDIS_SIZEOF_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1,
        };
        let datapath = module.datapath();
        if datapath.send {
            partial.SendNetBufferListsHandler = Some(send::<M>);
            partial.SendNetBufferListsCompleteHandler = Some(send_complete::<M>);
            partial.CancelSendNetBufferListsHandler = Some(cancel_send::<M>);
        }
        if datapath.receive {
            partial.ReceiveNetBufferListsHandler = Some(receive::<M>);
            partial.ReturnNetBufferListsHandler = Some(return_lists::<M>);
        }
        let handle = module.filter().raw();
        // SAFETY: a module's handle, and characteristics of the type that the header says.
        unsafe { ndis::NdisSetOptionalHandlers(handle, (&raw mut partial).cast()) }
    }

    unsafe fn send<M: FilterModule>(context: NDIS_HANDLE, lists: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: NDIS gives the chain over.
        module.send(unsafe { NblChain::from_raw(lists) }, port, Flags(flags));
    }

    unsafe fn send_complete<M: FilterModule>(context: NDIS_HANDLE, lists: *mut NET_BUFFER_LIST, flags: u32) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: NDIS gives the chain over.
        module.send_complete(unsafe { NblChain::from_raw(lists) }, Flags(flags));
    }

    unsafe fn cancel_send<M: FilterModule>(context: NDIS_HANDLE, cancel_id: PVOID) {
        // SAFETY: NDIS's call for an attached module.
        let handle = unsafe { module::<M>(context) }.filter().raw();
        // SAFETY: a module's handle; the identifier is only passed on.
        unsafe { ndis::NdisFCancelSendNetBufferLists(handle, cancel_id) }
    }

    unsafe fn receive<M: FilterModule>(
        context: NDIS_HANDLE,
        lists: *mut NET_BUFFER_LIST,
        port: u32,
        count: u32,
        flags: u32,
    ) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: NDIS gives the chain over, or lends it as the flags say.
        module.receive(unsafe { NblChain::from_raw(lists) }, Receive { port, count, flags: Flags(flags) });
    }

    unsafe fn return_lists<M: FilterModule>(context: NDIS_HANDLE, lists: *mut NET_BUFFER_LIST, flags: u32) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: NDIS gives the chain over.
        module.return_chain(unsafe { NblChain::from_raw(lists) }, Flags(flags));
    }

    unsafe fn oid_request<M: FilterModule>(context: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        unsafe { take_request::<M>(context, request, false) }
    }

    unsafe fn direct_oid_request<M: FilterModule>(
        context: NDIS_HANDLE,
        request: *mut NDIS_OID_REQUEST,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        unsafe { take_request::<M>(context, request, true) }
    }

    unsafe fn oid_request_complete<M: FilterModule>(
        context: NDIS_HANDLE,
        request: *mut NDIS_OID_REQUEST,
        answer: NDIS_STATUS,
    ) {
        // SAFETY: NDIS's call for an attached module.
        unsafe { request_answered::<M>(context, request, answer, false) }
    }

    unsafe fn direct_oid_request_complete<M: FilterModule>(
        context: NDIS_HANDLE,
        request: *mut NDIS_OID_REQUEST,
        answer: NDIS_STATUS,
    ) {
        // SAFETY: NDIS's call for an attached module.
        unsafe { request_answered::<M>(context, request, answer, true) }
    }

    unsafe fn cancel_oid_request<M: FilterModule>(context: NDIS_HANDLE, request_id: PVOID) {
        // SAFETY: NDIS's call for an attached module.
        let handle = unsafe { module::<M>(context) }.filter().raw();
        // SAFETY: clones have their original's identifier.
        unsafe { ndis::NdisFCancelOidRequest(handle, request_id) }
    }

    unsafe fn cancel_direct_oid_request<M: FilterModule>(context: NDIS_HANDLE, request_id: PVOID) {
        // SAFETY: NDIS's call for an attached module.
        let handle = unsafe { module::<M>(context) }.filter().raw();
        // SAFETY: clones have their original's identifier.
        unsafe { ndis::NdisFCancelDirectOidRequest(handle, request_id) }
    }

    unsafe fn status_indication<M: FilterModule>(context: NDIS_HANDLE, indication: *mut NDIS_STATUS_INDICATION) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: valid during the call.
        if let Some(indication) = unsafe { indication.as_ref() } {
            module.status(&StatusView::new(indication));
        }
        // SAFETY: passed on as it came.
        unsafe { ndis::NdisFIndicateStatus(module.filter().raw(), indication) }
    }

    unsafe fn net_pnp_event<M: FilterModule>(
        context: NDIS_HANDLE,
        event: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: called at PASSIVE_LEVEL.
        let passive = unsafe { Passive::assume() };
        // SAFETY: valid during the call.
        let notification = unsafe { event.as_ref() };
        let taken = notification.map_or(Ok(()), |event| module.net_pnp_event(event, passive));
        if let Err(status) = taken {
            return status.0;
        }
        // SAFETY: passed on as it came.
        unsafe { ndis::NdisFNetPnPEvent(module.filter().raw(), event) }
    }

    unsafe fn device_pnp_event<M: FilterModule>(context: NDIS_HANDLE, event: *mut NET_DEVICE_PNP_EVENT) {
        // SAFETY: NDIS's call for an attached module.
        let module = unsafe { module::<M>(context) };
        // SAFETY: valid during the call.
        if let Some(event) = unsafe { event.as_ref() } {
            module.device_pnp_event(event);
        }
        // SAFETY: passed on as it came.
        unsafe { ndis::NdisFDevicePnPEventNotify(module.filter().raw(), event) }
    }
}

fn attach_module<F: FilterDriver>(
    driver: &F,
    attach: &Attach<'_>,
    filter: Filter,
    passive: Passive<'_>,
) -> crate::Result<()> {
    let room = Box::<F::Module>::uninit(F::Module::TAG)?;
    let module = Box::into_raw(room.write(driver.attach(attach, filter, passive)?));
    let mut attributes = NDIS_FILTER_ATTRIBUTES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES,
            Revision: NDIS_FILTER_ATTRIBUTES_REVISION_1,
            Size: NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1,
        },
        Flags: 0,
    };
    // SAFETY: NDIS keeps the context until `detach`.
    let set = unsafe { ndis::NdisFSetAttributes(filter.raw(), module.cast(), &mut attributes) };
    let result = status(set).ok();
    if result.is_err() {
        // SAFETY: NDIS did not keep it.
        unsafe { Box::from_raw(module) }
            .into_inner()
            .detach(passive);
    }
    result
}

/// The way of requests through a module.
fn route<M: FilterModule>(context: NDIS_HANDLE, module: &M, direct: bool) -> Route {
    Route {
        filter: module.filter(),
        direct,
        tag: M::TAG,
        context,
        answered: answered::<M>,
    }
}

/// Shows a module the answer to a request that it passed on.
///
/// # Safety
///
/// `context` is that of an attached module of this type.
unsafe fn answered<M: FilterModule>(context: NDIS_HANDLE, request: &OidView<'_>, status: Status) {
    // SAFETY: the caller's promise.
    unsafe { module::<M>(context) }.oid_answered(request, status);
}

/// Hands a request to a module; it always completes through the completion function.
///
/// # Safety
///
/// NDIS's call for an attached module.
unsafe fn take_request<M: FilterModule>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    direct: bool,
) -> NDIS_STATUS {
    // SAFETY: the caller's promise.
    let module = unsafe { module::<M>(context) };
    let Some(request) = NonNull::new(request) else {
        return NDIS_STATUS_INVALID_PARAMETER;
    };
    // SAFETY: NDIS gives the request over.
    module.oid_request(unsafe { OidRequest::new(request, route(context, module, direct)) });
    NDIS_STATUS_PENDING
}

/// Finishes a request that a module passed on or made.
///
/// # Safety
///
/// NDIS's call for an attached module.
unsafe fn request_answered<M: FilterModule>(
    context: NDIS_HANDLE,
    request: *mut NDIS_OID_REQUEST,
    answer: NDIS_STATUS,
    direct: bool,
) {
    // SAFETY: the caller's promise.
    let module = unsafe { module::<M>(context) };
    if let Some(request) = NonNull::new(request) {
        // SAFETY: sent by this module, completed now.
        unsafe { oid::completed(request, answer, route(context, module, direct)) };
    }
}

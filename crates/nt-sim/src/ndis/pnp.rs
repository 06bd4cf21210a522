//! Status indications and plug-and-play events.

use std::ffi::c_void;

use nt::sys::{
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION,
    NDIS_STATUS_SUCCESS, NET_DEVICE_PNP_EVENT, NET_PNP_EVENT_CODE, NET_PNP_EVENT_NOTIFICATION,
};

use super::{
    adapter::Adapter,
    filter::address,
    header,
    layer::{Layer, Part, callback},
    raw::load,
};
use crate::{exports, kernel::kernel};

/// Hands a status indication of `from` to whoever is above.
pub(crate) fn indicate_status(from: &'static Layer, indication: *mut NDIS_STATUS_INDICATION) {
    super::check_header(
        load(indication.cast()),
        NDIS_OBJECT_TYPE_STATUS_INDICATION,
        1,
        0x70,
        "NDIS_STATUS_INDICATION",
    );
    for layer in from.adapter.filters_above(from) {
        let handler = layer
            .filter()
            .map_or(0, |d| address!(d.characteristics.StatusHandler));
        if handler != 0 {
            callback(
                "FilterStatus",
                handler,
                &[layer.context(), indication as u64],
            );
            return;
        }
    }
    let bindings = from.adapter.bindings.read().clone();
    for layer in bindings {
        if let Part::Binding(top) = &layer.part {
            top.status(layer, indication);
        }
    }
}

fn net_pnp_handler(layer: &Layer) -> usize {
    layer
        .filter()
        .map_or(0, |d| address!(d.characteristics.NetPnPEventHandler))
}

/// Hands a network event up from `from`.
pub(crate) fn net_pnp_event(from: &'static Layer, event: *mut NET_PNP_EVENT_NOTIFICATION) -> i32 {
    for layer in from.adapter.filters_above(from) {
        let handler = net_pnp_handler(layer);
        if handler != 0 {
            return callback(
                "FilterNetPnPEvent",
                handler,
                &[layer.context(), event as u64],
            ) as i32;
        }
    }
    let mut result = NDIS_STATUS_SUCCESS;
    let bindings = from.adapter.bindings.read().clone();
    for layer in bindings {
        if let Part::Binding(top) = &layer.part {
            let status = top.pnp_event(layer, event);
            if status != NDIS_STATUS_SUCCESS {
                result = status;
            }
        }
    }
    result
}

/// A notification without data.
pub(crate) fn notification(code: NET_PNP_EVENT_CODE) -> NET_PNP_EVENT_NOTIFICATION {
    let mut event = NET_PNP_EVENT_NOTIFICATION::zeroed();
    event.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 2, 0xac);
    event.NetPnPEvent.NetEvent = code;
    event
}

/// Tells one filter module of an event that is for it alone.
pub(crate) fn notify_filter(layer: &'static Layer, code: NET_PNP_EVENT_CODE) {
    let handler = net_pnp_handler(layer);
    if handler != 0 {
        let mut event = notification(code);
        callback(
            "FilterNetPnPEvent",
            handler,
            &[layer.context(), (&raw mut event) as u64],
        );
    }
}

/// Hands a device event down: from `from`, or from above the stack.
pub(crate) fn device_pnp_event(
    adapter: &'static Adapter,
    from: Option<&'static Layer>,
    event: *mut NET_DEVICE_PNP_EVENT,
) {
    let below = match from {
        Some(layer) => adapter.below(layer),
        None => adapter.layers().into_iter().rev().collect(),
    };
    for layer in below {
        match &layer.part {
            Part::Filter(driver) => {
                let handler = address!(driver.characteristics.DevicePnPEventNotifyHandler);
                if handler != 0 {
                    callback(
                        "FilterDevicePnPEventNotify",
                        handler,
                        &[layer.context(), event as u64],
                    );
                    return;
                }
            }
            Part::Miniport(bottom) => bottom.pnp_event(layer, event),
            Part::Binding(_) => {}
        }
    }
}

fn layer(handle: *mut c_void, function: &'static str) -> &'static Layer {
    kernel().ndis.layers.get(handle, function)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// A filter indicates a status, or passes it on.
    #[irql(DISPATCH)]
    fn NdisFIndicateStatus(handle: *mut c_void, indication: *mut NDIS_STATUS_INDICATION) {
        indicate_status(layer(handle, "NdisFIndicateStatus"), indication);
    }

    /// A miniport indicates a status.
    #[irql(DISPATCH)]
    fn NdisMIndicateStatusEx(handle: *mut c_void, indication: *mut NDIS_STATUS_INDICATION) {
        let layer = layer(handle, "NdisMIndicateStatusEx");
        layer.adapter.note_status(indication);
        indicate_status(layer, indication);
    }

    /// A filter passes a network event up.
    #[irql(PASSIVE)]
    fn NdisFNetPnPEvent(handle: *mut c_void, event: *mut NET_PNP_EVENT_NOTIFICATION) -> i32 {
        net_pnp_event(layer(handle, "NdisFNetPnPEvent"), event)
    }

    /// A miniport sends a network event up.
    #[irql(PASSIVE)]
    fn NdisMNetPnPEvent(handle: *mut c_void, event: *mut NET_PNP_EVENT_NOTIFICATION) -> i32 {
        let layer = layer(handle, "NdisMNetPnPEvent");
        super::port::note_event(layer, event);
        net_pnp_event(layer, event)
    }

    /// A filter passes a device event down.
    #[irql(PASSIVE)]
    fn NdisFDevicePnPEventNotify(handle: *mut c_void, event: *mut NET_DEVICE_PNP_EVENT) {
        let layer = layer(handle, "NdisFDevicePnPEventNotify");
        device_pnp_event(layer.adapter, Some(layer), event);
    }
}

//! Attach, detach, pause and restart.
//!
//! A stack is paused from the top down and restarted from the bottom up, and changed while it is
//! paused. One change at a time happens on an adapter.

use std::sync::atomic::Ordering;

use nt::sys::{
    NDIS_FILTER_ATTACH_PARAMETERS, NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE,
    NDIS_FILTER_PAUSE_PARAMETERS, NDIS_FILTER_RESTART_PARAMETERS,
    NDIS_OBJECT_TYPE_FILTER_ATTACH_PARAMETERS, NDIS_OBJECT_TYPE_FILTER_PAUSE_PARAMETERS,
    NDIS_OBJECT_TYPE_FILTER_RESTART_PARAMETERS, NDIS_PAUSE_ATTACH_FILTER, NDIS_PAUSE_DETACH_FILTER,
    NDIS_PAUSE_FILTER_RESTART_STACK, NDIS_PAUSE_NDIS_INTERNAL, NDIS_STATUS_PENDING,
    NDIS_STATUS_SUCCESS, NET_LUID_LH, NetEventFilterPreDetach,
};

use super::{
    adapter::{Adapter, luid_of},
    filter::{FilterDriver, address, default_hooks},
    header,
    layer::{Layer, Part, State, awaited, callback},
    pnp,
    raw::Text,
    restart::Attributes,
};
use crate::{
    kernel::{kernel, strict},
    verifier::Rule,
};

/// `IF_TYPE_...` of filter interfaces.
const IF_TYPE_FILTER: u64 = 6;

/// Index of a filter module's own interface.
pub(crate) fn interface_index(layer: &Layer) -> u32 {
    match layer.part {
        Part::Filter(driver) => layer.adapter.if_index + 1000 * (1 + driver.order as u32 % 1000),
        _ => layer.adapter.if_index,
    }
}

/// LUID of a filter module's own interface.
pub(crate) fn interface_luid(layer: &Layer) -> u64 {
    match layer.part {
        Part::Filter(_) => luid_of(IF_TYPE_FILTER, u64::from(interface_index(layer))),
        _ => layer.adapter.luid,
    }
}

/// Attaches a filter driver to every adapter.
pub(crate) fn attach_everywhere(driver: &'static FilterDriver) {
    for adapter in kernel().ndis.adapters() {
        adapter.change.with(|| attach(adapter, driver));
    }
}

/// Attaches every filter driver to a new adapter, in order. Its stack does not run yet.
pub(crate) fn attach_all(adapter: &'static Adapter) {
    let mut drivers = kernel().ndis.filter_drivers.live();
    drivers.sort_by_key(|d| d.order);
    adapter.change.with(|| {
        for driver in drivers {
            attach(adapter, driver);
        }
    });
}

/// Detaches a filter driver from every adapter.
pub(crate) fn detach_everywhere(driver: &'static FilterDriver) {
    driver.leaving.store(true, Ordering::SeqCst);
    for adapter in kernel().ndis.adapters() {
        adapter.change.with(|| {
            let module = adapter
                .filters
                .read()
                .iter()
                .copied()
                .find(|l| l.filter().is_some_and(|d| std::ptr::eq(d, driver)));
            if let Some(layer) = module {
                detach(adapter, layer);
            }
        });
    }
}

/// Pauses and restarts a stack, because a filter asked for it.
pub(crate) fn restart_for_filter(adapter: &'static Adapter) {
    adapter.change.with(|| {
        if adapter.running.load(Ordering::SeqCst) {
            pause_layers(adapter, NDIS_PAUSE_FILTER_RESTART_STACK);
            restart_layers(adapter);
        }
    });
}

/// Pauses a stack until [`run`].
pub(crate) fn pause(adapter: &'static Adapter, reason: u32) {
    adapter.change.with(|| {
        if adapter.running.swap(false, Ordering::SeqCst) {
            pause_layers(adapter, reason);
        }
    });
}

/// Lets a stack run.
pub(crate) fn run(adapter: &'static Adapter) -> i32 {
    adapter.change.with(|| {
        if adapter.running.swap(true, Ordering::SeqCst) {
            return NDIS_STATUS_SUCCESS;
        }
        let status = restart_layers(adapter);
        if status != NDIS_STATUS_SUCCESS {
            adapter.running.store(false, Ordering::SeqCst);
        }
        status
    })
}

/// Changes a stack while it is paused.
pub(crate) fn while_paused<R>(
    adapter: &'static Adapter,
    reason: u32,
    change: impl FnOnce() -> R,
) -> R {
    let running = adapter.running.load(Ordering::SeqCst);
    if running {
        pause_layers(adapter, reason);
    }
    let result = change();
    if running && !adapter.removed.load(Ordering::SeqCst) {
        restart_layers(adapter);
    }
    result
}

/// Changes the MTU. Filters whose drivers cannot take that are detached before and attached after.
pub(crate) fn change_mtu(adapter: &'static Adapter, mtu: u32) {
    adapter.change.with(|| {
        let rigid: Vec<(&'static Layer, &'static FilterDriver)> = adapter
            .filters
            .read()
            .iter()
            .filter_map(|l| l.filter().map(|d| (*l, d)))
            .filter(|(_, d)| {
                d.characteristics.Flags & NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE == 0
            })
            .collect();
        for (layer, _) in &rigid {
            detach(adapter, layer);
        }
        while_paused(adapter, NDIS_PAUSE_NDIS_INTERNAL, || {
            let mut general = adapter.general.lock();
            general.mtu = mtu;
            general.lookahead = mtu + 14;
        });
        for (_, driver) in rigid {
            attach(adapter, driver);
        }
    });
}

fn attach(adapter: &'static Adapter, driver: &'static FilterDriver) {
    let present = adapter
        .filters
        .read()
        .iter()
        .any(|l| l.filter().is_some_and(|d| std::ptr::eq(d, driver)));
    if present || driver.leaving.load(Ordering::SeqCst) || adapter.removed.load(Ordering::SeqCst) {
        return;
    }
    while_paused(adapter, NDIS_PAUSE_ATTACH_FILTER, || {
        let layer = kernel()
            .ndis
            .layers
            .insert(Layer::new(adapter, Part::Filter(driver)));
        default_hooks(&layer.hooks, &driver.characteristics);
        let status = call_attach(adapter, driver, layer);
        kernel()
            .ndis
            .note_attach(&adapter.name, &driver.name, status);
        if status == NDIS_STATUS_SUCCESS {
            layer.set_state(State::Paused);
            let mut filters = adapter.filters.write();
            let place = filters
                .iter()
                .position(|l| l.filter().is_some_and(|d| d.order > driver.order))
                .unwrap_or(filters.len());
            filters.insert(place, layer);
        } else {
            layer.set_state(State::Detached);
            super::check_owner_left_nothing(layer.handle() as usize, &layer.name());
            kernel().ndis.layers.retire(layer);
        }
        adapter.update_routes();
    });
}

fn call_attach(
    adapter: &'static Adapter,
    driver: &'static FilterDriver,
    layer: &'static Layer,
) -> i32 {
    let general = adapter.general.lock().clone();
    let mut p = NDIS_FILTER_ATTACH_PARAMETERS::zeroed();
    p.Header = header(NDIS_OBJECT_TYPE_FILTER_ATTACH_PARAMETERS, 4, 0xe0);
    let module_name = Text::new(&format!(
        "{}-{}-0000",
        super::adapter::guid_text(&adapter.guid),
        driver.unique
    ));
    p.FilterModuleGuidName = module_name.pointer();
    p.IfIndex = interface_index(layer);
    p.NetLuid = NET_LUID_LH {
        Value: interface_luid(layer),
    };
    p.BaseMiniportIfIndex = adapter.if_index;
    p.BaseMiniportInstanceName = adapter.instance_name.pointer();
    p.BaseMiniportName = adapter.device_name.pointer();
    p.BaseMiniportNetLuid = NET_LUID_LH {
        Value: adapter.luid,
    };
    p.MediaConnectState = general.connect;
    p.MediaDuplexState = general.duplex;
    p.XmitLinkSpeed = general.xmit_speed;
    p.RcvLinkSpeed = general.rcv_speed;
    p.MiniportMediaType = general.media_type;
    p.MiniportPhysicalMediaType = general.physical_medium;
    let mut offload = general.offload;
    p.DefaultOffloadConfiguration = offload
        .as_mut()
        .map_or(std::ptr::null_mut(), |o| &raw mut *o);
    p.MacAddressLength = general.mac.len() as u16;
    p.CurrentMacAddress[..general.mac.len()].copy_from_slice(&general.mac);
    let below = adapter
        .filters
        .read()
        .iter()
        .copied()
        .rfind(|l| l.filter().is_some_and(|d| d.order < driver.order))
        .unwrap_or(adapter.miniport());
    p.LowerIfIndex = interface_index(below);
    p.LowerIfNetLuid = NET_LUID_LH {
        Value: interface_luid(below),
    };
    p.BaseMiniportIfConnectorPresent = general.connector_present.into();
    callback(
        "FilterAttach",
        address!(driver.characteristics.AttachHandler),
        &[
            layer.handle() as u64,
            driver.context as u64,
            (&raw mut p) as u64,
        ],
    ) as i32
}

/// Detaches a filter module; the caller holds the adapter's change lock.
pub(crate) fn detach(adapter: &'static Adapter, layer: &'static Layer) {
    pnp::notify_filter(layer, NetEventFilterPreDetach);
    while_paused(adapter, NDIS_PAUSE_DETACH_FILTER, || {
        call_detach(adapter, layer);
        adapter.update_routes();
    });
}

fn call_detach(adapter: &'static Adapter, layer: &'static Layer) {
    super::oid::wait_for_requests(layer);
    let Some(driver) = layer.filter() else {
        return;
    };
    callback(
        "FilterDetach",
        address!(driver.characteristics.DetachHandler),
        &[layer.context()],
    );
    adapter.filters.write().retain(|l| !l.is(layer));
    layer.set_state(State::Detached);
    super::check_owner_left_nothing(layer.handle() as usize, &layer.name());
    kernel().ndis.layers.retire(layer);
}

/// Detaches every filter from an adapter that goes away; its stack is paused.
pub(crate) fn detach_all(adapter: &'static Adapter) {
    let filters = adapter.filters.read().clone();
    for layer in filters.into_iter().rev() {
        pnp::notify_filter(layer, NetEventFilterPreDetach);
        call_detach(adapter, layer);
    }
}

fn pause_layers(adapter: &'static Adapter, reason: u32) {
    let bindings = adapter.bindings.read().clone();
    for layer in bindings.into_iter().rev() {
        if let Part::Binding(top) = &layer.part {
            layer.set_state(State::Pausing);
            top.pause(layer, reason);
            layer.close();
            top.closed(layer);
            check_quiet(layer);
        }
    }
    let filters = adapter.filters.read().clone();
    for layer in filters.into_iter().rev() {
        pause_filter(layer, reason);
    }
    let layer = adapter.miniport();
    if let Part::Miniport(bottom) = &layer.part {
        layer.set_state(State::Pausing);
        bottom.pause(layer, reason);
        layer.close();
        check_quiet(layer);
    }
}

/// A paused layer must hold nothing and wait for nothing.
fn check_quiet(layer: &'static Layer) {
    if !strict() {
        return;
    }
    let (held, own) = kernel().ndis.tracker.outstanding(layer);
    if let Some(first) = held.first().or(own.first()).copied() {
        let whereabouts = kernel().ndis.tracker.whereabouts(layer);
        crate::bugcheck!(Rule::NblPausedOutstanding, first, held.len(), own.len();
            "{} is paused, holds {} NBLs of others and waits for {} of its own{}{whereabouts}",
            layer.name(), held.len(), own.len(), if own.is_empty() { "" } else { ": " });
    }
}

fn pause_filter(layer: &'static Layer, reason: u32) {
    let Some(driver) = layer.filter() else {
        return;
    };
    let mut p = NDIS_FILTER_PAUSE_PARAMETERS::zeroed();
    p.Header = header(NDIS_OBJECT_TYPE_FILTER_PAUSE_PARAMETERS, 1, 0xc);
    p.PauseReason = reason;
    begin(layer, State::Pausing, awaited::PAUSE);
    let status = callback(
        "FilterPause",
        address!(driver.characteristics.PauseHandler),
        &[layer.context(), (&raw mut p) as u64],
    ) as i32;
    finish(layer, awaited::PAUSE, status, "FilterPause");
    layer.close();
    check_quiet(layer);
}

/// Gets ready for a change that a driver may leave pending.
pub(crate) fn begin(layer: &'static Layer, state: State, what: u8) {
    layer.done.clear();
    layer.awaited.store(what, Ordering::Release);
    layer.set_state(state);
}

/// Waits for a change that a driver left pending; its status.
pub(crate) fn finish(layer: &'static Layer, what: u8, status: i32, function: &str) -> i32 {
    if status == NDIS_STATUS_PENDING {
        layer.done.wait_for_driver(|| {
            format!(
                "{function} of {} was left pending and never completed",
                layer.name()
            )
        });
        return layer.done_status.load(Ordering::Acquire);
    }
    if layer.awaited.swap(awaited::NOTHING, Ordering::AcqRel) != what {
        crate::bugcheck!(Rule::NdisWrongState, layer.handle(), status;
            "{function} of {} was completed and returned {status:#x} instead of NDIS_STATUS_PENDING", layer.name());
    }
    status
}

fn restart_layers(adapter: &'static Adapter) -> i32 {
    let filters = adapter.filters.read().clone();
    for layer in filters {
        set_module_options(adapter, layer);
    }
    adapter.update_routes();
    let miniport = adapter.miniport();
    if let Part::Miniport(bottom) = &miniport.part {
        miniport.set_state(State::Restarting);
        let status = bottom.restart(miniport);
        if status != NDIS_STATUS_SUCCESS {
            miniport.set_state(State::Paused);
            return status;
        }
        miniport.set_state(State::Running);
    }
    let mut attributes = Attributes::new(&adapter.general.lock());
    let filters = adapter.filters.read().clone();
    for layer in filters {
        if restart_filter(layer, &mut attributes) != NDIS_STATUS_SUCCESS {
            layer.set_state(State::Paused);
            call_detach(adapter, layer);
            adapter.update_routes();
        }
    }
    adapter.upper_mtu.store(attributes.mtu(), Ordering::Relaxed);
    adapter.restarts.fetch_add(1, Ordering::SeqCst);
    let bindings = adapter.bindings.read().clone();
    for layer in bindings {
        if let Part::Binding(top) = &layer.part {
            layer.set_state(State::Running);
            top.restart(layer);
        }
    }
    NDIS_STATUS_SUCCESS
}

fn set_module_options(adapter: &'static Adapter, layer: &'static Layer) {
    let Some(driver) = layer.filter() else {
        return;
    };
    let options = address!(driver.characteristics.SetFilterModuleOptionsHandler);
    if options == 0 {
        return;
    }
    let status = callback("FilterSetModuleOptions", options, &[layer.context()]) as i32;
    if status != NDIS_STATUS_SUCCESS {
        call_detach(adapter, layer);
    }
}

fn restart_filter(layer: &'static Layer, attributes: &mut Attributes) -> i32 {
    let Some(driver) = layer.filter() else {
        return NDIS_STATUS_SUCCESS;
    };
    let adapter = layer.adapter;
    let mut p = NDIS_FILTER_RESTART_PARAMETERS::zeroed();
    p.Header = header(NDIS_OBJECT_TYPE_FILTER_RESTART_PARAMETERS, 1, 0x2c);
    {
        let general = adapter.general.lock();
        p.MiniportMediaType = general.media_type;
        p.MiniportPhysicalMediaType = general.physical_medium;
    }
    if !adapter.hides_attributes.load(Ordering::Relaxed) {
        p.RestartAttributes = attributes.first();
    }
    let below = adapter.below(layer)[0];
    p.LowerIfIndex = interface_index(below);
    p.LowerIfNetLuid = NET_LUID_LH {
        Value: interface_luid(below),
    };
    begin(layer, State::Restarting, awaited::RESTART);
    let status = callback(
        "FilterRestart",
        address!(driver.characteristics.RestartHandler),
        &[layer.context(), (&raw mut p) as u64],
    ) as i32;
    let status = finish(layer, awaited::RESTART, status, "FilterRestart");
    if status == NDIS_STATUS_SUCCESS {
        layer.set_state(State::Running);
    }
    status
}

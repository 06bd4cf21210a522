//! Sends down, completions up, receives up, returns down.

use std::{ffi::c_void, sync::atomic::Ordering};

use nt::sys::{NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_STATUS_PAUSED};

use super::{
    layer::{Layer, Part, State, at, callback, check_dispatch_flag},
    nbl::{self, ChainBuilder, Nbl},
    raw::{get, put},
    tracker,
};
use crate::{
    exports,
    kernel::{kernel, strict},
};

/// Hands a chain that `from` sends to whoever is below.
#[inline]
pub(crate) fn send(
    from: &'static Layer,
    chain: Nbl,
    port: u32,
    flags: u32,
    function: &'static str,
) {
    check_dispatch_flag(flags, function);
    if strict() {
        tracker::check_may_originate(from, function);
    }
    let Some(to) = at(&from.route.send_down) else {
        return;
    };
    let open = to.pass(|| {
        if strict() {
            kernel().ndis.tracker.send(from, to, chain, function);
        }
        match &to.part {
            Part::Filter(_) => {
                let hook = to.hooks.send.load(Ordering::Relaxed);
                callback(
                    "FilterSendNetBufferLists",
                    hook,
                    &[to.context(), chain as u64, port.into(), flags.into()],
                );
            }
            Part::Miniport(bottom) => bottom.send(to, chain, port, flags),
            Part::Binding(_) => {}
        }
    });
    if !open {
        for nbl in nbl::chain(chain) {
            put!(nbl => [Status] NDIS_STATUS_PAUSED);
        }
        deliver_complete(from, chain, flags & 1);
    }
}

/// Hands completed sends of `from` to whoever is above.
#[inline]
pub(crate) fn complete(from: &'static Layer, chain: Nbl, flags: u32, function: &'static str) {
    check_dispatch_flag(flags, function);
    let Some(to) = at(&from.route.complete_up) else {
        return;
    };
    if matches!(to.part, Part::Binding(_)) && !from.adapter.one_binding.load(Ordering::Relaxed) {
        return complete_to_bindings(from, chain, flags, function);
    }
    if strict() {
        kernel().ndis.tracker.complete(from, to, chain, function);
    }
    deliver_complete(to, chain, flags);
}

/// Completions to several bindings: each gets what it sent.
#[cold]
fn complete_to_bindings(from: &'static Layer, chain: Nbl, flags: u32, function: &'static str) {
    let mut per_binding: Vec<(&'static Layer, ChainBuilder)> = Vec::new();
    for nbl in nbl::chain(chain) {
        let to = tracker::binding_of(from, nbl);
        match per_binding.iter_mut().find(|(layer, _)| layer.is(to)) {
            Some((_, builder)) => builder.push(nbl),
            None => {
                let mut builder = ChainBuilder::new();
                builder.push(nbl);
                per_binding.push((to, builder));
            }
        }
    }
    for (to, builder) in per_binding {
        let chain = builder.finish();
        if strict() {
            kernel().ndis.tracker.complete(from, to, chain, function);
        }
        deliver_complete(to, chain, flags);
    }
}

fn deliver_complete(to: &'static Layer, chain: Nbl, flags: u32) {
    match &to.part {
        Part::Filter(_) => {
            let hook = to.hooks.send_complete.load(Ordering::Relaxed);
            if hook != 0 {
                callback(
                    "FilterSendNetBufferListsComplete",
                    hook,
                    &[to.context(), chain as u64, flags.into()],
                );
            }
        }
        Part::Binding(top) => top.send_complete(to, chain, flags),
        Part::Miniport(_) => {}
    }
}

/// Hands a chain that `from` indicates to whoever is above.
#[inline]
pub(crate) fn receive(
    from: &'static Layer,
    chain: Nbl,
    port: u32,
    count: u32,
    flags: u32,
    function: &'static str,
) {
    check_dispatch_flag(flags, function);
    if strict() {
        tracker::check_may_originate(from, function);
    }
    let Some(to) = at(&from.route.receive_up) else {
        return refuse_receive(from, chain, flags);
    };
    if matches!(to.part, Part::Binding(_)) && !from.adapter.one_binding.load(Ordering::Relaxed) {
        return receive_to_bindings(from, chain, port, count, flags, function);
    }
    receive_to(from, to, chain, port, count, flags, function);
}

#[inline]
fn receive_to(
    from: &'static Layer,
    to: &'static Layer,
    chain: Nbl,
    port: u32,
    count: u32,
    flags: u32,
    function: &'static str,
) {
    let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let call = || {
        let mut list = Vec::new();
        if strict() {
            kernel()
                .ndis
                .tracker
                .receive(from, to, chain, count, flags, function);
            if lent {
                list.extend(nbl::chain(chain));
            }
        }
        match &to.part {
            Part::Filter(_) => {
                let hook = to.hooks.receive.load(Ordering::Relaxed);
                callback(
                    "FilterReceiveNetBufferLists",
                    hook,
                    &[
                        to.context(),
                        chain as u64,
                        port.into(),
                        count.into(),
                        flags.into(),
                    ],
                );
            }
            Part::Binding(top) => top.receive(to, chain, port, count, flags),
            Part::Miniport(_) => {}
        }
        if strict() && lent {
            kernel().ndis.tracker.lent_back(from, to, &list);
        }
    };
    let open = if from.state() == State::Paused {
        // Nobody but a NIC that breaks the rules gets here.
        to.pass_paused(call)
    } else {
        to.pass(call)
    };
    if !open {
        refuse_receive(from, chain, flags);
    }
}

/// A receive that nobody takes goes back to who indicated it.
fn refuse_receive(from: &'static Layer, chain: Nbl, flags: u32) {
    let miniport = from.adapter.miniport();
    if let Part::Miniport(bottom) = &miniport.part {
        let wire = |nbl: &Nbl| get!(*nbl => SourceHandle) == miniport.handle();
        bottom.refused(nbl::chain(chain).filter(wire).count() as u64);
    }
    if flags & NDIS_RECEIVE_FLAGS_RESOURCES == 0 {
        deliver_return(from, chain, flags & 1);
    }
}

/// Several bindings get one chain: all but the last may only look at it.
#[cold]
fn receive_to_bindings(
    from: &'static Layer,
    chain: Nbl,
    port: u32,
    count: u32,
    flags: u32,
    function: &'static str,
) {
    let bindings = from.adapter.bindings.read().clone();
    let Some((last, others)) = bindings.split_last() else {
        return refuse_receive(from, chain, flags);
    };
    for binding in others {
        receive_to(
            from,
            binding,
            chain,
            port,
            count,
            flags | NDIS_RECEIVE_FLAGS_RESOURCES,
            function,
        );
    }
    receive_to(from, last, chain, port, count, flags, function);
}

/// Hands receives that `from` is done with to whoever is below.
#[inline]
pub(crate) fn give_back(from: &'static Layer, chain: Nbl, flags: u32, function: &'static str) {
    check_dispatch_flag(flags, function);
    let Some(to) = at(&from.route.return_down) else {
        return;
    };
    if strict() {
        kernel().ndis.tracker.returned(from, to, chain, function);
    }
    deliver_return(to, chain, flags);
}

fn deliver_return(to: &'static Layer, chain: Nbl, flags: u32) {
    match &to.part {
        Part::Filter(_) => {
            let hook = to.hooks.returned.load(Ordering::Relaxed);
            if hook != 0 {
                callback(
                    "FilterReturnNetBufferLists",
                    hook,
                    &[to.context(), chain as u64, flags.into()],
                );
            }
        }
        Part::Miniport(bottom) => bottom.returned(to, chain, flags),
        Part::Binding(_) => {}
    }
}

/// Asks everybody below `from` to give sends with this cancel id up.
pub(crate) fn cancel_send(from: &'static Layer, id: *mut c_void) {
    for layer in from.adapter.below(from) {
        match &layer.part {
            Part::Filter(_) => {
                let hook = layer.hooks.cancel_send.load(Ordering::Relaxed);
                if hook != 0 {
                    callback(
                        "FilterCancelSendNetBufferLists",
                        hook,
                        &[layer.context(), id as u64],
                    );
                    return;
                }
            }
            Part::Miniport(bottom) => return bottom.cancel_send(layer, id),
            Part::Binding(_) => {}
        }
    }
}

#[inline]
fn layer(handle: *mut c_void, function: &'static str) -> &'static Layer {
    kernel().ndis.layers.get(handle, function)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// A filter sends, or passes a send on.
    #[irql(DISPATCH)]
    fn NdisFSendNetBufferLists(handle: *mut c_void, chain: Nbl, port: u32, flags: u32) {
        send(layer(handle, "NdisFSendNetBufferLists"), chain, port, flags, "NdisFSendNetBufferLists");
    }

    /// A filter completes sends.
    #[irql(DISPATCH)]
    fn NdisFSendNetBufferListsComplete(handle: *mut c_void, chain: Nbl, flags: u32) {
        complete(layer(handle, "NdisFSendNetBufferListsComplete"), chain, flags, "NdisFSendNetBufferListsComplete");
    }

    /// A filter indicates receives, or passes them on.
    #[irql(DISPATCH)]
    fn NdisFIndicateReceiveNetBufferLists(handle: *mut c_void, chain: Nbl, port: u32, count: u32, flags: u32) {
        let layer = layer(handle, "NdisFIndicateReceiveNetBufferLists");
        receive(layer, chain, port, count, flags, "NdisFIndicateReceiveNetBufferLists");
    }

    /// A filter returns receives.
    #[irql(DISPATCH)]
    fn NdisFReturnNetBufferLists(handle: *mut c_void, chain: Nbl, flags: u32) {
        give_back(layer(handle, "NdisFReturnNetBufferLists"), chain, flags, "NdisFReturnNetBufferLists");
    }

    /// A filter passes a cancellation on.
    #[irql(DISPATCH)]
    fn NdisFCancelSendNetBufferLists(handle: *mut c_void, id: *mut c_void) {
        cancel_send(layer(handle, "NdisFCancelSendNetBufferLists"), id);
    }

    /// A miniport indicates receives.
    #[irql(DISPATCH)]
    fn NdisMIndicateReceiveNetBufferLists(handle: *mut c_void, chain: Nbl, port: u32, count: u32, flags: u32) {
        let layer = layer(handle, "NdisMIndicateReceiveNetBufferLists");
        if strict() {
            super::port::check_active(layer, port, "NdisMIndicateReceiveNetBufferLists");
        }
        receive(layer, chain, port, count, flags, "NdisMIndicateReceiveNetBufferLists");
    }

    /// A miniport completes sends.
    #[irql(DISPATCH)]
    fn NdisMSendNetBufferListsComplete(handle: *mut c_void, chain: Nbl, flags: u32) {
        complete(layer(handle, "NdisMSendNetBufferListsComplete"), chain, flags, "NdisMSendNetBufferListsComplete");
    }

    /// A protocol sends.
    #[irql(DISPATCH)]
    fn NdisSendNetBufferLists(handle: *mut c_void, chain: Nbl, port: u32, flags: u32) {
        send(layer(handle, "NdisSendNetBufferLists"), chain, port, flags, "NdisSendNetBufferLists");
    }

    /// A protocol returns receives.
    #[irql(DISPATCH)]
    fn NdisReturnNetBufferLists(handle: *mut c_void, chain: Nbl, flags: u32) {
        give_back(layer(handle, "NdisReturnNetBufferLists"), chain, flags, "NdisReturnNetBufferLists");
    }

    /// A protocol cancels its sends.
    #[irql(DISPATCH)]
    fn NdisCancelSendNetBufferLists(handle: *mut c_void, id: *mut c_void) {
        cancel_send(layer(handle, "NdisCancelSendNetBufferLists"), id);
    }
}

//! OID requests: regular, direct and synchronous, and their clones.

use std::{
    collections::{HashMap, VecDeque},
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::{
    NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_PENDING,
    NDIS_STATUS_REQUEST_ABORTED, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::{
    adapter::Adapter,
    filter::address,
    layer::{Layer, OidKind, Part, callback},
    memory,
    raw::{copy, get, load, store},
    signal::{Signal, poll_for_driver},
};
use crate::{
    exports, irql,
    kernel::{kernel, strict},
    verifier::Rule,
};

/// Somebody inside the simulator who waits for a request.
pub(crate) struct Waiter {
    signal: Signal,
    status: AtomicI32,
}

#[derive(Clone)]
enum Source {
    Layer(&'static Layer),
    Internal(Arc<Waiter>),
}

struct Pending {
    source: Source,
    holder: &'static Layer,
    kind: OidKind,
}

/// Requests and clones that exist.
#[derive(Default)]
pub(crate) struct Requests {
    pending: Mutex<HashMap<usize, Pending>>,
    /// Clones and the handle that each was made for.
    pub(crate) clones: Mutex<HashMap<usize, usize>>,
}

/// A miniport gets regular requests one at a time.
#[derive(Default)]
pub(crate) struct MiniportRequests {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    busy: bool,
    waiting: VecDeque<usize>,
}

type Request = *mut NDIS_OID_REQUEST;

fn requests() -> &'static Requests {
    &kernel().ndis.requests
}

fn filter_handler(layer: &Layer, kind: OidKind) -> usize {
    let Some(driver) = layer.filter() else {
        return 0;
    };
    match kind {
        OidKind::Regular => address!(driver.characteristics.OidRequestHandler),
        OidKind::Direct => address!(driver.characteristics.DirectOidRequestHandler),
        OidKind::Synchronous => address!(driver.characteristics.SynchronousOidRequestHandler),
    }
}

fn issue(
    source: Source,
    from: &'static Layer,
    request: Request,
    kind: OidKind,
    function: &str,
) -> i32 {
    super::check_header(
        load(request.cast()),
        NDIS_OBJECT_TYPE_OID_REQUEST,
        1,
        0xec,
        "NDIS_OID_REQUEST",
    );
    let below = from.adapter.below(from);
    let Some(holder) = below
        .into_iter()
        .find(|l| matches!(l.part, Part::Miniport(_)) || filter_handler(l, kind) != 0)
    else {
        return NDIS_STATUS_NOT_SUPPORTED;
    };
    let old = {
        let mut pending = requests().pending.lock();
        let old = pending.get(&(request as usize)).map(|p| p.holder);
        if old.is_none() {
            pending.insert(
                request as usize,
                Pending {
                    source,
                    holder,
                    kind,
                },
            );
        }
        old
    };
    if let Some(old) = old {
        crate::bugcheck!(Rule::OidNotPending, request;
            "{function}: the request at {request:p} is pending with {} and was passed on without a clone", old.name());
    }
    let status = match &holder.part {
        Part::Filter(_) => {
            let name = if kind == OidKind::Direct {
                "FilterDirectOidRequest"
            } else {
                "FilterOidRequest"
            };
            callback(
                name,
                filter_handler(holder, kind),
                &[holder.context(), request as u64],
            ) as i32
        }
        Part::Miniport(bottom) if kind == OidKind::Regular => {
            {
                let mut queue = holder.adapter.requests.queue.lock();
                if queue.busy {
                    queue.waiting.push_back(request as usize);
                    return NDIS_STATUS_PENDING;
                }
                queue.busy = true;
            }
            let status = bottom.oid(holder, request, kind);
            if status != NDIS_STATUS_PENDING {
                taken_back(holder, request, status);
                next_for_miniport(holder.adapter);
                return status;
            }
            status
        }
        Part::Miniport(bottom) => bottom.oid(holder, request, kind),
        Part::Binding(_) => NDIS_STATUS_NOT_SUPPORTED,
    };
    if status != NDIS_STATUS_PENDING {
        taken_back(holder, request, status);
    }
    status
}

/// A handler returned a final status: the request must not have been completed as well.
fn taken_back(holder: &'static Layer, request: Request, status: i32) -> Option<Source> {
    let pending = requests().pending.lock().remove(&(request as usize));
    if pending.is_none() {
        crate::bugcheck!(Rule::OidNotPending, request, status;
            "{} completed the request at {request:p} and also returned {status:#x} instead of NDIS_STATUS_PENDING",
            holder.name());
    }
    pending.map(|p| p.source)
}

/// Gives the miniport what waits for it.
fn next_for_miniport(adapter: &'static Adapter) {
    loop {
        let next = {
            let mut queue = adapter.requests.queue.lock();
            let next = queue.waiting.pop_front();
            if next.is_none() {
                queue.busy = false;
            }
            next
        };
        let Some(request) = next.map(|r| r as Request) else {
            return;
        };
        let layer = adapter.miniport();
        let Part::Miniport(bottom) = &layer.part else {
            return;
        };
        let status = bottom.oid(layer, request, OidKind::Regular);
        if status == NDIS_STATUS_PENDING {
            return;
        }
        if let Some(source) = taken_back(layer, request, status) {
            deliver(&source, request, status, OidKind::Regular);
        }
    }
}

fn deliver(source: &Source, request: Request, status: i32, kind: OidKind) {
    match source {
        Source::Internal(waiter) => {
            waiter.status.store(status, Ordering::Release);
            waiter.signal.set();
        }
        Source::Layer(layer) => match &layer.part {
            Part::Filter(driver) => {
                let (name, handler) = match kind {
                    OidKind::Direct => (
                        "FilterDirectOidRequestComplete",
                        address!(driver.characteristics.DirectOidRequestCompleteHandler),
                    ),
                    _ => (
                        "FilterOidRequestComplete",
                        address!(driver.characteristics.OidRequestCompleteHandler),
                    ),
                };
                if handler == 0 {
                    crate::bugcheck!(Rule::NdisBadStructure, request;
                        "{} made an OID request and has no {name} handler", layer.name());
                }
                callback(
                    name,
                    handler,
                    &[layer.context(), request as u64, status as u32 as u64],
                );
            }
            Part::Binding(top) => top.oid_complete(layer, request, status, kind),
            Part::Miniport(_) => {}
        },
    }
}

/// `holder` completes a request.
pub(crate) fn complete(
    holder: &'static Layer,
    request: Request,
    status: i32,
    kind: OidKind,
    function: &str,
) {
    let found = {
        let mut pending = requests().pending.lock();
        match pending.get(&(request as usize)) {
            Some(p) if p.holder.is(holder) && p.kind == kind => pending
                .remove(&(request as usize))
                .map(|p| p.source)
                .ok_or_else(String::new),
            Some(p) => Err(format!(
                "it is a {:?} request pending with {}",
                p.kind,
                p.holder.name()
            )),
            None => Err("it is not pending (completed twice?)".to_owned()),
        }
    };
    let source = match found {
        Ok(source) => source,
        Err(words) => crate::bugcheck!(Rule::OidNotPending, request, status;
            "{function} by {} for the request at {request:p}: {words}", holder.name()),
    };
    if status == NDIS_STATUS_PENDING {
        crate::bugcheck!(Rule::OidNotPending, request, status;
            "{function} by {} completes a request with NDIS_STATUS_PENDING", holder.name());
    }
    deliver(&source, request, status, kind);
    if matches!(holder.part, Part::Miniport(_)) && kind == OidKind::Regular {
        next_for_miniport(holder.adapter);
    }
}

/// Makes a request from inside the simulator, as if from `from`, and waits for its status.
pub(crate) fn request(from: &'static Layer, request: &mut NDIS_OID_REQUEST, kind: OidKind) -> i32 {
    request_at(from, request, kind, irql::current())
}

/// As [`request`], made at a level.
pub(crate) fn request_at(
    from: &'static Layer,
    request: &mut NDIS_OID_REQUEST,
    kind: OidKind,
    level: nt::sys::KIRQL,
) -> i32 {
    if kind == OidKind::Synchronous {
        return synchronous(from, request);
    }
    let waiter = Arc::new(Waiter {
        signal: Signal::new(),
        status: AtomicI32::new(0),
    });
    let oid = oid_of(request);
    let old = irql::raise(level);
    let status = issue(
        Source::Internal(Arc::clone(&waiter)),
        from,
        request,
        kind,
        "an OID request",
    );
    irql::lower(old);
    if status != NDIS_STATUS_PENDING {
        return status;
    }
    waiter.signal.wait_for_driver(|| {
        format!(
            "OID request {oid:#x} to {} is not completed",
            from.adapter.name
        )
    });
    waiter.status.load(Ordering::Acquire)
}

/// The OID of a request.
pub(crate) fn oid_of(request: *const NDIS_OID_REQUEST) -> u32 {
    get!(request => DATA.QUERY_INFORMATION.Oid)
}

fn synchronous(from: &'static Layer, request: Request) -> i32 {
    let below = from.adapter.below(from);
    synchronous_through(&below, request)
}

fn synchronous_through(layers: &[&'static Layer], request: Request) -> i32 {
    let Some((layer, rest)) = layers.split_first() else {
        return NDIS_STATUS_NOT_SUPPORTED;
    };
    if let Part::Miniport(bottom) = &layer.part {
        return bottom.oid(layer, request, OidKind::Synchronous);
    }
    let handler = filter_handler(layer, OidKind::Synchronous);
    if handler == 0 {
        return synchronous_through(rest, request);
    }
    let mut context = 0_u64;
    let status = callback(
        "FilterSynchronousOidRequest",
        handler,
        &[layer.context(), request as u64, (&raw mut context) as u64],
    ) as i32;
    if status != NDIS_STATUS_SUCCESS {
        return status;
    }
    let mut status = synchronous_through(rest, request);
    let complete = layer.filter().map_or(0, |d| {
        address!(d.characteristics.SynchronousOidRequestCompleteHandler)
    });
    if complete != 0 {
        callback(
            "FilterSynchronousOidRequestComplete",
            complete,
            &[
                layer.context(),
                request as u64,
                (&raw mut status) as u64,
                context,
            ],
        );
    }
    status
}

/// Waits until no request is with, or from, `layer`.
pub(crate) fn wait_for_requests(layer: &'static Layer) {
    let busy = || {
        requests().pending.lock().values().any(|p| {
            p.holder.is(layer) || matches!(&p.source, Source::Layer(source) if source.is(layer))
        })
    };
    poll_for_driver(
        || !busy(),
        || format!("{} is detached with an OID request pending", layer.name()),
    );
}

/// Asks everybody below `from` to give requests with this identifier up.
pub(crate) fn cancel(from: &'static Layer, id: *mut c_void, kind: OidKind) {
    for layer in from.adapter.below(from) {
        match &layer.part {
            Part::Filter(driver) => {
                let (name, handler) = match kind {
                    OidKind::Direct => (
                        "FilterCancelDirectOidRequest",
                        address!(driver.characteristics.CancelDirectOidRequestHandler),
                    ),
                    _ => (
                        "FilterCancelOidRequest",
                        address!(driver.characteristics.CancelOidRequestHandler),
                    ),
                };
                if handler != 0 {
                    callback(name, handler, &[layer.context(), id as u64]);
                    return;
                }
            }
            Part::Miniport(bottom) => {
                cancel_waiting(layer, id);
                bottom.cancel_oid(layer, id, kind);
            }
            Part::Binding(_) => {}
        }
    }
}

/// Requests with this id that still wait for the miniport are aborted.
fn cancel_waiting(layer: &'static Layer, id: *mut c_void) {
    let mut aborted = Vec::new();
    layer
        .adapter
        .requests
        .queue
        .lock()
        .waiting
        .retain(|&request| {
            let request = request as Request;
            let hit = get!(request => RequestId) == id;
            if hit {
                aborted.push(request);
            }
            !hit
        });
    for request in aborted {
        if let Some(source) = taken_back(layer, request, NDIS_STATUS_REQUEST_ABORTED) {
            deliver(
                &source,
                request,
                NDIS_STATUS_REQUEST_ABORTED,
                OidKind::Regular,
            );
        }
    }
}

fn layer(handle: *mut c_void, function: &'static str) -> &'static Layer {
    kernel().ndis.layers.get(handle, function)
}

fn down(handle: *mut c_void, request: Request, kind: OidKind, function: &'static str) -> i32 {
    let layer = layer(handle, function);
    issue(Source::Layer(layer), layer, request, kind, function)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// A filter makes a request, or passes a clone on.
    #[irql(DISPATCH)]
    fn NdisFOidRequest(handle: *mut c_void, request: Request) -> i32 {
        down(handle, request, OidKind::Regular, "NdisFOidRequest")
    }

    /// A filter completes a request.
    #[irql(DISPATCH)]
    fn NdisFOidRequestComplete(handle: *mut c_void, request: Request, status: i32) {
        let layer = layer(handle, "NdisFOidRequestComplete");
        complete(layer, request, status, OidKind::Regular, "NdisFOidRequestComplete");
    }

    /// A filter makes a direct request, or passes a clone on.
    #[irql(DISPATCH)]
    fn NdisFDirectOidRequest(handle: *mut c_void, request: Request) -> i32 {
        down(handle, request, OidKind::Direct, "NdisFDirectOidRequest")
    }

    /// A filter completes a direct request.
    #[irql(DISPATCH)]
    fn NdisFDirectOidRequestComplete(handle: *mut c_void, request: Request, status: i32) {
        let layer = layer(handle, "NdisFDirectOidRequestComplete");
        complete(layer, request, status, OidKind::Direct, "NdisFDirectOidRequestComplete");
    }

    /// A filter makes a synchronous request.
    #[irql(DISPATCH)]
    fn NdisFSynchronousOidRequest(handle: *mut c_void, request: Request) -> i32 {
        synchronous(layer(handle, "NdisFSynchronousOidRequest"), request)
    }

    /// A filter passes a cancellation on.
    #[irql(DISPATCH)]
    fn NdisFCancelOidRequest(handle: *mut c_void, id: *mut c_void) {
        cancel(layer(handle, "NdisFCancelOidRequest"), id, OidKind::Regular);
    }

    /// A filter passes the cancellation of a direct request on.
    #[irql(DISPATCH)]
    fn NdisFCancelDirectOidRequest(handle: *mut c_void, id: *mut c_void) {
        cancel(layer(handle, "NdisFCancelDirectOidRequest"), id, OidKind::Direct);
    }

    /// A miniport completes a request.
    #[irql(DISPATCH)]
    fn NdisMOidRequestComplete(handle: *mut c_void, request: Request, status: i32) {
        let layer = layer(handle, "NdisMOidRequestComplete");
        complete(layer, request, status, OidKind::Regular, "NdisMOidRequestComplete");
    }

    /// A miniport completes a direct request.
    #[irql(DISPATCH)]
    fn NdisMDirectOidRequestComplete(handle: *mut c_void, request: Request, status: i32) {
        let layer = layer(handle, "NdisMDirectOidRequestComplete");
        complete(layer, request, status, OidKind::Direct, "NdisMDirectOidRequestComplete");
    }

    /// A protocol makes a request.
    #[irql(DISPATCH)]
    fn NdisOidRequest(handle: *mut c_void, request: Request) -> i32 {
        down(handle, request, OidKind::Regular, "NdisOidRequest")
    }

    /// A protocol makes a direct request.
    #[irql(DISPATCH)]
    fn NdisDirectOidRequest(handle: *mut c_void, request: Request) -> i32 {
        down(handle, request, OidKind::Direct, "NdisDirectOidRequest")
    }

    /// A protocol cancels its requests.
    #[irql(DISPATCH)]
    fn NdisCancelOidRequest(handle: *mut c_void, id: *mut c_void) {
        cancel(layer(handle, "NdisCancelOidRequest"), id, OidKind::Regular);
    }

    /// Makes a copy of a request, to pass on.
    #[irql(DISPATCH)]
    fn NdisAllocateCloneOidRequest(handle: *mut c_void, request: Request, tag: u32, clone: *mut Request) -> i32 {
        let _ = tag;
        let owner = super::owner(handle);
        if memory::must_fail("NdisAllocateCloneOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        let new = memory::allocate(size_of::<NDIS_OID_REQUEST>()).cast::<NDIS_OID_REQUEST>();
        store(clone, new);
        if new.is_null() {
            return NDIS_STATUS_RESOURCES;
        }
        let size = usize::from(get!(request => Header.Size)).min(size_of::<NDIS_OID_REQUEST>());
        copy(new.cast(), request.cast(), size);
        requests().clones.lock().insert(new as usize, owner);
        NDIS_STATUS_SUCCESS
    }

    /// Frees a clone.
    #[irql(DISPATCH)]
    fn NdisFreeCloneOidRequest(handle: *mut c_void, clone: Request) {
        let _ = super::owner(handle);
        if requests().clones.lock().remove(&(clone as usize)).is_none() {
            crate::bugcheck!(Rule::OidNotPending, clone;
                "NdisFreeCloneOidRequest: {clone:p} is no clone (freed twice?)");
        }
        let holder = requests().pending.lock().get(&(clone as usize)).map(|p| p.holder);
        if strict() && let Some(holder) = holder {
            crate::bugcheck!(Rule::OidNotPending, clone;
                "NdisFreeCloneOidRequest: the clone at {clone:p} is pending with {}", holder.name());
        }
        memory::free(clone.cast(), size_of::<NDIS_OID_REQUEST>());
    }
}

//! NDIS 6: drivers, adapters, stacks, the data path and everything that drivers get from NDIS.
//!
//! An adapter has a stack of *layers*: a miniport (the built-in NIC or a loaded driver), filter
//! modules, and bindings (the built-in stack end or loaded protocol drivers). A driver's handle for
//! a layer is its address.

pub(crate) mod adapter;
mod arena;
mod clone;
mod config;
pub(crate) mod datapath;
mod device;
pub(crate) mod filter;
mod interface;
pub(crate) mod layer;
mod left;
pub(crate) mod lifecycle;
pub(crate) mod memory;
mod miniport;
pub(crate) mod nbl;
mod net_buffer;
pub(crate) mod oid;
pub(crate) mod pnp;
mod poll;
pub(crate) mod pool;
mod port;
pub(crate) mod raw;
mod restart;
mod rw_lock;
pub(crate) mod signal;
mod system;
#[cfg(test)]
mod tests;
mod timer;
mod tracker;
mod version;
mod worker;

use std::{
    collections::BTreeSet,
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use crate::sync::{Mutex, RwLock};
use nt::sys::NDIS_OBJECT_HEADER;

use crate::{
    export::Export,
    kernel::{kernel, strict},
    nic::Nic,
    verifier::Rule,
};

use self::left::check_owner_left_nothing;
pub(crate) use self::left::left_by;

/// How an attempt to attach a filter ended.
#[derive(Clone, Debug)]
pub(crate) struct AttachNote {
    pub(crate) adapter: String,
    pub(crate) filter: String,
    pub(crate) status: i32,
}

/// All state of NDIS.
pub(crate) struct State {
    pub(crate) layers: arena::Arena<layer::Layer>,
    pub(crate) filter_drivers: arena::Arena<filter::FilterDriver>,
    pub(crate) miniport_drivers: arena::Arena<miniport::MiniportDriver>,
    pub(crate) pools: arena::Arena<pool::Pool>,
    pub(crate) rw_locks: arena::Arena<rw_lock::RwLock>,
    pub(crate) timers: arena::Arena<timer::Timer>,
    pub(crate) work_items: arena::Arena<timer::WorkItem>,
    pub(crate) configurations: arena::Arena<config::Configuration>,
    pub(crate) devices: arena::Arena<device::ControlDevice>,
    pub(crate) polls: arena::Arena<poll::Poll>,
    luid_indices: interface::LuidIndices,
    pub(crate) generic_objects: Mutex<BTreeSet<usize>>,
    pub(crate) tracker: tracker::Tracker,
    pub(crate) requests: oid::Requests,
    pub(crate) workers: worker::Workers,
    all_adapters: arena::Arena<adapter::Adapter>,
    adapters: RwLock<Vec<&'static adapter::Adapter>>,
    nics: Mutex<Vec<Arc<Nic>>>,
    attach_notes: Mutex<Vec<AttachNote>>,
    numbers: AtomicU64,
    next_if_index: AtomicU32,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            layers: arena::Arena::new("an adapter, filter module or binding handle"),
            filter_drivers: arena::Arena::new("a filter driver handle"),
            miniport_drivers: arena::Arena::new("a miniport driver handle"),
            pools: arena::Arena::new("a NET_BUFFER_LIST or NET_BUFFER pool"),
            rw_locks: arena::Arena::new("an NDIS reader-writer lock"),
            timers: arena::Arena::new("an NDIS timer"),
            work_items: arena::Arena::new("an NDIS work item"),
            configurations: arena::Arena::new("an open configuration"),
            devices: arena::Arena::new("a device of NdisRegisterDeviceEx"),
            polls: arena::Arena::new("a poll object"),
            luid_indices: interface::LuidIndices::default(),
            generic_objects: Mutex::new(BTreeSet::new()),
            tracker: tracker::Tracker::default(),
            requests: oid::Requests::default(),
            workers: worker::Workers::default(),
            all_adapters: arena::Arena::new("an adapter"),
            adapters: RwLock::new(Vec::new()),
            nics: Mutex::new(Vec::new()),
            attach_notes: Mutex::new(Vec::new()),
            numbers: AtomicU64::new(1),
            next_if_index: AtomicU32::new(2),
        }
    }

    /// A number that is larger than all before.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The adapters that are present.
    pub(crate) fn adapters(&self) -> Vec<&'static adapter::Adapter> {
        self.adapters.read().clone()
    }

    fn note_attach(&self, adapter: &str, filter: &str, status: i32) {
        self.attach_notes.lock().push(AttachNote {
            adapter: adapter.to_owned(),
            filter: filter.to_owned(),
            status,
        });
    }

    /// How attempts to attach filters ended so far.
    pub(crate) fn attach_notes(&self) -> Vec<AttachNote> {
        self.attach_notes.lock().clone()
    }
}

/// What ndis.sys exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        clone::EXPORTS,
        config::EXPORTS,
        datapath::EXPORTS,
        device::EXPORTS,
        filter::EXPORTS,
        interface::EXPORTS,
        miniport::EXPORTS,
        net_buffer::EXPORTS,
        oid::EXPORTS,
        pnp::EXPORTS,
        poll::EXPORTS,
        pool::EXPORTS,
        port::EXPORTS,
        rw_lock::EXPORTS,
        system::EXPORTS,
        timer::EXPORTS,
        version::EXPORTS,
    ]
}

/// Waits until everything that NDIS queued (attaching filters, restarts, work items) is done.
pub(crate) fn settle() {
    kernel().ndis.workers.settle();
}

/// Lets NDIS's threads, and those of the NICs, end.
pub(crate) fn stop() {
    for nic in kernel().ndis.nics.lock().iter() {
        nic.stop.store(true, Ordering::Release);
    }
    kernel().ndis.workers.stop();
}

/// Makes an adapter with a miniport, which does not run yet.
pub(crate) fn add_adapter(
    name: &str,
    general: adapter::General,
    bottom: Box<dyn layer::Bottom>,
) -> &'static adapter::Adapter {
    let ndis = &kernel().ndis;
    let if_index = ndis.next_if_index.fetch_add(1, Ordering::Relaxed);
    let adapter = ndis
        .all_adapters
        .insert(adapter::Adapter::new(name, if_index, general));
    let miniport = ndis
        .layers
        .insert(layer::Layer::new(adapter, layer::Part::Miniport(bottom)));
    miniport.set_state(layer::State::Paused);
    assert!(adapter.miniport.set(miniport).is_ok(), "made once");
    adapter.update_routes();
    ndis.adapters.write().push(adapter);
    adapter
}

/// Writes what an installation leaves in the adapter's registry key.
pub(crate) fn write_settings(adapter: &adapter::Adapter, settings: &[(String, String)]) {
    let registry = &kernel().registry;
    let (key, _) = registry.create(&adapter.registry_key());
    let set = |name: &str, text: &str| {
        let units = text.encode_utf16().chain([0]);
        let data = units.flat_map(u16::to_le_bytes).collect();
        registry.set(&key, name, crate::cm::REG_SZ, data);
    };
    set("NetCfgInstanceId", &adapter::guid_text(&adapter.guid));
    set("DriverDesc", &adapter.name);
    for (name, text) in settings {
        set(name, text);
    }
}

/// Key of the configuration of the filter of this name on an adapter.
pub(crate) fn filter_key(adapter: &adapter::Adapter, filter: &str) -> Option<String> {
    let filters = adapter.filters.read();
    let layer = filters
        .iter()
        .find(|l| l.filter().is_some_and(|d| d.name == filter))?;
    config::module_key(layer, false)
}

/// Initialises an adapter that a loaded miniport driver (the newest) runs; its status.
pub(crate) fn start_miniport(adapter: &'static adapter::Adapter) -> i32 {
    let layer = adapter.miniport();
    let layer::Part::Miniport(bottom) = &layer.part else {
        return nt::sys::NDIS_STATUS_FAILURE;
    };
    let status = adapter.change.with(|| bottom.start(layer));
    if status != nt::sys::NDIS_STATUS_SUCCESS {
        let ndis = &kernel().ndis;
        ndis.adapters.write().retain(|a| !std::ptr::eq(*a, adapter));
        ndis.layers.retire(layer);
    }
    status
}

/// The miniport part for an adapter that the newest miniport driver runs.
pub(crate) fn newest_miniport() -> Option<Box<dyn layer::Bottom>> {
    let drivers = kernel().ndis.miniport_drivers.live();
    let driver = drivers.into_iter().max_by_key(|d| d.order)?;
    Some(Box::new(miniport::Driven(driver)))
}

/// Puts a binding on top of an adapter's stack; the stack is paused meanwhile.
pub(crate) fn bind(adapter: &'static adapter::Adapter, part: layer::Part) -> &'static layer::Layer {
    adapter.change.with(|| {
        lifecycle::while_paused(adapter, nt::sys::NDIS_PAUSE_BIND_PROTOCOL, || {
            let layer = kernel()
                .ndis
                .layers
                .insert(layer::Layer::new(adapter, part));
            layer.set_state(layer::State::Paused);
            adapter.bindings.write().push(layer);
            adapter.update_routes();
            layer
        })
    })
}

/// Takes an adapter away: pauses its stack, detaches the filters, halts the miniport.
pub(crate) fn remove_adapter(adapter: &'static adapter::Adapter) {
    lifecycle::pause(adapter, nt::sys::NDIS_PAUSE_MINIPORT_DEVICE_REMOVE);
    adapter.change.with(|| {
        adapter.removed.store(true, Ordering::SeqCst);
        lifecycle::detach_all(adapter);
        if let layer::Part::Miniport(bottom) = &adapter.miniport().part {
            bottom.halt(adapter.miniport());
        }
        for layer in adapter.layers() {
            layer.set_state(layer::State::Detached);
            kernel().ndis.layers.retire(layer);
        }
        adapter.bindings.write().clear();
    });
    let ndis = &kernel().ndis;
    ndis.adapters.write().retain(|a| !std::ptr::eq(*a, adapter));
    ndis.nics
        .lock()
        .retain(|n| !std::ptr::eq(n.adapter(), adapter));
    ndis.all_adapters.retire(adapter);
}

/// Keeps a NIC while it is present.
pub(crate) fn add_nic(nic: Arc<Nic>) {
    kernel().ndis.nics.lock().push(nic);
}

/// The NIC with this name.
pub(crate) fn nic(name: &str) -> Option<Arc<Nic>> {
    kernel()
        .ndis
        .nics
        .lock()
        .iter()
        .find(|n| n.name == name)
        .cloned()
}

/// An object header.
pub(crate) fn header(kind: u8, revision: u8, size: u16) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER {
        Type: kind,
        Revision: revision,
        Size: size,
    }
}

/// Stops the kernel when a structure's header is not what its reference page asks for.
fn check_header(given: NDIS_OBJECT_HEADER, kind: u8, revision: u8, size: u16, what: &str) {
    if strict() && (given.Type != kind || given.Revision < revision || given.Size < size) {
        crate::bugcheck!(Rule::NdisBadStructure, given.Type, given.Revision, given.Size;
            "{what} has type {:#x}, revision {}, size {:#x}; at least {kind:#x}, {revision}, {size:#x} are expected",
            given.Type, given.Revision, given.Size);
    }
}

fn check_nbl_memory(nbl: nbl::Nbl, function: &str) {
    if nbl.is_null() || !(nbl as usize).is_multiple_of(16) {
        crate::bugcheck!(Rule::NblDoubleFree, nbl; "{function}: {nbl:p} is no NET_BUFFER_LIST");
    }
}

/// Four characters of a pool tag.
fn tag(tag: u32) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|&b| if b.is_ascii_graphic() { b as char } else { '.' })
        .collect()
}

impl Drop for State {
    fn drop(&mut self) {
        // A NIC frees its NBLs to their pool: it must go first.
        self.nics.get_mut().clear();
    }
}

/// Who a new object belongs to: the layer or driver that `handle` names, or nobody.
fn owner(handle: *mut c_void) -> usize {
    let ndis = &kernel().ndis;
    if strict()
        && !handle.is_null()
        && !ndis.layers.contains(handle)
        && !ndis.filter_drivers.contains(handle)
        && !ndis.miniport_drivers.contains(handle)
        && !ndis.generic_objects.lock().contains(&(handle as usize))
    {
        crate::bugcheck!(Rule::NdisBadHandle, handle;
            "{handle:p} is no handle of a driver, adapter, filter module or binding");
    }
    handle as usize
}

/// The filters on an adapter, from the bottom up.
pub(crate) fn describe_filters(adapter: &adapter::Adapter) -> Vec<crate::lab::nic::FilterModule> {
    let hook = |h: &std::sync::atomic::AtomicUsize| h.load(Ordering::Relaxed) != 0;
    adapter
        .filters
        .read()
        .iter()
        .filter_map(|layer| {
            Some(crate::lab::nic::FilterModule {
                name: layer.filter()?.name.clone(),
                sends: hook(&layer.hooks.send),
                receives: hook(&layer.hooks.receive),
            })
        })
        .collect()
}

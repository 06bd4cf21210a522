//! The parts of an adapter's stack: miniport, filter modules, protocol bindings.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering},
};

use nt::sys::{NDIS_OID_REQUEST, NDIS_STATUS, NDIS_STATUS_INDICATION};

use super::{adapter::Adapter, filter::FilterDriver, nbl::Nbl, signal::Signal};
use crate::{arch, irql, kernel::strict, sched, verifier::Rule};

/// What drives an adapter: the built-in NIC or a loaded miniport driver.
pub(crate) trait Bottom: Send + Sync {
    fn send(&self, layer: &'static Layer, chain: Nbl, port: u32, flags: u32);
    fn returned(&self, layer: &'static Layer, chain: Nbl, flags: u32);
    fn cancel_send(&self, layer: &'static Layer, id: *mut c_void);
    fn pause(&self, layer: &'static Layer, reason: u32);
    fn restart(&self, layer: &'static Layer) -> NDIS_STATUS;
    fn oid(
        &self,
        layer: &'static Layer,
        request: *mut NDIS_OID_REQUEST,
        kind: OidKind,
    ) -> NDIS_STATUS;
    fn cancel_oid(&self, layer: &'static Layer, id: *mut c_void, kind: OidKind);
    fn pnp_event(&self, layer: &'static Layer, event: *mut nt::sys::NET_DEVICE_PNP_EVENT);
    /// Receives that it indicated were not taken by anybody.
    fn refused(&self, _: u64) {}
    /// Initialises the adapter.
    fn start(&self, _: &'static Layer) -> NDIS_STATUS {
        nt::sys::NDIS_STATUS_SUCCESS
    }
    /// Takes the adapter down; its stack is paused.
    fn halt(&self, _: &'static Layer) {}
    /// Handle of the loaded driver; 0 for the built-in NIC.
    fn driver(&self) -> usize {
        0
    }
    /// Whether it is part of the simulator, which never changes what it does not own.
    fn is_builtin(&self) -> bool;
    /// Takes note of a rule that it has broken; `false` when it must not.
    fn excuses(&self, _: Rule, _: &str) -> bool {
        false
    }
}

/// What is bound to the top of a stack: the built-in stack end or a loaded protocol driver.
pub(crate) trait Top: Send + Sync {
    fn receive(&self, layer: &'static Layer, chain: Nbl, port: u32, count: u32, flags: u32);
    fn send_complete(&self, layer: &'static Layer, chain: Nbl, flags: u32);
    fn status(&self, layer: &'static Layer, indication: *mut NDIS_STATUS_INDICATION);
    fn oid_complete(
        &self,
        layer: &'static Layer,
        request: *mut NDIS_OID_REQUEST,
        status: NDIS_STATUS,
        kind: OidKind,
    );
    fn pnp_event(
        &self,
        layer: &'static Layer,
        event: *mut nt::sys::NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    fn pause(&self, layer: &'static Layer, reason: u32);
    /// No call is inside any more; what it still holds must go back now.
    fn closed(&self, layer: &'static Layer);
    fn restart(&self, layer: &'static Layer);
    fn is_builtin(&self) -> bool;
}

/// Which of the request paths an OID takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OidKind {
    Regular,
    Direct,
    Synchronous,
}

/// What a layer is.
pub(crate) enum Part {
    Miniport(Box<dyn Bottom>),
    Filter(&'static FilterDriver),
    Binding(Box<dyn Top>),
}

/// Where a layer is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum State {
    Detached,
    Attaching,
    Paused,
    /// The pause is complete; calls that are inside still run out.
    Closing,
    Restarting,
    Running,
    Pausing,
}

impl State {
    fn from_u8(value: u8) -> State {
        match value {
            0 => State::Detached,
            1 => State::Attaching,
            2 => State::Paused,
            3 => State::Closing,
            4 => State::Restarting,
            5 => State::Running,
            _ => State::Pausing,
        }
    }
}

/// A filter module's data path functions; 0 where it has none.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) send: AtomicUsize,
    pub(crate) send_complete: AtomicUsize,
    pub(crate) cancel_send: AtomicUsize,
    pub(crate) receive: AtomicUsize,
    pub(crate) returned: AtomicUsize,
}

/// Who comes next in each direction; null for nobody. Only changed while the stack is paused.
#[derive(Default)]
pub(crate) struct Route {
    pub(crate) receive_up: AtomicPtr<Layer>,
    pub(crate) complete_up: AtomicPtr<Layer>,
    pub(crate) send_down: AtomicPtr<Layer>,
    pub(crate) return_down: AtomicPtr<Layer>,
}

/// One layer of a stack. Its address is the handle that its driver knows.
pub(crate) struct Layer {
    pub(crate) adapter: &'static Adapter,
    pub(crate) part: Part,
    /// The driver's own context for it.
    pub(crate) context: AtomicUsize,
    pub(crate) hooks: Hooks,
    pub(crate) route: Route,
    state: AtomicU8,
    /// Data path calls into it that have not returned.
    active: AtomicU32,
    /// Set when a pending pause or restart has completed.
    pub(crate) done: Signal,
    pub(crate) done_status: AtomicI32,
    /// Whether a pending pause or restart may complete now.
    pub(crate) awaited: AtomicU8,
}

/// Values of `Layer.awaited`.
pub(crate) mod awaited {
    pub(crate) const NOTHING: u8 = 0;
    pub(crate) const PAUSE: u8 = 1;
    pub(crate) const RESTART: u8 = 2;
}

impl Layer {
    pub(crate) fn new(adapter: &'static Adapter, part: Part) -> Layer {
        Layer {
            adapter,
            part,
            context: AtomicUsize::new(0),
            hooks: Hooks::default(),
            route: Route::default(),
            state: AtomicU8::new(State::Attaching as u8),
            active: AtomicU32::new(0),
            done: Signal::new(),
            done_status: AtomicI32::new(0),
            awaited: AtomicU8::new(awaited::NOTHING),
        }
    }

    /// The handle.
    pub(crate) fn handle(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn is(&self, other: &Layer) -> bool {
        std::ptr::eq(self, other)
    }

    pub(crate) fn context(&self) -> u64 {
        self.context.load(Ordering::Acquire) as u64
    }

    pub(crate) fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::SeqCst))
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }

    /// Lets no data path call in any more and waits until none is inside.
    pub(crate) fn close(&self) {
        self.set_state(State::Closing);
        super::signal::poll_for_driver(
            || self.active.load(Ordering::SeqCst) == 0,
            || format!("{}: a send or receive handler does not return", self.name()),
        );
        self.set_state(State::Paused);
    }

    /// Runs a data path call into this layer, unless it is paused: then returns `false`.
    #[inline]
    pub(crate) fn pass(&self, body: impl FnOnce()) -> bool {
        self.active.fetch_add(1, Ordering::SeqCst);
        let state = self.state.load(Ordering::SeqCst);
        let open = state >= State::Running as u8;
        if open {
            body();
        }
        self.active.fetch_sub(1, Ordering::SeqCst);
        open
    }

    /// As [`Layer::pass`], for a call that comes although it must not: a filter that is paused gets it all the same.
    pub(crate) fn pass_paused(&self, body: impl FnOnce()) -> bool {
        if self.filter().is_none() || self.state() != State::Paused {
            return self.pass(body);
        }
        self.active.fetch_add(1, Ordering::SeqCst);
        body();
        self.active.fetch_sub(1, Ordering::SeqCst);
        true
    }

    /// Whether this layer may break the rule, which is noted against it then.
    pub(crate) fn excuses(&self, rule: Rule, words: &str) -> bool {
        match &self.part {
            Part::Miniport(bottom) => bottom.excuses(rule, words),
            _ => false,
        }
    }

    /// For reports.
    pub(crate) fn name(&self) -> String {
        let adapter = &self.adapter.name;
        match &self.part {
            Part::Miniport(_) => format!("the miniport of {adapter}"),
            Part::Filter(driver) => format!("filter \"{}\" on {adapter}", driver.name),
            Part::Binding(top) if top.is_builtin() => format!("the stack end of {adapter}"),
            Part::Binding(_) => format!("a protocol binding on {adapter}"),
        }
    }

    pub(crate) fn filter(&self) -> Option<&'static FilterDriver> {
        match self.part {
            Part::Filter(driver) => Some(driver),
            _ => None,
        }
    }

    pub(crate) fn is_builtin(&self) -> bool {
        match &self.part {
            Part::Miniport(bottom) => bottom.is_builtin(),
            Part::Filter(_) => false,
            Part::Binding(top) => top.is_builtin(),
        }
    }
}

/// The layer in a route; `None` for nobody.
#[inline]
pub(crate) fn at(route: &AtomicPtr<Layer>) -> Option<&'static Layer> {
    // SAFETY: routes hold null or layers of the arena, which live as long as the kernel.
    unsafe { route.load(Ordering::Acquire).as_ref() }
}

/// Calls a driver's function and checks that it leaves the thread as it found it.
#[inline]
pub(crate) fn callback(name: &'static str, function: usize, arguments: &[u64]) -> u64 {
    if !strict() {
        return arch::call_driver(function as *const (), arguments);
    }
    let thread = sched::current();
    let level = thread.irql();
    let held = thread.held_locks.borrow().len();
    sched::yield_point();
    let result = arch::call_driver(function as *const (), arguments);
    if thread.irql() != level {
        crate::bugcheck!(Rule::NdisCallbackIrql, level, thread.irql();
            "{name} was called at {} and returned at {}", irql::name(level), irql::name(thread.irql()));
    }
    let lock = thread.held_locks.borrow().get(held).copied();
    if let Some(lock) = lock {
        crate::bugcheck!(Rule::NdisCallbackLock, lock.address;
            "{name} returned with the lock at {:#x} held, which it acquired with {}", lock.address, lock.function);
    }
    result
}

/// Stops the kernel when a DISPATCH_LEVEL flag does not match the level.
#[inline]
pub(crate) fn check_dispatch_flag(flags: u32, function: &str) {
    if strict() && flags & 1 != 0 && irql::current() < irql::DISPATCH {
        crate::bugcheck!(Rule::NdisDispatchFlag, flags, irql::current();
            "{function}: flags {flags:#x} say DISPATCH_LEVEL, the level is {}", irql::name(irql::current()));
    }
}

//! A small filter driver of linked functions, whose behaviour tests choose.

use std::{
    collections::VecDeque,
    ffi::c_void,
    sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering},
};

use nt::sys::*;
use parking_lot::Mutex;

use crate::{
    Lab, LabError, invoke,
    ndis::{
        datapath::*,
        filter::*,
        header,
        nbl::{self, Nbl},
        oid::*,
        pnp::*,
        raw::{Text, load},
    },
};

/// What a filter does with receives (and likewise sends).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Pass,
    /// Gives the chain back to where it came from.
    Drop,
    /// Gives the chain back and passes it on.
    PassAndDrop,
    /// Gives the chain back twice.
    DropTwice,
    /// Keeps the chain.
    Keep,
    /// Passes on without the RESOURCES flag.
    PassWithoutResources,
    /// Gives back although the RESOURCES flag is set.
    ReturnResources,
    /// Says DISPATCH_LEVEL at PASSIVE_LEVEL.
    WrongDispatchFlag,
    /// Says a wrong number of NBLs.
    WrongCount,
    /// Returns at DISPATCH_LEVEL.
    RaiseIrql,
    /// Returns with a lock held.
    HoldLock,
    /// Makes the first NET_BUFFER longer than its MDLs.
    Overlong,
    /// Passes on, then changes the NBL.
    ChangeAfterPass,
    /// Cuts the chain's links with the RESOURCES flag.
    CutLinks,
}

/// What the one filter module of a test does and has seen.
pub(crate) struct Filter {
    pub(crate) handle: Mutex<usize>,
    pub(crate) driver: Mutex<usize>,
    pub(crate) driver_object: AtomicUsize,
    pub(crate) receive: Mutex<Act>,
    pub(crate) send: Mutex<Act>,
    pub(crate) kept: Mutex<VecDeque<usize>>,
    pub(crate) log: Mutex<Vec<&'static str>>,
    pub(crate) statuses: Mutex<Vec<i32>>,
    pub(crate) attach_status: AtomicI32,
    pub(crate) restart_status: AtomicI32,
    pub(crate) pend_pause: AtomicBool,
    pub(crate) complete_pause_twice: AtomicBool,
    /// Whether the module has data path handlers after the next restart.
    pub(crate) hooked: AtomicBool,
    pub(crate) bypass: AtomicBool,
    pub(crate) pend_oids: AtomicBool,
    /// Own requests that were completed, and their statuses.
    pub(crate) own_oids: Mutex<Vec<(usize, i32)>>,
    pub(crate) clones: Mutex<Vec<(usize, usize)>>,
    pub(crate) mtu: AtomicU32,
    pub(crate) if_index: AtomicU32,
    pub(crate) complete_oid_twice: AtomicBool,
    pub(crate) leak_clone: AtomicBool,
    pub(crate) pool: Mutex<usize>,
    pub(crate) leak_pool: AtomicBool,
    pub(crate) returned: AtomicU32,
    pub(crate) completed: AtomicU32,
    lock: Mutex<Box<usize>>,
}

pub(crate) fn new_filter() -> &'static Filter {
    Box::leak(Box::new(Filter {
        handle: Mutex::new(0),
        driver: Mutex::new(0),
        driver_object: AtomicUsize::new(0),
        receive: Mutex::new(Act::Pass),
        send: Mutex::new(Act::Pass),
        kept: Mutex::default(),
        log: Mutex::default(),
        statuses: Mutex::default(),
        attach_status: AtomicI32::new(0),
        restart_status: AtomicI32::new(0),
        pend_pause: AtomicBool::new(false),
        complete_pause_twice: AtomicBool::new(false),
        hooked: AtomicBool::new(true),
        bypass: AtomicBool::new(false),
        pend_oids: AtomicBool::new(false),
        own_oids: Mutex::default(),
        clones: Mutex::default(),
        mtu: AtomicU32::new(0),
        if_index: AtomicU32::new(0),
        complete_oid_twice: AtomicBool::new(false),
        leak_clone: AtomicBool::new(false),
        pool: Mutex::new(0),
        leak_pool: AtomicBool::new(false),
        returned: AtomicU32::new(0),
        completed: AtomicU32::new(0),
        lock: Mutex::new(Box::new(0)),
    }))
}

fn filter(context: *mut c_void) -> &'static Filter {
    // SAFETY: the context is the leaked filter that the test registered.
    unsafe { &*context.cast::<Filter>() }
}

impl Filter {
    pub(crate) fn handle(&self) -> *mut c_void {
        *self.handle.lock() as *mut c_void
    }

    fn note(&self, what: &'static str) {
        self.log.lock().push(what);
    }

    pub(crate) fn take_log(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.log.lock())
    }

    fn context(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Registers with NDIS; returns the status.
    pub(crate) fn register(&'static self, lab: &Lab, name: &str) -> Result<i32, LabError> {
        let name = Text::new(name);
        let mut c = characteristics(&name);
        if self.bypass.load(Ordering::SeqCst) {
            c.SetFilterModuleOptionsHandler = Some(set_module_options);
        }
        self.register_with(lab, c)
    }

    pub(crate) fn register_with(
        &'static self,
        lab: &Lab,
        mut c: NDIS_FILTER_DRIVER_CHARACTERISTICS,
    ) -> Result<i32, LabError> {
        let mut handle = 0_usize;
        let status = lab.enter(|| {
            invoke!(
                NdisFRegisterFilterDriver,
                self.driver_object.load(Ordering::SeqCst),
                self.context(),
                &raw mut c,
                &raw mut handle
            )
        })? as i32;
        *self.driver.lock() = handle;
        lab.settle()?;
        Ok(status)
    }

    pub(crate) fn deregister(&self, lab: &Lab) -> Result<(), LabError> {
        let handle = *self.driver.lock();
        lab.enter(|| invoke!(NdisFDeregisterFilterDriver, handle))
            .map(|_| ())
    }
}

pub(crate) fn characteristics(name: &Text) -> NDIS_FILTER_DRIVER_CHARACTERISTICS {
    let mut c = NDIS_FILTER_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS, 3, 0xf0);
    c.MajorNdisVersion = 6;
    c.MinorNdisVersion = 82;
    let name: UNICODE_STRING = load(name.pointer());
    c.FriendlyName = name;
    c.UniqueName = name;
    c.ServiceName = name;
    c.Flags = NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE;
    c.AttachHandler = Some(attach);
    c.DetachHandler = Some(detach);
    c.RestartHandler = Some(restart);
    c.PauseHandler = Some(pause);
    c.SendNetBufferListsHandler = Some(send);
    c.SendNetBufferListsCompleteHandler = Some(send_complete);
    c.ReceiveNetBufferListsHandler = Some(receive);
    c.ReturnNetBufferListsHandler = Some(return_lists);
    c.OidRequestHandler = Some(oid_request);
    c.OidRequestCompleteHandler = Some(oid_complete);
    c.StatusHandler = Some(status);
    c.NetPnPEventHandler = Some(net_pnp);
    c
}

unsafe extern "win64" fn attach(
    handle: *mut c_void,
    context: *mut c_void,
    parameters: *mut NDIS_FILTER_ATTACH_PARAMETERS,
) -> i32 {
    let this = filter(context);
    this.note("attach");
    let status = this.attach_status.load(Ordering::SeqCst);
    if status != 0 {
        return status;
    }
    let p = load(parameters);
    assert_eq!(p.MiniportMediaType, NdisMedium802_3);
    this.if_index.store(p.BaseMiniportIfIndex, Ordering::SeqCst);
    *this.handle.lock() = handle as usize;
    let attributes = NDIS_FILTER_ATTRIBUTES {
        Header: header(NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES, 1, 8),
        Flags: 0,
    };
    let mut pool = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    pool.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x10);
    pool.fAllocateNetBuffer = 1;
    pool.PoolTag = u32::from_le_bytes(*b"test");
    // SAFETY: a kernel export, called by a driver with its own structures.
    let pool = unsafe { crate::ndis::pool::NdisAllocateNetBufferListPool(handle, &raw const pool) };
    *this.pool.lock() = pool as usize;
    // SAFETY: as above.
    unsafe { NdisFSetAttributes(handle, context, &raw const attributes) }
}

unsafe extern "win64" fn detach(context: *mut c_void) {
    let this = filter(context);
    this.note("detach");
    if !this.leak_pool.load(Ordering::SeqCst) {
        // SAFETY: a kernel export; the pool of attach.
        unsafe { crate::ndis::pool::NdisFreeNetBufferListPool(*this.pool.lock() as *mut c_void) };
    }
}

unsafe extern "win64" fn restart(
    context: *mut c_void,
    p: *mut NDIS_FILTER_RESTART_PARAMETERS,
) -> i32 {
    let this = filter(context);
    this.note("restart");
    let list = load(p).RestartAttributes;
    assert_eq!(load(list).Oid, OID_GEN_MINIPORT_RESTART_ATTRIBUTES);
    let general: NDIS_RESTART_GENERAL_ATTRIBUTES = load(crate::ndis::raw::at(list, 0x10));
    this.mtu.store(general.MtuSize, Ordering::SeqCst);
    this.restart_status.load(Ordering::SeqCst)
}

unsafe extern "win64" fn pause(context: *mut c_void, _: *mut NDIS_FILTER_PAUSE_PARAMETERS) -> i32 {
    let this = filter(context);
    this.note("pause");
    let handle = this.handle() as usize;
    if this.complete_pause_twice.load(Ordering::SeqCst) {
        // SAFETY: a kernel export.
        unsafe { NdisFPauseComplete(handle as *mut c_void) };
        return 0;
    }
    if this.pend_pause.load(Ordering::SeqCst) {
        crate::sched::spawn_system("pauser", move || {
            invoke!(NdisFPauseComplete, handle);
        });
        return NDIS_STATUS_PENDING;
    }
    0
}

unsafe extern "win64" fn set_module_options(context: *mut c_void) -> i32 {
    let this = filter(context);
    let mut p = NDIS_FILTER_PARTIAL_CHARACTERISTICS::zeroed();
    p.Header = header(NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS, 1, 0x30);
    if this.hooked.load(Ordering::SeqCst) {
        p.SendNetBufferListsHandler = Some(send);
        p.SendNetBufferListsCompleteHandler = Some(send_complete);
        p.ReceiveNetBufferListsHandler = Some(receive);
        p.ReturnNetBufferListsHandler = Some(return_lists);
    }
    // SAFETY: a kernel export, called where the reference page says.
    unsafe { NdisSetOptionalHandlers(this.handle(), (&raw const p).cast()) }
}

unsafe extern "win64" fn send(context: *mut c_void, chain: Nbl, port: u32, flags: u32) {
    let this = filter(context);
    let handle = this.handle();
    let act = *this.send.lock();
    match act {
        // SAFETY: a kernel export.
        Act::Pass => unsafe { NdisFSendNetBufferLists(handle, chain, port, flags) },
        Act::Drop => {
            // SAFETY: a kernel export.
            unsafe { NdisFSendNetBufferListsComplete(handle, chain, flags & 1) }
        }
        Act::DropTwice => {
            for _ in 0..2 {
                // SAFETY: a kernel export.
                unsafe { NdisFSendNetBufferListsComplete(handle, chain, flags & 1) };
            }
        }
        Act::Keep => this.kept.lock().push_back(chain as usize),
        other => panic!("{other:?} is for receives"),
    }
}

unsafe extern "win64" fn send_complete(context: *mut c_void, chain: Nbl, flags: u32) {
    let this = filter(context);
    let handle = this.handle();
    for nbl in nbl::chain(chain) {
        crate::ndis::raw::put!(nbl => [Next] std::ptr::null_mut());
        if load(nbl).SourceHandle == handle {
            this.completed.fetch_add(1, Ordering::SeqCst);
            // SAFETY: a kernel export; the filter's own NBL came back.
            unsafe { crate::ndis::pool::NdisFreeNetBufferList(nbl) };
        } else {
            // SAFETY: a kernel export.
            unsafe { NdisFSendNetBufferListsComplete(handle, nbl, flags) };
        }
    }
}

unsafe extern "win64" fn return_lists(context: *mut c_void, chain: Nbl, flags: u32) {
    let this = filter(context);
    let handle = this.handle();
    for nbl in nbl::chain(chain) {
        crate::ndis::raw::put!(nbl => [Next] std::ptr::null_mut());
        if load(nbl).SourceHandle == handle {
            this.returned.fetch_add(1, Ordering::SeqCst);
            // SAFETY: a kernel export; the filter's own NBL came back.
            unsafe { crate::ndis::pool::NdisFreeNetBufferList(nbl) };
        } else {
            // SAFETY: a kernel export.
            unsafe { NdisFReturnNetBufferLists(handle, nbl, flags) };
        }
    }
}

unsafe extern "win64" fn receive(
    context: *mut c_void,
    chain: Nbl,
    port: u32,
    count: u32,
    flags: u32,
) {
    let this = filter(context);
    let handle = this.handle();
    // SAFETY: a kernel export.
    let up = |count: u32, flags: u32| unsafe {
        NdisFIndicateReceiveNetBufferLists(handle, chain, port, count, flags)
    };
    // SAFETY: a kernel export.
    let back = || unsafe { NdisFReturnNetBufferLists(handle, chain, flags & 1) };
    let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let act = *this.receive.lock();
    match act {
        Act::Pass => up(count, flags),
        Act::Drop if lent => {}
        Act::Drop | Act::ReturnResources => back(),
        Act::PassAndDrop => {
            up(count, flags);
            back();
        }
        Act::DropTwice => {
            back();
            back();
        }
        Act::Keep => this.kept.lock().push_back(chain as usize),
        Act::PassWithoutResources => up(count, flags & !NDIS_RECEIVE_FLAGS_RESOURCES),
        Act::WrongDispatchFlag => {
            // SAFETY: a kernel export; a driver may not do this, and is caught.
            unsafe { crate::ke::irql_exports::KeLowerIrql(0) };
            up(count, flags | 1);
        }
        Act::WrongCount => up(count + 1, flags),
        Act::RaiseIrql => {
            up(count, flags);
            // SAFETY: a kernel export.
            unsafe { crate::ke::irql_exports::KfRaiseIrql(5) };
        }
        Act::HoldLock => {
            up(count, flags);
            let lock: *mut usize = &raw mut **this.lock.lock();
            // SAFETY: a kernel export; the lock lives as long as the filter.
            unsafe { crate::ke::spin_lock::KeAcquireSpinLockAtDpcLevel(lock) };
        }
        Act::Overlong => {
            let nb = load(chain).FirstNetBuffer;
            crate::ndis::raw::put!(nb => [DataLength] 9000);
            up(count, flags);
        }
        Act::ChangeAfterPass => {
            up(count, flags);
            let nb = load(chain).FirstNetBuffer;
            crate::ndis::raw::put!(nb => [DataLength] 20);
        }
        Act::CutLinks => crate::ndis::raw::put!(chain => [Next] std::ptr::null_mut()),
    }
}

unsafe extern "win64" fn status(context: *mut c_void, indication: *mut NDIS_STATUS_INDICATION) {
    let this = filter(context);
    this.statuses.lock().push(load(indication).StatusCode);
    // SAFETY: a kernel export.
    unsafe { NdisFIndicateStatus(this.handle(), indication) };
}

unsafe extern "win64" fn net_pnp(
    context: *mut c_void,
    event: *mut NET_PNP_EVENT_NOTIFICATION,
) -> i32 {
    let this = filter(context);
    if load(event).NetPnPEvent.NetEvent == NetEventFilterPreDetach {
        this.note("pre-detach");
        return 0;
    }
    // SAFETY: a kernel export.
    unsafe { NdisFNetPnPEvent(this.handle(), event) }
}

unsafe extern "win64" fn oid_request(context: *mut c_void, request: *mut NDIS_OID_REQUEST) -> i32 {
    let this = filter(context);
    let handle = this.handle();
    let mut clone: *mut NDIS_OID_REQUEST = std::ptr::null_mut();
    // SAFETY: a kernel export.
    let status = unsafe { NdisAllocateCloneOidRequest(handle, request, 0, &raw mut clone) };
    if status != 0 {
        return status;
    }
    this.clones.lock().push((clone as usize, request as usize));
    // SAFETY: a kernel export.
    let status = unsafe { NdisFOidRequest(handle, clone) };
    if status == NDIS_STATUS_PENDING {
        return status;
    }
    if this.pend_oids.load(Ordering::SeqCst) {
        let (context, clone) = (context as usize, clone as usize);
        crate::sched::spawn_system("completer", move || {
            invoke!(oid_complete, context, clone, status as u32);
        });
        return NDIS_STATUS_PENDING;
    }
    finish_oid(this, clone);
    if this.complete_oid_twice.load(Ordering::SeqCst) {
        // SAFETY: a kernel export; a driver may not do this, and is caught.
        unsafe { NdisFOidRequestComplete(handle, request, status) };
    }
    status
}

/// Copies results of a clone back and frees it; the original.
fn finish_oid(this: &Filter, clone: *mut NDIS_OID_REQUEST) -> *mut NDIS_OID_REQUEST {
    let original = {
        let mut clones = this.clones.lock();
        let index = clones
            .iter()
            .position(|(c, _)| *c == clone as usize)
            .expect("a clone of this filter");
        clones.swap_remove(index).1 as *mut NDIS_OID_REQUEST
    };
    crate::ndis::raw::put!(original => [DATA] load(clone).DATA);
    if !this.leak_clone.load(Ordering::SeqCst) {
        // SAFETY: a kernel export.
        unsafe { NdisFreeCloneOidRequest(this.handle(), clone) };
    }
    original
}

unsafe extern "win64" fn oid_complete(
    context: *mut c_void,
    clone: *mut NDIS_OID_REQUEST,
    status: i32,
) {
    let this = filter(context);
    let is_clone = |(c, _): &(usize, usize)| *c == clone as usize;
    if !this.clones.lock().iter().any(is_clone) {
        this.own_oids.lock().push((clone as usize, status));
        return;
    }
    let original = finish_oid(this, clone);
    // SAFETY: a kernel export.
    unsafe { NdisFOidRequestComplete(this.handle(), original, status) };
}

//! A small miniport driver of linked functions: it completes sends and indicates a copy of each.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicUsize, Ordering},
};

use nt::sys::*;
use parking_lot::Mutex;

use super::{driver::new_filter, rule, udp};
use crate::{
    Lab, Rule, invoke,
    ndis::{
        datapath::*,
        header, memory,
        miniport::*,
        nbl::{self, Nbl},
        pool::*,
        raw::{get, load, put},
    },
};

pub(super) static ADAPTER: AtomicUsize = AtomicUsize::new(0);
pub(super) static POOL: AtomicUsize = AtomicUsize::new(0);
static LOG: Mutex<Vec<&str>> = Mutex::new(Vec::new());
/// The driver has one set of statics: one test at a time.
pub(super) static ALONE: Mutex<()> = Mutex::new(());

fn note(what: &'static str) {
    LOG.lock().push(what);
}

unsafe extern "win64" fn initialize(
    handle: *mut c_void,
    _: *mut c_void,
    p: *mut NDIS_MINIPORT_INIT_PARAMETERS,
) -> i32 {
    note("initialize");
    assert_ne!(load(p).IfIndex, 0);
    ADAPTER.store(handle as usize, Ordering::SeqCst);
    let mut registration = NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES::zeroed();
    registration.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
        1,
        0x1c,
    );
    registration.MiniportAdapterContext = 7 as PVOID;
    let mut general = NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES::zeroed();
    general.Header = header(
        NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
        2,
        0xe0,
    );
    general.MediaType = NdisMedium802_3;
    general.MtuSize = 1234;
    general.MacAddressLength = 6;
    let mut pool = NET_BUFFER_LIST_POOL_PARAMETERS::zeroed();
    pool.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x10);
    pool.fAllocateNetBuffer = 1;
    // SAFETY: a kernel export, called by a driver with its own structures.
    unsafe { NdisMSetMiniportAttributes(handle, (&raw const registration).cast()) };
    // SAFETY: as above.
    unsafe { NdisMSetMiniportAttributes(handle, (&raw const general).cast()) };
    // SAFETY: as above.
    let pool = unsafe { NdisAllocateNetBufferListPool(handle, &raw const pool) };
    POOL.store(pool as usize, Ordering::SeqCst);
    0
}

unsafe extern "win64" fn halt(context: *mut c_void, _: i32) {
    assert_eq!(context as usize, 7);
    note("halt");
    // SAFETY: a kernel export; the pool of initialize.
    unsafe { NdisFreeNetBufferListPool(POOL.load(Ordering::SeqCst) as *mut c_void) };
}

unsafe extern "win64" fn pause(_: *mut c_void, _: *mut NDIS_MINIPORT_PAUSE_PARAMETERS) -> i32 {
    note("pause");
    let handle = ADAPTER.load(Ordering::SeqCst);
    crate::sched::spawn_system("pauser", move || {
        invoke!(NdisMPauseComplete, handle);
    });
    NDIS_STATUS_PENDING
}

unsafe extern "win64" fn restart(_: *mut c_void, _: *mut NDIS_MINIPORT_RESTART_PARAMETERS) -> i32 {
    note("restart");
    0
}

unsafe extern "win64" fn oid(_: *mut c_void, request: *mut NDIS_OID_REQUEST) -> i32 {
    let q = get!(request => DATA.QUERY_INFORMATION);
    if q.Oid != OID_GEN_MAXIMUM_FRAME_SIZE {
        return NDIS_STATUS_NOT_SUPPORTED;
    }
    crate::ndis::raw::store(q.InformationBuffer.cast::<u32>(), 1234);
    put!(request => [DATA.QUERY_INFORMATION.BytesWritten] 4);
    0
}

/// An NBL of the miniport with the bytes of another.
pub(super) fn copy_of(sent: Nbl) -> Nbl {
    let mut data = Vec::new();
    assert!(nbl::read(load(sent).FirstNetBuffer, &mut data));
    let len = data.len();
    let mdl = memory::new_mdl(Box::leak(data.into_boxed_slice()).as_mut_ptr(), len);
    let pool = POOL.load(Ordering::SeqCst) as *mut c_void;
    // SAFETY: a kernel export.
    let copy = unsafe { NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, len as u64) };
    put!(copy => [SourceHandle] ADAPTER.load(Ordering::SeqCst) as *mut c_void);
    copy
}

unsafe extern "win64" fn send(_: *mut c_void, chain: Nbl, _: u32, flags: u32) {
    let handle = ADAPTER.load(Ordering::SeqCst) as *mut c_void;
    for sent in nbl::chain(chain) {
        let copy = copy_of(sent);
        // SAFETY: a kernel export.
        unsafe { NdisMIndicateReceiveNetBufferLists(handle, copy, 0, 1, flags & 1) };
    }
    // SAFETY: a kernel export.
    unsafe { NdisMSendNetBufferListsComplete(handle, chain, flags & 1) };
}

unsafe extern "win64" fn returned(_: *mut c_void, chain: Nbl, _: u32) {
    for nbl in nbl::chain(chain) {
        memory::free_mdl(get!(load(nbl).FirstNetBuffer => MdlChain));
        // SAFETY: a kernel export; the miniport's own NBL came back.
        unsafe { NdisFreeNetBufferList(nbl) };
    }
}

unsafe extern "win64" fn cancel(_: *mut c_void, _: PVOID) {}

pub(super) fn register(
    lab: &Lab,
    change: impl FnOnce(&mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS),
) -> (i32, u64) {
    let mut c = NDIS_MINIPORT_DRIVER_CHARACTERISTICS::zeroed();
    c.Header = header(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 2, 0x98);
    c.MajorNdisVersion = 6;
    c.MinorNdisVersion = 30;
    c.InitializeHandlerEx = Some(initialize);
    c.HaltHandlerEx = Some(halt);
    c.PauseHandler = Some(pause);
    c.RestartHandler = Some(restart);
    c.OidRequestHandler = Some(oid);
    c.SendNetBufferListsHandler = Some(send);
    c.ReturnNetBufferListsHandler = Some(returned);
    c.CancelSendHandler = Some(cancel);
    change(&mut c);
    let mut handle = 0_u64;
    let status = lab
        .enter(|| {
            invoke!(
                NdisMRegisterMiniportDriver,
                0,
                0,
                0,
                &raw mut c,
                &raw mut handle
            )
        })
        .unwrap() as i32;
    (status, handle)
}

#[test]
fn a_loaded_miniport_runs_an_adapter_under_a_filter() {
    let _alone = ALONE.lock();
    LOG.lock().clear();
    let lab = Lab::boot().unwrap();
    assert!(lab.nic("none").by_miniport_driver().create().is_err());
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let (status, driver) = register(&lab, |_| {});
    assert_eq!(status, 0);
    let nic = lab.nic("driven").by_miniport_driver().create().unwrap();
    assert_eq!(filter.mtu.load(Ordering::SeqCst), 1234);
    assert_eq!(
        nic.stack().query(OID_GEN_MAXIMUM_FRAME_SIZE).unwrap(),
        Ok(1234_u32.to_le_bytes().to_vec())
    );
    for port in 0..10 {
        nic.stack().send(udp(port, 9)).unwrap();
        assert_eq!(nic.stack().receive().unwrap().data, udp(port, 9));
    }
    assert_eq!(nic.stack().pending_sends(), 0);
    lab.enter(|| invoke!(NdisMDeregisterMiniportDriver, driver))
        .unwrap();
    assert_eq!(*LOG.lock(), ["initialize", "restart", "pause", "halt"]);
    filter.deregister(&lab).unwrap();
}

#[test]
fn ports_that_a_halted_miniport_leaves_are_caught() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    register(&lab, |_| {});
    let nic = lab.nic("driven").by_miniport_driver().create().unwrap();
    lab.enter(|| {
        let mut port = NDIS_PORT_CHARACTERISTICS::zeroed();
        port.Header = header(NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS, 1, 0x3c);
        let adapter = ADAPTER.load(Ordering::SeqCst);
        assert_eq!(
            invoke!(crate::ndis::port::NdisMAllocatePort, adapter, &raw mut port),
            0
        );
    })
    .unwrap();
    assert_eq!(rule(nic.remove()), Rule::NdisObjectLeaked);
}

#[test]
fn bad_miniport_characteristics_and_stray_completions_are_refused() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    assert_eq!(
        register(&lab, |c| c.Header.Type = 0).0,
        NDIS_STATUS_BAD_VERSION
    );
    assert_eq!(
        register(&lab, |c| c.Header.Size = 9).0,
        NDIS_STATUS_BAD_CHARACTERISTICS
    );
    assert_eq!(
        register(&lab, |c| c.HaltHandlerEx = None).0,
        NDIS_STATUS_BAD_CHARACTERISTICS
    );
    register(&lab, |_| {});
    let _nic = lab.nic("driven").by_miniport_driver().create().unwrap();
    let handle = ADAPTER.load(Ordering::SeqCst);
    assert_eq!(
        rule(lab.enter(|| invoke!(NdisMPauseComplete, handle))),
        Rule::NdisWrongState
    );
}

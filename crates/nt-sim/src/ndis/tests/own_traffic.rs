//! What a filter originates: its own NBLs over locked user memory, its own OID requests, its own
//! restarts while traffic flows.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use nt::sys::*;

use super::{
    driver::{Filter, new_filter},
    rule, udp,
};
use crate::{
    Lab, Nic, Rule, invoke,
    ndis::{
        clone::*, datapath::*, filter::*, header, nbl::Nbl, net_buffer::*, oid::*, pool::*,
        raw::put,
    },
    nic::Frame,
};

unsafe extern "win64" {
    fn IoAllocateMdl(
        address: *const u8,
        len: u32,
        secondary: u8,
        charge_quota: u8,
        irp: *mut IRP,
    ) -> *mut MDL;
    fn IoFreeMdl(mdl: *mut MDL);
    fn IoBuildPartialMdl(source: *mut MDL, target: *mut MDL, address: *const u8, len: u32);
    fn MmProbeAndLockPages(mdl: *mut MDL, mode: i8, operation: i32);
    fn MmUnlockPages(mdl: *mut MDL);
    fn MmMapLockedPagesSpecifyCache(
        mdl: *mut MDL,
        mode: i8,
        cache: i32,
        address: *mut u8,
        bugcheck: u32,
        priority: u32,
    ) -> *mut u8;
}

fn with_filter<R>(test: impl FnOnce(&Lab, &'static Filter, Nic<'_>) -> R) -> R {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").queues(4).create().unwrap();
    test(&lab, filter, nic)
}

/// An NBL of the filter that describes `len` bytes from `offset` bytes into `mdl`.
fn own(filter: &Filter, mdl: u64, offset: u32, len: u64) -> u64 {
    let pool = *filter.pool.lock();
    let nbl = invoke!(
        NdisAllocateNetBufferAndNetBufferList,
        pool,
        0,
        0,
        mdl,
        offset,
        len
    );
    put!(nbl as Nbl => [SourceHandle] filter.handle());
    nbl
}

#[test]
fn a_filter_sends_parts_of_locked_user_memory() {
    with_filter(|lab, filter, nic| {
        let program = lab.administrator("app").unwrap();
        let umem = program.alloc(3 * 4096).unwrap();
        let frame = udp(7, 200);
        // Over a page boundary.
        umem.write(4096 - 50, &frame);
        for mapped in [false, true] {
            // Locked in the process, used by NDIS in any context.
            let locked = program
                .as_kernel(|| {
                    let mdl = invoke!(
                        IoAllocateMdl as *const (),
                        umem.address(),
                        3 * 4096,
                        0,
                        0,
                        0
                    );
                    invoke!(MmProbeAndLockPages as *const (), mdl, 1, 1);
                    mdl
                })
                .unwrap();
            let handle = filter.handle();
            lab.enter(|| {
                if mapped {
                    let va = invoke!(
                        MmMapLockedPagesSpecifyCache as *const (),
                        locked,
                        0,
                        1,
                        0,
                        0,
                        0x4000_0010
                    );
                    assert_ne!(va, 0);
                }
                let at = umem.address() + 4096 - 50;
                let part = invoke!(IoAllocateMdl as *const (), at, frame.len(), 0, 0, 0);
                invoke!(
                    IoBuildPartialMdl as *const (),
                    locked,
                    part,
                    at,
                    frame.len()
                );
                let nbl = own(filter, part, 0, frame.len() as u64);
                invoke!(NdisFSendNetBufferLists, handle, nbl, 0, 0);
                let nbl = own(filter, part, 14, frame.len() as u64 - 14);
                invoke!(NdisFIndicateReceiveNetBufferLists, handle, nbl, 0, 1, 0);
                // A clone has partial MDLs of its own.
                let original = own(filter, part, 0, frame.len() as u64);
                let pool = *filter.pool.lock();
                let clone = invoke!(NdisAllocateCloneNetBufferList, original, pool, 0, 0);
                assert_ne!(clone, 0);
                let mut data = Vec::new();
                let nb = crate::ndis::raw::load(clone as Nbl).FirstNetBuffer;
                assert!(crate::ndis::nbl::read(nb, &mut data));
                assert_eq!(data, frame);
                invoke!(NdisFreeCloneNetBufferList, clone, 0);
                invoke!(NdisFreeNetBufferList, original);
                invoke!(IoFreeMdl as *const (), part);
                invoke!(MmUnlockPages as *const (), locked);
                invoke!(IoFreeMdl as *const (), locked);
            })
            .unwrap();
            let sent = nic.wire().receive().unwrap();
            assert_eq!((sent.data, sent.info.mdls), (frame.clone(), 1));
            assert_eq!(nic.stack().receive().unwrap().data, frame[14..]);
        }
        assert_eq!(filter.completed.load(Ordering::SeqCst), 2);
        assert_eq!(filter.returned.load(Ordering::SeqCst), 2);
        drop(program);
        nic.remove().unwrap();
        filter.deregister(lab).unwrap();
    });
}

#[test]
fn memory_that_is_not_locked_cannot_be_sent() {
    with_filter(|lab, filter, _| {
        let program = lab.administrator("app").unwrap();
        let umem = program.alloc(4096).unwrap();
        let handle = filter.handle();
        let result = lab.enter(|| {
            let mdl = invoke!(IoAllocateMdl as *const (), umem.address(), 64, 0, 0, 0);
            let nbl = own(filter, mdl, 0, 64);
            invoke!(NdisFSendNetBufferLists, handle, nbl, 0, 0);
        });
        assert_eq!(rule(result), Rule::NblBadNetBuffer);
    });
}

#[test]
fn ndis_mdls_describe_kernel_memory() {
    with_filter(|lab, filter, nic| {
        let handle = filter.handle();
        lab.enter(|| {
            let memory = crate::ndis::memory::allocate(128);
            crate::ndis::raw::copy(memory, udp(3, 58).as_ptr(), 100);
            let mdl = invoke!(NdisAllocateMdl, handle, memory, 100);
            let nbl = own(filter, mdl, 0, 100);
            invoke!(NdisFSendNetBufferLists, handle, nbl, 0, 0);
            invoke!(NdisFreeMdl, mdl);
            crate::ndis::memory::free(memory, 128);
        })
        .unwrap();
        assert_eq!(nic.wire().receive().unwrap().data, udp(3, 58));
    });
}

/// A query that the filter makes for itself: the answer's bytes.
fn query(lab: &Lab, filter: &'static Filter, oid: u32) -> Result<Vec<u8>, i32> {
    let mut data = vec![0_u8; 1024];
    let mut request = Box::new(NDIS_OID_REQUEST::zeroed());
    request.Header = header(NDIS_OBJECT_TYPE_OID_REQUEST, 2, 0xf8);
    request.RequestType = NdisRequestQueryInformation;
    request.DATA.QUERY_INFORMATION = NDIS_OID_REQUEST_DATA_QUERY_INFORMATION {
        Oid: oid,
        InformationBuffer: data.as_mut_ptr().cast(),
        InformationBufferLength: data.len() as u32,
        BytesWritten: 0,
        BytesNeeded: 0,
    };
    let address = &raw mut *request;
    let status = lab
        .enter(|| invoke!(NdisFOidRequest, filter.handle(), address) as i32)
        .unwrap();
    let status = if status == NDIS_STATUS_PENDING {
        loop {
            let done = filter.own_oids.lock().pop();
            if let Some((completed, status)) = done {
                assert_eq!(completed, address as usize);
                break status;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    } else {
        status
    };
    if status != NDIS_STATUS_SUCCESS {
        return Err(status);
    }
    let written = crate::ndis::raw::get!(address => DATA.QUERY_INFORMATION.BytesWritten);
    data.truncate(written as usize);
    Ok(data)
}

#[test]
fn a_filter_asks_the_miniport_for_itself() {
    with_filter(|lab, filter, nic| {
        let word = |bytes: &[u8], at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
        };
        for later in [false, true] {
            nic.answer_oids_later(later);
            let rss = query(lab, filter, OID_GEN_RECEIVE_SCALE_CAPABILITIES).unwrap();
            assert_eq!((word(&rss, 8), word(&rss, 12)), (4, 4));
            let parameters = query(lab, filter, OID_GEN_RECEIVE_SCALE_PARAMETERS).unwrap();
            assert_eq!(parameters[0], NDIS_OBJECT_TYPE_RSS_PARAMETERS);
            let offload = query(lab, filter, OID_TCP_OFFLOAD_CURRENT_CONFIG).unwrap();
            assert_eq!(offload[0], NDIS_OBJECT_TYPE_OFFLOAD);
            let unknown = query(lab, filter, 0x7777_0000);
            assert_eq!(unknown, Err(NDIS_STATUS_NOT_SUPPORTED));
            // Requests of the stack pass the filter, which clones them, at the same time.
            assert!(nic.stack().query(OID_GEN_LINK_SPEED).unwrap().is_ok());
        }
        assert!(filter.own_oids.lock().is_empty());
    });
}

#[test]
fn a_request_passed_on_twice_without_a_clone_is_caught() {
    with_filter(|lab, filter, nic| {
        nic.answer_oids_later(true);
        let mut request = Box::new(NDIS_OID_REQUEST::zeroed());
        request.Header = header(NDIS_OBJECT_TYPE_OID_REQUEST, 2, 0xf8);
        let result = lab.enter(|| {
            crate::irql::at_dispatch(|| {
                for _ in 0..2 {
                    invoke!(NdisFOidRequest, filter.handle(), &raw mut *request);
                }
            });
        });
        assert_eq!(rule(result), Rule::OidNotPending);
    });
}

/// Restarts with and without handlers, again and again, while frames go both ways.
#[test]
fn handlers_come_and_go_while_traffic_flows() {
    let lab = Lab::builder().cpus(4).boot().unwrap();
    let filter = new_filter();
    filter.bypass.store(true, Ordering::SeqCst);
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").queues(4).create().unwrap();
    nic.wire().count_only();
    nic.stack().count_only();
    let stop = AtomicBool::new(false);
    let (posted, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                nic.wire()
                    .send_all((0..32).map(|p| Frame::new(udp(p, 9))))
                    .unwrap();
                posted.fetch_add(32, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                nic.stack()
                    .send_all((0..32).map(|p| Frame::new(udp(p, 9))))
                    .unwrap();
                sent.fetch_add(32, Ordering::Relaxed);
            }
        });
        for round in 0..20 {
            let hooked = round % 2 == 0;
            filter.hooked.store(hooked, Ordering::SeqCst);
            lab.enter(|| invoke!(NdisFRestartFilter, filter.handle()))
                .unwrap();
            lab.settle().unwrap();
            assert_eq!(nic.filters()[0].receives, hooked);
            assert_eq!(nic.filters()[0].sends, hooked);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (wire, stack) = (nic.wire().counters(), nic.stack().counters());
    assert_eq!(wire.sent, posted.load(Ordering::Relaxed));
    assert_eq!(
        stack.received + wire.dropped,
        posted.load(Ordering::Relaxed)
    );
    assert!(stack.received > 0 && wire.received > 0);
    // What was sent while the stack was paused was refused, all else reached the wire.
    assert_eq!(
        wire.received + stack.dropped + nic.stack().failed_sends(),
        sent.load(Ordering::Relaxed)
    );
    assert_eq!(nic.stack().pending_sends(), 0);
    assert!(nic.restarts() >= 20);
    nic.remove().unwrap();
    filter.deregister(&lab).unwrap();
}

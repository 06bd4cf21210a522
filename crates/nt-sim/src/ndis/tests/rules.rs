//! Each broken data path rule is caught, with the right report.

use std::sync::atomic::Ordering;

use super::{
    driver::{Act, new_filter},
    rule, udp,
};
use crate::{
    Lab, Rule, invoke,
    ndis::{clone::*, datapath::*, pool::*},
    nic::{Frame, Layout},
};

/// What happens when frames come to a filter that misbehaves.
fn receive(act: Act, layout: Layout, frames: u16) -> Rule {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").rx_layout(layout).create().unwrap();
    *filter.receive.lock() = act;
    rule(
        nic.wire()
            .send_all((0..frames).map(|p| Frame::new(udp(p, 30)))),
    )
}

#[test]
fn misbehaviour_with_receives_is_caught() {
    let plain = Layout::contiguous;
    let lent = || Layout::contiguous().resources();
    for (act, layout, expected) in [
        (Act::DropTwice, plain(), Rule::NblNotInFlight),
        (Act::PassAndDrop, plain(), Rule::NblNotInFlight),
        (Act::WrongDispatchFlag, plain(), Rule::NdisDispatchFlag),
        (Act::WrongCount, plain(), Rule::NblCount),
        (Act::RaiseIrql, plain(), Rule::NdisCallbackIrql),
        (Act::HoldLock, plain(), Rule::NdisCallbackLock),
        (Act::Overlong, plain(), Rule::NblBadNetBuffer),
        (Act::PassWithoutResources, lent(), Rule::NblResourcesKept),
        (Act::ReturnResources, lent(), Rule::NblResourcesReturned),
        (Act::CutLinks, lent(), Rule::NblResourcesKept),
    ] {
        assert_eq!(receive(act, layout, 3), expected, "{act:?}");
    }
}

#[test]
fn a_change_of_an_nbl_that_the_stack_has_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.stack().hold();
    *filter.receive.lock() = Act::ChangeAfterPass;
    nic.wire().send(udp(1, 30)).unwrap();
    assert_eq!(rule(nic.stack().release()), Rule::NblChanged);
}

#[test]
fn sends_completed_twice_are_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    *filter.send.lock() = Act::DropTwice;
    assert_eq!(rule(nic.stack().send(udp(1, 1))), Rule::NblNotInFlight);
}

#[test]
fn nbls_kept_over_a_pause_are_caught_and_named() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "keeper").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    *filter.receive.lock() = Act::Keep;
    nic.wire().send(udp(1, 1)).unwrap();
    let result = nic.pause();
    assert!(result.as_ref().unwrap_err().to_string().contains("keeper"));
    assert_eq!(rule(result), Rule::NblPausedOutstanding);
}

/// A filter with one NBL of its own for `bytes` bytes.
fn own_nbl(filter: &super::driver::Filter, source: usize) -> usize {
    let data = Box::leak(vec![0_u8; 64].into_boxed_slice());
    let mdl = crate::ndis::memory::new_mdl(data.as_mut_ptr(), 64);
    let nbl = invoke!(
        NdisAllocateNetBufferAndNetBufferList,
        *filter.pool.lock(),
        0,
        0,
        mdl,
        0,
        64
    ) as usize;
    let pointer = nbl as crate::ndis::nbl::Nbl;
    crate::ndis::raw::put!(pointer => [SourceHandle] source as *mut _);
    nbl
}

fn with_filter<R>(
    test: impl FnOnce(&Lab, &'static super::driver::Filter, crate::Nic<'_>) -> R,
) -> R {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    test(&lab, filter, nic)
}

#[test]
fn a_filter_sends_and_indicates_its_own_frames() {
    with_filter(|lab, filter, nic| {
        let handle = *filter.handle.lock();
        lab.enter(|| {
            let nbl = own_nbl(filter, handle);
            invoke!(NdisFSendNetBufferLists, handle, nbl, 0, 0);
            let nbl = own_nbl(filter, handle);
            invoke!(NdisFIndicateReceiveNetBufferLists, handle, nbl, 0, 1, 0);
        })
        .unwrap();
        assert_eq!(nic.wire().receive().unwrap().len(), 64);
        assert_eq!(nic.stack().receive().unwrap().len(), 64);
        assert_eq!(filter.completed.load(Ordering::SeqCst), 1);
        assert_eq!(filter.returned.load(Ordering::SeqCst), 1);
        nic.remove().unwrap();
        filter.deregister(lab).unwrap();
    });
}

#[test]
fn misuse_of_own_nbls_is_caught() {
    let send = |lab: &Lab, handle: usize, nbl: usize| {
        lab.enter(|| invoke!(NdisFSendNetBufferLists, handle, nbl, 0, 0))
    };
    with_filter(|lab, filter, _| {
        let handle = *filter.handle.lock();
        let nbl = lab.enter(|| own_nbl(filter, 0)).unwrap();
        assert_eq!(
            rule(send(lab, handle, nbl)),
            Rule::NdisBadStructure,
            "no source handle"
        );
    });
    with_filter(|lab, filter, nic| {
        let handle = *filter.handle.lock();
        nic.wire().hold();
        let nbl = lab.enter(|| own_nbl(filter, handle)).unwrap();
        send(lab, handle, nbl).unwrap();
        assert_eq!(rule(send(lab, handle, nbl)), Rule::NblInFlightTwice);
    });
    with_filter(|lab, filter, nic| {
        let handle = *filter.handle.lock();
        nic.wire().hold();
        let nbl = lab.enter(|| own_nbl(filter, handle)).unwrap();
        send(lab, handle, nbl).unwrap();
        assert_eq!(
            rule(lab.enter(|| invoke!(NdisFreeNetBufferList, nbl))),
            Rule::NblFreedInFlight
        );
    });
    with_filter(|lab, filter, nic| {
        let handle = *filter.handle.lock();
        nic.wire().hold();
        let nbl = lab.enter(|| own_nbl(filter, handle)).unwrap();
        send(lab, handle, nbl).unwrap();
        let result = lab.enter(|| invoke!(NdisFSendNetBufferListsComplete, handle, nbl, 0));
        assert_eq!(rule(result), Rule::NblNotOwned);
    });
    with_filter(|lab, filter, nic| {
        let handle = *filter.handle.lock();
        nic.pause().unwrap();
        let nbl = lab.enter(|| own_nbl(filter, handle)).unwrap();
        assert_eq!(rule(send(lab, handle, nbl)), Rule::NdisPausedTraffic);
    });
    with_filter(|lab, filter, _| {
        let nbl = lab.enter(|| own_nbl(filter, 0)).unwrap();
        lab.enter(|| invoke!(NdisFreeNetBufferList, nbl)).unwrap();
        let again = lab
            .enter(|| invoke!(NdisFreeNetBufferListPool, *filter.pool.lock()))
            .map(|_| ());
        assert!(again.is_ok());
        assert_eq!(
            rule(lab.enter(|| own_nbl(filter, 0))),
            Rule::NdisStaleHandle,
            "pool is gone"
        );
    });
    with_filter(|lab, filter, _| {
        lab.enter(|| own_nbl(filter, 0)).unwrap();
        let result = lab.enter(|| invoke!(NdisFreeNetBufferListPool, *filter.pool.lock()));
        assert_eq!(rule(result), Rule::NblPoolInUse);
    });
    with_filter(|lab, filter, _| {
        filter.leak_pool.store(true, Ordering::SeqCst);
        assert_eq!(rule(filter.deregister(lab)), Rule::NdisObjectLeaked);
    });
    with_filter(|lab, _, _| {
        let result = lab.enter(|| invoke!(NdisFSendNetBufferLists, 0x1234_usize, 0, 0, 0));
        assert_eq!(rule(result), Rule::NdisBadHandle);
    });
}

#[test]
fn a_received_nbl_must_be_cloned_to_be_sent() {
    with_filter(|lab, filter, nic| {
        *filter.receive.lock() = Act::Keep;
        nic.wire().send(udp(5, 20)).unwrap();
        let kept = filter.kept.lock().pop_front().unwrap();
        let handle = *filter.handle.lock();
        lab.enter(|| {
            let pool = *filter.pool.lock();
            let clone =
                invoke!(NdisAllocateCloneNetBufferList, kept, pool, 0, 0) as crate::ndis::nbl::Nbl;
            let mut data = Vec::new();
            assert!(crate::ndis::nbl::read(
                crate::ndis::raw::load(clone).FirstNetBuffer,
                &mut data
            ));
            assert_eq!(data, udp(5, 20));
            invoke!(NdisFreeCloneNetBufferList, clone, 0);
        })
        .unwrap();
        let result = lab.enter(|| invoke!(NdisFSendNetBufferLists, handle, kept, 0, 0));
        assert_eq!(rule(result), Rule::NblNotOwned);
    });
}

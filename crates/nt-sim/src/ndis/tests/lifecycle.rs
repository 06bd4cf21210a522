use std::sync::atomic::Ordering;

use super::{
    driver::{Act, characteristics, new_filter},
    rule, udp,
};
use crate::{
    Lab, Rule, invoke,
    ndis::{filter::*, raw::Text},
};

#[test]
fn a_filter_attaches_pauses_restarts_and_detaches_in_order() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    let nic = lab.nic("eth0").mtu(1400).create().unwrap();
    filter.register(&lab, "filter").unwrap();
    assert_eq!(filter.take_log(), ["attach", "restart"]);
    assert_eq!(filter.mtu.load(Ordering::SeqCst), 1400);
    assert_eq!(filter.if_index.load(Ordering::SeqCst), nic.if_index());
    nic.pause().unwrap();
    nic.restart().unwrap();
    assert_eq!(filter.take_log(), ["pause", "restart"]);
    filter.pend_pause.store(true, Ordering::SeqCst);
    nic.reset().unwrap();
    assert_eq!(
        filter.take_log(),
        ["pause", "pre-detach", "detach", "attach", "restart"]
    );
    filter.deregister(&lab).unwrap();
    assert_eq!(filter.take_log(), ["pre-detach", "pause", "detach"]);
    nic.wire().send(udp(1, 1)).unwrap();
    nic.stack().receive().unwrap();
}

#[test]
fn an_mtu_change_restarts_a_filter_that_can_take_it_and_reattaches_one_that_cannot() {
    let lab = Lab::boot().unwrap();
    let (flexible, rigid) = (new_filter(), new_filter());
    flexible.register(&lab, "flexible").unwrap();
    let name = Text::new("rigid");
    let mut c = characteristics(&name);
    c.Flags = 0;
    rigid.register_with(&lab, c).unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    flexible.take_log();
    rigid.take_log();
    nic.set_mtu(9000).unwrap();
    assert!(!flexible.take_log().contains(&"detach"));
    assert!(rigid.take_log().contains(&"attach"));
    assert_eq!(flexible.mtu.load(Ordering::SeqCst), 9000);
    assert_eq!(rigid.mtu.load(Ordering::SeqCst), 9000);
}

#[test]
fn handlers_come_and_go_with_a_filter_restart() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.bypass.store(true, Ordering::SeqCst);
    filter.hooked.store(false, Ordering::SeqCst);
    *filter.receive.lock() = Act::Drop;
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    assert!(!nic.filters()[0].receives);
    nic.wire().send(udp(1, 1)).unwrap();
    nic.stack().receive().unwrap();
    filter.hooked.store(true, Ordering::SeqCst);
    let handle = filter.handle();
    lab.enter(|| invoke!(NdisFRestartFilter, handle)).unwrap();
    lab.settle().unwrap();
    assert!(nic.filters()[0].receives);
    nic.wire().send(udp(1, 1)).unwrap();
    assert_eq!(nic.stack().try_receive().unwrap(), None);
}

#[test]
fn a_refused_attach_leaves_the_nic_without_the_filter() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter
        .attach_status
        .store(nt::sys::NDIS_STATUS_UNSUPPORTED_MEDIA, Ordering::SeqCst);
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    assert!(nic.filters().is_empty());
    assert_eq!(
        lab.filter_attaches()[0].status,
        nt::sys::NDIS_STATUS_UNSUPPORTED_MEDIA
    );
    nic.wire().send(udp(1, 1)).unwrap();
    nic.stack().receive().unwrap();
}

#[test]
fn a_failed_restart_detaches_the_filter() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    filter
        .restart_status
        .store(nt::sys::NDIS_STATUS_FAILURE, Ordering::SeqCst);
    nic.pause().unwrap();
    nic.restart().unwrap();
    assert!(nic.filters().is_empty());
    nic.wire().send(udp(1, 1)).unwrap();
    nic.stack().receive().unwrap();
}

#[test]
fn bad_characteristics_are_refused() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    let name = Text::new("filter");
    let register = |change: fn(&mut nt::sys::NDIS_FILTER_DRIVER_CHARACTERISTICS)| {
        let mut c = characteristics(&name);
        change(&mut c);
        filter.register_with(&lab, c).unwrap()
    };
    assert_eq!(
        register(|c| c.Header.Type = 1),
        nt::sys::NDIS_STATUS_BAD_VERSION
    );
    assert_eq!(
        register(|c| c.MinorNdisVersion = 99),
        nt::sys::NDIS_STATUS_BAD_VERSION
    );
    for status in [
        register(|c| c.Header.Size = 0x40),
        register(|c| c.PauseHandler = None),
        register(|c| c.ReturnNetBufferListsHandler = None),
        register(|c| c.SendNetBufferListsCompleteHandler = None),
        register(|c| c.OidRequestCompleteHandler = None),
        register(|c| c.UniqueName.Length = 0),
    ] {
        assert_eq!(status, nt::sys::NDIS_STATUS_BAD_CHARACTERISTICS);
    }
}

#[test]
fn a_pause_completed_in_the_wrong_state_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    filter.complete_pause_twice.store(true, Ordering::SeqCst);
    assert_eq!(rule(nic.pause()), Rule::NdisWrongState);
}

#[test]
fn a_handle_of_a_detached_filter_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    let handle = filter.handle();
    nic.remove().unwrap();
    assert_eq!(
        rule(lab.enter(|| invoke!(NdisFRestartFilter, handle))),
        Rule::NdisStaleHandle
    );
}

#[test]
fn pause_and_restart_happen_under_traffic_on_many_seeds() {
    for seed in 0..15 {
        let lab = Lab::builder().seed(seed).cpus(2).boot().unwrap();
        let filter = new_filter();
        filter.pend_pause.store(seed % 2 == 0, Ordering::SeqCst);
        filter.register(&lab, "filter").unwrap();
        let nic = lab.nic("eth0").queues(2).create().unwrap();
        nic.wire().shuffle();
        nic.stack().shuffle();
        for round in 0..4 {
            nic.wire()
                .post((0..20).map(|p| crate::nic::Frame::new(udp(p, 8))))
                .unwrap();
            nic.stack()
                .send_all((0..5).map(|p| crate::nic::Frame::new(udp(p, 8))))
                .unwrap();
            if round % 2 == 0 {
                nic.reset().unwrap();
            } else {
                nic.pause().unwrap();
                nic.restart().unwrap();
            }
        }
        nic.remove().unwrap();
        filter.deregister(&lab).unwrap();
    }
}

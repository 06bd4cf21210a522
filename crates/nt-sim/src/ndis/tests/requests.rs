use std::sync::atomic::Ordering;

use nt::sys::*;

use super::{
    driver::{characteristics, new_filter},
    rule,
};
use crate::{Lab, Rule, ndis::raw::Text};

fn word(bytes: Vec<u8>) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn requests_reach_the_miniport_through_cloning_filters() {
    for pending in [false, true] {
        let lab = Lab::boot().unwrap();
        let (first, second) = (new_filter(), new_filter());
        first.pend_oids.store(pending, Ordering::SeqCst);
        first.register(&lab, "first").unwrap();
        second.register(&lab, "second").unwrap();
        let nic = lab.nic("eth0").queues(2).mtu(1300).create().unwrap();
        let stack = nic.stack();
        assert_eq!(
            word(stack.query(OID_GEN_MAXIMUM_FRAME_SIZE).unwrap().unwrap()),
            1300
        );
        assert_eq!(
            stack.query(0x0101_0102).unwrap().unwrap(),
            [2, 0, 0, 0, 0, 1]
        );
        assert_eq!(
            stack.query(0x1234_5678).unwrap(),
            Err(NDIS_STATUS_NOT_SUPPORTED)
        );
        assert_eq!(
            stack
                .set(OID_GEN_CURRENT_PACKET_FILTER, &[0x20, 0, 0, 0])
                .unwrap(),
            0
        );
        assert_eq!(
            word(stack.query(OID_GEN_CURRENT_PACKET_FILTER).unwrap().unwrap()),
            0x20
        );
        assert_eq!(
            stack.set(OID_GEN_CURRENT_PACKET_FILTER, &[1]).unwrap(),
            NDIS_STATUS_INVALID_LENGTH
        );
        let capabilities = stack
            .query(OID_GEN_RECEIVE_SCALE_CAPABILITIES)
            .unwrap()
            .unwrap();
        assert_eq!(word(capabilities[12..16].to_vec()), 2);
        assert!(
            stack
                .query(OID_GEN_RECEIVE_SCALE_PARAMETERS)
                .unwrap()
                .is_ok()
        );
        let seen = nic.take_oids();
        assert!(
            seen.iter()
                .any(|s| s.oid == OID_GEN_RECEIVE_SCALE_PARAMETERS && s.set)
        );
        nic.remove().unwrap();
        second.deregister(&lab).unwrap();
        first.deregister(&lab).unwrap();
    }
}

#[test]
fn direct_and_synchronous_requests_and_answers_of_the_test() {
    let lab = Lab::boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    assert_eq!(
        nic.stack().query_direct(1).unwrap(),
        Err(NDIS_STATUS_NOT_SUPPORTED)
    );
    assert_eq!(
        nic.stack().query_synchronous(1).unwrap(),
        Err(NDIS_STATUS_NOT_SUPPORTED)
    );
    nic.answer_oid(0xff00_0001, |input| {
        if input.is_empty() {
            Ok(vec![1, 2, 3])
        } else {
            Err(NDIS_STATUS_FAILURE)
        }
    });
    assert_eq!(nic.stack().query(0xff00_0001).unwrap(), Ok(vec![1, 2, 3]));
    assert_eq!(
        nic.stack().set(0xff00_0001, &[1]).unwrap(),
        NDIS_STATUS_FAILURE
    );
}

#[test]
fn status_indications_pass_filters_to_the_stack() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.set_link(false).unwrap();
    assert_eq!(*filter.statuses.lock(), [NDIS_STATUS_LINK_STATE]);
    assert_eq!(nic.stack().take_statuses(), [NDIS_STATUS_LINK_STATE]);
    let down = nic
        .stack()
        .query(OID_GEN_MEDIA_CONNECT_STATUS)
        .unwrap()
        .unwrap();
    assert_eq!(word(down), 1);
    let mut parameters = vec![0_u8; 0x14];
    parameters[4..9].fill(1);
    assert_eq!(
        nic.stack()
            .set(OID_TCP_OFFLOAD_PARAMETERS, &parameters)
            .unwrap(),
        0
    );
    assert_eq!(
        nic.stack().take_statuses(),
        [NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG]
    );
    let config = nic
        .stack()
        .query(OID_TCP_OFFLOAD_CURRENT_CONFIG)
        .unwrap()
        .unwrap();
    assert_eq!(
        word(config[8..12].to_vec()) & 0x3f0,
        0,
        "transmit checksums are off"
    );
}

#[test]
fn a_filter_without_request_handlers_is_passed_by() {
    let lab = Lab::boot().unwrap();
    let name = Text::new("bare");
    let mut c = characteristics(&name);
    c.OidRequestHandler = None;
    c.StatusHandler = None;
    new_filter().register_with(&lab, c).unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    assert!(nic.stack().query(OID_GEN_LINK_SPEED).unwrap().is_ok());
    nic.set_link(false).unwrap();
    assert_eq!(nic.stack().take_statuses(), [NDIS_STATUS_LINK_STATE]);
}

#[test]
fn a_request_completed_twice_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    filter.complete_oid_twice.store(true, Ordering::SeqCst);
    assert_eq!(
        rule(nic.stack().query(OID_GEN_LINK_SPEED)),
        Rule::OidNotPending
    );
}

#[test]
fn a_leaked_clone_is_caught_at_detach() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    filter.leak_clone.store(true, Ordering::SeqCst);
    nic.stack().query(OID_GEN_LINK_SPEED).unwrap().unwrap();
    assert_eq!(rule(filter.deregister(&lab)), Rule::OidCloneLeaked);
}

use super::{
    driver::{Act, new_filter},
    udp,
};
use crate::{
    Lab, Mode,
    nic::{Frame, FrameInfo, Layout},
};

#[test]
fn frames_pass_both_ways_without_a_filter() {
    let lab = Lab::boot().unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.wire().send(udp(1, 100)).unwrap();
    assert_eq!(nic.stack().receive().unwrap().data, udp(1, 100));
    nic.stack().send(udp(2, 7)).unwrap();
    assert_eq!(nic.wire().receive().unwrap().data, udp(2, 7));
    assert_eq!(nic.wire().counters().received, 1);
    assert_eq!(nic.stack().counters().received_bytes, 142);
    nic.remove().unwrap();
}

#[test]
fn frames_pass_two_filters_in_every_mode_and_layout() {
    for mode in [Mode::Strict, Mode::Fast] {
        let lab = Lab::builder().mode(mode).boot().unwrap();
        let (below, above) = (new_filter(), new_filter());
        assert_eq!(below.register(&lab, "below").unwrap(), 0);
        assert_eq!(above.register(&lab, "above").unwrap(), 0);
        let nic = lab.nic("eth0").create().unwrap();
        let names: Vec<_> = nic.filters().into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["below", "above"]);
        for layout in [
            Layout::contiguous(),
            Layout::contiguous().backfill(33).trailing(7).skew(3),
            Layout::split(&[1, 2, 11, 20]).empty_mdls(),
            Layout::split(&[14]).resources(),
            Layout::random(7),
        ] {
            nic.wire().set_layout(layout.clone());
            nic.stack().set_layout(layout);
            for size in [0, 1, 22, 1472] {
                let frame = udp(1, size);
                nic.wire().send(frame.clone()).unwrap();
                assert_eq!(nic.stack().receive().unwrap().data, frame);
                nic.stack().send(frame.clone()).unwrap();
                assert_eq!(nic.wire().receive().unwrap().data, frame);
            }
        }
        nic.remove().unwrap();
        above.deregister(&lab).unwrap();
        below.deregister(&lab).unwrap();
    }
}

#[test]
fn out_of_band_data_travels_with_the_frame() {
    let lab = Lab::boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    let info = FrameInfo {
        checksum: 0x28,
        vlan: 0x50,
        timestamp: 77,
        coalesced: 3,
        ..FrameInfo::default()
    };
    nic.wire().send(Frame::new(udp(1, 10)).with(info)).unwrap();
    let got = nic.stack().receive().unwrap();
    let got = FrameInfo {
        mdls: 0,
        processor: 0,
        ..got.info
    };
    assert_eq!(got, info);
    let sent = FrameInfo {
        checksum: 1,
        large_send: 5,
        ..FrameInfo::default()
    };
    nic.stack().send(Frame::new(udp(1, 10)).with(sent)).unwrap();
    let got = nic.wire().receive().unwrap();
    assert_eq!((got.info.checksum, got.info.large_send), (1, 5));
}

#[test]
fn rss_spreads_flows_over_queues_and_processors() {
    let lab = Lab::builder().cpus(4).boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").queues(4).create().unwrap();
    assert_eq!(nic.queue_processors(), [0, 1, 2, 3]);
    nic.wire()
        .send_all((0..64).map(|p| Frame::new(udp(p, 10))))
        .unwrap();
    let mut processors = [0; 4];
    for _ in 0..64 {
        let frame = nic.stack().receive().unwrap();
        assert_eq!(frame.info.hash % 128 % 4, frame.info.processor);
        processors[frame.info.processor as usize] += 1;
    }
    assert!(processors.iter().all(|&n| n > 0), "{processors:?}");
}

#[test]
fn rss_moves_to_other_processors_while_the_nic_runs() {
    let lab = Lab::builder().cpus(4).boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").queues(2).create().unwrap();
    assert_eq!(nic.queue_processors(), [0, 1]);
    assert_eq!(nic.stack().set_rss(&[3, 2]).unwrap(), 0);
    assert_eq!(nic.queue_processors(), [3, 2]);
    let seen = || {
        nic.wire()
            .send_all((0..64).map(|p| Frame::new(udp(p, 10))))
            .unwrap();
        let mut seen = [0; 4];
        for _ in 0..64 {
            let info = nic.stack().receive().unwrap().info;
            seen[info.processor as usize] += 1;
            assert_eq!(info.hash_info == 0, info.hash == 0);
        }
        seen
    };
    let moved = seen();
    assert!(moved[2] > 0 && moved[3] > 0 && moved[2] + moved[3] == 64);
    let refused = nic.stack().set_rss(&[4]).unwrap();
    assert_eq!(refused, nt::sys::NDIS_STATUS_INVALID_PARAMETER);
    assert_eq!(nic.stack().set_rss(&[]).unwrap(), 0);
    let off = seen();
    assert_eq!(off.iter().filter(|&&n| n == 64).count(), 1, "{off:?}");
}

#[test]
fn dropped_frames_go_back_and_nothing_is_left() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    *filter.receive.lock() = Act::Drop;
    *filter.send.lock() = Act::Drop;
    nic.wire()
        .send_all((0..10).map(|p| Frame::new(udp(p, 10))))
        .unwrap();
    nic.stack()
        .send_all((0..10).map(|p| Frame::new(udp(p, 10))))
        .unwrap();
    assert_eq!(nic.stack().try_receive().unwrap(), None);
    assert_eq!(nic.wire().try_receive().unwrap(), None);
    assert_eq!(nic.stack().pending_sends(), 0);
    nic.remove().unwrap();
}

#[test]
fn ends_hold_and_give_back_in_any_order() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.wire().hold();
    nic.stack().hold();
    for port in 0..20 {
        nic.wire().send(udp(port, 4)).unwrap();
        nic.stack().send(udp(port, 4)).unwrap();
    }
    assert_eq!(nic.stack().pending_sends(), 20);
    nic.wire().release().unwrap();
    nic.stack().release().unwrap();
    assert_eq!(nic.stack().pending_sends(), 0);
    nic.wire().shuffle();
    nic.stack().shuffle();
    for port in 0..20 {
        nic.wire().send(udp(port, 4)).unwrap();
        nic.stack().send(udp(port, 4)).unwrap();
    }
    nic.wire().complete_sends_with(nt::sys::NDIS_STATUS_FAILURE);
    nic.pause().unwrap();
    assert_eq!(nic.stack().pending_sends(), 0);
    nic.remove().unwrap();
}

#[test]
fn a_paused_stack_takes_nothing() {
    let lab = Lab::boot().unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.pause().unwrap();
    nic.wire().send(udp(1, 1)).unwrap();
    assert_eq!(nic.stack().send_all([Frame::new(udp(1, 1))]).unwrap(), 0);
    assert_eq!(nic.wire().counters().dropped, 1);
    assert_eq!(nic.stack().counters().dropped, 1);
    nic.restart().unwrap();
    nic.wire().send(udp(2, 1)).unwrap();
    assert_eq!(nic.stack().receive().unwrap().data, udp(2, 1));
}

#[test]
fn a_blast_arrives_in_full() {
    let lab = Lab::builder().mode(Mode::Fast).cpus(1).boot().unwrap();
    new_filter().register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    nic.stack().count_only();
    let frames = [
        Frame::new(udp(1, 22)),
        Frame::new(udp(2, 22)),
        Frame::new(udp(3, 22)),
    ];
    assert_eq!(nic.wire().blast(&frames, 100_001).unwrap(), 100_001);
    assert_eq!(nic.stack().counters().received, 100_001);
    nic.remove().unwrap();
}

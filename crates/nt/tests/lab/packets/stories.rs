//! What the wire and the stack see of the filter.

use nt_sim::nic::{Frame, FrameInfo, Layout};
use nt_sim::{FaultPlan, Lab, Nic};

use super::{COMMAND, driver_entry};

fn with_nic(layout: Layout, story: impl FnOnce(&Lab, &Nic<'_>)) {
    let lab = Lab::builder().cpus(2).boot().unwrap();
    let driver = lab.start_linked("packets", driver_entry).unwrap();
    let nic = lab.nic("nic").rx_layout(layout).create().unwrap();
    lab.settle().unwrap();
    assert_eq!(nic.filters().len(), 1);
    story(&lab, &nic);
    nic.remove().unwrap();
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
}

fn frame(command: u8, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|index| index as u8 | 0x80).collect();
    bytes[COMMAND] = command;
    bytes
}

fn layouts() -> impl Iterator<Item = Layout> {
    let fixed = [
        Layout::contiguous(),
        Layout::contiguous().backfill(30),
        Layout::split(&[1, 5, 7, 1, 30]),
        Layout::contiguous().resources(),
        Layout::split(&[14, 20]).resources(),
    ];
    fixed.into_iter().chain((0..3).map(Layout::random))
}

#[test]
fn own_packets_go_out_and_up_and_come_back() {
    for layout in layouts() {
        with_nic(layout, |_, nic| {
            for len in [60, 61, 590, 1514] {
                nic.wire().send(frame(b'E', len)).unwrap();
                let mut expected = frame(b'E', len);
                let (to, from) = expected[..12].split_at_mut(6);
                to.swap_with_slice(from);
                assert_eq!(nic.wire().receive().unwrap().data, expected);

                nic.wire().send(frame(b'U', len)).unwrap();
                assert_eq!(nic.stack().receive().unwrap().data, frame(b'U', len));
                nic.wire().send(frame(b'P', len)).unwrap();
                assert_eq!(nic.stack().receive().unwrap().data, frame(b'P', len));
            }
        });
    }
}

#[test]
fn received_packets_are_overwritten_across_their_pieces() {
    for layout in layouts() {
        with_nic(layout, |_, nic| {
            nic.wire().send(frame(b'W', 100)).unwrap();
            let mut expected = frame(b'W', 100);
            for index in 0..40 {
                expected[20 + index] = index as u8;
            }
            expected[98..].copy_from_slice(b"en");
            assert_eq!(nic.stack().receive().unwrap().data, expected);
        });
    }
}

#[test]
fn what_travels_beside_the_bytes_is_read() {
    with_nic(Layout::contiguous(), |_, nic| {
        let info = FrameInfo {
            timestamp: 0x1234_5678_9abc_def0,
            checksum: 0x15,
            coalesced: 3 << 16 | 7,
            flags: 0x8000,
            ..FrameInfo::default()
        };
        nic.wire()
            .send(Frame::new(frame(b'I', 60)).with(info))
            .unwrap();
        let told = nic.stack().receive().unwrap();
        let word =
            |index: usize| u64::from_le_bytes(told.data[16 + 8 * index..][..8].try_into().unwrap());
        assert_eq!([0, 1, 2, 3].map(word), [0x1234_5678_9abc_def0, 0x15, 7, 1]);
        nic.wire().send(frame(b'I', 60)).unwrap();
        let told = nic.stack().receive().unwrap();
        assert_eq!(told.data[16..48], [0; 32]);
    });
}

#[test]
fn a_pause_waits_for_packets_that_are_away() {
    with_nic(Layout::contiguous(), |lab, nic| {
        for (pause, restart) in [(true, true), (false, false)] {
            nic.wire().shuffle();
            nic.stack().shuffle();
            for _ in 0..50 {
                nic.wire().send(frame(b'E', 100)).unwrap();
                nic.wire().send(frame(b'U', 100)).unwrap();
            }
            if pause {
                nic.pause().unwrap();
            }
            if restart {
                nic.restart().unwrap();
            }
            lab.settle().unwrap();
        }
        nic.wire().send(frame(b'P', 60)).unwrap();
    });
}

#[test]
fn every_allocation_of_a_packet_may_fail() {
    with_nic(Layout::contiguous(), |lab, nic| {
        let mut failed = Vec::new();
        for nth in 1.. {
            lab.inject_failures(FaultPlan::Nth(nth));
            nic.wire().send(frame(b'U', 60)).unwrap();
            lab.settle().unwrap();
            let injected = lab.injected_failures();
            lab.inject_failures(FaultPlan::Never);
            let received = nic.stack().try_receive().unwrap();
            assert_eq!(received.is_some(), injected.is_empty());
            match injected.first() {
                Some(fault) => failed.push(fault.function),
                None => break,
            }
        }
        // The memory, its MDL, what keeps them together, and the list.
        assert_eq!(failed.len(), 4, "{failed:?}");
    });
}

//! Cables between real interfaces, in a network namespace of the test's own.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

/// Runs a test in a new network namespace, which ends with the thread. Does nothing where that is not permitted.
fn in_new_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: gives this thread, and what it starts, a network of their own; no memory is touched.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                eprintln!("skipped: no permission to make a network namespace");
                return;
            }
            test();
        });
    });
}

fn ip(words: &str) {
    let output = Command::new("ip")
        .args(words.split(' '))
        .output()
        .expect("the program ip is there");
    assert!(
        output.status.success(),
        "ip {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Two interfaces joined by a wire, with nobody else talking on it.
fn veth() {
    ip("link add left type veth peer name right");
    for end in ["left", "right"] {
        ip(&format!("link set {end} addrgenmode none"));
        ip(&format!("link set {end} up"));
    }
}

fn receive_all(source: &mut dyn Source, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while frames.len() < count && Instant::now() < deadline {
        source
            .receive(&mut frames, Duration::from_millis(100))
            .expect("the cable holds");
    }
    frames
}

fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    frame.extend([0x88, 0xB5]);
    frame.extend(number.to_be_bytes());
    frame.resize(length, number as u8);
    frame
}

#[test]
fn frames_cross_a_veth_pair_unchanged_and_in_order() {
    in_new_namespace(|| {
        veth();
        let (_, mut left) = interface("left").expect("root may open it");
        let (mut right, _) = interface("right").expect("root may open it");
        let sent: Vec<Vec<u8>> = (0..500)
            .map(|number| frame(number, 60 + number as usize * 2))
            .collect();
        for frame in &sent {
            while !left.send(frame).expect("the cable holds") {
                std::thread::yield_now();
            }
        }
        assert!(receive_all(&mut right, sent.len()) == sent);
        assert_eq!(right.lost(), 0);
    });
}

#[test]
fn what_a_cable_sends_does_not_come_back_to_it() {
    in_new_namespace(|| {
        veth();
        let (mut source, mut sink) = interface("left").expect("root may open it");
        let (mut right, _) = interface("right").expect("root may open it");
        assert!(sink.send(&frame(1, 60)).expect("the cable holds"));
        assert_eq!(receive_all(&mut right, 1).len(), 1);
        let mut back = Vec::new();
        source
            .receive(&mut back, Duration::from_millis(50))
            .expect("the cable holds");
        assert_eq!(back, [[0; 0]; 0]);
    });
}

#[test]
fn a_frame_longer_than_the_interface_takes_is_lost() {
    in_new_namespace(|| {
        veth();
        let (_, mut left) = interface("left").expect("root may open it");
        assert!(!left.send(&frame(1, 4000)).expect("the cable holds"));
    });
}

#[test]
fn a_vlan_tag_survives() {
    in_new_namespace(|| {
        veth();
        let (_, mut left) = interface("left").expect("root may open it");
        let (mut right, _) = interface("right").expect("root may open it");
        let mut tagged = frame(7, 100);
        tagged.splice(12..12, [0x81, 0x00, 0x20, 0x64]);
        assert!(left.send(&tagged).expect("the cable holds"));
        assert!(receive_all(&mut right, 1) == [tagged]);
    });
}

#[test]
fn an_unfinished_checksum_is_finished() {
    in_new_namespace(|| {
        veth();
        ip("address add 192.0.2.1/24 dev left");
        ip("neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev left");
        let (mut right, _) = interface("right").expect("root may open it");
        let socket = std::net::UdpSocket::bind("192.0.2.1:1000").expect("the address is ours");
        socket
            .send_to(b"odd", "192.0.2.2:2000")
            .expect("there is a route");
        let frames = receive_all(&mut right, 1);
        let udp = frames
            .iter()
            .find(|frame| frame[23] == 17)
            .expect("the datagram arrives");
        let pseudo = [&udp[26..34], &[0, 17, 0, 11], &udp[34..45]].concat();
        let sum = pseudo.chunks(2).fold(0_u32, |sum, pair| {
            sum + u32::from(pair[0]) * 256 + u32::from(pair.get(1).copied().unwrap_or(0))
        });
        assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF, "the checksum holds");
    });
}

#[test]
fn a_tap_device_is_there_as_long_as_its_cable() {
    in_new_namespace(|| {
        if !Path::new("/dev/net/tun").exists() {
            eprintln!("skipped: this machine has no /dev/net/tun");
            return;
        }
        {
            let (mut source, mut sink) = tap("lab0").expect("root may make it");
            let (mut kernel_side, mut into_device) =
                interface("lab0").expect("the device is there");
            assert!(sink.send(&frame(1, 60)).expect("the cable holds"));
            assert!(receive_all(&mut kernel_side, 1).contains(&frame(1, 60)));
            assert!(into_device.send(&frame(2, 61)).expect("the cable holds"));
            let deadline = Instant::now() + Duration::from_secs(10);
            let mut frames = Vec::new();
            // The system may say a word of its own through the device.
            while !frames.contains(&frame(2, 61)) {
                assert!(Instant::now() < deadline, "the frame does not come out");
                source
                    .receive(&mut frames, Duration::from_millis(100))
                    .expect("the cable holds");
            }
            assert!(
                !sink.send(&[0; 5]).expect("the cable holds"),
                "a runt is lost"
            );
        }
        // Another test that is just starting a program holds a copy of every descriptor for a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !matches!(interface("lab0"), Err(CableError::NoInterface(_))) {
            assert!(Instant::now() < deadline, "the device stays behind");
            std::thread::yield_now();
        }
    });
}

#[test]
fn refusals_say_why() {
    let refused = |name: &str| interface(name).err().expect("it is refused").to_string();
    assert!(refused("no-such-0").contains("there is no interface `no-such-0`"));
    assert!(refused("a name that is much too long").contains("there is no interface"));
    in_new_namespace(|| {
        assert!(
            interface("lo")
                .err()
                .expect("lo is refused")
                .to_string()
                .contains("not an Ethernet interface")
        );
        let bad = tap("sla/sh").err().expect("it is refused");
        assert!(
            bad.to_string()
                .contains("cannot be the name of an interface")
                || bad.to_string().contains("/dev/net/tun")
        );
    });
}

fn all_of(path: &Path) -> Vec<Vec<u8>> {
    let mut source = CaptureSource::open(path).expect("the capture opens");
    let mut frames = Vec::new();
    while source
        .receive(&mut frames, Duration::ZERO)
        .expect("the capture is whole")
        == Feed::Open
    {}
    frames
}

#[test]
fn captures_of_both_kinds_are_read_back_as_written() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let sent: Vec<Vec<u8>> = (0..200)
        .map(|number| frame(number, 14 + number as usize * 7))
        .collect();
    for name in ["a.pcap", "a.pcapng"] {
        let path = folder.path().join(name);
        let mut sink = CaptureSink::create(&path).expect("the folder is ours");
        for frame in &sent {
            assert!(sink.send(frame).expect("the disk has room"));
        }
        sink.flush().expect("the disk has room");
        assert!(all_of(&path) == sent, "{name}");
    }
}

#[test]
fn what_is_not_a_capture_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let refused = |path: &Path| {
        CaptureSource::open(path)
            .err()
            .expect("it is refused")
            .to_string()
    };
    assert!(refused(&folder.path().join("none.pcap")).contains("cannot read"));
    let text = folder.path().join("text.pcap");
    for contents in [
        &b""[..],
        b"abc",
        b"this is not a capture, only text, and some more of it",
    ] {
        std::fs::write(&text, contents).expect("the folder is ours");
        assert!(
            refused(&text).contains("is not a usable capture"),
            "{contents:?}"
        );
    }
    // A pcap header that says link type 101, raw IP.
    let mut raw_ip = vec![
        0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0,
    ];
    raw_ip.extend([101, 0, 0, 0]);
    std::fs::write(&text, raw_ip).expect("the folder is ours");
    assert!(
        refused(&text).contains("it holds RAW frames"),
        "{}",
        refused(&text)
    );
}

#[test]
fn a_capture_that_ends_within_a_frame_is_an_error_not_an_end() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("cut.pcap");
    let mut sink = CaptureSink::create(&path).expect("the folder is ours");
    sink.send(&frame(1, 100)).expect("the disk has room");
    sink.flush().expect("the disk has room");
    let whole = std::fs::read(&path).expect("it was written");
    std::fs::write(&path, &whole[..whole.len() - 10]).expect("the folder is ours");
    let mut source = CaptureSource::open(&path).expect("the header is whole");
    assert!(source.receive(&mut Vec::new(), Duration::ZERO).is_err());
}

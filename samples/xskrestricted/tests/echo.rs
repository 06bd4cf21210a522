//! Frames of a capture go in at the wire; those for the sample's port come back from the child, which may not open the driver.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use namespaces::{Program, driver_file};
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};

/// Ethernet, IPv4 and UDP, with a number as payload.
fn datagram(port: u16, number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 99, 8, 0];
    frame.extend([
        0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ]);
    frame.extend(4000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend([0, 26, 0, 0]);
    frame.extend([number; 18]);
    frame
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xskrestricted"));
    if let Some(driver) = driver_file() {
        command.env("XDP_DRIVER", driver);
    }
    command.args(arguments).output().expect("the sample runs")
}

#[test]
fn the_child_echoes_what_the_parent_redirects() {
    let Some(driver) = driver_file() else {
        println!("skipped: no driver was built (`cargo xtask driver`)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (input, output) = (
        folder.path().join("in.pcap"),
        folder.path().join("out.pcap"),
    );
    // The capture begins when the parent attaches its program, before the child has memory: what comes then is dropped. So
    // there are enough frames that most come later.
    let sent = 60_000;
    let file = File::create(&input).expect("it can be made");
    let mut writer = PcapWriter::new(BufWriter::new(file)).expect("it can be written");
    for number in 0..sent {
        for port in [1234, 1235] {
            let frame = datagram(port, number as u8);
            let length = frame.len() as u32;
            let packet = PcapPacket::new_owned(Duration::ZERO, length, frame);
            writer.write_packet(&packet).expect("it can be written");
        }
    }
    drop(writer);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xskrestricted"));
    command.env("XDP_DRIVER", driver).arg(format!(
        "lab:wire=read:{},write:{}",
        input.display(),
        output.display()
    ));
    let ready = "echoing UDP port 1234 on nic0";
    let sample =
        Program::start(command, ready, Duration::from_secs(60), None).expect("the sample starts");
    // The capture's header is 24 bytes long, that of a packet 16.
    let one = 24 + 16 + 60;
    let start = Instant::now();
    while std::fs::metadata(&output).map_or(0, |file| file.len()) < one
        && start.elapsed() < Duration::from_secs(30)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = sample.stop().expect("the sample ends well");
    for words in ["XskCreate: refused", "XdpCreateProgram: refused"] {
        assert!(said.contains(words), "{said}");
    }

    let file = File::open(&output).expect("it was written");
    let mut reader = PcapReader::new(BufReader::new(file)).expect("it is a capture");
    let mut frames = 0;
    while let Some(packet) = reader.next_packet() {
        let frame = packet.expect("the packet is whole").data.into_owned();
        let mut expected = datagram(1234, frame[42]);
        expected[..12].rotate_left(6);
        assert_eq!(frame, expected);
        frames += 1;
    }
    println!("{frames} of {sent} came back");
    assert!(frames > 0 && frames <= sent, "{frames} came back");
}

#[test]
fn after_its_time_it_ends_well() {
    if driver_file().is_none() {
        println!("skipped: no driver was built (`cargo xtask driver`)");
        return;
    }
    let done = run(&["-TIMEOUTSECONDS", "1", "lab:"]);
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("clean: no memory"), "{said}");
}

#[test]
fn failures_end_with_1() {
    for (arguments, words) in [
        (&[][..], "<IfIndex> is missing"),
        (
            &["lab:", "-TimeoutSeconds", "-1"],
            "-TimeoutSeconds cannot be `-1`",
        ),
        (&["lab:", "-Queue", "1"], "`-Queue` is not known here"),
        (&["lab:", "-child", "x"], "-child is for Windows"),
        (&["lab:nic=nic9"], "there is none; there are nic0"),
        (&["lab:driver=/no/such/xdp.sys"], "/no/such/xdp.sys"),
    ] {
        let done = run(arguments);
        let errors = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
}

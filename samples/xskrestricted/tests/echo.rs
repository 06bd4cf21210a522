//! Frames of a capture go in at the wire; those for the sample's port come back from the child, which may not open the driver.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::io::BufReader;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use namespaces::{Program, driver_file};
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};

/// As many as the child has given to the driver before it says that it is ready.
const SENT: u8 = 32;

const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes that each datagram carries; all of them together fit into a pipe.
const PAYLOAD: usize = 600;

/// Ethernet, IPv4 and UDP, with a number as payload.
fn datagram(port: u16, number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 99, 8, 0, 0x45, 0];
    frame.extend((20 + 8 + PAYLOAD as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(4000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend((8 + PAYLOAD as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend([number; PAYLOAD]);
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
    let (input, output) = (folder.path().join("in"), folder.path().join("out.pcap"));
    // A pipe: the frames come when the child is ready for them, and not before.
    let made = Command::new("mkfifo").arg(&input).status();
    assert!(made.is_ok_and(|status| status.success()), "no pipe");
    let pipe = File::options().read(true).write(true).open(&input);
    let mut writer = PcapWriter::new(pipe.expect("it was made")).expect("it can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xskrestricted"));
    command.env("XDP_DRIVER", driver).arg(format!(
        "lab:wire=read:{},write:{}",
        input.display(),
        output.display()
    ));
    let ready = "echoing UDP port 1234 on nic0";
    let sample = Program::start(command, ready, PATIENCE, None).expect("the sample starts");
    for number in 0..SENT {
        for port in [1234, 1235] {
            let frame = datagram(port, number);
            let length = frame.len() as u32;
            let packet = PcapPacket::new_owned(Duration::ZERO, length, frame);
            writer.write_packet(&packet).expect("it can be written");
        }
    }
    drop(writer);
    // A lab writes captures in pieces: the last frames may be in its memory until it ends.
    let half = u64::from(SENT) * (PAYLOAD as u64) / 2;
    let start = Instant::now();
    while std::fs::metadata(&output).map_or(0, |file| file.len()) < half {
        assert!(start.elapsed() < PATIENCE, "{}", sample.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = sample.stop().expect("the sample ends well");
    for words in ["XskCreate: refused", "XdpCreateProgram: refused"] {
        assert!(said.contains(words), "{said}");
    }

    let file = File::open(&output).expect("it was written");
    let mut reader = PcapReader::new(BufReader::new(file)).expect("it is a capture");
    let mut echoed = 0;
    while let Some(packet) = reader.next_packet() {
        let mut expected = datagram(1234, echoed);
        expected[..12].rotate_left(6);
        assert_eq!(packet.expect("the packet is whole").data, expected);
        echoed += 1;
    }
    assert!((SENT / 2..=SENT).contains(&echoed), "{echoed} came back");
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

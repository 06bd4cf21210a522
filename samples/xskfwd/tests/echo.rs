//! Frames of a capture go in at the wire; those for the sample's port come back with their addresses swapped.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
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

#[test]
fn datagrams_come_back_with_swapped_addresses() {
    let Some(driver) = driver_file() else {
        println!("skipped: no driver was built (`cargo xtask driver`)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (input, output) = (
        folder.path().join("in.pcap"),
        folder.path().join("out.pcap"),
    );
    let mut writer =
        PcapWriter::new(File::create(&input).expect("it can be made")).expect("it can be written");
    for (port, number) in [(1234, 1), (1235, 2), (9, 4)] {
        let frame = datagram(port, number);
        let length = frame.len() as u32;
        let packet = PcapPacket::new_owned(Duration::ZERO, length, frame);
        writer.write_packet(&packet).expect("it can be written");
    }
    drop(writer);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_xskfwd"));
    command.env("XDP_DRIVER", driver).arg(format!(
        "lab:wire=read:{},write:{}",
        input.display(),
        output.display()
    ));
    let echo = Program::start(command, "echoing", Duration::from_secs(60), None)
        .expect("the sample starts");
    // The capture's header is 24 bytes long, that of a packet 16.
    let whole = 24 + 16 + 60;
    let start = Instant::now();
    while std::fs::metadata(&output).map_or(0, |file| file.len()) < whole
        && start.elapsed() < Duration::from_secs(5)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    echo.stop().expect("the sample ends well");

    let mut reader =
        PcapReader::new(File::open(&output).expect("it was written")).expect("it is a capture");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.expect("the packet is whole").data.into_owned());
    }
    let mut expected = datagram(1234, 1);
    expected[..12].rotate_left(6);
    assert_eq!(frames, [expected]);
}

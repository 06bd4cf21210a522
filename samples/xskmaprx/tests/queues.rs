//! Flows of a capture spread over the queues of a card; the sockets in the map count all of them.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use namespaces::driver_file;
use pcap_file::pcap::{PcapPacket, PcapWriter};

const FLOWS: u16 = 64;

#[test]
fn every_datagram_is_counted_on_one_of_the_queues() {
    let Some(driver) = driver_file() else {
        println!("skipped: no driver was built (`cargo xtask driver`)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let input = folder.path().join("in.pcap");
    let mut writer =
        PcapWriter::new(File::create(&input).expect("it can be made")).expect("it can be written");
    for flow in 0..FLOWS {
        // Half of them for the port that is asked for.
        let port: u16 = if flow % 2 == 0 { 7 } else { 8 };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 99, 8, 0];
        frame.extend([
            0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ]);
        frame.extend((4000 + flow).to_be_bytes());
        frame.extend(port.to_be_bytes());
        frame.extend([0, 26, 0, 0]);
        frame.extend([0; 18]);
        let length = frame.len() as u32;
        let packet = PcapPacket::new_owned(Duration::ZERO, length, frame);
        writer.write_packet(&packet).expect("it can be written");
    }
    drop(writer);
    let output = Command::new(env!("CARGO_BIN_EXE_xskmaprx"))
        .env("XDP_DRIVER", driver)
        .arg("-IfIndex")
        .arg(format!("lab:wire=read:{},queues=4", input.display()))
        .args([
            "-QueueCount",
            "4",
            "-UdpDstPort",
            "7",
            "-TimeoutSeconds",
            "3",
        ])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let expected = format!(
        "total: {} packets, {} bytes, 0 drops",
        FLOWS / 2,
        60 * FLOWS / 2
    );
    assert!(said.contains(&expected), "{said}");
}

//! What tests play on: a lab with the built driver in it, or the linked one where none was built.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use xdp::lab::{Builder, Lab};

/// Describes a lab.
pub(crate) fn describe(address: &str) -> Builder {
    let address = address.parse().expect("an address");
    Lab::builder(&address).or_linked(xdp_driver::DriverEntry)
}

/// Boots a lab.
pub(crate) fn boot(address: &str) -> Lab {
    describe(address).boot().unwrap_or_else(|e| panic!("{e}"))
}

/// Ends a lab, in which nothing may be left.
pub(crate) fn finish(lab: Lab) {
    let report = lab.finish().unwrap_or_else(|e| panic!("{e}"));
    assert!(report.is_clean(), "{report}");
}

/// An Ethernet frame of IPv4 and UDP.
pub(crate) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 99, 8, 0];
    let length = 20 + 8 + payload.len();
    frame.extend([0x45, 0]);
    frame.extend((length as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(4000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    frame.extend(((8 + payload.len()) as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

//! What scenarios share: a lab with the driver under test in it.
//!
//! The driver is the file that `XDP_DRIVER` names, or else the one that `cargo xtask driver` built, or else the driver
//! crate linked into the test. Scenarios know nothing of its insides, so any compatible driver can be put here.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use nt_sim::{Driver, Lab, LabBuilder, LabError};
use xdp_abi::open::{OPEN_PACKET_NAME, ObjectType, OpenPacket};
use zerocopy::IntoBytes;

/// The driver file under test; `None` means the linked driver.
pub fn driver_file() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("XDP_DRIVER") {
        return Some(file.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let built = target.join("driver/x86_64/xdp.sys");
    built.exists().then_some(built)
}

/// Loads the driver under test.
///
/// # Errors
/// As [`Lab::load`].
pub fn load(lab: &Lab) -> Result<Driver<'_>, LabError> {
    match driver_file() {
        Some(file) => lab.load_as(&file, "xdp"),
        None => lab.start_linked("xdp", xdp_driver::DriverEntry),
    }
}

/// A lab for scenarios: strict, two processors.
pub fn lab() -> LabBuilder {
    Lab::builder().cpus(2)
}

/// Value of the extended attribute that opens an object.
pub fn open_value(object: ObjectType, parameters: &[u8]) -> Vec<u8> {
    let packet = OpenPacket {
        major_version: 1,
        minor_version: 0,
        api_version: 3,
        object_type: object,
    };
    let mut value = packet.as_bytes().to_vec();
    value.extend(parameters);
    value
}

/// Name of that attribute.
pub const EA: &str = OPEN_PACKET_NAME;

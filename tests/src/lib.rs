//! What scenarios share: a lab with the driver under test in it, and a client that talks to it as programs do.
//!
//! The driver is the file that `XDP_DRIVER` names, or else the one that `cargo xtask driver` built, or else the driver
//! crate linked into the test. Scenarios know nothing of its insides, so any compatible driver can be put here.
//!
//! ```no_run
//! use scenarios::{matching, scene, socket::Setup};
//!
//! scene(|s| {
//!     let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
//!     let _program = s.app.program(s.nic).rule(matching::udp_dst(53).redirect(&socket.xsk)).create().unwrap();
//!     socket.fill_all();
//!     s.nic.wire().send(scenarios::frames::udp4(53, b"hello")).unwrap();
//!     assert_eq!(socket.received().len(), 1);
//! });
//! ```

#![forbid(unsafe_code)]

pub mod client;
pub mod counters;
pub mod failures;
pub mod frames;
pub mod interface;
pub mod manifest;
pub mod map;
pub mod matching;
pub mod program;
pub mod ring;
pub mod scene;
pub mod socket;
pub mod status;
pub mod umem;
pub mod xsk;

use std::path::PathBuf;

use nt_sim::{Driver, Lab, LabBuilder, LabError};
use xdp_abi::open::{OPEN_PACKET_NAME, ObjectType, OpenPacket};
use zerocopy::IntoBytes;

pub use client::Client;
pub use scene::{Scene, Stage, scene};
pub use status::Answer;

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
    open_value_of(3, object, parameters)
}

/// As [`open_value`], of a client that was compiled for another version of the API.
pub fn open_value_of(api_version: u32, object: ObjectType, parameters: &[u8]) -> Vec<u8> {
    let packet = OpenPacket {
        major_version: 1,
        minor_version: 0,
        api_version,
        object_type: object,
    };
    let mut value = packet.as_bytes().to_vec();
    value.extend(parameters);
    value
}

/// Name of that attribute.
pub const EA: &str = OPEN_PACKET_NAME;

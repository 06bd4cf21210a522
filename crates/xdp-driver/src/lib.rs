//! `xdp.sys`: the NDIS filter driver.
//!
//! Built for Windows this crate *is* the kernel image: `cargo xtask driver` compiles it as a static library, with its
//! panic handler, and links it with `DriverEntry` as the entry point. Built for any other system it is an ordinary
//! library, the *linked* driver that the lab can call without a PE file.
//!
//! `driver` is the whole driver, started and stopped. `control` is what programs open: `program`, `socket`, `map`, and handles to
//! an `interface`, where programs and sockets meet. `generic` is the filter in the network stack, which makes interfaces and
//! moves frames.

#![no_std]
#![deny(unsafe_code)]

mod control;
mod counters;
mod driver;
mod entry;
mod gate;
mod generic;
mod holders;
mod interface;
mod map;
mod memory;
#[cfg(target_os = "windows")]
mod panic;
mod program;
mod settings;
mod socket;
mod trace;

pub use entry::DriverEntry;

/// Tag of every block that the driver allocates, `Xdp ` in a pool listing.
const TAG: nt::Tag = nt::Tag::new(b"Xdp ");

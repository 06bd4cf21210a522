//! `xdp.sys`: the NDIS filter driver.
//!
//! Built for Windows this crate *is* the kernel image: `cargo xtask driver` compiles it as a static library, with its
//! panic handler, and links it with `DriverEntry` as the entry point. Built for any other system it is an ordinary
//! library, the *linked* driver that the lab can call without a PE file.

#![no_std]
#![deny(unsafe_code)]

mod entry;
#[cfg(target_os = "windows")]
mod panic;

pub use entry::DriverEntry;

//! The Windows kernel and NDIS as Rust sees them.
//!
//! [`sys`] holds the raw bindings: types and constants with their C names, and the imports of ntoskrnl, ndis, netio
//! and hal. Everything else is safe code over them. The crate knows nothing of any particular driver.
//!
//! On a Windows target the imports bind to the kernel's modules; on any other host they are plain externs which the
//! simulated kernel defines, so the same code runs in both.

#![no_std]

pub mod sys;

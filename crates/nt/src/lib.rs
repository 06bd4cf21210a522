//! The Windows kernel and NDIS as Rust sees them.
//!
//! [`sys`] holds the raw bindings: types and constants with their C names, and the imports of ntoskrnl, ndis, netio
//! and hal. Everything else is safe code over them. The crate knows nothing of any particular driver.
//!
//! On a Windows target the imports bind to the kernel's modules; on any other host they are plain externs which the
//! simulated kernel defines, so the same code runs in both.
//!
//! UNSAFETY: this crate is where a driver's contract with the kernel is kept; its neighbours need none.

#![no_std]

#[macro_use]
mod callback;

pub mod etw;
#[cfg(all(test, target_arch = "x86_64"))]
mod fake;
pub mod handle;
pub mod io;
pub mod irql;
pub mod memory;
pub mod ndis;
pub mod nmr;
pub mod notify;
pub mod pcw;
pub mod pool;
pub mod process;
pub mod processor;
pub mod registry;
pub mod security;
mod seh;
#[cfg(windows)]
mod stack;
mod status;
pub mod string;
pub mod sync;
pub mod sys;
pub mod work;

pub use self::irql::{Dispatch, Passive};
pub use self::pool::{Arc, Box, Tag, Vec};
pub use self::status::{Result, Status};
pub use self::string::UnicodeStr;

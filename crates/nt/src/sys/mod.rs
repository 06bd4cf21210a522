//! Raw bindings: C names for types, fields, constants and functions, one file per concept.
//!
//! Types and constants are re-exported flat (`nt::sys::MDL`); functions live in [`imports`] by the module that exports
//! them. Every declaration states its layout (`0x10 Field: type`), which is asserted at compile time on every target
//! and compared with the fact tables in `abi/` by the tests.

#![expect(
    missing_docs,
    reason = "the names are those of the C headers, whose documentation applies"
)]
#![expect(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "C names, so that drivers' authors recognise them"
)]

#[macro_use]
mod declare;

mod base;
mod callbacks;
mod constants;
mod context;
mod dispatcher;
mod dma;
mod enums;
mod etw;
mod exception;
mod file;
pub mod imports;
mod inet;
mod irp;
mod mdl;
pub mod ndis;
mod nmr;
mod object;
mod pcw;
mod process;
mod registry;
mod security;
mod status;
mod sync;
#[cfg(test)]
mod tests;

pub use self::base::*;
pub use self::callbacks::*;
pub use self::constants::*;
pub use self::context::*;
pub use self::declare::{BitField, Bits, Zeroable};
pub use self::dispatcher::*;
pub use self::dma::*;
pub use self::enums::*;
pub use self::etw::*;
pub use self::exception::*;
pub use self::file::*;
pub use self::inet::*;
pub use self::irp::*;
pub use self::mdl::*;
pub use self::ndis::*;
pub use self::nmr::*;
pub use self::object::*;
pub use self::pcw::*;
pub use self::process::*;
pub use self::registry::*;
pub use self::security::*;
pub use self::status::*;
pub use self::sync::*;

//! The run-time library's exports.

mod bitmap;
pub(crate) mod convert;
mod crt;
pub(crate) mod debug;
pub(crate) mod features;
mod format;
mod generic_table;
mod hash_table;
pub(crate) mod memory;
mod print;
mod status;
mod string;
#[cfg(test)]
mod tests;
mod text;
mod version;
#[cfg(test)]
mod version_tests;

use crate::export::Export;

/// What the run-time library exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        bitmap::EXPORTS,
        convert::EXPORTS,
        crt::EXPORTS,
        debug::EXPORTS,
        features::EXPORTS,
        features::DATA,
        generic_table::EXPORTS,
        hash_table::EXPORTS,
        memory::EXPORTS,
        print::EXPORTS,
        status::EXPORTS,
        string::EXPORTS,
        version::EXPORTS,
    ]
}

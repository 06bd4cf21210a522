//! The run-time library's exports.

pub(crate) mod memory;

use crate::export::Export;

/// What the run-time library exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![memory::EXPORTS]
}

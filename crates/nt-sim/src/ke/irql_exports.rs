//! IRQL.

use crate::{exports, irql};

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Level of the calling thread.
    #[irql(ANY)]
    fn KeGetCurrentIrql() -> u8 {
        irql::current()
    }

    /// Raises the level; returns the old one.
    #[irql(ANY)]
    fn KfRaiseIrql(new: u8) -> u8 {
        irql::raise(new)
    }

    /// Lowers the level.
    #[irql(ANY)]
    fn KeLowerIrql(new: u8) {
        irql::lower(new);
    }

    /// Raises to DISPATCH_LEVEL; returns the old level.
    #[irql(DISPATCH)]
    fn KeRaiseIrqlToDpcLevel() -> u8 {
        irql::raise(irql::DISPATCH)
    }
}

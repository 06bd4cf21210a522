//! Structured exceptions.

use crate::export::Raise;

/// Gives an exception raised by an exported function to the driver code that called it.
pub(crate) fn dispatch_raise(raise: Raise) -> ! {
    let caught = std::panic::catch_unwind(|| {
        crate::bugcheck!(
            crate::verifier::Rule::UnhandledException, raise.code;
            "exception {:#010x} was raised and no driver frame handles it", raise.code
        )
    });
    match caught {
        Ok(never) => never,
        Err(payload) => crate::arch::abandon_driver(payload),
    }
}

//! Exports of ntoskrnl.exe.

#[cfg(windows)]
pub mod crt;
mod ex;
mod io;
mod ke;
mod mm;
mod ob;
mod rtl;
mod trace;
mod zw;

pub use self::ex::*;
pub use self::io::*;
pub use self::ke::*;
pub use self::mm::*;
pub use self::ob::*;
pub use self::rtl::*;
pub use self::trace::*;
pub use self::zw::*;

/// Every declared function of the module, file by file.
#[cfg(test)]
pub(crate) const IMPORTS: &[&[super::Import]] = &[
    ex::IMPORTS,
    io::IMPORTS,
    ke::IMPORTS,
    mm::IMPORTS,
    ob::IMPORTS,
    rtl::IMPORTS,
    trace::IMPORTS,
    zw::IMPORTS,
];

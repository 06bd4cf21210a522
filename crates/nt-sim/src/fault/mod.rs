//! Faults of the host processor: what driver code does that an ordinary process may not, and what it
//! should not have done.
//!
//! A driver expects to run in kernel mode, so some faults are not errors: reads of the shared user
//! data page, IRQL in CR8, and (in strict mode) every access to user memory, whose pages are not
//! mapped at their user addresses. The signal handler emulates those. Everything else becomes a
//! structured exception or a bugcheck, which begin on the thread's own stack after the handler has
//! returned ([`landing`]): handlers of drivers and reports are not written for signal context.

mod access;
mod decode;
mod guarded;
mod landing;
mod privileged;
mod registers;
mod shared_data;
mod signal;
mod step;
mod string;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    guarded::{read_word, readable},
    shared_data::refresh as refresh_shared_data,
    signal::{SignalStack, install},
};

//! What several subcommands take in the same form: interfaces, queues, modes, durations, sizes, rates.
//!
//! One letter means one thing in every subcommand. A wrong value is answered with what would have been right.

mod interface;
mod number;
mod queues;
mod units;

pub use interface::{InterfaceArg, InterfaceArgs, Place};
pub use number::{in_range, power_of_two};
pub use queues::Queues;
pub use units::{Rate, duration, rate, si, size};

use clap::ValueEnum;

/// How programs and sockets use an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The fastest mode that the interface has.
    #[default]
    #[value(alias = "system")]
    Auto,
    /// Only the network card driver's own support.
    #[value(alias = "drv")]
    Native,
    /// Only the mode that works on every network card.
    #[value(alias = "skb")]
    Generic,
}

impl From<Mode> for xdp::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Auto => Self::Auto,
            Mode::Native => Self::Native,
            Mode::Generic => Self::Generic,
        }
    }
}

//! What goes to standard error beside failures: what is being done, for whoever wants to know.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicI8, Ordering};

use crate::output::{FAINT, WARNING};

/// -1 quiet, 0 normal, more with each `-v`.
static LEVEL: AtomicI8 = AtomicI8::new(0);

/// How much is said.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Verbosity {
    /// Say more on standard error; twice for even more
    #[arg(short, long, global = true, display_order = 101, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing on standard error but failures
    #[arg(long, global = true, display_order = 102, conflicts_with = "verbose")]
    quiet: bool,
}

impl Verbosity {
    /// Makes it so.
    pub fn apply(self) {
        let level = if self.quiet {
            -1
        } else {
            i8::try_from(self.verbose).unwrap_or(i8::MAX)
        };
        LEVEL.store(level, Ordering::Relaxed);
    }
}

fn level() -> i8 {
    LEVEL.load(Ordering::Relaxed)
}

/// Says what is going on.
pub fn say(text: impl Display) {
    if level() >= 0 {
        anstream::eprintln!("{text}");
    }
}

/// Says something that is probably not meant.
pub fn warn(text: impl Display) {
    if level() >= 0 {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
    }
}

/// Says a detail, with `-v`.
pub fn detail(text: impl Display) {
    if level() >= 1 {
        anstream::eprintln!("{FAINT}{text}{FAINT:#}");
    }
}

/// Whether details are wanted (`-v`).
#[must_use]
pub fn is_verbose() -> bool {
    level() >= 1
}

/// Whether progress is to be shown: only to somebody who looks.
pub fn shows_progress() -> bool {
    level() >= 0 && std::io::stderr().is_terminal()
}

//! What goes to standard error beside failures: what is being done, for whoever wants to know.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicI8, Ordering};

use clap::ValueEnum;

use crate::output::{FAINT, WARNING};

/// What is said: as [`Level`] has it, 0 for [`Level::Info`].
static LEVEL: AtomicI8 = AtomicI8::new(0);

/// The least important of what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Failures only.
    Error,
    /// What is probably not meant, too.
    Warn,
    /// What is going on, too.
    Info,
    /// Details, too.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const fn number(self) -> i8 {
        match self {
            Self::Error => -2,
            Self::Warn => -1,
            Self::Info => 0,
            Self::Debug => 1,
            Self::Trace => 2,
        }
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Verbosity {
    /// Say more on standard error; twice for even more
    #[arg(short, long, global = true, display_order = 101, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing on standard error but failures
    #[arg(long, global = true, display_order = 102, conflicts_with = "verbose")]
    quiet: bool,
    /// The least important of what is said on standard error; -v and --quiet win
    #[arg(long, global = true, display_order = 103, env = "XDP_LOG", hide_env_values = true, value_enum, ignore_case = true, default_value_t = Level::Info, value_name = "LEVEL")]
    log: Level,
}

impl Verbosity {
    /// Makes it so.
    pub fn apply(self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => Level::Error.number(),
            (false, 0) => self.log.number(),
            (false, more) => i8::try_from(more).unwrap_or(i8::MAX),
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
    if level() >= Level::Warn.number() {
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

//! Failures as people see them, and exit codes as scripts see them.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Done,
    /// It failed.
    Failed,
    /// It was asked for something that makes no sense.
    Usage,
    /// There is no driver, or not one that can be used.
    DriverAbsent,
    /// The user may not do this.
    NotPermitted,
    /// The interface cannot do this.
    NotSupported,
    /// There is no such interface.
    NoSuchInterface,
    /// Somebody else uses the queue in a way that does not go together.
    Busy,
    /// Ctrl-C ended it.
    Interrupted,
}

impl Exit {
    /// The number that scripts see.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            // What clap ends with, too.
            Self::Usage => 2,
            Self::DriverAbsent => 3,
            Self::NotPermitted => 4,
            Self::NotSupported => 5,
            Self::NoSuchInterface => 6,
            Self::Busy => 7,
            Self::Interrupted => 130,
        }
    }

    /// What a number means; one that means nothing is a failure.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::DriverAbsent,
            4 => Self::NotPermitted,
            5 => Self::NotSupported,
            6 => Self::NoSuchInterface,
            7 => Self::Busy,
            130 => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the command could not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    what: String,
    cause: Option<String>,
    hint: Option<String>,
    exit: Exit,
    broken_pipe: bool,
}

impl Failure {
    /// A failure of which only the outcome is known.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
            hint: None,
            exit: Exit::Failed,
            broken_pipe: false,
        }
    }

    /// Adds why it failed.
    #[must_use]
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The arguments do not go together.
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(what)
        }
    }

    /// Sets how the command ends.
    #[must_use]
    pub const fn ending(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// A file could not be read.
    #[must_use]
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let failure = Self::new(format!("cannot read {}", path.display())).because(error);
        match error.kind() {
            io::ErrorKind::NotFound => {
                failure.hint("check the path; it is relative to the current folder")
            }
            io::ErrorKind::PermissionDenied => failure.hint("check who may read the file"),
            io::ErrorKind::IsADirectory => failure.hint("name a file, not a folder"),
            _ => failure,
        }
    }

    /// Returns the exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// What was tried, why it failed, what to do.
    #[must_use]
    pub fn parts(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.what, self.cause.as_deref(), self.hint.as_deref())
    }

    /// Tells whether the failure is that nobody reads the output any more.
    #[must_use]
    pub const fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }

    /// Prints the failure to standard error: what, why, what to do.
    pub fn print(&self) {
        let (error, hint) = (crate::output::ERROR, crate::output::HINT);
        let mut text = format!("{error}error:{error:#} {}", self.what);
        if let Some(cause) = &self.cause {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {cause}");
        }
        if let Some(advice) = &self.hint {
            let _ = write!(text, "\n {hint}hint:{hint:#} {advice}");
        }
        anstream::eprintln!("{text}");
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self {
            broken_pipe,
            ..Self::new("cannot write the output").because(error)
        }
    }
}

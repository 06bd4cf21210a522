//! What the samples share: arguments of the form `-Name value`, an end on Ctrl-C, and how failures end a program.
//!
//! Names are compared without regard to case, as the scripts that call these tools expect.

#![deny(unsafe_code)]

#[cfg(windows)]
pub mod restricted;

use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a sample that waits for frames looks whether it shall end.
pub const TICK: Duration = Duration::from_millis(200);

/// The arguments that nobody has taken yet.
pub struct Args(Vec<String>);

impl Args {
    /// The arguments of the process.
    #[must_use]
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes `-Name VALUE`; `None` if the name does not occur.
    ///
    /// # Errors
    ///
    /// The value is missing or not a `T`.
    pub fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(at) = self.position(name) else {
            return Ok(None);
        };
        self.0.remove(at);
        if at == self.0.len() {
            return Err(format!("{name} needs a value"));
        }
        let text = self.0.remove(at);
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{name} cannot be `{text}`: {error}")),
        }
    }

    /// Takes `-Name VALUE`, which must be there.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value), and when the name does not occur.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, String> {
        self.value(name)?
            .ok_or_else(|| format!("{name} is missing"))
    }

    /// Takes `-Name`, a switch.
    pub fn switch(&mut self, name: &str) -> bool {
        let at = self.position(name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// Takes the first argument, which has no name.
    ///
    /// # Errors
    ///
    /// There is none, or it is not a `T`.
    pub fn positional<T: FromStr<Err: Display>>(&mut self, what: &str) -> Result<T, String> {
        if self.0.is_empty() {
            return Err(format!("{what} is missing"));
        }
        let text = self.0.remove(0);
        text.parse()
            .map_err(|error| format!("{what} cannot be `{text}`: {error}"))
    }

    /// Tells whether arguments are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// An argument is left that nobody knows.
    pub fn finish(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some(unknown) => Err(format!("`{unknown}` is not known here")),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|word| word.eq_ignore_ascii_case(name))
    }
}

impl FromIterator<&'static str> for Args {
    fn from_iter<I: IntoIterator<Item = &'static str>>(words: I) -> Self {
        Self(words.into_iter().map(str::to_owned).collect())
    }
}

/// One of several words, compared without regard to case.
///
/// # Errors
///
/// It is none of them; the message names them.
pub fn one_of<T: Copy>(name: &str, text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!(
            "{name} cannot be `{text}`; it is one of {}",
            words.join(", ")
        )
    })
}

/// Takes `-XdpMode System|Generic|Native`.
///
/// # Errors
///
/// Another word.
pub fn mode(args: &mut Args) -> Result<xdp::Mode, String> {
    let words = [
        ("System", xdp::Mode::Auto),
        ("Generic", xdp::Mode::Generic),
        ("Native", xdp::Mode::Native),
    ];
    match args.value::<String>("-XdpMode")? {
        Some(text) => one_of("-XdpMode", &text, &words),
        None => Ok(xdp::Mode::Auto),
    }
}

/// Why a sample ends early.
pub enum Failure {
    /// Its arguments make no sense.
    Usage(String),
    /// The driver or the system refused something.
    Xdp(xdp::Error),
    /// Anything else.
    Other(String),
}

impl From<xdp::Error> for Failure {
    fn from(error: xdp::Error) -> Self {
        Self::Xdp(error)
    }
}

/// The failure of something that the system was asked for.
pub fn cannot(what: &str) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::Other(format!("cannot {what}: {error}"))
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Usage(text)
    }
}

/// Runs a sample of the reference's set: `-?` or a bad parameter prints the usage, any failure ends with exit code 1.
pub fn reference_sample(usage: &str, run: impl FnOnce(Args) -> Result<(), Failure>) -> ExitCode {
    finish(usage, run, 1, |_| 1)
}

/// Runs a sample of our own: the exit codes are those of the `xdp` command (2 usage, 3 no driver, 4 not permitted, ...).
pub fn sample(usage: &str, run: impl FnOnce(Args) -> Result<(), Failure>) -> ExitCode {
    finish(usage, run, 2, |error| error.kind().exit_code())
}

fn finish(
    usage: &str,
    run: impl FnOnce(Args) -> Result<(), Failure>,
    usage_exit: u8,
    exit: impl FnOnce(&xdp::Error) -> u8,
) -> ExitCode {
    let args = Args::from_env();
    if args
        .0
        .iter()
        .any(|word| ["-?", "-h", "--help"].contains(&word.as_str()))
    {
        println!("{usage}");
        return ExitCode::SUCCESS;
    }
    let code = match run(args) {
        Ok(()) => 0,
        Err(Failure::Usage(why)) => {
            eprintln!("ERR: {why}\n{usage}");
            usage_exit
        }
        Err(Failure::Xdp(error)) => {
            match error.hresult() {
                Some(code) => eprintln!("ERR: {error}: {code:#010x}"),
                None => eprintln!("ERR: {error}"),
            }
            if let Some(advice) = error.advice() {
                eprintln!("hint: {advice}");
            }
            exit(&error)
        }
        Err(Failure::Other(why)) => {
            eprintln!("ERR: {why}");
            1
        }
    };
    ExitCode::from(code)
}

/// Finds an interface.
///
/// # Errors
///
/// As [`xdp::Interface::find`].
pub fn find(text: &str) -> Result<xdp::Interface, xdp::Error> {
    xdp::Interface::find(text)
}

/// Ends the lab that an interface was in, and prints what the driver left behind; elsewhere there is nothing to end.
///
/// # Errors
///
/// Something of the interface is still in use, or the driver left something behind.
pub fn close(interface: xdp::Interface) -> Result<(), Failure> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Some(lab) = xdp::lab::Lab::of(&interface) {
        drop(interface);
        let report = lab.finish()?;
        println!("{report}");
        if !report.is_clean() {
            return Err(Failure::Other("the driver left something behind".into()));
        }
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    drop(interface);
    Ok(())
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C makes [`interrupted`] true instead of ending the process, so that whatever is attached is detached.
///
/// # Errors
///
/// The system refuses the handler.
pub fn catch_interrupts() -> Result<(), Failure> {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            // The second Ctrl-C does not wait.
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Failure::Other(format!("cannot handle Ctrl-C: {error}")))
}

/// Tells whether Ctrl-C was pressed.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_order() {
        let mut args: Args = ["-XDPMODE", "generic", "-ifindex", "5", "-IcmpOnly"]
            .into_iter()
            .collect();
        assert_eq!(args.required::<u32>("-IfIndex"), Ok(5));
        assert!(args.switch("-icmponly"));
        assert!(!args.switch("-IcmpOnly"));
        assert_eq!(mode(&mut args), Ok(xdp::Mode::Generic));
        assert_eq!(mode(&mut args), Ok(xdp::Mode::Auto));
        assert_eq!(args.finish(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = |words: &[&'static str]| words.iter().copied().collect::<Args>();
        assert_eq!(
            of(&["-IfIndex"]).required::<u32>("-IfIndex"),
            Err("-IfIndex needs a value".into())
        );
        assert_eq!(
            of(&[]).required::<u32>("-IfIndex"),
            Err("-IfIndex is missing".into())
        );
        assert_eq!(
            of(&["-IfIndex", "x"]).required::<u32>("-IfIndex"),
            Err("-IfIndex cannot be `x`: invalid digit found in string".into())
        );
        assert_eq!(
            of(&["-Foo"]).finish(),
            Err("`-Foo` is not known here".into())
        );
        assert_eq!(
            mode(&mut of(&["-XdpMode", "Fast"])),
            Err("-XdpMode cannot be `Fast`; it is one of System, Generic, Native".into())
        );
    }
}

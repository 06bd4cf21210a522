//! Why a file cannot be loaded.

/// Why a driver file was refused. Every message names the cause and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeError {
    /// The file could not be read.
    #[error("cannot read the driver file: {0}; check the path and its permissions")]
    Read(#[source] std::io::Error),
    /// There is no memory for the image.
    #[error("cannot map the driver into memory: {0}; free some memory or raise the limits")]
    Map(#[source] std::io::Error),
    /// Not a portable executable.
    #[error(
        "this is not a Windows driver file: it {0}; give the .sys file itself, not a package, an object file or an ELF binary"
    )]
    NotPe(&'static str),
    /// A portable executable for another processor.
    #[error(
        "the driver is for {0}, and this lab runs x86-64 code: give a file built for x86_64-pc-windows-msvc"
    )]
    WrongMachine(Machine),
    /// A program or a user-mode library.
    #[error(
        "this is not a kernel driver: its subsystem is {} and a driver has NATIVE; link with /DRIVER /SUBSYSTEM:NATIVE, or give the .sys file",
        subsystem_name(*.0)
    )]
    WrongSubsystem(u16),
    /// The file ends before something that its headers announce.
    #[error(
        "the driver file is cut off: {what} ends at byte {end}, but the file has {size}; build or copy it again"
    )]
    Truncated {
        /// What is missing.
        what: String,
        /// Where it would end.
        end: u64,
        /// Bytes in the file.
        size: u64,
    },
    /// A header field contradicts another.
    #[error("the driver's headers are damaged: {0}; build or copy the file again")]
    BadHeader(String),
    /// A data directory points at nonsense.
    #[error("the driver's {directory} is damaged: {problem}; build or copy the file again")]
    BadDirectory {
        /// Which one, in words.
        directory: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The image has a fixed address.
    #[error(
        "the driver has no relocations, so it cannot be moved to a free address: link it without /FIXED"
    )]
    NotRelocatable,
    /// No entry point.
    #[error("the driver has no entry point: link it with /ENTRY:DriverEntry (or GsDriverEntry)")]
    NoEntryPoint,
    /// Too many images are loaded.
    #[error("{0} images are loaded already, and a lab holds no more: unload one first")]
    TooManyImages(usize),
}

/// A processor architecture, as a file header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine(pub u16);

impl Machine {
    /// x86-64.
    pub const AMD64: Machine = Machine(0x8664);
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0x8664 => f.write_str("x86-64"),
            0xaa64 => f.write_str("ARM64"),
            0x014c => f.write_str("32-bit x86"),
            0x01c4 => f.write_str("32-bit ARM"),
            other => write!(f, "an unknown machine ({other:#06x})"),
        }
    }
}

fn subsystem_name(subsystem: u16) -> String {
    match subsystem {
        2 => "WINDOWS_GUI".to_owned(),
        3 => "WINDOWS_CUI".to_owned(),
        10 => "EFI_APPLICATION".to_owned(),
        other => format!("number {other}"),
    }
}

impl PeError {
    pub(super) fn directory(directory: &'static str, problem: impl Into<String>) -> PeError {
        PeError::BadDirectory {
            directory,
            problem: problem.into(),
        }
    }
}

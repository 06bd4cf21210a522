//! Finds what can compile and link for a Windows target on this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::output_of;
use crate::Arch;

/// Oldest compiler that can build the workspace (`rust-version` of the manifest).
const OLDEST_MINOR: u32 = 95;

/// Where distributions put a compiler that comes with the library's sources.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_CARGO: &str = "/usr/bin/cargo";

/// A compiler, its cargo, and a linker.
pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    pub(super) cargo: PathBuf,
    pub(super) core: Core,
    pub(super) sysroot: PathBuf,
    pub(super) linker: PathBuf,
    version: String,
}

/// How the target's `core` comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Core {
    /// The toolchain has it (`rustup target add`).
    Prebuilt,
    /// Compiled from the toolchain's library sources.
    FromSource,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Prebuilt => "its own Windows core library",
            Core::FromSource => "the Windows core library built from source",
        };
        write!(
            f,
            "{} ({}) with {core}, linker {}",
            self.rustc.display(),
            self.version,
            self.linker.display()
        )
    }
}

/// What to do when nothing fits.
pub(super) struct Missing {
    target: &'static str,
    why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot build for {target}: {}. Run `rustup target add {target}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src`",
            self.why,
            target = self.target
        )
    }
}

/// Finds a toolchain: first the one in use if it has the target, then one with library sources.
pub(super) fn find(arch: Arch) -> Result<Result<Toolchain, Missing>> {
    let target = arch.target();
    let rustc = tool_from_env("RUSTC", "rustc");
    let cargo = tool_from_env("CARGO", "cargo");
    let mut candidates = vec![(rustc, cargo)];
    if Path::new(SYSTEM_RUSTC).exists() && Path::new(SYSTEM_CARGO).exists() {
        candidates.push((SYSTEM_RUSTC.into(), SYSTEM_CARGO.into()));
    }

    let mut found = Vec::new();
    let mut sysroots = Vec::new();
    for (rustc, cargo) in candidates {
        let Ok(info) = Info::of(&rustc) else { continue };
        if info.minor >= OLDEST_MINOR
            && let Some(core) = core_of(&info.sysroot, target)
        {
            found.push((rustc, cargo, core, info.clone()));
        }
        sysroots.push(info);
    }
    // A prebuilt library saves half a minute and needs no unstable flag.
    found.sort_by_key(|(_, _, core, _)| *core == Core::FromSource);

    let Some((rustc, cargo, core, info)) = found.into_iter().next() else {
        return Ok(Err(Missing {
            target,
            why: "no installed Rust toolchain has its core library or the library's sources".into(),
        }));
    };
    let Some(linker) = sysroots
        .iter()
        .find_map(Info::rust_lld)
        .or_else(|| in_path("lld-link"))
    else {
        return Ok(Err(Missing {
            target,
            why:
                "there is neither rust-lld in a Rust toolchain nor lld-link in PATH (package `lld`)"
                    .into(),
        }));
    };
    Ok(Ok(Toolchain {
        rustc,
        cargo,
        core,
        sysroot: info.sysroot,
        linker,
        version: info.version,
    }))
}

fn core_of(sysroot: &Path, target: &str) -> Option<Core> {
    let rustlib = sysroot.join("lib/rustlib");
    let prebuilt = std::fs::read_dir(rustlib.join(target).join("lib")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    });
    if prebuilt {
        Some(Core::Prebuilt)
    } else if rustlib.join("src/rust/library/core/src/lib.rs").exists() {
        Some(Core::FromSource)
    } else {
        None
    }
}

#[derive(Clone)]
struct Info {
    version: String,
    minor: u32,
    host: String,
    sysroot: PathBuf,
}

impl Info {
    fn of(rustc: &Path) -> Result<Self> {
        let verbose = output_of(Command::new(rustc).arg("-vV"))?;
        let field = |name: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let version = field("release:");
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse().ok())
            .unwrap_or(0);
        let sysroot = PathBuf::from(output_of(Command::new(rustc).args(["--print", "sysroot"]))?);
        Ok(Self {
            host: field("host:"),
            version,
            minor,
            sysroot,
        })
    }

    fn rust_lld(&self) -> Option<PathBuf> {
        let lld = self
            .sysroot
            .join("lib/rustlib")
            .join(&self.host)
            .join("bin")
            .join(format!("rust-lld{}", std::env::consts::EXE_SUFFIX));
        lld.exists().then_some(lld)
    }
}

fn tool_from_env(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from)
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

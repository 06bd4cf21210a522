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
    pub(super) compiler: Compiler,
    pub(super) linker: PathBuf,
}

/// A compiler that can build for a target, and its cargo.
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    /// How the target's library comes about.
    pub(crate) libraries: Libraries,
    pub(crate) sysroot: PathBuf,
    version: String,
}

/// How the target's library comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Libraries {
    /// The toolchain has it (`rustup target add`).
    Prebuilt,
    /// Compiled from the toolchain's library sources.
    FromSource,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, linker {}", self.compiler, self.linker.display())
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match self.libraries {
            Libraries::Prebuilt => "its own Windows library",
            Libraries::FromSource => "the Windows library built from source",
        };
        write!(
            f,
            "{} ({}) with {library}",
            self.rustc.display(),
            self.version
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
    let installed = installed();
    let Some(compiler) = fitting(&installed, target, "core") else {
        return Ok(Err(Missing {
            target,
            why: "no installed Rust toolchain has its core library or the library's sources".into(),
        }));
    };
    let Some(linker) = installed
        .iter()
        .find_map(|(_, _, info)| info.rust_lld())
        .or_else(|| in_path("lld-link"))
    else {
        return Ok(Err(Missing {
            target,
            why:
                "there is neither rust-lld in a Rust toolchain nor lld-link in PATH (package `lld`)"
                    .into(),
        }));
    };
    Ok(Ok(Toolchain { compiler, linker }))
}

/// Finds a compiler for programs of a target that use the standard library.
pub(crate) fn compiler_for_programs(target: &str) -> Option<Compiler> {
    fitting(&installed(), target, "std")
}

/// The compilers of this machine: rustc, cargo, and what rustc says of itself.
fn installed() -> Vec<(PathBuf, PathBuf, Info)> {
    let rustc = tool_from_env("RUSTC", "rustc");
    let cargo = tool_from_env("CARGO", "cargo");
    let mut candidates = vec![(rustc, cargo)];
    if Path::new(SYSTEM_RUSTC).exists() && Path::new(SYSTEM_CARGO).exists() {
        candidates.push((SYSTEM_RUSTC.into(), SYSTEM_CARGO.into()));
    }
    candidates
        .into_iter()
        .filter_map(|(rustc, cargo)| {
            let info = Info::of(&rustc).ok()?;
            Some((rustc, cargo, info))
        })
        .collect()
}

/// The first compiler with the target's library; only then one that would have to build it.
fn fitting(
    installed: &[(PathBuf, PathBuf, Info)],
    target: &str,
    library: &str,
) -> Option<Compiler> {
    let with = |wanted: Libraries| {
        installed.iter().find(move |(_, _, info)| {
            info.minor >= OLDEST_MINOR && library_of(&info.sysroot, target, library) == Some(wanted)
        })
    };
    // A prebuilt library saves half a minute and needs no unstable flag.
    [Libraries::Prebuilt, Libraries::FromSource]
        .into_iter()
        .find_map(|wanted| {
            let (rustc, cargo, info) = with(wanted)?;
            Some(Compiler {
                rustc: rustc.clone(),
                cargo: cargo.clone(),
                libraries: wanted,
                sysroot: info.sysroot.clone(),
                version: info.version.clone(),
            })
        })
}

fn library_of(sysroot: &Path, target: &str, library: &str) -> Option<Libraries> {
    let rustlib = sysroot.join("lib/rustlib");
    let file = format!("lib{library}-");
    let prebuilt = std::fs::read_dir(rustlib.join(target).join("lib")).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(&file))
    });
    let source = format!("src/rust/library/{library}/src/lib.rs");
    if prebuilt {
        Some(Libraries::Prebuilt)
    } else if rustlib.join(source).exists() {
        Some(Libraries::FromSource)
    } else {
        None
    }
}

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

/// Looks a program up as a shell would.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

//! Builds `xdp.sys` on any machine: cargo makes a static library for a Windows target, rust-lld links it as a kernel
//! image, and the checksum that the linker leaves empty is filled in.
//!
//! Nothing of Microsoft's kits takes part: imports are `raw-dylib`, the resources (version, events) are written here.

mod anchor;
pub(crate) mod build;
pub(crate) mod events;
pub(crate) mod toolchain;
pub(crate) mod version;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::Arch;

impl Arch {
    /// Name as in `target/driver/NAME`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-pc-windows-msvc",
            Self::Aarch64 => "aarch64-pc-windows-msvc",
        }
    }

    fn linker_machine(self) -> &'static str {
        match self {
            Self::X86_64 => "X64",
            Self::Aarch64 => "ARM64",
        }
    }
}

/// Exit code of "no toolchain can build the driver here".
pub(crate) const NO_TOOLCHAIN: u8 = 3;

/// `cargo xtask driver`.
pub(crate) fn run(arch: Arch, toolchain_only: bool) -> Result<ExitCode> {
    let found = match toolchain::find(arch)? {
        Ok(found) => found,
        Err(missing) => {
            eprintln!("error: {missing}");
            return Ok(ExitCode::from(NO_TOOLCHAIN));
        }
    };
    if toolchain_only {
        println!("{found}");
        return Ok(ExitCode::SUCCESS);
    }
    let image = build::build(arch, &found)?;
    println!("{}", image.display());
    Ok(ExitCode::SUCCESS)
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's output folder: what the environment says, or `target` in the root.
pub(crate) fn target_dir() -> Result<PathBuf> {
    match ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"]
        .into_iter()
        .find_map(std::env::var_os)
    {
        Some(dir) => std::path::absolute(&dir)
            .with_context(|| format!("cannot tell where {} is", dir.display())),
        None => Ok(root().join("target")),
    }
}

/// Runs a command and returns its standard output without the line end.
fn output_of(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{shown} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)
        .with_context(|| format!("{shown} printed something that is not UTF-8"))?
        .trim()
        .to_owned())
}

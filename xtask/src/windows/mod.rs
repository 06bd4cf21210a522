//! `cargo xtask windows`: the command and the samples as Windows programs, and a first start of each under wine.
//!
//! Built for `x86_64-pc-windows-gnu`, whose linker any Linux distribution has. Wine has no XDP driver: each program must print
//! its help, and must say in its own words, with its own exit code, that the driver is not installed.

mod programs;
mod wine;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::driver::build::NOT_INHERITED;
use crate::driver::toolchain::{Compiler, Libraries, compiler_for_programs, in_path};
use crate::driver::{NO_TOOLCHAIN, root, target_dir};
use programs::PROGRAMS;

/// The target of user-mode programs.
const TARGET: &str = "x86_64-pc-windows-gnu";
/// Linker and C compiler of the target.
const GCC: &str = "x86_64-w64-mingw32-gcc";

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Builds what would be shipped: optimised, which takes longer.
    #[arg(long)]
    release: bool,
    /// Only says whether the programs can be built here; exit code 3 when they cannot.
    #[arg(long)]
    toolchain: bool,
    /// Does not start the programs.
    #[arg(long)]
    no_run: bool,
}

/// Runs the task.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (Some(compiler), Some(_)) = (compiler_for_programs(TARGET), in_path(GCC)) else {
        eprintln!(
            "error: cannot build for {TARGET}: it takes {GCC} and a Rust toolchain with that target or with the library's sources. \
             On Debian: `apt-get install gcc-mingw-w64-x86-64 rustc-web cargo-web rust-web-src`"
        );
        return Ok(ExitCode::from(NO_TOOLCHAIN));
    };
    if args.toolchain {
        println!("{compiler}, linker {GCC}");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = build(args, &compiler)?;
    for program in PROGRAMS {
        let file = folder.join(program.file());
        let size = std::fs::metadata(&file)
            .with_context(|| format!("cargo left no {}", file.display()))?
            .len();
        println!("{} ({} KiB)", file.display(), size >> 10);
    }
    if args.no_run {
        return Ok(ExitCode::SUCCESS);
    }
    if in_path("wine").is_none() {
        println!("not started: wine is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    let failed = wine::start_all(&folder)?;
    ensure!(
        failed == 0,
        "{failed} of {} programs did not start as they should",
        PROGRAMS.len()
    );
    println!("all of them start under wine and say what they should");
    Ok(ExitCode::SUCCESS)
}

/// Builds all programs; returns the folder that they lie in.
fn build(args: &Args, compiler: &Compiler) -> Result<PathBuf> {
    let target_dir = target_dir()?.join("windows");
    let mut cargo = Command::new(&compiler.cargo);
    cargo.current_dir(root());
    for variable in NOT_INHERITED {
        cargo.env_remove(variable);
    }
    cargo
        .args(["build", "--quiet", "--locked", "--bins", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTC", &compiler.rustc)
        // What is not used on Windows shows only here.
        .env("RUSTFLAGS", "--deny=warnings")
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", GCC);
    for program in PROGRAMS {
        cargo.args(["--package", program.package]);
    }
    if args.release {
        cargo.arg("--release");
    }
    if compiler.libraries == Libraries::FromSource {
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=std,panic_abort");
    }
    let status = cargo
        .status()
        .with_context(|| format!("cannot run {}", compiler.cargo.display()))?;
    ensure!(status.success(), "building for Windows failed ({status})");
    let profile = if args.release { "release" } else { "debug" };
    Ok(target_dir.join(TARGET).join(profile))
}

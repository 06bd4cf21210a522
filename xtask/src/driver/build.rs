//! Compiles and links one image.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::toolchain::{Libraries, Toolchain};
use super::{anchor, root, target_dir, version};
use crate::Arch;
use crate::check::checksum;

/// Name of the entry point.
const ENTRY: &str = "DriverEntry";

/// Variables of the outer cargo or rustup that would confuse another toolchain's cargo.
pub(crate) const NOT_INHERITED: [&str; 9] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_INCREMENTAL",
    "CARGO_ENCODED_RUSTFLAGS",
];

/// Builds the driver and returns the path of the image; the PDB and the link map lie beside it.
pub(super) fn build(arch: Arch, toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = target_dir()?.join("driver");
    let out = folder.join(arch.name());
    compile(arch, toolchain, &folder)?;
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    link(arch, toolchain, &folder)?;
    let image = out.join("xdp.sys");
    let mut bytes =
        std::fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
    checksum::store(&mut bytes).with_context(|| {
        format!(
            "{} is not what the linker should have made",
            image.display()
        )
    })?;
    std::fs::write(&image, &bytes).with_context(|| format!("cannot write {}", image.display()))?;
    Ok(image)
}

fn compile(arch: Arch, toolchain: &Toolchain, folder: &Path) -> Result<()> {
    let mut cargo = Command::new(&toolchain.compiler.cargo);
    cargo.current_dir(root());
    for variable in NOT_INHERITED {
        cargo.env_remove(variable);
    }
    cargo
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--package",
            "xdp-driver",
            "--lib",
            "--crate-type",
            "staticlib",
            "--profile",
            "driver",
        ])
        .args(["--target", arch.target(), "--target-dir"])
        .arg(folder.join("build"))
        .env("RUSTC", &toolchain.compiler.rustc)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            rustc_flags(toolchain).join("\u{1f}"),
        );
    if toolchain.compiler.libraries == Libraries::FromSource {
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=core,compiler_builtins");
    }
    run(&mut cargo, "compiling the driver")?;
    let library = folder.join(library(arch));
    ensure!(library.exists(), "cargo left no {}", library.display());
    Ok(())
}

/// Flags that keep this machine's paths out of the image and of its symbols.
fn rustc_flags(toolchain: &Toolchain) -> Vec<String> {
    let mut remaps = vec![
        (root(), "/xdp"),
        (toolchain.compiler.sysroot.clone(), "/rust"),
    ];
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    remaps.extend(cargo_home.map(|home| (home, "/cargo")));
    let mut flags: Vec<String> = remaps
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
        .collect();
    if toolchain.compiler.libraries == Libraries::FromSource {
        // Panics do not print: the file names and lines are dead weight.
        flags.push("-Zlocation-detail=none".into());
    }
    flags
}

/// Links with nothing but relative paths, from the folder that holds both the library and the image, so that the PDB (and by
/// its signature the image) does not depend on where that folder is.
fn link(arch: Arch, toolchain: &Toolchain, folder: &Path) -> Result<()> {
    let out = arch.name();
    let resource = format!("{out}/resources.res");
    std::fs::write(folder.join(&resource), version::resource_file()?)
        .with_context(|| format!("cannot write {resource}"))?;
    let anchor = format!("{out}/anchor.obj");
    std::fs::write(folder.join(&anchor), anchor::object_file(arch, ENTRY)?)
        .with_context(|| format!("cannot write {anchor}"))?;
    let mut linker = Command::new(&toolchain.linker);
    // The PDB records the linker's name. By this one rust-lld also knows what kind of linker to be.
    linker.arg0("lld-link").current_dir(folder);
    linker
        .args(["/NOLOGO", "/DRIVER", "/NODEFAULTLIB"])
        .args(["/SUBSYSTEM:NATIVE,10.0", "/OSVERSION:10.0"])
        .args(["/DYNAMICBASE", "/HIGHENTROPYVA", "/NXCOMPAT", "/FIXED:NO"])
        .args(["/OPT:REF", "/OPT:ICF", "/Brepro", "/INCREMENTAL:NO"])
        .args(["/DEBUG", "/PDBALTPATH:xdp.pdb", "/PDBSOURCEPATH:/xdp"])
        .arg(format!("/ENTRY:{ENTRY}"))
        .arg(format!("/MACHINE:{}", arch.linker_machine()))
        .arg(format!("/OUT:{out}/xdp.sys"))
        .arg(format!("/PDB:{out}/xdp.pdb"))
        .arg(format!("/MAP:{out}/xdp.map"))
        .arg(library(arch))
        .args([&resource, &anchor]);
    run(&mut linker, "linking the driver")
}

/// Where cargo leaves the library, below the driver's folder in the target folder.
fn library(arch: Arch) -> String {
    format!("build/{}/driver/xdp_driver.lib", arch.target())
}

fn run(command: &mut Command, doing: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{doing}: cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{doing} failed ({status})");
    Ok(())
}

//! Starting Windows programs on Linux.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use super::GCC;
use super::programs::{PROGRAMS, Program, Start};
use crate::driver::root;

/// A wine "machine" of our own, so that nobody's settings take part, with the library that wine 8 lacks beside each program.
struct Wine {
    folder: PathBuf,
}

/// Starts every program as its table says; returns how many did something else.
pub(super) fn start_all(folder: &Path) -> Result<usize> {
    let wine = Wine::new(folder)?;
    let mut failed = 0;
    for program in PROGRAMS {
        let file = folder.join(program.file());
        for start in program.starts {
            let output = wine.run(&file, start.arguments)?;
            if let Some(wrong) = judge(start, output.status.code(), &said(&output)) {
                failed += 1;
                eprintln!("{}: {wrong}", shown(program, start));
            } else {
                println!("{}: exit code {}", shown(program, start), start.exit);
            }
        }
    }
    Ok(failed)
}

fn shown(program: &Program, start: &Start) -> String {
    std::iter::once(program.name)
        .chain(start.arguments.iter().copied())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What was wrong with a start.
fn judge(start: &Start, exit: Option<i32>, said: &str) -> Option<String> {
    if exit != Some(start.exit) {
        let got = exit.map_or("a signal".into(), |code| format!("exit code {code}"));
        return Some(format!("{got} instead of {}; it said:\n{said}", start.exit));
    }
    (!said.contains(start.says)).then(|| format!("it did not say {:?} but:\n{said}", start.says))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl Wine {
    fn new(programs: &Path) -> Result<Self> {
        let library = programs.join("bcryptprimitives.dll");
        let status = Command::new(GCC)
            .args(["-shared", "-O2", "-o"])
            .arg(&library)
            .arg(root().join("xtask/data/bcryptprimitives.c"))
            .arg("-ladvapi32")
            .status()
            .with_context(|| format!("cannot run {GCC}"))?;
        ensure!(
            status.success(),
            "building {} failed ({status})",
            library.display()
        );
        let folder = programs.join("wine");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let wine = Self { folder };
        // The first start makes the machine, and may talk about it; what the programs say comes after.
        let made = wine.command("wineboot").arg("--init").output();
        made.context("cannot run wineboot")?;
        Ok(wine)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", &self.folder)
            .env("WINEDEBUG", "-all")
            // No offers to install what these programs do not use.
            .env("WINEDLLOVERRIDES", "mscoree=d;mshtml=d")
            .env_remove("DISPLAY");
        command
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        self.command("wine")
            .arg(program)
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start {} under wine", program.display()))
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // The server of this machine; others are not touched. It would end by itself a little later.
        let _ = self.command("wineserver").arg("--kill").status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: Start = Start {
        arguments: &["--help"],
        exit: 0,
        says: "Usage",
    };

    #[test]
    fn a_start_is_judged_by_code_and_words() {
        assert_eq!(judge(&HELP, Some(0), "Usage: x"), None);
        assert_eq!(
            judge(&HELP, Some(0), "Hello").as_deref(),
            Some("it did not say \"Usage\" but:\nHello")
        );
        assert_eq!(
            judge(&HELP, Some(53), "").as_deref(),
            Some("exit code 53 instead of 0; it said:\n")
        );
        assert_eq!(
            judge(&HELP, None, "").as_deref(),
            Some("a signal instead of 0; it said:\n")
        );
    }
}

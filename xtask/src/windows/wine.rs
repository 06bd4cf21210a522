//! Starting Windows programs on Linux.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::GCC;
use super::programs::{PROGRAMS, Program, Start};
use crate::driver::root;

/// A wine "machine" of our own, so that nobody's settings take part, with the library that wine 8 lacks beside each program.
struct Wine {
    folder: PathBuf,
}

/// How a program ended, and what it said on both streams.
struct Said {
    exit: Option<i32>,
    text: String,
}

/// Starts every program as its table says; returns how many did something else.
pub(super) fn start_all(folder: &Path) -> Result<usize> {
    let wine = Wine::new(folder)?;
    let mut failed = 0;
    for program in PROGRAMS {
        let file = folder.join(program.file());
        for start in program.starts {
            let said = wine.run(&file, start.arguments)?;
            if let Some(wrong) = judge(start, said.exit, &said.text) {
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
        // Otherwise the machine goes down after each program, and starts again for the next.
        let stays = wine.command("wineserver").arg("--persistent").status();
        stays.context("cannot run wineserver")?;
        // The first start makes the machine, and may talk about it.
        let made = wine
            .command("wineboot")
            .arg("--init")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
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

    /// Runs a program. What it says goes to a file: a pipe would stay open in services of Windows that it starts.
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<Said> {
        let path = self.folder.join("said");
        let file = File::create(&path);
        let file = file.with_context(|| format!("cannot create {}", path.display()))?;
        let both = file.try_clone()?;
        let status = self
            .command("wine")
            .current_dir(root())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(both)
            .status()
            .with_context(|| format!("cannot start {} under wine", program.display()))?;
        let bytes = std::fs::read(&path);
        let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Said {
            exit: status.code(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
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

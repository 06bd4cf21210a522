//! Real peers for tests and the demo: network namespaces, the cables between them, and programs that run in them.
//!
//! ```text
//!   hosts at the wire                  the lab's namespace              hosts at the stack
//!   192.0.2.1, 2001:db8::1 ── eth0 ══ wire0 · · · stack0 ══ eth0 ── 192.0.2.2, 2001:db8::2
//! ```
//!
//! Several hosts on one side share a switch. Whatever is made here is gone when it is dropped. Making namespaces takes root:
//! [`why_not`] says why it cannot be done, so that a test can say so and end.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod network;
mod program;

pub use network::{Host, LEFT, Network, RIGHT, STACK, Side, WIRE};
pub use program::{Program, output};

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Programs without which nothing can be made here.
const NEEDED: [&str; 2] = ["ip", "ethtool"];

/// Why no namespaces can be made here, or what of `programs` is not installed; `None` when all is well.
#[must_use]
pub fn why_not(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces need root".into());
    }
    let missing: Vec<&str> = NEEDED
        .iter()
        .chain(programs)
        .copied()
        .filter(|program| !in_path(program))
        .collect();
    if !missing.is_empty() {
        return Some(format!("not installed: {}", missing.join(", ")));
    }
    let name = format!("xdp-probe-{}", std::process::id());
    match ip(&["netns", "add", &name]) {
        Ok(()) => ip(&["netns", "delete", &name])
            .err()
            .map(|error| format!("{error:#}")),
        Err(error) => Some(format!(
            "this machine refuses network namespaces: {error:#}"
        )),
    }
}

/// The driver file that labs started by tests boot: what `XDP_DRIVER` says, or the one that was built where the test was.
#[must_use]
pub fn driver_file() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("XDP_DRIVER") {
        return Some(file.into());
    }
    let test = std::env::current_exe().ok()?;
    test.ancestors()
        .skip(1)
        .take(4)
        .map(|folder| folder.join("driver/x86_64/xdp.sys"))
        .find(|file| file.is_file())
}

/// Makes hosts for a test; or prints why it cannot be done here, so that the test ends without a finding.
///
/// # Panics
///
/// The hosts cannot be made although nothing speaks against it.
#[must_use]
pub fn stage(hosts: &[Host], programs: &[&str]) -> Option<Network> {
    let why = why_not(programs).or_else(|| {
        driver_file()
            .is_none()
            .then(|| "no driver was built (`cargo xtask driver`)".into())
    });
    if let Some(why) = why {
        println!("skipped: {why}");
        return None;
    }
    match Network::build(hosts) {
        Ok(network) => Some(network),
        Err(error) => panic!("cannot make the hosts: {error:#}"),
    }
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

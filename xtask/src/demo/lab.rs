//! The lab as a child process: `xdp lab run`.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use namespaces::{Network, Program, STACK, WIRE};

use super::Args;
use crate::driver::root;

/// What the lab's line holds when frames pass.
const RUNNING: &str = "running";
/// How long booting may take before the demo gives up.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// One port is dropped: without a rule the filter would not be in the way of frames.
pub(super) const PASS_PATH: &str = "samples/rules/pass-path.toml";

/// The running lab; dropping it ends it.
pub(super) struct Lab {
    program: Program,
    name: String,
}

impl Lab {
    /// Starts the lab between the two interfaces and waits until frames pass.
    pub(super) fn start(args: &Args, network: &Network) -> Result<Self> {
        let name = format!("demo-{}", std::process::id());
        let mut command = network.command("lab", &args.xdp);
        add_arguments(&mut command, args, PASS_PATH);
        command.args(["--wire", &format!("if:{WIRE}")]);
        command.args(["--stack", &format!("if:{STACK}")]);
        // Its lines of figures would fall between those of the demo.
        command.args(["--name", &name, "--cpus", "2", "--interval", "1h"]);
        let program = Program::start(command, RUNNING, BOOT_LIMIT, Some("  | "))?;
        Ok(Self { program, name })
    }

    /// What `xdp` calls it.
    pub(super) fn address(&self) -> String {
        format!("lab:{}", self.name)
    }

    /// Asks the lab to unload the driver and to end, as Ctrl-C does.
    pub(super) fn stop(self) -> Result<()> {
        self.program.stop().map(drop)
    }
}

/// The arguments that all forms of the demo use.
pub(super) fn add_arguments(command: &mut Command, args: &Args, rules: &str) {
    command.args(["lab", "run", "--rules"]);
    command.arg(root().join(rules));
    match &args.driver {
        Some(driver) => command.arg("--driver").arg(driver),
        None => command.arg("--linked"),
    };
}

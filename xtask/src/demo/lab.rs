//! The lab as a child process: `xdp lab run`.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use namespaces::{Network, Program, STACK, WIRE};

use super::Args;

/// What the lab's line holds when frames pass.
const RUNNING: &str = "running";
/// How long booting may take before the demo gives up.
const BOOT_LIMIT: Duration = Duration::from_secs(30);

/// The running lab; dropping it ends it.
pub(super) struct Lab(Program);

impl Lab {
    /// Starts the lab between the two interfaces and waits until frames pass.
    pub(super) fn start(args: &Args, network: &Network) -> Result<Self> {
        let mut command = network.command("lab", &args.xdp);
        add_arguments(&mut command, args);
        command.args([
            "--wire",
            &format!("if:{WIRE}"),
            "--stack",
            &format!("if:{STACK}"),
            "--cpus",
            "2",
            "--interval",
            "5s",
        ]);
        Program::start(command, RUNNING, BOOT_LIMIT, Some("lab | ")).map(Self)
    }

    /// Asks the lab to unload the driver and to end, as Ctrl-C does.
    pub(super) fn stop(self) -> Result<()> {
        self.0.stop().map(drop)
    }
}

/// The arguments that both forms of the demo use.
pub(super) fn add_arguments(command: &mut Command, args: &Args) {
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../samples/rules/pass-path.toml"
    );
    command.args(["lab", "run", "--rules", rules]);
    match &args.driver {
        Some(driver) => command.arg("--driver").arg(driver),
        None => command.arg("--linked"),
    };
}

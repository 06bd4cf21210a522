//! The lab as a child process: `xdp lab run`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};

use super::Args;
use super::network::{Network, STACK, WIRE, command_in};

/// First word of the line that the lab prints when frames pass.
const RUNNING: &str = "running";
/// How long booting may take before the demo gives up.
const BOOT_LIMIT: Duration = Duration::from_secs(30);

/// The running lab; dropping it ends it.
pub(super) struct Lab {
    child: Child,
    echo: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Lab {
    /// Starts the lab between the two interfaces and waits until frames pass.
    pub(super) fn start(args: &Args, network: &Network) -> Result<Self> {
        let mut command = command_in(&network.lab, &args.xdp);
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
        // Its own process group: Ctrl-C must end the demo's steps first, and the lab by the demo's word.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let pipe = child
            .stdout
            .take()
            .context("the lab has no standard output")?;
        let (ready, is_ready) = mpsc::channel();
        let echo = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                println!("lab | {line}");
                if line.starts_with(RUNNING) {
                    // The other side may have given up waiting.
                    let _ = ready.send(());
                }
            }
        });
        let mut lab = Self {
            child,
            echo: Some(echo),
            stopped: false,
        };
        if is_ready.recv_timeout(BOOT_LIMIT).is_err() {
            let status = lab.child.try_wait().context("the lab is gone")?;
            bail!(
                "the lab did not boot ({})",
                status.map_or("still trying".into(), |status| status.to_string())
            );
        }
        Ok(lab)
    }

    /// Asks the lab to unload the driver and to end, as Ctrl-C does.
    pub(super) fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("the lab has no process number")?;
        rustix::process::kill_process(pid, Signal::INT).context("cannot stop the lab")?;
        let status = self.wait()?;
        self.stopped = true;
        // A program that Ctrl-C ends may say so by 130; what matters is that the unload was clean.
        ensure!(
            status.success() || status.code() == Some(130),
            "the lab ended with {status}"
        );
        Ok(())
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("the lab is gone")?;
        if let Some(echo) = self.echo.take() {
            echo.join()
                .map_err(|_| anyhow::anyhow!("reading the lab's output panicked"))?;
        }
        Ok(status)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.stopped {
            // It may have ended by itself, which is as good.
            let _ = self.child.kill();
            let _ = self.wait();
        }
    }
}

/// The arguments that both forms of the demo use.
pub(super) fn add_arguments(command: &mut Command, args: &Args) {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/rules/demo.toml");
    command.args(["lab", "run", "--rules", rules]);
    match &args.driver {
        Some(driver) => command.arg("--driver").arg(driver),
        None => command.arg("--linked"),
    };
}

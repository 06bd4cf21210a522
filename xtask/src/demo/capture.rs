//! A capture: what `xdp dump` writes while hosts talk, and what tshark makes of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use namespaces::{LEFT, Network, Program, STACK, WIRE};

use super::replay::CAPTURE;
use super::rules::FIREWALL;
use super::traffic::{ANSWER_LIMIT, output};
use super::{Args, say, step};
use crate::driver::{root, target_dir};

/// How long booting may take before the demo gives up.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// Lines of tshark that are shown.
const SHOWN: usize = 6;

/// Captures real hosts, or a recorded conversation, with a rule file in force.
pub(super) fn run(args: &Args, network: Option<&Network>) -> Result<()> {
    step("Packets are captured where XDP sees them, with the verdict on each");
    let Some(driver) = &args.driver else {
        say("not captured: it takes a driver file, and there is none");
        return Ok(());
    };
    let file = folder()?.join("demo.pcapng");
    let dump = |mut command: Command, address: &str| {
        command.args(["dump", "-i", address, "--rules"]);
        command.arg(root().join(FIREWALL)).arg("--write").arg(&file);
        command.env("XDP_DRIVER", driver);
        command
    };
    match network {
        Some(network) => {
            let address = format!("lab:wire=if:{WIRE},stack=if:{STACK}");
            let command = dump(network.command("lab", &args.xdp), &address);
            // Its messages are on standard error, and so are the demo's to whoever waits for them.
            let capture =
                Program::start(joined(&command), "capturing on", BOOT_LIMIT, Some("  | "))?;
            let mut ping = network.command(LEFT.name, "ping");
            output(ping.args(["-n", "-q", "-c", "2", "-i", "0.2", "-W", "2", "192.0.2.2"]))?;
            let sender = network.udp_socket(LEFT.name, "192.0.2.1:0", ANSWER_LIMIT)?;
            for port in [9, 10] {
                sender.send_to(b"datagram", ("192.0.2.2", port))?;
            }
            // The datagrams arrived before this answer did.
            output(ping.args(["-c", "1"]))?;
            capture.stop()?;
        }
        None => {
            let address = format!("lab:wire=read:{}", root().join(CAPTURE).display());
            let command = dump(Command::new(&args.xdp), &address);
            for line in output(&mut joined(&command))?.lines() {
                println!("  | {line}");
            }
        }
    }
    say(&format!("{} opens in Wireshark", file.display()));
    shown_by_tshark(&file)
}

/// The same command with its messages among its output.
fn joined(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>&1", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell
}

/// Where the demo's files are.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = target_dir()?.join("demo");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The first packets that a rule dropped and that passed, with their comments, if there is a tshark.
fn shown_by_tshark(file: &Path) -> Result<()> {
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-r")
        .arg(file)
        .args(["-T", "fields", "-E", "separator= "]);
    for field in ["_ws.col.Protocol", "_ws.col.Source", "_ws.col.Destination"] {
        tshark.args(["-e", field]);
    }
    tshark.args(["-e", "frame.verdict.ebpf_xdp", "-e", "frame.comment"]);
    tshark.args(["-Y", "icmp.type == 8 || udp || tcp.dstport == 8080"]);
    let Ok(read) = tshark.output() else {
        say("tshark is not installed: it would show the packets now");
        return Ok(());
    };
    ensure!(
        read.status.success(),
        "tshark cannot read it: {}",
        String::from_utf8_lossy(&read.stderr)
    );
    let text = String::from_utf8_lossy(&read.stdout);
    let dropped = text.lines().filter(|line| line.contains("rule ")).count();
    ensure!(dropped > 0, "no packet in the capture was dropped:\n{text}");
    say("tshark reads it: protocol, from, to, verdict (1 drop, 2 pass) and the rule");
    for line in text.lines().take(SHOWN) {
        println!("  | {line}");
    }
    Ok(())
}

/// Whether tshark reads all frames of a file, if there is a tshark.
pub(super) fn read_by_tshark(file: &Path, frames: usize) -> Result<()> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-T", "fields"]);
    let Ok(read) = tshark.args(["-e", "frame.protocols"]).output() else {
        say(&format!(
            "tshark is not installed: it does not read {}",
            file.display()
        ));
        return Ok(());
    };
    let lines = String::from_utf8_lossy(&read.stdout).lines().count();
    ensure!(
        read.status.success() && lines == frames,
        "tshark reads {lines} of {frames} frames: {}",
        String::from_utf8_lossy(&read.stderr)
    );
    say(&format!(
        "tshark reads all {frames} frames of {}",
        file.display()
    ));
    Ok(())
}

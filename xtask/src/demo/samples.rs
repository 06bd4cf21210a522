//! Programs that take frames for themselves: a rule file with a socket behind it, a host that is only a program, and a web server
//! without a network stack of the system. Each boots the driver, and unloads it again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use namespaces::{Host, LEFT, Network, Program, RIGHT, STACK, WIRE};

use super::check_interrupted;
use super::traffic::output;
use crate::driver::root;

/// How long a sample may take to boot the driver.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Rules: one port dropped, one redirected to a socket, the rest passed.
const RULES: &str = "samples/rules/demo.toml";
/// Datagrams of each kind.
const DATAGRAMS: usize = 20;
/// Pages fetched from the user-mode web server.
const PAGES: usize = 1000;

/// Runs the samples one after the other.
pub(super) fn run(samples: &Path, driver: &Path, network: &Network) -> Result<()> {
    let start = |name: &str, address: &str, words: &[&str], ready: &str| {
        let program = samples.join(name);
        ensure!(
            program.exists(),
            "{} does not exist; build it with `cargo build --release -p {name}`",
            program.display()
        );
        let mut command = network.command("lab", program);
        command.arg(address).args(words).env("XDP_DRIVER", driver);
        Program::start(command, ready, BOOT_LIMIT, Some("sample | "))
    };
    check_interrupted()?;
    let (wire, both) = (
        format!("lab:wire=if:{WIRE}"),
        format!("lab:wire=if:{WIRE},stack=if:{STACK}"),
    );

    let rules = root().join(RULES);
    let rules = rules
        .to_str()
        .context("the repository's path is not UTF-8")?;
    let echo = start("udp_echo", &both, &["-Rules", rules], "rules are on")?;
    datagrams(network)?;
    unloaded(&echo.stop()?)?;

    let responder = start(
        "icmp_responder",
        &wire,
        &["192.0.2.9", "2001:db8::9"],
        "answering on",
    )?;
    for address in ["192.0.2.9", "2001:db8::9"] {
        let mut ping = network.command(LEFT.name, "ping");
        ping.args(["-n", "-q", "-c", "10", "-i", "0.1", "-W", "2", address]);
        let text = output(&mut ping)?;
        ensure!(
            text.contains("10 received"),
            "{address} lost packets:\n{text}"
        );
        println!("ping to {address}, which only a program has: 10 of 10 answered");
    }
    unloaded(&responder.stop()?)?;

    let server = start("smoltcp_http", &wire, &["192.0.2.9"], "serving port 80")?;
    let mut curl = network.command(LEFT.name, "curl");
    curl.args([
        "--silent",
        "--parallel",
        "--parallel-max",
        "4",
        "--max-time",
        "60",
        "--output",
        "/dev/null",
    ]);
    curl.args([
        "--write-out",
        "%{http_code}\\n",
        &format!("http://192.0.2.9/[1-{PAGES}]"),
    ]);
    let codes = output(&mut curl)?;
    let fetched = codes.lines().filter(|code| *code == "200").count();
    ensure!(fetched == PAGES, "curl got {fetched} of {PAGES} pages");
    println!("curl: {PAGES} pages from a TCP/IP stack in user mode, none failed");
    unloaded(&server.stop()?)
}

/// The sample's last lines must say that the driver left nothing.
fn unloaded(said: &str) -> Result<()> {
    ensure!(
        said.contains("nothing was left behind") || said.contains("clean"),
        "no clean unload:\n{said}"
    );
    Ok(())
}

/// Sends to the port that is dropped, to the one that is answered and to one that passes, and counts what comes of it.
fn datagrams(network: &Network) -> Result<()> {
    let bind = |host: Host, address| network.udp_socket(host.name, address, ANSWER_LIMIT);
    let sender = bind(LEFT, "192.0.2.1:0")?;
    let (dropped, passed) = (bind(RIGHT, "192.0.2.2:9")?, bind(RIGHT, "192.0.2.2:10")?);
    let (mut arrived, mut answered) = (0, 0);
    for number in 0..DATAGRAMS {
        check_interrupted()?;
        let text = format!("datagram {number}");
        for port in [9, 10, 7] {
            sender.send_to(text.as_bytes(), ("192.0.2.2", port))?;
        }
        let mut bytes = [0; 64];
        arrived += usize::from(
            passed
                .recv(&mut bytes)
                .is_ok_and(|length| bytes[..length] == *text.as_bytes()),
        );
        answered += usize::from(
            sender
                .recv(&mut bytes)
                .is_ok_and(|length| bytes[..length] == *text.as_bytes()),
        );
    }
    dropped.set_nonblocking(true)?;
    let mut leaked = 0;
    while dropped.recv(&mut [0; 64]).is_ok() {
        leaked += 1;
    }
    println!(
        "rules: of {DATAGRAMS} datagrams each, port 9 (drop) let {leaked} through, port 10 (pass) {arrived}, port 7 (redirect) was answered {answered} times"
    );
    ensure!(
        (leaked, arrived, answered) == (0, DATAGRAMS, DATAGRAMS),
        "the rules did something else"
    );
    Ok(())
}

/// What to try next.
pub(super) fn next_commands() {
    println!("\nThree commands to try next:");
    println!("  xdp filter explain --rules {RULES} --read samples/captures/two-hosts.pcap");
    println!("  xdp lab run --wire read:samples/captures/two-hosts.pcap --stack write:out.pcap");
    println!(
        "  cargo run --release -p icmp_responder -- lab:wire=tap:xdp0 192.0.2.9      # as root; then ping it"
    );
}

/// Has tshark read a capture, if there is one.
pub(super) fn read_by_tshark(file: &Path, frames: usize) -> Result<()> {
    let mut tshark = Command::new("tshark");
    let read = tshark
        .arg("-r")
        .arg(file)
        .args(["-T", "fields", "-e", "frame.protocols"])
        .output();
    let Ok(read) = read else {
        println!(
            "tshark is not installed: it does not read {}",
            file.display()
        );
        return Ok(());
    };
    let lines = String::from_utf8_lossy(&read.stdout).lines().count();
    ensure!(
        read.status.success() && lines == frames,
        "tshark reads {lines} of {frames} frames: {}",
        String::from_utf8_lossy(&read.stderr)
    );
    println!("tshark reads all {frames} frames of {}", file.display());
    Ok(())
}

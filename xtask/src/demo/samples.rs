//! Programs that take frames for themselves: a rule file with a socket behind it, a host that is only a program, and a web server
//! without a network stack of the system. Each boots the driver, and unloads it again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use namespaces::{Host, LEFT, Network, Program, RIGHT, STACK, WIRE};

use super::replay::CAPTURE;
use super::traffic::{ANSWER_LIMIT, output};
use super::{check_interrupted, say, step};
use crate::driver::root;

/// How long a sample may take to boot the driver.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// Rules: one port dropped, one redirected to a socket, the rest passed.
const RULES: &str = "samples/rules/demo.toml";
/// Datagrams of each kind.
const DATAGRAMS: usize = 20;
/// Pages fetched from the user-mode web server.
const PAGES: usize = 1000;
/// What stands before what a sample prints.
const SHOWN: &str = "  | ";

/// Runs the samples one after the other.
pub(super) fn run(samples: &Path, driver: &Path, network: &Network) -> Result<()> {
    let start = |name: &str, address: &str, words: &[&str], ready: &str| {
        let mut command = network.command("lab", built(samples, name)?);
        command.arg(address).args(words).env("XDP_DRIVER", driver);
        Program::start(command, ready, BOOT_LIMIT, Some(SHOWN))
    };
    check_interrupted()?;
    let (wire, both) = (
        format!("lab:wire=if:{WIRE}"),
        format!("lab:wire=if:{WIRE},stack=if:{STACK}"),
    );

    step("A rule file with a program behind it: port 9 dropped, port 7 answered, the rest passed");
    let rules = root().join(RULES);
    let rules = rules
        .to_str()
        .context("the repository's path is not UTF-8")?;
    let echo = start("udp_echo", &both, &["-Rules", rules], "rules are on")?;
    datagrams(network)?;
    unloaded(&echo.stop()?)?;

    step("A host that is only a program answers ARP, neighbour discovery and ping");
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
        say(&format!("ping to {address}: 10 of 10 answered"));
    }
    unloaded(&responder.stop()?)?;

    step("A web server with a TCP/IP stack of its own, in user mode");
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
    say(&format!(
        "curl fetched {PAGES} pages, four at a time; none failed"
    ));
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
    say(&format!(
        "of {DATAGRAMS} datagrams each, {leaked} got through to port 9, {arrived} to port 10, and {answered} to port 7 were answered"
    ));
    ensure!(
        (leaked, arrived, answered) == (0, DATAGRAMS, DATAGRAMS),
        "the rules did something else"
    );
    Ok(())
}

/// Runs what needs no real host on a recorded conversation.
pub(super) fn recorded(samples: &Path, driver: &Path) -> Result<()> {
    step("A program answers the pings and address questions of the recording from user mode");
    let mut command = Command::new(built(samples, "icmp_responder")?);
    command
        .arg(format!("lab:wire=read:{}", root().join(CAPTURE).display()))
        .args(["192.0.2.2", "2001:db8::2"])
        .env("XDP_DRIVER", driver);
    let responder = Program::start(command, "answering on", BOOT_LIMIT, Some(SHOWN))?;
    // The recording is over long before.
    std::thread::sleep(Duration::from_secs(1));
    let said = responder.stop()?;
    ensure!(
        said.contains(" answers sent") && !said.contains("\n0 answers sent"),
        "nothing was answered:\n{said}"
    );
    unloaded(&said)
}

/// A sample's program.
fn built(samples: &Path, name: &str) -> Result<PathBuf> {
    let program = samples.join(name);
    ensure!(
        program.exists(),
        "{} does not exist; build it with `cargo build --release -p {name}`",
        program.display()
    );
    Ok(program)
}

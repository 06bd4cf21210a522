//! What the two ends say to each other.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use namespaces::{LEFT, Network, Program, RIGHT};

use super::http::{BODY_BYTES, expected_byte};
use super::{check_interrupted, say};

/// How long a server may take to listen.
const SERVER_LIMIT: Duration = Duration::from_secs(10);
/// How long an answer may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Where the page is.
pub(super) const HTTP: &str = "192.0.2.2:8080";

/// The web server of the host at the stack; dropping it ends it.
pub(super) struct PageServer {
    _program: Program,
}

impl PageServer {
    pub(super) fn start(network: &Network) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut server = network.command(RIGHT.name, program);
        server.args(["demo", "--xdp", "-", "--serve", HTTP]);
        let program = Program::start(server, "ready", SERVER_LIMIT, None)?;
        Ok(Self { _program: program })
    }
}

/// Shows that without the lab there is no way from one end to the other.
pub(super) fn nothing_passes(network: &Network) -> Result<()> {
    let status = network
        .command(LEFT.name, "ping")
        .args(["-n", "-q", "-c", "1", "-W", "1", "192.0.2.2"])
        .stdout(Stdio::null())
        .status()
        .context("cannot run ping")?;
    ensure!(
        !status.success(),
        "a ping got through without the lab: the namespaces are not apart"
    );
    say("ping gets no answer");
    // The question for the address was asked in vain; the next ping shall ask anew, not wait its turn.
    network.forget_neighbours(LEFT.name)
}

/// Runs the programs one after the other.
pub(super) fn run(network: &Network) -> Result<()> {
    for (name, address) in [("IPv4", "192.0.2.2"), ("IPv6", "2001:db8::2")] {
        let text = output(
            network
                .command(LEFT.name, "ping")
                .args(["-n", "-q", "-c", "10", "-i", "0.1", "-W", "2", address]),
        )?;
        ensure!(
            text.contains("10 received"),
            "ping over {name} lost packets:\n{text}"
        );
        say(&format!(
            "ping, {name}: 10 of 10 answered, {}",
            last_line(&text)
        ));
    }
    http(network)?;
    iperf(network, "TCP", &["-t", "2"])?;
    iperf(network, "TCP, the other way", &["-t", "2", "-R"])?;
    iperf(
        network,
        "UDP",
        &["-t", "2", "-u", "-b", "20M", "-l", "1200"],
    )
}

fn http(network: &Network) -> Result<()> {
    let _server = PageServer::start(network)?;
    let mut curl = network.command(LEFT.name, "curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "60",
        &format!("http://{HTTP}/"),
    ])
    .stdout(Stdio::piped());
    let mut child = curl.spawn().context("cannot run curl")?;
    let mut body = Vec::new();
    let mut pipe = child.stdout.take().context("curl has no standard output")?;
    pipe.read_to_end(&mut body)
        .context("cannot read from curl")?;
    ensure!(
        child.wait().context("curl is gone")?.success(),
        "curl failed"
    );
    ensure!(
        body.len() == BODY_BYTES,
        "curl got {} bytes of {BODY_BYTES}",
        body.len()
    );
    let wrong = body
        .iter()
        .enumerate()
        .find(|(at, byte)| **byte != expected_byte(*at));
    ensure!(wrong.is_none(), "the page changed on its way, at {wrong:?}");
    say(&format!("curl: a page of {BODY_BYTES} bytes arrived whole"));
    check_interrupted()
}

fn iperf(network: &Network, name: &str, options: &[&str]) -> Result<()> {
    let mut server = network.command(RIGHT.name, "iperf3");
    server.args([
        "--server",
        "--one-off",
        "--forceflush",
        "--bind",
        "192.0.2.2",
    ]);
    let _server = Program::start(server, "Server listening", SERVER_LIMIT, None)?;
    let text = output(
        network
            .command(LEFT.name, "iperf3")
            .args(["--client", "192.0.2.2", "--connect-timeout", "5000"])
            .args(options),
    )?;
    // The last line of figures is what the receiving side counted.
    let Some(line) = text.lines().rev().find(|line| line.contains("receiver")) else {
        bail!("iperf3 printed no result:\n{text}")
    };
    let figures: Vec<&str> = line
        .split_whitespace()
        .skip_while(|word| *word != "sec")
        .skip(1)
        .collect();
    say(&format!("iperf3, {name}: {}", in_words(&figures)));
    check_interrupted()
}

/// The figures of iperf3's receiver: amount, rate, and for UDP jitter and loss.
fn in_words(figures: &[&str]) -> String {
    match figures {
        [amount, unit, rate, per, jitter, ms, lost, share, ..] => {
            format!("{amount} {unit} at {rate} {per}, jitter {jitter} {ms}, lost {lost} {share}")
        }
        [amount, unit, rate, per, ..] => format!("{amount} {unit} at {rate} {per}"),
        _ => figures.join(" "),
    }
}

/// Runs a program of the demo, unless Ctrl-C was pressed.
pub(super) fn output(command: &mut Command) -> Result<String> {
    check_interrupted()?;
    namespaces::output(command)
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_words() {
        let words = |line: &str| in_words(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            words("22.7 MBytes 62.9 Mbits/sec receiver"),
            "22.7 MBytes at 62.9 Mbits/sec"
        );
        assert_eq!(
            words("4.77 MBytes 20.0 Mbits/sec 0.050 ms 0/4166 (0%) receiver"),
            "4.77 MBytes at 20.0 Mbits/sec, jitter 0.050 ms, lost 0/4166 (0%)"
        );
        assert_eq!(words("odd"), "odd");
    }
}

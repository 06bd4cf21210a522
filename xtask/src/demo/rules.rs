//! Rules that change while hosts talk to each other.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use namespaces::{LEFT, Network, RIGHT};

use super::lab::Lab;
use super::traffic::{ANSWER_LIMIT, HTTP, PageServer, output};
use super::{Args, say, step};
use crate::driver::root;

/// Two services are closed: UDP port 9 and TCP port 8080.
pub(super) const FIREWALL: &str = "samples/rules/firewall.toml";
/// Datagrams to each port.
const DATAGRAMS: usize = 20;

/// Applies a rule file, shows that what it drops is dropped and what each rule did, and takes a rule away again.
pub(super) fn run(args: &Args, network: &Network, lab: &Lab) -> Result<()> {
    step("A rule file is put into force while they talk");
    let server = PageServer::start(network)?;
    ensure!(fetched(network)?, "the page is not there before the rules");
    say("curl fetches a page from port 8080");
    let xdp = |words: &[&str]| -> Result<()> {
        let address = lab.address();
        let mut command = Command::new(&args.xdp);
        let (verb, rest) = words.split_at(2);
        command.args(verb).args(["-i", &address]).args(rest);
        let shown = [verb, &["-i", &address], rest].concat().join(" ");
        println!("  $ xdp {shown}");
        for line in output(command.current_dir(root()))?.lines() {
            println!("  | {line}");
        }
        Ok(())
    };
    xdp(&["filter", "apply", FIREWALL])?;
    let (arrived, leaked) = datagrams(network)?;
    say(&format!(
        "of {DATAGRAMS} datagrams each, {leaked} arrive at port 9 (dropped) and {arrived} at port 10"
    ));
    ensure!(
        (arrived, leaked) == (DATAGRAMS, 0),
        "the rules did something else"
    );
    ensure!(
        !fetched(network)?,
        "a page got through a rule that drops it"
    );
    say("curl gets no page from port 8080 any more");
    xdp(&["filter", "list"])?;
    xdp(&["filter", "remove", "web"])?;
    ensure!(fetched(network)?, "the page is gone although the rule is");
    say("and with the rule the drops are gone: curl fetches the page");
    drop(server);
    Ok(())
}

/// Whether curl gets the page within a moment.
fn fetched(network: &Network) -> Result<bool> {
    let mut curl = network.command(LEFT.name, "curl");
    curl.args(["--silent", "--fail", "--output", "/dev/null"]);
    curl.args(["--connect-timeout", "1", "--max-time", "20"]);
    let status = curl.arg(format!("http://{HTTP}/")).status();
    Ok(status.context("cannot run curl")?.success())
}

/// How many datagrams get to a port that no rule names, and to the one that is closed.
fn datagrams(network: &Network) -> Result<(usize, usize)> {
    let sender = network.udp_socket(LEFT.name, "192.0.2.1:0", ANSWER_LIMIT)?;
    let open = network.udp_socket(RIGHT.name, "192.0.2.2:10", ANSWER_LIMIT)?;
    let closed = network.udp_socket(RIGHT.name, "192.0.2.2:9", ANSWER_LIMIT)?;
    let mut arrived = 0;
    for number in 0..DATAGRAMS {
        let text = format!("datagram {number}");
        for port in [9, 10] {
            sender.send_to(text.as_bytes(), ("192.0.2.2", port))?;
        }
        let mut bytes = [0; 64];
        let came = open.recv(&mut bytes);
        arrived += usize::from(came.is_ok_and(|length| bytes[..length] == *text.as_bytes()));
    }
    // What was sent before the last datagram that came would have come before it.
    closed.set_nonblocking(true)?;
    let mut leaked = 0;
    while closed.recv(&mut [0; 64]).is_ok() {
        leaked += 1;
    }
    Ok((arrived, leaked))
}

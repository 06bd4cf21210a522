//! Applies a rule file, and answers the datagrams that it redirects to the socket `echo` by sending them back.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use named_args::{Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::inventory::ProgramEntry;
use xdp::rulefile::RuleFile;
use xdp::{Batch, Interest, Interface, Program, Socket, Targets, Umem};
use xdp_packet::Rewriter;

const USAGE: &str = "\
Usage: udp_echo <INTERFACE> -Rules <FILE>

Puts the rules of a file on queue 0 until Ctrl-C. UDP datagrams that a rule redirects to { socket = \"echo\" } go back to
whoever sent them.

  <INTERFACE>  name or index of an interface, or lab:...
  -Rules       a rule file (see `xdp filter check`)

Example: udp_echo lab:wire=if:veth1,stack=if:veth2 -Rules demo.toml";

fn main() -> ExitCode {
    sample(USAGE, |mut args| {
        let path: String = args.required("-Rules")?;
        let interface: String = args.positional("<INTERFACE>")?;
        args.finish()?;
        let rules = load(&path)?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        serve(&interface, &rules)?;
        close(interface)
    })
}

fn load(path: &str) -> Result<RuleFile, Failure> {
    let failed = |why: String| Failure::Other(format!("cannot read {path}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    RuleFile::parse(&text).map_err(|error| failed(error.to_string()))
}

fn serve(interface: &Interface, rules: &RuleFile) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(512).build()?;
    let mut socket = Socket::builder(interface, &umem).queue(0).open()?;
    let targets = Targets::new().socket("echo", &socket);
    let program = Program::builder(interface)
        .queue(0)
        .rule_file(rules, &targets)?
        .attach()?;
    println!("rules are on {}", interface.name());
    let (mut batch, mut answers) = (Batch::with_capacity(64), Batch::with_capacity(64));
    let mut answered: u64 = 0;
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut batch);
        for mut frame in batch.drain(..) {
            if let Some(mut datagram) = Rewriter::new(&mut frame) {
                datagram.turn_round();
                answers.push(frame);
            }
        }
        answered += socket.send(&mut answers)? as u64;
        // What finds no room is lost, as on any full link.
        answers.clear();
    }
    println!("{answered} datagrams answered");
    // Only administrators may ask.
    if let Err(why) = show_hits(interface, rules) {
        println!("cannot tell what each rule decided: {why}");
    }
    program.detach();
    Ok(())
}

/// Prints how many frames each rule has decided about.
fn show_hits(interface: &Interface, rules: &RuleFile) -> Result<(), xdp::Error> {
    let inventory = interface.system().inventory_with_hits()?;
    let here = |program: &&ProgramEntry| program.if_index == interface.index();
    // Numbers grow: the last program of the interface is ours.
    let ours = inventory.programs.iter().filter(here).map(|it| it.id).max();
    match inventory.rule_hits(ours.as_slice()) {
        Some(hits) => {
            for (rule, hits) in rules.entries().iter().zip(hits) {
                println!(
                    "{hits} frames: {}",
                    rule.name().unwrap_or("a rule without a name")
                );
            }
        }
        None => println!("the driver does not count what rules decide"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_need_a_file_that_can_be_read() {
        let why = |path| match load(path) {
            Err(Failure::Other(why)) => why,
            _ => String::new(),
        };
        assert!(why("/no/such/file").starts_with("cannot read /no/such/file"));
        let rules = load(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/demo.toml"));
        assert!(rules.is_ok_and(|rules| rules.entries().len() == 2));
    }
}

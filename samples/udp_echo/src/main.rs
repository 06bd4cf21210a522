//! Applies a rule file, and answers the datagrams that it redirects to the socket `echo` by sending them back.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use named_args::{Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::rulefile::RuleFile;
use xdp::{Batch, Interest, Interface, Program, Socket, Targets, Umem};

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
            if turn_round(&mut frame) {
                answers.push(frame);
            }
        }
        answered += socket.send(&mut answers)? as u64;
        // What finds no room is lost, as on any full link.
        answers.clear();
    }
    program.detach();
    println!("{answered} datagrams answered");
    Ok(())
}

/// Exchanges sender and receiver of a UDP datagram; `false` if it is none. Exchanged words leave all checksums right.
fn turn_round(frame: &mut [u8]) -> bool {
    // Where the addresses are, how long one is, and where the ports are.
    let (addresses, length, ports) =
        if frame.len() >= 42 && frame[12..15] == [8, 0, 0x45] && frame[23] == 17 {
            (26, 4, 34)
        } else if frame.len() >= 62 && frame[12..14] == [0x86, 0xDD] && frame[20] == 17 {
            (22, 16, 54)
        } else {
            return false;
        };
    for (at, length) in [(0, 6), (addresses, length), (ports, 2)] {
        let (first, second) = frame[at..at + 2 * length].split_at_mut(length);
        first.swap_with_slice(second);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use xdp_packet::{FrameBuilder, MacAddr};

    #[test]
    fn a_datagram_turned_round_is_the_one_that_the_other_side_would_send() {
        let (a, b) = (MacAddr([2; 6]), MacAddr([4; 6]));
        let (a4, b4) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let (a6, b6) = (
            Ipv6Addr::LOCALHOST,
            Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 2),
        );
        let mut frame = FrameBuilder::ethernet(b, a)
            .ipv4(a4, b4)
            .udp(4000, 7)
            .payload(b"x")
            .finish();
        assert!(turn_round(&mut frame));
        assert_eq!(
            frame,
            FrameBuilder::ethernet(a, b)
                .ipv4(b4, a4)
                .udp(7, 4000)
                .payload(b"x")
                .finish()
        );
        let mut frame = FrameBuilder::ethernet(b, a)
            .ipv6(a6, b6)
            .udp(4000, 7)
            .payload(b"x")
            .finish();
        assert!(turn_round(&mut frame));
        assert_eq!(
            frame,
            FrameBuilder::ethernet(a, b)
                .ipv6(b6, a6)
                .udp(7, 4000)
                .payload(b"x")
                .finish()
        );
    }

    #[test]
    fn what_is_no_whole_datagram_is_left_alone() {
        let whole = FrameBuilder::ethernet(MacAddr([2; 6]), MacAddr([4; 6]))
            .ipv4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST)
            .udp(1, 2)
            .finish();
        for length in 0..whole.len() {
            assert!(!turn_round(&mut whole[..length].to_vec()));
        }
        let mut tcp = whole.clone();
        tcp[23] = 6;
        assert!(!turn_round(&mut tcp));
    }
}

//! Answers ARP, neighbour discovery and ping for addresses that no network stack has.
//!
//! Everything that the queue brings goes to the socket: no rule matches ARP alone, so the interface should be this program's own.

#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::process::ExitCode;

use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::{Batch, Interest, Interface, Match, Program, Socket, Umem};
use xdp_packet::{MacAddr, Responder};

const USAGE: &str = "\
Usage: icmp_responder <INTERFACE> <ADDRESS>...

Answers ARP, IPv6 neighbour discovery and ping for the addresses, on queue 0, until Ctrl-C.
Takes every frame that the queue receives.

  <INTERFACE>  name or index of an interface, or lab:...
  <ADDRESS>    an IPv4 address, an IPv6 address, or one of each

Example: icmp_responder lab:wire=if:veth1 192.0.2.9 2001:db8::9";

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let (interface, mut responder) = parse(args)?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        responder.mac = MacAddr(interface.mac().unwrap_or([2, 0, 0, 0, 0, 0x58]));
        respond(&interface, &responder)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<(String, Responder), String> {
    let interface = args.positional("<INTERFACE>")?;
    let mut responder = Responder::default();
    responder.set_address(args.positional::<IpAddr>("<ADDRESS>")?);
    while !args.is_empty() {
        responder.set_address(args.positional::<IpAddr>("<ADDRESS>")?);
    }
    Ok((interface, responder))
}

fn respond(interface: &Interface, responder: &Responder) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(256).build()?;
    let mut socket = Socket::builder(interface, &umem).queue(0).open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::all().redirect(&socket))
        .attach()?;
    println!("answering on {}", interface.name());
    let mut received = Batch::with_capacity(64);
    let mut answers = Batch::with_capacity(64);
    let mut answered: u64 = 0;
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut received);
        for mut frame in received.drain(..) {
            // An answer is written over its question, and may be longer.
            let length = frame.len();
            if frame.set_len(length.max(Responder::ROOM_BYTES)).is_ok()
                && let Some(answer) = responder.answer(&mut frame, length)
            {
                frame.truncate(answer);
                answers.push(frame);
            }
        }
        answered += socket.send(&mut answers)? as u64;
        // A responder that cannot keep up loses answers, as any host does.
        answers.clear();
    }
    program.detach();
    println!("{answered} answers sent");
    Ok(())
}

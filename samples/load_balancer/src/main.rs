//! Spreads TCP connections to one address over back ends: consistent hashing picks, address translation carries.

#![forbid(unsafe_code)]

mod arp;
mod balance;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use balance::{BackEnd, Balancer, Service};
use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::{Batch, Interest, Interface, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: load_balancer <INTERFACE> <ADDRESS:PORT> <BACK END>...

Takes TCP connections to an address that no host has, and passes each to one of the back ends, on queue 0, until Ctrl-C.
The same client address and port always lead to the same back end; one back end less moves only its own clients.
Takes every frame that the queue receives.

  <INTERFACE>     name or index of an interface, or lab:...
  <ADDRESS:PORT>  where clients connect (IPv4)
  <BACK END>      IPv4 and MAC address of a host on the same link, up to 16 of them

Example: load_balancer lab:wire=if:veth1 192.0.2.100:80 192.0.2.11=02:00:00:00:00:0b 192.0.2.12=02:00:00:00:00:0c";

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let (interface, mut service) = parse(args)?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        service.mac = interface.mac().unwrap_or(service.mac);
        run(&interface, service)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<(String, Service), String> {
    let interface = args.positional("<INTERFACE>")?;
    let address: std::net::SocketAddrV4 = args.positional("<ADDRESS:PORT>")?;
    let mut back_ends = vec![args.positional::<BackEnd>("<BACK END>")?];
    while !args.is_empty() {
        back_ends.push(args.positional("<BACK END>")?);
    }
    if back_ends.len() > 16 {
        return Err("more than 16 back ends".into());
    }
    let service = Service {
        mac: [2, 0, 0, 0, 0, 0x58],
        address: *address.ip(),
        port: address.port(),
        back_ends,
    };
    Ok((interface, service))
}

impl FromStr for BackEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, mac) = text
            .split_once('=')
            .ok_or("write it as 192.0.2.11=02:00:00:00:00:0b")?;
        let bytes: Option<Vec<u8>> = mac
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        Ok(Self {
            address: Ipv4Addr::from_str(address).map_err(|error| error.to_string())?,
            mac: bytes
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or("a MAC address is six bytes in hexadecimal")?,
        })
    }
}

fn run(interface: &Interface, service: Service) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(1024).build()?;
    let mut socket = Socket::builder(interface, &umem).queue(0).open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::all().redirect(&socket))
        .attach()?;
    println!(
        "balancing {}:{} on {}",
        service.address,
        service.port,
        interface.name()
    );
    let mut balancer = Balancer::new(service);
    let mut received = Batch::with_capacity(64);
    let mut to_send = Batch::with_capacity(64);
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut received);
        let now = Instant::now();
        for mut frame in received.drain(..) {
            let answered = arp::answer(&mut frame, balancer.service());
            if answered || balancer.translate(&mut frame, now) {
                to_send.push(frame);
            }
        }
        socket.send(&mut to_send)?;
        // What finds no room is lost, as on any full link; TCP sends it again.
        to_send.clear();
    }
    program.detach();
    for (back_end, connections) in balancer.connections() {
        println!("{back_end}: {connections} connections");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_back_ends_are_read() {
        let parsed = |line: &'static str| parse(line.split_whitespace().collect());
        let (interface, service) =
            parsed("lab: 192.0.2.100:80 192.0.2.11=02:00:00:00:00:0b 192.0.2.12=2:0:0:0:0:c")
                .expect("all of it is valid");
        assert_eq!(
            (interface.as_str(), service.port, service.back_ends.len()),
            ("lab:", 80, 2)
        );
        assert_eq!(service.back_ends[1].mac, [2, 0, 0, 0, 0, 12]);
        for line in [
            "lab: 192.0.2.100:80",
            "lab: 192.0.2.100 192.0.2.11=02:00:00:00:00:0b",
            "lab: 192.0.2.100:80 192.0.2.11",
            "lab: 192.0.2.100:80 192.0.2.11=02:00:00:00:00",
            "lab: 192.0.2.100:80 ::1=02:00:00:00:00:0b",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}

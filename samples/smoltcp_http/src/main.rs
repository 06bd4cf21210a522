//! A web server without a network stack of the system: smoltcp over an AF_XDP socket.
//!
//! Everything that the queue brings goes to the socket: smoltcp answers ARP, neighbour discovery and ping by itself.

#![forbid(unsafe_code)]

mod device;
mod http;

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use device::Device;
use http::Server;
use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use smoltcp::iface::{Config, Interface as Stack};
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};
use xdp::{Interest, Interface, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: smoltcp_http <INTERFACE> <ADDRESS>... [-Port <PORT>]

Serves one page over HTTP from a user-mode TCP/IP stack on queue 0, until Ctrl-C.
Takes every frame that the queue receives.

  <INTERFACE>  name or index of an interface, or lab:...
  <ADDRESS>    up to two addresses of the server, IPv4 or IPv6; prefixes are 24 and 64 bits long
  -Port        80 if not given

Example: smoltcp_http lab:wire=if:veth1 192.0.2.9 2001:db8::9";

struct Options {
    interface: String,
    addresses: Vec<IpCidr>,
    port: u16,
}

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let options = parse(args)?;
        catch_interrupts()?;
        let interface = find(&options.interface)?;
        serve(&interface, &options)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<Options, String> {
    let port = args.value("-Port")?.unwrap_or(80);
    if port == 0 {
        return Err("-Port cannot be 0: it is 1 to 65535".into());
    }
    let interface = args.positional("<INTERFACE>")?;
    let mut addresses = Vec::new();
    while addresses.is_empty() || !args.is_empty() {
        let address: IpAddr = args.positional("<ADDRESS>")?;
        let prefix = if address.is_ipv4() { 24 } else { 64 };
        addresses.push(IpCidr::new(address.into(), prefix));
    }
    if addresses.len() > 2 {
        return Err("more than two addresses".into());
    }
    Ok(Options {
        interface,
        addresses,
        port,
    })
}

fn serve(interface: &Interface, options: &Options) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(2048).build()?;
    let socket = Socket::builder(interface, &umem)
        .queue(0)
        .rx_ring(512)
        .fill_ring(512)
        .tx_ring(512)
        .completion_ring(512)
        .open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::all().redirect(&socket))
        .attach()?;
    let mac = interface.mac().unwrap_or([2, 0, 0, 0, 0, 0x58]);
    let mut device = Device::new(socket, &umem);
    let start = Instant::now();
    let now =
        || Moment::from_micros(i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX));

    let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
    config.random_seed = std::process::id().into();
    let mut stack = Stack::new(config, &mut device, now());
    stack.update_ip_addrs(|addresses| {
        for address in &options.addresses {
            // `parse` took no more than there is room for.
            let _ = addresses.push(*address);
        }
    });
    let mut server = Server::new(options.port);
    println!("serving port {} on {}", options.port, interface.name());
    while !interrupted() {
        stack.poll(now(), &mut device, server.sockets());
        if server.work() {
            // Answers are waiting to be cut into segments.
            continue;
        }
        device.flush()?;
        let delay = stack.poll_delay(now(), server.sockets());
        let pause = delay.map_or(TICK, |delay| {
            TICK.min(Duration::from_micros(delay.total_micros()))
        });
        device.wait(Interest::RX, pause)?;
    }
    program.detach();
    println!("{} requests answered", server.answered());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_port_are_read() {
        let parsed = |line: &'static str| parse(line.split_whitespace().collect());
        let options = parsed("lab: 192.0.2.9 2001:db8::9 -port 8080").expect("all of it is valid");
        assert_eq!(options.port, 8080);
        assert_eq!(
            options
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["192.0.2.9/24", "2001:db8::9/64"]
        );
        for line in [
            "",
            "lab:",
            "lab: x",
            "lab: 1.1.1.1 -Port 0",
            "lab: ::1 ::2 ::3",
            "lab: ::1 -Port",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}

//! Prints the names that clients ask this machine for: in DNS questions and in TLS handshakes. Frames go on to the stack.

#![forbid(unsafe_code)]

mod names;

use std::process::ExitCode;

use named_args::{Args, Failure, TICK, catch_interrupts, close, find, interrupted, sample};
use xdp::{Batch, Hook, Interest, Interface, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: sniffer <INTERFACE> [-DnsPort <PORT>] [-TlsPort <PORT>]

Prints the names in DNS questions and TLS handshakes that arrive on queue 0, until Ctrl-C. Every frame that it looks at goes on
to the network stack.

  <INTERFACE>  name or index of an interface, or lab:...
  -DnsPort     53 if not given (UDP)
  -TlsPort     443 if not given (TCP)

Example: sniffer lab:wire=if:veth1,stack=if:veth2";

struct Options {
    interface: String,
    dns: u16,
    tls: u16,
}

fn main() -> ExitCode {
    sample(USAGE, |args| {
        let options = parse(args)?;
        catch_interrupts()?;
        let interface = find(&options.interface)?;
        sniff(&interface, &options)?;
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<Options, String> {
    let options = Options {
        dns: args.value("-DnsPort")?.unwrap_or(53),
        tls: args.value("-TlsPort")?.unwrap_or(443),
        interface: args.positional("<INTERFACE>")?,
    };
    args.finish()?;
    Ok(options)
}

fn sniff(interface: &Interface, options: &Options) -> Result<(), Failure> {
    let umem = Umem::builder(interface).frames(1024).build()?;
    // What it sends goes up to the stack, not out to the network.
    let mut socket = Socket::builder(interface, &umem)
        .queue(0)
        .tx_hook(Hook::Receive)
        .open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::udp_dst(options.dns).redirect(&socket))
        .rule(Match::tcp_dst(options.tls).redirect(&socket))
        .attach()?;
    println!("listening on {}", interface.name());
    let mut batch = Batch::with_capacity(64);
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        socket.receive(&mut batch);
        for frame in &batch {
            if let Some(found) = names::find(frame) {
                println!("{found}");
            }
        }
        while !batch.is_empty() && !interrupted() {
            // Nobody's frames are lost for being looked at.
            if socket.send(&mut batch)? == 0 {
                let _room = socket.wait(Interest::TX, TICK)?;
            }
        }
    }
    program.detach();
    Ok(())
}

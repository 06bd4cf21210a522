//! The smallest echo: one socket, one frame, ring size one. What arrives for UDP port 1234 goes back where it came from.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use named_args::{Failure, TICK, catch_interrupts, close, find, interrupted};
use xdp::{Interest, Interface, Match, Program, Socket, Umem};

const USAGE: &str = "\
Usage: xskfwd <IfIndex>

Sends every frame for UDP port 1234 that arrives on queue 0 back to its sender, until Ctrl-C.
The interface is given by its index, its name, or as lab:...";

/// The port of which frames are echoed.
const PORT: u16 = 1234;
/// The one chunk of frame memory is as long as an Ethernet frame.
const CHUNK_BYTES: u32 = 1514;

fn main() -> ExitCode {
    named_args::reference_sample(USAGE, |mut args| {
        let interface: String = args.positional("<IfIndex>")?;
        args.finish()?;
        catch_interrupts()?;
        let interface = find(&interface)?;
        echo(&interface)?;
        close(interface)
    })
}

// ANCHOR: echo
fn echo(interface: &Interface) -> Result<(), Failure> {
    let umem = Umem::builder(interface)
        .frames(1)
        .frame_size_bytes(CHUNK_BYTES)
        .build()?;
    let mut socket = Socket::builder(interface, &umem)
        .queue(0)
        .rx_ring(1)
        .fill_ring(1)
        .tx_ring(1)
        .completion_ring(1)
        .open()?;
    let program = Program::builder(interface)
        .queue(0)
        .rule(Match::udp_dst(PORT).redirect(&socket))
        .attach()?;
    println!("echoing UDP port {PORT} on {}", interface.name());
    while !interrupted() {
        if socket.wait(Interest::RX, TICK)?.is_empty() {
            continue;
        }
        let Some(mut frame) = socket.receive_one() else {
            continue;
        };
        if let Some((addresses, _)) = frame.split_first_chunk_mut::<12>() {
            let (destination, source) = addresses.split_at_mut(6);
            destination.swap_with_slice(source);
        }
        // There is room: this is the only frame.
        if socket.send_one(frame).is_err() {
            return Err(Failure::Other("the only frame found no room".into()));
        }
        while socket.in_flight() > 0 && !interrupted() {
            if socket.wait(Interest::TX, TICK)?.tx() {
                socket.complete();
            }
        }
    }
    program.detach();
    Ok(())
}
// ANCHOR_END: echo

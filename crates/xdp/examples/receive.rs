//! Receives UDP datagrams to a port before the network stack does, and prints their lengths.
//!
//! ```text
//! receive "Ethernet 2" 4433 10
//! ```

use std::time::Duration;

use xdp::{Batch, Error, Interest, Interface, Match, Program, Socket, Umem};

/// Receives on queue 0 until `count` frames have come, or none for `patience`; returns their lengths.
pub(crate) fn receive(
    interface: &Interface,
    port: u16,
    count: usize,
    patience: Duration,
) -> Result<Vec<usize>, Error> {
    let umem = Umem::builder(interface).build()?;
    let mut socket = Socket::builder(interface, &umem).receive_only().open()?;
    let _program = Program::builder(interface)
        .rule(Match::udp_dst(port).redirect(&socket))
        .attach()?;
    let mut lengths = Vec::new();
    let mut batch = Batch::with_capacity(64);
    while lengths.len() < count && socket.wait(Interest::RX, patience)?.rx() {
        socket.receive(&mut batch);
        lengths.extend(batch.iter().map(|frame| frame.len()));
        batch.clear();
    }
    Ok(lengths)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(port), Some(count)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: receive INTERFACE PORT COUNT".into());
    };
    let interface = Interface::find(&name)?;
    let patience = Duration::from_secs(60);
    for length in receive(&interface, port.parse()?, count.parse()?, patience)? {
        println!("{length} bytes");
    }
    Ok(())
}

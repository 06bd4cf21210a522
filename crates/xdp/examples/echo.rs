//! Sends UDP datagrams to a port back to where they came from.
//!
//! ```text
//! echo "Ethernet 2" 7
//! ```

use std::time::Duration;

use xdp::{Batch, Error, Interest, Interface, Match, Program, Socket, Umem};

/// Swaps the addresses and ports of an Ethernet frame of IPv4 without options and UDP. Checksums stay right.
fn turn_round(frame: &mut [u8]) {
    fn swap(frame: &mut [u8], first: usize, second: usize, length: usize) {
        let (left, right) = frame.split_at_mut(second);
        left[first..first + length].swap_with_slice(&mut right[..length]);
    }
    if frame.len() >= 42 {
        swap(frame, 0, 6, 6);
        swap(frame, 26, 30, 4);
        swap(frame, 34, 36, 2);
    }
}

/// Echoes on queue 0 until nothing comes for `patience`; returns how many frames went back.
pub(crate) fn echo(interface: &Interface, port: u16, patience: Duration) -> Result<usize, Error> {
    let umem = Umem::builder(interface).build()?;
    let mut socket = Socket::builder(interface, &umem).open()?;
    let _program = Program::builder(interface)
        .rule(Match::udp_dst(port).redirect(&socket))
        .attach()?;
    let mut batch = Batch::with_capacity(64);
    let mut echoed = 0;
    while socket.wait(Interest::RX, patience)?.rx() {
        socket.receive(&mut batch);
        batch.iter_mut().for_each(|frame| turn_round(frame));
        // What there is no room for stays in the batch until the next round.
        echoed += socket.send(&mut batch)?;
    }
    while socket.in_flight() > 0 && socket.wait(Interest::TX, patience)?.tx() {
        socket.complete();
    }
    Ok(echoed)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(port)) = (args.next(), args.next()) else {
        return Err("usage: echo INTERFACE PORT".into());
    };
    let interface = Interface::find(&name)?;
    let echoed = echo(&interface, port.parse()?, Duration::from_secs(60))?;
    println!("{echoed} frames went back");
    Ok(())
}

//! Where the frames come from: made up, or of a capture.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use xdp::Interface;

use super::Args;
use crate::bench::load;
use crate::capture::{Capture, LinkType};
use crate::error::Failure;
use crate::messages;

/// Frames that are sent in turn.
pub(super) struct Source {
    frames: Vec<Vec<u8>>,
    next: usize,
    /// After the last one comes the first one.
    again: bool,
}

impl Source {
    pub(super) fn new(args: &Args, interface: &Interface) -> Result<Self, Failure> {
        let (frames, again) = match &args.read {
            Some(file) => (read(file)?, args.again),
            None => (made_up(args, interface), true),
        };
        Ok(Self {
            frames,
            next: 0,
            again,
        })
    }

    /// Whether all frames can be sent.
    pub(super) fn check(&self, longest: usize, interface: &Interface) -> Result<(), Failure> {
        let Some(at) = self.frames.iter().position(|frame| frame.len() > longest) else {
            return Ok(());
        };
        let bytes = self.frames[at].len();
        Err(
            Failure::usage(format!("frame {} has {bytes} bytes", at + 1))
                .because(format!("{interface} takes up to {longest}"))
                .hint("send shorter frames, or raise the MTU of the interface"),
        )
    }

    /// Mean size of the frames.
    pub(super) fn average_bytes(&self) -> usize {
        let total: usize = self.frames.iter().map(Vec::len).sum();
        total.checked_div(self.frames.len()).unwrap_or(0)
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.next == self.frames.len() {
            if !self.again {
                return None;
            }
            self.next = 0;
        }
        let frame = self.frames.get(self.next)?;
        self.next += 1;
        Some(frame)
    }
}

fn made_up(args: &Args, interface: &Interface) -> Vec<Vec<u8>> {
    let source = interface.mac().unwrap_or([2, 0, 0, 0, 0, 1]);
    let destination = args.destination.map_or([0xFF; 6], |mac| mac.0);
    (0..args.flows as u16)
        .map(|flow| {
            let mut frame = load::frame(args.size as usize, destination, source, flow);
            // Without a UDP checksum nothing else depends on the port.
            frame[36..38].copy_from_slice(&args.port.to_be_bytes());
            frame
        })
        .collect()
}

/// The frames of a capture that are whole and of Ethernet.
fn read(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let named = path.display();
    let file = File::open(path).map_err(|error| Failure::reading(path, &error))?;
    let unreadable = |why| Failure::new(format!("cannot read {named}")).because(why);
    let capture = Capture::open(BufReader::new(file)).map_err(unreadable)?;
    let (mut frames, mut cut, mut foreign) = (Vec::new(), 0, 0);
    for packet in capture {
        match packet {
            Ok(packet) if packet.link_type != LinkType::ETHERNET => foreign += 1,
            Ok(packet) if packet.bytes.len() < packet.wire_size as usize => cut += 1,
            Ok(packet) if packet.bytes.is_empty() => cut += 1,
            Ok(packet) => frames.push(packet.bytes),
            Err(problem) if problem.is_end() => return Err(unreadable(problem)),
            Err(problem) => messages::warn(format_args!("{named}: {problem}")),
        }
    }
    for (number, why) in [(cut, "not whole"), (foreign, "not of Ethernet")] {
        if number > 0 {
            messages::warn(format_args!(
                "{named}: {number} packets are {why} and are left out"
            ));
        }
    }
    if frames.is_empty() {
        return Err(Failure::new(format!("there is nothing to send in {named}")));
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_sent_once_or_again_and_again() {
        let source = |again| Source {
            frames: vec![vec![1; 60], vec![2; 100]],
            next: 0,
            again,
        };
        let mut once = source(false);
        let first: Vec<u8> = std::iter::from_fn(|| once.next().map(|frame| frame[0])).collect();
        assert_eq!(first, [1, 2]);
        assert_eq!(once.average_bytes(), 80);
        let mut again = source(true);
        let first: Vec<u8> = (0..5)
            .filter_map(|_| again.next().map(|frame| frame[0]))
            .collect();
        assert_eq!(first, [1, 2, 1, 2, 1]);
    }
}

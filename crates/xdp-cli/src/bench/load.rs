//! Frames for benchmarks, and the generator on the wire of a lab.

use std::sync::atomic::AtomicBool;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use std::sync::atomic::Ordering;

use xdp::Interface;

use super::pace::Pace;

/// Bytes of the headers before the payload: Ethernet, IPv4, UDP.
pub(crate) const HEADERS: usize = 14 + 20 + 8;
/// Frames that are put in at a time.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CHAIN: u64 = 64;
/// The discard port.
pub(crate) const PORT: u16 = 9;

/// An Ethernet frame of IPv4 and UDP with right lengths and IPv4 checksum, and without a UDP checksum, as IPv4 allows.
pub(crate) fn frame(bytes: usize, destination: [u8; 6], source: [u8; 6], flow: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes);
    frame.extend(destination);
    frame.extend(source);
    frame.extend([8, 0]);
    let length = (bytes - 14) as u16;
    let [high, low] = length.to_be_bytes();
    let [flow_high, flow_low] = flow.to_be_bytes();
    // From the network for benchmarks, RFC 2544.
    let mut header = [
        0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, flow_high, flow_low, 198, 19, 0, 1,
    ];
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let checksum = !((folded & 0xFFFF) + (folded >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(header);
    frame.extend((1024 + flow).to_be_bytes());
    frame.extend(PORT.to_be_bytes());
    frame.extend((length - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(bytes, 0);
    frame
}

/// The wire of a lab, when nothing is plugged into it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) struct Wire(xdp::lab::End);

/// Elsewhere there are no labs.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) enum Wire {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
impl Wire {
    /// The wire of an interface, if it is free.
    pub(crate) fn of(interface: &Interface) -> Option<Self> {
        use xdp::lab::{EndSpec, Lab};

        let lab = Lab::of(interface)?;
        let card =
            (0..lab.cards()).find(|card| lab.interface(*card).index() == interface.index())?;
        let (wire, _) = lab.address().ends.get(card)?;
        (*wire == EndSpec::None).then(|| {
            // What passes the driver is of no interest.
            lab.stack(card).count_only();
            Self(lab.wire(card))
        })
    }

    /// Puts frames in until it is told to stop; returns how many.
    pub(crate) fn generate(
        &self,
        frames: &[Vec<u8>],
        mut pace: Pace,
        stop: &AtomicBool,
    ) -> Result<u64, xdp::Error> {
        let mut total = 0;
        while !stop.load(Ordering::Relaxed) {
            match pace.due(16 * CHAIN) {
                0 => std::hint::spin_loop(),
                due => total += self.0.blast(frames, due)?,
            }
        }
        Ok(total)
    }

    /// Puts one frame in.
    pub(crate) fn put(&self, frame: &[Vec<u8>; 1]) -> Result<(), xdp::Error> {
        self.0.blast(frame, 1).map(drop)
    }

    /// The frames that came out.
    pub(crate) fn take(&self) -> Result<Vec<Vec<u8>>, xdp::Error> {
        self.0.take_all()
    }

    /// Frames that came out so far.
    pub(crate) fn out(&self) -> u64 {
        self.0.received_frames()
    }

    /// Keeps no frames that come out.
    pub(crate) fn count_only(&self) {
        self.0.count_only();
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
impl Wire {
    pub(crate) fn of(_: &Interface) -> Option<Self> {
        None
    }

    pub(crate) fn generate(
        &self,
        _: &[Vec<u8>],
        _: Pace,
        _: &AtomicBool,
    ) -> Result<u64, xdp::Error> {
        match *self {}
    }

    pub(crate) fn put(&self, _: &[Vec<u8>; 1]) -> Result<(), xdp::Error> {
        match *self {}
    }

    pub(crate) fn take(&self) -> Result<Vec<Vec<u8>>, xdp::Error> {
        match *self {}
    }

    pub(crate) fn out(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn count_only(&self) {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_right_lengths_and_checksums() {
        for bytes in [HEADERS, 60, 64, 1514] {
            let frame = frame(bytes, [1; 6], [2; 6], 7);
            assert_eq!(frame.len(), bytes);
            let sum: u32 = frame[14..34]
                .chunks(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF, "IPv4 checksum");
            assert_eq!(
                u16::from_be_bytes([frame[16], frame[17]]) as usize,
                bytes - 14
            );
            assert_eq!(
                u16::from_be_bytes([frame[38], frame[39]]) as usize,
                bytes - 34
            );
        }
    }
}

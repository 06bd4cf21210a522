//! Writing captures: pcapng, with the queue and the verdict of each packet where Wireshark shows them.

use std::io::{self, Write};
use std::time::Duration;

use super::{LinkType, MAX_PACKET};

/// What happened to a packet, in the words that the format has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A rule dropped it.
    Drop,
    /// It went on to the network stack.
    Pass,
    /// It was sent back on the interface that it came from.
    SendBack,
    /// A socket got it.
    Redirect,
}

impl Verdict {
    /// Its number among the verdicts of XDP programs.
    const fn number(self) -> u64 {
        match self {
            Self::Drop => 1,
            Self::Pass => 2,
            Self::SendBack => 3,
            Self::Redirect => 4,
        }
    }
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this machine.
    Inbound,
    /// From this machine.
    Outbound,
}

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Number of the interface, in the order in which they were named.
    pub interface: u32,
    /// When it was seen, since 1970.
    pub time: Duration,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// Length on the wire, which may be more.
    pub wire_size: u32,
    /// The queue that it came through.
    pub queue: Option<u32>,
    /// What happened to it.
    pub verdict: Option<Verdict>,
    /// Which way it went.
    pub direction: Option<Direction>,
    /// Anything else there is to say.
    pub comment: Option<&'a str>,
}

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;

/// Options, by block.
mod option {
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_SYSTEM: u16 = 3;
    pub(super) const SECTION_PROGRAM: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const PACKET_FLAGS: u16 = 2;
    pub(super) const PACKET_QUEUE: u16 = 6;
    pub(super) const PACKET_VERDICT: u16 = 7;
}

/// The kind of verdict that XDP programs give.
const XDP_VERDICT: u8 = 2;

/// A pcapng file that is being written.
pub struct Pcapng<W> {
    out: W,
    snap_size: u32,
    block: Vec<u8>,
}

impl<W: Write> Pcapng<W> {
    /// Starts a file with these Ethernet interfaces. Of each packet no more than `snap_size` bytes are kept.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn new(out: W, interfaces: &[&str], snap_size: u32) -> io::Result<Self> {
        let mut file = Self {
            out,
            snap_size: snap_size.clamp(1, MAX_PACKET),
            block: Vec::new(),
        };
        file.begin();
        file.word(BYTE_ORDER);
        // Version 1.0, and a section whose length is not known.
        file.word(1);
        file.word(u32::MAX);
        file.word(u32::MAX);
        file.option(option::SECTION_SYSTEM, std::env::consts::OS.as_bytes());
        let program = concat!("xdp ", env!("CARGO_PKG_VERSION"));
        file.option(option::SECTION_PROGRAM, program.as_bytes());
        file.end(SECTION)?;
        for name in interfaces {
            file.begin();
            file.word(LinkType::ETHERNET.0.into());
            file.word(file.snap_size);
            file.option(option::INTERFACE_NAME, name.as_bytes());
            // Nanoseconds.
            file.option(option::INTERFACE_RESOLUTION, &[9]);
            file.end(INTERFACE)?;
        }
        file.out.flush()?;
        Ok(file)
    }

    /// Appends a packet.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let kept = packet.bytes.len().min(self.snap_size as usize);
        let bytes = packet.bytes.get(..kept).unwrap_or_default();
        let time = u64::try_from(packet.time.as_nanos()).unwrap_or(u64::MAX);
        self.begin();
        self.word(packet.interface);
        self.word((time >> 32) as u32);
        self.word(time as u32);
        self.word(kept as u32);
        let captured = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        self.word(packet.wire_size.max(captured));
        self.padded(bytes);
        if let Some(direction) = packet.direction {
            let flags: u32 = match direction {
                Direction::Inbound => 1,
                Direction::Outbound => 2,
            };
            self.option(option::PACKET_FLAGS, &flags.to_le_bytes());
        }
        if let Some(queue) = packet.queue {
            self.option(option::PACKET_QUEUE, &queue.to_le_bytes());
        }
        if let Some(verdict) = packet.verdict {
            let mut value = vec![XDP_VERDICT];
            value.extend(verdict.number().to_le_bytes());
            self.option(option::PACKET_VERDICT, &value);
        }
        if let Some(comment) = packet.comment {
            self.option(option::COMMENT, comment.as_bytes());
        }
        self.end(ENHANCED_PACKET)
    }

    /// Hands everything over to whatever is written to.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What is written to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives back what was written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn begin(&mut self) {
        self.block.clear();
    }

    fn word(&mut self, word: u32) {
        self.block.extend(word.to_le_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let size = value.len().min(usize::from(u16::MAX));
        self.block.extend(code.to_le_bytes());
        self.block.extend((size as u16).to_le_bytes());
        self.padded(value.get(..size).unwrap_or_default());
    }

    /// Writes the block; every block of ours has options, which end here.
    fn end(&mut self, kind: u32) -> io::Result<()> {
        self.word(0);
        let size = (self.block.len() + 12) as u32;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.out.write_all(&size.to_le_bytes())
    }
}

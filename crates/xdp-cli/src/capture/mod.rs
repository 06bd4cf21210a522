//! Reading captures, pcap and pcapng, and writing pcapng ([`write`](mod@write)).
//!
//! A capture is read packet by packet, from a file or a pipe. A packet that cannot be understood is reported and the next one
//! read; damage to the file itself ends it, after every packet before the damage has been delivered.

mod pcap;
mod pcapng;
pub mod write;

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

/// The longest packet that is believed: longer than any link carries, and what the usual tools believe.
const MAX_PACKET: u32 = 256 * 1024;

/// A link type, as the capture formats number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// Ethernet: the only one whose frames an XDP program sees.
    pub const ETHERNET: Self = Self(1);
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "BSD loopback",
            1 => "Ethernet",
            12 | 14 | 101 => "raw IP",
            105 => "IEEE 802.11",
            113 => "Linux cooked capture",
            127 => "IEEE 802.11 with radiotap",
            228 => "raw IPv4",
            229 => "raw IPv6",
            276 => "Linux cooked capture v2",
            number => return write!(f, "{number}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

/// One packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When it was captured, since 1970; none if the capture does not say.
    pub time: Option<Duration>,
    /// Kind of link it was captured on.
    pub link_type: LinkType,
    /// Length on the wire, of which the capture may hold less.
    pub wire_size: u32,
    /// The bytes that were captured.
    pub bytes: Vec<u8>,
}

/// Why a packet could not be read.
#[derive(Debug)]
pub enum Problem {
    /// The packet is there but makes no sense; the next one can be read.
    Packet(String),
    /// The file ends or stops making sense here.
    File(String),
    /// Reading failed.
    Io(io::Error),
}

impl Problem {
    /// Tells whether nothing can be read behind this.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        !matches!(self, Self::Packet(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(text) | Self::File(text) => f.write_str(text),
            Self::Io(error) => error.fmt(f),
        }
    }
}

enum Kind {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// A capture that is being read.
pub struct Capture<R> {
    input: Input<R>,
    kind: Kind,
    ended: bool,
}

impl<R: Read> Capture<R> {
    /// Starts reading a capture of either format.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn open(input: R) -> Result<Self, Problem> {
        let mut input = Input {
            inner: input,
            at: 0,
        };
        let Some(magic) = input.take::<4>("the capture")? else {
            return Err(Problem::File("the file is empty".into()));
        };
        let kind = if magic == pcapng::SECTION {
            Kind::Pcapng(pcapng::Section::open(&mut input)?)
        } else {
            Kind::Pcap(pcap::Header::open(magic, &mut input)?)
        };
        Ok(Self {
            input,
            kind,
            ended: false,
        })
    }

    /// Returns the name of the format.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        match self.kind {
            Kind::Pcap(_) => "pcap",
            Kind::Pcapng(_) => "pcapng",
        }
    }
}

impl<R: Read> Iterator for Capture<R> {
    type Item = Result<Captured, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match &mut self.kind {
            Kind::Pcap(header) => header.next(&mut self.input),
            Kind::Pcapng(section) => section.next(&mut self.input),
        };
        let next = next.transpose();
        self.ended = match &next {
            None => true,
            Some(Err(problem)) => problem.is_end(),
            Some(Ok(_)) => false,
        };
        next
    }
}

/// The bytes of a capture, and how many have been read.
struct Input<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Input<R> {
    /// Reads exactly `N` bytes of `what`; none when the input ends before the first.
    fn take<const N: usize>(&mut self, what: &str) -> Result<Option<[u8; N]>, Problem> {
        let mut bytes = [0; N];
        match self.fill(&mut bytes)? {
            0 => Ok(None),
            count if count == N => Ok(Some(bytes)),
            count => Err(self.cut(what, count, N)),
        }
    }

    /// Reads exactly `N` bytes of `what`, which must not be the end.
    fn need<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        self.take(what)?.ok_or_else(|| self.cut(what, 0, N))
    }

    /// Reads exactly `size` bytes of `what`.
    fn bytes(&mut self, size: usize, what: &str) -> Result<Vec<u8>, Problem> {
        let mut bytes = vec![0; size];
        match self.fill(&mut bytes)? {
            count if count == size => Ok(bytes),
            count => Err(self.cut(what, count, size)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Problem> {
        let mut count = 0;
        while count < bytes.len() {
            match self.inner.read(&mut bytes[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Problem::Io(error)),
            }
        }
        self.at += count as u64;
        Ok(count)
    }

    fn cut(&self, what: &str, count: usize, size: usize) -> Problem {
        let at = self.at;
        Problem::File(format!(
            "the file ends at byte {at}, inside {what}: {count} of {size} bytes are there"
        ))
    }
}

/// The byte order of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Reads the `N` 32-bit words at the start of `bytes` and returns what follows them.
    fn words<const N: usize>(self, bytes: &[u8]) -> Option<([u32; N], &[u8])> {
        let (words, rest) = bytes.split_at_checked(N * 4)?;
        let mut read = [0; N];
        for (to, from) in read.iter_mut().zip(words.as_chunks::<4>().0) {
            *to = self.u32(*from);
        }
        Some((read, rest))
    }
}

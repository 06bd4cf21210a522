//! What a program and the lab that it is a process of say to each other.
//!
//! Over a Unix socket: a length of four bytes, then a [`Request`] in postcard's format; a length, then a `Result` of what the
//! request answers with, or a [`Refusal`]. One request at a time on each connection, so a thread that waits in the driver has
//! a connection of its own. The first connection of a program starts its process with [`Request::Join`] and gets the file of the
//! machine's memory; the process ends when that connection does.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use nt_sim::Stretch;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Fault, Kind};
use crate::interface::Details;
use crate::status::NtStatus;
use crate::sys::Answer;

/// Both sides are of one version, or they do not talk.
pub(crate) const VERSION: u32 = 1;
/// The longest message: rules of a large program, lists of a busy driver.
const LONGEST: usize = 64 << 20;

/// What a program asks its lab for; numbers name what earlier requests made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a process; answered with its number, and then the machine's memory as a file.
    Join { version: u32, program: String },
    /// This connection is one more of that process.
    Again { process: u64 },
    /// List the network cards: [`Card`]s.
    Cards,
    /// Wait until what was queued in the kernel has been done.
    Settle,
    /// A program has been attached, and sees frames.
    Attached,
    /// Open a device: an [`Opened`].
    Open {
        device: String,
        full: bool,
        value: Option<Vec<u8>>,
    },
    /// Take over a handle of the process: an [`Opened`].
    Adopt { handle: u64 },
    /// Close what was opened.
    Close { object: u64 },
    /// Send a request and wait for its end: an [`Ended`] and the output.
    Control {
        object: u64,
        code: u32,
        input: Vec<u8>,
        output: u64,
    },
    /// Poke and wait: an [`Ended`].
    Notify { object: u64, input: [u8; 8] },
    /// Send a request without waiting: its number.
    Submit {
        object: u64,
        code: u32,
        input: Vec<u8>,
        signal: Option<u64>,
    },
    /// How a request ended, if it has: an [`Ended`] or none.
    Answer { pending: u64 },
    /// Wait for the end of a request: an [`Ended`] or none.
    Wait {
        pending: u64,
        nanoseconds: Option<u64>,
    },
    /// Ask for the end of a request.
    Cancel { pending: u64 },
    /// Forget a request.
    Forget { pending: u64 },
    /// Memory that the driver mapped for an object: a [`Range`].
    Mapped {
        object: u64,
        address: u64,
        bytes: u64,
    },
    /// Allocate memory: a [`Range`].
    Allocate { bytes: u64 },
    /// Free memory, or no longer use what the driver mapped.
    Free { memory: u64 },
    /// Make a signal: its number.
    Signal,
    /// Lower a signal.
    Lower { signal: u64 },
    /// Wait for a signal.
    Await {
        signal: u64,
        nanoseconds: Option<u64>,
    },
    /// Take a signal away.
    Unsignal { signal: u64 },
}

/// An object that was opened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) object: u64,
    /// Its handle in the process.
    pub(crate) handle: u64,
}

/// How a request to the driver ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    status: u32,
    information: u64,
}

impl From<Answer> for Ended {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status.0,
            information: answer.information as u64,
        }
    }
}

impl From<Ended> for Answer {
    fn from(ended: Ended) -> Self {
        Self {
            status: NtStatus(ended.status),
            information: ended.information as usize,
        }
    }
}

/// Memory of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) memory: u64,
    /// Where the driver sees it.
    pub(crate) address: u64,
    /// Where it is in the file of the machine's memory: offsets and bytes.
    stretches: Vec<(u64, u64)>,
}

impl Range {
    pub(crate) fn new(memory: u64, address: u64, stretches: &[Stretch]) -> Self {
        let stretches = stretches
            .iter()
            .map(|stretch| (stretch.offset, stretch.bytes));
        Self {
            memory,
            address,
            stretches: stretches.collect(),
        }
    }

    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let stretches = self.stretches.iter();
        stretches
            .map(|&(offset, bytes)| Stretch { offset, bytes })
            .collect()
    }
}

/// A network card.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    index: u32,
    name: String,
    description: String,
    mac: Option<[u8; 6]>,
    mtu_bytes: Option<u32>,
    is_up: bool,
}

impl From<Details> for Card {
    fn from(details: Details) -> Self {
        Self {
            index: details.index,
            name: details.name,
            description: details.description,
            mac: details.mac,
            mtu_bytes: details.mtu_bytes,
            is_up: details.is_up,
        }
    }
}

impl From<Card> for Details {
    fn from(card: Card) -> Self {
        Self {
            index: card.index,
            alias: card.name.clone(),
            name: card.name,
            description: card.description,
            guid: None,
            mac: card.mac,
            mtu_bytes: card.mtu_bytes,
            is_up: card.is_up,
        }
    }
}

/// Why something was not done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// With a status.
    Status(u32),
    /// With words.
    Words {
        kind: u8,
        cause: String,
        advice: Option<String>,
    },
}

/// The kinds in the order of their numbers here.
const KINDS: [Kind; 10] = [
    Kind::Failed,
    Kind::DriverAbsent,
    Kind::NotPermitted,
    Kind::NotSupported,
    Kind::NoSuchInterface,
    Kind::Busy,
    Kind::InvalidArgument,
    Kind::InterfaceGone,
    Kind::OutOfMemory,
    Kind::LabStopped,
];

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Status(status) => Self::Status(status.0),
            Fault::Other {
                kind,
                cause,
                advice,
            } => Self::Words {
                kind: KINDS
                    .iter()
                    .position(|&known| known == kind)
                    .unwrap_or_default() as u8,
                cause,
                advice,
            },
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => Self::Status(NtStatus(status)),
            Refusal::Words {
                kind,
                cause,
                advice,
            } => Self::Other {
                kind: KINDS
                    .get(usize::from(kind))
                    .copied()
                    .unwrap_or(Kind::Failed),
                cause,
                advice,
            },
        }
    }
}

/// A message as it goes over the socket.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LONGEST {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "the message is too long",
        ));
    }
    let mut bytes = bytes;
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes)
}

/// Sends a message.
pub(crate) fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(message)?)
}

/// Receives a message.
pub(crate) fn receive<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            "the message is too long",
        ));
    }
    // Grows with what arrives, not with what was announced.
    let mut bytes = Vec::new();
    stream.take(length as u64).read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Sends an open file.
pub(crate) fn send_file(stream: &UnixStream, file: &File) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    // A descriptor travels with a byte at least.
    sendmsg(
        stream,
        &[IoSlice::new(&[0])],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives an open file.
pub(crate) fn receive_file(stream: &UnixStream) -> io::Result<File> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut files = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let file = files.next();
    file.map(File::from)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no file came with the answer"))
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;

    use super::*;

    #[test]
    fn what_is_sent_arrives() {
        let (here, there) = UnixStream::pair().unwrap();
        let sent = Request::Submit {
            object: 7,
            code: 0x22_2000,
            input: vec![1, 2, 3],
            signal: None,
        };
        send(&here, &sent).unwrap();
        let received: Request = receive(&there).unwrap();
        assert_eq!(format!("{received:?}"), format!("{sent:?}"));

        let refused: Result<(), Refusal> =
            Err(Fault::of(Kind::Busy, "somebody else has it").into());
        send(&there, &refused).unwrap();
        let received: Result<(), Refusal> = receive(&here).unwrap();
        let fault = Fault::from(received.unwrap_err());
        assert_eq!(fault, Fault::of(Kind::Busy, "somebody else has it"));
    }

    #[test]
    fn every_kind_has_a_number() {
        // Does not compile when there is one more kind than here.
        let number = |kind| match kind {
            Kind::Failed => 0,
            Kind::DriverAbsent => 1,
            Kind::NotPermitted => 2,
            Kind::NotSupported => 3,
            Kind::NoSuchInterface => 4,
            Kind::Busy => 5,
            Kind::InvalidArgument => 6,
            Kind::InterfaceGone => 7,
            Kind::OutOfMemory => 8,
            Kind::LabStopped => 9,
        };
        for (place, &kind) in KINDS.iter().enumerate() {
            assert_eq!(number(kind), place);
        }
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(receive::<Request>(&there).is_err());

        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&(LONGEST as u32).to_le_bytes()).unwrap();
        here.write_all(b"short").unwrap();
        drop(here);
        assert!(receive::<Request>(&there).is_err());
    }

    #[test]
    fn files_travel() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"memory").unwrap();
        file.rewind().unwrap();
        send_file(&here, &file).unwrap();
        drop(file);
        let mut text = String::new();
        receive_file(&there)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "memory");
        drop(here);
        assert!(receive_file(&there).is_err());
    }
}

//! Capture files as cables.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Chain, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};

use super::{CableError, Feed, MAX_FRAME_BYTES, Sink, Source};

/// How many frames are given at once.
const BATCH: usize = 64;
/// First bytes of a pcapng file.
const SECTION_HEADER: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];

/// The frames of a capture file, in order and as fast as they are taken.
pub struct CaptureSource {
    path: PathBuf,
    reader: Reader,
}

/// The first bytes, which were looked at, and the rest: a pipe cannot go back to them.
type Input = BufReader<Chain<Cursor<Vec<u8>>, File>>;

enum Reader {
    Pcap(Box<PcapReader<Input>>),
    Pcapng(Box<PcapNgReader<Input>>),
}

impl CaptureSource {
    /// Opens a pcap or pcapng file, which may be a pipe; its first bytes tell which.
    ///
    /// # Errors
    /// If the file cannot be read, is neither, or holds something else than Ethernet.
    pub fn open(path: &Path) -> Result<Self, CableError> {
        let unreadable = |error| CableError::File {
            what: "read",
            path: path.to_owned(),
            error,
        };
        let damaged = |why: String| CableError::Capture {
            path: path.to_owned(),
            why,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut magic = Vec::new();
        (&mut file)
            .take(4)
            .read_to_end(&mut magic)
            .map_err(unreadable)?;
        let is_pcapng = magic == SECTION_HEADER;
        let file = BufReader::new(Cursor::new(magic).chain(file));
        let reader = if is_pcapng {
            Reader::Pcapng(Box::new(
                PcapNgReader::new(file).map_err(|error| damaged(error.to_string()))?,
            ))
        } else {
            let reader = PcapReader::new(file).map_err(|error| damaged(error.to_string()))?;
            let link = reader.header().datalink;
            if link != DataLink::ETHERNET {
                return Err(damaged(format!("it holds {link:?} frames")));
            }
            Reader::Pcap(Box::new(reader))
        };
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, CableError> {
        let damaged = |why: String| CableError::Capture {
            path: self.path.clone(),
            why,
        };
        match &mut self.reader {
            Reader::Pcap(reader) => match reader.next_packet() {
                None => Ok(None),
                Some(Ok(packet)) => Ok(Some(packet.data.into_owned())),
                Some(Err(error)) => Err(damaged(error.to_string())),
            },
            Reader::Pcapng(reader) => loop {
                match reader.next_block() {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(damaged(error.to_string())),
                    Some(Ok(Block::EnhancedPacket(packet))) => {
                        return Ok(Some(packet.data.into_owned()));
                    }
                    Some(Ok(Block::SimplePacket(packet))) => {
                        return Ok(Some(packet.data.into_owned()));
                    }
                    Some(Ok(Block::InterfaceDescription(interface)))
                        if interface.linktype != DataLink::ETHERNET =>
                    {
                        return Err(damaged(format!("it holds {:?} frames", interface.linktype)));
                    }
                    Some(Ok(_)) => {}
                }
            },
        }
    }
}

impl Source for CaptureSource {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, _wait: Duration) -> Result<Feed, CableError> {
        for _ in 0..BATCH {
            match self.next_frame()? {
                Some(frame) => frames.push(frame),
                None => return Ok(Feed::End),
            }
        }
        Ok(Feed::Open)
    }
}

/// Writes frames to a new capture file.
pub struct CaptureSink {
    path: PathBuf,
    writer: Writer,
}

enum Writer {
    Pcap(BufWriter<File>),
    Pcapng(PcapNgWriter<BufWriter<File>>),
}

impl CaptureSink {
    /// Creates a capture file: pcapng if the name ends so, pcap otherwise.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path) -> Result<Self, CableError> {
        let unwritable = |error| CableError::File {
            what: "write",
            path: path.to_owned(),
            error,
        };
        let failed = |error: pcap_file::PcapError| CableError::Capture {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let file = BufWriter::new(File::create(path).map_err(unwritable)?);
        let writer = if path
            .extension()
            .is_some_and(|extension| extension == "pcapng")
        {
            let mut writer = PcapNgWriter::new(file).map_err(failed)?;
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: MAX_FRAME_BYTES as u32,
                options: Vec::new(),
            };
            writer.write_pcapng_block(interface).map_err(failed)?;
            Writer::Pcapng(writer)
        } else {
            let mut file = file;
            file.write_all(&pcap_header()).map_err(unwritable)?;
            Writer::Pcap(file)
        };
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    fn unwritable(&self, error: io::Error) -> CableError {
        CableError::File {
            what: "write",
            path: self.path.clone(),
            error,
        }
    }
}

/// File header of a pcap file of Ethernet frames with time stamps in microseconds.
fn pcap_header() -> Vec<u8> {
    let mut header = 0xA1B2_C3D4_u32.to_le_bytes().to_vec();
    header.extend([2, 0, 4, 0]);
    header.extend([0; 8]);
    header.extend((MAX_FRAME_BYTES as u32).to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    header
}

impl Sink for CaptureSink {
    fn send(&mut self, frame: &[u8]) -> Result<bool, CableError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let timestamp = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        match &mut self.writer {
            Writer::Pcap(file) => {
                let header = [
                    timestamp.as_secs() as u32,
                    timestamp.subsec_micros(),
                    length,
                    length,
                ];
                let written = file
                    .write_all(&header.map(u32::to_le_bytes).concat())
                    .and_then(|()| file.write_all(frame));
                written.map_err(|error| self.unwritable(error))?;
            }
            Writer::Pcapng(writer) => {
                let block = EnhancedPacketBlock {
                    interface_id: 0,
                    timestamp,
                    original_len: length,
                    data: frame.into(),
                    options: Vec::new(),
                };
                writer
                    .write_pcapng_block(block)
                    .map_err(|error| CableError::Capture {
                        path: self.path.clone(),
                        why: error.to_string(),
                    })?;
            }
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), CableError> {
        let file = match &mut self.writer {
            Writer::Pcap(file) => file,
            Writer::Pcapng(writer) => writer.get_mut(),
        };
        file.flush().map_err(|error| self.unwritable(error))
    }
}

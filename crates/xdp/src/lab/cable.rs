//! What the ends of network cards are plugged into.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nt_sim::cable::{self, CableError, CaptureSink, CaptureSource, Feed, Sink, Source};

use super::EndSpec;
use crate::error::{Call, Error, Fault, Kind};

/// A cable that an end of a card is plugged into: where frames come from, and where they go to.
///
/// The default is none: what reaches the end is kept for [`End::receive`](super::End::receive).
#[derive(Default)]
pub struct Cable {
    /// Gives the frames that go into the card.
    pub source: Option<Box<dyn Source>>,
    /// Takes the frames that come out of the card.
    pub sink: Option<Box<dyn Sink>>,
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cable")
            .field("source", &self.source.is_some())
            .field("sink", &self.sink.is_some())
            .finish()
    }
}

impl Cable {
    fn new(source: impl Source + 'static, sink: impl Sink + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            sink: Some(Box::new(sink)),
        }
    }

    pub(super) fn is_plugged(&self) -> bool {
        self.source.is_some() || self.sink.is_some()
    }
}

impl EndSpec {
    /// Whether frames come in by themselves, in real time.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Interface(_) | Self::Tap(_))
    }

    /// Opens what the end is to be plugged into, for [`Builder::cable`](super::Builder::cable) or for reading the frames of a capture
    /// oneself.
    ///
    /// # Errors
    ///
    /// [`Kind::NotPermitted`]; [`Kind::NotSupported`] for an interface that is not Ethernet; [`Kind::Failed`] when there is no
    /// such interface or file, or the file is no capture.
    pub fn open(&self) -> Result<Cable, Error> {
        let opened = match self {
            Self::None => Ok(Cable::default()),
            Self::Interface(name) => cable::interface(name).map(|(from, to)| Cable::new(from, to)),
            Self::Tap(name) => cable::tap(name).map(|(from, to)| Cable::new(from, to)),
            Self::Captures { read, write } => {
                let open = || {
                    let source = read.as_deref().map(CaptureSource::open).transpose()?;
                    let sink = write.as_deref().map(CaptureSink::create).transpose()?;
                    Ok(Cable {
                        source: source.map(|source| Box::new(source) as _),
                        sink: sink.map(|sink| Box::new(sink) as _),
                    })
                };
                open()
            }
        };
        opened.map_err(|error| fault(&error).during(Call::PlugIn, self.to_string()))
    }
}

fn fault(error: &CableError) -> Fault {
    let (kind, advice) = match error {
        CableError::NotPermitted(_) => (Kind::NotPermitted, None),
        CableError::NotEthernet(_) => (Kind::NotSupported, None),
        CableError::File { error, .. } => match error.kind() {
            io::ErrorKind::PermissionDenied => (
                Kind::NotPermitted,
                Some("check who may read the file or write to its folder"),
            ),
            io::ErrorKind::IsADirectory => (Kind::Failed, Some("name a file, not a folder")),
            _ => (
                Kind::Failed,
                Some("check the path; it is relative to the current folder"),
            ),
        },
        _ => (Kind::Failed, None),
    };
    Fault::Other {
        kind,
        cause: error.to_string(),
        advice: advice.map(ToOwned::to_owned),
    }
}

/// What captures that are replayed have in common.
#[derive(Default)]
pub(super) struct Replay {
    started: AtomicBool,
    /// Captures that are not at their end.
    running: AtomicU64,
}

impl Replay {
    pub(super) fn start(&self) {
        self.started.store(true, Ordering::Release);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) != 0
    }

    /// Opens an end whose capture, if it has one, waits until all captures are started.
    pub(super) fn open(self: &Arc<Self>, end: &EndSpec) -> Result<Cable, Error> {
        let mut cable = end.open()?;
        if matches!(end, EndSpec::Captures { .. }) {
            cable.source = cable.source.map(|capture| {
                self.running.fetch_add(1, Ordering::AcqRel);
                Box::new(Replayed {
                    capture,
                    replay: Arc::clone(self),
                    ended: false,
                }) as _
            });
        }
        Ok(cable)
    }
}

/// A capture that waits until somebody is there to see its frames.
struct Replayed {
    capture: Box<dyn Source>,
    replay: Arc<Replay>,
    ended: bool,
}

impl Source for Replayed {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        if !self.replay.started.load(Ordering::Acquire) {
            std::thread::sleep(wait);
            return Ok(Feed::Open);
        }
        let feed = if self.ended {
            Ok(Feed::End)
        } else {
            self.capture.receive(frames, wait)
        };
        match feed {
            // The last frames are in the card when the next ones are asked for, not before.
            Ok(Feed::End) if !self.ended => {
                self.ended = true;
                Ok(Feed::Open)
            }
            Ok(Feed::Open) => Ok(Feed::Open),
            end => {
                self.replay.running.fetch_sub(1, Ordering::AcqRel);
                end
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(end: &str) -> Error {
        let end: EndSpec = end.parse().expect("it is well formed");
        end.open().expect_err("it is refused")
    }

    #[test]
    fn a_missing_interface_and_a_missing_file_are_told_apart() {
        let interface = refused("if:no-such-0");
        assert_eq!(interface.kind(), Kind::Failed);
        let text = interface.to_string();
        assert!(
            text.starts_with(
                "cannot use the end (if:no-such-0): there is no interface `no-such-0`"
            ),
            "{text}"
        );
        assert_eq!(interface.advice(), None);
        let file = refused("read:/no/such/file.pcap");
        let text = file.to_string();
        assert!(text.contains("cannot read /no/such/file.pcap"), "{text}");
        assert!(
            file.advice()
                .is_some_and(|advice| advice.contains("check the path"))
        );
    }

    #[test]
    fn what_is_no_file_or_no_ethernet_is_told_with_the_way_out() {
        let folder = refused("write:/");
        assert!(
            folder
                .advice()
                .is_some_and(|advice| advice.contains("not a folder")),
            "{folder}"
        );
        let text = refused("read:Cargo.toml").to_string();
        assert!(text.contains("not a usable capture"), "{text}");
    }

    #[test]
    fn a_capture_gives_its_frames_once_all_are_started() {
        let replay = Arc::new(Replay::default());
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../samples/captures/two-hosts.pcap"
        );
        let end: EndSpec = format!("read:{file}").parse().expect("it is well formed");
        let mut source = replay.open(&end).expect("it opens").source;
        let source = source.as_mut().expect("it gives frames");
        assert!(replay.is_running());
        let mut frames = Vec::new();
        let mut receive = |frames: &mut Vec<Vec<u8>>| {
            source
                .receive(frames, Duration::ZERO)
                .expect("the capture is whole")
        };
        assert_eq!(receive(&mut frames), Feed::Open);
        assert!(frames.is_empty());
        replay.start();
        while receive(&mut frames) == Feed::Open {
            assert!(replay.is_running());
        }
        assert!(!replay.is_running());
        let mut direct = Vec::new();
        let mut capture = end.open().expect("it opens").source.expect("a source");
        while capture.receive(&mut direct, Duration::ZERO).expect("whole") == Feed::Open {}
        assert!(!direct.is_empty());
        assert_eq!(frames, direct);
    }
}

//! What an end of a network card is plugged into.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use nt_sim::cable::{self, CableError, CaptureSink, CaptureSource, Sink, Source};

use crate::error::{Exit, Failure};

/// One end as it is written on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum EndSpec {
    /// Nothing.
    #[default]
    None,
    /// A Linux interface.
    Interface(String),
    /// A TAP device.
    Tap(String),
    /// Capture files to read from and to write to.
    Captures {
        read: Option<PathBuf>,
        write: Option<PathBuf>,
    },
}

/// An opened end.
#[derive(Default)]
pub(crate) struct Opened {
    /// Frames that come by themselves, without end.
    pub(crate) live: Option<Box<dyn Source>>,
    /// Frames to replay.
    pub(crate) replay: Option<CaptureSource>,
    /// Where frames go.
    pub(crate) sink: Option<Box<dyn Sink>>,
}

impl EndSpec {
    /// Whether frames come in by themselves, in real time.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self, Self::Interface(_) | Self::Tap(_))
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        self.plug_in().map_err(|error| {
            let exit = match error {
                CableError::NotPermitted(_) => Exit::NotPermitted,
                CableError::File { ref error, .. }
                    if error.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    Exit::NotPermitted
                }
                CableError::NotEthernet(_) => Exit::NotSupported,
                _ => Exit::Failed,
            };
            let failure = Failure::new(format!("cannot use the end {self}")).because(&error);
            match error {
                CableError::File { error, .. } => failure.hint(file_advice(error.kind())),
                _ => failure,
            }
            .ending(exit)
        })
    }

    fn plug_in(&self) -> Result<Opened, CableError> {
        fn live(source: impl Source + 'static, sink: impl Sink + 'static) -> Opened {
            Opened {
                live: Some(Box::new(source)),
                replay: None,
                sink: Some(Box::new(sink)),
            }
        }
        match self {
            Self::None => Ok(Opened::default()),
            Self::Interface(name) => {
                cable::interface(name).map(|(source, sink)| live(source, sink))
            }
            Self::Tap(name) => cable::tap(name).map(|(source, sink)| live(source, sink)),
            Self::Captures { read, write } => {
                let replay = read.as_deref().map(CaptureSource::open).transpose()?;
                let sink = write.as_deref().map(CaptureSink::create).transpose()?;
                Ok(Opened {
                    live: None,
                    replay,
                    sink: sink.map(|sink| Box::new(sink) as Box<dyn Sink>),
                })
            }
        }
    }
}

/// What to do about a file that cannot be opened.
const fn file_advice(kind: std::io::ErrorKind) -> &'static str {
    match kind {
        std::io::ErrorKind::PermissionDenied => {
            "check who may read the file or write to its folder"
        }
        std::io::ErrorKind::IsADirectory => "name a file, not a folder",
        _ => "check the path; it is relative to the current folder",
    }
}

impl FromStr for EndSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("if", name)) if !name.is_empty() => Ok(Self::Interface(name.into())),
            Some(("tap", name)) if !name.is_empty() => Ok(Self::Tap(name.into())),
            Some(("read" | "write", _)) => captures(text),
            _ => Err("an end is none, if:NAME, tap:NAME, read:FILE or write:FILE".into()),
        }
    }
}

fn captures(text: &str) -> Result<EndSpec, String> {
    let (mut read, mut write) = (None, None);
    for part in text.split(',') {
        let (which, file) = match part.split_once(':') {
            Some(("read", file)) => (&mut read, file),
            Some(("write", file)) => (&mut write, file),
            _ => return Err(format!("`{part}` is neither read:FILE nor write:FILE")),
        };
        if file.is_empty() {
            return Err(format!("`{part}` names no file"));
        }
        if which.replace(PathBuf::from(file)).is_some() {
            return Err(format!(
                "`{part}`: an end reads one file and writes one file"
            ));
        }
    }
    if read.is_some() && read == write {
        return Err("an end cannot write the file that it reads".into());
    }
    Ok(EndSpec::Captures { read, write })
}

impl fmt::Display for EndSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Interface(name) => write!(f, "if:{name}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
            Self::Captures { read, write } => {
                let parts = [("read", read), ("write", write)];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|(word, file)| {
                        file.as_ref()
                            .map(|file| format!("{word}:{}", file.display()))
                    })
                    .collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_and_written_alike() {
        for text in [
            "none",
            "if:veth0",
            "tap:lab0",
            "read:a.pcap",
            "write:b.pcapng",
            "read:a.pcap,write:b.pcap",
        ] {
            assert_eq!(text.parse::<EndSpec>().expect(text).to_string(), text);
        }
        assert_eq!(
            "write:b,read:a"
                .parse::<EndSpec>()
                .expect("either order")
                .to_string(),
            "read:a,write:b"
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "an end is"),
            ("eth0", "an end is"),
            ("if:", "an end is"),
            ("pcap:a", "an end is"),
            ("read:", "names no file"),
            ("read:a,read:b", "reads one file"),
            ("read:a,if:b", "neither"),
            ("read:a,write:a", "cannot write the file"),
        ] {
            let error = text.parse::<EndSpec>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_missing_interface_and_a_missing_file_are_told_apart() {
        let interface = EndSpec::Interface("no-such-0".into())
            .open()
            .err()
            .expect("it is refused");
        assert_eq!(interface.exit(), Exit::Failed);
        let text = format!("{interface:?}");
        assert!(text.contains("there is no interface `no-such-0`"), "{text}");
        let file: EndSpec = "read:/no/such/file.pcap"
            .parse()
            .expect("it is well formed");
        let text = format!("{:?}", file.open().err().expect("it is refused"));
        assert!(text.contains("cannot read /no/such/file.pcap"), "{text}");
    }
}

//! What an end of a network card is plugged into.

use nt_sim::cable::{self, CableError, CaptureSink, CaptureSource, Sink, Source};
use xdp::lab::EndSpec;

use crate::error::{Exit, Failure};

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

/// Whether frames come in by themselves, in real time.
pub(crate) const fn is_live(end: &EndSpec) -> bool {
    matches!(end, EndSpec::Interface(_) | EndSpec::Tap(_))
}

/// Opens an end.
pub(crate) fn open(end: &EndSpec) -> Result<Opened, Failure> {
    plug_in(end).map_err(|error| {
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
        let failure = Failure::new(format!("cannot use the end {end}")).because(&error);
        match error {
            CableError::File { error, .. } => failure.hint(file_advice(error.kind())),
            _ => failure,
        }
        .ending(exit)
    })
}

fn plug_in(end: &EndSpec) -> Result<Opened, CableError> {
    fn live(source: impl Source + 'static, sink: impl Sink + 'static) -> Opened {
        Opened {
            live: Some(Box::new(source)),
            replay: None,
            sink: Some(Box::new(sink)),
        }
    }
    match end {
        EndSpec::None => Ok(Opened::default()),
        EndSpec::Interface(name) => cable::interface(name).map(|(source, sink)| live(source, sink)),
        EndSpec::Tap(name) => cable::tap(name).map(|(source, sink)| live(source, sink)),
        EndSpec::Captures { read, write } => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_and_a_missing_file_are_told_apart() {
        let interface = open(&EndSpec::Interface("no-such-0".into()))
            .err()
            .expect("it is refused");
        assert_eq!(interface.exit(), Exit::Failed);
        let text = format!("{interface:?}");
        assert!(text.contains("there is no interface `no-such-0`"), "{text}");
        let file: EndSpec = "read:/no/such/file.pcap"
            .parse()
            .expect("it is well formed");
        let text = format!("{:?}", open(&file).err().expect("it is refused"));
        assert!(text.contains("cannot read /no/such/file.pcap"), "{text}");
    }
}

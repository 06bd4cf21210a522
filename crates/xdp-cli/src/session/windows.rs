//! Endpoints as named pipes that only administrators and the system reach: who may change filters is who may attach them.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use interprocess::ConnectWaitMode;
use interprocess::os::windows::named_pipe::{
    DuplexPipeStream, PipeListener, PipeListenerOptions, pipe_mode,
};
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::u16cstr;

use crate::error::{Exit, Failure};

/// Where pipes are.
const FOLDER: &str = r"\\.\pipe\";
/// What the names of ours start with.
const START: &str = "xdp-session-";

/// One connection.
pub(super) type Stream = DuplexPipeStream<pipe_mode::Bytes>;

/// An endpoint that others can connect to, until it is dropped.
pub(super) struct Endpoint(Arc<PipeListener<pipe_mode::Bytes, pipe_mode::Bytes>>);

fn path_of(name: &str) -> String {
    format!("{FOLDER}{START}{name}")
}

impl Endpoint {
    /// Opens an endpoint; none when there is one of this name already.
    pub(super) fn open(name: &str) -> Result<Option<Self>, Failure> {
        let path = path_of(name);
        let failed = |error: io::Error| Failure::new(format!("cannot open {path}")).because(error);
        // Full access for the owner, for administrators and for the system, none for anybody else.
        let access = u16cstr!("D:P(A;;GA;;;OW)(A;;GA;;;BA)(A;;GA;;;SY)");
        let access = SecurityDescriptor::deserialize(access).map_err(failed)?;
        let listener = PipeListenerOptions::new()
            .path(path.as_str())
            .security_descriptor(Some(access))
            .create_duplex::<pipe_mode::Bytes>();
        match listener {
            Ok(listener) => Ok(Some(Self(Arc::new(listener)))),
            // Somebody has made the first pipe of this name.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Waits for the next connection.
    pub(super) fn accept(&self, _patience: Duration) -> io::Result<Stream> {
        self.0.accept()
    }

    /// The same endpoint for another thread.
    pub(super) fn share(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }
}

/// Connects to the session of this name; none when there is none.
pub(super) fn connect(name: &str, patience: Duration) -> Result<Option<Stream>, Failure> {
    let path = path_of(name);
    match Stream::connect_by_path_with_wait_mode(path.as_str(), ConnectWaitMode::Timeout(patience))
    {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let exit = match error.kind() {
                ErrorKind::PermissionDenied => Exit::NotPermitted,
                _ => Exit::Failed,
            };
            Err(Failure::new(format!("cannot connect to {path}"))
                .because(error)
                .ending(exit))
        }
    }
}

/// The names of all sessions.
pub(crate) fn names() -> Vec<String> {
    let Ok(pipes) = std::fs::read_dir(FOLDER) else {
        return Vec::new();
    };
    let names = pipes.filter_map(|pipe| {
        let name = pipe.ok()?.file_name().into_string().ok()?;
        name.strip_prefix(START).map(ToOwned::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

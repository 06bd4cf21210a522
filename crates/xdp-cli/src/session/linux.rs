//! Endpoints as Unix sockets in a folder that only the user can enter.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use xdp::lab::{private_runtime_folder, runtime_folder};

use crate::error::{Exit, Failure};

/// What names of sockets end with.
const ENDING: &str = ".sock";

/// An endpoint that others can connect to, until it is dropped.
pub(super) struct Endpoint {
    listener: UnixListener,
    path: PathBuf,
}

/// One connection.
pub(super) type Stream = UnixStream;

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

/// Connects to a socket; none when nobody listens (any more).
fn open(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

impl Endpoint {
    /// Opens an endpoint; none when there is one of this name already.
    pub(super) fn open(name: &str) -> Result<Option<Self>, Failure> {
        let path = path_of(&private_runtime_folder()?, name);
        let failed = |error: io::Error| {
            Failure::new(format!("cannot open {}", path.display())).because(error)
        };
        for _ in 0..3 {
            match UnixListener::bind(&path) {
                Ok(listener) => return Ok(Some(Self { listener, path })),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(failed(error)),
            }
            if open(&path).map_err(failed)?.is_some() {
                return Ok(None);
            }
            // Left behind by a process that was killed.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Waits for the next connection.
    pub(super) fn accept(&self, patience: Duration) -> io::Result<Stream> {
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(stream)
    }

    /// The same endpoint for another thread, without the duty to clean up.
    pub(super) fn share(&self) -> io::Result<Self> {
        Ok(Self {
            listener: self.listener.try_clone()?,
            path: PathBuf::new(),
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nothing is lost when it stays: whoever finds it notices that nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to the session of this name; none when there is none.
pub(super) fn connect(name: &str, patience: Duration) -> Result<Option<Stream>, Failure> {
    let path = path_of(&runtime_folder(), name);
    let connected = open(&path).and_then(|stream| {
        if let Some(stream) = &stream {
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(patience))?;
        }
        Ok(stream)
    });
    connected.map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::PermissionDenied => Exit::NotPermitted,
            _ => Exit::Failed,
        };
        Failure::new(format!("cannot connect to {}", path.display()))
            .because(error)
            .ending(exit)
    })
}

/// The names of all sessions of this user, some of which may have ended without a trace.
pub(crate) fn names() -> Vec<String> {
    let Ok(files) = fs::read_dir(runtime_folder()) else {
        return Vec::new();
    };
    let names = files.filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        name.strip_suffix(ENDING).map(ToOwned::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

//! Endpoints as Unix sockets in a folder that only the user can enter.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

fn folder() -> PathBuf {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(own) = given("XDP_RUNTIME_DIR") {
        return own.into();
    }
    match given("XDG_RUNTIME_DIR") {
        Some(runtime) => Path::new(&runtime).join("xdp"),
        None => std::env::temp_dir().join(format!("xdp-{}", user())),
    }
}

/// Makes the folder if it is missing; one that others can enter is refused.
fn private_folder() -> Result<PathBuf, Failure> {
    let folder = folder();
    let failed = |cause: String| {
        Failure::new(format!("cannot use the folder {}", folder.display()))
            .because(cause)
            .hint("name a folder of your own in XDP_RUNTIME_DIR, with access for nobody else (chmod 700)")
            .ending(Exit::NotPermitted)
    };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    // A link of somebody else's making could lead anywhere.
    let found = fs::symlink_metadata(&folder).map_err(|error| failed(error.to_string()))?;
    if !found.is_dir() || found.uid() != user() {
        return Err(failed("it is not a folder of this user".into()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(failed("others have access to it".into()));
    }
    Ok(folder)
}

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
        let path = path_of(&private_folder()?, name);
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
    let path = path_of(&folder(), name);
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
    let Ok(files) = fs::read_dir(folder()) else {
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

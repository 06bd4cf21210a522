//! The folder in which programs of a user find each other, and the sockets of labs in it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt::socket_peercred;

use crate::error::{Call, Error, Kind};

/// What names of sockets of labs end with.
const ENDING: &str = ".lab";
/// The longest name of a lab.
const LONGEST_NAME: usize = 48;

fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The folder in which labs that are shared are found: `XDP_RUNTIME_DIR`, or `xdp` in `XDG_RUNTIME_DIR`, or a folder of the user
/// where temporary files are. It may not be there yet.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(own) = given("XDP_RUNTIME_DIR") {
        return own.into();
    }
    match given("XDG_RUNTIME_DIR") {
        Some(runtime) => Path::new(&runtime).join("xdp"),
        None => std::env::temp_dir().join(format!("xdp-{}", user())),
    }
}

/// The folder of [`runtime_folder`], which is made if it is missing.
///
/// # Errors
///
/// [`Kind::NotPermitted`] when it cannot be made, or others have access to it.
pub fn private_runtime_folder() -> Result<PathBuf, Error> {
    let folder = runtime_folder();
    let failed = |cause: String| {
        let object = folder.display().to_string();
        Error::new(Kind::NotPermitted, Call::UseFolder, object, cause).advise(
            "name a folder of your own in XDP_RUNTIME_DIR, with access for nobody else (chmod 700)",
        )
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

/// Whether a lab can be called so: it becomes part of a file name.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_name {
        return Ok(());
    }
    let cause = format!(
        "a name has 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores, and starts with a letter or digit"
    );
    Err(Error::new(
        Kind::InvalidArgument,
        Call::ShareLab,
        name,
        cause,
    ))
}

/// Where the socket of a lab is.
pub(super) fn socket(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

/// Listens where programs look for a lab of this name.
pub(super) fn listen(name: &str) -> Result<(UnixListener, PathBuf), Error> {
    let path = socket(&private_runtime_folder()?, name);
    let failed = |error: io::Error| {
        let cause = format!("{}: {error}", path.display());
        Error::new(Kind::Failed, Call::ShareLab, name, cause)
    };
    for _ in 0..3 {
        match UnixListener::bind(&path) {
            Ok(listener) => return Ok((listener, path)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(failed(error)),
        }
        if connect(&path).map_err(failed)?.is_some() {
            break;
        }
        // Left behind by a process that was killed.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let cause = "there is a lab of this name already";
    Err(Error::new(Kind::Busy, Call::ShareLab, name, cause).advise("choose another name"))
}

/// Connects to a socket of this user; none when nobody listens (any more).
pub(super) fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                    Ok(None)
                }
                _ => Err(error),
            };
        }
    };
    if is_of_this_user(&stream) {
        Ok(Some(stream))
    } else {
        Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "it is a lab of another user",
        ))
    }
}

/// Whether the other end of a connection is this user.
pub(super) fn is_of_this_user(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == user())
}

/// The names of labs that are shared.
pub(super) fn names() -> Vec<String> {
    let Ok(files) = fs::read_dir(runtime_folder()) else {
        return Vec::new();
    };
    let names = files.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().into_string().ok()?;
        let name = name.strip_suffix(ENDING)?.to_owned();
        // One that was killed left its socket behind.
        connect(&file.path()).ok()?.map(|_| name)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

//! The driver of a lab: where its file is, and what it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nt_sim::{DriverEntry, Import, LabError, PeError, Rule};

use super::Address;
use crate::error::{Call, Error, Fault, Kind};
use crate::sys::lab::fault;

/// Where a build puts the driver, from its target folder on.
const BUILT: &str = "driver/x86_64/xdp.sys";
/// Name of the service of a driver that has no file of which it could have it.
const SERVICE: &str = "xdp";

/// The driver that runs in a lab. Its text is for people: file, size, SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driver {
    /// Name of its service.
    pub service: String,
    /// Its file; none when it is linked into this program.
    pub file: Option<DriverFile>,
}

/// The file of a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: usize,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it imports and the simulated kernel does not have: calling one stops the lab.
    pub unimplemented_imports: Vec<Import>,
}

/// What is booted.
pub(super) enum Image {
    File(PathBuf),
    Linked(DriverEntry),
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(
                f,
                "{} ({} bytes, SHA-256 {})",
                file.path.display(),
                file.bytes,
                file.sha256
            ),
            None => f.write_str("linked into this program"),
        }
    }
}

impl Image {
    /// Name of its service, under which its settings are.
    pub(super) fn service(&self) -> String {
        match self {
            Self::File(file) => file.file_stem().map_or_else(
                || SERVICE.to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
            Self::Linked(_) => SERVICE.to_owned(),
        }
    }

    /// Loads and starts it.
    pub(super) fn start(
        &self,
        lab: &Arc<nt_sim::Lab>,
        service: &str,
    ) -> Result<(nt_sim::Driver<'static>, Driver), Error> {
        let (started, path) = match self {
            Self::File(file) => (lab.load_as(file, service), Some(file)),
            Self::Linked(entry) => (lab.start_linked(service, *entry), None),
        };
        let driver = started.map_err(|error| not_started(path.map(PathBuf::as_path), error))?;
        let file = path.map(|path| DriverFile {
            path: path.clone(),
            bytes: driver.file_size().unwrap_or_default(),
            sha256: driver
                .sha256()
                .iter()
                .flatten()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            imports: driver.imports().to_vec(),
            unimplemented_imports: driver.unimplemented_imports().to_vec(),
        });
        let described = Driver {
            service: service.to_owned(),
            file,
        };
        Ok((driver.shared(lab), described))
    }
}

/// Why a driver did not start, as one sentence where its file is the cause.
fn not_started(file: Option<&Path>, error: LabError) -> Error {
    let object = file.map_or_else(
        || "linked into this program".to_owned(),
        |file| file.display().to_string(),
    );
    let fault = match error {
        LabError::Image { cause, .. } => {
            let kind = match &cause {
                PeError::Read(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    Kind::NotPermitted
                }
                _ => Kind::DriverAbsent,
            };
            Fault::of(kind, cause.to_string())
        }
        LabError::BugCheck(report) if report.rule == Rule::UnimplementedImport => Fault::Other {
            kind: Kind::DriverAbsent,
            cause: report.details,
            advice: Some(
                "check that the name is one of Windows; if it is, this lab does not have it yet: \
                 look it up by name at run time, or run a driver that does without"
                    .to_owned(),
            ),
        },
        error => at_boot(error),
    };
    fault.during(Call::LoadDriver, object)
}

/// What went wrong before there was anything to ask: a status is not the answer to a request.
pub(super) fn at_boot(error: LabError) -> Fault {
    match error {
        LabError::Status { .. } => Fault::of(Kind::Failed, error.to_string()),
        error => fault(error),
    }
}

/// The driver file that was built last beside this program or in `CARGO_TARGET_DIR`, if there is one.
#[must_use]
pub fn built_driver() -> Option<PathBuf> {
    // Programs lie in target/PROFILE, tests in target/PROFILE/deps, programs of other targets one deeper.
    let program = std::env::current_exe().ok();
    let around = program
        .iter()
        .flat_map(|program| program.ancestors().skip(1).take(5));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folders = target.iter().map(PathBuf::as_path).chain(around);
    folders
        .map(|folder: &Path| folder.join(BUILT))
        .find(|file| file.is_file())
}

/// The file that an address, the environment or the last build says.
pub(super) fn find(address: &Address) -> Result<PathBuf, Error> {
    if let Some(file) = &address.driver {
        return Ok(file.clone());
    }
    if let Some(file) = std::env::var_os("XDP_DRIVER") {
        return Ok(file.into());
    }
    built_driver().ok_or_else(|| {
        let cause = "there is no driver file: none is named and none was built";
        Error::new(Kind::DriverAbsent, Call::Boot, address.to_string(), cause).advise(
            "build it with `cargo xtask driver`, or name a file by driver=FILE or XDP_DRIVER",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_after_its_file() {
        for (file, service) in [("a/null.sys", "null"), ("xdp.sys", "xdp"), ("/", "xdp")] {
            assert_eq!(Image::File(file.into()).service(), service);
        }
    }

    #[test]
    fn a_file_that_cannot_be_booted_is_told_with_its_name() {
        for (error, kind) in [
            (std::io::ErrorKind::NotFound, Kind::DriverAbsent),
            (std::io::ErrorKind::PermissionDenied, Kind::NotPermitted),
        ] {
            let error = LabError::Image {
                file: "x.sys".into(),
                cause: PeError::Read(error.into()),
            };
            let error = not_started(Some(Path::new("x.sys")), error);
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            assert!(
                text.starts_with("cannot boot the driver (x.sys): cannot read the driver file"),
                "{text}"
            );
        }
    }
}

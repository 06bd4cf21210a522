//! Where the driver file is.

use std::path::{Path, PathBuf};

use super::Address;
use crate::error::{Call, Error, Kind};

/// Where a build puts the driver, from its target folder on.
const BUILT: &str = "driver/x86_64/xdp.sys";

/// The file that an address, the environment or the last build says.
pub(super) fn find(address: &Address) -> Result<PathBuf, Error> {
    if let Some(file) = &address.driver {
        return Ok(file.clone());
    }
    if let Some(file) = std::env::var_os("XDP_DRIVER") {
        return Ok(file.into());
    }
    built().ok_or_else(|| {
        let cause = "there is no driver file: none is named and none was built";
        Error::new(Kind::DriverAbsent, Call::Boot, address.to_string(), cause).advise(
            "build it with `cargo xtask driver`, or name a file by driver=FILE or XDP_DRIVER",
        )
    })
}

fn built() -> Option<PathBuf> {
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

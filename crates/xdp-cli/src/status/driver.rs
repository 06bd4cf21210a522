//! Which driver it is, and whose the things in it are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::output::Record;

/// Comes before the version in the resource of a driver file.
const FIXED_INFO: [u8; 4] = 0xFEEF_04BD_u32.to_le_bytes();

/// The driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DriverRecord {
    /// Its file, or what it is in a few words.
    pub(crate) driver: String,
    /// Of the file's resource.
    pub(crate) version: Option<String>,
}

impl Record for DriverRecord {
    const KIND: &'static str = "driver";
    const LABELS: &'static [&'static str] = &["driver", "version"];
}

impl DriverRecord {
    /// The driver in this file.
    pub(crate) fn of_file(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_default();
        Self {
            driver: file.display().to_string(),
            version: version(&bytes),
        }
    }

    /// The driver of a lab.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(super) fn of_lab(driver: &xdp::lab::Driver) -> Self {
        match &driver.file {
            Some(file) => Self::of_file(&file.path),
            None => Self {
                driver: driver.to_string(),
                version: None,
            },
        }
    }

    /// The driver of this Windows.
    #[cfg(windows)]
    pub(crate) fn of_windows() -> Option<Self> {
        let root = std::env::var_os("SystemRoot")?;
        let file = Path::new(&root).join(r"System32\drivers\xdp.sys");
        file.is_file().then(|| Self::of_file(&file))
    }

    #[cfg(not(windows))]
    pub(crate) fn of_windows() -> Option<Self> {
        None
    }

    /// What it is, in a line.
    pub(crate) fn line(&self) -> String {
        match &self.version {
            Some(version) => format!("driver {version}: {}", self.driver),
            None => format!("driver: {}", self.driver),
        }
    }
}

/// The version in the resource of a driver file.
fn version(file: &[u8]) -> Option<String> {
    let at = file.windows(4).position(|window| window == FIXED_INFO)?;
    // The version of the structure comes first, then the upper and the lower half of the file's version.
    let word = |offset: usize| -> Option<u16> {
        Some(u16::from_le_bytes(*file.get(at + offset..)?.first_chunk()?))
    };
    Some(format!(
        "{}.{}.{}.{}",
        word(10)?,
        word(8)?,
        word(14)?,
        word(12)?
    ))
}

/// Names of processes.
#[derive(Default)]
pub(super) struct Processes {
    /// What all others are called.
    all: Option<String>,
    named: BTreeMap<u64, String>,
}

impl Processes {
    /// The processes of a lab: some that are known by their numbers, and whoever runs it.
    pub(super) fn of_lab(runner: String, others: impl IntoIterator<Item = (u64, String)>) -> Self {
        Self {
            all: Some(runner),
            named: others.into_iter().collect(),
        }
    }

    /// The processes of this Windows, as far as it tells.
    pub(super) fn of_windows() -> Self {
        let list = std::process::Command::new("tasklist.exe")
            .args(["/FO", "CSV", "/NH"])
            .output();
        let text = list.map_or_else(
            |_| String::new(),
            |list| String::from_utf8_lossy(&list.stdout).into_owned(),
        );
        Self {
            all: None,
            named: text.lines().filter_map(task).collect(),
        }
    }

    pub(super) fn name(&self, id: u64) -> Option<String> {
        self.named.get(&id).or(self.all.as_ref()).cloned()
    }
}

/// A line of `tasklist`: name, number and more, each in quotes.
fn task(line: &str) -> Option<(u64, String)> {
    let mut cells = line.trim().strip_prefix('"')?.split("\",\"");
    let (name, id) = (cells.next()?, cells.next()?);
    Some((id.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_a_file() {
        let mut file = vec![0; 100];
        file.extend(FIXED_INFO);
        file.extend(0x0001_0000_u32.to_le_bytes());
        file.extend(0x0001_0002_u32.to_le_bytes());
        file.extend(0x0003_0004_u32.to_le_bytes());
        assert_eq!(version(&file).as_deref(), Some("1.2.3.4"));
        for size in 0..file.len() {
            assert_eq!(version(&file[..size]), None);
        }
    }

    #[test]
    fn tasks_are_read_from_their_list() {
        let line = "\"My, program.exe\",\"4711\",\"Console\",\"1\",\"10,144 K\"\r";
        assert_eq!(task(line), Some((4711, "My, program.exe".into())));
        for wrong in ["", "INFO: No tasks", "\"a\"", "\"a\",\"b\""] {
            assert_eq!(task(wrong), None, "{wrong}");
        }
    }
}

//! What the release machine code of a library can reach: for tests that hot functions have no way to panic or to allocate.
//!
//! Whatever a function refers to, it is taken to call: other functions, and data with references to functions in it. What is
//! found outside of the libraries that were looked at is all that a function can get to.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};

/// What hot functions may call outside of our code.
const HARMLESS: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// Machine code of some libraries: sections, and what each refers to.
#[derive(Default)]
pub struct Code {
    /// From a symbol that is defined somewhere to its section.
    defined: HashMap<String, usize>,
    sections: Vec<Section>,
}

#[derive(Default)]
struct Section {
    /// A symbol in it: functions have sections of their own.
    name: String,
    targets: Vec<Target>,
}

enum Target {
    Section(usize),
    Symbol(String),
}

/// What is reached from somewhere.
pub struct Reached<'a> {
    /// Names of functions and data that were looked at.
    pub inside: BTreeSet<&'a str>,
    /// Names of what is called that is not there.
    pub outside: BTreeSet<&'a str>,
}

impl Reached<'_> {
    /// Returns what is called that is not known to do nothing but copy, fill and compare memory.
    #[must_use]
    pub fn harmful(&self) -> Vec<&str> {
        let outside = self.outside.iter().copied();
        outside.filter(|name| !HARMLESS.contains(name)).collect()
    }
}

impl Code {
    /// Builds a package for release with a feature, and reads the machine code of some of the libraries that come out of it.
    ///
    /// `manifest` is the folder of the package, `scratch` one for the build; both as cargo tells a test.
    ///
    /// # Panics
    ///
    /// If the package cannot be built, or what was built cannot be read.
    #[must_use]
    pub fn of(manifest: &str, scratch: &str, feature: &str, libraries: &[&str]) -> Self {
        let folder = build(manifest, scratch, feature);
        let mut code = Self::default();
        for library in libraries {
            code.add_library(&newest(&folder, library));
        }
        code
    }

    /// Returns the names of defined symbols that contain `part`.
    #[must_use]
    pub fn named(&self, part: &str) -> BTreeSet<&str> {
        let names = self.defined.keys().map(String::as_str);
        names.filter(|name| name.contains(part)).collect()
    }

    /// Follows everything that the symbols whose names contain `part` refer to.
    ///
    /// # Panics
    ///
    /// If there is no such symbol.
    #[must_use]
    pub fn reach(&self, part: &str) -> Reached<'_> {
        let starts = self
            .defined
            .iter()
            .filter(|(name, _)| name.contains(part))
            .map(|(_, section)| *section);
        let mut open: Vec<usize> = starts.collect();
        assert!(!open.is_empty(), "there is no {part}");
        let mut seen: HashSet<usize> = open.iter().copied().collect();
        let mut outside = BTreeSet::new();
        while let Some(section) = open.pop() {
            for target in &self.sections[section].targets {
                let next = match target {
                    Target::Section(section) => *section,
                    Target::Symbol(name) => match self.defined.get(name) {
                        Some(section) => *section,
                        None => {
                            outside.insert(name.as_str());
                            continue;
                        }
                    },
                };
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        let names = seen.iter().map(|at| self.sections[*at].name.as_str());
        Reached {
            inside: names.collect(),
            outside,
        }
    }

    fn add_library(&mut self, path: &Path) {
        let data = std::fs::read(path).expect("a library that was built");
        let archive = ArchiveFile::parse(&*data).expect("an archive");
        for member in archive.members() {
            let member = member.expect("a member");
            // An archive also holds metadata.
            if let Ok(file) = object::File::parse(member.data(&*data).expect("its bytes")) {
                self.add(&file);
            }
        }
    }

    fn add(&mut self, file: &object::File<'_>) {
        let first = self.sections.len();
        let place = |index: SectionIndex| first + index.0;
        let last = file.sections().map(|section| section.index().0).max();
        let count = last.map_or(0, |last| last + 1);
        self.sections.resize_with(first + count, Section::default);
        for symbol in file.symbols() {
            if let (Ok(name), Some(index)) = (symbol.name(), symbol.section_index())
                && !name.is_empty()
            {
                name.clone_into(&mut self.sections[place(index)].name);
                if symbol.is_global() {
                    self.defined.insert(name.to_owned(), place(index));
                }
            }
        }
        for section in file.sections() {
            let targets = section.relocations().filter_map(|(_, relocation)| {
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    return None;
                };
                let symbol = file.symbol_by_index(index).ok()?;
                Some(match symbol.section_index() {
                    Some(index) => Target::Section(place(index)),
                    None => Target::Symbol(symbol.name().ok()?.to_owned()),
                })
            });
            self.sections[place(section.index())].targets = targets.collect();
        }
    }
}

/// Builds the package as it is shipped, but without link-time optimisation, which would leave no machine code in a library.
fn build(manifest: &str, scratch: &str, feature: &str) -> PathBuf {
    // Packages that are built side by side want the same libraries with other features: each has a folder of its own.
    let package = Path::new(manifest).file_name().expect("a folder");
    let target = Path::new(scratch).join("panic-paths").join(package);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["rustc", "--quiet", "--release", "--lib"])
        .args(["--features", feature])
        .arg("--manifest-path")
        .arg(Path::new(manifest).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "false")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_INCREMENTAL")
        .env("RUSTFLAGS", "-Csymbol-mangling-version=v0")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the package is not built");
    target.join("release/deps")
}

/// Returns the library of this name that was built last.
fn newest(folder: &Path, library: &str) -> PathBuf {
    let prefix = format!("lib{}-", library.replace('-', "_"));
    std::fs::read_dir(folder)
        .expect("the build folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".rlib")
        })
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
        .expect("the library was built")
}

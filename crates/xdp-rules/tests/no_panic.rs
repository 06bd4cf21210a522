//! Matching has no way to panic and none to allocate: what the compiler made of it is searched for calls of anything else.

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that matching may call outside the crates it is made of.
const ALLOWED: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// Where code begins that must not panic.
const ROOTS: [&str; 3] = ["3hot8classify", "3hot13classify_many", "3hot4find"];

/// Builds the crate as it is shipped, but without link-time optimisation, so that the library holds machine code.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-panic");
    let status = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--release", "--lib"])
        .args(["--features", "oracle", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .env("CARGO_PROFILE_RELEASE_INCREMENTAL", "false")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_INCREMENTAL")
        .env("RUSTFLAGS", "-Csymbol-mangling-version=v0")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the crate builds");
    target.join("release/deps")
}

/// Sections of machine code and read-only data, and what each refers to.
#[derive(Default)]
struct Graph {
    /// From a symbol that is defined somewhere to its section.
    defined: HashMap<String, usize>,
    /// Names of the symbols of each section, and what it refers to.
    sections: Vec<(String, Vec<Target>)>,
}

enum Target {
    Section(usize),
    Symbol(String),
}

impl Graph {
    fn add(&mut self, data: &[u8]) {
        let Ok(file) = object::File::parse(data) else {
            // An archive also holds metadata.
            return;
        };
        let first = self.sections.len();
        let place = |index: SectionIndex| first + index.0;
        let count = file.sections().map(|section| section.index().0).max();
        for _ in 0..=count.unwrap_or(0) {
            self.sections.push((String::new(), Vec::new()));
        }
        for symbol in file.symbols() {
            if let (Ok(name), Some(index)) = (symbol.name(), symbol.section_index())
                && !name.is_empty()
            {
                self.sections[place(index)].0 = name.to_owned();
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
            self.sections[place(section.index())].1 = targets.collect();
        }
    }

    fn add_library(&mut self, path: &Path) {
        let data = std::fs::read(path).expect("a library");
        let archive = object::read::archive::ArchiveFile::parse(&*data).expect("an archive");
        for member in archive.members() {
            let member = member.expect("a member");
            self.add(member.data(&*data).expect("its bytes"));
        }
    }

    /// Returns the names of the functions reached from the roots, and of what they call that is not here.
    fn reach(&self, roots: &[&str]) -> (HashSet<&str>, HashSet<&str>) {
        let mut open: Vec<usize> = Vec::new();
        for root in roots {
            let before = open.len();
            let found = self.defined.iter().filter(|(name, _)| name.contains(root));
            open.extend(found.map(|(_, section)| *section));
            assert!(open.len() > before, "there is no {root}");
        }
        let mut seen: HashSet<usize> = open.iter().copied().collect();
        let mut outside = HashSet::new();
        while let Some(section) = open.pop() {
            for target in &self.sections[section].1 {
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
        let names = seen
            .iter()
            .map(|section| self.sections[*section].0.as_str());
        (names.collect(), outside)
    }
}

fn graph() -> Graph {
    let folder = build();
    let mut graph = Graph::default();
    for entry in std::fs::read_dir(&folder).expect("the build folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = name.starts_with("libxdp_rules-") || name.starts_with("libxdp_packet-");
        if is_ours && name.ends_with(".rlib") {
            graph.add_library(&path);
        }
    }
    graph
}

#[test]
fn matching_reaches_no_panic_and_no_allocation() {
    let graph = graph();
    let (reached, outside) = graph.reach(&ROOTS);
    // What is searched has to be there: the searches, and parsing split frames.
    for part in [
        "4find7prefix4",
        "find3cid",
        "find_further",
        "parse_gathered",
    ] {
        assert!(
            reached.iter().any(|name| name.contains(part)),
            "{part} was not reached: {reached:?}"
        );
    }
    let forbidden: Vec<&&str> = outside
        .iter()
        .filter(|name| !ALLOWED.contains(name))
        .collect();
    assert!(forbidden.is_empty(), "matching calls {forbidden:?}");

    // The same search does see calls to the outside where there are some: a test's equivalence run allocates. A panic would be
    // one more name that is not allowed.
    let (_, outside) = graph.reach(&["Equivalence4step"]);
    assert!(
        outside.iter().any(|name| name.contains("__rust_alloc")),
        "no allocation among {outside:?}"
    );
}

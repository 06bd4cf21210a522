//! Looks at the release object code of what runs for every frame: no path may lead to a panic, and none may leave the
//! object except to copy memory.

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionKind, SymbolIndex};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What may be called outside the object.
const ALLOWED: &[&str] = &["memcpy", "memmove", "memset", "memcmp"];

/// Compiles the library for release, with instances of what is hot, and returns its object file.
fn compile() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("a target folder");
    let status = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--lib",
            "--features",
            "hot-paths",
            "--target-dir",
        ])
        .arg(target)
        .args(["--", "--emit=obj", "-Cdebuginfo=0"])
        // Link-time optimisation would leave bitcode where machine code is to be looked at.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the library does not compile");
    let objects: Vec<PathBuf> = std::fs::read_dir(target.join("release/deps"))
        .expect("the library was built")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("xdp_packet-") && name.ends_with(".o")
        })
        .collect();
    let newest = objects
        .into_iter()
        .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.expect("there is an object file")
}

/// Machine code, function by function.
struct Code<'data> {
    file: object::File<'data>,
    /// Functions; each has a section of its own.
    functions: Vec<SymbolIndex>,
}

impl<'data> Code<'data> {
    fn parse(bytes: &'data [u8]) -> Self {
        let file = object::File::parse(bytes).expect("an object file");
        let functions = file
            .symbols()
            .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.is_definition())
            .map(|symbol| symbol.index())
            .collect();
        Self { file, functions }
    }

    fn name(&self, symbol: SymbolIndex) -> String {
        self.file
            .symbol_by_index(symbol)
            .expect("a symbol")
            .name()
            .expect("a name")
            .to_owned()
    }

    /// Functions whose name contains `part`.
    fn named(&self, part: &str) -> Vec<SymbolIndex> {
        self.functions
            .iter()
            .copied()
            .filter(|&symbol| self.name(symbol).contains(part))
            .collect()
    }

    /// Everything outside the object that a function may reach, through whatever it calls.
    fn reaches(&self, root: SymbolIndex) -> BTreeSet<String> {
        let mut outside = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut left = vec![
            self.file
                .symbol_by_index(root)
                .expect("a symbol")
                .section_index()
                .expect("defined"),
        ];
        while let Some(section) = left.pop() {
            if !seen.insert(section) {
                continue;
            }
            for (_, relocation) in self
                .file
                .section_by_index(section)
                .expect("a section")
                .relocations()
            {
                let RelocationTarget::Symbol(target) = relocation.target() else {
                    continue;
                };
                let symbol = self.file.symbol_by_index(target).expect("a symbol");
                match symbol.section_index() {
                    None => {
                        outside.insert(self.name(target));
                    }
                    Some(section) => {
                        if self
                            .file
                            .section_by_index(section)
                            .expect("a section")
                            .kind()
                            == SectionKind::Text
                        {
                            left.push(section);
                        }
                    }
                }
            }
        }
        outside
    }
}

#[test]
fn hot_functions_cannot_panic() {
    let bytes = std::fs::read(compile()).expect("the object file is readable");
    let code = Code::parse(&bytes);

    let planted = code.named("planted_panic");
    assert_eq!(planted.len(), 1, "the planted panic is missing");
    let reached = code.reaches(planted[0]);
    assert!(
        reached.iter().any(|name| name.contains("panic")),
        "the planted panic is not found: {reached:?}"
    );

    let hot = code.named("hot_paths");
    let mut inspected = 0;
    for function in hot
        .into_iter()
        .filter(|function| !planted.contains(function))
    {
        inspected += 1;
        let reached = code.reaches(function);
        let forbidden: Vec<&String> = reached
            .iter()
            .filter(|name| !ALLOWED.contains(&name.as_str()))
            .collect();
        assert!(
            forbidden.is_empty(),
            "{} reaches {forbidden:?}",
            code.name(function)
        );
    }
    assert!(inspected >= 10, "only {inspected} hot functions found");
}

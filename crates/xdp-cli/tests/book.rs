//! Every command that the book and the README show is run, or, where that takes what is not here, at least understood.
//!
//! - A block `toml file=NAME` is a file that later commands use.
//! - In a block `console`, a line that starts with `$ ` is a command. It must end well. `console root` is run as root, between
//!   network namespaces; `console driver` where a driver file was built. Lines that follow are what it prints, messages after
//!   the rest: in such a line `…` stands for anything, and a line `...` for any lines.
//! - In a block `text`, such a line must be one that the command line takes.
//! - In a block `sh`, a line that starts with `xdp ` must be one that the command line takes, and what `cargo` is told must exist.
//! - A block `sh run` is pasted into a shell in the root of the repository, and has to end well.
//! - What names a lab of another terminal must be a command that reaches it.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use namespaces::{LEFT, Network, RIGHT, STACK, WIRE, driver_file, why_not};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A fenced block: what stands behind the fence, its lines, and the line that it begins at.
struct Block {
    info: String,
    lines: Vec<String>,
    at: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(info), None) => {
                open = Some(Block {
                    info: info.to_owned(),
                    lines: Vec::new(),
                    at: number + 1,
                });
            }
            (None, Some(mut block)) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Where the commands of a chapter are run.
struct Place {
    folder: tempfile::TempDir,
    driver: Option<PathBuf>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for file in [
            "samples/captures/two-hosts.pcap",
            "crates/xdp-cli/tests/data/office.toml",
            "crates/xdp-cli/tests/data/office.pcap",
        ] {
            let from = root().join(file);
            let name = from.file_name().expect("it has a name");
            std::fs::copy(&from, folder.path().join(name)).expect("it can be copied");
        }
        std::os::unix::fs::symlink(root().join("samples"), folder.path().join("samples"))
            .expect("the samples can be linked");
        let driver = driver_file();
        if let Some(driver) = &driver {
            std::fs::copy(driver, folder.path().join("xdp.sys")).expect("it can be copied");
        }
        Self { folder, driver }
    }

    /// Runs a command and expects it to end well, and to print what is shown.
    fn run(&self, words: &[&str], network: Option<&Network>, shown: &str, prints: &[&str]) {
        let program = env!("CARGO_BIN_EXE_xdp");
        let mut command = match network {
            Some(network) => network.command("lab", program),
            None => Command::new(program),
        };
        for word in words {
            // The test's cables have names of their own.
            command.arg(
                word.replace("if:veth1", &format!("if:{WIRE}"))
                    .replace("if:veth2", &format!("if:{STACK}")),
            );
        }
        if words.starts_with(&["lab", "run"]) {
            if network.is_some() {
                command.args(["--duration", "500ms"]);
            }
            match &self.driver {
                _ if words.contains(&"--driver") => {}
                Some(driver) => drop(command.env("XDP_DRIVER", driver)),
                None => drop(command.env_remove("XDP_DRIVER").arg("--linked")),
            }
        }
        if let Some(driver) = &self.driver
            && words.iter().any(|word| word.starts_with("lab:"))
        {
            command.env("XDP_DRIVER", driver);
        }
        let output = command
            .current_dir(self.folder.path())
            .output()
            .expect("xdp runs");
        let text =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let text = text.concat();
        assert!(
            output.status.success(),
            "{shown} ended with {}:\n{text}",
            output.status,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            prints.is_empty() || are_like(&lines, prints),
            "{shown} prints something else:\n{text}"
        );
    }
}

/// Whether lines are those that are shown, of which `...` stands for any.
fn are_like(lines: &[&str], shown: &[&str]) -> bool {
    match (lines, shown) {
        ([], []) => true,
        (_, ["..."]) => true,
        (_, ["...", rest @ ..]) => (0..=lines.len()).any(|at| are_like(&lines[at..], rest)),
        ([line, lines @ ..], [like, shown @ ..]) => is_like(line, like) && are_like(lines, shown),
        _ => false,
    }
}

/// Whether a line is the one that is shown, in which `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let Some((start, rest)) = shown.split_once('…') else {
        return line.trim_end() == shown.trim_end();
    };
    line.strip_prefix(start).is_some_and(|line| {
        (0..=line.len()).any(|at| line.get(at..).is_some_and(|end| is_like(end, rest)))
    })
}

#[test]
fn what_is_shown_is_compared() {
    let printed = ["a 1 b", "c", "d"];
    for shown in [
        &["a … b", "..."][..],
        &["...", "d"],
        &["a … b", "c", "d", "..."],
        &["…", "c", "d"],
    ] {
        assert!(are_like(&printed, shown), "{shown:?}");
    }
    for shown in [
        &["a … c", "..."][..],
        &["...", "c"],
        &["a 1 b", "d"],
        &["a 1 b", "c", "d", "e"],
    ] {
        assert!(!are_like(&printed, shown), "{shown:?}");
    }
}

fn understood(words: &[&str], shown: &str) {
    let full = std::iter::once("xdp").chain(words.iter().copied());
    if let Err(error) = xdp_cli::definition().try_get_matches_from(full) {
        panic!("{shown} is not understood: {error}");
    }
}

/// What a line of a `sh` block names must be there.
fn exists(line: &str, shown: &str) {
    let line = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => {}
        ["xdp", rest @ ..] => understood(rest, shown),
        ["./x", "demo" | "test"] => {}
        ["cargo", "xtask", task, ..] => {
            let source =
                std::fs::read_to_string(root().join("xtask/src/main.rs")).expect("xtask is there");
            let name: String = task[..1].to_uppercase() + &task[1..];
            assert!(
                source.contains(&format!("Task::{name}")),
                "{shown}: there is no such task"
            );
        }
        ["cargo", "install", "--locked", "--path", folder] => {
            let manifest = root().join(folder).join("Cargo.toml");
            assert!(manifest.exists(), "{shown}: there is no such package");
        }
        ["cargo", _, "-p", package, ..] => {
            let found = ["crates", "samples", "."].iter().any(|folder| {
                root()
                    .join(folder)
                    .join(package)
                    .join("Cargo.toml")
                    .exists()
            });
            assert!(
                found || *package == "CRATE",
                "{shown}: there is no such package"
            );
        }
        _ => panic!("{shown}: nothing here checks this command"),
    }
}

fn check(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).expect("the chapter is there");
    let place = Place::new();
    let network = why_not(&[])
        .is_none()
        .then(|| Network::build(&[LEFT, RIGHT]).expect("hosts can be made"));
    let mut commands = 0;
    for block in blocks(&text) {
        let name = file.display();
        if let Some(made) = block.info.strip_prefix("toml file=") {
            let text = block.lines.join("\n");
            std::fs::write(place.folder.path().join(made), text).expect("it can be written");
        }
        for (number, line) in block.lines.iter().enumerate() {
            let shown = format!("{name}:{}: {line}", block.at + number + 1);
            if block.info == "sh" {
                exists(line, &shown);
                commands += usize::from(line.starts_with("xdp "));
            }
            let Some(line) = line
                .strip_prefix("$ ")
                .or((block.info == "sh run").then_some(line))
            else {
                continue;
            };
            let line = line.split(" # ").next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            assert!(line.starts_with("xdp "), "{shown}: only `xdp` is run");
            understood(&words, &shown);
            commands += 1;
            let prints: Vec<&str> = block.lines[number + 1..]
                .iter()
                .map(String::as_str)
                .take_while(|line| !line.starts_with("$ "))
                .collect();
            match (block.info.as_str(), &network, &place.driver) {
                // What takes two terminals, or Windows.
                ("text", ..) => {}
                ("console", ..) => place.run(&words, None, &shown, &prints),
                ("console root", Some(network), _) => {
                    place.run(&words, Some(network), &shown, &prints);
                }
                ("sh run", ..) => place.run(&words, None, &shown, &[]),
                ("console driver", _, Some(_)) => place.run(&words, None, &shown, &prints),
                ("console root", None, _) => println!("not run without root: {line}"),
                ("console driver", _, None) => println!("not run without a driver file: {line}"),
                (other, ..) => panic!("{shown}: a block `{other}` is not known here"),
            }
        }
    }
    commands
}

#[test]
fn every_command_shown_works() {
    let book = root().join("docs/src");
    // Tested with their output by `transcripts`, or generated.
    let elsewhere = ["rules.md", "commands.md", "conformance.md"];
    let mut commands = check(&root().join("README.md"));
    for entry in std::fs::read_dir(book).expect("the book is there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".md") && !elsewhere.contains(&&*name) {
            commands += check(&path);
        }
    }
    assert!(commands > 15, "only {commands} commands were found");
}

#[test]
fn every_chapter_is_listed_and_every_link_leads_somewhere() {
    let book = root().join("docs/src");
    let summary = std::fs::read_to_string(book.join("SUMMARY.md")).expect("the summary is there");
    for entry in std::fs::read_dir(&book).expect("the book is there") {
        let path = entry.expect("it can be listed").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name.ends_with(".md") {
            continue;
        }
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("({name})")),
            "{name} is not in the summary"
        );
        let text = std::fs::read_to_string(&path).expect("the chapter can be read");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = target.split('#').next().unwrap_or_default();
            let is_file = !target.is_empty() && !target.contains("://");
            assert!(
                !is_file || book.join(target).exists(),
                "{name} links to {target}"
            );
        }
        for target in text
            .split("{{#include ")
            .skip(1)
            .filter_map(|rest| rest.split("}}").next())
        {
            let (file, anchor) = target.split_once(':').unwrap_or((target, ""));
            let source = std::fs::read_to_string(book.join(file)).unwrap_or_default();
            assert!(
                source.contains(&format!("ANCHOR: {anchor}")),
                "{name} includes {target}"
            );
        }
    }
}

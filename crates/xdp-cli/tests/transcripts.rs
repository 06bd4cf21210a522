//! Runs the commands in the documentation and in `tests/transcripts.md` and compares what they print.
//!
//! In a block marked `console`, a line that starts with `$ ` is a command; what follows is its output, standard output first.
//! A command that fails ends with its exit code in brackets. `XDP_BLESS=1` writes what was printed into the files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("xdp"), "only `xdp` is run: {line}");
    let output = Command::new(env!("CARGO_BIN_EXE_xdp"))
        .args(words)
        .current_dir(folder().join("tests/data"))
        .env_remove("CLICOLOR_FORCE")
        .env("COLUMNS", "120")
        .output()
        .expect("xdp runs");
    let mut text = String::from_utf8(output.stdout).expect("UTF-8");
    text.push_str(std::str::from_utf8(&output.stderr).expect("UTF-8"));
    match output.status.code() {
        Some(0) => {}
        Some(code) => writeln!(text, "[exit {code}]").unwrap(),
        None => panic!("{line} was killed: {}", output.status),
    }
    text
}

/// Returns the file as it would be if every command printed what it prints now.
fn replay(text: &str) -> (String, usize) {
    let (mut replayed, mut commands, mut inside) = (String::new(), 0, false);
    for line in text.lines() {
        if line == "```console" {
            inside = true;
        } else if line == "```" && inside {
            inside = false;
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            commands += 1;
            replayed.push_str(line);
            replayed.push('\n');
            // Blank lines at the end of a line are invisible, and editors remove them.
            for printed in run(command).lines() {
                replayed.push_str(printed.trim_end());
                replayed.push('\n');
            }
            continue;
        } else if inside {
            continue;
        }
        replayed.push_str(line);
        replayed.push('\n');
    }
    (replayed, commands)
}

/// How much memory compiled rules take is not for transcripts to hold still.
fn without_sizes(line: &str) -> String {
    if line.ends_with(" KiB in the driver") || line.trim_start().starts_with("\"memory_bytes\": ") {
        return line
            .rsplit_once([';', ':'])
            .map_or(line, |(before, _)| before)
            .to_owned();
    }
    line.to_owned()
}

fn check(path: &Path) {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (replayed, commands) = replay(&text);
    assert!(commands > 0, "{} has no commands", path.display());
    if std::env::var_os("XDP_BLESS").is_some() {
        std::fs::write(path, &replayed).unwrap();
        return;
    }
    for (number, (written, printed)) in text.lines().zip(replayed.lines()).enumerate() {
        let (written, printed) = (without_sizes(written), without_sizes(printed));
        assert_eq!(written, printed, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(
        text.lines().count(),
        replayed.lines().count(),
        "{}",
        path.display()
    );
}

#[test]
fn commands_print_what_the_transcripts_say() {
    check(&folder().join("tests/transcripts.md"));
}

#[test]
fn commands_print_what_the_book_says() {
    check(&folder().join("../../docs/src/rules.md"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let mut child = Command::new(env!("CARGO_BIN_EXE_xdp"))
        .args(["filter", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn rules_and_capture_are_read_from_pipes() {
    use std::io::Write;
    use std::process::Stdio;
    let data = folder().join("tests/data");
    for (args, file) in [
        (
            ["filter", "explain", "--rules", "-", "--read", "office.pcap"],
            "office.toml",
        ),
        (
            ["filter", "explain", "--rules", "office.toml", "--read", "-"],
            "office.pcap",
        ),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_xdp"))
            .args(args)
            .current_dir(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = std::fs::read(data.join(file)).unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("17  in all"));
    }
}

#[test]
fn the_reference_chapter_is_current() {
    // Only the lab is missing elsewhere.
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return;
    }
    let path = folder().join("../../docs/src/commands.md");
    let now = xdp_cli::manual::markdown(xdp_cli::definition());
    if std::env::var_os("XDP_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "docs/src/commands.md is not what the command line is now: `cargo xtask commands` writes it"
    );
}

#[test]
fn every_command_has_a_man_page() {
    let pages = xdp_cli::manual::pages(xdp_cli::definition()).unwrap();
    for (name, page) in &pages {
        let page = String::from_utf8_lossy(page);
        assert!(
            page.contains(".TH XDP") && page.contains(".SH SYNOPSIS"),
            "{name}"
        );
    }
    let has = |name: &str| pages.iter().any(|(file, _)| file == name);
    assert!(has("xdp.1") && has("xdp-filter.1") && has("xdp-filter-check.1"));
    let main = pages.iter().find(|(name, _)| name == "xdp.1").unwrap();
    assert!(String::from_utf8_lossy(&main.1).contains("EXIT STATUS"));
}

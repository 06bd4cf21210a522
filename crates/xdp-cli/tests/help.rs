//! Every subcommand has help with examples, and every example works when it is pasted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A subcommand and the examples in its help.
struct Documented {
    name: String,
    examples: Vec<String>,
}

/// The subcommands that do something.
fn leaves() -> Vec<Documented> {
    fn walk(command: &clap::Command, found: &mut Vec<Documented>) {
        if command.has_subcommands() {
            let shown =
                |command: &&clap::Command| command.get_name() != "help" && !command.is_hide_set();
            command
                .get_subcommands()
                .filter(shown)
                .for_each(|inner| walk(inner, found));
            return;
        }
        let help = command
            .get_after_long_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples = help
            .split_once("Examples:\n")
            .map_or("", |(_, examples)| examples);
        let commands = examples.lines().map(str::trim);
        found.push(Documented {
            name: command.get_bin_name().unwrap_or_default().to_owned(),
            examples: commands
                .filter(|line| line.split(' ').any(|word| word == "xdp"))
                .map(ToOwned::to_owned)
                .collect(),
        });
    }
    let mut definition = xdp_cli::definition();
    definition.build();
    let mut found = Vec::new();
    walk(&definition, &mut found);
    found
}

#[test]
fn every_subcommand_has_an_example() {
    for command in leaves() {
        assert!(
            !command.examples.is_empty(),
            "{} --help has no example",
            command.name
        );
        let starts_with = format!("{} ", command.name);
        let own = |example: &&String| format!("{example} ").contains(&starts_with);
        assert!(
            command.examples.iter().any(|example| own(&example)),
            "{} --help has no example of itself",
            command.name
        );
    }
}

/// A folder with the files that examples name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let capture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/captures/two-hosts.pcap");
    for name in ["capture.pcap", "capture.pcapng", "in.pcap"] {
        std::fs::copy(&capture, folder.path().join(name)).expect("the file is there");
    }
    let rules = "[[rule]]\nname = \"dns\"\nmatch = \"udp-dst\"\nport = 53\naction = \"drop\"\n";
    std::fs::write(folder.path().join("rules.toml"), rules).expect("the folder is ours");
    folder
}

fn has(program: &str) -> bool {
    let look = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    look.is_ok_and(|output| output.status.success())
}

/// Words of an example that are programs of others.
fn foreign(example: &str) -> Vec<&str> {
    let heads = example
        .split('|')
        .filter_map(|part| part.split_whitespace().next());
    heads.filter(|head| *head != "xdp").collect()
}

/// The lab that examples call `demo`; it ends itself even if nobody ends it.
fn demo(folder: &Path) -> std::process::Child {
    let child = Command::new(env!("CARGO_BIN_EXE_xdp"))
        .args([
            "lab", "run", "--linked", "--name", "demo", "--stay", "-d", "60s",
        ])
        .current_dir(folder)
        .env_remove("XDP_DRIVER")
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let start = Instant::now();
    let there = || {
        let list = Command::new(env!("CARGO_BIN_EXE_xdp"))
            .args([
                "filter", "add", "-i", "lab:demo", "--name", "dns", "udp-dst", "port=53", "drop",
            ])
            .env("XDP_RUNTIME_DIR", folder.join("run"))
            .output();
        list.is_ok_and(|output| output.status.success())
    };
    while !there() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the lab does not start"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    child
}

/// Commands that go on until Ctrl-C get one after a while; `None` when what they need cannot be had here.
fn run(example: &str, folder: &Path) -> Option<Output> {
    if let Some(missing) = foreign(example).into_iter().find(|program| !has(program)) {
        eprintln!("skipped, there is no {missing}: {example}");
        return None;
    }
    let program = PathBuf::from(env!("CARGO_BIN_EXE_xdp"));
    let path = format!(
        "{}:{}",
        program.parent().expect("it lies in a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    // Interfaces that an example names are made in a network namespace, which goes away with the command.
    let script = if example.contains("if:veth1") {
        let possible = Command::new("unshare").args(["-rn", "true"]).output();
        if !possible.is_ok_and(|output| output.status.success()) || !has("ip") {
            eprintln!("skipped, no network namespace can be made: {example}");
            return None;
        }
        format!(
            "ip link add veth1 type veth peer name peer1 && ip link add veth2 type veth peer name peer2 && \
             for i in veth1 veth2 peer1 peer2; do ip link set $i up; done && exec {example}"
        )
    } else if foreign(example).is_empty() && !example.contains('>') {
        // The signal that ends it is for the command, not for a shell around it.
        format!("exec {example}")
    } else {
        example.to_owned()
    };
    let mut command = if example.contains("if:veth1") {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", &script]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    // Where no driver file was built beside the program, labs run the driver that is linked into it.
    if std::env::var_os("XDP_DRIVER").is_none() && example.contains("lab run") {
        command.env("XDP_DRIVER", "linked");
    }
    let child = command
        .current_dir(folder)
        .env("PATH", path)
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh is there");
    let id = child.id();
    let waiter = std::thread::spawn(move || child.wait_with_output().expect("it ends"));
    let start = Instant::now();
    while !waiter.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        if start.elapsed() > Duration::from_secs(3) {
            // The shell has become the command, or waits for it: the whole family hears the signal.
            let family = Command::new("pkill")
                .args(["-INT", "-P", &id.to_string()])
                .status();
            let leader = Command::new("kill")
                .args(["-INT", &id.to_string()])
                .status();
            assert!(family.is_ok() && leader.is_ok(), "signals can be sent");
            std::thread::sleep(Duration::from_millis(500));
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it does not end: {example}"
        );
    }
    Some(waiter.join().expect("it was waited for"))
}

#[test]
fn every_example_works_when_pasted() {
    for command in leaves() {
        for example in &command.examples {
            let folder = folder();
            // Examples speak of a lab that runs in another terminal.
            let mut other = example.contains("lab:demo").then(|| demo(folder.path()));
            let output = run(example, folder.path());
            if let Some(other) = &mut other {
                other
                    .kill()
                    .and_then(|()| other.wait())
                    .expect("it is ours");
            }
            let Some(output) = output else {
                continue;
            };
            let code = output.status.code();
            assert!(
                matches!(code, Some(0 | 130)),
                "{example}: {:?}\n{}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

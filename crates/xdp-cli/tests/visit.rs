//! Commands in a lab that another process runs: they do there what they do on Windows.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use namespaces::{Host, Program, Side, output, stage};
use serde_json::Value;
use xdp_cli::capture::Capture;

const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a command one that finds, and is found, in a folder.
fn within(folder: &Path, mut command: Command, arguments: &[&str]) -> Command {
    command
        .args(arguments)
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .env_remove("XDP_INTERFACE");
    command
}

fn xdp(folder: &Path, arguments: &[&str]) -> Command {
    within(folder, Command::new(env!("CARGO_BIN_EXE_xdp")), arguments)
}

/// A lab in another process, that ends itself even if nobody ends it.
fn lab(folder: &Path) -> Program {
    let arguments = [
        "lab", "run", "--linked", "--name", "demo", "--stay", "-d", "120s",
    ];
    Program::start(xdp(folder, &arguments), "running: ", PATIENCE, None).expect("the lab runs")
}

/// What there is in the driver: programs and sockets, each with its process.
fn inventory(folder: &Path) -> (Vec<String>, Vec<String>) {
    let json = output(&mut xdp(folder, &["status", "-i", "lab:demo", "--json"]));
    let status: Value = serde_json::from_str(&json.expect("a status")).expect("JSON");
    let processes = |list: &str| {
        let all = status[list].as_array().expect("a list").iter();
        all.map(|one| one["process_name"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    (processes("programs"), processes("sockets"))
}

/// Starts a command and waits until it has a socket in the lab.
fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = xdp(folder, arguments);
    let child = command.stdout(Stdio::null()).spawn();
    let mut child = child.expect("the command starts");
    let start = Instant::now();
    while inventory(folder).1.is_empty() {
        let ended = child.try_wait().expect("it is ours");
        assert!(
            ended.is_none() && start.elapsed() < PATIENCE,
            "{arguments:?} has no socket: {ended:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Starts a capture and waits until its programs are attached, with what it says next.
fn capture(folder: &Path, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut command = xdp(folder, &["dump", "-i", "lab:demo", "-d", "60s"]);
    let command = command.args(arguments).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("a command");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert!(first.contains("capturing on nic0"), "{first}");
    (child, lines)
}

#[test]
fn what_a_killed_command_had_open_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let lab = lab(folder);
    for arguments in [
        &["dump", "-i", "lab:demo", "-d", "60s"][..],
        &["forward", "-i", "lab:demo", "-d", "60s"],
        &["generate", "-i", "lab:demo", "-d", "60s", "--rate", "1kpps"],
    ] {
        let mut command = start(folder, arguments);
        let (_, sockets) = inventory(folder);
        let expected = format!("xdp (process {} here)", command.id());
        assert_eq!(sockets, [expected], "{arguments:?}");
        command.kill().expect("it runs");
        command.wait().expect("its end");
        let killed = Instant::now();
        while inventory(folder) != (vec![], vec![]) {
            assert!(killed.elapsed() < PATIENCE, "{:?}", inventory(folder));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let said = lab.stop().expect("the lab ends well");
    assert!(said.contains("clean unload"), "{said}");
}

#[test]
fn a_lab_that_ends_ends_the_commands_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let lab = lab(folder);
    let (mut dump, mut lines) = capture(folder, &[]);
    let said = lab.stop().expect("the lab ends well");
    assert!(said.contains("clean unload"), "{said}");
    assert_eq!(dump.wait().expect("its end").code(), Some(1));
    let error = lines.next().expect("a line").expect("text");
    assert!(error.contains("the lab has ended"), "{error}");

    let mut after = xdp(folder, &["interfaces", "-i", "lab:demo"]);
    let after = after.output().expect("the command starts");
    let said = String::from_utf8_lossy(&after.stderr).into_owned();
    assert_eq!(after.status.code(), Some(6), "{said}");
    assert!(said.contains("no lab of this name runs"), "{said}");
    assert!(said.contains("xdp lab run --name demo"), "{said}");
}

const ASKER: Host = Host {
    name: "asker",
    number: 1,
    side: Side::Wire,
};
const ANSWERER: Host = Host {
    name: "answerer",
    number: 2,
    side: Side::Stack,
};

#[test]
fn real_pings_are_captured_on_their_way_through_the_lab() {
    let Some(network) = stage(&[ASKER, ANSWERER], &["ping"]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let arguments = [
        "lab",
        "run",
        "--name",
        "demo",
        "--wire",
        "if:wire0",
        "--stack",
        "if:stack0",
        "-d",
        "120s",
    ];
    let command = network.lab(env!("CARGO_BIN_EXE_xdp"));
    let lab = within(folder, command, &arguments);
    let lab = Program::start(lab, "running: ", PATIENCE, None).expect("the lab runs");
    let file = folder.join("out.pcapng");
    let path = file.display().to_string();
    let rule = ["ip-next-header", "protocol=1"];
    let (mut dump, lines) = capture(folder, &["-c", "20", "-w", &path, rule[0], rule[1]]);
    let text = output(network.command("asker", "ping").args([
        "-n",
        "-q",
        "-c",
        "20",
        "-i",
        "0.05",
        "-W",
        "5",
        "192.0.2.2",
    ]));
    let text = text.expect("ping is answered");
    assert!(text.contains("20 received"), "{text}");
    let said: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(dump.wait().expect("its end").success(), "{said:?}");
    let packets = Capture::open(BufReader::new(File::open(file).expect("a capture")));
    let packets: Vec<_> = packets.expect("a capture").collect();
    assert_eq!(packets.len(), 20);
    for packet in packets {
        // IPv4, ICMP, an echo request.
        let bytes = packet.expect("a packet").bytes;
        assert_eq!((bytes[12], bytes[23], bytes[34]), (8, 1, 8));
    }
    let said = lab.stop().expect("the lab ends well");
    assert!(said.contains("clean unload"), "{said}");
}

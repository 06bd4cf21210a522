//! Processes that are killed: what they had attached goes with them, and who talked to them goes on.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn xdp(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
    command
        .args(arguments)
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .env_remove("XDP_DRIVER")
        .env_remove("XDP_INTERFACE")
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a program and waits for a line that begins so.
fn start(folder: &Path, arguments: &[&str], line: &str) -> Child {
    let mut child = xdp(folder, arguments).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut read = String::new();
    while !read.starts_with(line) {
        read.clear();
        let size = lines.read_line(&mut read).expect("it is text");
        assert!(size != 0, "{arguments:?}: {:?}", child.wait_with_output());
    }
    child.stdout = Some(lines.into_inner());
    child
}

/// Exit code and what was said.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = xdp(folder, arguments).output().expect("the program starts");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn killed(mut child: Child) {
    child.kill().expect("it is ours");
    let status = child.wait().expect("it is dead");
    assert_eq!(status.code(), None, "it ended before it was killed");
}

#[test]
fn whoever_watches_a_lab_may_be_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let lab = [
        "lab", "run", "--linked", "--name", "demo", "--stay", "-d", "60s",
    ];
    let mut lab = start(folder, &lab, "running: ");
    for _ in 0..3 {
        let watch = ["monitor", "-i", "lab:demo", "-o", "ndjson", "-d", "60s"];
        killed(start(folder, &watch, "{"));
    }
    // The lab has what it had, and takes changes.
    let add = [
        "filter", "add", "-i", "lab:demo", "udp-dst", "port=53", "drop",
    ];
    let (code, text) = run(folder, &add);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(folder, &["filter", "list", "-i", "lab:demo"]);
    assert!(code == Some(0) && text.contains("udp-dst 53"), "{text}");
    // It ends with nothing left in the driver.
    let id = lab.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill is there").success());
    let mut text = String::new();
    let out = lab.stdout.as_mut().expect("it is a pipe");
    out.read_to_string(&mut text).expect("it is text");
    assert_eq!(lab.wait().expect("it ends").code(), Some(130), "{text}");
    assert!(text.contains("clean"), "{text}");
}

#[test]
fn rules_go_with_whoever_holds_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let hold = [
        "filter", "add", "-i", "lab:", "-d", "60s", "udp-dst", "port=53", "drop",
    ];
    for _ in 0..2 {
        let holder = xdp(folder, &hold).spawn().expect("the program starts");
        let start = Instant::now();
        // The name is that of the one before, who could not give it back.
        while !run(folder, &["filter", "list", "-i", "lab:lab"])
            .1
            .contains("udp-dst 53")
        {
            assert!(start.elapsed() < PATIENCE, "the session does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        killed(holder);
        let (code, text) = run(folder, &["filter", "list", "-i", "lab:lab"]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("there is no lab named lab"), "{text}");
        let (code, text) = run(folder, &["filter", "list"]);
        assert!(code == Some(0) && text.contains("no session"), "{text}");
    }
}

#[test]
fn devices_of_a_killed_lab_go_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let name = format!("xk{}", std::process::id() % 1_000_000);
    let end = format!("tap:{name}");
    let device = Path::new("/sys/class/net").join(&name);
    let (_, text) = run(
        folder,
        &["lab", "run", "--linked", "--wire", &end, "-d", "1ms"],
    );
    if !text.contains("running: ") {
        println!("skipped: TAP devices cannot be made here: {text}");
        return;
    }
    let lab = ["lab", "run", "--linked", "--wire", &end, "-d", "60s"];
    let lab = start(folder, &lab, "running: ");
    assert!(device.exists(), "{}", device.display());
    killed(lab);
    let start = Instant::now();
    while device.exists() {
        assert!(start.elapsed() < PATIENCE, "{} stays", device.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

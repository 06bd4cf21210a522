//! `xdp generate` and `xdp forward`: what they say they sent is what came out, frame by frame.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xdp_cli::capture::Capture;

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../samples/captures/two-hosts.pcap"
);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
    command.args(arguments).env_remove("XDP_INTERFACE");
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first record of the output.
fn json(arguments: &[&str], list: &str) -> Value {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    document[list].clone()
}

fn assert_refused(arguments: &[&str], code: i32, sentence: &str) {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(sentence), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).expect("the capture is there");
    let capture = Capture::open(BufReader::new(file)).expect("it is a capture");
    capture
        .map(|packet| packet.expect("the packet is whole").bytes)
        .collect()
}

fn swapped(frame: &[u8]) -> Vec<u8> {
    [&frame[6..12], &frame[..6], &frame[12..]].concat()
}

/// A folder for captures.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn named(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// What `xdp generate` put on the wire, and what it said.
fn generated(more: &[&str]) -> (Vec<Vec<u8>>, Value) {
    let folder = Folder::new();
    let lab = format!("lab:wire=write:{}", folder.named("out.pcap"));
    let said = json(&[&["generate", "-i", &lab][..], more].concat(), "generated");
    (frames(&folder.path("out.pcap")), said[0].clone())
}

#[test]
fn frames_have_the_size_the_flows_and_the_port_that_were_asked_for() {
    let (frames, said) = generated(&[
        "--count",
        "700",
        "--size",
        "200",
        "--flows",
        "7",
        "--port",
        "53",
        "--destination",
        "02:00:00:00:00:aa",
    ]);
    assert_eq!(frames.len(), 700);
    assert_eq!(
        (&said["frames"], &said["bytes"], &said["unsent"]),
        (&700.into(), &(700 * 200).into(), &0.into())
    );
    let mut flows: BTreeMap<&[u8], u32> = BTreeMap::new();
    for frame in &frames {
        assert_eq!(
            (frame.len(), &frame[..6]),
            (200, &[2, 0, 0, 0, 0, 0xAA][..])
        );
        // Ethernet, IPv4 of the rest of the frame, UDP of the rest of the packet, the port.
        assert_eq!(
            (&frame[12..14], frame[14], frame[23]),
            (&[8, 0][..], 0x45, 17)
        );
        assert_eq!(
            (&frame[16..18], &frame[38..40]),
            (&186_u16.to_be_bytes()[..], &166_u16.to_be_bytes()[..])
        );
        assert_eq!(frame[36..38], 53_u16.to_be_bytes());
        // Addresses and source port are the flow.
        *flows.entry(&frame[26..36]).or_default() += 1;
    }
    assert_eq!(flows.len(), 7);
    assert!(flows.values().all(|count| *count == 100), "{flows:?}");
}

#[test]
fn as_many_frames_are_sent_as_are_due_in_the_time() {
    for (rate, time, due) in [
        ("1kpps", "250ms", 250),
        ("4kpps", "100ms", 400),
        ("3pps", "500ms", 2),
    ] {
        let (frames, said) = generated(&["--rate", rate, "--duration", time]);
        assert_eq!(
            (frames.len(), &said["frames"]),
            (due, &due.into()),
            "{rate} for {time}: {said}"
        );
    }
    // A rate in bits counts frames of 100 bytes, with what the wire adds or without.
    let bits = [
        "--rate",
        "800kbit/s",
        "--size",
        "100",
        "--duration",
        "100ms",
    ];
    assert_eq!(generated(&bits).0.len(), 100);
    let wire = [&bits[..], &["--wire"]].concat();
    assert_eq!(generated(&wire).0.len(), 81);
}

#[test]
fn a_rate_is_never_exceeded() {
    let (frames, said) = generated(&["--rate", "500pps", "--count", "100"]);
    assert_eq!(frames.len(), 100);
    // The hundredth is due 99 intervals after the first.
    assert!(
        said["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds >= 99.0 / 500.0),
        "{said}"
    );
}

#[test]
fn a_capture_is_sent_as_it_is_once_or_again() {
    let all = frames(Path::new(CAPTURE));
    assert!(generated(&["--read", CAPTURE]).0 == all);
    let (again, _) = generated(&["--read", CAPTURE, "--loop", "--count", "600"]);
    let expected: Vec<_> = all.iter().cycle().take(600).cloned().collect();
    assert!(again == expected);
}

#[test]
fn wrong_values_of_generate_name_what_is_right() {
    for (arguments, code, sentence) in [
        (
            &["--size", "59"][..],
            2,
            "it must be from 60 bytes to 9014 bytes",
        ),
        (&["--size", "9000"], 2, "takes up to 1514"),
        (&["--flows", "0"], 2, "it must be a number from 1 to 4096"),
        (&["--port", "70000"], 2, "0..=65535"),
        (&["--rate", "fast"], 2, "use pps, kpps, Mpps"),
        (&["--rate", "0"], 2, "it must be more than zero"),
        (&["--wire"], 2, "--rate <RATE>"),
        (&["--count", "0"], 2, "it must be a number from 1 to"),
        (
            &["--batch", "5000"],
            2,
            "it must be a number from 1 to 4096",
        ),
        (&["--ring-size", "48"], 2, "32 and 64 are next to it"),
        (
            &["--destination", "02:00"],
            2,
            "six bytes such as 02:00:00:00:00:01",
        ),
        (
            &["--queue", "1024"],
            2,
            "it must be a number from 0 to 1023",
        ),
        (&["--read", "x", "--size", "64"], 2, "cannot be used with"),
        (&["--read", "/no/such/file"], 1, "cannot read /no/such/file"),
        (&["--queue", "3", "--count", "1"], 1, "no such queue"),
    ] {
        assert_refused(
            &[&["generate", "-i", "lab:"][..], arguments].concat(),
            code,
            sentence,
        );
    }
}

#[test]
fn frames_go_back_by_a_socket_and_by_the_driver() {
    for by in ["socket", "driver"] {
        let folder = Folder::new();
        let lab = format!(
            "lab:wire=read:{CAPTURE},write:{},stack=write:{}",
            folder.named("back.pcap"),
            folder.named("up.pcap")
        );
        let said = json(&["forward", "-i", &lab, "--by", by], "forwarded");
        let all = frames(Path::new(CAPTURE));
        let expected: Vec<_> = all.iter().map(|frame| swapped(frame)).collect();
        assert!(
            frames(&folder.path("back.pcap")) == expected,
            "by {by}: what came back differs"
        );
        assert_eq!(frames(&folder.path("up.pcap")).len(), 0, "by {by}");
        assert_eq!(
            (&said[0]["forwarded"], &said[0]["dropped"]),
            (&all.len().into(), &0.into()),
            "by {by}: {said}"
        );
    }
}

#[test]
fn frames_go_from_one_interface_to_the_other_unchanged() {
    let folder = Folder::new();
    let all = frames(Path::new(CAPTURE));
    let lab = format!(
        "lab:wire=read:{CAPTURE},wire=write:{}",
        folder.named("out.pcap")
    );
    let said = json(
        &["forward", "-i", &lab, "--to", &format!("{lab},nic=nic1")],
        "forwarded",
    );
    assert!(frames(&folder.path("out.pcap")) == all, "{said}");
    assert_eq!(
        (&said[0]["from"], &said[0]["to"]),
        (&"nic0".into(), &"nic1".into())
    );
    assert_eq!(
        (&said[0]["forwarded"], &said[1]),
        (&all.len().into(), &Value::Null)
    );
}

/// Captures begin when the first interface has its program; what comes before the second has its own goes up there.
#[test]
fn frames_go_both_ways() {
    let folder = Folder::new();
    let many = folder.named("many.pcap");
    let count = [
        "generate",
        "-i",
        &format!("lab:verifier=fast,wire=write:{many}"),
        "--flows",
        "64",
        "--count",
        "50000",
    ]
    .map(String::from);
    let made = run(&count.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(made.status.success(), "{}", text(&made.stderr));
    let lab = format!(
        "lab:verifier=fast,wire=write:{},wire=read:{many},stack=none,stack=write:{}",
        folder.named("out.pcap"),
        folder.named("up.pcap")
    );
    let said = json(
        &[
            "forward",
            "-i",
            &lab,
            "--to",
            &format!("{lab},nic=nic1"),
            "--both",
        ],
        "forwarded",
    );
    let (out, up) = (
        frames(&folder.path("out.pcap")),
        frames(&folder.path("up.pcap")),
    );
    assert!(!out.is_empty(), "{said}");
    assert_eq!(
        (&said[0]["forwarded"], &said[1]["from"]),
        (&0.into(), &"nic1".into())
    );
    // What there was no room for is counted.
    let lost = said[1]["dropped"].as_u64().expect("a number");
    assert_eq!(
        (&said[1]["forwarded"], said[1]["received"].as_u64()),
        (&out.len().into(), Some(out.len() as u64 + lost))
    );
    let sent = frames(Path::new(&many));
    assert!(up == sent[..up.len()], "what came before differs");
    if lost == 0 && up.len() + out.len() == sent.len() {
        assert!(out == sent[up.len()..], "what came back differs");
    }
}

/// The capture begins when the first queue has its program; what comes before the others have theirs goes up.
#[test]
fn every_queue_is_forwarded() {
    let folder = Folder::new();
    let lab = format!(
        "lab:queues=4,wire=read:{CAPTURE},write:{},stack=write:{}",
        folder.named("back.pcap"),
        folder.named("up.pcap")
    );
    let said = json(&["forward", "-i", &lab], "forwarded");
    let (back, up) = (
        frames(&folder.path("back.pcap")),
        frames(&folder.path("up.pcap")),
    );
    assert_eq!(
        (&said[0]["received"], &said[0]["forwarded"]),
        (&back.len().into(), &back.len().into())
    );
    assert!(!back.is_empty());
    let sorted = |mut frames: Vec<Vec<u8>>| {
        frames.sort();
        frames
    };
    let seen = up
        .into_iter()
        .chain(back.iter().map(|frame| swapped(frame)))
        .collect();
    assert!(sorted(seen) == sorted(frames(Path::new(CAPTURE))));
}

#[test]
fn wrong_values_of_forward_name_what_is_right() {
    for (arguments, code, sentence) in [
        (&["--by", "magic"][..], 2, "possible values: socket, driver"),
        (&["--both"], 2, "--to <INTERFACE>"),
        (&["--queue", "7"], 2, "nic0 has"),
        (
            &["--ring-size", "7"],
            2,
            "it must be a power of two from 8 to 65536",
        ),
        (&["--batch", "0"], 2, "it must be a number from 1 to 4096"),
        (&["--interval", "x"], 2, "use us, ms, s, m or h"),
        (
            &["--to", "lab:", "--by", "driver"],
            2,
            "the driver forwards to no other interface",
        ),
        (
            &["--to", "lab:queues=2"],
            7,
            "a lab runs in this process, with other options",
        ),
    ] {
        assert_refused(
            &[&["forward", "-i", "lab:"][..], arguments].concat(),
            code,
            sentence,
        );
    }
}

/// Starts a command, waits for what it says first, and sends it Ctrl-C.
fn interrupted(arguments: &[&str], ready: &str) -> Output {
    let mut child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = String::new();
    let stderr = child.stderr.as_mut().expect("a pipe");
    let start = Instant::now();
    let mut byte = [0];
    while !said.contains(ready) {
        let read = stderr.read(&mut byte).expect("the pipe is open");
        assert!(
            read == 1 && start.elapsed() < Duration::from_secs(120),
            "{arguments:?}: {said}"
        );
        said.push(char::from(byte[0]));
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    child.wait_with_output().expect("it ends")
}

#[test]
fn ctrl_c_ends_with_the_summary_and_nothing_left_behind() {
    for (arguments, ready) in [
        (&["forward", "-i", "lab:"][..], "Ctrl-C ends it"),
        (
            &["forward", "-i", "lab:", "--by", "driver"],
            "Ctrl-C ends it",
        ),
        (&["dump", "-i", "lab:", "-o", "ndjson"], "Ctrl-C ends it"),
        (
            &["generate", "-i", "lab:", "--rate", "1kpps", "-v"],
            "lab: ",
        ),
        (&["monitor", "-i", "lab:", "-v"], "lab: "),
    ] {
        let output = interrupted(arguments, ready);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{arguments:?}: {said}");
        assert!(
            !output.stdout.is_empty(),
            "{arguments:?} has no summary: {said}"
        );
        // A driver that kept something would be a failure; progress is for terminals.
        assert!(
            !said.contains("left things behind") && !said.contains("frames/s"),
            "{arguments:?}: {said}"
        );
    }
}

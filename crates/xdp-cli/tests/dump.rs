//! `xdp dump`: what is captured is what arrived, goes on to the network stack as it came, and can be read by others.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use namespaces::{LEFT, Program, RIGHT, output, stage};
use xdp_cli::capture::Capture;

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../samples/captures/two-hosts.pcap"
);

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
    command.arg("dump").env_remove("XDP_INTERFACE");
    command
}

fn dump(arguments: &[&str]) -> Output {
    command()
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the command wrote to standard output.
fn succeeds(arguments: &[&str]) -> String {
    let output = dump(arguments);
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{said}");
    out
}

/// The command refuses with this code, and says this.
fn assert_refused(arguments: &[&str], code: i32, sentence: &str) {
    let output = dump(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(sentence), "{arguments:?}: {said}");
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).expect("the capture is there");
    let capture = Capture::open(BufReader::new(file)).expect("it is a capture");
    capture
        .map(|packet| packet.expect("the packet is whole").bytes)
        .collect()
}

/// Whether a frame is UDP to a port, over IP of either version without extensions.
fn is_udp_to(frame: &[u8], port: u16) -> bool {
    let at = match frame.get(12..14) {
        Some([8, 0]) if frame[23] == 17 => 34,
        Some([0x86, 0xDD]) if frame[20] == 17 => 54,
        _ => return false,
    };
    frame.get(at + 2..at + 4) == Some(&port.to_be_bytes()[..])
}

/// A folder, and the address of a lab that replays the capture and keeps what reaches the stack.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn named(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("the folder is ours");
        self.named(name)
    }

    fn lab(&self) -> String {
        format!(
            "lab:wire=read:{CAPTURE},stack=write:{}",
            self.named("passed.pcap")
        )
    }
}

#[test]
fn everything_is_captured_and_goes_on_unchanged() {
    let stage = Stage::new();
    let out = succeeds(&[
        "-i",
        &stage.lab(),
        "-w",
        &stage.named("out.pcapng"),
        "--json",
    ]);
    let all = frames(Path::new(CAPTURE));
    assert!(
        frames(&stage.path("out.pcapng")) == all,
        "the capture differs"
    );
    assert!(
        frames(&stage.path("passed.pcap")) == all,
        "what passed differs"
    );
    let summary: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let summary = &summary["captures"][0];
    assert_eq!(summary["captured"], all.len(), "{summary}");
    assert_eq!(summary["passed"], all.len(), "{summary}");
    assert_eq!(summary["lost"], 0, "{summary}");
}

#[test]
fn only_what_matches_is_captured_and_the_rest_passes() {
    let stage = Stage::new();
    let lab = stage.lab();
    let words = ["udp-dst", "port=5201", "or", "ip-next-header", "protocol=1"];
    let out = stage.named("out.pcapng");
    let arguments = [&["-i", &lab, "-w", &out][..], &words].concat();
    succeeds(&arguments);
    let all = frames(Path::new(CAPTURE));
    let wanted =
        |frame: &&Vec<u8>| is_udp_to(frame, 5201) || (frame[12..14] == [8, 0] && frame[23] == 1);
    let expected: Vec<_> = all.iter().filter(wanted).cloned().collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert!(
        frames(&stage.path("out.pcapng")) == expected,
        "the capture differs"
    );
    // What is not captured does not wait for what is.
    let sorted = |mut frames: Vec<Vec<u8>>| {
        frames.sort();
        frames
    };
    assert!(sorted(frames(&stage.path("passed.pcap"))) == sorted(all));
}

#[test]
fn a_rule_file_chooses_what_is_captured() {
    let stage = Stage::new();
    let filter = stage.file(
        "filter.toml",
        "[[rule]]\nmatch = \"ipv6-dst-mask\"\naddress = \"2001:db8::/64\"\naction = \"redirect\"\n\
         redirect-to = { socket = \"dump\" }\n[[rule]]\nmatch = \"all\"\naction = \"drop\"\n",
    );
    succeeds(&[
        "-i",
        &stage.lab(),
        "--filter",
        &filter,
        "-w",
        &stage.named("out.pcapng"),
    ]);
    let kept = frames(&stage.path("out.pcapng"));
    let is_v6 =
        |frame: &Vec<u8>| frame[12..14] == [0x86, 0xDD] && frame[38..42] == [0x20, 1, 0xD, 0xB8];
    let expected: Vec<_> = frames(Path::new(CAPTURE))
        .into_iter()
        .filter(is_v6)
        .collect();
    assert!(!kept.is_empty() && kept == expected);
    // The other rules of the file were in force.
    assert!(frames(&stage.path("passed.pcap")) == expected);
    let other = stage.file(
        "other.toml",
        "[[rule]]\nmatch = \"all\"\naction = \"pass\"\n",
    );
    assert_refused(
        &["-i", "lab:", "--filter", &other],
        1,
        "no rule redirects to the socket `dump`",
    );
}

#[test]
fn rules_decide_and_packets_have_their_verdict() {
    let stage = Stage::new();
    let rules = stage.file(
        "rules.toml",
        "[[rule]]\nname = \"bulk\"\nmatch = \"udp-dst\"\nport = 5201\naction = \"drop\"\n\
         [[rule]]\nmatch = \"ip-next-header\"\nprotocol = 1\naction = \"l2fwd\"\n",
    );
    let back = stage.named("back.pcap");
    let lab = format!(
        "lab:wire=read:{CAPTURE},write:{back},stack=write:{}",
        stage.named("passed.pcap")
    );
    let out = succeeds(&["-i", &lab, "-f", &rules, "-o", "ndjson"]);
    let all = frames(Path::new(CAPTURE));
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (packets, summary) = lines.split_at(lines.len() - 1);
    assert_eq!(packets.len(), all.len());
    let (mut passed, mut returned) = (Vec::new(), Vec::new());
    for (packet, frame) in packets.iter().zip(&all) {
        let (verdict, rule) = if is_udp_to(frame, 5201) {
            ("drop", Some("bulk"))
        } else if frame[12..14] == [8, 0] && frame[23] == 1 {
            let swapped = [&frame[6..12], &frame[..6], &frame[12..]].concat();
            returned.push(swapped);
            ("l2fwd", Some("2"))
        } else {
            passed.push(frame.clone());
            ("pass", None)
        };
        assert_eq!(packet["verdict"], verdict, "{packet}");
        assert_eq!(packet["rule"].as_str(), rule, "{packet}");
        assert_eq!(packet["bytes"], frame.len(), "{packet}");
    }
    assert!(!returned.is_empty());
    assert!(
        frames(&stage.path("passed.pcap")) == passed,
        "what passed differs"
    );
    assert!(
        frames(Path::new(&back)) == returned,
        "what went back differs"
    );
    assert_eq!(summary[0]["sent_back"], returned.len(), "{summary:?}");
}

#[test]
fn what_is_taken_does_not_reach_the_stack() {
    let stage = Stage::new();
    let out = succeeds(&["-i", &stage.lab(), "--take", "-o", "csv", "udp"]);
    let mut rows = out.lines();
    assert_eq!(
        rows.next(),
        Some("number,time,interface,queue,verdict,rule,bytes,packet")
    );
    assert!(
        rows.next()
            .is_some_and(|row| row.contains(",nic0,0,redirect,,")),
        "{out}"
    );
    let passed = frames(&stage.path("passed.pcap"));
    let is_udp = |frame: &Vec<u8>| {
        (frame[12..14] == [8, 0] && frame[23] == 17)
            || (frame[12..14] == [0x86, 0xDD] && frame[20] == 17)
    };
    assert!(!passed.is_empty() && !passed.iter().any(is_udp));
}

#[test]
fn it_ends_after_so_many_packets_and_loses_none_of_the_others() {
    let stage = Stage::new();
    let out = succeeds(&["-i", &stage.lab(), "-c", "3", "-x"]);
    let packets = out.lines().filter(|line| line.contains("  pass  "));
    assert_eq!(packets.count(), 3, "{out}");
    assert!(out.contains("    0000: "), "{out}");
    // What arrived before the end went on.
    let passed = frames(&stage.path("passed.pcap"));
    assert!(passed.len() >= 3 && frames(Path::new(CAPTURE)).starts_with(&passed[..3]));
}

#[test]
fn packets_are_cut_to_what_is_asked_for_in_the_file_only() {
    let stage = Stage::new();
    succeeds(&[
        "-i",
        &stage.lab(),
        "-s",
        "60",
        "-w",
        &stage.named("out.pcapng"),
    ]);
    let file = File::open(stage.path("out.pcapng")).expect("it is there");
    let all = frames(Path::new(CAPTURE));
    let capture = Capture::open(BufReader::new(file)).expect("it is a capture");
    for (packet, frame) in capture.zip(&all) {
        let packet = packet.expect("the packet is whole");
        assert_eq!(packet.wire_size as usize, frame.len());
        assert!(packet.bytes == frame[..frame.len().min(60)]);
    }
    assert!(frames(&stage.path("passed.pcap")) == all);
}

#[test]
fn a_reader_that_goes_away_ends_it_well() {
    let mut child = command()
        .args(["-i", &format!("lab:wire=read:{CAPTURE}"), "-w", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 4];
    let mut out = child.stdout.take().expect("a pipe");
    out.read_exact(&mut first).expect("the capture begins");
    assert_eq!(first, [0x0A, 0x0D, 0x0D, 0x0A]);
    drop(out);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn wrong_values_name_what_is_right() {
    for (arguments, sentence) in [
        (&["-s", "0"][..], "it must be a number from 1 to 262144"),
        (&["-c", "x"], "it must be a number from 1 to"),
        (
            &["--ring-size", "1000"],
            "it must be a power of two from 64 to 65536; 512 and 1024",
        ),
        (&["-d", "0"], "it must be more than zero"),
        (&["-q", "9"], "nic0 has"),
        (&["udp-dst"], "this is no rule"),
        (
            &["udp-dst", "port=53", "or"],
            "there is nothing beside an `or`",
        ),
        (
            &["udp-dst", "prot=53"],
            "write match type and fields, as in `udp-dst port=53`",
        ),
        (&["-w", "-", "--json"], "cannot both go to standard output"),
        (&["-w", "x", "-x"], "cannot be used with"),
    ] {
        assert_refused(&[&["-i", "lab:"][..], arguments].concat(), 2, sentence);
    }
    assert_refused(
        &["-i", "lab:", "-w", "/no/such/folder/x"],
        1,
        "cannot write /no/such/folder/x",
    );
    assert_refused(
        &["-i", "lab:", "-f", "/no/such/file"],
        1,
        "cannot read /no/such/file",
    );
    assert_refused(&[], 2, "no interface was named");
}

/// Real hosts talk through the capture and do not notice; tshark sees what they said.
#[test]
fn hosts_talk_through_it_and_tshark_reads_what_they_said() {
    let Some(network) = stage(&[LEFT, RIGHT], &["ping", "curl", "python3", "tshark"]) else {
        return;
    };
    let stage = Stage::new();
    let file = stage.named("out.pcapng");
    let served = "A page of some length.\n".repeat(10_000);
    stage.file("page.txt", &served);
    let mut server = network.command("right", "python3");
    server
        .args([
            "-u",
            "-m",
            "http.server",
            "--bind",
            "192.0.2.2",
            "8080",
            "--directory",
        ])
        .arg(stage.folder.path());
    let server =
        Program::start(server, "Serving", Duration::from_secs(30), None).expect("python3 serves");

    let mut command = network.lab("sh");
    let program = env!("CARGO_BIN_EXE_xdp");
    command.args([
        "-c",
        &format!("exec {program} dump -i lab:wire=if:wire0,stack=if:stack0 -w {file} 2>&1"),
    ]);
    let capture = Program::start(command, "capturing on", Duration::from_secs(60), None)
        .expect("it captures");
    let ping = network
        .command("left", "ping")
        .args(["-c", "3", "-i", "0.2", "-W", "5", "192.0.2.2"])
        .output();
    let ping = ping.expect("ping runs");
    assert!(ping.status.success(), "{}", text(&ping.stdout));
    let mut curl = network.command("left", "curl");
    curl.args(["-sS", "--max-time", "60", "http://192.0.2.2:8080/page.txt"]);
    assert!(
        output(&mut curl).expect("curl fetches") == served,
        "the page differs"
    );
    let said = capture.stop().expect("it ends well");
    assert!(
        said.contains("packets captured") && said.contains(" 0 lost"),
        "{said}"
    );
    server.stop().expect("python3 ends");

    let show = |filter: &str| {
        let mut tshark = Command::new("tshark");
        tshark.args([
            "-r",
            &file,
            "-Y",
            filter,
            "-T",
            "fields",
            "-E",
            "separator=|",
        ]);
        for field in [
            "frame.interface_name",
            "frame.interface_queue",
            "frame.verdict.ebpf_xdp",
        ] {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().expect("tshark runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let requests = show("icmp.type == 8");
    assert_eq!(requests.lines().count(), 3, "{requests}");
    // Only what comes from the wire is seen, and there is nothing in it that tshark objects to.
    assert_eq!(show("icmp.type == 0"), "");
    assert_eq!(show("_ws.malformed"), "");
    let get = show("http.request.method == GET");
    assert_eq!(get.lines().count(), 1, "{get}");
    for line in requests.lines().chain(get.lines()) {
        assert_eq!(line, "nic0|0|2");
    }
}

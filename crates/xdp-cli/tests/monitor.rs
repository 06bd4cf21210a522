//! `xdp monitor`: its numbers are those of what went through, in each format, in a lab of its own and in that of another terminal.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../samples/captures/two-hosts.pcap"
);
/// Packets of the capture: all, and those over UDP to port 5201.
const PACKETS: u64 = 281;

struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = "[[rule]]\nname = \"bulk\"\nmatch = \"udp-dst\"\nport = 5201\naction = \"drop\"\n\
                     [[rule]]\nmatch = \"ip-next-header\"\nprotocol = 1\naction = \"pass\"\n";
        std::fs::write(folder.path().join("rules.toml"), rules).expect("the folder is ours");
        Self { folder }
    }

    fn xdp(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("XDP_INTERFACE")
            .env_remove("XDP_DRIVER")
            .env("XDP_RUNTIME_DIR", self.folder.path().join("run"));
        command
    }

    fn monitor(&self, arguments: &[&str]) -> Output {
        let arguments = [&["monitor"][..], arguments].concat();
        self.xdp(&arguments).output().expect("the program starts")
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.monitor(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a lab with the capture and the rules does, in a format.
    fn replayed(&self, more: &[&str]) -> String {
        let lab = format!("lab:wire=read:{CAPTURE}");
        let arguments = [&["-i", &lab, "-f", "rules.toml"][..], more].concat();
        self.succeeds(&arguments)
    }
}

/// The last record of a kind: totals.
fn last(lines: &str, kind: &str) -> Value {
    let records = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut found: Vec<Value> = records.filter(|record| record["kind"] == kind).collect();
    found.pop().unwrap_or_else(|| panic!("no {kind}: {lines}"))
}

#[test]
fn every_frame_is_in_one_number_and_every_hit_at_its_rule() {
    let stage = Stage::new();
    let lines = stage.replayed(&["-o", "ndjson"]);
    let all = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let records: Vec<Value> = all.collect();
    let queue = records
        .iter()
        .rfind(|record| record["kind"] == "monitor_queue" && record["hook"] == "receive")
        .expect("a queue");
    let number = |field: &str| queue[field].as_u64().expect("a number");
    assert_eq!(number("frames"), PACKETS, "{queue}");
    assert_eq!(number("passed") + number("dropped"), PACKETS, "{queue}");
    assert!(number("dropped") > 0 && queue["lost"] == 0, "{queue}");
    let hits = |number: u64| {
        let is_this =
            |record: &&Value| record["kind"] == "monitor_rule" && record["number"] == number;
        records.iter().rfind(is_this).expect("a rule").clone()
    };
    assert_eq!(
        (&hits(1)["name"], &hits(1)["hits"]),
        (&"bulk".into(), &queue["dropped"])
    );
    assert_eq!(hits(2)["name"], "rule 2");
    let wire = last(&lines, "monitor_interface");
    let bytes: u64 = std::fs::metadata(CAPTURE).expect("it is there").len() - 24 - 16 * PACKETS;
    assert_eq!(
        (&wire["received"], &wire["received_bytes"]),
        (&PACKETS.into(), &bytes.into())
    );
}

#[test]
fn who_talks_is_counted_and_everything_still_arrives() {
    let stage = Stage::new();
    let out = stage.folder.path().join("out.pcap");
    let lab = format!("lab:wire=read:{CAPTURE},stack=write:{}", out.display());
    let lines = stage.succeeds(&["-i", &lab, "--talkers", "-o", "ndjson"]);
    let talkers = lines
        .lines()
        .filter(|line| line.contains("\"monitor_talker\""));
    let talkers: Vec<Value> = talkers
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(
        talkers
            .iter()
            .any(|talker| talker["service"] == "ICMP" && talker["frames"] == 9),
        "{lines}"
    );
    let length = |path: &Path| std::fs::metadata(path).expect("it is there").len();
    assert_eq!(length(&out), length(Path::new(CAPTURE)));
}

#[test]
fn all_formats_have_the_numbers() {
    let stage = Stage::new();
    let text = stage.replayed(&[]);
    assert!(
        text.contains("FRAMES/S") && text.contains("nic0        wire"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&stage.replayed(&["--json"])).expect("JSON");
    let queues = json["monitor_queues"].as_array().expect("a list");
    assert!(
        queues.iter().any(|queue| queue["frames"] == PACKETS),
        "{json}"
    );
    let csv = stage.replayed(&["-o", "csv"]);
    assert!(
        csv.contains("\ntime,interface,queue,program,number,name,hits,hits_per_second\n"),
        "{csv}"
    );
    let metrics = stage.replayed(&["-o", "prometheus"]);
    let line = format!(
        "xdp_monitor_queue_frames_total{{interface=\"nic0\",hook=\"receive\",queue=\"0\"}} {PACKETS}\n"
    );
    assert!(metrics.contains(&line), "{metrics}");
    assert!(
        metrics.contains("# TYPE xdp_monitor_rule_hits_total counter\n"),
        "{metrics}"
    );
}

/// A lab of another terminal, which ends with the test.
struct Lab(Child);

impl Drop for Lab {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lab_of_another_terminal_is_watched() {
    let stage = Stage::new();
    let lab = stage
        .xdp(&[
            "lab",
            "run",
            "--linked",
            "--name",
            "watched",
            "--stay",
            "-d",
            "120s",
            "--rules",
            "rules.toml",
            "--wire",
        ])
        .arg(format!("read:{CAPTURE}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let _lab = Lab(lab);
    let start = Instant::now();
    let queue = loop {
        let output = stage.monitor(&[
            "-i",
            "lab:watched/nic0",
            "-c",
            "1",
            "--interval",
            "50ms",
            "-o",
            "ndjson",
        ]);
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && lines.contains(&format!("\"frames\":{PACKETS},")) {
            assert!(lines.contains("\"name\":\"bulk\""), "{lines}");
            assert!(lines.contains("\"received\":281,"), "{lines}");
            break last(&lines, "monitor_queue");
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{lines}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(queue["interface"], "nic0");
    // Others know it, too, and whose the rules are.
    for (words, part) in [
        (["doctor", "-i", "lab:watched"], "watched runs, as process"),
        (["status", "-i", "lab:watched"], "linked into xdp lab run"),
        (["status", "-i", "lab:watched"], " lab watched (process "),
    ] {
        let output = stage.xdp(&words).output().expect("the program starts");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && out.contains(part),
            "{words:?}: {out}"
        );
    }
    for (arguments, sentence) in [
        (
            &["-i", "lab:watched/nic7"][..],
            "watched has no interface nic7",
        ),
        (&["-i", "lab:other"], "there is watched"),
        (
            &["-i", "lab:watched", "--talkers"],
            "it has rules and counts talkers itself",
        ),
    ] {
        let output = stage.monitor(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(sentence),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn wrong_values_name_what_is_right() {
    let stage = Stage::new();
    for (arguments, sentence) in [
        (
            &["-i", "lab:", "--interval", "0"][..],
            "it must be more than zero",
        ),
        (&["-i", "lab:", "-c", "0"], "it must be a number from 1 to"),
        (&["-i", "lab:", "--tui", "--json"], "cannot be used with"),
        (&["-i", "lab:", "--tui"], "--tui needs a terminal"),
        (
            &["-i", "lab:", "-o", "xml"],
            "possible values: text, json, ndjson, csv, prometheus",
        ),
    ] {
        let output = stage.monitor(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
    }
}

//! `xdp interfaces`, `status`, `features`, `doctor` and `filter apply` on labs of their own; what is wrong gets its own message
//! and exit code.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use xdp::lab::Lab;
use xdp::{Match, Program, Socket, Umem};
use xdp_cli::error::Failure;

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../samples/captures/two-hosts.pcap"
);

fn xdp(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
    command
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .env_remove("XDP_INTERFACE")
        .env_remove("CLICOLOR_FORCE")
        .current_dir(folder);
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    finished(
        &xdp(folder.path())
            .args(arguments)
            .output()
            .expect("the program starts"),
    )
}

fn finished(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn done(arguments: &[&str]) -> String {
    let (code, out, err) = run(arguments);
    assert_eq!(code, 0, "{arguments:?}\n{out}\n{err}");
    out
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&done(arguments)).expect("it is JSON")
}

fn refused(arguments: &[&str], code: i32, part: &str) {
    let (found, out, err) = run(arguments);
    assert_eq!(found, code, "{arguments:?}\n{out}\n{err}");
    assert!(
        err.contains(part) || out.contains(part),
        "{arguments:?}: {part}\n{out}\n{err}"
    );
}

#[test]
fn interfaces_of_a_lab_are_listed() {
    let found = json(&["interfaces", "-i", "lab:nics=2,queues=3", "--json"]);
    let interfaces = found["interfaces"].as_array().expect("a list");
    assert_eq!(interfaces.len(), 2);
    assert_eq!(interfaces[1]["name"], "nic1");
    assert_eq!(interfaces[1]["queues"], 3);
    let text = done(&["interfaces", "-i", "lab:"]);
    assert!(
        text.starts_with("INDEX  NAME") && text.contains("nic0"),
        "{text}"
    );
    let csv = done(&["interfaces", "-i", "lab:", "-o", "csv"]);
    assert!(
        csv.starts_with("index,name,alias,") && csv.lines().count() == 2,
        "{csv}"
    );
}

#[test]
fn the_status_of_a_new_lab_is_empty() {
    let found = json(&["status", "-i", "lab:queues=2", "--json"]);
    assert_eq!(found["programs"], Value::Array(Vec::new()));
    assert_eq!(found["interfaces"][0]["queues"], 2);
    assert!(done(&["status", "-i", "lab:"]).contains("0 programs"));
    assert!(done(&["status", "-i", "lab:", "-v"]).contains("all counters are zero"));
    let metrics = done(&["status", "-i", "lab:", "-o", "prometheus"]);
    let line = "xdp_rx_queue_passed_total{interface=\"nic0\",queue=\"0\",hook=\"receive\"} 0";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn features_say_why_not() {
    let found = json(&["features", "-i", "lab:", "--json"]);
    let features = found["features"].as_array().expect("a list");
    let feature = |name: &str| {
        let mut found = features.iter().filter(|feature| feature["feature"] == name);
        found
            .next()
            .unwrap_or_else(|| panic!("{name} is not there: {features:?}"))
    };
    assert_eq!(feature("programs, generic mode")["supported"], true);
    assert_eq!(feature("sockets")["supported"], true);
    let native = feature("programs, native mode");
    assert_eq!(native["supported"], false);
    assert!(
        native["detail"].as_str().is_some_and(|why| !why.is_empty()),
        "{native}"
    );
    assert!(done(&["features", "-i", "lab:"]).contains("sockets, native mode"));
}

#[test]
fn the_doctor_finds_a_lab_well_and_a_missing_driver() {
    let text = done(&["doctor", "-i", "lab:"]);
    assert!(
        text.contains("can be attached to nic0") && text.contains("nothing is wrong"),
        "{text}"
    );
    refused(&["doctor"], 3, "wrong  driver");
    refused(&["doctor", "--json"], 3, "\"verdict\": \"wrong\"");
}

#[test]
fn rules_meet_a_capture_and_are_counted() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let rules = "[[rule]]\nname = \"udp\"\nmatch = \"udp\"\naction = \"drop\"\n\n\
                 [[rule]]\nmatch = \"all\"\naction = \"pass\"\n";
    std::fs::write(folder.path().join("rules.toml"), rules).expect("the folder is ours");
    let address = format!("lab:wire=read:{CAPTURE}");
    let output = xdp(folder.path())
        .args(["filter", "apply", "-i", &address, "rules.toml", "--json"])
        .output()
        .expect("the program starts");
    let (code, out, err) = finished(&output);
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(err.contains("2 rules on nic0; Ctrl-C"), "{err}");
    let found: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(found["rules"][0]["condition"], "udp");
    // The driver counts what the same rules do to the same packets without it.
    let explained = xdp(folder.path())
        .args([
            "filter",
            "explain",
            "-f",
            "rules.toml",
            "-r",
            CAPTURE,
            "-o",
            "prometheus",
        ])
        .output()
        .expect("the program starts");
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    let line = explained
        .lines()
        .find(|line| line.contains("rule=\"1\""))
        .expect("a metric");
    let packets: u64 = line
        .rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    assert!(packets > 0, "{explained}");
    assert_eq!(found["rules"][0]["hits"], packets);
    assert_eq!(
        found["rules"][1]["hits"],
        281 - packets,
        "all the rest of the capture"
    );
}

#[test]
fn a_filter_without_rules_ends() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut session = xdp(folder.path())
        .args([
            "filter", "add", "-i", "lab:", "-d", "60s", "udp-dst", "port=53", "drop",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let start = Instant::now();
    let filter = |words: &[&str]| {
        let output = xdp(folder.path()).arg("filter").args(words).output();
        finished(&output.expect("the program starts"))
    };
    while !filter(&["list"]).1.contains("udp-dst 53") {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the session does not start"
        );
        assert!(
            session.try_wait().expect("it is ours").is_none(),
            "the session ended"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(filter(&["apply", "-i", "lab:lab", "/no/such/file"]).0, 1);
    assert_eq!(filter(&["remove", "-i", "lab:lab", "--all"]).0, 0);
    let (code, out, err) = finished(&session.wait_with_output().expect("it ends"));
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(err.contains("all rules were removed"), "{err}");
    assert!(filter(&["list"]).1.contains("no session"));
}

/// Those who want a queue in different ways are different programs, and a lab is of one: so the queue is taken here.
#[test]
fn a_busy_queue_has_its_own_message_and_code() {
    let address = "lab:".parse().expect("an address");
    let lab = Lab::builder(&address).or_linked(xdp_driver::DriverEntry);
    let lab = lab.boot().expect("the lab boots");
    let interface = lab.interface(0);
    let program = Program::builder(&interface)
        .queue(0)
        .rule(Match::all().pass());
    let program = program.attach().expect("the queue is free");
    let umem = Umem::builder(&interface)
        .frames(16)
        .build()
        .expect("memory");
    let socket = || Socket::builder(&interface, &umem).queue(0).rx_checksums();
    let failure = Failure::from(socket().open().expect_err("the program has the queue"));
    let (what, _, hint) = failure.parts();
    assert_eq!(failure.exit().code(), 7, "{what}");
    assert!(what.contains("queue 0 of nic0"), "{what}");
    assert!(
        what.contains("the queue is in use without it, by a program or another socket"),
        "{what}"
    );
    assert!(
        hint.is_some_and(|hint| hint.contains("close what uses it")),
        "{hint:?}"
    );
    program.detach();
    drop(socket().open().expect("the queue is free again"));
    drop((umem, interface));
    let report = lab.finish().expect("the lab ends");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn what_is_wrong_has_its_own_message_and_code() {
    let apply = |more: &[&'static str]| -> Vec<&'static str> {
        [&["filter", "add", "-d", "1s"], more, &["all", "pass"]].concat()
    };
    for (arguments, code, part) in [
        // The driver is not there.
        (apply(&["-i", "Ethernet 2"]), 3, "this is not Windows"),
        (vec!["interfaces"], 3, "lab:"),
        (apply(&["-i", "lab:driver=/no/such.sys"]), 3, "/no/such.sys"),
        // The interface is not there.
        (apply(&["-i", "lab:nic=nic9"]), 6, "nic9"),
        // Somebody has it already, in another way.
        (
            vec![
                "forward",
                "-i",
                "lab:queues=2",
                "--to",
                "lab:queues=4",
                "-d",
                "1s",
            ],
            7,
            "a lab runs in this process, with other options",
        ),
        (
            apply(&["-i", "lab:other"]),
            1,
            "there is no lab named other",
        ),
        (
            vec!["status", "-i", "lab:other"],
            1,
            "there is no lab named other",
        ),
        (
            vec!["features", "-i", "lab:other"],
            6,
            "no lab of this name runs",
        ),
        // The user may not.
        (apply(&["-i", "lab:user=ordinary"]), 4, "administrator"),
        (
            vec!["status", "-i", "lab:user=ordinary"],
            4,
            "administrator",
        ),
        (
            vec!["bench", "rx", "-i", "lab:user=ordinary", "-d", "1s"],
            4,
            "administrator",
        ),
        (
            vec!["doctor", "-i", "lab:user=ordinary"],
            4,
            "administrator",
        ),
        // It cannot do this.
        (apply(&["-i", "lab:", "-m", "native"]), 5, "native"),
        // Values out of range.
        (
            apply(&["-i", "lab:queues=2", "-q", "2"]),
            2,
            "its queues are 0 to 1",
        ),
        (apply(&["-i", "lab:", "-q", "1"]), 2, "its only queue is 0"),
        (
            apply(&["-i", "lab:", "-q", "first"]),
            2,
            "queues are numbered 0 to 1023",
        ),
        (
            apply(&["-i", "lab:", "-m", "fast"]),
            2,
            "auto, native, generic",
        ),
        (apply(&["-i", "lab:", "--at", "0"]), 2, "from 1 to 1000000"),
        (apply(&["-i", "lab:queues=99"]), 2, "1 to 64"),
        (apply(&["-i", "lab:colour=red"]), 2, "colour"),
        (apply(&[]), 2, "no interface was named"),
        (
            vec!["filter", "list", "-o", "xml"],
            2,
            "text, json, ndjson, csv, prometheus",
        ),
        (vec!["filter", "remove", "-i", "lab:x"], 2, "RULE"),
        (
            vec!["lab", "run", "--linked", "-d", "0"],
            2,
            "more than zero",
        ),
        (
            vec!["lab", "run", "--linked", "--name", "a/b"],
            2,
            "letters, digits",
        ),
        (vec!["man", "nonsense"], 2, "it has "),
        (vec!["completions", "tcsh"], 2, "bash"),
    ] {
        refused(&arguments, code, part);
    }
}

#[test]
fn completions_and_man_pages_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(done(&["completions", shell]).contains("filter"), "{shell}");
    }
    assert!(
        done(&["man", "filter", "apply"]).contains("XDP\\-FILTER\\-APPLY")
            || done(&["man", "filter", "apply"]).contains("XDP-FILTER-APPLY")
    );
}

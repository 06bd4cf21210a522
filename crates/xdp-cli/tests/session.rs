//! Rules of a running lab, changed from outside.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A lab that runs, and the folder through which it is reached.
struct Running {
    lab: Child,
    folder: PathBuf,
}

fn xdp(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
    command
        .env("XDP_RUNTIME_DIR", folder.join("run"))
        .env_remove("XDP_DRIVER")
        .env_remove("XDP_INTERFACE")
        .env_remove("CLICOLOR_FORCE")
        .current_dir(folder);
    command
}

/// Starts a lab and waits until it runs; it ends itself even if nobody ends it.
fn start(folder: &Path, arguments: &[&str]) -> Running {
    let mut lab = xdp(folder)
        .args(["lab", "run", "--linked", "--stay", "-d", "60s"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(lab.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    while !line.starts_with("running: ") {
        line.clear();
        let size = lines.read_line(&mut line).expect("it is text");
        assert!(
            size != 0,
            "the lab did not start: {:?}",
            lab.wait_with_output()
        );
    }
    lab.stdout = Some(lines.into_inner());
    Running {
        lab,
        folder: folder.to_owned(),
    }
}

impl Running {
    /// Runs `xdp filter`; whether it went well, and what it said.
    fn filter(&self, arguments: &[&str]) -> (i32, String) {
        let output = xdp(&self.folder)
            .arg("filter")
            .args(arguments)
            .output()
            .expect("the program starts");
        said(&output)
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, text) = self.filter(arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    }

    fn refused(&self, arguments: &[&str], code: i32, part: &str) {
        let (found, text) = self.filter(arguments);
        assert_eq!(found, code, "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }

    /// Ends the lab with a signal, and returns what it said.
    fn end(mut self) -> (i32, String) {
        signal(&self.lab, "INT");
        let mut text = String::new();
        let out = self.lab.stdout.as_mut().expect("it is a pipe");
        out.read_to_string(&mut text).expect("it is text");
        let err = self.lab.stderr.as_mut().expect("it is a pipe");
        err.read_to_string(&mut text).expect("it is text");
        let status = self.lab.wait().expect("it ends");
        (status.code().unwrap_or(-1), text)
    }
}

fn said(output: &Output) -> (i32, String) {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(sent.expect("kill is there").success());
}

const RULES: &str = "[[rule]]\nname = \"dns\"\nmatch = \"udp-dst\"\nport = 53\naction = \"drop\"\n\n\
                     [[rule]]\nmatch = \"udp-port-set\"\nports = [443, \"8000-8100\"]\naction = \"pass\"\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    std::fs::write(folder.path().join("rules.toml"), RULES).expect("the folder is ours");
    folder
}

/// Conditions of the rules on the network cards, from the JSON output.
fn conditions(text: &str) -> Vec<(String, String)> {
    let value: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
    let rules = value["rules"].as_array().expect("there is a list").iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rules
        .map(|rule| (text(&rule["interface"]), text(&rule["condition"])))
        .collect()
}

#[test]
fn rules_of_a_lab_are_listed_applied_added_and_removed() {
    let folder = folder();
    let lab = start(folder.path(), &["--name", "demo"]);
    assert!(
        lab.done(&["list", "-i", "lab:demo"])
            .contains("nic0: no rules")
    );
    lab.done(&["apply", "-i", "lab:demo", "rules.toml"]);
    let added = lab.done(&[
        "add", "-i", "lab:demo", "--at", "1", "--name", "web", "tcp-dst", "port=80", "drop",
    ]);
    assert!(
        added.contains("web") && added.contains("nic0: 3 rules"),
        "{added}"
    );
    let on = |condition: &str| ("nic0".to_owned(), condition.to_owned());
    let listed = lab.done(&["list", "-i", "lab:demo/nic0", "--json"]);
    assert_eq!(
        conditions(&listed),
        [
            on("tcp-dst 80"),
            on("udp-dst 53"),
            on("udp-port-set {443, 8000-8100}")
        ]
    );
    lab.done(&["remove", "-i", "lab:demo", "dns", "1"]);
    assert_eq!(
        conditions(&lab.done(&["list", "--json"])),
        [on("udp-port-set {443, 8000-8100}")]
    );
    let metrics = lab.done(&["list", "-o", "prometheus"]);
    let labels = "xdp_rule_hits_total{session=\"demo\",interface=\"nic0\",number=\"1\",condition=";
    assert!(metrics.contains(labels), "{metrics}");
    lab.refused(
        &["remove", "-i", "lab:demo", "dns"],
        1,
        "there is no rule dns",
    );
    lab.refused(
        &["add", "-i", "lab:demo", "--at", "9", "all", "pass"],
        2,
        "there is no place 9",
    );
    lab.refused(
        &["add", "-i", "lab:demo", "udp-dst", "port=x", "drop"],
        2,
        "this is no rule",
    );
    lab.refused(&["list", "-i", "lab:demo/nic7"], 1, "it has nic0");
    lab.refused(&["list", "-i", "lab:other"], 1, "there is demo");
    lab.refused(&["list", "-i", "lab:../x"], 2, "is no name of a lab");
    lab.refused(&["remove", "-i", "lab:demo"], 2, "RULE");
    // What was refused changed nothing.
    assert_eq!(conditions(&lab.done(&["list", "--json"])).len(), 1);
    let (code, text) = lab.end();
    assert_eq!(code, 130, "{text}");
    assert!(text.contains("clean unload"), "{text}");
}

#[test]
fn a_change_is_made_on_all_cards_or_on_one() {
    let folder = folder();
    let lab = start(
        folder.path(),
        &[
            "--name",
            "two",
            "--wire",
            "none",
            "--wire",
            "none",
            "--rules",
            "rules.toml",
        ],
    );
    assert_eq!(conditions(&lab.done(&["list", "--json"])).len(), 4);
    lab.done(&["remove", "-i", "lab:two/nic1", "--all"]);
    let left = conditions(&lab.done(&["list", "--json"]));
    assert!(
        left.len() == 2 && left.iter().all(|(card, _)| card == "nic0"),
        "{left:?}"
    );
    let (code, text) = lab.end();
    assert_eq!(code, 130, "{text}");
}

#[test]
fn a_rule_that_the_driver_cannot_have_leaves_the_old_ones() {
    let folder = folder();
    let to_socket =
        "[[rule]]\nmatch = \"all\"\naction = \"redirect\"\nredirect-to = { socket = \"rx\" }\n";
    std::fs::write(folder.path().join("socket.toml"), to_socket).expect("the folder is ours");
    let lab = start(folder.path(), &["--name", "demo", "--rules", "rules.toml"]);
    lab.refused(
        &["apply", "-i", "lab:demo", "socket.toml"],
        1,
        "no sockets and maps of its own",
    );
    assert_eq!(conditions(&lab.done(&["list", "--json"])).len(), 2);
    let (code, text) = lab.end();
    assert_eq!(code, 130, "{text}");
}

#[test]
fn names_are_unique_until_whoever_has_one_is_gone() {
    let folder = folder();
    let mut lab = start(folder.path(), &["--name", "demo"]);
    let second = xdp(folder.path())
        .args(["lab", "run", "--linked", "--name", "demo"])
        .output()
        .expect("the program starts");
    let (code, text) = said(&second);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("a lab named demo already"), "{text}");
    // Killed without a chance to clean up, it leaves a socket behind that nobody listens at.
    signal(&lab.lab, "KILL");
    lab.lab.wait().expect("it is dead");
    assert!(folder.path().join("run/demo.sock").exists());
    lab.refused(&["list", "-i", "lab:demo"], 1, "there is no lab named demo");
    assert!(lab.done(&["list"]).contains("no session"));
    let next = start(folder.path(), &["--name", "demo"]);
    assert!(next.done(&["list", "-i", "lab:demo"]).contains("nic0"));
    let (code, text) = next.end();
    assert_eq!(code, 130, "{text}");
    assert!(!folder.path().join("run/demo.sock").exists());
}

#[test]
fn labs_without_names_get_some() {
    let folder = folder();
    let (first, second) = (start(folder.path(), &[]), start(folder.path(), &[]));
    let listed = first.done(&["list"]);
    assert!(
        listed.contains("session lab,") && listed.contains("session lab-2,"),
        "{listed}"
    );
    first.end();
    second.end();
}

#[test]
fn a_folder_that_others_can_enter_is_refused() {
    let folder = folder();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).expect("the folder is ours");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let output = xdp(folder.path())
        .args(["lab", "run", "--linked", "--name", "demo"])
        .output()
        .expect("the program starts");
    let (code, text) = said(&output);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("others have access to it"), "{text}");
}

#[test]
fn nonsense_through_the_socket_is_answered_or_ignored() {
    let folder = folder();
    let lab = start(folder.path(), &["--name", "demo"]);
    let socket = folder.path().join("run/demo.sock");
    let ask = |line: &[u8]| {
        let mut stream = UnixStream::connect(&socket).expect("somebody listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("it is a time");
        stream.write_all(line).expect("it is read");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it is text");
        reply
    };
    for line in [
        &b"hello\n"[..],
        b"{}\n",
        b"{\"request\":\"format c:\"}\n",
        b"{\"request\":\"change\",\"change\":{\"replace\":{}}}\n",
        b"{\"request\":\"list\",\"interface\":7}\n",
        b"\xff\xfe\n",
        b"{\"request\":\"list\"",
    ] {
        let reply = ask(line);
        assert!(
            reply.contains("the request makes no sense"),
            "{line:?}: {reply}"
        );
    }
    assert_eq!(ask(b""), "");
    assert!(ask(b"{\"request\":\"list\"}\n").contains("\"done\""));
    assert!(lab.done(&["list", "-i", "lab:demo"]).contains("nic0"));
    let (code, text) = lab.end();
    assert_eq!(code, 130, "{text}");
}

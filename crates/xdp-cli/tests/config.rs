//! Where values come from: the flag, its variable, the configuration file, the default, in this order.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::{Command, Output};

struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("it is in the folder"))
            .expect("the folder is ours");
        std::fs::write(file, text).expect("the folder is ours");
    }

    /// The command, with nothing of the environment that could matter.
    fn xdp(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdp"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path());
        for variable in ["XDP_CONFIG", "XDP_INTERFACE", "XDP_LOG", "XDP_DRIVER"] {
            command.env_remove(variable);
        }
        command
    }
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// How many queues the lab that was chosen has.
fn queues(command: &mut Command) -> u64 {
    let (code, out, said) = output(command);
    assert_eq!(code, Some(0), "{said}");
    let document: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    document["interfaces"][0]["queues"]
        .as_u64()
        .expect("a number")
}

#[test]
fn the_flag_wins_over_the_variable_and_the_variable_over_the_file() {
    let stage = Stage::new();
    stage.write("xdp/config.toml", "interface = \"lab:queues=2\"\n");
    stage.write(
        "other.toml",
        "interface = \"lab:queues=3\"\n[status]\noutput = \"json\"\n",
    );
    let status = ["status", "--json"];
    assert_eq!(queues(&mut stage.xdp(&status)), 2);
    assert_eq!(
        queues(stage.xdp(&["status"]).env("XDP_CONFIG", "other.toml")),
        3
    );
    assert_eq!(
        queues(
            stage
                .xdp(&["--config", "other.toml", "status"])
                .env("XDP_CONFIG", "none.toml")
        ),
        3
    );
    assert_eq!(
        queues(stage.xdp(&status).env("XDP_INTERFACE", "lab:queues=4")),
        4
    );
    assert_eq!(
        queues(
            stage
                .xdp(&["status", "--json", "-i", "lab:queues=5"])
                .env("XDP_INTERFACE", "lab:queues=4")
        ),
        5
    );
    // What is set to nothing says nothing.
    let empty = ["XDP_INTERFACE", "XDP_CONFIG", "XDP_LOG"].map(|variable| (variable, ""));
    assert_eq!(queues(stage.xdp(&status).envs(empty)), 2);
}

#[test]
fn a_flag_wins_over_a_variable_that_would_conflict_with_it() {
    let stage = Stage::new();
    let run = ["lab", "run", "--linked", "--name", "linked"];
    let mut command = stage.xdp(&run);
    command
        .env("XDP_DRIVER", "/no/such/driver.sys")
        .env("XDP_RUNTIME_DIR", stage.folder.path().join("run"));
    let (code, out, said) = output(&mut command);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("linked into this program"), "{out}");
    let (code, _, said) = output(
        stage
            .xdp(&["lab", "run"])
            .env("XDP_DRIVER", "/no/such/driver.sys"),
    );
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn mistakes_in_the_file_are_told_with_its_name() {
    let stage = Stage::new();
    for (text, sentence) in [
        ("interface = ", "line 1: "),
        (
            "\n\ninterfcae = 1",
            "there is no flag `interfcae`; did you mean `interface`?",
        ),
        (
            "[staus]\nx = 1",
            "there is no subcommand `staus`; did you mean `status`?",
        ),
        (
            "[status]\noutput = \"xml\"",
            "defaults come from config.toml",
        ),
    ] {
        stage.write("config.toml", text);
        let (code, _, said) =
            output(&mut stage.xdp(&["--config=config.toml", "status", "-i", "lab:"]));
        assert_eq!(code, Some(2), "{text}: {said}");
        assert!(
            said.contains(sentence) && said.contains("config.toml"),
            "{text}: {said}"
        );
    }
    let (code, _, said) = output(stage.xdp(&["status"]).env("XDP_CONFIG", "none.toml"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot read none.toml"), "{said}");
}

#[test]
fn the_log_level_is_taken_from_where_everything_is() {
    let stage = Stage::new();
    stage.write("xdp/config.toml", "log = \"debug\"\n");
    let says = |command: &mut Command| {
        let (code, _, said) = output(command);
        assert_eq!(code, Some(0), "{said}");
        said.contains("lab: ")
    };
    let interfaces = ["interfaces", "-i", "lab:"];
    assert!(says(&mut stage.xdp(&interfaces)));
    assert!(!says(stage.xdp(&interfaces).env("XDP_LOG", "warn")));
    assert!(says(
        stage
            .xdp(&["interfaces", "-i", "lab:", "--log", "debug"])
            .env("XDP_LOG", "warn")
    ));
    assert!(says(
        stage
            .xdp(&["interfaces", "-i", "lab:", "-v"])
            .env("XDP_LOG", "ERROR")
    ));
    assert!(!says(
        stage
            .xdp(&["interfaces", "-i", "lab:", "--quiet"])
            .env("XDP_LOG", "trace")
    ));
    let (code, _, said) = output(stage.xdp(&interfaces).env("XDP_LOG", "loud"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("error, warn, info, debug, trace"), "{said}");
}

#[test]
fn status_tells_the_driver_and_whose_things_are() {
    let stage = Stage::new();
    let (code, out, said) = output(&mut stage.xdp(&["status", "-i", "lab:", "--json"]));
    assert_eq!(code, Some(0), "{said}");
    let document: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let driver = &document["drivers"][0];
    let file = driver["driver"].as_str().expect("a name");
    assert_eq!(
        Path::new(file).is_file(),
        driver["version"].is_string(),
        "{driver}"
    );
}

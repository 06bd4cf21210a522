//! `xdp lab run` as scripts see it: what goes in comes out, and mistakes end with one clear sentence and the right code.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../samples/captures/two-hosts.pcap"
);

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xdp"))
        .args(["lab", "run"])
        .args(arguments)
        .env_remove("XDP_DRIVER")
        .output()
        .expect("the program starts")
}

fn assert_succeeds(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The lab refuses with this code, and says this.
fn assert_refused(arguments: &[&str], code: i32, sentence: &str) {
    let output = lab(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(sentence), "{arguments:?}: {text}");
}

fn frames(file: &Path) -> Vec<Vec<u8>> {
    let open = || File::open(file).expect("the capture is there");
    let mut frames = Vec::new();
    if file
        .extension()
        .is_some_and(|extension| extension == "pcapng")
    {
        let mut reader = PcapNgReader::new(open()).expect("it is pcapng");
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.expect("the block is whole") {
                frames.push(packet.data.into_owned());
            }
        }
    } else {
        let mut reader = PcapReader::new(open()).expect("it is pcap");
        while let Some(packet) = reader.next_packet() {
            frames.push(packet.expect("the packet is whole").data.into_owned());
        }
    }
    frames
}

/// Replays the sample capture from one end to the other, and compares.
fn replay(driver: &[&str], from: &str, to: &str, more: &[&str], name: &str) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let out: PathBuf = folder.path().join(name);
    let (read, write) = (
        format!("read:{CAPTURE}"),
        format!("write:{}", out.display()),
    );
    let output = lab(&[driver, &[from, &read, to, &write], more].concat());
    assert_succeeds(&output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("clean unload"));
    assert!(
        frames(&out) == frames(Path::new(CAPTURE)),
        "what came out differs"
    );
}

#[test]
fn a_capture_goes_up_unchanged() {
    replay(&["--linked"], "--wire", "--stack", &[], "out.pcap");
}

#[test]
fn a_capture_goes_down_unchanged() {
    replay(&["--linked"], "--stack", "--wire", &[], "out.pcapng");
}

#[test]
fn a_capture_goes_up_with_more_processors_and_few_checks() {
    replay(
        &["--linked"],
        "--wire",
        "--stack",
        &["--cpus", "4", "--verifier", "fast"],
        "out.pcap",
    );
}

#[test]
fn a_capture_goes_up_under_a_seed() {
    replay(
        &["--linked"],
        "--wire",
        "--stack",
        &["--seed", "7"],
        "out.pcap",
    );
}

/// The same with the file that ships: `./x test` sets `XDP_DRIVER` to the driver that it built.
#[test]
fn a_capture_goes_through_the_driver_file_unchanged() {
    let Ok(file) = std::env::var("XDP_DRIVER") else {
        eprintln!("skipped: XDP_DRIVER names no driver file");
        return;
    };
    replay(&["--driver", &file], "--wire", "--stack", &[], "up.pcap");
    replay(&["--driver", &file], "--stack", "--wire", &[], "down.pcap");
}

#[test]
fn a_file_that_is_no_driver_is_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("text.sys");
    std::fs::write(&file, "not a driver").expect("the folder is ours");
    let file = file.to_str().expect("the name is UTF-8");
    assert_refused(&["--driver", file], 3, "not a Windows driver file");
    assert_refused(&["--driver", "/no/such/file.sys"], 3, "/no/such/file.sys");
}

#[test]
fn an_end_that_is_not_there_is_refused() {
    assert_refused(
        &["--linked", "--wire", "read:/no/such/file.pcap"],
        1,
        "cannot read /no/such/file.pcap",
    );
    assert_refused(
        &["--linked", "--wire", "if:no-such-0"],
        1,
        "there is no interface `no-such-0`",
    );
    let driver = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
    assert_refused(
        &["--linked", "--stack", &format!("read:{driver}")],
        1,
        "not a usable capture",
    );
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert_refused(&["--linked", "--cpus", "0"], 2, "1..=64");
    assert_refused(&["--linked", "--wire", "eth0"], 2, "an end is none");
    assert_refused(&["--linked", "--driver", "x.sys"], 2, "cannot be used with");
    assert_refused(
        &["--linked", "--seed", "1", "--wire", "if:eth0"],
        2,
        "a seed and the end if:eth0 do not go together",
    );
}

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
    xdp(&[&["lab", "run"], arguments].concat())
}

fn xdp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xdp"))
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

/// A small driver file of the simulator's own tests; its `DriverEntry` does nothing.
fn small_driver() -> Vec<u8> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../nt-sim/tests/data/seh.sys");
    std::fs::read(file).expect("the file is in the repository")
}

fn word(file: &[u8], at: usize) -> usize {
    u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Where the NT headers of a driver file start.
fn nt_headers(file: &[u8]) -> usize {
    word(file, 0x3c)
}

/// The small driver, changed so that `DriverEntry` calls a function that no kernel has.
fn calls_what_is_missing() -> Vec<u8> {
    let mut file = small_driver();
    let name = file
        .windows(13)
        .position(|bytes| bytes == b"ExRaiseStatus")
        .expect("it imports this");
    file[name..name + 13].copy_from_slice(b"ExMakeCoffee\0");
    let headers = nt_headers(&file);
    let entry = word(&file, headers + 0x28);
    let table = word(&file, headers + 0x18 + 112 + 12 * 8);
    let sections = headers
        + 0x18
        + usize::from(file[headers + 0x14])
        + (usize::from(file[headers + 0x15]) << 8);
    let count = usize::from(file[headers + 6]);
    let section = (0..count)
        .map(|n| sections + 40 * n)
        .find(|&at| {
            let start = word(&file, at + 12);
            (start..start + word(&file, at + 8)).contains(&entry)
        })
        .expect("the entry point is in a section");
    let code = entry - word(&file, section + 12) + word(&file, section + 20);
    // jmp [rip + distance to the first imported address]
    let distance = table as u32 - (entry as u32 + 6);
    file[code..code + 2].copy_from_slice(&[0xff, 0x25]);
    file[code + 2..code + 6].copy_from_slice(&distance.to_le_bytes());
    file
}

#[test]
fn driver_files_that_cannot_run_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let refused = |bytes: &[u8], cause: &str, way_out: &str| {
        let file = folder.path().join("driver.sys");
        std::fs::write(&file, bytes).expect("the folder is ours");
        let file = file.to_str().expect("the name is UTF-8");
        let output = lab(&["--driver", file]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(cause) && text.contains(way_out), "{text}");
        // One sentence, and at most one line of advice.
        assert!(text.lines().count() <= 2, "{text}");
    };
    let whole = small_driver();
    refused(&whole[..1000], "is cut off", "build or copy it again");
    refused(&[], "not a Windows driver file", "give the .sys file");
    refused(
        b"\x7fELF and more",
        "it is an ELF file",
        "give the .sys file",
    );
    let headers = nt_headers(&whole);
    for (machine, name) in [(0xaa64_u16, "ARM64"), (0x14c, "32-bit x86")] {
        let mut other = whole.clone();
        other[headers + 4..headers + 6].copy_from_slice(&machine.to_le_bytes());
        let cause = format!("the driver is for {name}");
        refused(&other, &cause, "x86_64-pc-windows-msvc");
    }
    let mut program = whole.clone();
    program[headers + 0x18 + 68] = 3;
    refused(&program, "not a kernel driver", "/SUBSYSTEM:NATIVE");
    refused(
        &calls_what_is_missing(),
        "ntoskrnl.exe!ExMakeCoffee was called, which the simulated kernel does not implement",
        "check that the name is one of Windows",
    );
}

#[test]
fn a_missing_import_that_is_not_called_is_named() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("driver.sys");
    let mut bytes = small_driver();
    let name = bytes.windows(13).position(|b| b == b"ExRaiseStatus");
    let name = name.expect("it imports this");
    bytes[name..name + 13].copy_from_slice(b"ExMakeCoffee\0");
    std::fs::write(&file, bytes).expect("the folder is ours");
    let output = lab(&["--driver", file.to_str().expect("the name is UTF-8")]);
    let text = String::from_utf8_lossy(&output.stdout);
    let named = "ntoskrnl.exe!ExMakeCoffee is not simulated: calling it stops the lab";
    assert!(text.contains(named), "{text}");
}

/// The lab as a user who may not do anything special; `None` when the test cannot become one.
fn lab_as_nobody(arguments: &[&str]) -> Option<Output> {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    // Whoever may not read this file is an ordinary user already.
    if File::open("/etc/shadow").is_err() {
        return Some(lab(arguments));
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("the folder is ours");
    let program = folder.path().join("xdp");
    std::fs::copy(env!("CARGO_BIN_EXE_xdp"), &program).expect("there is room for a copy");
    let output = Command::new(&program)
        .args(["lab", "run"])
        .args(arguments)
        .env_remove("XDP_DRIVER")
        .current_dir("/")
        .uid(65_534)
        .gid(65_534)
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: cannot run a program as another user: {error}");
            None
        }
    }
}

#[test]
fn what_needs_permission_is_refused_without_it() {
    for (end, sentence) in [
        ("tap:xdp-test-0", "no permission to make a TAP device"),
        ("read:/etc/shadow", "cannot read /etc/shadow"),
    ] {
        let Some(output) = lab_as_nobody(&["--linked", "--wire", end]) else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr);
        if text.contains("is not there") || text.contains("No such file") {
            eprintln!("skipped: {text}");
            continue;
        }
        assert!(text.contains(sentence), "{text}");
        assert_eq!(output.status.code(), Some(4), "{text}");
    }
    assert!(!Path::new("/sys/class/net/xdp-test-0").exists());
}

/// A TAP device that was made goes away when the second card cannot be plugged in.
#[test]
fn nothing_is_left_when_a_later_end_is_refused() {
    let output = lab(&[
        "--linked",
        "--wire",
        "tap:xdp-test-1",
        "--wire",
        "if:no-such-0",
    ]);
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("(tap:xdp-test-1)") {
        eprintln!("no TAP device here: {text}");
    } else {
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("there is no interface `no-such-0`"), "{text}");
    }
    assert!(!Path::new("/sys/class/net/xdp-test-1").exists());
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

/// Labs that other commands boot for themselves are refused as clearly, with the same codes.
#[test]
fn a_lab_of_another_command_is_refused_alike() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (options, code, sentence) in [
        (
            format!("driver={text}"),
            3,
            "this is not a Windows driver file",
        ),
        (
            "driver=/no/such/file.sys".to_owned(),
            3,
            "cannot boot the driver (/no/such/file.sys)",
        ),
        (
            "wire=if:no-such-0".to_owned(),
            1,
            "cannot use the end (if:no-such-0): there is no interface `no-such-0`",
        ),
        (
            "wire=read:/no/such/file.pcap".to_owned(),
            1,
            "check the path; it is relative to the current folder",
        ),
    ] {
        let output = xdp(&["interfaces", "-i", &format!("lab:{options}")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {said}");
        assert!(said.contains(sentence), "{options}: {said}");
        assert!(said.lines().count() <= 2, "{said}");
    }
}

#[test]
fn the_linked_driver_runs_whatever_file_is_named() {
    let output = lab(&["--linked", "--driver", "no such file.sys", "-d", "1ms"]);
    assert_succeeds(&output);
    assert_refused(
        &["--driver", "no such file.sys", "-d", "1ms"],
        3,
        "no such file.sys",
    );
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert_refused(&["--linked", "--cpus", "0"], 2, "1..=64");
    assert_refused(&["--linked", "--wire", "eth0"], 2, "an end is none");
    assert_refused(
        &["--linked", "--seed", "1", "--wire", "if:eth0"],
        2,
        "a seed and the end if:eth0 do not go together",
    );
}

/// A folder with a rule file in it.
fn rule_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("rules.toml");
    std::fs::write(&file, text).expect("the rules are written");
    let name = file.to_str().expect("the name is text").to_owned();
    (folder, name)
}

#[test]
fn rules_decide_what_comes_up() {
    let (folder, rules) = rule_file("[[rule]]\nmatch = \"udp\"\naction = \"drop\"\n");
    let out = folder.path().join("up.pcap");
    let write = format!("write:{}", out.display());
    let read = format!("read:{CAPTURE}");
    assert_succeeds(&lab(&[
        "--linked", "--wire", &read, "--stack", &write, "--rules", &rules,
    ]));
    let is_udp = |frame: &Vec<u8>| match frame.get(12..14) {
        Some([0x08, 0x00]) => frame.get(23) == Some(&17),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&17),
        _ => false,
    };
    let all = frames(Path::new(CAPTURE));
    let expected: Vec<_> = all.iter().filter(|frame| !is_udp(frame)).cloned().collect();
    assert!(expected.len() < all.len(), "the capture has UDP");
    assert_eq!(frames(&out), expected);
}

#[test]
fn rules_that_the_lab_cannot_apply_are_refused() {
    let redirect =
        "[[rule]]\nmatch = \"udp\"\naction = \"redirect\"\nredirect-to = { socket = \"web\" }\n";
    let (_folder, file) = rule_file(redirect);
    assert_refused(
        &["--linked", "--rules", &file],
        1,
        "rule 1 redirects to socket \"web\"",
    );
    assert_refused(&["--linked", "--rules", "missing.toml"], 1, "missing.toml");
}

#[test]
fn rules_with_port_sets_are_applied_and_counted() {
    // Of the bundled capture, what iperf3 sends.
    let ports = "[[rule]]\nname = \"iperf3\"\nmatch = \"udp-port-set\"\nports = [5201]\naction = \"drop\"\n";
    let (_folder, file) = rule_file(ports);
    let read = format!("read:{CAPTURE}");
    let output = lab(&["--linked", "--wire", &read, "--rules", &file]);
    assert_succeeds(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.contains("udp-port-set {5201}"));
    let hits = line.and_then(|line| line.split_whitespace().nth(2));
    let expected = frames(Path::new(CAPTURE))
        .iter()
        .filter(|frame| {
            let ipv4 = frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&17);
            let ipv6 = frame.get(12..14) == Some(&[0x86, 0xDD]) && frame.get(20) == Some(&17);
            let at = if ipv4 { 36 } else { 56 };
            (ipv4 || ipv6) && frame.get(at..at + 2) == Some(&[0x14, 0x51])
        })
        .count();
    assert!(expected > 0, "the capture has some");
    assert_eq!(hits, Some(expected.to_string().as_str()), "{text}");
}

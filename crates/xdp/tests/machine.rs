//! What a lab is made of: its driver, its cards, the cables in their ends, and runs that repeat.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stage;

use std::sync::mpsc;
use std::time::Duration;

use stage::{boot, describe, finish, udp};
use xdp::lab::{Cable, CableError, Feed, Lab, Side, Sink, Source, User};
use xdp::{Kind, Match, Program};

const SMALL_DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../nt-sim/tests/data/seh.sys");

#[test]
fn a_driver_file_is_described_and_its_service_is_named_after_it() {
    let lab = boot(&format!("lab:driver={SMALL_DRIVER}"));
    let driver = lab.driver().clone();
    assert_eq!(driver.service, "seh");
    let text = driver.to_string();
    let file = driver.file.expect("it has a file");
    assert_eq!(file.path.to_str(), Some(SMALL_DRIVER));
    let size = std::fs::metadata(SMALL_DRIVER).expect("it is there").len();
    assert_eq!(file.bytes as u64, size);
    assert!(
        file.sha256.len() == 64 && text.contains(&file.sha256),
        "{text}"
    );
    let raises = |import: &xdp::lab::Import| import.name == "ExRaiseStatus";
    assert!(file.imports.iter().any(raises));
    assert_eq!(file.unimplemented_imports, []);
    // It filters nothing, and cannot be unloaded.
    assert!(lab.filters(0).is_empty());
    let error = lab.finish().expect_err("it has no unload routine");
    assert_eq!(error.call(), "end the lab");
}

#[test]
fn a_linked_driver_runs_whatever_file_is_named() {
    let address = "lab:driver=no such file.sys,nics=2"
        .parse()
        .expect("an address");
    let lab = Lab::builder(&address).linked(xdp_driver::DriverEntry);
    let lab = lab.boot().expect("no file is looked for");
    assert_eq!(lab.driver().file, None);
    assert_eq!(lab.driver().service, "xdp");
    assert_eq!(lab.filters(0).len(), 1);
    assert_eq!(lab.filters(0), lab.filters(1));
    finish(lab);
    let error = Lab::boot(&address).expect_err("there is no such file");
    assert_eq!(error.kind(), Kind::DriverAbsent);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot boot the driver (no such file.sys)"),
        "{text}"
    );
}

#[test]
fn programs_are_told_apart_by_the_processes_that_attached_them() {
    let lab = boot("lab:");
    let interface = lab.interface(0);
    let ours = Program::builder(&interface)
        .rule(Match::udp_dst(1).drop())
        .attach()
        .expect("it attaches");
    let other = lab
        .process("other", User::Administrator)
        .expect("a process");
    let system = other.system();
    let there = system.interface("nic0").expect("it is there too");
    let theirs = Program::builder(&there)
        .rule(Match::udp_dst(2).drop())
        .attach()
        .expect("it attaches");
    let programs = lab.system().inventory().expect("a list").programs;
    let mut processes: Vec<u64> = programs.iter().map(|program| program.process).collect();
    assert_eq!(processes.len(), 2);
    processes.retain(|process| *process == lab.system().process_id());
    assert_eq!(processes.len(), 1);
    drop((ours, theirs, there, system, other, interface));
    finish(lab);
}

/// Gives one frame.
struct One(Option<Vec<u8>>);

impl Source for One {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        match self.0.take() {
            Some(frame) => frames.push(frame),
            None => std::thread::sleep(wait),
        }
        Ok(Feed::Open)
    }
}

struct Taken(mpsc::Sender<Vec<u8>>);

impl Sink for Taken {
    fn send(&mut self, frame: &[u8]) -> Result<bool, CableError> {
        Ok(self.0.send(frame.to_vec()).is_ok())
    }
}

#[test]
fn a_cable_takes_the_place_of_what_the_address_says() {
    let (sender, taken) = mpsc::channel();
    let frame = udp(7, b"through");
    let from = Cable {
        source: Some(Box::new(One(Some(frame.clone())))),
        sink: None,
    };
    let to = Cable {
        source: None,
        sink: Some(Box::new(Taken(sender))),
    };
    // What is not there is not opened.
    let lab = describe("lab:wire=read:/no/such/file.pcap,stack=if:no-such-0")
        .cable(0, Side::Wire, from)
        .cable(0, Side::Stack, to)
        .boot()
        .expect("it boots");
    let came = taken.recv_timeout(Duration::from_secs(60));
    assert_eq!(came.expect("the frame comes out"), frame);
    finish(lab);
    let error = describe("lab:")
        .cable(1, Side::Wire, Cable::default())
        .boot()
        .expect_err("there is one card");
    assert_eq!(error.kind(), Kind::InvalidArgument);
}

#[test]
fn a_seed_decides_and_takes_no_frames_from_outside() {
    let run = |seed| {
        let lab = describe("lab:queues=4,cpus=4").seed(seed).boot();
        let lab = lab.expect("it boots");
        let interface = lab.interface(0);
        let program = Program::builder(&interface)
            .rule(Match::udp_dst(3).drop())
            .attach()
            .expect("it attaches");
        lab.wire(0)
            .send_all((0..64).map(|port| udp(port, b"x")))
            .expect("they are taken");
        lab.settle().expect("the lab runs");
        drop((program, interface));
        let frames = lab.stack(0).take_all().expect("the lab runs");
        finish(lab);
        frames
    };
    let first = run(7);
    assert_eq!(first.len(), 63);
    assert_eq!(first, run(7));
    let source = Cable {
        source: Some(Box::new(One(None))),
        sink: None,
    };
    let error = describe("lab:").seed(7).cable(0, Side::Stack, source);
    let error = error.boot().expect_err("it could not be repeated");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.advice().is_some(), "{error}");
}

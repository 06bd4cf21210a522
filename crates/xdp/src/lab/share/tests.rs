//! What programs that do not keep to the protocol can do to a lab: nothing.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use xdp_abi::ioctl;

use super::*;
use crate::sys::Answer;
use crate::sys::remote::protocol::{Card, Ended, Opened, Range};

#[test]
fn names_are_told_from_options() {
    assert_eq!(named("lab:demo"), Some(("demo", "nic0")));
    assert_eq!(named("lab:demo/nic1"), Some(("demo", "nic1")));
    for other in ["lab:", "lab:queues=4", "Ethernet 2", "demo"] {
        assert_eq!(named(other), None, "{other}");
    }
}

#[test]
fn names_cannot_leave_the_folder() {
    for good in ["lab", "demo-2", "a.b_c"] {
        assert!(folder::check_name(good).is_ok(), "{good}");
    }
    let long = "x".repeat(49);
    for bad in ["", "..", "../x", "a\\b", "-x", "a b", "ä", long.as_str()] {
        let error = join(bad).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{bad}");
    }
}

/// A lab with a program in it that speaks for itself.
struct Stage {
    lab: Lab,
    share: Share,
    _life: UnixStream,
    stream: UnixStream,
}

fn stage(test: &str) -> Stage {
    let builder = Lab::builder(&"lab:".parse().unwrap()).or_linked(xdp_driver::DriverEntry);
    let lab = builder.boot().unwrap();
    let name = format!("unit-{}-{test}", std::process::id());
    let share = lab.share(&name).unwrap();
    let life = connect(&share);
    let process: u64 = ask(
        &life,
        &Request::Join {
            version: protocol::VERSION,
            program: "test".into(),
        },
    )
    .unwrap();
    protocol::receive_file(&life).unwrap();
    let stream = connect(&share);
    ask::<()>(&stream, &Request::Again { process }).unwrap();
    Stage {
        lab,
        share,
        _life: life,
        stream,
    }
}

fn connect(share: &Share) -> UnixStream {
    let path = folder::socket(&runtime_folder(), share.name());
    folder::connect(&path).unwrap().expect("it is shared")
}

fn ask<T: serde::de::DeserializeOwned>(stream: &UnixStream, request: &Request) -> Result<T, Fault> {
    protocol::send(stream, request).unwrap();
    let answer: Result<T, Refusal> = protocol::receive(stream).unwrap();
    answer.map_err(Fault::from)
}

impl Stage {
    fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, Fault> {
        ask(&self.stream, request)
    }

    fn finish(self) {
        drop(self.share);
        let report = self.lab.finish().unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn numbers_that_name_nothing_are_refused() {
    let stage = stage("numbers");
    let (object, pending, signal) = (99, 99, 99);
    let requests = [
        Request::Adopt { handle: 0xFFF8 },
        Request::Control {
            object,
            code: 1,
            input: vec![],
            output: 8,
        },
        Request::Notify {
            object,
            input: [0; 8],
        },
        Request::Submit {
            object,
            code: 1,
            input: vec![],
            signal: None,
        },
        Request::Answer { pending },
        Request::Wait {
            pending,
            nanoseconds: None,
        },
        Request::Cancel { pending },
        Request::Mapped {
            object,
            address: 0,
            bytes: 1,
        },
        Request::Lower { signal },
        Request::Await {
            signal,
            nanoseconds: None,
        },
        Request::Join {
            version: 1,
            program: String::new(),
        },
        Request::Again { process: 4 },
        Request::Open {
            device: r"\Device\none".into(),
            full: true,
            value: None,
        },
    ];
    for request in requests {
        protocol::send(&stage.stream, &request).unwrap();
        let answer: Result<(), Refusal> = protocol::receive(&stage.stream).unwrap();
        assert!(answer.is_err(), "{request:?}");
    }
    // What is gone already can go again.
    for request in [
        Request::Close { object },
        Request::Forget { pending },
        Request::Free { memory: 99 },
        Request::Unsignal { signal },
    ] {
        assert_eq!(stage.ask(&request), Ok(()), "{request:?}");
    }
    stage.finish();
}

#[test]
fn sizes_are_limited() {
    let stage = stage("sizes");
    for bytes in [1 << 50, u64::MAX, u64::MAX - 4095] {
        let refused = stage.ask::<Range>(&Request::Allocate { bytes });
        assert!(refused.is_err(), "{bytes:#x}");
    }
    let opened: Opened = stage
        .ask(&Request::Open {
            device: xdp_abi::open::DEVICE_NAME.into(),
            full: false,
            value: None,
        })
        .unwrap();
    let object = opened.object;
    let control = |output| Request::Control {
        object,
        code: ioctl::common::LIST,
        input: vec![],
        output,
    };
    assert!(stage.ask::<(Ended, Vec<u8>)>(&control(u64::MAX)).is_err());
    assert!(stage.ask::<(Ended, Vec<u8>)>(&control(4096)).is_ok());
    for (address, bytes) in [(0, 0), (0, 4096), (u64::MAX, 1), (4096, u64::MAX)] {
        let request = Request::Mapped {
            object,
            address,
            bytes,
        };
        assert!(stage.ask::<Range>(&request).is_err(), "{address:#x}");
    }
    stage.finish();
}

#[test]
fn a_program_that_waits_when_it_goes_is_waited_for() {
    let stage = stage("waits");
    let signal: u64 = stage.ask(&Request::Signal).unwrap();
    // Nobody raises it.
    let forever = Request::Await {
        signal,
        nanoseconds: None,
    };
    protocol::send(&stage.stream, &forever).unwrap();
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    stage.finish();
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn noise_at_the_door_disturbs_nobody() {
    let stage = stage("noise");
    let mut noisy = Vec::new();
    for noise in [
        &b""[..],
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x05\0\0\0GET /",
        b"\x01\0\0\0\x02",
    ] {
        let mut stream = connect(&stage.share);
        stream.write_all(noise).unwrap();
        noisy.push(stream);
    }
    let wrong = connect(&stage.share);
    let version = ask::<u64>(
        &wrong,
        &Request::Join {
            version: 999,
            program: "test".into(),
        },
    );
    assert!(version.is_err());
    let mut nothing = Vec::new();
    (&wrong).read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, [0; 0]);
    // Nonsense in the middle ends the connection, and the program keeps its others.
    let (process, cards) = (
        stage.share.visitors().len(),
        stage.ask::<Vec<Card>>(&Request::Cards),
    );
    assert_eq!((process, cards.unwrap().len()), (1, 1));
    stage.finish();
}

#[test]
fn answers_of_the_driver_arrive_as_they_are() {
    let stage = stage("answers");
    let opened: Opened = stage
        .ask(&Request::Open {
            device: xdp_abi::open::DEVICE_NAME.into(),
            full: false,
            value: None,
        })
        .unwrap();
    let (ended, _): (Ended, Vec<u8>) = stage
        .ask(&Request::Control {
            object: opened.object,
            code: 0x22_0FFC,
            input: vec![],
            output: 0,
        })
        .unwrap();
    assert_eq!(Answer::from(ended).status, crate::NtStatus::NOT_SUPPORTED);
    stage.finish();
}

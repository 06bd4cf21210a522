//! One port is dropped between two hosts; all else passes, and the filter goes with the program.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::Command;
use std::time::Duration;

use namespaces::{Host, LEFT, Program, RIGHT, stage};

#[test]
fn the_port_is_dropped_and_others_pass() {
    let Some(network) = stage(&[LEFT, RIGHT], &[]) else {
        return;
    };
    let mut command = network.lab(env!("CARGO_BIN_EXE_rxfilter"));
    command.args([
        "-IfIndex",
        "lab:wire=if:wire0,stack=if:stack0",
        "-QueueId",
        "*",
    ]);
    command.args([
        "-MatchType",
        "UdpDstPort",
        "-UdpDstPort",
        "9",
        "-Action",
        "Drop",
    ]);
    let filter = Program::start(command, "filtering on", Duration::from_secs(60), None)
        .expect("the sample starts");
    let bind = |host: Host, address| {
        let socket = network.udp_socket(host.name, address, Duration::from_secs(20));
        socket.expect("the port is free")
    };
    let sender = bind(LEFT, "192.0.2.1:0");
    let (dropped, passed) = (bind(RIGHT, "192.0.2.2:9"), bind(RIGHT, "192.0.2.2:10"));
    for _ in 0..5 {
        sender
            .send_to(b"dropped", "192.0.2.2:9")
            .expect("it is sent");
        sender
            .send_to(b"passed", "192.0.2.2:10")
            .expect("it is sent");
        let mut bytes = [0; 16];
        let length = passed
            .recv(&mut bytes)
            .expect("the other port gets through");
        assert_eq!(&bytes[..length], b"passed");
    }
    // What was sent before the last datagram that arrived would have arrived before it.
    dropped.set_nonblocking(true).expect("it can be polled");
    assert!(
        dropped.recv(&mut [0; 16]).is_err(),
        "the port was not dropped"
    );
    filter.stop().expect("the sample ends well");
}

#[test]
fn wrong_parameters_print_the_usage_and_end_with_1() {
    for words in [
        &["-IfIndex", "5"][..],
        &["-MatchType", "Every"],
        &["-Unknown"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_rxfilter"))
            .args(words)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("ERR: ") && said.contains("Usage: rxfilter"),
            "{said}"
        );
    }
}

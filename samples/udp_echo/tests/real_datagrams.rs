//! The demo's rules between two hosts: one port dropped, one answered by the socket, the rest passed on.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Duration;

use namespaces::{Host, LEFT, Program, RIGHT, stage};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/demo.toml");
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn one_port_is_dropped_one_is_answered_and_the_rest_passes() {
    let Some(network) = stage(&[LEFT, RIGHT], &[]) else {
        return;
    };
    let mut command = network.lab(env!("CARGO_BIN_EXE_udp_echo"));
    command.args(["lab:wire=if:wire0,stack=if:stack0", "-Rules", RULES]);
    let echo = Program::start(command, "rules are on", Duration::from_secs(60), None)
        .expect("the sample starts");
    for (left, right) in [
        ("192.0.2.1", "192.0.2.2"),
        ("[2001:db8::1]", "[2001:db8::2]"),
    ] {
        let bind = |host: Host, address: String| {
            let socket = network.udp_socket(host.name, address, LIMIT);
            socket.expect("the port is free")
        };
        let sender = bind(LEFT, format!("{left}:0"));
        let dropped = bind(RIGHT, format!("{right}:9"));
        let passed = bind(RIGHT, format!("{right}:10"));
        let mut bytes = [0; 64];
        for number in 0..10 {
            let text = format!("datagram {number}");
            sender
                .send_to(text.as_bytes(), format!("{right}:9"))
                .expect("it is sent");
            sender
                .send_to(text.as_bytes(), format!("{right}:10"))
                .expect("it is sent");
            let length = passed.recv(&mut bytes).expect("other ports get through");
            assert_eq!(&bytes[..length], text.as_bytes());
            // Nobody listens on the other host: the socket answers.
            sender
                .send_to(text.as_bytes(), format!("{right}:7"))
                .expect("it is sent");
            let (length, from) = sender.recv_from(&mut bytes).expect("the socket answers");
            assert_eq!(&bytes[..length], text.as_bytes());
            assert_eq!(from.to_string(), format!("{right}:7"));
        }
        dropped.set_nonblocking(true).expect("it can be polled");
        assert!(
            dropped.recv(&mut bytes).is_err(),
            "the port was not dropped"
        );
    }
    let said = echo.stop().expect("the sample ends well");
    for line in [
        "20 datagrams answered",
        "20 frames: nobody listens to discard",
        "20 frames: echo, without a network stack",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

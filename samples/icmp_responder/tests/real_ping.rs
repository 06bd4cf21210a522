//! A real `ping` asks for addresses that nobody but the sample has.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Duration;

use namespaces::{Host, Program, Side, output, stage};

const ASKER: Host = Host {
    name: "asker",
    number: 1,
    side: Side::Wire,
};

#[test]
fn real_pings_are_answered_over_both_protocols() {
    let Some(network) = stage(&[ASKER], &["ping"]) else {
        return;
    };
    let mut command = network.lab(env!("CARGO_BIN_EXE_icmp_responder"));
    command.args(["lab:wire=if:wire0", "192.0.2.9", "2001:db8::9"]);
    let responder = Program::start(command, "answering on", Duration::from_secs(60), None)
        .expect("the sample starts");
    for address in ["192.0.2.9", "2001:db8::9"] {
        let text = output(
            network
                .command("asker", "ping")
                .args(["-n", "-q", "-c", "20", "-i", "0.05", "-W", "5", address]),
        )
        .expect("ping is answered");
        assert!(text.contains("20 received"), "{text}");
    }
    let nobody = network
        .command("asker", "ping")
        .args(["-n", "-q", "-c", "1", "-W", "1", "192.0.2.10"])
        .output()
        .expect("ping runs");
    assert!(
        !nobody.status.success(),
        "an address was answered that is not the sample's"
    );
    let said = responder.stop().expect("the sample ends well");
    assert!(said.contains("answers sent"), "{said}");
}

//! A real `curl` fetches from the sample: one page over each protocol, then ten thousand.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::time::Duration;

use namespaces::{Host, Program, Side, output, stage};

const CLIENT: Host = Host {
    name: "client",
    number: 1,
    side: Side::Wire,
};
const REQUESTS: usize = 10_000;

#[test]
fn ten_thousand_requests_are_answered() {
    let Some(network) = stage(&[CLIENT], &["curl"]) else {
        return;
    };
    let mut command = network.lab(env!("CARGO_BIN_EXE_smoltcp_http"));
    command.args([
        "lab:wire=if:wire0,verifier=fast",
        "192.0.2.9",
        "2001:db8::9",
    ]);
    let server = Program::start(command, "serving port 80", Duration::from_secs(60), None)
        .expect("the sample starts");
    for address in ["192.0.2.9", "[2001:db8::9]"] {
        let page = output(network.command("client", "curl").args([
            "--silent",
            "--show-error",
            "--fail",
            "--globoff",
            "--max-time",
            "30",
            &format!("http://{address}/"),
        ]))
        .expect("curl fetches the page");
        assert!(
            page.starts_with("This page came from a TCP/IP stack in user mode"),
            "{page}"
        );
    }
    // What it does not serve, and what is no HTTP, is refused; both are counted as answered.
    for (words, expected) in [
        (&["--data", "x"][..], "405"),
        (&["--request", "NO/HTTP"], "400"),
        (&["--http1.0"], "200"),
    ] {
        let code = output(
            network
                .command("client", "curl")
                .args(["--silent", "--max-time", "30", "--output", "/dev/null"])
                .args(["--write-out", "%{http_code}", "http://192.0.2.9/"])
                .args(words),
        )
        .expect("curl gets an answer");
        assert_eq!(code, expected, "{words:?}");
    }
    // Connections stay open, eight at a time.
    let codes = output(network.command("client", "curl").args([
        "--silent",
        "--parallel",
        "--parallel-max",
        "8",
        "--max-time",
        "240",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{size_download}\\n",
        &format!("http://192.0.2.9/[1-{REQUESTS}]"),
    ]))
    .expect("curl fetches all pages");
    let answered = codes.lines().filter(|line| *line == "200 72").count();
    assert_eq!(
        answered,
        REQUESTS,
        "not all were answered; the last: {:?}",
        codes.lines().last()
    );
    let said = server.stop().expect("the sample ends well");
    assert!(
        said.contains(&format!("{} requests answered", REQUESTS + 5)),
        "{said}"
    );
}

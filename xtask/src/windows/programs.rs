//! What is built for Windows, and what each program must do where there is no driver.

/// A program and how it is started.
pub(super) struct Program {
    /// Its package.
    pub(super) package: &'static str,
    /// Its name, without `.exe`.
    pub(super) name: &'static str,
    /// Starts that need no driver or find none.
    pub(super) starts: &'static [Start],
}

/// One start of a program.
pub(super) struct Start {
    pub(super) arguments: &'static [&'static str],
    pub(super) exit: i32,
    /// What the output (both streams together) must hold.
    pub(super) says: &'static str,
}

impl Program {
    pub(super) fn file(&self) -> String {
        format!("{}.exe", self.name)
    }
}

const fn start(arguments: &'static [&'static str], exit: i32, says: &'static str) -> Start {
    Start {
        arguments,
        exit,
        says,
    }
}

/// A sample: its package and its program have the same name.
const fn sample(name: &'static str, starts: &'static [Start]) -> Program {
    Program {
        package: name,
        name,
        starts,
    }
}

/// The programs that are built for Windows.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        package: "xdp-cli",
        name: "xdp",
        starts: &XDP,
    },
    sample("rxfilter", &RXFILTER),
    sample("xskfwd", &XSKFWD),
    sample("xskmaprx", &XSKMAPRX),
    Program {
        package: "xdpcfg",
        name: "xdpcfg",
        starts: &[start(&["SetDeviceSddl"], 1, "Usage: xdpcfg SetDeviceSddl")],
    },
    sample("icmp_responder", &ICMP_RESPONDER),
    sample("load_balancer", &LOAD_BALANCER),
    sample("smoltcp_http", &SMOLTCP_HTTP),
    sample("sniffer", &SNIFFER),
    sample("udp_echo", &UDP_ECHO),
    sample("xskrestricted", &XSKRESTRICTED),
];

/// Words of every program that finds no driver.
const NO_DRIVER: &str = "the XDP driver is not running";

const XDP: [Start; 7] = [
    start(&["--help"], 0, "Usage: xdp"),
    start(&["filter", "schema"], 0, "json-schema.org"),
    start(&["status"], 3, NO_DRIVER),
    start(&["doctor"], 3, "the service xdp is not registered"),
    // Without a driver that is what is said, not that it has no such interface.
    start(&["features", "-i", "no such interface"], 3, NO_DRIVER),
    start(
        &["filter", "add", "all", "drop", "-i", "no such interface"],
        3,
        NO_DRIVER,
    ),
    start(
        &["bench", "rx", "-i", "lab:"],
        5,
        "there is no lab on this system",
    ),
];
const RXFILTER: [Start; 3] = [
    start(&["-?"], 0, "Usage: rxfilter"),
    start(&["-IfIndex"], 1, "Usage: rxfilter"),
    start(
        &[
            "-IfIndex",
            "1",
            "-QueueId",
            "0",
            "-MatchType",
            "All",
            "-Action",
            "Drop",
        ],
        1,
        NO_DRIVER,
    ),
];
const XSKFWD: [Start; 2] = [
    start(&["-?"], 0, "Usage: xskfwd"),
    start(&["1"], 1, NO_DRIVER),
];
const XSKMAPRX: [Start; 2] = [
    start(&["-?"], 0, "Usage: xskmaprx"),
    start(&["-IfIndex", "1", "-QueueCount", "1"], 1, NO_DRIVER),
];
const XSKRESTRICTED: [Start; 4] = [
    start(&["-?"], 0, "Usage: xskrestricted"),
    start(
        &["1", "-TimeoutSeconds", "x"],
        1,
        "-TimeoutSeconds cannot be",
    ),
    start(&["1"], 1, NO_DRIVER),
    start(&["1", "-child", "no such pipe"], 1, "cannot read the pipe"),
];
const ICMP_RESPONDER: [Start; 2] = [
    start(&["--help"], 0, "Usage: icmp_responder"),
    start(&["1", "192.0.2.9"], 3, NO_DRIVER),
];
const LOAD_BALANCER: [Start; 2] = [
    start(&["--help"], 0, "Usage: load_balancer"),
    start(
        &["1", "192.0.2.100:80", "192.0.2.11", "02:00:00:00:01:0b"],
        3,
        NO_DRIVER,
    ),
];
const SMOLTCP_HTTP: [Start; 2] = [
    start(&["--help"], 0, "Usage: smoltcp_http"),
    start(&["1", "192.0.2.9"], 3, NO_DRIVER),
];
const SNIFFER: [Start; 2] = [
    start(&["--help"], 0, "Usage: sniffer"),
    start(&["1"], 3, NO_DRIVER),
];
// The rule file is from the root of the workspace, in which the programs are started.
const UDP_ECHO: [Start; 3] = [
    start(&["--help"], 0, "Usage: udp_echo"),
    start(
        &["1", "-Rules", "no such file"],
        1,
        "cannot read no such file",
    ),
    start(&["1", "-Rules", "samples/rules/demo.toml"], 3, NO_DRIVER),
];

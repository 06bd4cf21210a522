//! Three network namespaces: two ends, and the lab between them.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Interface of the lab's namespace towards the left end.
pub(super) const WIRE: &str = "wire0";
/// Interface of the lab's namespace towards the right end.
pub(super) const STACK: &str = "stack0";
/// Programs that the demo runs.
const PROGRAMS: [&str; 5] = ["ip", "ethtool", "ping", "curl", "iperf3"];

/// The namespaces; dropping it deletes them and, with them, the interfaces.
pub(super) struct Network {
    pub(super) left: String,
    pub(super) lab: String,
    pub(super) right: String,
}

/// Why no namespaces can be made here; `None` if they can.
pub(super) fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces need root".into());
    }
    let missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|program| !in_path(program))
        .collect();
    if !missing.is_empty() {
        return Some(format!("not installed: {}", missing.join(", ")));
    }
    let name = format!("xdp-demo-{}-probe", std::process::id());
    match ip(&["netns", "add", &name]) {
        Ok(()) => ip(&["netns", "delete", &name])
            .err()
            .map(|error| format!("{error:#}")),
        Err(error) => Some(format!(
            "this machine refuses network namespaces: {error:#}"
        )),
    }
}

impl Network {
    /// Makes the namespaces and the two cables.
    pub(super) fn build() -> Result<Self> {
        let name = |end: &str| format!("xdp-demo-{}-{end}", std::process::id());
        let network = Self {
            left: name("left"),
            lab: name("lab"),
            right: name("right"),
        };
        for namespace in network.namespaces() {
            ip(&["netns", "add", namespace])?;
            in_namespace(
                namespace,
                &[
                    "sysctl",
                    "-qw",
                    "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.accept_ra=0",
                ],
            )?;
        }
        // The kernel of the lab's namespace must not talk on the cables itself.
        in_namespace(
            &network.lab,
            &["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"],
        )?;
        for (namespace, lab_end, number) in
            [(&network.left, WIRE, "1"), (&network.right, STACK, "2")]
        {
            ip(&[
                "link",
                "add",
                "eth0",
                "netns",
                namespace,
                "type",
                "veth",
                "peer",
                "name",
                lab_end,
                "netns",
                &network.lab,
            ])?;
            ip(&[
                "-n",
                namespace,
                "address",
                "add",
                &format!("192.0.2.{number}/24"),
                "dev",
                "eth0",
            ])?;
            ip(&[
                "-n",
                namespace,
                "address",
                "add",
                &format!("2001:db8::{number}/64"),
                "dev",
                "eth0",
                "nodad",
            ])?;
            // A cable carries finished frames: no checksum left to the card, no segment larger than a frame.
            in_namespace(
                namespace,
                &[
                    "ethtool", "-K", "eth0", "tx", "off", "sg", "off", "tso", "off", "gso", "off",
                    "gro", "off",
                ],
            )?;
            ip(&["-n", &network.lab, "link", "set", lab_end, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        }
        Ok(network)
    }

    /// Drops what the left end has learnt, or is still asking, about the addresses of the other.
    pub(super) fn forget_neighbours(&self) -> Result<()> {
        ip(&["-n", &self.left, "link", "set", "eth0", "arp", "off"])?;
        ip(&["-n", &self.left, "link", "set", "eth0", "arp", "on"])
    }

    fn namespaces(&self) -> [&str; 3] {
        [&self.left, &self.lab, &self.right]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.namespaces() {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("warning: {error:#}");
            }
        }
    }
}

/// A command that runs inside a namespace.
pub(super) fn command_in(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

fn in_namespace(namespace: &str, words: &[&str]) -> Result<()> {
    run(command_in(namespace, words[0]).args(&words[1..]))
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

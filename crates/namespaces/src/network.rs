//! Hosts, the lab's namespace, and the cables.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{driver_file, ip, run};

/// Interface of the lab's namespace towards the hosts at the wire.
pub const WIRE: &str = "wire0";
/// Interface of the lab's namespace towards the hosts at the stack.
pub const STACK: &str = "stack0";

/// Which end of the lab's network card a host is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Where frames arrive from the network.
    Wire,
    /// Where the operating system's network stack would be.
    Stack,
}

/// A host: a namespace with one interface, `eth0`.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// What commands call it.
    pub name: &'static str,
    /// The last part of its addresses: 192.0.2.NUMBER/24 and 2001:db8::NUMBER/64, and 02:00:00:00:01:NUMBER.
    pub number: u8,
    /// Where it is plugged in.
    pub side: Side,
}

/// A host at the wire: 192.0.2.1, 2001:db8::1.
pub const LEFT: Host = Host {
    name: "left",
    number: 1,
    side: Side::Wire,
};

/// A host at the stack: 192.0.2.2, 2001:db8::2.
pub const RIGHT: Host = Host {
    name: "right",
    number: 2,
    side: Side::Stack,
};

/// The namespaces; dropping it deletes them and, with them, the interfaces.
pub struct Network {
    prefix: String,
    made: Vec<String>,
}

impl Network {
    /// Makes the hosts, the lab's namespace and the cables.
    ///
    /// # Errors
    ///
    /// What `ip` and `ethtool` say. Nothing is left behind.
    pub fn build(hosts: &[Host]) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mut network = Self {
            prefix: format!("xdp-{}-{number}", std::process::id()),
            made: Vec::new(),
        };
        network.make("lab")?;
        // The kernel of the lab's namespace must not talk on the cables itself.
        network.exec(
            "lab",
            &["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"],
        )?;
        for (side, lab_end) in [(Side::Wire, WIRE), (Side::Stack, STACK)] {
            let here: Vec<&Host> = hosts.iter().filter(|host| host.side == side).collect();
            match here.as_slice() {
                [] => {}
                [host] => {
                    network.add_host(host)?;
                    network.cable((host.name, "eth0"), ("lab", lab_end))?;
                    network.configure(host)?;
                }
                several => network.switch(lab_end, several)?,
            }
        }
        Ok(network)
    }

    /// Joins several hosts and the lab's end by a switch in a namespace of its own.
    fn switch(&mut self, lab_end: &'static str, hosts: &[&Host]) -> Result<()> {
        let switch = if lab_end == WIRE { "wire" } else { "stack" };
        self.make(switch)?;
        self.exec(
            switch,
            &["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"],
        )?;
        self.ip_in(
            switch,
            &[
                "link",
                "add",
                "br0",
                "type",
                "bridge",
                "stp_state",
                "0",
                "mcast_snooping",
                "0",
            ],
        )?;
        self.ip_in(switch, &["link", "set", "br0", "up"])?;
        self.cable((switch, "uplink"), ("lab", lab_end))?;
        self.ip_in(switch, &["link", "set", "uplink", "master", "br0"])?;
        for (number, host) in hosts.iter().enumerate() {
            self.add_host(host)?;
            let port = format!("port{number}");
            self.cable((host.name, "eth0"), (switch, &port))?;
            self.ip_in(switch, &["link", "set", &port, "master", "br0"])?;
            self.configure(host)?;
        }
        Ok(())
    }

    fn add_host(&mut self, host: &Host) -> Result<()> {
        self.make(host.name)?;
        self.exec(
            host.name,
            &[
                "sysctl",
                "-qw",
                "net.ipv6.conf.default.accept_dad=0",
                "net.ipv6.conf.default.accept_ra=0",
            ],
        )
    }

    /// Gives a host its addresses, once its cable is there.
    fn configure(&self, host: &Host) -> Result<()> {
        let number = host.number;
        let mac = format!("02:00:00:00:01:{number:02x}");
        let (v4, v6) = (
            format!("192.0.2.{number}/24"),
            format!("2001:db8::{number:x}/64"),
        );
        self.ip_in(host.name, &["link", "set", "eth0", "address", &mac])?;
        self.ip_in(host.name, &["address", "add", &v4, "dev", "eth0"])?;
        self.ip_in(host.name, &["address", "add", &v6, "dev", "eth0", "nodad"])?;
        self.ip_in(host.name, &["link", "set", "lo", "up"])
    }

    /// Plugs a cable in at both ends.
    fn cable(
        &self,
        (left, left_name): (&str, &str),
        (right, right_name): (&str, &str),
    ) -> Result<()> {
        let (left_space, right_space) = (self.namespace(left), self.namespace(right));
        ip(&[
            "link",
            "add",
            left_name,
            "netns",
            &left_space,
            "type",
            "veth",
            "peer",
            "name",
            right_name,
            "netns",
            &right_space,
        ])?;
        for (space, name) in [(left, left_name), (right, right_name)] {
            // A cable carries finished frames: no checksum left to the card, no segment larger than a frame.
            self.exec(
                space,
                &[
                    "ethtool", "-K", name, "tx", "off", "sg", "off", "tso", "off", "gso", "off",
                    "gro", "off",
                ],
            )?;
            self.ip_in(space, &["link", "set", name, "up"])?;
        }
        Ok(())
    }

    /// A command that runs on a host, or in the namespace `lab`.
    #[must_use]
    pub fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace(host)])
            .arg(program);
        command
    }

    /// A command that runs in the lab's namespace, with the driver that tests use.
    #[must_use]
    pub fn lab(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.command("lab", program);
        if let Some(driver) = driver_file() {
            command.env("XDP_DRIVER", driver);
        }
        command
    }

    /// Moves the calling thread to a host: sockets that it opens from now on are that host's.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn enter(&self, host: &str) -> Result<()> {
        let path = format!("/run/netns/{}", self.namespace(host));
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter {path}"))
    }

    /// A UDP socket of a host, which waits for datagrams no longer than `patience`.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Never: the thread that opens it does not.
    pub fn udp_socket(
        &self,
        host: &str,
        address: impl ToSocketAddrs + Send,
        patience: Duration,
    ) -> Result<UdpSocket> {
        std::thread::scope(|scope| {
            // Its own thread, because the calling one must stay where it is.
            let opened = scope.spawn(|| {
                self.enter(host)?;
                let socket = UdpSocket::bind(address).context("cannot bind a UDP socket")?;
                socket.set_read_timeout(Some(patience))?;
                Ok(socket)
            });
            opened.join().expect("opening a socket does not panic")
        })
    }

    /// Makes a host drop what it has learnt, or is still asking, about the addresses of others.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn forget_neighbours(&self, host: &str) -> Result<()> {
        self.ip_in(host, &["link", "set", "eth0", "arp", "off"])?;
        self.ip_in(host, &["link", "set", "eth0", "arp", "on"])
    }

    fn make(&mut self, name: &str) -> Result<()> {
        let namespace = self.namespace(name);
        ip(&["netns", "add", &namespace])?;
        self.made.push(namespace);
        Ok(())
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    fn exec(&self, host: &str, words: &[&str]) -> Result<()> {
        run(self.command(host, words[0]).args(&words[1..]))
    }

    fn ip_in(&self, host: &str, words: &[&str]) -> Result<()> {
        let namespace = self.namespace(host);
        run(Command::new("ip").args(["-n", &namespace]).args(words))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in &self.made {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("warning: {error:#}");
            }
        }
    }
}

//! Why a cable could not be plugged in, or broke.

use std::io;
use std::path::PathBuf;

/// A failure of a cable. Every message names the cause and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CableError {
    /// The interface's name is not one that Linux allows.
    #[error(
        "`{0}` cannot be the name of an interface: it needs 1 to 15 bytes, no spaces and no slashes"
    )]
    BadName(String),
    /// There is no such interface.
    #[error("there is no interface `{0}`; `ip link` lists those of this network namespace")]
    NoInterface(String),
    /// The interface does not carry Ethernet.
    #[error(
        "`{0}` is not an Ethernet interface; give a wired card, a veth end, a bridge or a TAP device"
    )]
    NotEthernet(String),
    /// The process may not open packet sockets or TAP devices.
    #[error(
        "no permission to {0}; run as root or with the capabilities CAP_NET_RAW and CAP_NET_ADMIN"
    )]
    NotPermitted(String),
    /// A TAP device cannot have this name, because something else has it.
    #[error(
        "`{0}` exists already and cannot become a TAP device; give a name that `ip link` does not list"
    )]
    NameTaken(String),
    /// The kernel has no TAP devices.
    #[error("/dev/net/tun is not there: {0}; load the module with `modprobe tun`")]
    NoTap(#[source] io::Error),
    /// The interface is used or gone.
    #[error("cannot {what} `{name}`: {error}")]
    Interface {
        /// What was tried.
        what: &'static str,
        /// The interface.
        name: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A capture file cannot be opened or created.
    #[error("cannot {what} {}: {error}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A capture file is not one, or is damaged.
    #[error("{} is not a usable capture: {why}; give a pcap or pcapng file of Ethernet frames", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl CableError {
    /// An error of an interface, with missing permission told apart.
    pub(super) fn interface(what: &'static str, name: &str, error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted(format!("{what} `{name}`")),
            _ => Self::Interface {
                what,
                name: name.to_owned(),
                error,
            },
        }
    }
}

//! Opening interfaces as they were named.

use xdp::{Interface, System};

use crate::args::{InterfaceArg, Place};
use crate::error::{Exit, Failure};

impl From<xdp::Error> for Failure {
    fn from(error: xdp::Error) -> Self {
        let failure =
            Self::new(error.to_string()).ending(Exit::from_code(error.kind().exit_code()));
        match error.advice() {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }
}

/// Opens an interface; `lab:` boots a lab for this command, `lab:NAME` is one that another process runs.
///
/// # Errors
///
/// There is no such interface, no driver, or no lab.
pub fn open(interface: &InterfaceArg) -> Result<Interface, Failure> {
    match interface.place() {
        Place::Host(name) => Ok(host()?.interface(name)?),
        Place::OwnLab(address) => own_lab(address),
        Place::RunningLab(..) => Ok(Interface::find(interface.as_str())?),
    }
}

/// Opens the system that an interface is of, or this Windows.
///
/// # Errors
///
/// As [`open`].
pub fn of(interface: Option<&InterfaceArg>) -> Result<System, Failure> {
    match interface {
        None => host(),
        Some(interface) => match interface.place() {
            Place::Host(_) => host(),
            Place::OwnLab(_) | Place::RunningLab(..) => Ok(open(interface)?.system().clone()),
        },
    }
}

/// The Windows that this runs on.
fn host() -> Result<System, Failure> {
    if cfg!(windows) {
        return Ok(System::host()?);
    }
    Err(Failure::new("there is no XDP driver")
        .because("this is not Windows")
        .hint("`-i lab:` is an interface of a simulated Windows with the driver in it")
        .ending(Exit::DriverAbsent))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn own_lab(address: &str) -> Result<Interface, Failure> {
    use xdp::lab::{Address, Lab};

    let wrong = |error| Failure::usage(format!("{address} is no address")).because(error);
    let parsed: Address = address.parse().map_err(wrong)?;
    // Where nothing was built and nothing was named, this program has the driver in it.
    let lab = Lab::at_or_linked(&parsed, xdp_driver::DriverEntry)?;
    crate::messages::detail(format_args!("lab: {}", lab.driver()));
    Ok(lab
        .system()
        .interface(parsed.nic.as_deref().unwrap_or("nic0"))?)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn own_lab(_: &str) -> Result<Interface, Failure> {
    Err(Failure::new("there is no lab on this system")
        .because("it runs on Linux on x86-64")
        .ending(Exit::NotSupported))
}

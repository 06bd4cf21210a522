//! Interfaces as they are named on the command line.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::error::Failure;

/// What begins the address of an interface of a lab.
const LAB: &str = "lab:";

/// An interface as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceArg(String);

/// Where a named interface is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// On this machine.
    Host(&'a str),
    /// In a lab that the command boots for itself.
    OwnLab(&'a str),
    /// In a lab that another process runs: its name, and the network card if one was named.
    RunningLab(&'a str, Option<&'a str>),
}

impl InterfaceArg {
    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where to look for it.
    pub fn place(&self) -> Place<'_> {
        let Some(lab) = self.0.strip_prefix(LAB) else {
            return Place::Host(&self.0);
        };
        // Options of a lab of one's own have an `=` in them, names do not.
        if lab.is_empty() || lab.contains('=') {
            return Place::OwnLab(&self.0);
        }
        match lab.split_once('/') {
            Some((name, card)) => Place::RunningLab(name, Some(card)),
            None => Place::RunningLab(lab, None),
        }
    }
}

impl FromStr for InterfaceArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for InterfaceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The interface that a subcommand works on.
#[derive(Clone, Debug, clap::Args)]
pub struct InterfaceArgs {
    /// Interface: its name, alias, index or GUID; lab: for a simulated one, lab:NAME for one of `xdp lab run --name NAME`
    #[arg(
        short,
        long,
        env = "XDP_INTERFACE",
        hide_env_values = true,
        value_name = "INTERFACE"
    )]
    interface: Option<InterfaceArg>,
}

impl InterfaceArgs {
    /// The interface, if one was named.
    pub fn get(&self) -> Option<&InterfaceArg> {
        // A variable that is set to nothing names nothing.
        self.interface
            .as_ref()
            .filter(|name| !name.as_str().trim().is_empty())
    }

    /// The interface, which must have been named.
    pub fn require(&self) -> Result<&InterfaceArg, Failure> {
        self.get().ok_or_else(|| {
            Failure::usage("no interface was named").hint(
                "name one with -i or in XDP_INTERFACE; `xdp interfaces` lists them, and `-i lab:` is a simulated one",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labs_are_told_from_interfaces() {
        let place = |text: &str| {
            let arg: InterfaceArg = text.parse().unwrap();
            format!("{:?}", arg.place())
        };
        assert_eq!(place("Ethernet 2"), r#"Host("Ethernet 2")"#);
        assert_eq!(place("12"), r#"Host("12")"#);
        assert_eq!(place("lab:"), r#"OwnLab("lab:")"#);
        assert_eq!(place("lab:queues=4"), r#"OwnLab("lab:queues=4")"#);
        assert_eq!(place("lab:demo"), r#"RunningLab("demo", None)"#);
        assert_eq!(
            place("lab:demo/nic1"),
            r#"RunningLab("demo", Some("nic1"))"#
        );
    }

    #[test]
    fn an_empty_name_is_none() {
        let args = InterfaceArgs {
            interface: Some(InterfaceArg(" ".into())),
        };
        assert!(args.get().is_none());
        assert_eq!(
            args.require().unwrap_err().exit(),
            crate::error::Exit::Usage
        );
    }
}

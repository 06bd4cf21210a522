//! Rules in a file that people write: TOML, or JSON of the same shape.
//!
//! ```
//! use xdp::rulefile::RuleFile;
//! use xdp_abi::{Handle, MatchType};
//!
//! let file = RuleFile::parse_toml(r#"
//!     [[rule]]
//!     name = "dns"
//!     match = "udp-dst"
//!     port = 53
//!     action = "drop"
//!
//!     [[rule]]
//!     match = "ipv4-udp-port-set"
//!     address = "192.0.2.1"
//!     ports = [443, "8000-8100"]
//!     action = "redirect"
//!     redirect-to = { socket = "rx" }
//! "#)?;
//!
//! // A file names sockets and maps; only the program that opens them knows their handles.
//! let socket = Handle(0x1234);
//! let rules = file.bind(|target| (target.name() == "rx").then_some(socket))?;
//! assert_eq!(rules[0].match_type, MatchType::UDP_DST);
//! assert_eq!(rules[1].params.redirect().target, socket);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every mistake in a file is reported with its line, its column, the rule and the field it is in, and what was expected there
//! ([`Errors`]).

mod catalog;
mod decode;
mod describe;
mod error;
mod fields;
mod json;
mod node;
mod ports;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod toml;

pub use catalog::{MATCHES, MatchInfo, match_name};
pub use error::{Error, Errors};
pub use ports::PortBitmap;
pub use schema::schema;

use std::fmt;
use std::sync::Arc;
use xdp_abi::{ActionParams, ClientPtr, Handle, RedirectParams, Rule};

/// The rules of one program, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct RuleFile {
    entries: Vec<Entry>,
}

/// One rule of a file.
#[derive(Clone, Debug)]
pub struct Entry {
    name: Option<String>,
    line: usize,
    /// Complete but for what only a running program knows: the target handle.
    rule: Rule,
    /// Shared by copies of the rule, which hold its address.
    ports: Option<Arc<PortBitmap>>,
    target: Option<Target>,
}

/// What a rule redirects to, by the name that the file gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An AF_XDP socket.
    Socket(String),
    /// A map of sockets by queue.
    Map(String),
}

impl Target {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Socket(name) | Self::Map(name) => name,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(name) => write!(f, "socket \"{name}\""),
            Self::Map(name) => write!(f, "map \"{name}\""),
        }
    }
}

/// A rule redirects to something that the program does not have.
#[derive(Debug, thiserror::Error)]
#[error("rule {number}: there is no {target}")]
pub struct UnknownTarget {
    /// Number of the rule, from 1.
    pub number: usize,
    /// What it redirects to.
    pub target: Target,
}

/// Some editors mark UTF-8 with a byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

impl RuleFile {
    /// Reads rules from TOML.
    ///
    /// # Errors
    ///
    /// Every mistake found.
    pub fn parse_toml(text: &str) -> Result<Self, Errors> {
        let text = without_mark(text);
        Self::decode(text, toml::parse(text))
    }

    /// Reads rules from JSON.
    ///
    /// # Errors
    ///
    /// Every mistake found.
    pub fn parse_json(text: &str) -> Result<Self, Errors> {
        let text = without_mark(text);
        Self::decode(text, json::parse(text))
    }

    /// Reads rules from JSON when the first character that is not white space is `{`, which TOML cannot start with, and from
    /// TOML otherwise.
    ///
    /// # Errors
    ///
    /// Every mistake found.
    pub fn parse(text: &str) -> Result<Self, Errors> {
        if without_mark(text).trim_start().starts_with('{') {
            Self::parse_json(text)
        } else {
            Self::parse_toml(text)
        }
    }

    fn decode(text: &str, parsed: Result<node::Node, Vec<error::Found>>) -> Result<Self, Errors> {
        match parsed.and_then(|root| decode::file(&root)) {
            Ok(pending) => {
                let lines = error::Lines::new(text);
                let entries = pending
                    .into_iter()
                    .map(|entry| entry.finish(&lines))
                    .collect();
                Ok(Self { entries })
            }
            Err(found) => Err(Errors::locate(text, found)),
        }
    }

    /// Makes a list without rules.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Puts a rule at a place, counted from 0, before the one that is there; behind the last one appends it.
    pub fn insert(&mut self, index: usize, entry: Entry) {
        self.entries.insert(index.min(self.entries.len()), entry);
    }

    /// Takes a rule out, if there is one at this place, counted from 0.
    pub fn remove(&mut self, index: usize) -> Option<Entry> {
        (index < self.entries.len()).then(|| self.entries.remove(index))
    }

    /// Returns the rules in order.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Returns the rules in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the rules as the driver takes them, with handles that `resolve` finds for what rules redirect to.
    ///
    /// Port sets are given to the driver by address: it reads them in place, so this file must live for as long as the
    /// program that is made of the rules.
    ///
    /// # Errors
    ///
    /// `resolve` does not know a target.
    pub fn bind(
        &self,
        mut resolve: impl FnMut(&Target) -> Option<Handle>,
    ) -> Result<Vec<Rule>, UnknownTarget> {
        let bind = |(index, entry): (usize, &Entry)| {
            let mut rule = entry.rule;
            if let Some(target) = &entry.target {
                let unknown = || UnknownTarget {
                    number: index + 1,
                    target: target.clone(),
                };
                let handle = resolve(target).ok_or_else(unknown)?;
                let params = RedirectParams {
                    target: handle,
                    ..rule.params.redirect()
                };
                rule.params = ActionParams::from_redirect(params);
            }
            Ok(rule)
        };
        self.entries.iter().enumerate().map(bind).collect()
    }

    /// Returns the port set at an address that [`RuleFile::bind`] put into a rule.
    #[must_use]
    pub fn port_set(&self, address: ClientPtr) -> Option<&PortBitmap> {
        self.entries
            .iter()
            .filter_map(Entry::ports)
            .find(|ports| ports.address() == address)
    }
}

impl Entry {
    /// Returns the name that the file gives the rule.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the line of the file on which the rule starts, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the rule; the handle of a redirect target is missing.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Returns the port set, if the rule has one.
    #[must_use]
    pub fn ports(&self) -> Option<&PortBitmap> {
        self.ports.as_deref()
    }

    /// Returns what the rule redirects to, if it does.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }
}

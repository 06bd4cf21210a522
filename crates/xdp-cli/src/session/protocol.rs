//! What is said through an endpoint.

use std::io::{self, Write};

use anstyle::Style;
use serde::{Deserialize, Serialize};

use crate::error::{Exit, Failure};
use crate::output::{Record, Table, action_style, count};
use crate::status::driver::DriverRecord;
use crate::talkers::Talker;

/// What can be asked of whoever holds rules. An interface is named when the session has several; none means all.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// The rules, and how often each was hit.
    List {
        /// On this interface only.
        #[serde(default)]
        interface: Option<String>,
    },
    /// All that can be watched: what there is in the driver, rules, and traffic where it is seen.
    Watch,
    /// Change the rules.
    Change {
        /// On this interface only.
        #[serde(default)]
        interface: Option<String>,
        /// How.
        change: Change,
    },
}

/// A change of a list of rules, made as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Change {
    /// These rules instead of those that are there.
    Replace {
        /// A rule file.
        text: String,
    },
    /// These rules, too.
    Insert {
        /// A rule file.
        text: String,
        /// Number that the first of them gets, from 1; none appends them.
        at: Option<usize>,
    },
    /// No more these rules, by number or name.
    Remove {
        /// Their numbers or names.
        rules: Vec<String>,
    },
    /// No rules.
    Clear,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// How it is now.
    Done(Listing),
    /// All that can be watched.
    Watched(Watched),
    /// Why it was not done; everything is as before.
    Refused {
        /// What failed.
        what: String,
        /// Why.
        cause: Option<String>,
        /// What to do.
        hint: Option<String>,
        /// Exit code.
        exit: u8,
    },
}

/// All that can be watched.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// Interfaces by index.
    pub(crate) interfaces: Vec<(u32, String)>,
    /// The driver's list with the hits of rules, in hexadecimal.
    pub(crate) list: String,
    /// The driver, if that is known.
    #[serde(default)]
    pub(crate) driver: Option<DriverRecord>,
    /// Programs of other processes by the numbers that the driver knows them by, if those are not the system's.
    #[serde(default)]
    pub(crate) processes: Vec<(u64, String)>,
    /// The rules that are held.
    pub(crate) rules: Listing,
    /// What interfaces carried, if that is known.
    #[serde(default)]
    pub(crate) traffic: Vec<Traffic>,
    /// Who talked most since somebody watches, if that is known.
    #[serde(default)]
    pub(crate) talkers: Vec<Talker>,
}

impl Watched {
    /// The driver's list.
    pub(crate) fn list(&self) -> Option<Vec<u8>> {
        unhex(&self.list)
    }
}

/// What an interface carried, as the network saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// The interface.
    pub(crate) interface: String,
    /// Frames that arrived.
    pub(crate) received: u64,
    /// Bytes of these.
    pub(crate) received_bytes: u64,
    /// Frames that left.
    pub(crate) sent: u64,
    /// Bytes of these.
    pub(crate) sent_bytes: u64,
}

impl Reply {
    /// The answer that a failure is.
    pub(crate) fn refused(failure: &Failure) -> Self {
        let (what, cause, hint) = failure.parts();
        Self::Refused {
            what: what.to_owned(),
            cause: cause.map(ToOwned::to_owned),
            hint: hint.map(ToOwned::to_owned),
            exit: failure.exit().code(),
        }
    }

    /// The list of rules that an answer is.
    pub(crate) fn into_result(self) -> Result<Listing, Failure> {
        match self {
            Self::Done(listing) => Ok(listing),
            other => Err(other.into_failure()),
        }
    }

    /// What can be watched, if an answer is that.
    pub(crate) fn into_watched(self) -> Result<Watched, Failure> {
        match self {
            Self::Watched(watched) => Ok(watched),
            other => Err(other.into_failure()),
        }
    }

    /// The failure that an answer is.
    fn into_failure(self) -> Failure {
        let Self::Refused {
            what,
            cause,
            hint,
            exit,
        } = self
        else {
            return Failure::new("the answer is none to what was asked")
                .hint("use the same version of xdp on both sides");
        };
        let mut failure = Failure::new(what).ending(Exit::from_code(exit));
        if let Some(cause) = cause {
            failure = failure.because(cause);
        }
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    pairs.iter().map(byte).collect()
}

/// The rules of a session.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// The session.
    pub(crate) session: String,
    /// The process that holds the rules.
    pub(crate) process: u32,
    /// Interface by interface.
    pub(crate) interfaces: Vec<InterfaceRules>,
}

/// The rules of an interface.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct InterfaceRules {
    /// Its name.
    pub(crate) interface: String,
    /// Rules in the order in which they are tried.
    pub(crate) rules: Vec<RuleInfo>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleInfo {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// Its name.
    pub(crate) name: Option<String>,
    /// What it matches.
    pub(crate) condition: String,
    /// What it does.
    pub(crate) action: String,
    /// Frames that it decided about since the list last changed; none when the driver does not count them.
    pub(crate) hits: Option<u64>,
}

/// A rule with its place, for the output.
#[derive(Serialize)]
pub(crate) struct RuleRecord<'a> {
    session: &'a str,
    interface: &'a str,
    #[serde(flatten)]
    rule: &'a RuleInfo,
}

impl Record for RuleRecord<'_> {
    const KIND: &'static str = "rule";
    const LABELS: &'static [&'static str] = &[
        "session",
        "interface",
        "number",
        "name",
        "condition",
        "action",
    ];
    const COUNTERS: &'static [&'static str] = &["hits"];
}

impl Listing {
    /// Writes a table for each interface.
    pub(crate) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for interface in &self.interfaces {
            let InterfaceRules { interface, rules } = interface;
            if rules.is_empty() {
                writeln!(out, "{interface}: no rules, everything passes")?;
                continue;
            }
            writeln!(out, "{interface}: {}", count(rules.len(), "rule"))?;
            let mut table = Table::new(&[">#", "NAME", ">HITS", "CONDITION", "ACTION"]);
            for rule in rules {
                let word = rule.action.split(' ').next().unwrap_or_default();
                let plain = Style::new();
                table.styled([
                    (plain, rule.number.to_string()),
                    (plain, rule.name.clone().unwrap_or_else(|| "-".into())),
                    (
                        plain,
                        rule.hits
                            .map_or_else(|| "?".into(), |hits| hits.to_string()),
                    ),
                    (plain, rule.condition.clone()),
                    (action_style(word), rule.action.clone()),
                ]);
            }
            table.write(out)?;
        }
        Ok(())
    }

    /// All rules, one after the other.
    pub(crate) fn records(&self) -> impl Iterator<Item = RuleRecord<'_>> {
        self.interfaces.iter().flat_map(|interface| {
            interface.rules.iter().map(|rule| RuleRecord {
                session: &self.session,
                interface: &interface.interface,
                rule,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_that_people_can_read() {
        let request = Request::Change {
            interface: Some("nic0".into()),
            change: Change::Remove {
                rules: vec!["dns".into()],
            },
        };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(
            line,
            r#"{"request":"change","interface":"nic0","change":{"remove":{"rules":["dns"]}}}"#
        );
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        let short: Request = serde_json::from_str(r#"{"request":"list"}"#).unwrap();
        assert_eq!(short, Request::List { interface: None });
    }

    #[test]
    fn bytes_arrive_as_they_were() {
        let reply = Reply::Watched(Watched {
            interfaces: vec![(7, "nic0".into())],
            list: hex(&[0, 0x7F, 0xFF]),
            ..Watched::default()
        });
        let line = serde_json::to_string(&reply).unwrap();
        let reply: Reply = serde_json::from_str(&line).unwrap();
        let watched = reply.into_watched().unwrap();
        let interface = watched.interfaces[0].0;
        assert_eq!((interface, watched.list()), (7, Some(vec![0, 0x7F, 0xFF])));
        for wrong in ["0", "0g", "ä"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_refusal_arrives_as_it_was() {
        let failure = Failure::new("cannot")
            .because("no")
            .hint("do")
            .ending(Exit::NotPermitted);
        let line = serde_json::to_string(&Reply::refused(&failure)).unwrap();
        let reply: Reply = serde_json::from_str(&line).unwrap();
        let failure = reply.into_result().unwrap_err();
        assert_eq!(failure.parts(), ("cannot", Some("no"), Some("do")));
        assert_eq!(failure.exit(), Exit::NotPermitted);
    }
}

//! What `xdp filter explain` prints, in each format.

use super::headers::Headers;
use crate::output::{ERROR, FAINT, action_style, count};
use serde::Serialize;
use std::io::{self, Write};
use xdp::rulefile::{Entry, Target};

/// Everything there is to say about one packet.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub(super) packet: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wire_bytes: Option<u32>,
    #[serde(flatten)]
    pub(super) outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<'a> {
    Decided {
        action: &'static str,
        /// None when no rule matches.
        rule: Option<Decision<'a>>,
        headers: Box<Headers>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    Unread {
        error: String,
    },
}

/// The rule that decided.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Decision<'a> {
    pub(super) number: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "match")]
    match_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_to: Option<To<'a>>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum To<'a> {
    Socket(&'a str),
    Map(&'a str),
}

impl<'a> Decision<'a> {
    pub(super) fn new(index: usize, entry: &'a Entry) -> Self {
        Self {
            number: index + 1,
            name: entry.name(),
            match_name: xdp::rulefile::match_name(entry.rule().match_type).unwrap_or("unknown"),
            redirect_to: entry.target().map(|target| match target {
                Target::Socket(name) => To::Socket(name),
                Target::Map(name) => To::Map(name),
            }),
        }
    }
}

/// What happened to how many packets.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) packets: usize,
    pub(super) unread: usize,
    pub(super) by_rule: Vec<usize>,
    pub(super) no_rule: usize,
}

#[derive(Serialize)]
struct Summary<'a> {
    packets: usize,
    unread: usize,
    no_rule: usize,
    rules: Vec<RuleTotal<'a>>,
}

#[derive(Serialize)]
struct RuleTotal<'a> {
    #[serde(flatten)]
    rule: Decision<'a>,
    action: &'static str,
    packets: usize,
}

/// The formats that are written here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Ndjson,
}

/// Writes records as they come.
pub(super) struct Report<'a, W> {
    out: W,
    format: Format,
    entries: &'a [Entry],
    rule_width: usize,
    written: usize,
}

/// Longer rule names are cut in the table, to keep it on the screen.
const NAME_MAX: usize = 24;

impl<'a, W: Write> Report<'a, W> {
    pub(super) fn new(out: W, format: Format, entries: &'a [Entry]) -> Self {
        let widths = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| label(index, entry).chars().count());
        Self {
            out,
            format,
            entries,
            rule_width: widths.max().unwrap_or(0).max(4),
            written: 0,
        }
    }

    pub(super) fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        let first = self.written == 0;
        self.written += 1;
        match self.format {
            Format::Text => {
                if first {
                    let width = self.rule_width;
                    writeln!(
                        self.out,
                        "{FAINT}{:>6}  {:8}  {:width$}  PACKET{FAINT:#}",
                        "#", "ACTION", "RULE"
                    )?;
                }
                self.text(record)
            }
            Format::Ndjson => self.json_line(record, "\n"),
            Format::Json => {
                self.out
                    .write_all(if first { b"{\"packets\":[\n" } else { b",\n" })?;
                self.json_line(record, "")
            }
        }
    }

    fn json_line(&mut self, value: &impl Serialize, end: &str) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(end.as_bytes())
    }

    fn text(&mut self, record: &Record<'_>) -> io::Result<()> {
        let width = self.rule_width;
        let out = &mut self.out;
        let number = record.packet;
        match &record.outcome {
            Outcome::Unread { error } => {
                writeln!(
                    out,
                    "{number:6}  {ERROR}{:8}{ERROR:#}  {:width$}  {error}",
                    "unread", "-"
                )
            }
            Outcome::Decided {
                action,
                rule,
                headers,
                notes,
            } => {
                let style = action_style(action);
                let rule = match rule {
                    Some(rule) => label(rule.number - 1, &self.entries[rule.number - 1]),
                    None => "-".into(),
                };
                write!(
                    out,
                    "{number:6}  {style}{action:8}{style:#}  {rule:width$}  {headers}"
                )?;
                match record.wire_bytes {
                    Some(size) => writeln!(out, ", {}", count(size as usize, "byte"))?,
                    None => writeln!(out)?,
                }
                for note in notes {
                    writeln!(
                        out,
                        "{:6}  {:8}  {:width$}  {FAINT}note: {note}{FAINT:#}",
                        "", "", ""
                    )?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn finish(mut self, totals: &Totals) -> io::Result<()> {
        match self.format {
            Format::Text => self.text_summary(totals)?,
            Format::Json => {
                self.out.write_all(if self.written == 0 {
                    b"{\"packets\":["
                } else {
                    b"\n"
                })?;
                self.out.write_all(b"],\n\"summary\":")?;
                let summary = self.summary(totals);
                self.json_line(&summary, "}\n")?;
            }
            Format::Ndjson => {
                #[derive(Serialize)]
                struct Line<'a> {
                    summary: Summary<'a>,
                }
                let line = Line {
                    summary: self.summary(totals),
                };
                self.json_line(&line, "\n")?;
            }
        }
        self.out.flush()
    }

    fn summary(&self, totals: &Totals) -> Summary<'a> {
        let rules = self.entries.iter().zip(&totals.by_rule).enumerate();
        Summary {
            packets: totals.packets,
            unread: totals.unread,
            no_rule: totals.no_rule,
            rules: rules
                .map(|(index, (entry, packets))| RuleTotal {
                    rule: Decision::new(index, entry),
                    action: entry.action_name(),
                    packets: *packets,
                })
                .collect(),
        }
    }

    fn text_summary(&mut self, totals: &Totals) -> io::Result<()> {
        let width = self.rule_width.max(7);
        let out = &mut self.out;
        if self.written != 0 {
            writeln!(out)?;
        }
        writeln!(
            out,
            "{FAINT}{:>7}  {:width$}  WHAT IT DOES{FAINT:#}",
            "PACKETS", "RULE"
        )?;
        for (index, (entry, packets)) in self.entries.iter().zip(&totals.by_rule).enumerate() {
            let faint = if *packets == 0 {
                FAINT
            } else {
                anstyle::Style::new()
            };
            let rule = label(index, entry);
            let (condition, action) = (entry.condition(), entry.action());
            writeln!(
                out,
                "{faint}{packets:7}  {rule:width$}  {condition} => {action}{faint:#}"
            )?;
        }
        writeln!(
            out,
            "{:7}  {:width$}  everything else => pass",
            totals.no_rule, "no rule"
        )?;
        if totals.unread != 0 {
            writeln!(
                out,
                "{:7}  {ERROR}{:width$}{ERROR:#}  could not be read",
                totals.unread, "unread"
            )?;
        }
        writeln!(out, "{:7}  in all", totals.packets)
    }
}

/// Returns the number and name of a rule.
fn label(index: usize, entry: &Entry) -> String {
    let number = index + 1;
    match entry.name() {
        Some(name) if name.chars().count() > NAME_MAX => {
            format!(
                "{number} {}…",
                name.chars().take(NAME_MAX - 1).collect::<String>()
            )
        }
        Some(name) => format!("{number} {name}"),
        None => number.to_string(),
    }
}

//! What `xdp filter explain` prints as CSV and for Prometheus.

use super::report::{Outcome, Record, Totals};
use crate::output::{self, Writer};
use serde::Serialize;
use std::io::{self, Write};
use xdp::rulefile::{Entry, match_name};

/// One packet.
#[derive(Serialize)]
struct PacketRow<'a> {
    packet: usize,
    time: Option<&'a str>,
    wire_bytes: Option<u32>,
    action: &'static str,
    rule: Option<usize>,
    rule_name: Option<&'a str>,
    headers: String,
}

impl output::Record for PacketRow<'_> {
    const KIND: &'static str = "packet";
    const LABELS: &'static [&'static str] = &["packet"];
}

/// What one rule did; the last has no number and stands for packets that no rule matched.
#[derive(Serialize)]
struct RuleRow<'a> {
    rule: Option<usize>,
    name: Option<&'a str>,
    #[serde(rename = "match")]
    match_name: Option<&'static str>,
    action: &'static str,
    packets: usize,
}

impl output::Record for RuleRow<'_> {
    const KIND: &'static str = "filter";
    const LABELS: &'static [&'static str] = &["rule", "name", "match", "action"];
    const COUNTERS: &'static [&'static str] = &["packets"];
}

/// Writes packets as CSV, or what the rules did for Prometheus.
pub(super) struct Rows<'a, W> {
    writer: Writer<W>,
    packets: bool,
    entries: &'a [Entry],
}

impl<'a, W: Write> Rows<'a, W> {
    /// Writes packets as comma-separated values.
    pub(super) fn packets(out: W, entries: &'a [Entry]) -> Self {
        Self {
            writer: Writer::csv(out),
            packets: true,
            entries,
        }
    }

    /// Writes what the rules did for Prometheus: a metric for each packet would be of no use to anybody.
    pub(super) fn rules(out: W, entries: &'a [Entry]) -> Self {
        Self {
            writer: Writer::prometheus(out),
            packets: false,
            entries,
        }
    }

    pub(super) fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        if !self.packets {
            return Ok(());
        }
        let (action, rule, headers) = match &record.outcome {
            Outcome::Decided {
                action,
                rule,
                headers,
                ..
            } => (*action, rule.map(|rule| rule.number), headers.to_string()),
            Outcome::Unread { error } => ("unread", None, error.clone()),
        };
        let entry = rule.and_then(|number| self.entries.get(number - 1));
        self.writer.record(&PacketRow {
            packet: record.packet,
            time: record.time.as_deref(),
            wire_bytes: record.wire_bytes,
            action,
            rule,
            rule_name: entry.and_then(Entry::name),
            headers,
        })
    }

    pub(super) fn finish(mut self, totals: &Totals) -> io::Result<()> {
        if !self.packets {
            for (index, (entry, packets)) in self.entries.iter().zip(&totals.by_rule).enumerate() {
                self.writer.record(&RuleRow {
                    rule: Some(index + 1),
                    name: entry.name(),
                    match_name: match_name(entry.rule().match_type),
                    action: entry.action_name(),
                    packets: *packets,
                })?;
            }
            self.writer.record(&RuleRow {
                rule: None,
                name: None,
                match_name: None,
                action: "pass",
                packets: totals.no_rule,
            })?;
        }
        self.writer.finish()
    }
}

//! Records for programs: JSON, JSON lines, CSV and the text that Prometheus reads, all from one description.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Format;

/// One thing that is reported; structures in it become fields with both names, joined by `_`.
pub trait Record: Serialize {
    /// What it is, in the singular: `rx_queue`.
    const KIND: &'static str;
    /// Fields that say of what the others are the numbers.
    const LABELS: &'static [&'static str];
    /// Fields that only grow.
    const COUNTERS: &'static [&'static str] = &[];
}

/// Metrics of one name, by their labels.
struct Family {
    counts: bool,
    values: Vec<(String, String)>,
}

enum Shape {
    Json(Map<String, Value>),
    Ndjson,
    Csv {
        kind: &'static str,
        names: Vec<String>,
    },
    Prometheus(BTreeMap<String, Family>),
}

/// Writes records in one of the formats.
pub struct Writer<W> {
    out: W,
    shape: Shape,
}

impl<W: Write> Writer<W> {
    /// Starts writing; none for text, which each command writes itself.
    pub fn new(format: Format, out: W) -> Option<Self> {
        match format {
            Format::Text => None,
            Format::Json => Some(Self::json(out)),
            Format::Ndjson => Some(Self::ndjson(out)),
            Format::Csv => Some(Self::csv(out)),
            Format::Prometheus => Some(Self::prometheus(out)),
        }
    }

    /// Starts collecting one JSON document.
    pub fn json(out: W) -> Self {
        let shape = Shape::Json(Map::new());
        Self { out, shape }
    }

    /// Starts writing one JSON document a line.
    pub fn ndjson(out: W) -> Self {
        let shape = Shape::Ndjson;
        Self { out, shape }
    }

    /// Starts writing comma-separated values.
    pub fn csv(out: W) -> Self {
        let shape = Shape::Csv {
            kind: "",
            names: Vec::new(),
        };
        Self { out, shape }
    }

    /// Starts collecting what Prometheus reads.
    pub fn prometheus(out: W) -> Self {
        Self {
            out,
            shape: Shape::Prometheus(BTreeMap::new()),
        }
    }

    /// Says that there is a list of such records even if none comes.
    pub fn expect<R: Record>(&mut self) {
        if let Shape::Json(lists) = &mut self.shape {
            lists
                .entry(plural(R::KIND))
                .or_insert_with(|| Value::Array(Vec::new()));
        }
    }

    /// Writes a record; JSON and Prometheus are written at the end.
    pub fn record<R: Record>(&mut self, record: &R) -> io::Result<()> {
        let value = serde_json::to_value(record).map_err(io::Error::from)?;
        match &mut self.shape {
            Shape::Json(lists) => {
                let list = lists
                    .entry(plural(R::KIND))
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(value);
                }
                Ok(())
            }
            Shape::Ndjson => {
                let mut line = Map::new();
                line.insert("kind".into(), R::KIND.into());
                if let Value::Object(fields) = value {
                    line.extend(fields);
                }
                serde_json::to_writer(&mut self.out, &line)?;
                // Whoever reads lines as they come waits for the whole line.
                self.out.write_all(b"\n")?;
                self.out.flush()
            }
            Shape::Csv { kind, names } => {
                let fields = flat(&value);
                if *kind != R::KIND {
                    if !kind.is_empty() {
                        self.out.write_all(b"\n")?;
                    }
                    *kind = R::KIND;
                    *names = fields.iter().map(|(name, _)| name.clone()).collect();
                    writeln!(self.out, "{}", names.join(","))?;
                }
                let cell = |name: &String| {
                    let found = fields.iter().find(|(field, _)| field == name);
                    found.map_or_else(String::new, |(_, value)| quoted(&plain(value)))
                };
                let cells: Vec<String> = names.iter().map(cell).collect();
                writeln!(self.out, "{}", cells.join(","))?;
                self.out.flush()
            }
            Shape::Prometheus(families) => {
                collect::<R>(families, &flat(&value));
                Ok(())
            }
        }
    }

    /// What is written to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the output.
    pub fn finish(self) -> io::Result<()> {
        self.finish_into().map(drop)
    }

    /// Ends the output, and gives back what it went to.
    pub fn finish_into(mut self) -> io::Result<W> {
        match &self.shape {
            Shape::Json(lists) => {
                serde_json::to_writer_pretty(&mut self.out, lists)?;
                writeln!(self.out)?;
            }
            Shape::Prometheus(families) => {
                for (name, family) in families {
                    let kind = if family.counts { "counter" } else { "gauge" };
                    writeln!(self.out, "# TYPE {name} {kind}")?;
                    for (labels, value) in &family.values {
                        writeln!(self.out, "{name}{labels} {value}")?;
                    }
                }
            }
            Shape::Ndjson | Shape::Csv { .. } => {}
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        // What was done, as in `forwarded`, is a list of that.
        None if kind.ends_with('s') || kind.ends_with("ed") => kind.to_owned(),
        None => format!("{kind}s"),
    }
}

/// The fields of a record, those of structures in it included.
fn flat(value: &Value) -> Vec<(String, Value)> {
    fn walk(prefix: &str, value: &Value, fields: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let name = match prefix {
                        "" => name.clone(),
                        _ => format!("{prefix}_{name}"),
                    };
                    walk(&name, member, fields);
                }
            }
            _ => fields.push((prefix.to_owned(), value.clone())),
        }
    }
    let mut fields = Vec::new();
    walk("", value, &mut fields);
    fields
}

/// A value as one cell.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// A cell as RFC 4180 has it. What a spreadsheet would take for a formula gets a quote in front.
fn quoted(cell: &str) -> String {
    let formula =
        cell.starts_with(['=', '+', '@']) || cell.starts_with('-') && cell.parse::<f64>().is_err();
    let guard = if formula { "'" } else { "" };
    if formula || cell.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Turns the numbers of a record into metrics.
fn collect<R: Record>(families: &mut BTreeMap<String, Family>, fields: &[(String, Value)]) {
    let is_label = |name: &str| R::LABELS.contains(&name);
    let labels: Vec<String> = fields
        .iter()
        .filter(|(name, value)| is_label(name) && !value.is_null())
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(&plain(value))))
        .collect();
    let labels = match labels.len() {
        0 => String::new(),
        _ => format!("{{{}}}", labels.join(",")),
    };
    for (field, value) in fields.iter().filter(|(name, _)| !is_label(name)) {
        let value = match value {
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => u8::from(*yes).to_string(),
            // Text that is no label is nothing that can be measured.
            _ => continue,
        };
        let counts = R::COUNTERS.contains(&field.as_str());
        let ending = if counts { "_total" } else { "" };
        let family = families
            .entry(format!("xdp_{}_{field}{ending}", R::KIND))
            .or_insert(Family {
                counts,
                values: Vec::new(),
            });
        // The last value of a series is the one that counts.
        match family.values.iter_mut().find(|(other, _)| *other == labels) {
            Some((_, last)) => *last = value,
            None => family.values.push((labels.clone(), value)),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Queue {
        interface: &'static str,
        queue: u32,
        mode: Option<&'static str>,
        frames: Frames,
    }

    #[derive(Serialize)]
    struct Frames {
        passed: u64,
        dropped: u64,
    }

    impl Record for Queue {
        const KIND: &'static str = "queue";
        const LABELS: &'static [&'static str] = &["interface", "queue"];
        const COUNTERS: &'static [&'static str] = &["frames_passed"];
    }

    #[derive(Serialize)]
    struct Summary {
        interface: &'static str,
        ok: bool,
    }

    impl Record for Summary {
        const KIND: &'static str = "summary";
        const LABELS: &'static [&'static str] = &["interface"];
    }

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        let mut writer = Writer::new(format, &mut out).unwrap();
        writer.expect::<Queue>();
        for (queue, interface) in [(0, "Ethernet 2"), (1, "say \"hi\", nic")] {
            let frames = Frames {
                passed: 7 + u64::from(queue),
                dropped: 1,
            };
            let record = Queue {
                interface,
                queue,
                mode: None,
                frames,
            };
            writer.record(&record).unwrap();
        }
        let summary = Summary {
            interface: "=nic",
            ok: true,
        };
        writer.record(&summary).unwrap();
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_one_document_with_a_list_for_each_kind() {
        let value: Value = serde_json::from_str(&written(Format::Json)).unwrap();
        assert_eq!(value["queues"][1]["frames"]["passed"], 8);
        assert_eq!(value["summaries"][0]["ok"], true);
    }

    #[test]
    fn a_list_with_nothing_in_it_is_there() {
        let mut out = Vec::new();
        let mut writer = Writer::new(Format::Json, &mut out).unwrap();
        writer.expect::<Queue>();
        writer.finish().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\n  \"queues\": []\n}\n");
    }

    #[test]
    fn json_lines_name_their_kind() {
        let text = written(Format::Ndjson);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            r#"{"kind":"queue","interface":"Ethernet 2","queue":0,"mode":null,"frames":{"passed":7,"dropped":1}}"#
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(
            written(Format::Csv),
            "interface,queue,mode,frames_passed,frames_dropped\n\
             Ethernet 2,0,,7,1\n\
             \"say \"\"hi\"\", nic\",1,,8,1\n\
             \n\
             interface,ok\n\
             \"'=nic\",true\n"
        );
    }

    #[test]
    fn prometheus_gets_a_family_for_each_number() {
        assert_eq!(
            written(Format::Prometheus),
            "# TYPE xdp_queue_frames_dropped gauge\n\
             xdp_queue_frames_dropped{interface=\"Ethernet 2\",queue=\"0\"} 1\n\
             xdp_queue_frames_dropped{interface=\"say \\\"hi\\\", nic\",queue=\"1\"} 1\n\
             # TYPE xdp_queue_frames_passed_total counter\n\
             xdp_queue_frames_passed_total{interface=\"Ethernet 2\",queue=\"0\"} 7\n\
             xdp_queue_frames_passed_total{interface=\"say \\\"hi\\\", nic\",queue=\"1\"} 8\n\
             # TYPE xdp_summary_ok gauge\n\
             xdp_summary_ok{interface=\"=nic\"} 1\n"
        );
    }

    #[test]
    fn text_has_no_writer() {
        assert!(Writer::new(Format::Text, Vec::new()).is_none());
    }
}

//! Where captured packets go: a file, a pipe, or lines for people and programs.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use xdp::rulefile::Entry;

use super::Args;
use super::outlet::Outlet;
use crate::capture::write::{Direction, Packet, Pcapng, Verdict};
use crate::error::Failure;
use crate::filter::headers::Headers;
use crate::output::{FAINT, Format, Record, Writer, action_style, count};

/// A packet and what became of it.
pub(super) struct Seen<'a> {
    pub(super) time: Duration,
    pub(super) queue: u32,
    pub(super) verdict: Verdict,
    /// The number of the rule that decided, and the rule.
    pub(super) rule: Option<(usize, &'a Entry)>,
    pub(super) bytes: &'a [u8],
}

/// What one rule is called.
fn rule_name((number, entry): (usize, &Entry)) -> String {
    entry
        .name()
        .map_or_else(|| number.to_string(), ToOwned::to_owned)
}

/// The verdict as rules have it.
pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drop => "drop",
        Verdict::Pass => "pass",
        Verdict::SendBack => "l2fwd",
        Verdict::Redirect => "redirect",
    }
}

/// A packet as a line for programs.
#[derive(Serialize)]
struct PacketRecord<'a> {
    number: u64,
    time: String,
    interface: &'a str,
    queue: u32,
    verdict: &'static str,
    rule: Option<String>,
    bytes: usize,
    packet: String,
    /// Not in formats that are tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
}

impl Record for PacketRecord<'_> {
    const KIND: &'static str = "packet";
    const LABELS: &'static [&'static str] = &["interface", "queue", "verdict", "rule"];
}

enum Shape {
    Pcapng(Pcapng<Outlet>),
    Text {
        out: Outlet,
        hex: bool,
    },
    Records(Writer<Outlet>, Format),
    /// Only the summary is wanted.
    Nothing(Outlet),
}

/// Takes captured packets.
pub(super) struct Sink {
    shape: Shape,
    interface: String,
    number: u64,
    unwritten: u64,
}

impl Sink {
    /// Opens what packets are written to.
    pub(super) fn open(args: &Args, interface: &xdp::Interface) -> Result<Self, Failure> {
        let name = interface.alias();
        let format = args.output.format();
        let shape = match &args.write {
            Some(path) => {
                let out = open_capture(path)?;
                let snap_size = args.snaplen as u32;
                Shape::Pcapng(Pcapng::new(Outlet::new(out)?, &[name], snap_size)?)
            }
            None => {
                let mut out = Outlet::new(anstream::stdout())?;
                match format {
                    Format::Text => {
                        writeln!(
                            out,
                            "{FAINT}TIME (UTC)       QUEUE  VERDICT   RULE      PACKET{FAINT:#}"
                        )?;
                        Shape::Text { out, hex: args.hex }
                    }
                    // Packets are nothing that Prometheus could count.
                    Format::Prometheus => Shape::Nothing(out),
                    Format::Json | Format::Ndjson | Format::Csv => {
                        Writer::new(format, Outlet::new(anstream::stdout())?)
                            .map_or(Shape::Nothing(out), |writer| Shape::Records(writer, format))
                    }
                }
            }
        };
        let mut sink = Self {
            shape,
            interface: name.to_owned(),
            number: 0,
            unwritten: 0,
        };
        // Whoever reads a pipe wants to see that it is a capture.
        sink.outlet().pass_on();
        Ok(sink)
    }

    fn outlet(&mut self) -> &mut Outlet {
        match &mut self.shape {
            Shape::Pcapng(file) => file.get_mut(),
            Shape::Text { out, .. } | Shape::Nothing(out) => out,
            Shape::Records(writer, _) => writer.get_mut(),
        }
    }

    /// Takes a packet; one for which there is no room is counted.
    pub(super) fn packet(&mut self, seen: &Seen<'_>) -> io::Result<()> {
        self.number += 1;
        if self.outlet().is_full() {
            self.unwritten += 1;
            return Ok(());
        }
        let rule = seen.rule.map(rule_name);
        match &mut self.shape {
            Shape::Pcapng(file) => file.write(&Packet {
                interface: 0,
                time: seen.time,
                bytes: seen.bytes,
                wire_size: seen.bytes.len() as u32,
                queue: Some(seen.queue),
                verdict: Some(seen.verdict),
                direction: Some(Direction::Inbound),
                comment: rule.map(|rule| format!("rule {rule}")).as_deref(),
            }),
            Shape::Text { out, hex } => text(out, seen, rule.as_deref(), *hex),
            Shape::Records(writer, format) => {
                let headers = Headers::read(seen.bytes, false);
                writer.record(&PacketRecord {
                    number: self.number,
                    time: format!("{}.{:09}", seen.time.as_secs(), seen.time.subsec_nanos()),
                    interface: &self.interface,
                    queue: seen.queue,
                    verdict: word(seen.verdict),
                    rule,
                    bytes: seen.bytes.len(),
                    packet: headers.to_string(),
                    headers: (*format != Format::Csv).then_some(headers),
                })
            }
            Shape::Nothing(_) => Ok(()),
        }
    }

    /// Packets that it was given.
    pub(super) fn packets(&self) -> u64 {
        self.number
    }

    /// Packets that it had no room for.
    pub(super) fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// Hands over what waits; tells whether anybody takes it.
    pub(super) fn pass_on(&mut self) -> bool {
        let outlet = self.outlet();
        outlet.pass_on();
        !outlet.is_closed()
    }

    /// Adds the summary where there are records, and waits until everything is written.
    pub(super) fn finish(self, summary: &impl Record) -> io::Result<()> {
        match self.shape {
            Shape::Pcapng(file) => file.into_inner().finish(),
            Shape::Text { out, .. } | Shape::Nothing(out) => out.finish(),
            Shape::Records(mut writer, _) => {
                writer.record(summary)?;
                writer.finish_into()?.finish()
            }
        }
    }
}

fn open_capture(path: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    if path == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(Failure::usage("a capture is not for a terminal")
                .hint("name a file with -w, send it through a pipe, or leave -w away to see a line for each packet"));
        }
        return Ok(Box::new(io::stdout()));
    }
    let file = File::create(path).map_err(|error| {
        Failure::new(format!("cannot write {}", path.display()))
            .because(error)
            .hint("check the path, and who may write to its folder")
    })?;
    Ok(Box::new(file))
}

/// The time of day, as captures have it.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:06}",
        seconds % 60,
        time.subsec_micros()
    )
}

fn text(out: &mut Outlet, seen: &Seen<'_>, rule: Option<&str>, hex: bool) -> io::Result<()> {
    let verdict = word(seen.verdict);
    let style = action_style(verdict);
    writeln!(
        out,
        "{}  {:>5}  {style}{verdict:8}{style:#}  {:8}  {}, {}",
        clock(seen.time),
        seen.queue,
        rule.unwrap_or("-"),
        Headers::read(seen.bytes, false),
        count(seen.bytes.len(), "byte"),
    )?;
    match hex {
        true => out.write_all(hex_dump(seen.bytes).as_bytes()),
        false => Ok(()),
    }
}

/// Sixteen bytes a line, with their offset before and what is readable of them behind.
fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (offset, line) in (0..).step_by(16).zip(bytes.chunks(16)) {
        // Writing to a string cannot fail.
        let _ = write!(text, "    {offset:04x}:");
        for column in 0..16 {
            if column % 2 == 0 {
                text.push(' ');
            }
            let _ = match line.get(column) {
                Some(byte) => write!(text, "{byte:02x}"),
                None => write!(text, "  "),
            };
        }
        text.push_str("  ");
        text.extend(line.iter().map(|byte| match byte {
            0x20..0x7F => char::from(*byte),
            _ => '.',
        }));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_sixteen_a_line() {
        let text = hex_dump(b"GET / HTTP/1.1\r\n\0tail");
        assert_eq!(
            text,
            "    0000: 4745 5420 2f20 4854 5450 2f31 2e31 0d0a  GET / HTTP/1.1..\n\
             \x20   0010: 0074 6169 6c                             .tail\n"
        );
    }

    #[test]
    fn clocks_are_of_the_day() {
        let time = Duration::new(86_400 * 365 + 3 * 3600 + 4 * 60 + 5, 6_007_000);
        assert_eq!(clock(time), "03:04:05.006007");
    }
}

//! `xdp filter explain`.

use super::decide::Decider;
use super::headers::{Headers, notes};
use super::load::load_or_show;
use super::report::{self, Decision, Outcome, Record, Report, Totals};
use super::rows::Rows;
use crate::capture::{Capture, Captured, LinkType, Problem};
use crate::error::{Exit, Failure};
use crate::output::{Format, OutputArgs, count};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use xdp::rulefile::{Entry, RuleFile};
use xdp_abi::MatchType;

/// Arguments of `xdp filter explain`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Every packet is listed with its number, what happens to it, the rule that decides and its headers; a packet that no rule \
matches passes. Notes say where rules see a packet differently from a network stack. A summary counts packets by rule.

Exit code: 0 when every packet could be explained, 1 otherwise; what could be read is reported in any case.

Examples:
  xdp filter explain --rules rules.toml --read capture.pcapng
  tcpdump -r capture.pcap -w - udp | xdp filter explain -f rules.toml -r -
  xdp filter explain -f rules.toml -r capture.pcap -o ndjson | jq 'select(.action == \"drop\")'")]
pub(super) struct Args {
    /// Rule file, TOML or JSON; `-` is standard input.
    #[arg(short = 'f', long, value_name = "FILE")]
    rules: PathBuf,

    /// Capture, pcap or pcapng; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    read: PathBuf,

    /// Stop after so many packets.
    #[arg(short, long, value_name = "PACKETS")]
    count: Option<usize>,

    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let stdin = Path::new("-");
    if args.rules == stdin && args.read == stdin {
        return Err(Failure::usage(
            "rules and capture cannot both come from standard input",
        ));
    }
    let (_, file) = load_or_show(&args.rules)?;
    let decider = Decider::new(&file)?;
    let input: Box<dyn Read> = if args.read == stdin {
        Box::new(io::stdin().lock())
    } else {
        let open = File::open(&args.read);
        Box::new(open.map_err(|error| Failure::reading(&args.read, &error))?)
    };
    let name = args.read.display().to_string();
    let capture = Capture::open(BufReader::new(input)).map_err(|problem| {
        Failure::new(format!("cannot read {name}")).because(problem).hint(
            "captures are pcap or pcapng files, as written by `xdp dump`, tcpdump, Wireshark or `pktmon etl2pcap`",
        )
    })?;
    let out = BufWriter::new(anstream::stdout().lock());
    let mut report = Printer::new(out, args.output.format(), file.entries());
    let mut totals = Totals {
        by_rule: vec![0; file.entries().len()],
        ..Totals::default()
    };
    let mut end = None;
    let mut first_unread = None;
    for next in capture.take(args.count.unwrap_or(usize::MAX)) {
        let number = totals.packets + 1;
        let record = match next {
            Ok(captured) => explain(&file, &decider, number, &captured, &mut totals),
            Err(problem) => {
                let record = unread(number, problem.to_string());
                if problem.is_end() {
                    end = Some((number, problem));
                }
                record
            }
        };
        totals.packets += 1;
        if matches!(record.outcome, Outcome::Unread { .. }) {
            totals.unread += 1;
            first_unread.get_or_insert(number);
        }
        report.record(&record)?;
    }
    report.finish(&totals)?;
    match (end, first_unread) {
        (Some((number, problem)), _) => Err(damaged(&name, number, problem)),
        (None, Some(first)) => {
            let unread = count(totals.unread, "packet");
            Err(Failure::new(format!(
                "{unread} of {name} could not be read, the first is packet {first}"
            ))
            .hint("XDP programs see Ethernet frames: capture on an Ethernet interface"))
        }
        (None, None) => Ok(Exit::Done),
    }
}

/// Whoever writes the format that was asked for.
enum Printer<'a, W> {
    Report(Report<'a, W>),
    Rows(Rows<'a, W>),
}

impl<'a, W: Write> Printer<'a, W> {
    fn new(out: W, format: Format, entries: &'a [Entry]) -> Self {
        let format = match format {
            Format::Text => report::Format::Text,
            Format::Json => report::Format::Json,
            Format::Ndjson => report::Format::Ndjson,
            Format::Csv => return Self::Rows(Rows::packets(out, entries)),
            Format::Prometheus => return Self::Rows(Rows::rules(out, entries)),
        };
        Self::Report(Report::new(out, format, entries))
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        match self {
            Self::Report(report) => report.record(record),
            Self::Rows(rows) => rows.record(record),
        }
    }

    fn finish(self, totals: &Totals) -> io::Result<()> {
        match self {
            Self::Report(report) => report.finish(totals),
            Self::Rows(rows) => rows.finish(totals),
        }
    }
}

fn damaged(name: &str, number: usize, problem: Problem) -> Failure {
    let failure =
        Failure::new(format!("{name}: packet {number} could not be read")).because(problem);
    match number {
        1 => failure,
        2 => failure.hint("packet 1, before it, is reported above"),
        _ => failure.hint(format!(
            "packets 1 to {}, before it, are reported above",
            number - 1
        )),
    }
}

fn unread<'a>(packet: usize, error: String) -> Record<'a> {
    Record {
        packet,
        time: None,
        wire_bytes: None,
        outcome: Outcome::Unread { error },
    }
}

fn explain<'a>(
    file: &'a RuleFile,
    decider: &Decider<'_>,
    packet: usize,
    captured: &Captured,
    totals: &mut Totals,
) -> Record<'a> {
    let link_type = captured.link_type;
    if link_type != LinkType::ETHERNET {
        return unread(
            packet,
            format!("link type {link_type} carries no Ethernet frames"),
        );
    }
    let frame = captured.bytes.as_slice();
    let decided = decider
        .decide(frame)
        .and_then(|index| file.entries().get(index).map(|entry| (index, entry)));
    match decided {
        Some((index, _)) => totals.by_rule[index] += 1,
        None => totals.no_rule += 1,
    }
    let by_cid = decided.is_some_and(|(_, entry)| compares_cid(entry.rule().match_type));
    let outcome = Outcome::Decided {
        action: decided.map_or("pass", |(_, entry)| entry.action_name()),
        rule: decided.map(|(index, entry)| Decision::new(index, entry)),
        headers: Box::new(Headers::read(frame, by_cid)),
        notes: notes(frame, captured.wire_size),
    };
    let time = captured
        .time
        .map(|time| format!("{}.{:09}", time.as_secs(), time.subsec_nanos()));
    Record {
        packet,
        time,
        wire_bytes: Some(captured.wire_size),
        outcome,
    }
}

fn compares_cid(match_type: MatchType) -> bool {
    matches!(
        match_type,
        MatchType::QUIC_FLOW_SRC_CID
            | MatchType::QUIC_FLOW_DST_CID
            | MatchType::TCP_QUIC_FLOW_SRC_CID
            | MatchType::TCP_QUIC_FLOW_DST_CID
    )
}

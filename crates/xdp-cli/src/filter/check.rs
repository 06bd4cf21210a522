//! `xdp filter check`.

use super::decide::{memory_bytes, patterns};
use super::load::{Refused, load, show};
use crate::error::{Exit, Failure};
use crate::output::{FAINT, GOOD, HINT, WARNING, count};
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use xdp::rulefile::{Entry, Errors, RuleFile};
use xdp_rules::shadow::{Reason, Unreachable, unreachable};

/// Arguments of `xdp filter check`.
#[derive(clap::Args)]
#[command(after_long_help = "\
A rule is shadowed when one earlier rule matches every packet that it matches. Rules that several earlier ones cover only \
together are not found.

Exit code: 0 when the file is valid (with --strict: and every rule can match), 1 otherwise.

Examples:
  xdp filter check rules.toml
  xdp filter check --strict -o json rules.toml")]
pub(super) struct Args {
    /// Rule file, TOML or JSON; `-` is standard input.
    #[arg(value_name = "RULES")]
    rules: PathBuf,

    /// Fail when a rule can never match.
    #[arg(long)]
    strict: bool,

    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let file = match load(&args.rules) {
        Ok((_, file)) => file,
        Err(Refused::Unreadable(failure)) => return Err(failure),
        Err(Refused::Wrong { text, errors }) => {
            if args.output == Format::Json {
                json(&Findings::refused(&errors))?;
                return Ok(Exit::Failed);
            }
            return Err(show(&args.rules, &text, &errors));
        }
    };
    let dead = unreachable(&patterns(&file)?);
    match args.output {
        Format::Json => json(&Findings::read(&file, &dead)?)?,
        Format::Text => text(&args.rules, &file, &dead)?,
    }
    Ok(if args.strict && !dead.is_empty() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn text(path: &Path, file: &RuleFile, dead: &[Unreachable]) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let path = path.display();
    for Unreachable { rule, reason } in dead {
        let Some(entry) = file.entries().get(*rule) else {
            continue;
        };
        let (line, condition) = (entry.line(), entry.condition());
        writeln!(
            out,
            "{WARNING}warning:{WARNING:#} {} can never match: {}",
            label(file, *rule),
            why(file, *reason)
        )?;
        writeln!(
            out,
            "{FAINT}     -->{FAINT:#} {path}:{line}: {condition} => {}",
            entry.action()
        )?;
        if let Some((by, earlier)) = shadow(file, *reason) {
            let (line, condition) = (earlier.line(), earlier.condition());
            writeln!(
                out,
                "{FAINT} shadow:{FAINT:#} {path}:{line}: {condition} => {}",
                earlier.action()
            )?;
            writeln!(
                out,
                "{HINT}   hint:{HINT:#} {}\n",
                advice(entry, *rule, earlier, by)
            )?;
        } else {
            writeln!(out)?;
        }
    }
    let (rules, size) = (
        count(file.entries().len(), "rule"),
        memory_bytes(file)?.div_ceil(1024),
    );
    let unreachable = match dead.len() {
        0 => String::new(),
        number => format!(", {number} of which can never match"),
    };
    writeln!(
        out,
        "{GOOD}valid:{GOOD:#} {path}: {rules}{unreachable}; {size} KiB in the driver"
    )?;
    Ok(())
}

pub(super) fn label(file: &RuleFile, index: usize) -> String {
    let number = index + 1;
    match file.entries().get(index).and_then(Entry::name) {
        Some(name) => format!("rule {number} ({name})"),
        None => format!("rule {number}"),
    }
}

fn shadow(file: &RuleFile, reason: Reason) -> Option<(usize, &Entry)> {
    match reason {
        Reason::Shadowed { by } => file.entries().get(by).map(|entry| (by, entry)),
        Reason::AddressOutsideMask | Reason::NoPorts => None,
    }
}

pub(super) fn why(file: &RuleFile, reason: Reason) -> String {
    match reason {
        Reason::Shadowed { by } => {
            format!(
                "{} comes first and matches everything that it does",
                label(file, by)
            )
        }
        Reason::AddressOutsideMask => "its address has bits set that its mask clears".into(),
        Reason::NoPorts => "its port set is empty".into(),
    }
}

fn advice(entry: &Entry, rule: usize, earlier: &Entry, by: usize) -> String {
    let same = entry.action().to_string() == earlier.action().to_string();
    if same {
        format!("both do the same: remove rule {}", rule + 1)
    } else {
        format!(
            "move rule {} before rule {}, or remove it",
            rule + 1,
            by + 1
        )
    }
}

/// What was found, as data.
#[derive(Serialize)]
struct Findings<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<usize>,
    errors: Vec<Mistake<'a>>,
    unreachable: Vec<Dead<'a>>,
}

#[derive(Serialize)]
struct Mistake<'a> {
    line: usize,
    column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
}

#[derive(Serialize)]
struct Dead<'a> {
    rule: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    line: usize,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadowed_by: Option<usize>,
}

impl<'a> Findings<'a> {
    fn refused(errors: &'a Errors) -> Self {
        let mistakes = errors.as_slice().iter().map(|error| Mistake {
            line: error.line,
            column: error.column,
            rule: error.rule,
            rule_name: error.rule_name.as_deref(),
            field: error.field,
            message: &error.message,
            expected: error.expected.as_deref(),
        });
        let errors = mistakes.collect();
        Self {
            valid: false,
            rules: None,
            memory_bytes: None,
            errors,
            unreachable: Vec::new(),
        }
    }

    fn read(file: &'a RuleFile, dead: &[Unreachable]) -> Result<Self, Failure> {
        let dead = dead.iter().filter_map(|found| {
            let entry = file.entries().get(found.rule)?;
            let (reason, shadowed_by) = match found.reason {
                Reason::Shadowed { by } => ("shadowed", Some(by + 1)),
                Reason::AddressOutsideMask => ("address-outside-mask", None),
                Reason::NoPorts => ("no-ports", None),
            };
            let (rule, name, line) = (found.rule + 1, entry.name(), entry.line());
            Some(Dead {
                rule,
                name,
                line,
                reason,
                shadowed_by,
            })
        });
        Ok(Self {
            valid: true,
            rules: Some(file.entries().len()),
            memory_bytes: Some(memory_bytes(file)?),
            errors: Vec::new(),
            unreachable: dead.collect(),
        })
    }
}

fn json(findings: &Findings<'_>) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    serde_json::to_writer_pretty(&mut out, findings).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

//! `xdp filter list`, `add`, `remove` and `apply`: rules that are in force.

use std::io::Write as _;
use std::path::PathBuf;

use xdp::rulefile::RuleFile;
use xdp_rules::shadow::unreachable;

use super::check;
use super::decide::patterns;
use super::load::load_or_show;
use super::words;
use crate::args::{InterfaceArg, InterfaceArgs, Place, Queues};
use crate::error::{Exit, Failure};
use crate::messages;
use crate::output::{OutputArgs, Writer, count};
use crate::session::{self, Change, Listing, Request};

/// Arguments of `xdp filter list`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Lists the rules that running sessions hold: `xdp filter apply`, `xdp filter add` and `xdp lab run`. Without an interface those of \
all sessions of this user. HITS are frames that a rule decided about since the list of rules last changed; `?` says that the \
driver does not count them.

Examples:
  xdp filter list
  xdp filter list -o prometheus > xdp.prom
  xdp filter list -i lab:demo --json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where a program is put.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    pub(super) interface: InterfaceArgs,
    /// Queues: 0, 0,2, 0-3 or all
    #[arg(short, long, default_value = "all", value_name = "QUEUES")]
    pub(super) queue: Queues,
    /// How the interface is used
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) mode: crate::args::Mode,
    /// End after this time; without it, at Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = crate::args::duration)]
    pub(super) duration: Option<std::time::Duration>,
}

/// Arguments of `xdp filter apply`.
#[derive(clap::Args)]
#[command(after_long_help = "\
All rules of the file come into force at once, or none. When a session holds rules on the interface already, they are replaced \
there and the command ends; every frame meets the old rules, the new ones or, for a moment, both one after the other. Otherwise \
the command becomes the session: a program is in force as long as somebody holds it, so it stays until Ctrl-C, and shows then how \
often each rule was hit. Nothing stays behind when it is killed.

Examples:
  xdp filter apply --dry-run rules.toml
  xdp filter apply -i lab: -d 1s rules.toml
  xdp filter apply -i lab:demo rules.toml")]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Rule file, TOML or JSON; `-` is standard input
    #[arg(value_name = "RULES")]
    rules: PathBuf,
    /// Only check the file
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `xdp filter add`.
#[derive(clap::Args)]
#[command(after_long_help = "\
A rule is written as match type, fields and action; `xdp filter --help` lists them. The rule joins those of the session that \
holds rules on the interface; when there is none, the command becomes the session and stays until Ctrl-C, as `xdp filter apply`.

Examples:
  xdp filter add -i lab:demo udp-dst port=53 drop
  xdp filter add -i lab:demo --name web --at 1 tcp-dst port=443 pass
  xdp filter add -i lab:demo udp-port-set ports=53,8000-8100 drop
  xdp filter add -i lab:demo --file rules.toml")]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Match type, FIELD=VALUE..., action
    #[arg(
        value_name = "WORD",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    words: Vec<String>,
    /// Add the rules of this file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name of the rule
    #[arg(long, conflicts_with = "file")]
    name: Option<String>,
    /// Number that the rule gets, from 1; the last one if not given
    #[arg(long, value_name = "NUMBER", value_parser = crate::args::in_range(1..=1_000_000))]
    at: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `xdp filter remove`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Numbers are those of `xdp filter list`; the rules behind a removed one move up. A session of `xdp filter` that has no rules \
left ends.

Examples:
  xdp filter remove -i lab:demo dns
  xdp filter remove -i lab:demo --all")]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    interface: InterfaceArgs,
    /// Numbers or names of rules
    #[arg(
        value_name = "RULE",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    rules: Vec<String>,
    /// Remove all rules
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let mut listings = Vec::new();
    match args.interface.get() {
        Some(interface) => listings.push(existing(interface, Request::List { interface: None })?),
        None => {
            for name in session::names() {
                let request = Request::List { interface: None };
                // A session may end while others are asked.
                if let Some(reply) = session::ask(&name, &request)? {
                    listings.push(reply.into_result()?);
                }
            }
        }
    }
    let mut out = anstream::stdout().lock();
    if let Some(writer) = Writer::new(args.output.format(), &mut out) {
        return write_records(writer, &listings);
    }
    if listings.is_empty() {
        writeln!(out, "no session holds rules")?;
        messages::detail("`xdp filter apply`, `xdp filter add` and `xdp lab run` start one");
    }
    for (index, listing) in listings.iter().enumerate() {
        let blank = if index == 0 { "" } else { "\n" };
        let Listing {
            session, process, ..
        } = listing;
        writeln!(out, "{blank}session {session}, process {process}")?;
        listing.write_text(&mut out)?;
    }
    Ok(Exit::Done)
}

pub(super) fn apply(args: &ApplyArgs) -> Result<Exit, Failure> {
    let (text, file) = load_or_show(&args.rules)?;
    warn_of_dead_rules(&file)?;
    let rules = count(file.entries().len(), "rule");
    if args.dry_run {
        messages::say(format_args!("{}: {rules}, in order", args.rules.display()));
        return Ok(Exit::Done);
    }
    change_or_hold(&args.place, Change::Replace { text }, args.output)
}

pub(super) fn add(args: &AddArgs) -> Result<Exit, Failure> {
    let text = match &args.file {
        Some(file) => load_or_show(file)?.0,
        None => words::rule(args.name.as_deref(), &args.words)?,
    };
    let at = args.at.and_then(|at| usize::try_from(at).ok());
    change_or_hold(&args.place, Change::Insert { text, at }, args.output)
}

pub(super) fn remove(args: &RemoveArgs) -> Result<Exit, Failure> {
    let change = if args.all {
        Change::Clear
    } else {
        Change::Remove {
            rules: args.rules.clone(),
        }
    };
    let listing = existing(args.interface.require()?, changing(change))?;
    report(&listing, args.output)
}

fn changing(change: Change) -> Request {
    Request::Change {
        interface: None,
        change,
    }
}

/// Changes the rules of the session that is there, or becomes the session.
fn change_or_hold(place: &PlaceArgs, change: Change, output: OutputArgs) -> Result<Exit, Failure> {
    let interface = place.interface.require()?;
    match interface.place() {
        Place::RunningLab(..) => report(&existing(interface, changing(change))?, output),
        Place::Host(_) | Place::OwnLab(_) => super::hold::change_or_hold(place, change, output),
    }
}

/// Asks the session that has rules on the interface.
fn existing(interface: &InterfaceArg, mut request: Request) -> Result<Listing, Failure> {
    let name = match interface.place() {
        Place::RunningLab(name, card) => {
            if let Request::List { interface } | Request::Change { interface, .. } = &mut request {
                *interface = card.map(ToOwned::to_owned);
            }
            if !session::is_name(name) {
                return Err(Failure::usage(format!("{name} is no name of a lab")).hint(
                    "`-i lab:NAME` is a lab that runs, `-i lab:queues=4` one with these options",
                ));
            }
            name.to_owned()
        }
        Place::Host(_) | Place::OwnLab(_) => super::hold::session_name(interface)?,
    };
    match session::ask(&name, &request)? {
        Some(reply) => reply.into_result(),
        None => Err(nobody(interface, &name)),
    }
}

fn nobody(interface: &InterfaceArg, name: &str) -> Failure {
    match interface.place() {
        Place::RunningLab(..) => {
            let labs = session::names();
            let failure = Failure::new(format!("there is no lab named {name}"));
            match labs.as_slice() {
                [] => failure.hint(format!("start one: xdp lab run --name {name} --stay")),
                labs => failure.hint(format!("there is {}", labs.join(", "))),
            }
        }
        _ => Failure::new(format!("no session holds rules on {interface}"))
            .hint("start one with `xdp filter apply` or `xdp filter add`"),
    }
}

/// Shows what a change led to.
pub(super) fn report(listing: &Listing, output: OutputArgs) -> Result<Exit, Failure> {
    let mut out = anstream::stdout().lock();
    match Writer::new(output.format(), &mut out) {
        Some(writer) => write_records(writer, std::slice::from_ref(listing)),
        None => {
            listing.write_text(&mut out)?;
            Ok(Exit::Done)
        }
    }
}

fn write_records<W: std::io::Write>(
    mut writer: Writer<W>,
    listings: &[Listing],
) -> Result<Exit, Failure> {
    writer.expect::<session::RuleRecord<'_>>();
    for record in listings.iter().flat_map(Listing::records) {
        writer.record(&record)?;
    }
    writer.finish()?;
    Ok(Exit::Done)
}

/// Rules that can never match are hardly ever meant.
fn warn_of_dead_rules(file: &RuleFile) -> Result<(), Failure> {
    for dead in unreachable(&patterns(file)?) {
        messages::warn(format_args!(
            "{} can never match: {}",
            check::label(file, dead.rule),
            check::why(file, dead.reason)
        ));
    }
    Ok(())
}

//! `xdp lab`: boots a driver in a simulated NT kernel and plugs its network cards into captures and Linux interfaces.

mod ear;
mod report;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use crate::args::duration;
use crate::error::{Exit, Failure};
use xdp::lab::EndSpec;

/// Arguments of `xdp lab`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot the lab and run it until Ctrl-C, or until the captures are exhausted.
    #[command(after_long_help = EXAMPLES)]
    Run(RunArgs),
}

const EXAMPLES: &str = "\
What an end can be:
  none             nothing; frames that reach it are counted
  if:NAME          an existing Linux Ethernet interface (needs root)
  tap:NAME         a new TAP device, which goes away with the lab (needs root)
  read:FILE        the frames of a pcap or pcapng capture
  write:FILE       frames that reach it go to a capture; pcapng if the name ends so
  read:A,write:B   both

Examples:
  Put the driver between two interfaces:
    xdp lab run --wire if:veth1 --stack if:veth2
  The same, with rules:
    xdp lab run --wire if:veth1 --stack if:veth2 --rules rules.toml
  A lab that stays, and what other terminals do in it:
    xdp lab run --name demo --stay
    xdp filter apply -i lab:demo rules.toml
    xdp dump -i lab:demo
  Replay a capture through the driver and keep what comes out:
    xdp lab run --wire read:in.pcap --stack write:out.pcap";

/// Arguments of `xdp lab run`.
#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// Driver file, or `linked` for the driver in this program [default: the built xdp.sys]
    #[arg(long, env = "XDP_DRIVER", hide_env_values = true, value_name = "FILE")]
    driver: Option<PathBuf>,
    /// Runs the driver that is linked into this program, whatever file is named
    // No conflict with --driver, which a variable may have set: a flag wins over a variable.
    #[arg(long)]
    linked: bool,
    /// What the wire end of a network card is plugged into; once per card.
    #[arg(long = "wire", value_name = "END")]
    wires: Vec<EndSpec>,
    /// What the stack end of a network card is plugged into; once per card.
    #[arg(long = "stack", value_name = "END")]
    stacks: Vec<EndSpec>,
    /// Rules that the driver applies to what the wire ends bring (a rule file, see `xdp filter`).
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Name under which commands and programs of other terminals find the lab, as lab:NAME [default: lab, or lab-2 and so on]
    #[arg(long, value_name = "NAME", value_parser = crate::session::name, conflicts_with = "seed")]
    name: Option<String>,
    /// Stays when the captures are exhausted, until Ctrl-C or for --duration.
    #[arg(long)]
    stay: bool,
    /// Queues of each network card.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    queues: u32,
    /// Virtual processors.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Runs one thread at a time, chosen by this number, so that a run can be repeated exactly.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How much is checked.
    #[arg(long, value_enum, default_value_t = Verifier::Strict)]
    verifier: Verifier,
    /// Time between two lines of counters.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    interval: Duration,
    /// Ends after this time.
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
}

/// How much the simulated kernel checks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verifier {
    /// Every rule; a broken one is a bugcheck.
    Strict,
    /// What costs little, for benchmarks.
    Fast,
}

impl From<Verifier> for xdp::lab::Verifier {
    fn from(verifier: Verifier) -> Self {
        match verifier {
            Verifier::Strict => Self::Strict,
            Verifier::Fast => Self::Fast,
        }
    }
}

/// Runs `xdp lab`.
pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Run(args) => session::run(args),
    }
}

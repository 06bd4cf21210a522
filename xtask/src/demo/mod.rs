//! `cargo xtask demo`: real programs talk to each other through the driver.
//!
//! As root: two network namespaces, joined only by the lab; rules that change while they talk; programs that take frames for
//! themselves; a capture; and how fast it is. Otherwise the same with a recorded conversation.

mod bench;
mod capture;
mod http;
mod lab;
mod replay;
mod rules;
mod samples;
mod traffic;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};

use lab::Lab;
use namespaces::{LEFT, Network, RIGHT};

/// What to show.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The driver file; without it the lab runs the linked driver.
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,
    /// The `xdp` program.
    #[arg(long, value_name = "FILE")]
    xdp: PathBuf,
    /// Folder of the samples' programs; without it the demo ends before them.
    #[arg(long, value_name = "FOLDER")]
    samples: Option<PathBuf>,
    /// Replays the capture even where namespaces could be made.
    #[arg(long)]
    replay: bool,
    /// Internal: serves HTTP on this address until killed.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    serve: Option<String>,
}

/// Programs that the demo runs on its hosts.
const PROGRAMS: [&str; 3] = ["ping", "curl", "iperf3"];
/// Set by Ctrl-C; the demo then stops at the next step and takes everything down.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Runs the demo.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(address) = &args.serve {
        return http::serve(address);
    }
    ensure!(
        args.xdp.exists(),
        "{} does not exist; build it with `cargo build --release -p xdp-cli`",
        args.xdp.display()
    );
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("cannot handle Ctrl-C")?;
    let why_replay = if args.replay {
        Some("asked for".to_owned())
    } else {
        namespaces::why_not(&PROGRAMS)
    };
    match why_replay {
        Some(why) => {
            println!("A recorded conversation takes the place of real hosts: {why}.");
            recorded(args)?;
        }
        None => live(args)?,
    }
    bench::run(args)?;
    println!("\n== The demo passed. Three commands to try next:\n");
    for command in next_commands(args) {
        println!("  {command}");
    }
    Ok(ExitCode::SUCCESS)
}

fn live(args: &Args) -> Result<()> {
    let network = Network::build(&[LEFT, RIGHT])?;
    step("Two hosts, 192.0.2.1 and 192.0.2.2, with nothing but the lab between them");
    traffic::nothing_passes(&network)?;
    step("The lab boots the driver between them");
    let lab = Lab::start(args, &network)?;
    let traffic = traffic::run(&network).and_then(|()| rules::run(args, &network, &lab));
    step("The driver is unloaded, and reports what it leaves behind");
    // The report is worth reading above all when the traffic failed.
    let unload = lab.stop();
    traffic?;
    unload?;
    match (&args.samples, &args.driver) {
        (Some(folder), Some(driver)) => samples::run(folder, driver, &network)?,
        (Some(_), None) => say("no samples: they boot a driver file, and there is none"),
        (None, _) => {}
    }
    capture::run(args, Some(&network))?;
    drop(network);
    replay::run(args)
}

fn recorded(args: &Args) -> Result<()> {
    replay::run(args)?;
    if let (Some(folder), Some(driver)) = (&args.samples, &args.driver) {
        samples::recorded(folder, driver)?;
    }
    capture::run(args, None)
}

/// What to try next, as it can be pasted.
fn next_commands(args: &Args) -> Vec<String> {
    let here = std::env::current_dir().unwrap_or_default();
    let short = |file: &Path| {
        file.strip_prefix(&here)
            .unwrap_or(file)
            .display()
            .to_string()
    };
    let (rules, capture) = (rules::FIREWALL, replay::CAPTURE);
    let xdp = short(&args.xdp);
    let lab = match &args.driver {
        Some(driver) => format!("lab run --driver {}", short(driver)),
        None => "lab run --linked".into(),
    };
    let third = match &args.driver {
        Some(driver) => format!(
            "XDP_DRIVER={} {xdp} bench latency -i lab:verifier=fast --rate 200kpps -d 3s",
            short(driver)
        ),
        None => format!("{xdp} filter schema"),
    };
    vec![
        format!("{xdp} filter explain --rules {rules} --read {capture}"),
        format!("{xdp} {lab} --rules {rules} --wire read:{capture} --stack write:passed.pcap"),
        third,
    ]
}

/// Begins a part of the story.
fn step(what: &str) {
    println!("\n== {what}");
}

/// Says what came of something.
fn say(what: &str) {
    println!("  {what}");
}

/// Fails once Ctrl-C was pressed.
fn check_interrupted() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

//! `cargo xtask demo`: real programs talk to each other through the driver.
//!
//! As root: two network namespaces, joined only by the lab. Otherwise: a captured conversation goes in at the wire end of
//! a network card in the lab, and must come out at its stack end frame for frame.

mod http;
mod lab;
mod replay;
mod samples;
mod traffic;

use std::path::PathBuf;
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
            println!("replaying a capture ({why})");
            replay::run(args)?;
        }
        None => live(args)?,
    }
    samples::next_commands();
    println!("demo passed");
    Ok(ExitCode::SUCCESS)
}

fn live(args: &Args) -> Result<()> {
    let network = Network::build(&[LEFT, RIGHT])?;
    println!("two namespaces, 192.0.2.1 and 192.0.2.2; between them nothing but the lab");
    traffic::nothing_passes(&network)?;
    let lab = Lab::start(args, &network)?;
    let traffic = traffic::run(&network);
    // The report of the lab is worth reading above all when the traffic failed.
    let unload = lab.stop();
    traffic?;
    unload?;
    match (&args.samples, &args.driver) {
        (Some(folder), Some(driver)) => samples::run(folder, driver, &network)?,
        (Some(_), None) => println!("no samples: they boot a driver file, and there is none"),
        (None, _) => {}
    }
    drop(network);
    println!("a capture, through the driver and into a file:");
    replay::run(args)
}

/// Fails once Ctrl-C was pressed.
fn check_interrupted() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

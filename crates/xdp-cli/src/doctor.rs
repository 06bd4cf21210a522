//! `xdp doctor`: one report to paste, what is wrong and what to do.

use std::io::Write as _;

use anstyle::Style;
use serde::Serialize;
use xdp::{Match, Program, System};

use crate::args::{InterfaceArg, InterfaceArgs, Place};
use crate::error::{Exit, Failure};
use crate::output::{ERROR, GOOD, HINT, OutputArgs, Record, WARNING, Writer, count};
use crate::session::{self, Request};
use crate::system;

/// Arguments of `xdp doctor`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Looks at everything that a program needs: the driver, permission, interfaces, and whether a program can be attached (one that \
lets everything pass, for a moment). Paste the output into bug reports.

Exit code: 0 when nothing is wrong, otherwise that of the first thing that is.

Examples:
  xdp doctor -i lab:
  xdp doctor -i lab: --json")]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    Note,
    Wrong,
}

#[derive(Serialize)]
struct FindingRecord {
    about: &'static str,
    verdict: Verdict,
    found: String,
    advice: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Record for FindingRecord {
    const KIND: &'static str = "finding";
    const LABELS: &'static [&'static str] = &["about", "verdict", "found"];
}

fn good(about: &'static str, found: impl Into<String>) -> FindingRecord {
    FindingRecord {
        about,
        verdict: Verdict::Good,
        found: found.into(),
        advice: None,
        exit: Exit::Done,
    }
}

fn wrong(about: &'static str, failure: &Failure) -> FindingRecord {
    let (what, cause, hint) = failure.parts();
    let found = match cause {
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    };
    FindingRecord {
        about,
        verdict: Verdict::Wrong,
        found,
        advice: hint.map(ToOwned::to_owned),
        exit: failure.exit(),
    }
}

/// Everything that is looked at, in the order in which one thing needs the other.
fn examine(args: &Args) -> Vec<FindingRecord> {
    let mut found = vec![
        good("version", format!("xdp {}", env!("CARGO_PKG_VERSION"))),
        good(
            "system",
            format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
    ];
    for name in [
        "XDP_INTERFACE",
        "XDP_CONFIG",
        "XDP_LOG",
        "XDP_DRIVER",
        "XDP_RUNTIME_DIR",
    ] {
        if let Some(value) = std::env::var_os(name) {
            found.push(good("environment", format!("{name}={}", value.display())));
        }
    }
    windows(&mut found);
    let place = args.interface.get().map(InterfaceArg::place);
    let is_there = match place {
        Some(Place::RunningLab(name, _)) => with_session(name, &mut found),
        _ => true,
    };
    if is_there {
        match system::of(args.interface.get()) {
            Ok(system) => with_system(args, &system, &mut found),
            Err(failure) => found.push(wrong("driver", &failure)),
        }
    }
    let sessions = session::names();
    if !sessions.is_empty() {
        found.push(good(
            "sessions",
            format!("rules are held by {}", sessions.join(", ")),
        ));
    }
    found
}

/// What a lab that another process runs says of itself; tells whether it is there.
fn with_session(name: &str, found: &mut Vec<FindingRecord>) -> bool {
    let asked = match session::is_name(name) {
        true => session::ask(name, &Request::Watch),
        false => Ok(None),
    };
    let watched = asked.and_then(|reply| {
        let none = || {
            Failure::new(format!("there is no lab named {name}"))
                .hint(format!("start one: xdp lab run --name {name} --stay"))
        };
        reply.ok_or_else(none)?.into_watched()
    });
    match watched {
        Ok(watched) => {
            let process = watched.rules.process;
            found.push(good("lab", format!("{name} runs, as process {process}")));
            found.extend(watched.driver.map(|driver| good("driver", driver.line())));
            true
        }
        Err(failure) => {
            found.push(wrong("lab", &failure));
            false
        }
    }
}

fn with_system(args: &Args, system: &System, found: &mut Vec<FindingRecord>) {
    let interfaces = match system.interfaces() {
        Ok(interfaces) => interfaces,
        Err(error) => return found.push(wrong("interfaces", &error.into())),
    };
    let names: Vec<&str> = interfaces.iter().map(xdp::Interface::alias).collect();
    found.push(good("interfaces", names.join(", ")));
    match system.inventory() {
        Ok(inventory) => {
            found.push(good(
                "driver",
                format!(
                    "answers; {}, {}, {}",
                    count(inventory.interfaces.len(), "interface"),
                    count(inventory.programs.len(), "program"),
                    count(inventory.sockets.len(), "socket")
                ),
            ));
            let detached = inventory
                .programs
                .iter()
                .filter(|program| program.is_attached == 0);
            for program in detached {
                found.push(FindingRecord {
                    about: "programs",
                    verdict: Verdict::Note,
                    found: format!(
                        "program {} of process {} is not attached any more",
                        program.id, program.process
                    ),
                    advice: Some(
                        "its interface went away or its process ended; close the handle".into(),
                    ),
                    exit: Exit::Done,
                });
            }
        }
        Err(error) => return found.push(wrong("driver", &error.into())),
    }
    let meant: Vec<_> = match args.interface.get().map(system::open) {
        Some(Ok(interface)) => vec![interface],
        Some(Err(failure)) => return found.push(wrong("interface", &failure)),
        None => interfaces,
    };
    for interface in meant {
        // Everything passes with it as without it.
        match Program::builder(&interface)
            .rule(Match::all().pass())
            .attach()
        {
            Ok(program) => {
                program.detach();
                found.push(good("programs", format!("can be attached to {interface}")));
            }
            Err(error) => found.push(wrong("programs", &error.into())),
        }
    }
}

/// What only Windows knows: the service, and whether it loads drivers that are signed for tests only.
#[cfg(windows)]
fn windows(found: &mut Vec<FindingRecord>) {
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    };
    let line = |text: &str, part: &str| {
        let found = text.lines().find(|line| line.contains(part));
        found.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    match run("sc.exe", &["query", "xdp"]) {
        Some(text) => {
            found.push(good(
                "service",
                line(&text, "STATE").unwrap_or_else(|| "registered".into()),
            ));
            let file =
                run("sc.exe", &["qc", "xdp"]).and_then(|text| line(&text, "BINARY_PATH_NAME"));
            found.extend(file.map(|file| good("service", file)));
        }
        None => found.push(wrong(
            "service",
            &Failure::new("the service xdp is not registered")
                .hint("install the driver")
                .ending(Exit::DriverAbsent),
        )),
    }
    let version = r"(Get-Item $env:SystemRoot\System32\drivers\xdp.sys).VersionInfo.FileVersion";
    let version = run("powershell.exe", &["-NoProfile", "-Command", version]);
    match version.as_deref().map(str::trim) {
        Some("") => found.push(wrong(
            "driver file",
            &Failure::new(r"there is no %SystemRoot%\System32\drivers\xdp.sys")
                .hint("install the driver")
                .ending(Exit::DriverAbsent),
        )),
        Some(version) => found.push(good("driver file", format!("version {version}"))),
        // Without PowerShell nobody tells.
        None => {}
    }
    if let Some(text) = run("bcdedit.exe", &["/enum", "{current}"]) {
        let state = line(&text, "testsigning").unwrap_or_else(|| "testsigning No".into());
        found.push(good("signatures", state));
    }
}

#[cfg(not(windows))]
fn windows(_: &mut Vec<FindingRecord>) {}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let found = examine(args);
    let worst = found
        .iter()
        .find(|finding| finding.verdict == Verdict::Wrong);
    let exit = worst.map_or(Exit::Done, |finding| finding.exit);
    let mut out = anstream::stdout().lock();
    if let Some(mut writer) = Writer::new(args.output.format(), &mut out) {
        for finding in &found {
            writer.record(finding)?;
        }
        writer.finish()?;
        return Ok(exit);
    }
    for finding in &found {
        let (style, word): (Style, _) = match finding.verdict {
            Verdict::Good => (GOOD, "good "),
            Verdict::Note => (WARNING, "note "),
            Verdict::Wrong => (ERROR, "wrong"),
        };
        writeln!(
            out,
            "{style}{word}{style:#}  {:12}  {}",
            finding.about, finding.found
        )?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "       {:12}  {HINT}hint:{HINT:#} {advice}", "")?;
        }
    }
    match exit {
        Exit::Done => writeln!(out, "\nnothing is wrong")?,
        _ => writeln!(out, "\nwhat is marked `wrong` comes first")?,
    }
    Ok(exit)
}

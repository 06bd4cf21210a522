//! `xdp interfaces`.

use std::io::Write as _;

use serde::Serialize;
use xdp::Interface;

use crate::args::InterfaceArgs;
use crate::error::{Exit, Failure};
use crate::output::{FAINT, GOOD, OutputArgs, Record, Table, Writer};
use crate::system;
use anstyle::Style;

/// Arguments of `xdp interfaces`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Every name, alias, index and GUID that is shown can be given to -i. QUEUES is the number of receive queues where XDP is on the \
interface and the user may ask, `-` otherwise; `xdp features` says why.

Examples:
  xdp interfaces -i lab:
  xdp interfaces -i lab:nics=2,queues=4 --json")]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct InterfaceRecord<'a> {
    index: u32,
    name: &'a str,
    alias: &'a str,
    description: &'a str,
    guid: Option<String>,
    mac: Option<String>,
    mtu_bytes: Option<u32>,
    up: bool,
    queues: Option<u32>,
}

impl Record for InterfaceRecord<'_> {
    const KIND: &'static str = "interface";
    const LABELS: &'static [&'static str] = &["index", "name", "alias"];
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let system = system::of(args.interface.get())?;
    let all = system.interfaces()?;
    let mut out = anstream::stdout().lock();
    if let Some(mut writer) = Writer::new(args.output.format(), &mut out) {
        writer.expect::<InterfaceRecord<'_>>();
        for interface in &all {
            writer.record(&record(interface))?;
        }
        writer.finish()?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ">INDEX", "NAME", "ALIAS", "STATE", ">QUEUES", ">MTU", "MAC", "GUID",
    ]);
    for interface in &all {
        let found = record(interface);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let number = |number: Option<u32>| or_dash(number.map(|number| number.to_string()));
        let state = if found.up {
            (GOOD, "up")
        } else {
            (FAINT, "down")
        };
        let plain = |text: String| (Style::new(), text);
        table.styled([
            plain(found.index.to_string()),
            plain(found.name.to_owned()),
            plain(found.alias.to_owned()),
            (state.0, state.1.to_owned()),
            plain(number(found.queues)),
            plain(number(found.mtu_bytes)),
            plain(or_dash(found.mac)),
            plain(or_dash(found.guid)),
        ]);
    }
    if table.is_empty() {
        writeln!(out, "no interfaces")?;
    } else {
        table.write(&mut out)?;
    }
    Ok(Exit::Done)
}

fn record(interface: &Interface) -> InterfaceRecord<'_> {
    let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    InterfaceRecord {
        index: interface.index(),
        name: interface.name(),
        alias: interface.alias(),
        description: interface.description(),
        guid: interface.guid().map(|guid| format!("{{{guid}}}")),
        mac: interface.mac().map(mac),
        mtu_bytes: interface.mtu_bytes(),
        up: interface.is_up(),
        queues: interface.queues().ok(),
    }
}

//! `xdp features`: what an interface can do, and why not.

use std::io::Write as _;

use anstyle::Style;
use serde::Serialize;
use xdp::{Error, Interface, Kind, Mode, Program, Socket, SocketBuilder, Umem};

use crate::args::InterfaceArgs;
use crate::error::{Exit, Failure};
use crate::output::{FAINT, GOOD, OutputArgs, Record, Table, Writer};
use crate::system;

/// Arguments of `xdp features`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Each feature is tried: programs without rules are attached, and sockets opened, for a moment; no frame is taken from anybody. \
Without an interface, all are tried.

Examples:
  xdp features -i lab:
  xdp features -i lab:queues=4 --json")]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct FeatureRecord {
    interface: String,
    feature: &'static str,
    supported: bool,
    /// How much of it there is, or why there is none.
    detail: Option<String>,
}

impl Record for FeatureRecord {
    const KIND: &'static str = "feature";
    const LABELS: &'static [&'static str] = &["interface", "feature", "detail"];
}

/// What a trial tells; a trial that fails for another reason than the interface fails the command.
fn told(
    interface: &Interface,
    feature: &'static str,
    tried: Result<Option<String>, Error>,
) -> Result<FeatureRecord, Failure> {
    let (supported, detail) = match tried {
        Ok(detail) => (true, detail),
        Err(error) => match error.kind() {
            Kind::NotSupported | Kind::InvalidArgument | Kind::NoSuchInterface | Kind::Busy => {
                (false, Some(error.cause().to_owned()))
            }
            _ => return Err(error.into()),
        },
    };
    Ok(FeatureRecord {
        interface: interface.alias().to_owned(),
        feature,
        supported,
        detail,
    })
}

type Ask = for<'u> fn(SocketBuilder<'u>) -> SocketBuilder<'u>;

fn features(interface: &Interface) -> Result<Vec<FeatureRecord>, Failure> {
    let program = |mode| {
        let program = Program::builder(interface).mode(mode).attach();
        program.map(|_| None)
    };
    let queues = interface.queues().map(|queues| Some(queues.to_string()));
    let mut found = vec![
        told(interface, "programs, generic mode", program(Mode::Generic))?,
        told(interface, "programs, native mode", program(Mode::Native))?,
        told(interface, "queues", queues)?,
    ];
    let umem = Umem::builder(interface)
        .frames(64)
        .frame_size_bytes(2048)
        .build()?;
    let asks: [(&'static str, Ask); 7] = [
        ("sockets", |socket| socket),
        ("sockets, native mode", |socket| socket.mode(Mode::Native)),
        ("receive time stamps", |socket| socket.rx_timestamps()),
        ("receive checksums", |socket| socket.rx_checksums()),
        ("lengths of cut frames", |socket| {
            socket.rx_original_lengths()
        }),
        ("transmit time stamps", |socket| socket.tx_timestamps()),
        ("transmit checksums", |socket| socket.tx_checksums()),
    ];
    for (feature, ask) in asks {
        let builder = Socket::builder(interface, &umem).queue(0);
        let builder = builder
            .rx_ring(16)
            .fill_ring(16)
            .tx_ring(16)
            .completion_ring(16);
        found.push(told(interface, feature, ask(builder).open().map(|_| None))?);
    }
    Ok(found)
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let interfaces = match args.interface.get() {
        Some(named) => vec![system::open(named)?],
        None => system::of(None)?.interfaces()?,
    };
    let mut out = anstream::stdout().lock();
    if let Some(mut writer) = Writer::new(args.output.format(), &mut out) {
        writer.expect::<FeatureRecord>();
        for interface in &interfaces {
            for feature in features(interface)? {
                writer.record(&feature)?;
            }
        }
        writer.finish()?;
        return Ok(Exit::Done);
    }
    for (index, interface) in interfaces.iter().enumerate() {
        let blank = if index == 0 { "" } else { "\n" };
        writeln!(out, "{blank}{}", interface.alias())?;
        let mut table = Table::new(&["FEATURE", "HAS IT", "DETAIL"]);
        for feature in features(interface)? {
            let (style, word) = if feature.supported {
                (GOOD, "yes")
            } else {
                (FAINT, "no")
            };
            table.styled([
                (Style::new(), feature.feature.to_owned()),
                (style, word.to_owned()),
                (Style::new(), feature.detail.unwrap_or_default()),
            ]);
        }
        table.write(&mut out)?;
    }
    Ok(Exit::Done)
}

//! `xdp status`: what there is in the driver.

pub(crate) mod driver;
mod records;

use std::collections::BTreeMap;
use std::io::{self, Write};

use xdp_abi::inventory::{self as list, Entries, EntryKind, NO_QUEUE};
use zerocopy::{FromBytes, IntoBytes};

use crate::args::{InterfaceArgs, Place};
use crate::error::{Exit, Failure};
use crate::output::{OutputArgs, Table, Writer, count};
use crate::session::{self, Request};
use crate::{messages, system};
use driver::{DriverRecord, Processes};
pub(crate) use records::hook_name;
use records::{
    HandleRecord, InterfaceRecord, MapRecord, ProgramRecord, RxQueueRecord, SocketRecord,
    TxQueueRecord,
};

/// Arguments of `xdp status`.
#[derive(clap::Args)]
#[command(after_long_help = "\
Lists interfaces, programs, sockets and maps of all processes, which takes an administrator. Counters of queues are shown with \
-v, and in every other format than text. On a system with several interfaces, -i shows one.

Examples:
  xdp status -i lab:
  xdp status -i lab: -v
  xdp status -i lab:demo --json
  xdp status -i lab: -o prometheus > xdp.prom")]
pub(crate) struct Args {
    #[command(flatten)]
    interface: InterfaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Everything that the driver lists, with names for numbers.
#[derive(Default)]
struct Status {
    drivers: Vec<DriverRecord>,
    interfaces: Vec<InterfaceRecord>,
    programs: Vec<ProgramRecord>,
    sockets: Vec<SocketRecord>,
    maps: Vec<MapRecord>,
    handles: Vec<HandleRecord>,
    rx_queues: Vec<RxQueueRecord>,
    tx_queues: Vec<TxQueueRecord>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let read = read(args)?;
    let mut status = Status::of(&read.list, &read.names, read.only, &read.processes);
    status.drivers.extend(read.driver);
    let mut out = anstream::stdout().lock();
    match Writer::new(args.output.format(), &mut out) {
        Some(writer) => status.records(writer)?,
        None => status.text(&mut out, messages::is_verbose())?,
    }
    Ok(Exit::Done)
}

/// What is known.
struct Read {
    /// Of interfaces by index.
    names: BTreeMap<u32, String>,
    /// The driver's list.
    list: Vec<u8>,
    /// The interface to show, if it is one.
    only: Option<u32>,
    driver: Option<DriverRecord>,
    processes: Processes,
}

fn read(args: &Args) -> Result<Read, Failure> {
    let named = args.interface.get();
    if let Some(named) = named
        && let Place::RunningLab(name, card) = named.place()
    {
        return read_session(name, card);
    }
    let system = system::of(named)?;
    let inventory = system.inventory()?;
    let names = system.interfaces()?;
    let names = names
        .iter()
        .map(|interface| (interface.index(), interface.alias().to_owned()));
    let is_lab = named.is_some_and(|named| matches!(named.place(), Place::OwnLab(_)));
    let only = match named {
        Some(named) if !is_lab => Some(system::open(named)?.index()),
        _ => None,
    };
    Ok(Read {
        names: names.collect(),
        list: inventory.raw().to_vec(),
        only,
        driver: match is_lab {
            true => driver_of_lab(&system),
            false => DriverRecord::of_windows(),
        },
        processes: match is_lab {
            true => Processes::of_lab("this command".into(), []),
            false => Processes::of_windows(),
        },
    })
}

fn read_session(name: &str, card: Option<&str>) -> Result<Read, Failure> {
    let found = session::is_name(name).then(|| session::ask(name, &Request::Watch));
    let reply = found.transpose()?.flatten().ok_or_else(|| {
        Failure::new(format!("there is no lab named {name}"))
            .hint(format!("start one: xdp lab run --name {name} --stay"))
    })?;
    let watched = reply.into_watched()?;
    let list = watched
        .list()
        .ok_or_else(|| Failure::new("the answer makes no sense"))?;
    let names: BTreeMap<u32, String> = watched.interfaces.into_iter().collect();
    let only = card.and_then(|card| {
        let mut found = names.iter().filter(|(_, name)| *name == card);
        found.next().map(|(index, _)| *index)
    });
    if let Some(card) = card
        && only.is_none()
    {
        return Err(Failure::new(format!("{name} has no interface {card}")));
    }
    Ok(Read {
        names,
        list,
        only,
        driver: watched.driver,
        // Outside of the lab it has another number.
        processes: Processes::of_lab(
            format!("lab {name} (process {} here)", watched.rules.process),
            watched.processes,
        ),
    })
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn driver_of_lab(system: &xdp::System) -> Option<DriverRecord> {
    let interfaces = system.interfaces().ok()?;
    let lab = xdp::lab::Lab::of(interfaces.first()?)?;
    Some(DriverRecord::of_lab(lab.driver()))
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn driver_of_lab(_: &xdp::System) -> Option<DriverRecord> {
    None
}

/// An entry, whose end may be missing or be longer than what is known here.
pub(crate) fn entry<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut entry = T::new_zeroed();
    for (to, from) in entry.as_mut_bytes().iter_mut().zip(bytes) {
        *to = *from;
    }
    entry
}

impl Status {
    fn of(
        raw: &[u8],
        names: &BTreeMap<u32, String>,
        only: Option<u32>,
        processes: &Processes,
    ) -> Self {
        let mut status = Self::default();
        let is_meant = |index: u32| only.is_none_or(|only| only == index);
        let name = |index: u32| {
            let known = names.get(&index).cloned();
            known.unwrap_or_else(|| format!("interface {index}"))
        };
        let bound = |index: u32| (index != 0).then(|| name(index));
        let queue = |queue: u32| (queue != NO_QUEUE).then_some(queue);
        for (kind, bytes) in Entries::new(raw).into_iter().flatten() {
            match kind {
                EntryKind::INTERFACE => {
                    let it: list::Interface = entry(bytes);
                    if is_meant(it.if_index) {
                        status
                            .interfaces
                            .push(InterfaceRecord::new(&it, name(it.if_index)));
                    }
                }
                EntryKind::RX_QUEUE => {
                    let it: list::RxQueue = entry(bytes);
                    if is_meant(it.if_index) {
                        status
                            .rx_queues
                            .push(RxQueueRecord::new(&it, name(it.if_index)));
                    }
                }
                EntryKind::TX_QUEUE => {
                    let it: list::TxQueue = entry(bytes);
                    if is_meant(it.if_index) {
                        status
                            .tx_queues
                            .push(TxQueueRecord::new(&it, name(it.if_index)));
                    }
                }
                EntryKind::PROGRAM => {
                    let it: list::Program = entry(bytes);
                    if is_meant(it.if_index) {
                        let record = ProgramRecord::new(
                            &it,
                            name(it.if_index),
                            queue(it.queue),
                            processes.name(it.process),
                        );
                        status.programs.push(record);
                    }
                }
                EntryKind::SOCKET => {
                    let it: list::Socket = entry(bytes);
                    if only.is_none() || is_meant(it.rx_if_index) || is_meant(it.tx_if_index) {
                        let rx = (bound(it.rx_if_index), queue(it.rx_queue));
                        let tx = (bound(it.tx_if_index), queue(it.tx_queue));
                        status.sockets.push(SocketRecord::new(
                            &it,
                            rx,
                            tx,
                            processes.name(it.process),
                        ));
                    }
                }
                EntryKind::MAP => {
                    let it: list::Map = entry(bytes);
                    status
                        .maps
                        .push(MapRecord::new(&it, processes.name(it.process)));
                }
                EntryKind::INTERFACE_HANDLE => {
                    let it: list::InterfaceHandle = entry(bytes);
                    if is_meant(it.if_index) {
                        status.handles.push(HandleRecord::new(
                            &it,
                            name(it.if_index),
                            processes.name(it.process),
                        ));
                    }
                }
                // Of a later driver.
                _ => {}
            }
        }
        status
    }

    fn records<W: Write>(&self, mut writer: Writer<W>) -> io::Result<()> {
        macro_rules! all {
            ($($list:ident: $record:ty),*) => { $(
                writer.expect::<$record>();
                for record in &self.$list {
                    writer.record(record)?;
                }
            )* };
        }
        all!(
            drivers: DriverRecord, interfaces: InterfaceRecord, programs: ProgramRecord, sockets: SocketRecord, maps: MapRecord,
            handles: HandleRecord, rx_queues: RxQueueRecord, tx_queues: TxQueueRecord
        );
        writer.finish()
    }

    fn text(&self, out: &mut impl Write, counters: bool) -> io::Result<()> {
        for driver in &self.drivers {
            writeln!(out, "{}\n", driver.line())?;
        }
        if self.interfaces.is_empty() {
            writeln!(out, "XDP is on no interface")?;
        } else {
            let mut table =
                Table::new(&["INTERFACE", ">INDEX", "MODE", ">QUEUES", ">LONGEST FRAME"]);
            for it in &self.interfaces {
                table.row(it.cells());
            }
            table.write(out)?;
        }
        section(
            out,
            "program",
            &[
                "INTERFACE",
                ">QUEUE",
                "HOOK",
                ">RULES",
                "STATE",
                "PROCESS",
                ">ID",
            ],
            self.programs.iter().map(ProgramRecord::cells),
        )?;
        section(
            out,
            "socket",
            &[
                "STATE", "RECEIVES", "SENDS", ">DROPPED", ">CUT", ">BAD RX", ">BAD TX", "PROCESS",
                ">ID",
            ],
            self.sockets.iter().map(SocketRecord::cells),
        )?;
        section(
            out,
            "map",
            &[">SLOTS", ">USED", "PROCESS", ">ID"],
            self.maps.iter().map(MapRecord::cells),
        )?;
        if !self.handles.is_empty() {
            section(
                out,
                "interface handle",
                &["INTERFACE", "PROCESS", ">ID"],
                self.handles.iter().map(HandleRecord::cells),
            )?;
        }
        if counters {
            writeln!(out)?;
            let mut table = Table::new(&["COUNTER", "INTERFACE", ">QUEUE", "HOOK", ">VALUE"]);
            let rx = self.rx_queues.iter().flat_map(RxQueueRecord::counted);
            for cells in rx.chain(self.tx_queues.iter().flat_map(TxQueueRecord::counted)) {
                table.row(cells);
            }
            if table.is_empty() {
                writeln!(out, "all counters are zero")?;
            } else {
                table.write(out)?;
            }
        }
        Ok(())
    }
}

/// How many things there are, and a table of them.
fn section<const N: usize>(
    out: &mut impl Write,
    thing: &str,
    names: &[&'static str; N],
    rows: impl ExactSizeIterator<Item = [String; N]>,
) -> io::Result<()> {
    writeln!(out, "\n{}", count(rows.len(), thing))?;
    if rows.len() != 0 {
        let mut table = Table::new(names);
        rows.for_each(|cells| table.row(cells));
        table.write(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Vec<u8> {
        let interface = list::Interface {
            header: list::Interface::HEADER,
            if_index: 7,
            queue_count: 2,
            max_frame: 1514,
            ..Default::default()
        };
        let program = list::Program {
            header: list::Program::HEADER,
            id: 3,
            process: 400,
            if_index: 7,
            queue: NO_QUEUE,
            hook: xdp_abi::HookId::RX_INSPECT,
            rules: 5,
            is_attached: 1,
            ..Default::default()
        };
        let socket = list::Socket {
            header: list::Socket::HEADER,
            id: 4,
            process: 400,
            state: 4,
            rx_if_index: 7,
            rx_queue: 1,
            tx_queue: NO_QUEUE,
            ..Default::default()
        };
        let mut queue = list::RxQueue {
            header: list::RxQueue::HEADER,
            if_index: 7,
            queue: 1,
            hook: xdp_abi::HookId::RX_INSPECT,
            ..Default::default()
        };
        queue.counters[4] = 99;
        let entries = [
            interface.as_bytes(),
            program.as_bytes(),
            socket.as_bytes(),
            queue.as_bytes(),
        ];
        let size =
            size_of::<list::Header>() + entries.iter().map(|entry| entry.len()).sum::<usize>();
        let header = list::Header {
            version: 1,
            header_size: size_of::<list::Header>() as u16,
            entries: 4,
            total_size: size as u64,
        };
        [&[header.as_bytes()][..], &entries[..]].concat().concat()
    }

    #[test]
    fn numbers_get_names() {
        let names = BTreeMap::from([(7, "Ethernet 2".to_owned())]);
        let status = Status::of(&listed(), &names, None, &Processes::default());
        let mut out = anstream::StripStream::new(Vec::new());
        status.text(&mut out, true).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        for line in [
            "INTERFACE   INDEX  MODE     QUEUES  LONGEST FRAME",
            "Ethernet 2      7  generic       2           1514",
            "1 program",
            "Ethernet 2    all  receive      5  attached  400       3",
            "active  Ethernet 2 queue 1  -",
            "0 maps",
            "passed   Ethernet 2      1  receive     99",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let other = Status::of(&listed(), &names, Some(8), &Processes::default());
        assert!(
            other.interfaces.is_empty() && other.programs.is_empty() && other.sockets.is_empty()
        );
    }

    #[test]
    fn metrics_have_the_interface_and_queue_as_labels() {
        let names = BTreeMap::from([(7, "nic0".to_owned())]);
        let mut out = Vec::new();
        let writer = Writer::prometheus(&mut out);
        Status::of(&listed(), &names, None, &Processes::default())
            .records(writer)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        let line =
            "xdp_rx_queue_passed_total{interface=\"nic0\",queue=\"1\",hook=\"receive\"} 99\n";
        assert!(text.contains(line), "{text}");
    }
}

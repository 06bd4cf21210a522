//! The simulated machine: kernel, driver, network cards, and the process that this program is in it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nt_sim::cable::{self, CableError, CaptureSink, CaptureSource, Feed, Sink, Source};
use nt_sim::{Driver, DriverEntry, LabError, Mode, Nic, Process, UnloadReport};

use super::address::{Address, EndSpec, Verifier};
use super::{Lab, User, driver};
use crate::error::{Call, Error, Fault, Kind};
use crate::interface::Details;
use crate::sys::lab::{Caller, fault};

/// Name of the driver's service, under which its settings are.
const SERVICE: &str = "xdp";

/// A lab that is being described.
#[must_use]
pub struct Builder {
    address: Address,
    linked: Option<DriverEntry>,
    cables: Vec<(usize, super::Side, Cable)>,
    registry: Vec<(String, u32)>,
}

/// The two halves of a cable.
type Cable = (Option<Box<dyn Source>>, Option<Box<dyn Sink>>);

/// The simulated machine. It is switched off when it is dropped.
pub(crate) struct Machine {
    this: Weak<Machine>,
    address: Address,
    details: Vec<Details>,
    replay: Arc<Replay>,
    process: Option<Arc<Process<'static>>>,
    nics: Vec<Nic<'static>>,
    driver: Option<Driver<'static>>,
    described_driver: String,
    lab: Arc<nt_sim::Lab>,
}

/// How a lab ended.
#[derive(Debug)]
pub struct Report {
    unloaded: UnloadReport,
}

impl Report {
    /// Whether the driver left nothing behind.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unloaded.is_clean()
    }

    /// The most bytes of its stack that any thread used in the driver; 0 when that is not measured.
    #[must_use]
    pub fn deepest_stack_bytes(&self) -> usize {
        self.unloaded.deepest_stack
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unloaded.fmt(f)
    }
}

/// What captures that are replayed have in common.
#[derive(Default)]
pub(super) struct Replay {
    started: AtomicBool,
    /// Captures that are not at their end.
    running: AtomicU64,
}

/// A capture that waits until somebody is there to see its frames.
struct Replayed {
    capture: CaptureSource,
    replay: Arc<Replay>,
    ended: bool,
}

impl Source for Replayed {
    fn receive(&mut self, frames: &mut Vec<Vec<u8>>, wait: Duration) -> Result<Feed, CableError> {
        if !self.replay.started.load(Ordering::Acquire) {
            std::thread::sleep(wait);
            return Ok(Feed::Open);
        }
        let feed = if self.ended {
            Ok(Feed::End)
        } else {
            self.capture.receive(frames, wait)
        };
        match feed {
            // The last frames are in the card when the next ones are asked for, not before.
            Ok(Feed::End) if !self.ended => {
                self.ended = true;
                Ok(Feed::Open)
            }
            Ok(Feed::Open) => Ok(Feed::Open),
            end => {
                self.replay.running.fetch_sub(1, Ordering::AcqRel);
                end
            }
        }
    }
}

impl Builder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            linked: None,
            cables: Vec::new(),
            registry: Vec::new(),
        }
    }

    /// Runs a driver that is linked into this program, if there is no driver file.
    pub fn or_linked(mut self, entry: DriverEntry) -> Self {
        self.linked = Some(entry);
        self
    }

    /// Makes this program one of an ordinary user of the lab, not of an administrator.
    pub fn as_ordinary_user(mut self) -> Self {
        self.address.user = User::Ordinary;
        self
    }

    /// Plugs a cable into an end of a card, in place of what the address says: what `source` gives goes into the card,
    /// what comes out of it goes into `sink`.
    pub fn cable(
        mut self,
        card: usize,
        side: super::Side,
        source: Option<Box<dyn Source>>,
        sink: Option<Box<dyn Sink>>,
    ) -> Self {
        self.cables.push((card, side, (source, sink)));
        self
    }

    /// Sets one of the driver's settings (`XdpRxRingSize` and so on) before it starts.
    pub fn setting(mut self, name: &str, value: u32) -> Self {
        self.registry.push((name.to_owned(), value));
        self
    }

    /// Boots the lab.
    ///
    /// # Errors
    ///
    /// As [`Lab::boot`].
    pub fn boot(mut self) -> Result<Lab, Error> {
        let named = self.address.to_string();
        let failed = |error: LabError| fault(error).during(Call::Boot, &*named);
        let file = match driver::find(&self.address) {
            Ok(file) => Some(file),
            Err(error) if self.linked.is_none() => return Err(error),
            Err(_) => None,
        };
        let mode = match self.address.verifier {
            Verifier::Strict => Mode::Strict,
            Verifier::Fast => Mode::Fast,
        };
        let replay = Arc::new(Replay::default());
        let cables = self.cables(&replay)?;
        let builder = nt_sim::Lab::builder().cpus(self.address.cpus).mode(mode);
        let lab = Arc::new(builder.boot().map_err(failed)?);
        let parameters =
            format!(r"\Registry\Machine\System\CurrentControlSet\Services\{SERVICE}\Parameters");
        for (name, value) in &self.registry {
            lab.set_registry_dword(&parameters, name, *value)
                .map_err(failed)?;
        }
        let (driver, described_driver) = match (&file, self.linked) {
            (Some(file), _) => {
                let driver = lab.load_as(file, SERVICE).map_err(failed)?;
                let bytes = driver.file_size().unwrap_or_default();
                let hash: String = driver
                    .sha256()
                    .iter()
                    .flatten()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                let described = format!("{} ({bytes} bytes, SHA-256 {hash})", file.display());
                (driver, described)
            }
            (None, Some(entry)) => {
                let driver = lab.start_linked(SERVICE, entry).map_err(failed)?;
                (driver, "linked into this program".to_owned())
            }
            (None, None) => unreachable!("without a file there is a linked driver"),
        };
        let driver = Some(driver.shared(&lab));
        let mut machine = Machine {
            this: Weak::new(),
            address: self.address,
            details: Vec::new(),
            replay,
            process: None,
            nics: Vec::new(),
            driver,
            described_driver,
            lab,
        };
        for (number, [wire, stack]) in cables.into_iter().enumerate() {
            machine.add_card(number, wire, stack)?;
        }
        let lab = Arc::clone(&machine.lab);
        let name = std::env::args()
            .next()
            .and_then(|path| path.rsplit('/').next().map(str::to_owned))
            .unwrap_or_else(|| SERVICE.to_owned());
        let process = match machine.address.user {
            User::Ordinary => lab.shared_user(&name),
            User::Administrator => lab.shared_administrator(&name),
        };
        machine.process = Some(Arc::new(process.map_err(failed)?));
        lab.settle().map_err(failed)?;
        if let Some(attach) = lab
            .filter_attaches()
            .iter()
            .find(|attach| attach.status < 0)
        {
            let cause = format!(
                "{} did not attach to {} (status {:#010x})",
                attach.filter, attach.nic, attach.status
            );
            return Err(Error::new(Kind::Failed, Call::Boot, named, cause));
        }
        let machine = Arc::new_cyclic(|this| {
            machine.this = Weak::clone(this);
            machine
        });
        Ok(Lab { machine })
    }

    /// Opens what the ends of each card are plugged into.
    fn cables(&mut self, replay: &Arc<Replay>) -> Result<Vec<[Cable; 2]>, Error> {
        let mut cables = Vec::new();
        for (wire, stack) in &self.address.ends {
            cables.push([open(wire, replay)?, open(stack, replay)?]);
        }
        for (card, side, cable) in self.cables.drain(..) {
            let Some(ends) = cables.get_mut(card) else {
                let cause = format!("a cable is for card {card}, which the lab does not have");
                let object = self.address.to_string();
                return Err(Error::new(Kind::InvalidArgument, Call::Boot, object, cause));
            };
            ends[usize::from(side == super::Side::Stack)] = cable;
        }
        Ok(cables)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Builder").field(&self.address).finish()
    }
}

/// Opens what an end is plugged into.
fn open(end: &EndSpec, replay: &Arc<Replay>) -> Result<Cable, Error> {
    fn both(source: impl Source + 'static, sink: impl Sink + 'static) -> Cable {
        (Some(Box::new(source)), Some(Box::new(sink)))
    }
    let opened = match end {
        EndSpec::None => Ok((None, None)),
        EndSpec::Interface(name) => cable::interface(name).map(|(from, to)| both(from, to)),
        EndSpec::Tap(name) => cable::tap(name).map(|(from, to)| both(from, to)),
        EndSpec::Captures { read, write } => {
            let open = || -> Result<Cable, CableError> {
                let source = read.as_deref().map(CaptureSource::open).transpose()?;
                let sink = write.as_deref().map(CaptureSink::create).transpose()?;
                let source = source.map(|capture| {
                    replay.running.fetch_add(1, Ordering::AcqRel);
                    Box::new(Replayed {
                        capture,
                        replay: Arc::clone(replay),
                        ended: false,
                    }) as Box<dyn Source>
                });
                Ok((source, sink.map(|sink| Box::new(sink) as Box<dyn Sink>)))
            };
            open()
        }
    };
    opened.map_err(|error| {
        let kind = match &error {
            CableError::NotPermitted(_) => Kind::NotPermitted,
            CableError::File { error, .. }
                if error.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Kind::NotPermitted
            }
            CableError::NotEthernet(_) => Kind::NotSupported,
            _ => Kind::Failed,
        };
        Fault::of(kind, error.to_string()).during(Call::Boot, format!("end {end}"))
    })
}

impl Machine {
    fn add_card(&mut self, number: usize, wire: Cable, stack: Cable) -> Result<(), Error> {
        let name = format!("nic{number}");
        let mac = [2, 0, 0, 0, 0, number as u8 + 1];
        let mtu = self.address.mtu_bytes;
        let kept = [wire.1.is_none(), stack.1.is_none()];
        let plugged = [
            wire.0.is_some() || wire.1.is_some(),
            stack.0.is_some() || stack.1.is_some(),
        ];
        let nic = self
            .lab
            .shared_nic(&name)
            .queues(self.address.queues)
            .mtu(mtu)
            .mac(mac)
            .wire_cable(wire.0, wire.1)
            .stack_cable(stack.0, stack.1)
            .create()
            .map_err(|error| fault(error).during(Call::Boot, &*name))?;
        // What nobody can take is counted, not kept.
        if plugged[0] || !kept[0] {
            nic.wire().count_only();
        }
        if plugged[1] || !kept[1] {
            nic.stack().count_only();
        }
        self.details.push(Details {
            index: nic.if_index(),
            alias: name.clone(),
            name,
            description: "virtual network card of the lab".to_owned(),
            guid: None,
            mac: Some(mac),
            mtu_bytes: Some(mtu),
            is_up: true,
        });
        self.nics.push(nic);
        Ok(())
    }

    pub(crate) fn shared(&self) -> Arc<Machine> {
        self.this
            .upgrade()
            .expect("a machine that is used is shared")
    }

    pub(crate) fn lab(&self) -> &Arc<nt_sim::Lab> {
        &self.lab
    }

    /// The process that this program is.
    pub(crate) fn caller(&self) -> Result<Caller, Fault> {
        let process = self.process.as_ref().map(Arc::clone);
        let process = process.ok_or_else(|| Fault::of(Kind::Failed, "the lab has ended"))?;
        Ok(Caller::new(process, self.shared()))
    }

    pub(crate) fn details(&self) -> Vec<Details> {
        self.details.clone()
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn driver(&self) -> String {
        self.described_driver.clone()
    }

    pub(super) fn nic(&self, number: usize) -> &Nic<'static> {
        &self.nics[number]
    }

    pub(crate) fn start_replay(&self) {
        self.replay.started.store(true, Ordering::Release);
    }

    pub(super) fn replays(&self) -> bool {
        self.replay.running.load(Ordering::Acquire) != 0
    }

    pub(super) fn finish(mut self) -> Result<Report, Error> {
        self.switch_off()
            .map_err(|error| fault(error).during(Call::Boot, "ending it"))
            .map(|unloaded| Report {
                unloaded: unloaded.expect("it was not switched off before"),
            })
    }

    /// Ends the process, takes the cards away, unloads the driver; nothing when that was done before.
    fn switch_off(&mut self) -> Result<Option<UnloadReport>, LabError> {
        let Some(driver) = self.driver.take() else {
            return Ok(None);
        };
        // Whatever happens now, nothing of it is done twice.
        let (process, nics) = (self.process.take(), std::mem::take(&mut self.nics));
        if let Some(process) = process {
            process.exit()?;
        }
        for nic in nics {
            nic.remove()?;
        }
        driver.unload().map(Some)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        match self.switch_off() {
            Ok(Some(report)) if !report.is_clean() => {
                eprintln!("the lab ended, and the driver left things behind:\n{report}");
            }
            // What stopped it was the answer to the call that stopped it.
            Ok(_) | Err(_) => {}
        }
    }
}

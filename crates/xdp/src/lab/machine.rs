//! The simulated machine: kernel, driver, network cards, and the process that this program is in it.

use std::fmt;
use std::sync::{Arc, Weak};

use nt_sim::{DriverEntry, LabError, Mode, Nic, Process, UnloadReport};

use super::address::{Address, Verifier};
use super::cable::{Cable, Replay};
use super::driver::{self, Driver, Image, at_boot};
use super::{Lab, Side, User};
use crate::error::{Call, Error, Fault, Kind};
use crate::interface::Details;
use crate::sys::lab::Caller;

/// Name of the process that this program is, where it has none itself.
const PROCESS: &str = "xdp";

/// A lab that is being described.
#[must_use]
pub struct Builder {
    address: Address,
    linked: Option<DriverEntry>,
    /// The linked driver runs even if there is a file.
    only_linked: bool,
    seed: Option<u64>,
    cables: Vec<(usize, Side, Cable)>,
    registry: Vec<(String, u32)>,
}

/// The simulated machine. It is switched off when it is dropped.
pub(crate) struct Machine {
    this: Weak<Machine>,
    address: Address,
    details: Vec<Details>,
    replay: Arc<Replay>,
    process: Option<Arc<Process<'static>>>,
    process_id: u64,
    nics: Vec<Nic<'static>>,
    driver: Option<nt_sim::Driver<'static>>,
    described_driver: Driver,
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

impl Builder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            linked: None,
            only_linked: false,
            seed: None,
            cables: Vec::new(),
            registry: Vec::new(),
        }
    }

    /// Runs a driver that is linked into this program, if there is no driver file.
    pub fn or_linked(mut self, entry: DriverEntry) -> Self {
        self.linked = Some(entry);
        self
    }

    /// Runs a driver that is linked into this program, whatever driver file there is.
    pub fn linked(mut self, entry: DriverEntry) -> Self {
        self.only_linked = true;
        self.or_linked(entry)
    }

    /// Runs one thread at a time, chosen by this number, on a virtual clock, so that a run can be repeated exactly. Frames come from
    /// this program alone then ([`End::send`](super::End::send)): an end cannot have a source.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes this program one of an ordinary user of the lab, not of an administrator.
    pub fn as_ordinary_user(mut self) -> Self {
        self.address.user = User::Ordinary;
        self
    }

    /// Plugs a cable into an end of a card, in place of what the address says, which is not opened then.
    pub fn cable(mut self, card: usize, side: Side, cable: Cable) -> Self {
        self.cables.push((card, side, cable));
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
        let failed = |error: LabError| at_boot(error).during(Call::Boot, &*named);
        let image = self.image()?;
        let mode = match self.address.verifier {
            Verifier::Strict => Mode::Strict,
            Verifier::Fast => Mode::Fast,
        };
        let replay = Arc::new(Replay::default());
        let cables = self.cables(&replay)?;
        let mut builder = nt_sim::Lab::builder().cpus(self.address.cpus).mode(mode);
        if let Some(seed) = self.seed {
            builder = builder.seed(seed);
        }
        let lab = Arc::new(builder.boot().map_err(failed)?);
        let service = image.service();
        let parameters =
            format!(r"\Registry\Machine\System\CurrentControlSet\Services\{service}\Parameters");
        for (name, value) in &self.registry {
            lab.set_registry_dword(&parameters, name, *value)
                .map_err(failed)?;
        }
        let (driver, described_driver) = image.start(&lab, &service)?;
        let mut machine = Machine {
            this: Weak::new(),
            address: self.address,
            details: Vec::new(),
            replay,
            process: None,
            process_id: 0,
            nics: Vec::new(),
            driver: Some(driver),
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
            .unwrap_or_else(|| PROCESS.to_owned());
        let process = match machine.address.user {
            User::Ordinary => lab.shared_user(&name),
            User::Administrator => lab.shared_administrator(&name),
        };
        let process = process.map_err(failed)?;
        machine.process_id = process.id() as u64;
        machine.process = Some(Arc::new(process));
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

    /// What is to be booted.
    fn image(&self) -> Result<Image, Error> {
        match self.linked {
            Some(entry) if self.only_linked => Ok(Image::Linked(entry)),
            Some(entry) => {
                Ok(driver::find(&self.address).map_or(Image::Linked(entry), Image::File))
            }
            None => driver::find(&self.address).map(Image::File),
        }
    }

    /// The cables of each card: those that were given, and for other ends what the address says.
    fn cables(&mut self, replay: &Arc<Replay>) -> Result<Vec<[Cable; 2]>, Error> {
        let object = || self.address.to_string();
        let wrong = |cause: String| Error::new(Kind::InvalidArgument, Call::Boot, object(), cause);
        let mut given: Vec<[Option<Cable>; 2]> = Vec::new();
        given.resize_with(self.address.ends.len(), Default::default);
        for (card, side, cable) in self.cables.drain(..) {
            let Some([wire, stack]) = given.get_mut(card) else {
                let cause = format!("a cable is for card {card}, which the lab does not have");
                return Err(wrong(cause));
            };
            let end = match side {
                Side::Wire => wire,
                Side::Stack => stack,
            };
            *end = Some(cable);
        }
        let mut cables = Vec::new();
        for ([wire, stack], ends) in given.into_iter().zip(&self.address.ends) {
            let or_open = |cable: Option<Cable>, end| match cable {
                Some(cable) => Ok(cable),
                None => replay.open(end),
            };
            cables.push([or_open(wire, &ends.0)?, or_open(stack, &ends.1)?]);
        }
        if self.seed.is_some() && cables.iter().flatten().any(|cable| cable.source.is_some()) {
            let cause = "frames come from an end by themselves, which cannot be repeated";
            return Err(wrong(cause.to_owned())
                .advise("put the frames in yourself, or leave the seed away"));
        }
        Ok(cables)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Builder").field(&self.address).finish()
    }
}

impl Machine {
    fn add_card(&mut self, number: usize, wire: Cable, stack: Cable) -> Result<(), Error> {
        let name = format!("nic{number}");
        let [.., high, low] = (number as u32 + 1).to_be_bytes();
        let mac = [2, 0, 0, 0, high, low];
        let mtu = self.address.mtu_bytes;
        let plugged = [wire.is_plugged(), stack.is_plugged()];
        let nic = self
            .lab
            .shared_nic(&name)
            .queues(self.address.queues)
            .mtu(mtu)
            .mac(mac)
            .wire_cable(wire.source, wire.sink)
            .stack_cable(stack.source, stack.sink)
            .create()
            .map_err(|error| at_boot(error).during(Call::Boot, &*name))?;
        // What nobody can take is counted, not kept.
        if plugged[0] {
            nic.wire().count_only();
        }
        if plugged[1] {
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

    pub(super) fn driver(&self) -> &Driver {
        &self.described_driver
    }

    pub(crate) fn process_id(&self) -> u64 {
        self.process_id
    }

    pub(super) fn nic(&self, number: usize) -> &Nic<'static> {
        &self.nics[number]
    }

    pub(crate) fn start_replay(&self) {
        self.replay.start();
    }

    pub(super) fn replays(&self) -> bool {
        self.replay.is_running()
    }

    pub(super) fn finish(mut self) -> Result<Report, Error> {
        self.switch_off()
            .map_err(|error| at_boot(error).during(Call::EndLab, ""))
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

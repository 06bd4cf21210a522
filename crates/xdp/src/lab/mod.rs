//! The lab: interfaces that are named `lab:` and are in a simulated kernel, in this process or in another one that shares it.
//!
//! The kernel boots the driver file and has virtual network cards. The *wire* end of a card is what would be plugged into
//! a network, its *stack* end is the place of the protocol stack; what each is plugged into is part of the address
//! ([`Address`]). One lab runs in a process at a time.
//!
//! A lab can be shared ([`Lab::share`], `xdp lab run`). Then programs of other processes name it `lab:NAME`, and find the same
//! driver in it as on Windows: they have processes of their own in its kernel, which end when they do.
//!
//! ```no_run
//! let lab = xdp::lab::Lab::boot(&"lab:queues=2".parse()?)?;
//! let interface = lab.interface(0);
//! let program = xdp::Program::builder(&interface).rule(xdp::Match::udp_dst(53).drop()).attach()?;
//! lab.wire(0).send(&[0; 60])?;
//! assert_eq!(lab.stack(0).received_frames(), 1);
//! # drop((program, interface));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod cable;
mod driver;
mod end;
mod machine;
mod process;
mod share;

pub use address::{Address, AddressError, EndSpec, Verifier};
pub use cable::Cable;
pub use driver::{Driver, DriverFile, built_driver};
pub use end::{End, Side};
pub(crate) use machine::Machine;
pub use machine::{Builder, Report};
pub use nt_sim::{
    DriverEntry, Import,
    cable::{CableError, Feed, Sink, Source},
    nic::Counters,
};
pub use process::{Process, User};
pub use share::{Share, Visitor, private_runtime_folder, runtime_folder};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::{Call, Error, Kind};
use crate::interface::{Interface, System};

/// A running lab. Cloning it gives another handle; it ends when the last one is dropped, and everything that was made of
/// its interfaces.
#[derive(Clone)]
pub struct Lab {
    machine: Arc<Machine>,
}

/// The lab that addresses refer to.
static RUNNING: Mutex<Weak<Machine>> = Mutex::new(Weak::new());

fn running() -> MutexGuard<'static, Weak<Machine>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds a card by an address, in a lab that another process shares, in the one that runs here or in one that is booted for it.
pub(crate) fn find(text: &str) -> Result<Interface, Error> {
    if let Some((name, card)) = share::named(text) {
        return share::find(name, card);
    }
    let address: Address = text.parse().map_err(|error: AddressError| {
        Error::new(
            Kind::InvalidArgument,
            Call::FindInterface,
            text,
            error.to_string(),
        )
        .advise("an address is `lab:` and options, as in `lab:wire=if:veth1,queues=4`, or the name of a lab that is shared, as in `lab:demo`")
    })?;
    let lab = Lab::at(&address)?;
    lab.card(&address)
}

impl Lab {
    /// Boots a lab of its own, to which no address leads. Waits until no other lab runs in this process.
    ///
    /// # Errors
    ///
    /// [`Kind::DriverAbsent`] when there is no driver file that can be booted; [`Kind::NotPermitted`] and others when an
    /// end cannot be plugged in.
    pub fn boot(address: &Address) -> Result<Self, Error> {
        Builder::new(address.clone()).boot()
    }

    /// Starts describing a lab of its own, with more than an address can say.
    pub fn builder(address: &Address) -> Builder {
        Builder::new(address.clone())
    }

    /// The lab that an address leads to: the one that runs, if the address asks for nothing else, or else a new one.
    ///
    /// # Errors
    ///
    /// As [`Lab::boot`]; [`Kind::Busy`] when another lab runs that was booted with other options.
    pub fn at(address: &Address) -> Result<Self, Error> {
        Self::at_or_boot(address, Builder::new(address.clone()))
    }

    /// As [`Lab::at`]; a new lab runs a driver that is linked into this program, if there is no driver file.
    ///
    /// # Errors
    ///
    /// As [`Lab::at`].
    pub fn at_or_linked(address: &Address, entry: DriverEntry) -> Result<Self, Error> {
        Self::at_or_boot(address, Builder::new(address.clone()).or_linked(entry))
    }

    fn at_or_boot(address: &Address, builder: Builder) -> Result<Self, Error> {
        let mut running = running();
        if let Some(machine) = running.upgrade() {
            if address.asks_for_nothing() || address.same_machine(machine.address()) {
                return Ok(Self { machine });
            }
            let cause = format!(
                "a lab runs in this process, with other options: {}",
                machine.address()
            );
            return Err(
                Error::new(Kind::Busy, Call::FindInterface, address.to_string(), cause)
                    .advise("give all interfaces of a command the same options, and nic=NAME to tell them apart"),
            );
        }
        let lab = builder.boot()?;
        *running = Arc::downgrade(&lab.machine);
        Ok(lab)
    }

    /// The lab that an interface is in; `None` when it is not in one.
    #[must_use]
    pub fn of(interface: &Interface) -> Option<Self> {
        let machine = interface.backend().lab()?;
        Some(Self { machine })
    }

    /// Whether captures (`read:FILE`) are still being put into ends.
    #[must_use]
    pub fn replays(&self) -> bool {
        self.machine.replays()
    }

    /// Starts putting captures into ends, which otherwise begins when the first program is attached.
    pub fn start_replay(&self) {
        self.machine.start_replay();
    }

    /// The system that its interfaces are of.
    #[must_use]
    pub fn system(&self) -> System {
        System::new(Arc::clone(&self.machine) as _)
    }

    /// Its network cards as interfaces.
    ///
    /// # Panics
    ///
    /// When there is no card of that number; they count from 0.
    #[must_use]
    pub fn interface(&self, number: usize) -> Interface {
        let name = &self.machine.details()[number].name;
        self.system()
            .interface(name)
            .expect("cards are not taken away")
    }

    fn card(&self, address: &Address) -> Result<Interface, Error> {
        self.system().interface(address.card())
    }

    /// How many network cards it has.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.machine.details().len()
    }

    /// The wire end of a card.
    ///
    /// # Panics
    ///
    /// When there is no card of that number; they count from 0.
    #[must_use]
    pub fn wire(&self, number: usize) -> End {
        End::new(Arc::clone(&self.machine), number, Side::Wire)
    }

    /// The stack end of a card.
    ///
    /// # Panics
    ///
    /// When there is no card of that number; they count from 0.
    #[must_use]
    pub fn stack(&self, number: usize) -> End {
        End::new(Arc::clone(&self.machine), number, Side::Stack)
    }

    /// Waits until what was queued in the kernel has been done.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`].
    pub fn settle(&self) -> Result<(), Error> {
        let settled = self.machine.lab().settle();
        settled.map_err(|error| crate::sys::lab::fault(error).during(Call::UseEnd, ""))
    }

    /// Disables a network card and enables it again: what is attached to it is detached.
    ///
    /// # Errors
    ///
    /// [`Kind::LabStopped`].
    ///
    /// # Panics
    ///
    /// When there is no card of that number; they count from 0.
    pub fn reset(&self, number: usize) -> Result<(), Error> {
        let reset = self.machine.nic(number).reset();
        reset.map_err(|error| crate::sys::lab::fault(error).during(Call::UseEnd, ""))
    }

    /// The address with which it was booted.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.machine.address()
    }

    /// The driver that runs in it.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        self.machine.driver()
    }

    /// Names of the filter drivers on a card, from the bottom up.
    ///
    /// # Panics
    ///
    /// When there is no card of that number; they count from 0.
    #[must_use]
    pub fn filters(&self, number: usize) -> Vec<String> {
        let filters = self.machine.nic(number).filters().into_iter();
        filters.map(|filter| filter.name).collect()
    }

    /// Ends the lab: takes the cards away, unloads the driver and looks what it left. What is plugged into ends is
    /// flushed.
    ///
    /// # Errors
    ///
    /// [`Kind::Busy`] when something that was made of its interfaces is still there; [`Kind::LabStopped`].
    pub fn finish(self) -> Result<Report, Error> {
        let cause =
            "something of it is still in use: an interface, a program, a socket or frame memory";
        let machine = Arc::try_unwrap(self.machine)
            .map_err(|_| Error::new(Kind::Busy, Call::EndLab, "", cause))?;
        machine.finish()
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lab").field(self.machine.address()).finish()
    }
}

//! How a lab is described.

use super::{Lab, LabError};
use crate::{
    clock::Clock,
    cm::Registry,
    ex,
    io::Io,
    ke,
    kernel::{ClockMode, Config, Kernel, Mode},
    mem::{Memory, MemoryConfig},
    ndis,
    nmr::Nmr,
    ob::Ob,
    ps::Ps,
    rtl::{convert::Random, debug::DebugLog},
    sched::Sched,
    trace,
    verifier::Verifier,
};

/// Describes a lab; [`LabBuilder::boot`] starts it.
#[derive(Clone, Debug)]
#[must_use]
pub struct LabBuilder {
    config: Config,
    clock: Option<ClockMode>,
}

impl Default for LabBuilder {
    fn default() -> Self {
        LabBuilder {
            config: Config {
                mode: Mode::Strict,
                clock: ClockMode::Real,
                cpus: 2,
                seed: None,
                // Windows Server 2022.
                build: 20348,
            },
            clock: None,
        }
    }
}

impl LabBuilder {
    /// Number of virtual processors, 1 to 64.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.config.cpus = cpus;
        self
    }

    /// How much is checked.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Where time comes from. The default is the real clock, or a virtual one with a seed.
    pub fn clock(mut self, clock: ClockMode) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Runs one thread at a time and lets `seed` decide which, so that equal seeds run equal
    /// interleavings. Implies a virtual clock.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Windows build number to report, such as 17763 (Server 2019) or 20348 (Server 2022).
    pub fn windows_build(mut self, build: u32) -> Self {
        self.config.build = build;
        self
    }

    /// Boots the kernel.
    ///
    /// # Errors
    /// When the description contradicts itself.
    pub fn boot(mut self) -> Result<Lab, LabError> {
        if !(1..=64).contains(&self.config.cpus) {
            return Err(LabError::Invalid(format!(
                "{} processors: a lab has 1 to 64",
                self.config.cpus
            )));
        }
        self.config.clock = match (self.clock, self.config.seed) {
            (Some(ClockMode::Real), Some(_)) => {
                return Err(LabError::Invalid(
                    "a seed cannot be replayed on the real clock: leave the clock virtual".into(),
                ));
            }
            (Some(clock), _) => clock,
            (None, Some(_)) => ClockMode::Virtual,
            (None, None) => ClockMode::Real,
        };
        let memory = MemoryConfig::new(self.config.mode == Mode::Strict);
        let mem = Memory::new(&memory).map_err(LabError::NoMemory)?;
        Ok(Lab::start(Kernel {
            mem,
            debug: DebugLog::default(),
            random: Random::new(self.config.seed),
            clock: Clock::new(self.config.clock),
            sched: Sched::new(self.config.cpus, self.config.seed),
            verifier: Verifier::default(),
            ke: ke::State::new(self.config.cpus),
            ex: ex::State::default(),
            ob: Ob::new(),
            ps: Ps::new(),
            io: Io::new(),
            registry: Registry::default(),
            nmr: Nmr::default(),
            trace: trace::State::default(),
            ndis: ndis::State::new(),
            config: self.config,
        }))
    }
}

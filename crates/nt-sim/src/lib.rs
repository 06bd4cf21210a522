//! A strict simulated NT kernel in an ordinary Linux process.
//!
//! `nt-sim` maps a Windows kernel driver file (an NDIS filter, a miniport, or a plain kernel
//! driver), binds its imports to an implementation of the NT executive and of NDIS, calls its
//! `DriverEntry`, and checks every kernel rule it can while the driver runs. A broken rule is a
//! *bugcheck*: a report made for a person, not a crash of the process.
//!
//! Start with [`Lab`].

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("nt-sim runs x86-64 drivers and needs an x86-64 Linux host");

mod arch;
pub mod cable;
mod clock;
mod cm;
mod ex;
mod export;
mod fault;
mod io;
mod irql;
mod ke;
mod kernel;
mod lab;
pub mod mem;
mod mm;
mod ndis;
pub mod nic;
mod nmr;
mod ob;
mod pe;
mod ps;
mod rtl;
mod sched;
mod seh;
mod symbols;
mod sync;
mod trace;
mod verifier;

pub use kernel::{ClockMode, Mode};
pub use lab::{
    CounterInstance, Driver, DriverEntry, Event, Handle, Lab, LabBuilder, LabError, Leak, NtStatus,
    Output, Pending, Process, TraceEvent, UnloadReport, UserMemory,
    ends::{Stack, Wire},
    kernel_client::CallbackWatch,
    nic::{FilterAttach, FilterDriver, FilterModule, Nic, NicBuilder},
};
pub use mem::faults::{FaultPlan, InjectedFault};
pub use mem::window::{Stretch, Window};
pub use pe::{DriverFile, Import, Machine, PeError};
pub use rtl::debug::DebugMessage;
pub use verifier::{BugCheck, Rule};

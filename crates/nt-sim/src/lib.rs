//! nt-sim.

pub mod mem;

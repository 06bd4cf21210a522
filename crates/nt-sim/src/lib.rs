//! nt-sim.

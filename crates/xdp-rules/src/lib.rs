//! XDP rules: validate them, compile them to a classifier, find the first that matches.
//!
//! - [`validate`] turns what an application hands over into [`Pattern`]s and actions, or says which rule is wrong and why.
//! - [`Classifier`] is the compiled list. It answers exactly as if the list had been walked from the start, but at a cost that
//!   depends on how many *kinds* of rules there are: rules of a kind share one search structure, each of which knows its
//!   earliest rule, and searching ends when what was found is earlier than anything in the structures left.
//! - [`shadow`] finds rules that can never match because of an earlier one.
//! - [`HitCounters`] counts for each rule how often it decided, for callers who want that.
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use xdp_packet::Frame;
//! use xdp_rules::{Classifier, Heap, NoPorts, Pattern};
//!
//! let mut rules: Classifier<NoPorts, &str, Heap> = Classifier::new(Heap, 7, usize::MAX);
//! rules.push(Pattern::UdpDst(53), "take")?;
//! rules.push(Pattern::All, "pass")?;
//! let hit = rules.classify(&Frame::new(b"not even Ethernet")).expect("everything matches");
//! assert_eq!(*hit.value, "pass");
//! # }
//! # Ok::<(), xdp_rules::OutOfMemory>(())
//! ```
//!
//! All memory comes from a [`Store`] that may fail, up to a limit; matching allocates nothing, cannot panic, and does work that
//! is bounded by the number of rules.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod address;
mod arena;
mod batch;
mod cids;
mod classifier;
mod counters;
mod find;
mod glance;
mod groups;
mod hash;
mod index;
mod masks;
#[cfg(any(test, feature = "oracle"))]
#[cfg_attr(
    not(test),
    expect(clippy::expect_used, reason = "test code: a mistake in it must show")
)]
pub mod oracle;
mod pattern;
mod plan;
mod port_list;
mod port_sets;
mod prefix;
mod searches;
#[cfg(feature = "alloc")]
pub mod shadow;
mod store;
mod table;
mod tables;
pub mod validate;
#[cfg(any(test, feature = "oracle"))]
pub mod walker;

pub use arena::RuleKey;
pub use batch::Batch;
pub use classifier::{Classifier, Hit};
pub use counters::HitCounters;
pub use pattern::{AddressPorts, CidSlice, Flow, Masked, NoPorts, Pattern, PortSet, Tuple};
#[cfg(feature = "alloc")]
pub use store::Heap;
pub use store::{Buffer, OutOfMemory, Store};

/// The number of no rule: later than any.
pub(crate) const NONE: u32 = u32::MAX;

//! Single-producer single-consumer rings and frame memory that the other side can write at any time.
//!
//! A ring has two indices, which run freely through 32 bits, and a power of two of elements. Each side is the only
//! one that moves its own index, publishes it with release semantics and reads the other side's with acquire
//! semantics. Whatever the other side writes instead:
//!
//! - an element is found through a mask, so it is always inside the ring;
//! - a count is never larger than what was asked for, nor than the ring;
//! - a side keeps its own index in private memory and never reads it back;
//! - elements are words that are read and written whole, so that a change in mid-use yields another value and
//!   nothing worse. A value is to be validated *after* it was taken out.
//!
//! So the far side can make the near side work on wrong values. It cannot make it unsound, loop or panic.
//!
//! [`Producer`] and [`Consumer`] contain no `unsafe` and work on any [`RingMemory`]: [`MappedRing`] over memory shared
//! with another party, `HeapRing` (feature `alloc`), or a model checker's. Only `mapped.rs` touches raw memory.
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod consumer;
mod element;
mod extension;
#[cfg(feature = "alloc")]
mod heap;
#[cfg(feature = "hot-paths")]
pub mod hot_paths;
mod index;
mod layout;
mod mapped;
mod memory;
mod producer;
mod ring;
mod umem;

pub use consumer::{Batch, Consumer};
pub use element::Element;
pub use extension::{DescriptorLayout, PlaceError};
#[cfg(feature = "alloc")]
pub use heap::{HeapRing, HeapUmem};
pub use index::{Index, RingSize};
pub use layout::{RingLayout, RingLayoutError};
pub use mapped::{MappedRing, MappedUmem};
pub use memory::{ElementWord, FrameMemory, IndexWord, RingMemory};
pub use producer::{Producer, Slots};
pub use ring::{Ring, RingError};
pub use umem::{FrameRange, RxChunk, TxLimits, TxRefusal, UmemError, UmemGeometry};

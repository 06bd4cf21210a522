//! Who asked for memory: the driver, its stack, and the tag that names the purpose.

use std::fmt;
use std::sync::Arc;

use super::pool::PoolAddress;
use crate::kernel::{kernel, strict};

/// A pool tag: four characters that name the purpose of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl Tag {
    /// A tag from its characters in reading order.
    pub const fn new(text: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*text))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.to_le_bytes() {
            let shown = if byte.is_ascii_graphic() || byte == b' ' {
                byte as char
            } else {
                '.'
            };
            fmt::Write::write_char(f, shown)?;
        }
        Ok(())
    }
}

/// The driver that called, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The image that called; 0 is the simulated kernel itself.
    pub owner: u16,
    /// Return addresses, innermost first. Empty in fast mode.
    pub stack: Arc<[usize]>,
    /// The thread.
    pub thread: u64,
}

impl Caller {
    /// A number that is the same for every call from the same place by the same path.
    pub fn stack_hash(&self) -> u64 {
        // FNV-1a over the return addresses.
        self.stack
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, &address| {
                (hash ^ address as u64).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

/// The owner of what the kernel makes for itself.
pub(crate) const KERNEL: u16 = 0;

/// The owner of what linked drivers allocate; in fast mode, of what any driver does.
pub const LINKED: u16 = 1;

/// Frames that are remembered of a stack.
const MAX_FRAMES: usize = 24;

/// Finds out who called the exported function that runs now: the innermost driver frames, and the image of the first.
/// Empty in fast mode, where nobody asks.
pub(crate) fn capture() -> Caller {
    if !strict() {
        return Caller {
            owner: LINKED,
            ..Caller::default()
        };
    }
    let thread = crate::sched::try_current().map_or(0, |thread| u64::from(thread.id));
    let stack: Arc<[usize]> = crate::mem::stack::driver_frames(MAX_FRAMES).into();
    let image = stack.first().and_then(|&frame| crate::pe::find(frame));
    let owner = image.map_or(LINKED, |image| kernel().mem.owner_of_image(image.base()));
    Caller {
        owner,
        stack,
        thread,
    }
}

/// The image that called the exported function that runs now, as memory is filed; [`KERNEL`] when no driver did.
pub(crate) fn owner() -> u16 {
    let inside = crate::sched::try_current().is_some() && !crate::arch::current_call().is_null();
    if !inside {
        return KERNEL;
    }
    if !strict() {
        return LINKED;
    }
    let image = crate::seh::driver_stack(1)
        .first()
        .and_then(|&frame| crate::pe::find(frame));
    image.map_or(LINKED, |image| kernel().mem.owner_of_image(image.base()))
}

/// Whose the memory at `address` is: that of a pool block, of an image, or else of a linked driver.
pub(crate) fn owner_of(address: usize) -> u16 {
    let mem = &kernel().mem;
    if let Some(PoolAddress::Live(block)) = mem.pool.describe(address) {
        return block.caller.owner;
    }
    match crate::pe::find(address) {
        Some(image) if strict() => mem.owner_of_image(image.base()),
        _ => LINKED,
    }
}

/// A name for a code address.
pub(crate) fn symbol(address: usize) -> String {
    crate::pe::describe(address)
}

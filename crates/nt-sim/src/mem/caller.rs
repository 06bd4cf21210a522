//! Who asked for memory: the driver, its stack, and the tag that names the purpose.

use std::fmt;
use std::sync::Arc;

use super::pool::PoolAddress;
use crate::kernel::{kernel, strict};
use crate::pe::Image;

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

/// The owner of what linked drivers allocate.
pub const LINKED: u16 = 1;

/// Frames that are remembered of a stack.
const MAX_FRAMES: usize = 24;

/// Finds out who called the exported function that runs now: the innermost driver frames, and the image of the first.
/// In fast mode the image only.
pub(crate) fn capture() -> Caller {
    if !strict() {
        return Caller {
            owner: calling_image().map_or(LINKED, Image::owner),
            ..Caller::default()
        };
    }
    let thread = crate::sched::try_current().map_or(0, |thread| u64::from(thread.id));
    let stack: Arc<[usize]> = crate::mem::stack::driver_frames(MAX_FRAMES).into();
    let image = stack.first().and_then(|&frame| crate::pe::find(frame));
    Caller {
        owner: image.map_or(LINKED, Image::owner),
        stack,
        thread,
    }
}

/// The image whose function the kernel called last, and which calls it now.
fn calling_image() -> Option<&'static Image> {
    crate::sched::try_current()?;
    // SAFETY: null, or a call that has not returned.
    let call = unsafe { crate::arch::current_call().as_ref() }?;
    crate::pe::find(call.function())
}

/// The image that called the exported function that runs now, as memory is filed; [`KERNEL`] when no driver did.
pub(crate) fn owner() -> u16 {
    let inside = crate::sched::try_current().is_some() && !crate::arch::current_call().is_null();
    if !inside {
        return KERNEL;
    }
    let image = if strict() {
        let frames = crate::seh::driver_stack(1);
        frames.first().and_then(|&frame| crate::pe::find(frame))
    } else {
        calling_image()
    };
    image.map_or(LINKED, Image::owner)
}

/// Whose the memory at `address` is: that of a pool block (in strict mode), of an image, or else of a linked driver.
pub(crate) fn owner_of(address: usize) -> u16 {
    if let Some(PoolAddress::Live(block)) = kernel().mem.pool.describe(address) {
        return block.caller.owner;
    }
    crate::pe::find(address).map_or(LINKED, Image::owner)
}

/// A name for a code address.
pub(crate) fn symbol(address: usize) -> String {
    crate::pe::describe(address)
}

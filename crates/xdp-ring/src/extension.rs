//! Where extensions lie in a descriptor.

use core::fmt;
use xdp_abi::extension::Extension;

/// More extensions than any descriptor has.
const MAX: usize = 8;

/// Why extensions cannot be placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlaceError {
    /// There are more of them than a descriptor can have.
    TooMany,
    /// An alignment is no power of two.
    Alignment {
        /// The alignment.
        align: u16,
    },
    /// The descriptor would be longer than an offset can say.
    TooLong,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "more than {MAX} extensions in a descriptor"),
            Self::Alignment { align } => write!(f, "an alignment of {align}"),
            Self::TooLong => f.write_str("a descriptor of more than 65,535 bytes"),
        }
    }
}

impl core::error::Error for PlaceError {}

/// A descriptor with its extensions.
///
/// Applications ask for the offsets, so any placement would do; this one is the established one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescriptorLayout {
    placed: [(&'static str, u16); MAX],
    count: usize,
    stride: u16,
}

impl DescriptorLayout {
    /// Places extensions behind a base of `base` bytes whose alignment is `align`.
    ///
    /// Widest alignment first; those that fit the alignment reached so far go in without padding, the rest behind
    /// them with padding. Of two with one alignment the one registered first goes first.
    ///
    /// # Errors
    ///
    /// If there are too many, an alignment is no power of two, or the descriptor gets too long.
    pub fn new(base: u16, align: u16, extensions: &[Extension]) -> Result<Self, PlaceError> {
        if extensions.len() > MAX {
            return Err(PlaceError::TooMany);
        }
        let mut largest = align;
        for align in extensions
            .iter()
            .map(|extension| extension.align)
            .chain([align])
        {
            if !align.is_power_of_two() {
                return Err(PlaceError::Alignment { align });
            }
            largest = largest.max(align);
        }
        let mut layout = Self {
            placed: [("", 0); MAX],
            count: 0,
            stride: 0,
        };
        let mut end = u32::from(base);
        let mut reached = if base == 0 {
            u32::from(largest)
        } else {
            1 << base.trailing_zeros()
        };
        let mut left_over = [false; MAX];
        let by_alignment = || (0..16).rev().map(|shift| 1 << shift);
        for align in by_alignment() {
            for (extension, left_over) in extensions.iter().zip(&mut left_over) {
                if extension.align != align {
                    continue;
                }
                if u32::from(align) <= reached {
                    layout.add(extension.name, end)?;
                    end += u32::from(extension.size).next_multiple_of(align.into());
                    reached = align.into();
                } else {
                    *left_over = true;
                }
            }
        }
        for align in by_alignment() {
            for (extension, _) in extensions
                .iter()
                .zip(left_over)
                .filter(|&(extension, left)| left && extension.align == align)
            {
                end = end.next_multiple_of(align.into());
                layout.add(extension.name, end)?;
                end += u32::from(extension.size).next_multiple_of(align.into());
            }
        }
        layout.stride =
            u16::try_from(end.next_multiple_of(largest.into())).map_err(|_| PlaceError::TooLong)?;
        Ok(layout)
    }

    fn add(&mut self, name: &'static str, offset: u32) -> Result<(), PlaceError> {
        let offset = u16::try_from(offset).map_err(|_| PlaceError::TooLong)?;
        *self.placed.get_mut(self.count).ok_or(PlaceError::TooMany)? = (name, offset);
        self.count += 1;
        Ok(())
    }

    /// Bytes from one descriptor to the next.
    #[must_use]
    pub fn stride(&self) -> u16 {
        self.stride
    }

    /// Offset of an extension, if it was placed.
    #[must_use]
    pub fn offset(&self, extension: &Extension) -> Option<u16> {
        self.iter()
            .find(|(name, _)| *name == extension.name)
            .map(|(_, offset)| offset)
    }

    /// Names and offsets of all extensions.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u16)> + '_ {
        self.placed.iter().copied().take(self.count)
    }
}

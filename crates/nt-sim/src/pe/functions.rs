//! The function table of an image (`.pdata`): where functions begin and end and how to unwind them.

use super::{bytes::u32_at, error::PeError, headers::Directory};

const ENTRY: usize = 12;

/// One entry of the table, as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct RuntimeFunction {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    pub(crate) unwind: u32,
}

/// The table, in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FunctionTable {
    rva: u32,
    count: usize,
}

impl FunctionTable {
    /// Checks the table of an image.
    pub(crate) fn read(image: &[u8], table: Directory) -> Result<FunctionTable, PeError> {
        let bad = |problem: String| PeError::directory("function table (.pdata)", problem);
        let size = table.size as usize;
        let end = table.rva as usize + size;
        if !size.is_multiple_of(ENTRY) || end > image.len() {
            return Err(bad(format!(
                "it has {size} bytes at {:#x}, which is no whole number of entries inside the image",
                table.rva
            )));
        }
        let functions = FunctionTable {
            rva: table.rva,
            count: size / ENTRY,
        };
        let mut previous = 0;
        for i in 0..functions.count {
            let f = functions
                .get(image, i)
                .ok_or_else(|| bad("it leaves the image".into()))?;
            if f.begin < previous || f.end <= f.begin || f.end as usize > image.len() {
                return Err(bad(format!(
                    "entry {i} ({:#x}..{:#x}) is out of order or leaves the image",
                    f.begin, f.end
                )));
            }
            previous = f.begin;
        }
        Ok(functions)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// RVA of entry `index`.
    pub(crate) fn rva_of(&self, index: usize) -> u32 {
        self.rva + (index * ENTRY) as u32
    }

    pub(crate) fn get(&self, image: &[u8], index: usize) -> Option<RuntimeFunction> {
        if index >= self.count {
            return None;
        }
        entry_at(image, self.rva_of(index))
    }

    /// The entry that covers `rva`, and its index.
    pub(crate) fn find(&self, image: &[u8], rva: u32) -> Option<(usize, RuntimeFunction)> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let f = self.get(image, middle)?;
            if rva < f.begin {
                high = middle;
            } else if rva >= f.end {
                low = middle + 1;
            } else {
                return Some((middle, f));
            }
        }
        None
    }
}

/// Reads an entry that lies anywhere in the image (chained unwind information has its own).
pub(crate) fn entry_at(image: &[u8], rva: u32) -> Option<RuntimeFunction> {
    let at = rva as usize;
    Some(RuntimeFunction {
        begin: u32_at(image, at)?,
        end: u32_at(image, at + 4)?,
        unwind: u32_at(image, at + 8)?,
    })
}

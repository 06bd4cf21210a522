//! Names of driver addresses, for reports.

mod linked;
mod pdb;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::{
    pe::{self, Image},
    seh,
};

/// Most frames in a report.
const MOST_FRAMES: usize = 32;

/// The driver functions on this thread's stack, innermost first, in words.
pub(crate) fn driver_stack() -> Vec<String> {
    let frames = seh::driver_stack(MOST_FRAMES);
    if frames.is_empty() {
        return linked::driver_stack(MOST_FRAMES);
    }
    frames.into_iter().map(pe::describe).collect()
}

pub(crate) use self::linked::fault_in_driver as linked_driver_faulted;

/// Functions of an image by address.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Start, end (exclusive; of what follows if unknown) and name, by start.
    functions: Vec<Function>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    start: u32,
    end: u32,
    name: String,
}

impl Symbols {
    /// Reads the names from the PDB that belongs to the image if there is one, and otherwise takes
    /// what the image itself tells: its exports and where its functions start.
    pub(crate) fn of_image(image: &Image, pdb: Option<&Path>) -> Symbols {
        let named = pdb
            .and_then(|path| std::fs::read(path).ok())
            .and_then(|file| pdb::functions(&file, image))
            .unwrap_or_default();
        let exported = image.exports().iter().map(|e| (e.rva, e.name.clone()));
        let mut names: Vec<(u32, String)> = named.into_iter().chain(exported).collect();
        names.sort_by_key(|(rva, _)| *rva);
        names.dedup_by_key(|(rva, _)| *rva);
        Symbols::build(image, &names)
    }

    fn build(image: &Image, names: &[(u32, String)]) -> Symbols {
        let name_at = |rva: u32| {
            let i = names.binary_search_by_key(&rva, |(rva, _)| *rva).ok()?;
            Some(demangle(&names[i].1))
        };
        let mut functions: Vec<Function> = Vec::new();
        for i in 0..image.functions().len() {
            let Some(entry) = image.functions().get(image.bytes(), i) else {
                continue;
            };
            // A function in several pieces is one function.
            match (name_at(entry.begin), functions.last_mut()) {
                (None, Some(last)) if last.end == entry.begin && is_continuation(image, entry) => {
                    last.end = entry.end;
                }
                (name, _) => functions.push(Function {
                    start: entry.begin,
                    end: entry.end,
                    name: name.unwrap_or_else(|| format!("sub_{:x}", entry.begin)),
                }),
            }
        }
        // Leaf functions have no unwind information; they reach to the next thing with a name.
        for (i, (rva, name)) in names.iter().enumerate() {
            if !image.is_code(image.base() + *rva as usize) {
                continue;
            }
            let at = functions.partition_point(|f| f.start <= *rva);
            let covered = at > 0 && *rva < functions[at - 1].end;
            if !covered {
                let next_name = names.get(i + 1).map_or(u32::MAX, |(rva, _)| *rva);
                let next_function = functions.get(at).map_or(u32::MAX, |f| f.start);
                functions.insert(
                    at,
                    Function {
                        start: *rva,
                        end: next_name.min(next_function),
                        name: demangle(name),
                    },
                );
            }
        }
        Symbols { functions }
    }

    /// The function at an offset in the image, and how far into it that is.
    pub(crate) fn name_of(&self, rva: u32) -> Option<(&str, u32)> {
        let at = self.functions.partition_point(|f| f.start <= rva);
        let function = self.functions.get(at.checked_sub(1)?)?;
        (rva < function.end).then(|| (function.name.as_str(), rva - function.start))
    }
}

fn is_continuation(image: &Image, entry: crate::pe::RuntimeFunction) -> bool {
    const CHAINED: u8 = 4;
    crate::pe::array_at(image.bytes(), entry.unwind as usize)
        .is_some_and(|[first]: [u8; 1]| (first >> 3) & CHAINED != 0)
}

/// The name as a person would write it.
fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

//! The memory manager's exports.

mod mdl;
mod pages;
mod user;

#[cfg(test)]
mod tests;

use nt::sys::UNICODE_STRING;

use crate::export::{self, Export};
use crate::exports;
use crate::mem::guest;

/// What the memory manager exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        mdl::EXPORTS,
        pages::EXPORTS,
        user::EXPORTS,
        user::DATA,
        EXPORTS,
    ]
}

/// The address at which a driver calls an exported function of ntoskrnl.
///
/// # Panics
/// When there is no such function: the names are this crate's own.
pub(crate) fn routine_address(name: &str) -> *const () {
    find_routine(name).unwrap_or_else(|| panic!("{name} is not exported"))
}

fn find_routine(name: &str) -> Option<*const ()> {
    let export = export::lookup("ntoskrnl.exe", name)?;
    Some(export.address)
}

exports! { "ntoskrnl.exe" => EXPORTS;
    /// The address of a function of ntoskrnl or hal by name; null when this system does not have it.
    #[irql(PASSIVE)]
    fn MmGetSystemRoutineAddress(name: *const UNICODE_STRING) -> *const () {
        let string = guest::load(name);
        let units = guest::load_many(string.Buffer.cast_const(), usize::from(string.Length / 2));
        let name = String::from_utf16_lossy(&units);
        find_routine(&name).unwrap_or(std::ptr::null())
    }
}

// UNSAFETY: calls functions of Windows.
#![expect(unsafe_code, reason = "functions of Windows are foreign")]

//! The network interfaces of Windows.

use super::api;
use crate::error::{Fault, Kind};
use crate::interface::Details;

/// Longest name of an interface, in UTF-16 units, with the zero behind it (`NDIS_IF_MAX_STRING_SIZE` + 1).
const NAME_UNITS: usize = 257;

/// A table of Windows, which is given back.
struct Table(*mut api::InterfaceTable);

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: `GetIfTable2` allocated it, and nobody else frees it.
        unsafe { api::FreeMibTable(self.0.cast()) };
    }
}

impl Table {
    fn rows(&self) -> &[api::InterfaceRow] {
        // SAFETY: a table of Windows, which lives as long as `self`.
        let count = unsafe { (*self.0).count } as usize;
        // SAFETY: as above; the rows are the table's last member.
        let first = unsafe { &raw const (*self.0).rows };
        // SAFETY: behind the count there are as many rows as it says; any bits are a row.
        unsafe { std::slice::from_raw_parts(first.cast(), count) }
    }
}

/// Text up to its zero.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0);
    String::from_utf16_lossy(&units[..end.unwrap_or(units.len())])
}

/// The name of an interface for programs.
fn name(luid: u64) -> Option<String> {
    let mut units = [0; NAME_UNITS];
    // SAFETY: there is room for as many units as is said.
    let error = unsafe { api::ConvertInterfaceLuidToNameW(&luid, units.as_mut_ptr(), NAME_UNITS) };
    (error == 0).then(|| text(&units))
}

/// Interfaces that carry Ethernet frames; not the filters on them, which Windows lists, too.
pub(super) fn list() -> Result<Vec<Details>, Fault> {
    let mut table = std::ptr::null_mut();
    // SAFETY: the result is written to a variable.
    let error = unsafe { api::GetIfTable2(&mut table) };
    if error != 0 || table.is_null() {
        return Err(Fault::of(
            Kind::Failed,
            format!("Windows does not list its interfaces (error {error})"),
        ));
    }
    let table = Table(table);
    let ethernet = table.rows().iter().filter(|row| {
        matches!(row.interface_type, api::TYPE_ETHERNET | api::TYPE_WIFI)
            && row.flags & api::FLAG_FILTER == 0
    });
    Ok(ethernet.map(details).collect())
}

fn details(row: &api::InterfaceRow) -> Details {
    let alias = text(&row.alias);
    let mac = row.physical_address.first_chunk().copied();
    Details {
        index: row.index,
        name: name(row.luid).unwrap_or_else(|| alias.clone()),
        alias,
        description: text(&row.description),
        guid: Some(row.guid),
        mac: mac.filter(|_| row.physical_address_length == 6),
        mtu_bytes: Some(row.mtu),
        is_up: row.oper_status == api::OPER_STATUS_UP,
    }
}

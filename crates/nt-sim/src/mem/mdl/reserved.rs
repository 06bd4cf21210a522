//! Addresses that a driver reserves ahead, so that mapping later cannot fail.

use super::{MdlError, MdlRule, MdlView, Result, SystemMapping, rule};
use crate::mem::Memory;
use crate::mem::caller::{Caller, Tag};
use crate::mem::os::Protection;
use crate::mem::va::{Use, VaRange};

/// A range that `MmAllocateMappingAddress` reserved.
#[derive(Debug)]
pub(super) struct Reserved {
    tag: Tag,
    range: VaRange,
    /// The MDL mapped there.
    used_by: Option<usize>,
    pub(super) caller: Caller,
}

impl Memory {
    /// Reserves addresses for at least `len` bytes.
    pub(crate) fn reserve_mapping(&self, len: usize, tag: Tag, caller: &Caller) -> Result<usize> {
        if tag.0 == 0 || len == 0 {
            return rule(
                MdlRule::ReservedMapping,
                format_args!("{len} bytes with the tag {:#x} are asked for", tag.0),
            );
        }
        let range = self
            .va
            .reserve(len, Use::ReservedMapping)
            .ok_or(MdlError::NoResources)?;
        let reserved = Reserved {
            tag,
            range,
            used_by: None,
            caller: caller.clone(),
        };
        self.mdls.reserved.lock().insert(range.start, reserved);
        Ok(range.start)
    }

    /// Gives reserved addresses back.
    pub(crate) fn release_mapping(&self, address: usize, tag: Tag) -> Result<()> {
        let mut table = self.mdls.reserved.lock();
        let reserved = find(&mut table, address, tag)?;
        if let Some(mdl) = reserved.used_by {
            return rule(
                MdlRule::ReservedMapping,
                format_args!(
                    "the addresses {address:#x} are freed while the MDL {mdl:#x} is mapped there"
                ),
            );
        }
        self.va.release(reserved.range);
        table.remove(&address);
        Ok(())
    }

    /// Maps an MDL at reserved addresses; `None` when they are too few.
    pub(crate) fn mdl_map_reserved(
        &self,
        mdl: MdlView,
        address: usize,
        tag: Tag,
        caller: &Caller,
    ) -> Result<Option<usize>> {
        self.check_not_mapped(mdl)?;
        let mut table = self.mdls.reserved.lock();
        let reserved = find(&mut table, address, tag)?;
        if let Some(other) = reserved.used_by {
            return rule(
                MdlRule::ReservedMapping,
                format_args!("the MDL {other:#x} is still mapped at {address:#x}"),
            );
        }
        let pfns = mdl.pfns();
        if pfns.len() * crate::mem::PAGE_SIZE > reserved.range.len {
            return Ok(None);
        }
        match self.map_frames(reserved.range, &pfns, Protection::ReadWrite) {
            Err(MdlError::NoResources) => return Ok(None),
            other => other?,
        }
        reserved.used_by = Some(mdl.0);
        let range = reserved.range;
        drop(table);
        let address = range.start + mdl.offset();
        let mapping = SystemMapping {
            address,
            range: Some(range),
            reserved: true,
            caller: caller.clone(),
        };
        self.note_system_mapping(mdl, mapping);
        Ok(Some(address))
    }

    /// Undoes a mapping at reserved addresses, which stay reserved.
    pub(crate) fn mdl_unmap_reserved(&self, mdl: MdlView, address: usize, tag: Tag) -> Result<()> {
        let mut table = self.mdls.reserved.lock();
        let base = address & !(crate::mem::PAGE_SIZE - 1);
        let reserved = find(&mut table, base, tag)?;
        if reserved.used_by != Some(mdl.0) {
            return rule(
                MdlRule::ReservedMapping,
                format_args!("the MDL {:#x} is not mapped at {address:#x}", mdl.0),
            );
        }
        reserved.used_by = None;
        self.va.unmap(reserved.range);
        drop(table);
        self.mdls.with(mdl, |state| state.system = None);
        mdl.change_flags(
            nt::sys::MDL_MAPPED_TO_SYSTEM_VA | nt::sys::MDL_PARTIAL_HAS_BEEN_MAPPED,
            0,
        );
        Ok(())
    }
}

fn find(
    table: &mut std::collections::HashMap<usize, Reserved>,
    address: usize,
    tag: Tag,
) -> Result<&mut Reserved> {
    match table.get_mut(&address) {
        Some(reserved) if reserved.tag == tag => Ok(reserved),
        Some(reserved) => rule(
            MdlRule::ReservedMapping,
            format_args!(
                "the addresses {address:#x} were reserved with tag '{}', not '{tag}'",
                reserved.tag
            ),
        ),
        None => rule(
            MdlRule::ReservedMapping,
            format_args!("{address:#x} was not returned by MmAllocateMappingAddress, or was freed"),
        ),
    }
}

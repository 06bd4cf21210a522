//! What a program asks to be changed.

use nt::processor::ProcessorNumber;
use nt::{Result, Status};
use xdp_abi::offload::{
    RSS_CONFIGURATION_REVISION_1, RSS_VALID_FLAGS, RSS_VALID_HASH_TYPES, RssConfiguration,
    RssFlags, RssHashTypes, SIZEOF_RSS_CONFIGURATION_REVISION_1,
};
use zerocopy::FromBytes;

use super::capabilities::Capabilities;
use super::settings::{ENTRIES, ENTRY, KEY, Settings};

/// What a program asks to be changed; the rest stays.
pub(super) struct Change<'a> {
    types: Option<RssHashTypes>,
    key: Option<&'a [u8]>,
    table: Option<&'a [u8]>,
}

impl<'a> Change<'a> {
    /// From a request, as far as it can be judged by itself.
    pub(super) fn parse(request: &'a [u8]) -> Result<Self> {
        let wrong = Status::INVALID_PARAMETER;
        let (configuration, _) = RssConfiguration::read_from_prefix(request).map_err(|_| wrong)?;
        let header = configuration.header;
        if header.revision < RSS_CONFIGURATION_REVISION_1
            || (header.size as usize) < SIZEOF_RSS_CONFIGURATION_REVISION_1
            || configuration.flags.0 & !RSS_VALID_FLAGS.0 != 0
            || configuration.hash_type.0 & !RSS_VALID_HASH_TYPES.0 != 0
        {
            return Err(wrong);
        }
        let part = |start: u16, len: u16| {
            let start = usize::from(start);
            request.get(start..start + usize::from(len)).ok_or(wrong)
        };
        let key = part(
            configuration.hash_secret_key_offset,
            configuration.hash_secret_key_size,
        )?;
        let table = part(
            configuration.indirection_table_offset,
            configuration.indirection_table_size,
        )?;
        let sets = |flag: RssFlags| configuration.flags.0 & flag.0 != 0;
        let change = Self {
            types: sets(RssFlags::SET_HASH_TYPE).then_some(configuration.hash_type),
            key: sets(RssFlags::SET_HASH_SECRET_KEY).then_some(key),
            table: sets(RssFlags::SET_INDIRECTION_TABLE).then_some(table),
        };
        let is_table = |table: &[u8]| {
            table.len() <= ENTRIES * ENTRY
                && table.len().is_multiple_of(ENTRY)
                && table.len().is_power_of_two()
        };
        let fits =
            change.key.is_none_or(|key| key.len() <= KEY) && change.table.is_none_or(is_table);
        fits.then_some(change).ok_or(wrong)
    }

    /// Makes the change, if the network card can do it.
    pub(super) fn apply(&self, to: &mut Settings, capabilities: Capabilities) -> Result<()> {
        let wrong = Status::INVALID_PARAMETER;
        if let Some(types) = self.types {
            if !capabilities.can_hash(types) {
                return Err(Status::NOT_SUPPORTED);
            }
            to.set_types(types);
        }
        if let Some(key) = self.key {
            to.set_key(key).ok_or(wrong)?;
        }
        if let Some(table) = self.table {
            to.set_table(table).ok_or(wrong)?;
            if to.processors().len() > capabilities.entries() {
                return Err(Status::NOT_SUPPORTED);
            }
            let exists = |number| ProcessorNumber::from_raw(number).index().is_some();
            if !to.processors().all(exists) {
                return Err(wrong);
            }
            if distinct(to) > capabilities.queue_count() as usize {
                return Err(Status::NOT_SUPPORTED);
            }
        }
        Ok(())
    }
}

/// How many processors a table has.
fn distinct(settings: &Settings) -> usize {
    let all = || settings.processors();
    let is_first = |(at, number): &(usize, nt::sys::PROCESSOR_NUMBER)| {
        let is_same = |other: nt::sys::PROCESSOR_NUMBER| {
            other.Group == number.Group && other.Number == number.Number
        };
        !all().take(*at).any(is_same)
    };
    all().enumerate().filter(is_first).count()
}

//! Settings of receive-side scaling, and the two forms that they travel in.

use core::mem::offset_of;

use nt::sys::{
    NDIS_HASH_FUNCTION_MASK, NDIS_OBJECT_TYPE_RSS_PARAMETERS, NDIS_RECEIVE_SCALE_PARAMETERS,
    NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2, NDIS_RSS_PARAM_FLAG_DISABLE_RSS,
    NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED, NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED,
    NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED, NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2,
    PROCESSOR_NUMBER,
};
use nt::{Result, Vec};
use xdp_abi::ObjectHeader;
use xdp_abi::offload::{RSS_CONFIGURATION_REVISION_1, RssConfiguration, RssFlags, RssHashTypes};
use zerocopy::IntoBytes;

use super::super::steering::Steering;
use super::capabilities::{to_ndis_types, to_xdp_types, word};

/// Entries of the largest indirection table.
pub(in super::super) const ENTRIES: usize = 128;
/// Bytes of an entry: a `PROCESSOR_NUMBER`.
pub(super) const ENTRY: usize = size_of::<PROCESSOR_NUMBER>();
/// Bytes of the longest secret key.
pub(super) const KEY: usize = NDIS_RSS_HASH_SECRET_KEY_MAX_SIZE_REVISION_2 as usize;
/// Bytes of the parameters' structure; the tables follow.
const FIXED: usize = NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2 as usize;
/// Bytes of the longest parameters.
pub(super) const LONGEST: usize = FIXED + ENTRIES * ENTRY + KEY;

/// `NdisHashFunctionToeplitz`.
const TOEPLITZ: u32 = 1;

/// How frames are spread over processors.
pub(super) struct Settings {
    disabled: bool,
    /// `HashInformation`: function and types.
    hash: u32,
    key: [u8; KEY],
    key_len: usize,
    table: [u8; ENTRIES * ENTRY],
    table_len: usize,
}

impl Settings {
    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        disabled: false,
        hash: 0,
        key: [0; KEY],
        key_len: 0,
        table: [0; ENTRIES * ENTRY],
        table_len: 0,
    };

    pub(super) fn copy_from(&mut self, other: &Self) {
        self.disabled = other.disabled;
        self.hash = other.hash;
        self.key = other.key;
        self.key_len = other.key_len;
        self.table = other.table;
        self.table_len = other.table_len;
    }

    fn key(&self) -> &[u8] {
        self.key.get(..self.key_len).unwrap_or_default()
    }

    fn table(&self) -> &[u8] {
        self.table.get(..self.table_len).unwrap_or_default()
    }

    /// Sets what is hashed; nothing means that scaling is off. The function stays what it is, or becomes Toeplitz.
    pub(super) fn set_types(&mut self, types: RssHashTypes) {
        let types = to_ndis_types(types);
        let function = match self.hash & NDIS_HASH_FUNCTION_MASK {
            0 => TOEPLITZ,
            function => function,
        };
        self.hash = if types == 0 { 0 } else { types | function };
    }

    /// Sets the secret key; `None` when it is too long.
    pub(super) fn set_key(&mut self, key: &[u8]) -> Option<()> {
        self.key.get_mut(..key.len())?.copy_from_slice(key);
        self.key_len = key.len();
        Some(())
    }

    /// Sets the indirection table; `None` when it is too long.
    pub(super) fn set_table(&mut self, table: &[u8]) -> Option<()> {
        self.table.get_mut(..table.len())?.copy_from_slice(table);
        self.table_len = table.len();
        Some(())
    }

    /// Takes over parameters as NDIS hands them on; what they leave unchanged stays. `None` when they make no sense.
    #[doc(alias = "NDIS_RECEIVE_SCALE_PARAMETERS")]
    pub(super) fn apply(&mut self, bytes: &[u8]) -> Option<()> {
        let [kind, revision, ..] = bytes else {
            return None;
        };
        if *kind != NDIS_OBJECT_TYPE_RSS_PARAMETERS || *revision < 2 || bytes.len() < FIXED {
            return None;
        }
        let part = |start: u32, len: u16| {
            let start = start as usize;
            bytes.get(start..start.checked_add(len.into())?)
        };
        let flags = u32::from(half(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, Flags),
        )?);
        let hash = word(
            bytes,
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashInformation),
        )?;
        self.disabled = flags & NDIS_RSS_PARAM_FLAG_DISABLE_RSS != 0;
        if flags & NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED == 0 || self.hash == 0 {
            self.hash = hash;
        }
        if self.is_off() {
            // Tables of what is off are not looked at.
            return Some(());
        }
        if flags & NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED == 0 {
            let len = half(
                bytes,
                offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeySize),
            )?;
            let start = word(
                bytes,
                offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeyOffset),
            )?;
            self.set_key(part(start, len)?)?;
        }
        if flags & NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED == 0 {
            let len = half(
                bytes,
                offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableSize),
            )?;
            let start = word(
                bytes,
                offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableOffset),
            )?;
            self.set_table(part(start, len)?)?;
        }
        Some(())
    }

    fn is_off(&self) -> bool {
        self.disabled || self.hash & NDIS_HASH_FUNCTION_MASK == 0
    }

    /// Where frames go; `None` when that stays as it is, because the table is not known or too wide for the queues.
    pub(super) fn steering(&self, queues: u32) -> Option<Steering> {
        if self.is_off() {
            return Some(Steering::single());
        }
        let (entries, _) = self.table().as_chunks::<ENTRY>();
        Steering::of_table(entries.iter().map(processor), queues)
    }

    /// Processors of the table, entry by entry.
    pub(super) fn processors(&self) -> impl ExactSizeIterator<Item = PROCESSOR_NUMBER> {
        let (entries, _) = self.table().as_chunks::<ENTRY>();
        entries.iter().map(processor)
    }

    /// Appends the settings as NDIS hands them on, in the second revision of the structure.
    pub(super) fn write_parameters(&self, to: &mut Vec<u8>) -> Result<()> {
        let mut fixed = [0_u8; FIXED];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = fixed.get_mut(at..).and_then(|f| f.get_mut(..bytes.len())) {
                place.copy_from_slice(bytes);
            }
        };
        let mut flags = 0;
        for (is_set, flag) in [
            (self.disabled, NDIS_RSS_PARAM_FLAG_DISABLE_RSS),
            (
                !self.is_off() && self.key_len == 0,
                NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED,
            ),
            (
                !self.is_off() && self.table_len == 0,
                NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED,
            ),
        ] {
            if is_set {
                flags |= flag as u16;
            }
        }
        put(0, &[NDIS_OBJECT_TYPE_RSS_PARAMETERS, 2]);
        put(2, &(FIXED as u16).to_le_bytes());
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, Flags),
            &flags.to_le_bytes(),
        );
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashInformation),
            &self.hash.to_le_bytes(),
        );
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableSize),
            &(self.table_len as u16).to_le_bytes(),
        );
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, IndirectionTableOffset),
            &(FIXED as u32).to_le_bytes(),
        );
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeySize),
            &(self.key_len as u16).to_le_bytes(),
        );
        put(
            offset_of!(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeyOffset),
            &((FIXED + self.table_len) as u32).to_le_bytes(),
        );
        to.extend_from_slice(&fixed)?;
        to.extend_from_slice(self.table())?;
        to.extend_from_slice(self.key())
    }

    /// Appends the settings as programs read them: configuration, key, table.
    pub(super) fn write_configuration(&self, to: &mut Vec<u8>) -> Result<()> {
        const CONFIGURATION: usize = size_of::<RssConfiguration>();
        let hash = if self.is_off() { 0 } else { self.hash };
        let configuration = RssConfiguration {
            header: ObjectHeader {
                revision: RSS_CONFIGURATION_REVISION_1,
                size: CONFIGURATION as u32,
            },
            flags: RssFlags::default(),
            hash_type: to_xdp_types(hash),
            hash_secret_key_offset: CONFIGURATION as u16,
            hash_secret_key_size: self.key_len as u16,
            indirection_table_offset: (CONFIGURATION + self.key_len) as u16,
            indirection_table_size: self.table_len as u16,
        };
        to.extend_from_slice(configuration.as_bytes())?;
        to.extend_from_slice(self.key())?;
        to.extend_from_slice(self.table())
    }
}

fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..)?.first_chunk().copied()?;
    Some(u16::from_le_bytes(bytes))
}

fn processor(&[group, high, number, _]: &[u8; ENTRY]) -> PROCESSOR_NUMBER {
    let mut processor = PROCESSOR_NUMBER::zeroed();
    processor.Group = u16::from_le_bytes([group, high]);
    processor.Number = number;
    processor
}

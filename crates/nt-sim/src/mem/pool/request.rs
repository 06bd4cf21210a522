//! What a driver asks the pool for, decoded from the two encodings it may use.

use crate::mem::PAGE_SIZE;
use crate::mem::caller::Tag;

/// Bits of the old interface's `POOL_TYPE`.
mod pool_type {
    pub(super) const PAGED: u32 = 1;
    pub(super) const MUST_SUCCEED: u32 = 2;
    pub(super) const CACHE_ALIGNED: u32 = 4;
    pub(super) const QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;
    pub(super) const RAISE_IF_ALLOCATION_FAILURE: u32 = 16;
    pub(super) const SESSION: u32 = 32;
    pub(super) const COLD: u32 = 256;
    pub(super) const NX: u32 = 512;
    pub(super) const ZERO: u32 = 1024;
    pub(super) const KNOWN: u32 = PAGED
        | CACHE_ALIGNED
        | QUOTA_FAIL_INSTEAD_OF_RAISE
        | RAISE_IF_ALLOCATION_FAILURE
        | SESSION
        | COLD
        | NX
        | ZERO;
}

/// Bits of `POOL_FLAGS`, the argument of `ExAllocatePool2` and `ExAllocatePool3`.
mod pool_flags {
    pub(super) const USE_QUOTA: u64 = 1;
    pub(super) const UNINITIALIZED: u64 = 2;
    pub(super) const SESSION: u64 = 4;
    pub(super) const CACHE_ALIGNED: u64 = 8;
    pub(super) const RAISE_ON_FAILURE: u64 = 0x20;
    pub(super) const NON_PAGED: u64 = 0x40;
    pub(super) const NON_PAGED_EXECUTE: u64 = 0x80;
    pub(super) const PAGED: u64 = 0x100;
    /// Flags in the low half that are not known fail the request; those in the high half are optional.
    pub(super) const REQUIRED: u64 = 0xffff_ffff;
    pub(super) const KNOWN: u64 = USE_QUOTA
        | UNINITIALIZED
        | SESSION
        | CACHE_ALIGNED
        | RAISE_ON_FAILURE
        | NON_PAGED
        | NON_PAGED_EXECUTE
        | PAGED;
}

/// Which of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PoolKind {
    /// Memory that may be paged out: not to be touched at DISPATCH or above.
    pub paged: bool,
    /// Memory that code may run in.
    pub executable: bool,
}

impl PoolKind {
    /// The pool's usual name.
    pub fn name(self) -> &'static str {
        match (self.paged, self.executable) {
            (true, _) => "paged pool",
            (false, true) => "executable non-paged pool",
            (false, false) => "non-paged pool",
        }
    }
}

/// A request for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes.
    pub size: usize,
    /// Purpose.
    pub tag: Tag,
    /// Which pool.
    pub kind: PoolKind,
    /// The block must be zeroed.
    pub zero: bool,
    /// The block must start on a cache line.
    pub cache_aligned: bool,
    /// Failure raises STATUS_INSUFFICIENT_RESOURCES instead of returning null.
    pub raise: bool,
}

/// Why the arguments make no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// `POOL_TYPE` has bits that mean nothing.
    PoolType(u32),
    /// The must-succeed pool is gone since Windows 8.
    MustSucceed,
    /// Not exactly one of the flags that say which pool.
    NotOnePool(u64),
    /// A required flag (low half) that this system does not know.
    UnknownFlag(u64),
}

impl Request {
    /// Decodes the arguments of the `ExAllocatePoolWithTag` family.
    ///
    /// # Errors
    /// When the pool type is not one.
    pub fn from_pool_type(pool_type: u32, size: usize, tag: u32) -> Result<Self, BadRequest> {
        if pool_type & pool_type::MUST_SUCCEED != 0 {
            return Err(BadRequest::MustSucceed);
        }
        if pool_type & !pool_type::KNOWN != 0 {
            return Err(BadRequest::PoolType(pool_type));
        }
        let paged = pool_type & pool_type::PAGED != 0;
        let executable = !paged && pool_type & pool_type::NX == 0;
        Ok(Self {
            size,
            tag: Tag(tag),
            kind: PoolKind { paged, executable },
            zero: pool_type & pool_type::ZERO != 0,
            cache_aligned: pool_type & pool_type::CACHE_ALIGNED != 0,
            raise: pool_type & pool_type::RAISE_IF_ALLOCATION_FAILURE != 0,
        })
    }

    /// Decodes the arguments of `ExAllocatePool2`; memory is zeroed unless asked otherwise.
    ///
    /// # Errors
    /// When the flags name no pool, several, or are not known.
    pub fn from_flags(flags: u64, size: usize, tag: u32) -> Result<Self, BadRequest> {
        let pools =
            flags & (pool_flags::NON_PAGED | pool_flags::NON_PAGED_EXECUTE | pool_flags::PAGED);
        if pools.count_ones() != 1 {
            return Err(BadRequest::NotOnePool(flags));
        }
        if flags & pool_flags::REQUIRED & !pool_flags::KNOWN != 0 {
            return Err(BadRequest::UnknownFlag(flags));
        }
        let kind = PoolKind {
            paged: pools == pool_flags::PAGED,
            executable: pools == pool_flags::NON_PAGED_EXECUTE,
        };
        Ok(Self {
            size,
            tag: Tag(tag),
            kind,
            zero: flags & pool_flags::UNINITIALIZED == 0,
            cache_aligned: flags & pool_flags::CACHE_ALIGNED != 0,
            raise: flags & pool_flags::RAISE_ON_FAILURE != 0,
        })
    }

    /// The alignment that the block gets.
    pub fn alignment(&self) -> usize {
        if self.size >= PAGE_SIZE {
            PAGE_SIZE
        } else if self.cache_aligned {
            64
        } else {
            16
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_types_decode() {
        let nx = Request::from_pool_type(512, 10, 1).unwrap();
        assert_eq!(
            nx.kind,
            PoolKind {
                paged: false,
                executable: false
            }
        );
        assert!(!nx.zero && !nx.cache_aligned && !nx.raise);
        let old = Request::from_pool_type(4 | 1024 | 16, 10, 1).unwrap();
        assert!(old.kind.executable && old.zero && old.cache_aligned && old.raise);
        assert_eq!(old.alignment(), 64);
        assert!(Request::from_pool_type(1, 10, 1).unwrap().kind.paged);
        assert_eq!(
            Request::from_pool_type(2, 10, 1),
            Err(BadRequest::MustSucceed)
        );
        assert_eq!(
            Request::from_pool_type(0x8000, 10, 1),
            Err(BadRequest::PoolType(0x8000))
        );
    }

    #[test]
    fn pool_flags_decode() {
        let plain = Request::from_flags(0x40, 5000, 1).unwrap();
        assert!(plain.zero && !plain.raise);
        assert_eq!(plain.alignment(), PAGE_SIZE);
        assert!(!Request::from_flags(0x102, 1, 1).unwrap().zero);
        assert_eq!(Request::from_flags(0, 1, 1), Err(BadRequest::NotOnePool(0)));
        assert_eq!(
            Request::from_flags(0xc0, 1, 1),
            Err(BadRequest::NotOnePool(0xc0))
        );
        assert_eq!(
            Request::from_flags(0x40 | 0x8000, 1, 1),
            Err(BadRequest::UnknownFlag(0x8040))
        );
        assert!(
            Request::from_flags(0x40 | 1 << 40, 1, 1).is_ok(),
            "unknown flags of the high half are optional"
        );
    }
}

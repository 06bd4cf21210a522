//! Who may open what: SIDs, access lists, tokens, the access check.

use nt::sys::{
    FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE, GENERIC_ALL,
    NTSTATUS, STATUS_ACCESS_DENIED, STATUS_INVALID_SECURITY_DESCR,
};

use crate::exports;

/// A security identifier: authority and sub-authorities.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sid {
    authority: u64,
    sub: Vec<u32>,
}

impl Sid {
    pub(crate) fn new(authority: u64, sub: &[u32]) -> Sid {
        Sid {
            authority,
            sub: sub.to_vec(),
        }
    }

    pub(crate) fn system() -> Sid {
        Sid::new(5, &[18])
    }

    pub(crate) fn administrators() -> Sid {
        Sid::new(5, &[32, 544])
    }

    pub(crate) fn users() -> Sid {
        Sid::new(5, &[32, 545])
    }

    pub(crate) fn authenticated_users() -> Sid {
        Sid::new(5, &[11])
    }

    pub(crate) fn everyone() -> Sid {
        Sid::new(1, &[0])
    }

    /// An account of this machine.
    pub(crate) fn account(relative: u32) -> Sid {
        Sid::new(5, &[21, 1, 2, 3, relative])
    }

    /// Reads a SID from memory.
    fn read(address: usize) -> Sid {
        let byte = |offset: usize| {
            // SAFETY: the caller found a SID here; its header is 8 bytes.
            unsafe { ((address + offset) as *const u8).read() }
        };
        let count = usize::from(byte(1)).min(15);
        let authority = (2..8).fold(0_u64, |value, i| value << 8 | u64::from(byte(i)));
        let sub = (0..count)
            .map(|i| {
                // SAFETY: the header counts this many sub-authorities.
                unsafe { ((address + 8 + 4 * i) as *const u32).read_unaligned() }
            })
            .collect();
        Sid { authority, sub }
    }

    /// The SID's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![1, self.sub.len() as u8];
        bytes.extend(&self.authority.to_be_bytes()[2..]);
        bytes.extend(self.sub.iter().flat_map(|s| s.to_le_bytes()));
        bytes
    }
}

/// One entry of an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ace {
    pub(crate) allow: bool,
    pub(crate) mask: u32,
    pub(crate) sid: Sid,
}

/// A security descriptor: who may do what. Without a list, everybody may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) dacl: Option<Vec<Ace>>,
}

const SELF_RELATIVE: u16 = 0x8000;
const DACL_PRESENT: u16 = 4;

fn u16_at(address: usize) -> u16 {
    // SAFETY: the callers walk a structure that the driver passed as valid.
    unsafe { (address as *const u16).read_unaligned() }
}

fn u32_at(address: usize) -> u32 {
    // SAFETY: as in `u16_at`.
    unsafe { (address as *const u32).read_unaligned() }
}

fn usize_at(address: usize) -> usize {
    // SAFETY: as in `u16_at`.
    unsafe { (address as *const usize).read_unaligned() }
}

impl Descriptor {
    /// What a device gets that nobody described: everybody reads and writes, administrators own it.
    pub(crate) fn default_device() -> Descriptor {
        Descriptor {
            dacl: Some(vec![
                Ace {
                    allow: true,
                    mask: FILE_GENERIC_READ | FILE_GENERIC_WRITE | FILE_GENERIC_EXECUTE,
                    sid: Sid::everyone(),
                },
                Ace {
                    allow: true,
                    mask: FILE_ALL_ACCESS,
                    sid: Sid::system(),
                },
                Ace {
                    allow: true,
                    mask: FILE_ALL_ACCESS,
                    sid: Sid::administrators(),
                },
            ]),
        }
    }

    /// Reads an absolute or self-relative descriptor from memory.
    pub(crate) fn read(address: usize) -> Result<Descriptor, NTSTATUS> {
        Descriptor::read_mapped(address, &generic_to_file)
    }

    /// As [`Descriptor::read`], for objects whose generic rights mean what `map` says.
    pub(crate) fn read_mapped(
        address: usize,
        map: &dyn Fn(u32) -> u32,
    ) -> Result<Descriptor, NTSTATUS> {
        if address == 0 || u16_at(address) & 0xff != 1 {
            return Err(STATUS_INVALID_SECURITY_DESCR);
        }
        let control = u16_at(address + 2);
        let dacl = if control & SELF_RELATIVE != 0 {
            match u32_at(address + 0x10) {
                0 => 0,
                offset => address + offset as usize,
            }
        } else {
            usize_at(address + 0x20)
        };
        if control & DACL_PRESENT == 0 || dacl == 0 {
            return Ok(Descriptor { dacl: None });
        }
        let size = usize::from(u16_at(dacl + 2));
        let count = u16_at(dacl + 4);
        let mut aces = Vec::new();
        let mut at = 8;
        for _ in 0..count {
            if at + 16 > size {
                return Err(STATUS_INVALID_SECURITY_DESCR);
            }
            let kind = u16_at(dacl + at) & 0xff;
            let ace_size = usize::from(u16_at(dacl + at + 2));
            if ace_size < 16 || at + ace_size > size {
                return Err(STATUS_INVALID_SECURITY_DESCR);
            }
            if kind <= 1 {
                aces.push(Ace {
                    allow: kind == 0,
                    mask: map(u32_at(dacl + at + 4)),
                    sid: Sid::read(dacl + at + 8),
                });
            }
            at += ace_size;
        }
        Ok(Descriptor { dacl: Some(aces) })
    }

    /// Checks an open. `wanted` is what the caller asks for; returns what it gets.
    pub(crate) fn check(&self, token: &Token, wanted: u32) -> Result<u32, NTSTATUS> {
        self.check_mapped(token, generic_to_file(wanted), FILE_ALL_ACCESS)
    }

    /// As [`Descriptor::check`], with no generic rights in `wanted`; `all` are the rights that there are.
    pub(crate) fn check_mapped(
        &self,
        token: &Token,
        wanted: u32,
        all: u32,
    ) -> Result<u32, NTSTATUS> {
        const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
        let maximum = wanted & MAXIMUM_ALLOWED != 0;
        let wanted = wanted & !MAXIMUM_ALLOWED;
        let Some(dacl) = &self.dacl else {
            return Ok(if maximum { all } else { wanted });
        };
        let mut granted = 0;
        let mut denied = 0;
        for ace in dacl.iter().filter(|ace| token.sids.contains(&ace.sid)) {
            if ace.allow {
                granted |= ace.mask & !denied;
            } else {
                denied |= ace.mask & !granted;
            }
        }
        if wanted & !granted != 0 {
            return Err(STATUS_ACCESS_DENIED);
        }
        Ok(if maximum { granted } else { wanted })
    }
}

/// Maps the generic rights in `mask` to rights on files and devices.
pub(crate) fn generic_to_file(mask: u32) -> u32 {
    const READ: u32 = 0x8000_0000;
    const WRITE: u32 = 0x4000_0000;
    const EXECUTE: u32 = 0x2000_0000;
    let mut mapped = mask & !(READ | WRITE | EXECUTE | GENERIC_ALL);
    for (generic, specific) in [
        (READ, FILE_GENERIC_READ),
        (WRITE, FILE_GENERIC_WRITE),
        (EXECUTE, FILE_GENERIC_EXECUTE),
        (GENERIC_ALL, FILE_ALL_ACCESS),
    ] {
        if mask & generic != 0 {
            mapped |= specific;
        }
    }
    mapped
}

/// Who a process acts for.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) sids: Vec<Sid>,
}

impl Token {
    pub(crate) fn system() -> Token {
        Token {
            sids: vec![
                Sid::system(),
                Sid::administrators(),
                Sid::everyone(),
                Sid::authenticated_users(),
            ],
        }
    }

    pub(crate) fn administrator() -> Token {
        Token {
            sids: vec![
                Sid::account(500),
                Sid::administrators(),
                Sid::users(),
                Sid::everyone(),
                Sid::authenticated_users(),
            ],
        }
    }

    pub(crate) fn ordinary_user() -> Token {
        Token {
            sids: vec![
                Sid::account(1001),
                Sid::users(),
                Sid::everyone(),
                Sid::authenticated_users(),
            ],
        }
    }
}

fn write_bytes(to: usize, bytes: &[u8]) {
    // SAFETY: the callers checked that the driver's buffer has room.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
}

fn sid_length(sid: usize) -> usize {
    8 + 4 * usize::from(u16_at(sid) >> 8)
}

const INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;
const ALLOTTED_SPACE_EXCEEDED: i32 = 0xC000_0099_u32 as i32;

fn add_ace(acl: usize, mask: u32, sid: usize, kind: u8, flags: u8) -> i32 {
    let size = usize::from(u16_at(acl + 2));
    let count = u16_at(acl + 4);
    let mut at = 8;
    for _ in 0..count {
        at += usize::from(u16_at(acl + at + 2));
    }
    let ace_size = 8 + sid_length(sid);
    if at + ace_size > size {
        return ALLOTTED_SPACE_EXCEEDED;
    }
    let mut ace = vec![kind, flags];
    ace.extend((ace_size as u16).to_le_bytes());
    ace.extend(mask.to_le_bytes());
    ace.extend(Sid::read(sid).to_bytes());
    write_bytes(acl + at, &ace);
    write_bytes(acl + 4, &(count + 1).to_le_bytes());
    0
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes an absolute security descriptor without a list.
    #[irql(APC)]
    fn RtlCreateSecurityDescriptor(descriptor: *mut u8, revision: u32) -> i32 {
        if revision != 1 {
            return 0xC000_0058_u32 as i32;
        }
        let mut fresh = [0; 0x28];
        fresh[0] = 1;
        write_bytes(descriptor as usize, &fresh);
        0
    }

    /// Puts an access list into an absolute descriptor.
    #[irql(APC)]
    fn RtlSetDaclSecurityDescriptor(descriptor: *mut u8, present: u8, dacl: *mut u8, defaulted: u8) -> i32 {
        let at = descriptor as usize;
        let mut control = u16_at(at + 2) & !(DACL_PRESENT | 8);
        if control & SELF_RELATIVE != 0 {
            return STATUS_INVALID_SECURITY_DESCR;
        }
        if present != 0 {
            control |= DACL_PRESENT | if defaulted != 0 { 8 } else { 0 };
            write_bytes(at + 0x20, &(dacl as usize).to_le_bytes());
        }
        write_bytes(at + 2, &control.to_le_bytes());
        0
    }

    /// Puts an owner into an absolute descriptor.
    #[irql(APC)]
    fn RtlSetOwnerSecurityDescriptor(descriptor: *mut u8, owner: *mut u8, defaulted: u8) -> i32 {
        let at = descriptor as usize;
        let control = u16_at(at + 2) & !1 | u16::from(defaulted != 0);
        if control & SELF_RELATIVE != 0 {
            return STATUS_INVALID_SECURITY_DESCR;
        }
        write_bytes(at + 8, &(owner as usize).to_le_bytes());
        write_bytes(at + 2, &control.to_le_bytes());
        0
    }

    /// Whether a descriptor is well formed.
    #[irql(APC)]
    fn RtlValidSecurityDescriptor(descriptor: *mut u8) -> u8 {
        u8::from(Descriptor::read(descriptor as usize).is_ok())
    }

    /// Makes an empty access list.
    #[irql(APC)]
    fn RtlCreateAcl(acl: *mut u8, length: u32, revision: u32) -> i32 {
        if length < 8 || !(2..=4).contains(&revision) || length > 0xffff {
            return INVALID_PARAMETER;
        }
        let mut header = [0; 8];
        header[0] = revision as u8;
        header[2..4].copy_from_slice(&(length as u16 & !3).to_le_bytes());
        write_bytes(acl as usize, &header);
        0
    }

    /// Adds an entry that allows.
    #[irql(APC)]
    fn RtlAddAccessAllowedAce(acl: *mut u8, revision: u32, mask: u32, sid: *mut u8) -> i32 {
        let _ = revision;
        add_ace(acl as usize, mask, sid as usize, 0, 0)
    }

    /// Adds an entry that allows, with inheritance flags.
    #[irql(APC)]
    fn RtlAddAccessAllowedAceEx(acl: *mut u8, revision: u32, flags: u32, mask: u32, sid: *mut u8) -> i32 {
        let _ = revision;
        add_ace(acl as usize, mask, sid as usize, 0, flags as u8)
    }

    /// Adds an entry that denies.
    #[irql(APC)]
    fn RtlAddAccessDeniedAce(acl: *mut u8, revision: u32, mask: u32, sid: *mut u8) -> i32 {
        let _ = revision;
        add_ace(acl as usize, mask, sid as usize, 1, 0)
    }

    /// Bytes of a SID.
    #[irql(APC)]
    fn RtlLengthSid(sid: *mut u8) -> u32 {
        sid_length(sid as usize) as u32
    }

    /// Bytes of a SID with `count` sub-authorities.
    #[irql(ANY)]
    fn RtlLengthRequiredSid(count: u32) -> u32 {
        8 + 4 * count
    }

    /// Whether a SID is well formed.
    #[irql(APC)]
    fn RtlValidSid(sid: *mut u8) -> u8 {
        let head = u16_at(sid as usize);
        u8::from(head & 0xff == 1 && head >> 8 <= 15)
    }

    /// Makes a SID with `count` sub-authorities, to be filled in.
    #[irql(ANY)]
    fn RtlInitializeSid(sid: *mut u8, authority: *const u8, count: u8) -> i32 {
        if count > 15 {
            return INVALID_PARAMETER;
        }
        write_bytes(sid as usize, &[1, count]);
        // SAFETY: the caller passes six bytes of authority and room for the SID.
        unsafe { std::ptr::copy_nonoverlapping(authority, sid.wrapping_add(2), 6) };
        0
    }

    /// Address of a sub-authority.
    #[irql(ANY)]
    fn RtlSubAuthoritySid(sid: *mut u8, index: u32) -> *mut u32 {
        (sid as usize + 8 + 4 * index as usize) as *mut u32
    }
}

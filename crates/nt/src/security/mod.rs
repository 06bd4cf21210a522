//! Security descriptors from text.

use crate::pool::{Tag, Vec};
use crate::status::{Result, Status};
use crate::sys::{
    ACCESS_ALLOWED_ACE_TYPE, ACCESS_DENIED_ACE_TYPE, ACE_HEADER, ACL, ACL_REVISION, DELETE,
    FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE, GENERIC_ALL,
    GENERIC_EXECUTE, GENERIC_READ, GENERIC_WRITE, READ_CONTROL, SE_DACL_PRESENT, SE_DACL_PROTECTED,
    SE_SELF_RELATIVE, SECURITY_DESCRIPTOR_RELATIVE, SECURITY_DESCRIPTOR_REVISION, WRITE_DAC,
    WRITE_OWNER,
};

const DESCRIPTOR_LEN: usize = size_of::<SECURITY_DESCRIPTOR_RELATIVE>();
const ACL_LEN: usize = size_of::<ACL>();

/// A security descriptor with a discretionary access list, in self-relative form.
#[doc(alias = "SECURITY_DESCRIPTOR_RELATIVE")]
#[derive(Debug)]
pub struct SecurityDescriptor {
    bytes: Vec<u8>,
}

impl SecurityDescriptor {
    /// Parses the part of SDDL that device objects need: `D:`, the flag `P`, and entries that allow (`A`) or deny
    /// (`D`) generic, file and standard rights, or a hexadecimal mask, to a well-known or an `S-1-...` principal.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_SECURITY_DESCR`] for anything else, [`Status::INSUFFICIENT_RESOURCES`].
    pub fn parse(tag: Tag, sddl: &str) -> Result<Self> {
        let text = sddl
            .as_bytes()
            .strip_prefix(b"D:")
            .ok_or(Status::INVALID_SECURITY_DESCR)?;
        let mut control = SE_DACL_PRESENT | SE_SELF_RELATIVE;
        let mut entries = text;
        if let Some(rest) = text.strip_prefix(b"P") {
            control |= SE_DACL_PROTECTED;
            entries = rest;
        }

        let mut acl = Vec::<u8>::with_capacity(tag, 128)?;
        let mut count = 0_u16;
        while let Some(rest) = entries.strip_prefix(b"(") {
            let (entry, rest) = cut(rest, b')').ok_or(Status::INVALID_SECURITY_DESCR)?;
            push_ace(&mut acl, entry)?;
            count = count.saturating_add(1);
            entries = rest;
        }
        if !entries.is_empty() {
            return Err(Status::INVALID_SECURITY_DESCR);
        }
        let acl_len =
            u16::try_from(ACL_LEN + acl.len()).map_err(|_| Status::INVALID_SECURITY_DESCR)?;

        let mut bytes = Vec::with_capacity(tag, DESCRIPTOR_LEN + usize::from(acl_len))?;
        bytes.extend_from_slice(&[SECURITY_DESCRIPTOR_REVISION, 0])?;
        bytes.extend_from_slice(&control.to_le_bytes())?;
        for offset in [0, 0, 0, DESCRIPTOR_LEN as u32] {
            bytes.extend_from_slice(&offset.to_le_bytes())?;
        }
        bytes.extend_from_slice(&[ACL_REVISION, 0])?;
        for word in [acl_len, count, 0] {
            bytes.extend_from_slice(&word.to_le_bytes())?;
        }
        bytes.extend_from_slice(&acl)?;
        Ok(Self { bytes })
    }

    /// Takes over a self-relative descriptor that was stored, after checking that its access list lies within it.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_SECURITY_DESCR`], [`Status::INSUFFICIENT_RESOURCES`].
    pub fn from_bytes(tag: Tag, bytes: &[u8]) -> Result<Self> {
        check(bytes).ok_or(Status::INVALID_SECURITY_DESCR)?;
        Ok(Self {
            bytes: Vec::from_slice(tag, bytes)?,
        })
    }

    /// The descriptor in self-relative form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|word| u16::from_le_bytes(*word))
}

fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    let offset = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
    (offset == 0 || (offset >= DESCRIPTOR_LEN && offset < bytes.len())).then_some(offset)
}

/// Checks that every part of a self-relative descriptor lies within its bytes.
fn check(bytes: &[u8]) -> Option<()> {
    let control = word(bytes, 2)?;
    if *bytes.first()? != SECURITY_DESCRIPTOR_REVISION || control & SE_SELF_RELATIVE == 0 {
        return None;
    }
    for sid in [offset(bytes, 4)?, offset(bytes, 8)?] {
        if sid != 0 {
            check_sid(bytes.get(sid..)?)?;
        }
    }
    for acl in [offset(bytes, 12)?, offset(bytes, 16)?] {
        if acl != 0 {
            check_acl(bytes.get(acl..)?)?;
        }
    }
    Some(())
}

fn check_sid(sid: &[u8]) -> Option<()> {
    let authorities = usize::from(*sid.get(1)?);
    (sid.first() == Some(&1) && authorities <= 15 && sid.len() >= 8 + 4 * authorities).then_some(())
}

fn check_acl(acl: &[u8]) -> Option<()> {
    let mut entries = acl.get(ACL_LEN..usize::from(word(acl, 2)?))?;
    for _ in 0..word(acl, 4)? {
        let len = usize::from(word(entries, 2)?);
        let entry = entries.get(..len)?;
        if matches!(
            entry.first(),
            Some(&ACCESS_ALLOWED_ACE_TYPE | &ACCESS_DENIED_ACE_TYPE)
        ) {
            check_sid(entry.get(8..)?)?;
        } else if len < size_of::<ACE_HEADER>() {
            return None;
        }
        entries = entries.get(len..)?;
    }
    Some(())
}

/// The text before and after the first `mark`.
fn cut(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Appends `type;flags;rights;object;inherited object;principal`.
fn push_ace(acl: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    let mut rest = entry;
    let mut part = || {
        let (part, after) = cut(rest, b';').ok_or(Status::INVALID_SECURITY_DESCR)?;
        rest = after;
        Ok(part)
    };
    let (kind, flags, rights) = (part()?, part()?, part()?);
    let (object, inherited) = (part()?, part()?);
    let principal = rest;
    let kind = match kind {
        b"A" => ACCESS_ALLOWED_ACE_TYPE,
        b"D" => ACCESS_DENIED_ACE_TYPE,
        _ => return Err(Status::INVALID_SECURITY_DESCR),
    };
    if !flags.is_empty() || !object.is_empty() || !inherited.is_empty() {
        return Err(Status::INVALID_SECURITY_DESCR);
    }
    let mask = parse_rights(rights).ok_or(Status::INVALID_SECURITY_DESCR)?;
    let sid = Sid::parse(principal).ok_or(Status::INVALID_SECURITY_DESCR)?;
    let len = (8 + 8 + 4 * sid.count) as u16;
    acl.extend_from_slice(&[kind, 0])?;
    acl.extend_from_slice(&len.to_le_bytes())?;
    acl.extend_from_slice(&mask.to_le_bytes())?;
    acl.extend_from_slice(&[1, sid.count as u8, 0, 0, 0, 0, 0, sid.authority])?;
    for authority in sid.authorities.iter().take(sid.count) {
        acl.extend_from_slice(&authority.to_le_bytes())?;
    }
    Ok(())
}

/// A number without sign: at least one digit, and no more than fits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        value.checked_mul(radix)?.checked_add(digit)
    })
}

fn parse_rights(mut text: &[u8]) -> Option<u32> {
    if let Some(hex) = text.strip_prefix(b"0x") {
        return number(hex, 16);
    }
    let mut mask = 0;
    while let Some((right, rest)) = text.split_first_chunk::<2>() {
        mask |= match right {
            b"GA" => GENERIC_ALL,
            b"GR" => GENERIC_READ,
            b"GW" => GENERIC_WRITE,
            b"GX" => GENERIC_EXECUTE,
            b"FA" => FILE_ALL_ACCESS,
            b"FR" => FILE_GENERIC_READ,
            b"FW" => FILE_GENERIC_WRITE,
            b"FX" => FILE_GENERIC_EXECUTE,
            b"SD" => DELETE,
            b"RC" => READ_CONTROL,
            b"WD" => WRITE_DAC,
            b"WO" => WRITE_OWNER,
            _ => return None,
        };
        text = rest;
    }
    text.is_empty().then_some(mask)
}

struct Sid {
    authority: u8,
    authorities: [u32; 15],
    count: usize,
}

impl Sid {
    const fn new(authority: u8) -> Self {
        Self {
            authority,
            authorities: [0; 15],
            count: 0,
        }
    }

    fn push(&mut self, authority: u32) -> Option<()> {
        *self.authorities.get_mut(self.count)? = authority;
        self.count += 1;
        Some(())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (authority, authorities): (u8, &[u32]) = match text {
            b"WD" => (1, &[0]),
            b"IU" => (5, &[4]),
            b"AU" => (5, &[11]),
            b"SY" => (5, &[18]),
            b"LS" => (5, &[19]),
            b"NS" => (5, &[20]),
            b"BA" => (5, &[32, 544]),
            b"BU" => (5, &[32, 545]),
            _ => return Self::parse_numbers(text.strip_prefix(b"S-1-")?),
        };
        let mut sid = Self::new(authority);
        for authority in authorities {
            sid.push(*authority)?;
        }
        Some(sid)
    }

    /// The authority and its sub-authorities, between dashes.
    fn parse_numbers(text: &[u8]) -> Option<Self> {
        let (authority, mut rest) = cut(text, b'-')?;
        let mut sid = Self::new(u8::try_from(number(authority, 10)?).ok()?);
        while let Some((authority, after)) = cut(rest, b'-') {
            sid.push(number(authority, 10)?)?;
            rest = after;
        }
        sid.push(number(rest, 10)?)?;
        Some(sid)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

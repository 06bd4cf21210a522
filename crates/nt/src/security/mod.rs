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
            .strip_prefix("D:")
            .ok_or(Status::INVALID_SECURITY_DESCR)?;
        let (flags, mut entries) = text.split_at(text.find('(').unwrap_or(text.len()));
        let mut control = SE_DACL_PRESENT | SE_SELF_RELATIVE;
        match flags {
            "" => {}
            "P" => control |= SE_DACL_PROTECTED,
            _ => return Err(Status::INVALID_SECURITY_DESCR),
        }

        let mut acl = Vec::<u8>::with_capacity(tag, 128)?;
        let mut count = 0_u16;
        while let Some(rest) = entries.strip_prefix('(') {
            let (entry, rest) = rest.split_once(')').ok_or(Status::INVALID_SECURITY_DESCR)?;
            push_ace(&mut acl, entry)?;
            count += 1;
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
    (sid[0] == 1 && authorities <= 15 && sid.len() >= 8 + 4 * authorities).then_some(())
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

/// Appends `type;flags;rights;object;inherited object;principal`.
fn push_ace(acl: &mut Vec<u8>, entry: &str) -> Result<()> {
    let mut parts = entry.split(';');
    let mut part = || parts.next().ok_or(Status::INVALID_SECURITY_DESCR);
    let kind = match part()? {
        "A" => ACCESS_ALLOWED_ACE_TYPE,
        "D" => ACCESS_DENIED_ACE_TYPE,
        _ => return Err(Status::INVALID_SECURITY_DESCR),
    };
    let (flags, rights, object, inherited, principal) =
        (part()?, part()?, part()?, part()?, part()?);
    if !flags.is_empty() || !object.is_empty() || !inherited.is_empty() || parts.next().is_some() {
        return Err(Status::INVALID_SECURITY_DESCR);
    }
    let mask = parse_rights(rights)?;
    let sid = Sid::parse(principal)?;
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

fn parse_rights(mut text: &str) -> Result<u32> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).map_err(|_| Status::INVALID_SECURITY_DESCR);
    }
    let mut mask = 0;
    while let Some((right, rest)) = text.split_at_checked(2) {
        mask |= match right {
            "GA" => GENERIC_ALL,
            "GR" => GENERIC_READ,
            "GW" => GENERIC_WRITE,
            "GX" => GENERIC_EXECUTE,
            "FA" => FILE_ALL_ACCESS,
            "FR" => FILE_GENERIC_READ,
            "FW" => FILE_GENERIC_WRITE,
            "FX" => FILE_GENERIC_EXECUTE,
            "SD" => DELETE,
            "RC" => READ_CONTROL,
            "WD" => WRITE_DAC,
            "WO" => WRITE_OWNER,
            _ => return Err(Status::INVALID_SECURITY_DESCR),
        };
        text = rest;
    }
    if text.is_empty() {
        Ok(mask)
    } else {
        Err(Status::INVALID_SECURITY_DESCR)
    }
}

struct Sid {
    authority: u8,
    authorities: [u32; 15],
    count: usize,
}

impl Sid {
    fn new(authority: u8, authorities: &[u32]) -> Self {
        let mut sid = Self {
            authority,
            authorities: [0; 15],
            count: authorities.len(),
        };
        sid.authorities[..authorities.len()].copy_from_slice(authorities);
        sid
    }

    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "WD" => Self::new(1, &[0]),
            "IU" => Self::new(5, &[4]),
            "AU" => Self::new(5, &[11]),
            "SY" => Self::new(5, &[18]),
            "LS" => Self::new(5, &[19]),
            "NS" => Self::new(5, &[20]),
            "BA" => Self::new(5, &[32, 544]),
            "BU" => Self::new(5, &[32, 545]),
            _ => {
                let parts = text
                    .strip_prefix("S-1-")
                    .ok_or(Status::INVALID_SECURITY_DESCR)?;
                let mut parts = parts.split('-').map(|part| part.parse::<u32>());
                let authority = parts.next().and_then(|part| u8::try_from(part.ok()?).ok());
                let mut sid = Self::new(authority.ok_or(Status::INVALID_SECURITY_DESCR)?, &[]);
                for part in parts {
                    let slot = sid
                        .authorities
                        .get_mut(sid.count)
                        .ok_or(Status::INVALID_SECURITY_DESCR)?;
                    *slot = part.map_err(|_| Status::INVALID_SECURITY_DESCR)?;
                    sid.count += 1;
                }
                sid
            }
        })
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

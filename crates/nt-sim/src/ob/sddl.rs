//! Security descriptors as text.

use nt::sys::{
    FILE_ALL_ACCESS, FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, FILE_GENERIC_WRITE, GENERIC_ALL,
};

use super::security::{Ace, Descriptor, Sid, generic_to_file};

/// Reads the access list of a descriptor such as `D:P(A;;GA;;;SY)(A;;GR;;;WD)`; owner, group and
/// auditing are skipped. `None` when it is malformed.
pub(crate) fn parse(text: &str) -> Option<Descriptor> {
    let mut dacl = None;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (part, behind) = rest.split_at_checked(2)?;
        let end = next_part(behind);
        let (body, next) = behind.split_at(end);
        match part {
            "D:" => dacl = Some(entries(body)?),
            "O:" | "G:" => {
                sid(body)?;
            }
            "S:" => {}
            _ => return None,
        }
        rest = next;
    }
    Some(Descriptor { dacl })
}

/// Where the next part (`O:`, `G:`, `D:` or `S:`) starts; colons appear nowhere else.
fn next_part(text: &str) -> usize {
    text.find(':')
        .map_or(text.len(), |colon| colon.saturating_sub(1))
}

fn entries(text: &str) -> Option<Vec<Ace>> {
    let start = text.find('(').unwrap_or(text.len());
    let (flags, mut rest) = text.split_at(start);
    if !flags.chars().all(|c| "PARI".contains(c)) {
        return None;
    }
    let mut aces = Vec::new();
    while !rest.is_empty() {
        let (entry, next) = rest.strip_prefix('(')?.split_once(')')?;
        let fields: Vec<&str> = entry.split(';').collect();
        let [kind, _, rights, _, _, account] = fields[..] else {
            return None;
        };
        aces.push(Ace {
            allow: match kind {
                "A" => true,
                "D" => false,
                _ => return None,
            },
            mask: generic_to_file(mask(rights)?),
            sid: sid(account)?,
        });
        rest = next;
    }
    Some(aces)
}

fn mask(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut mask = 0;
    let mut rest = text;
    while let Some((right, next)) = rest.split_at_checked(2).filter(|(r, _)| !r.is_empty()) {
        mask |= match right {
            "GA" => GENERIC_ALL,
            "GR" => 0x8000_0000,
            "GW" => 0x4000_0000,
            "GX" => 0x2000_0000,
            "FA" => FILE_ALL_ACCESS,
            "FR" => FILE_GENERIC_READ,
            "FW" => FILE_GENERIC_WRITE,
            "FX" => FILE_GENERIC_EXECUTE,
            "SD" => 0x0001_0000,
            "RC" => 0x0002_0000,
            "WD" => 0x0004_0000,
            "WO" => 0x0008_0000,
            "CC" => 1,
            "DC" => 2,
            "LC" => 4,
            "SW" => 8,
            "RP" => 0x10,
            "WP" => 0x20,
            "DT" => 0x40,
            "LO" => 0x80,
            "CR" => 0x100,
            _ => return None,
        };
        rest = next;
    }
    Some(mask)
}

fn sid(text: &str) -> Option<Sid> {
    if let Some(numbers) = text.strip_prefix("S-1-") {
        let mut numbers = numbers.split('-');
        let authority = numbers.next()?.parse().ok()?;
        let sub: Option<Vec<u32>> = numbers.map(|n| n.parse().ok()).collect();
        return Some(Sid::new(authority, &sub?));
    }
    Some(match text {
        "SY" => Sid::system(),
        "BA" => Sid::administrators(),
        "BU" => Sid::users(),
        "WD" => Sid::everyone(),
        "AU" => Sid::authenticated_users(),
        "LA" => Sid::account(500),
        "LG" => Sid::account(501),
        "LS" => Sid::new(5, &[19]),
        "NS" => Sid::new(5, &[20]),
        "NU" => Sid::new(5, &[2]),
        "IU" => Sid::new(5, &[4]),
        "SU" => Sid::new(5, &[6]),
        "AN" => Sid::new(5, &[7]),
        "RC" => Sid::new(5, &[12]),
        "BG" => Sid::new(5, &[32, 546]),
        "NO" => Sid::new(5, &[32, 556]),
        "CO" => Sid::new(3, &[0]),
        "OW" => Sid::new(3, &[4]),
        "UD" => Sid::new(5, &[84, 0, 0, 0, 0, 0]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use nt::sys::{FILE_GENERIC_READ, FILE_GENERIC_WRITE};

    use super::{super::security::Token, *};

    #[test]
    fn access_lists_are_read_and_decide() {
        let list = parse("O:BAG:SYD:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GRSD;;;BU)").unwrap();
        let user = Token::ordinary_user();
        assert!(list.check(&user, FILE_GENERIC_READ).is_ok());
        assert!(list.check(&user, FILE_GENERIC_WRITE).is_err());
        assert!(list.check(&Token::administrator(), FILE_ALL_ACCESS).is_ok());
        let denied = parse("D:(D;;GW;;;S-1-5-32-545)(A;;0x12019f;;;WD)S:(AU;FA;GA;;;WD)").unwrap();
        assert!(denied.check(&user, 1).is_ok(), "FILE_READ_DATA");
        assert!(denied.check(&user, FILE_GENERIC_WRITE).is_err());
        assert_eq!(parse("").unwrap().dacl, None);
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "D",
            "X:(A;;GA;;;SY)",
            "D:(A;;GA;;;ZZ)",
            "D:(A;;ZZ;;;SY)",
            "D:(A;;G;;;SY)",
            "D:(Q;;GA;;;SY)",
            "D:(A;;GA;;SY)",
            "D:(A;;GA;;;SY",
            "D:junk(A;;GA;;;SY)",
            "D:(A;;é;;;SY)",
            "O:nobody",
            "D:(A;;GA;;;S-1-x)",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}

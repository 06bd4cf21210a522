extern crate std;

use std::vec::Vec;

use super::SecurityDescriptor;
use crate::fake::{ALLOWED, blocks};
use crate::pool::Tag;
use crate::status::Status;

const TAG: Tag = Tag::new(b"Test");

fn parse(sddl: &str) -> Result<Vec<u8>, Status> {
    SecurityDescriptor::parse(TAG, sddl).map(|descriptor| descriptor.as_bytes().to_vec())
}

/// Written down from the layout of self-relative descriptors, access lists and identifiers.
#[rustfmt::skip]
const SYSTEM_AND_ADMINISTRATORS: &[u8] = &[
    // Revision 1; self-relative, list present, protected; no owner, group or system list; list at 20.
    1, 0, 0x04, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
    // List of revision 2, 52 bytes, 2 entries.
    2, 0, 52, 0, 2, 0, 0, 0,
    // Allow, 20 bytes, GENERIC_ALL, S-1-5-18.
    0, 0, 20, 0, 0, 0, 0, 0x10, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
    // Allow, 24 bytes, GENERIC_ALL, S-1-5-32-544.
    0, 0, 24, 0, 0, 0, 0, 0x10, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 0x02, 0, 0,
];

#[test]
fn the_usual_descriptor_has_the_documented_bytes() {
    assert_eq!(
        parse("D:P(A;;GA;;;SY)(A;;GA;;;BA)").unwrap(),
        SYSTEM_AND_ADMINISTRATORS
    );
    assert_eq!(blocks(), 0);
}

#[test]
fn rights_and_principals_add_up() {
    let bytes = parse("D:(D;;GRGW;;;WD)(A;;0x1F01FF;;;S-1-5-21-1-2-3-1001)").unwrap();
    assert_eq!(bytes[2..4], [0x04, 0x80]);
    let deny = &bytes[28..48];
    assert_eq!((deny[0], &deny[4..8]), (1, &[0, 0, 0, 0xc0][..]));
    assert_eq!(&deny[8..20], [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    let allow = &bytes[48..];
    assert_eq!(
        (allow[0], allow[2], &allow[4..8]),
        (0, 36, &[0xff, 0x01, 0x1f, 0][..])
    );
    assert_eq!(&allow[8..16], [1, 5, 0, 0, 0, 0, 0, 5]);
    assert_eq!(&allow[32..36], 1001_u32.to_le_bytes());
}

#[test]
fn an_empty_list_denies_everybody() {
    let bytes = parse("D:P").unwrap();
    assert_eq!(&bytes[20..], [2, 0, 8, 0, 0, 0, 0, 0]);
}

#[test]
fn what_is_not_understood_is_refused() {
    for sddl in [
        "",
        "P",
        "O:BA",
        "D:X",
        "D:(A;;GA;;;SY",
        "D:(A;;GA;;;SY)x",
        "D:(A;;GA;;SY)",
        "D:(A;;GA;;;S-1-5)",
        "D:(A;;0x;;;SY)",
        "D:(A;;GA;;;S-1-+5-1)",
        "D:(A;;GA;;;SY;;)",
        "D:(Z;;GA;;;SY)",
        "D:(A;OI;GA;;;SY)",
        "D:(A;;G;;;SY)",
        "D:(A;;QQ;;;SY)",
        "D:(A;;GÄ;;;SY)",
        "D:(A;;0xFFFFFFFFF;;;SY)",
        "D:(A;;GA;;;ZZ)",
        "D:(A;;GA;;;S-1-)",
        "D:(A;;GA;;;S-1-300)",
        "D:(A;;GA;;;S-1-5-x)",
        "D:(A;;GA;;;S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16)",
    ] {
        assert_eq!(parse(sddl), Err(Status::INVALID_SECURITY_DESCR), "{sddl}");
    }
    let long: std::string::String = std::format!("D:{}", "(A;;GA;;;SY)".repeat(4000));
    assert_eq!(parse(&long), Err(Status::INVALID_SECURITY_DESCR));
}

#[test]
fn every_failed_allocation_is_a_status() {
    for allowed in 0..3 {
        ALLOWED.set(allowed);
        let result = parse(
            "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;BU)(A;;GA;;;AU)(A;;GA;;;LS)(A;;GA;;;NS)(A;;GA;;;WD)",
        );
        ALLOWED.set(usize::MAX);
        assert_eq!(result, Err(Status::INSUFFICIENT_RESOURCES), "{allowed}");
        assert_eq!(blocks(), 0);
    }
}

#[test]
fn stored_descriptors_are_checked() {
    let whole = SYSTEM_AND_ADMINISTRATORS;
    assert_eq!(
        SecurityDescriptor::from_bytes(TAG, whole)
            .unwrap()
            .as_bytes(),
        whole
    );
    for len in 0..whole.len() {
        assert!(
            SecurityDescriptor::from_bytes(TAG, &whole[..len]).is_err(),
            "cut at {len}"
        );
    }
    // Every single corrupted byte is either still a descriptor within its bytes or refused; none is read beyond.
    for index in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.to_vec();
            bytes[index] = value;
            let _ = SecurityDescriptor::from_bytes(TAG, &bytes);
        }
    }
    for (index, value) in [
        (0, 2),
        (3, 0x10),
        (16, 200),
        (16, 10),
        (22, 60),
        (24, 3),
        (30, 24),
        (37, 16),
    ] {
        let mut bytes = whole.to_vec();
        bytes[index] = value;
        assert!(
            SecurityDescriptor::from_bytes(TAG, &bytes).is_err(),
            "byte {index} = {value}"
        );
    }
}

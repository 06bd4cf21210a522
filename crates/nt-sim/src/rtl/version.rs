//! Which Windows this is.

use nt::sys::{
    NTSTATUS, RTL_OSVERSIONINFOEXW, RTL_OSVERSIONINFOW, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    UNICODE_STRING,
};

use crate::exports;
use crate::kernel::kernel;
use crate::mem::guest;

/// `VER_NT_SERVER`.
const SERVER: u8 = 3;
/// `VER_PLATFORM_WIN32_NT`.
const PLATFORM: u32 = 2;
/// Terminal services for administration (VER_SUITE_TERMINAL | VER_SUITE_SINGLEUSERTS).
const SUITE: u16 = 0x110;
const STATUS_REVISION_MISMATCH: NTSTATUS = 0xC000_0059_u32 as i32;

/// Builds and the `NTDDI_VERSION` that each brought.
const VERSIONS: [(u32, u32); 13] = [
    (10240, 0x0a00_0000),
    (10586, 0x0a00_0001),
    (14393, 0x0a00_0002),
    (15063, 0x0a00_0003),
    (16299, 0x0a00_0004),
    (17134, 0x0a00_0005),
    (17763, 0x0a00_0006),
    (18362, 0x0a00_0007),
    (19041, 0x0a00_0008),
    (20348, 0x0a00_000a),
    (22000, 0x0a00_000b),
    (22621, 0x0a00_000c),
    (26100, 0x0a00_0010),
];

fn ddi_version(build: u32) -> u32 {
    VERSIONS
        .iter()
        .rev()
        .find(|(first, _)| build >= *first)
        .map_or(0x0603_0000, |&(_, version)| version)
}

/// The types that `RtlVerifyVersionInfo` compares, as `VER_...` bits.
mod ver {
    pub(super) const MINOR: u32 = 1;
    pub(super) const MAJOR: u32 = 2;
    pub(super) const BUILD: u32 = 4;
    pub(super) const PLATFORM: u32 = 8;
    pub(super) const SERVICE_PACK_MINOR: u32 = 0x10;
    pub(super) const SERVICE_PACK_MAJOR: u32 = 0x20;
    pub(super) const SUITE: u32 = 0x40;
    pub(super) const PRODUCT: u32 = 0x80;
    pub(super) const ALL: u32 = 0xff;
}

/// Whether `ours` meets a condition (`VER_EQUAL` to `VER_LESS_EQUAL`) on `wanted`; `None` for no
/// condition.
fn meets(condition: u64, ours: u32, wanted: u32) -> Option<bool> {
    Some(match condition {
        1 => ours == wanted,
        2 => ours > wanted,
        3 => ours >= wanted,
        4 => ours < wanted,
        5 => ours <= wanted,
        _ => return None,
    })
}

fn verify(wanted: &RTL_OSVERSIONINFOEXW, types: u32, conditions: u64) -> NTSTATUS {
    if types == 0 || types & !ver::ALL != 0 {
        return STATUS_INVALID_PARAMETER;
    }
    let condition = |kind: u32| conditions >> (3 * kind.trailing_zeros()) & 7;
    // Major version, minor version and service pack are one number with several digits: a lower
    // digit counts when those above it are equal.
    let digits = [
        (ver::MAJOR, 10, wanted.dwMajorVersion),
        (ver::MINOR, 0, wanted.dwMinorVersion),
        (ver::SERVICE_PACK_MAJOR, 0, wanted.wServicePackMajor.into()),
        (ver::SERVICE_PACK_MINOR, 0, wanted.wServicePackMinor.into()),
    ];
    let mut chosen = digits
        .into_iter()
        .filter(|(kind, ..)| types & kind != 0)
        .peekable();
    while let Some((kind, ours, wanted)) = chosen.next() {
        let Some(met) = meets(condition(kind), ours, wanted) else {
            return STATUS_INVALID_PARAMETER;
        };
        if ours == wanted && chosen.peek().is_some() {
            continue;
        }
        if !met {
            return STATUS_REVISION_MISMATCH;
        }
        break;
    }
    let build = kernel().config.build;
    for (kind, ours, wanted) in [
        (ver::BUILD, build, wanted.dwBuildNumber),
        (ver::PLATFORM, PLATFORM, wanted.dwPlatformId),
        (ver::PRODUCT, SERVER.into(), wanted.wProductType.into()),
    ] {
        if types & kind == 0 {
            continue;
        }
        match meets(condition(kind), ours, wanted) {
            None => return STATUS_INVALID_PARAMETER,
            Some(false) => return STATUS_REVISION_MISMATCH,
            Some(true) => {}
        }
    }
    if types & ver::SUITE != 0 {
        let wanted = wanted.wSuiteMask;
        let met = match condition(ver::SUITE) {
            6 => SUITE & wanted == wanted,
            7 => wanted == 0 || SUITE & wanted != 0,
            _ => return STATUS_INVALID_PARAMETER,
        };
        if !met {
            return STATUS_REVISION_MISMATCH;
        }
    }
    STATUS_SUCCESS
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// The version, in a structure whose size says which one it is.
    #[irql(PASSIVE)]
    fn RtlGetVersion(information: *mut RTL_OSVERSIONINFOW) -> NTSTATUS {
        let size = guest::load(information).dwOSVersionInfoSize;
        let extended = size as usize == size_of::<RTL_OSVERSIONINFOEXW>();
        if !extended && size as usize != size_of::<RTL_OSVERSIONINFOW>() {
            return STATUS_INVALID_PARAMETER;
        }
        let version = RTL_OSVERSIONINFOW {
            dwOSVersionInfoSize: size,
            dwMajorVersion: 10,
            dwMinorVersion: 0,
            dwBuildNumber: kernel().config.build,
            dwPlatformId: PLATFORM,
            szCSDVersion: [0; 128],
        };
        guest::store(information, version);
        if extended {
            let all = information.cast::<RTL_OSVERSIONINFOEXW>();
            let mut value = guest::load(all);
            (value.wServicePackMajor, value.wServicePackMinor) = (0, 0);
            value.wSuiteMask = SUITE;
            (value.wProductType, value.wReserved) = (SERVER, 0);
            guest::store(all, value);
        }
        STATUS_SUCCESS
    }

    /// Whether the system is at least of this `NTDDI_VERSION`.
    #[irql(PASSIVE)]
    fn RtlIsNtDdiVersionAvailable(version: u32) -> u8 {
        // Bits 8 to 15 are the service pack, of which there are none.
        (ddi_version(kernel().config.build) >= version && version & 0xff00 == 0).into()
    }

    /// Compares the system's version with `wanted` as the condition mask says.
    #[irql(PASSIVE)]
    fn RtlVerifyVersionInfo(wanted: *const RTL_OSVERSIONINFOEXW, types: u32, conditions: u64) -> NTSTATUS {
        verify(&guest::load(wanted), types, conditions)
    }

    /// Adds the condition of some types to a condition mask.
    #[irql(ANY)]
    fn VerSetConditionMask(mask: u64, types: u32, condition: u8) -> u64 {
        let condition = u64::from(condition & 7);
        (0..8).filter(|bit| types & 1 << bit != 0).fold(mask, |mask, bit| mask | condition << (3 * bit))
    }

    /// The kind of system: a server.
    #[irql(ANY)]
    fn RtlGetNtProductType(kind: *mut u32) -> u8 {
        guest::store(kind, SERVER.into());
        1
    }

    /// The version in parts; true for a checked build.
    #[irql(PASSIVE)]
    fn PsGetVersion(major: *mut u32, minor: *mut u32, build: *mut u32, service_pack: *mut UNICODE_STRING) -> u8 {
        for (to, value) in [(major, 10), (minor, 0), (build, kernel().config.build)] {
            if !to.is_null() {
                guest::store(to, value);
            }
        }
        if !service_pack.is_null() {
            guest::store(service_pack, UNICODE_STRING { Length: 0, ..guest::load(service_pack) });
        }
        0
    }
}

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
            // Terminal services for administration (VER_SUITE_TERMINAL | VER_SUITE_SINGLEUSERTS).
            value.wSuiteMask = 0x110;
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

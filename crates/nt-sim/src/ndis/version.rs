//! Versions of NDIS, by Windows build, and functions that are looked up by name.

use nt::sys::UNICODE_STRING;

use crate::{export, exports, kernel::kernel};

/// First build of each NDIS version, newest first. Windows Server 2019, 2022 and 2025 are 17763,
/// 20348 and 26100.
const VERSIONS: &[(u32, u32)] = &[
    (26100, 0x6_0059),
    (22621, 0x6_0056),
    (20348, 0x6_0055),
    (19041, 0x6_0053),
    (18362, 0x6_0052),
    (17763, 0x6_0052),
    (17134, 0x6_0051),
    (16299, 0x6_0050),
    (15063, 0x6_0046),
    (14393, 0x6_003c),
    (10240, 0x6_0032),
];

/// NDIS version of the simulated Windows: major in the high half, minor in the low.
pub(crate) fn current() -> u32 {
    let build = kernel().config.build;
    VERSIONS
        .iter()
        .find(|(first, _)| build >= *first)
        .map_or(0x6_001e, |(_, version)| *version)
}

/// Whether a driver made for this version can register.
pub(crate) fn supports(major: u8, minor: u8) -> bool {
    major == 6 && u32::from(minor) <= (current() & 0xffff)
}

/// Functions that only newer systems have, with their first build.
const NEWER: &[(&str, u32)] = &[
    ("NdisRegisterPoll", 20348),
    ("NdisDeregisterPoll", 20348),
    ("NdisSetPollAffinity", 20348),
    ("NdisRequestPoll", 20348),
];

/// Whether a function of ndis.sys exists on the simulated Windows.
pub(crate) fn exists(name: &str) -> bool {
    NEWER
        .iter()
        .find(|(newer, _)| *newer == name)
        .is_none_or(|(_, first)| kernel().config.build >= *first)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Version of NDIS.
    #[irql(DISPATCH)]
    fn NdisGetVersion() -> u32 {
        current()
    }

    /// Address of a function of NDIS; null when this version does not have it.
    #[irql(PASSIVE)]
    fn NdisGetRoutineAddress(name: *const UNICODE_STRING) -> *const () {
        let name = super::raw::text(&super::raw::load(name));
        if !exists(&name) {
            return std::ptr::null();
        }
        export::lookup("ndis.sys", &name).map_or(std::ptr::null(), crate::mm::address_for_caller)
    }
}

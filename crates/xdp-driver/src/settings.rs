//! Settings that an administrator makes in the registry.
//!
//! They are read where they are used, on the control path, so a change takes effect on the next use.

use nt::registry::Key;
use nt::{Passive, Result, UnicodeStr, Vec};

/// The driver's own key: `...\Services\xdp`.
pub(crate) struct Settings {
    /// Path of the `Parameters` subkey.
    path: Vec<u16>,
}

/// A value of the `Parameters` subkey.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    name: &'static [u16],
    default: u32,
    valid: fn(u32) -> bool,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $default:expr, $valid:expr;)*) => {
        impl Setting {
            $($(#[$doc])* pub(crate) const $id: Self = Self {
                name: nt::utf16!($name),
                default: $default,
                valid: $valid,
            };)*
        }
    };
}

settings! {
    /// Frames of programs are checked as if they were not copied.
    XSK_DISABLE_TX_BOUNCE = "XskDisableTxBounce", 0, |value| value <= 1;
    /// Seconds that an idle data path stays inserted.
    GENERIC_DELAY_DETACH_TIMEOUT_SEC = "GenericDelayDetachTimeoutSec", 300, |_| true;
    /// Forwarded frames outstanding for each queue.
    GENERIC_RX_FWD_BUFFER_LIMIT = "GenericRxFwdBufferLimit", 1024, |value| value <= 65536;
    /// Frames that a transmit queue has on the way at most.
    GENERIC_TX_FRAME_COUNT = "GenericTxFrameCount", 32, |value| (1..=8096).contains(&value);
}

impl Settings {
    /// Remembers where the settings are.
    pub(crate) fn new(registry_path: UnicodeStr<'_>) -> Result<Self> {
        let mut path = Vec::from_slice(crate::TAG, registry_path.as_slice())?;
        path.extend_from_slice(nt::utf16!("\\Parameters"))?;
        Ok(Self { path })
    }

    /// A setting: as stored, or the default where nothing valid is stored.
    pub(crate) fn get(&self, setting: Setting, passive: Passive<'_>) -> u32 {
        self.read(setting, passive)
            .ok()
            .filter(|value| (setting.valid)(*value))
            .unwrap_or(setting.default)
    }

    fn read(&self, setting: Setting, passive: Passive<'_>) -> Result<u32> {
        let key = Key::open(UnicodeStr::new(&self.path)?, passive)?;
        key.dword(UnicodeStr::new(setting.name)?, passive)
    }
}

//! Programs: rules attached to queues.

mod builder;
mod ports;
mod rule;

pub use builder::{Program, ProgramBuilder, Targets};
pub use ports::PortSet;
pub use rule::{Match, Rule};

use xdp_abi::HookId;
use xdp_abi::program::CreateProgramFlags;
use xdp_abi::xsk::BindFlags;

use crate::error::{Error, Kind};

/// How XDP works on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Native where the interface has it, generic otherwise.
    #[default]
    Auto,
    /// In the path of the network stack, which works with any network card.
    Generic,
    /// In the driver of the network card, which has to support it.
    Native,
}

/// Where on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hook {
    /// The way of frames from the wire to the local stack.
    #[default]
    Receive,
    /// The way of frames from the local stack to the wire; in generic mode only.
    Transmit,
}

impl Mode {
    pub(crate) fn bind_flags(self) -> BindFlags {
        match self {
            Self::Auto => BindFlags::empty(),
            Self::Generic => BindFlags::GENERIC,
            Self::Native => BindFlags::NATIVE,
        }
    }

    fn program_flags(self) -> CreateProgramFlags {
        match self {
            Self::Auto => CreateProgramFlags::empty(),
            Self::Generic => CreateProgramFlags::GENERIC,
            Self::Native => CreateProgramFlags::NATIVE,
        }
    }

    /// That there is no interface means something else when it was to be native.
    pub(crate) fn explain(self, error: Error) -> Error {
        if self == Self::Native && error.kind() == Kind::NoSuchInterface {
            return error.become_unsupported(
                "the interface has no native mode",
                "use generic mode, or a network card whose driver supports XDP",
            );
        }
        error
    }
}

impl Hook {
    /// The hook at which frames are looked at.
    pub(crate) fn inspect(self) -> HookId {
        match self {
            Self::Receive => HookId::RX_INSPECT,
            Self::Transmit => HookId::TX_INSPECT,
        }
    }

    /// The hook at which frames are added.
    pub(crate) fn inject(self) -> HookId {
        match self {
            Self::Receive => HookId::RX_INJECT,
            Self::Transmit => HookId::TX_INJECT,
        }
    }
}

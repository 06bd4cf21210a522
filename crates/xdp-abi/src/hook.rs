//! Where in the path of a frame a program or a socket is attached.

use crate::macros::open_enum;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_enum! {
    /// Layer of the network stack.
    #[doc(alias = "XDP_HOOK_LAYER")]
    pub struct Layer: u32 {
        /// Complete Ethernet frames.
        L2 = 0, "XDP_HOOK_L2";
    }
}

open_enum! {
    /// Direction of travel.
    #[doc(alias = "XDP_HOOK_DATAPATH_DIRECTION")]
    pub struct Direction: u32 {
        /// From the network card upwards.
        RX = 0, "XDP_HOOK_RX";
        /// Towards the network card.
        TX = 1, "XDP_HOOK_TX";
    }
}

open_enum! {
    /// What is done at the hook.
    #[doc(alias = "XDP_HOOK_SUBLAYER")]
    pub struct SubLayer: u32 {
        /// Frames passing by are looked at.
        INSPECT = 0, "XDP_HOOK_INSPECT";
        /// Frames are added.
        INJECT = 1, "XDP_HOOK_INJECT";
    }
}

/// A hook: layer, direction and sublayer.
#[doc(alias = "XDP_HOOK_ID")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HookId {
    /// Layer of the network stack.
    pub layer: Layer,
    /// Direction of travel.
    pub direction: Direction,
    /// What is done at the hook.
    pub sub_layer: SubLayer,
}

impl HookId {
    /// Default hook of a socket's receive side and of programs.
    pub const RX_INSPECT: Self = Self {
        layer: Layer::L2,
        direction: Direction::RX,
        sub_layer: SubLayer::INSPECT,
    };
    /// Default hook of a socket's transmit side.
    pub const TX_INJECT: Self = Self {
        layer: Layer::L2,
        direction: Direction::TX,
        sub_layer: SubLayer::INJECT,
    };
    /// Outbound frames on their way to the network card.
    pub const TX_INSPECT: Self = Self {
        layer: Layer::L2,
        direction: Direction::TX,
        sub_layer: SubLayer::INSPECT,
    };
    /// Frames given to the protocol stack as if received.
    pub const RX_INJECT: Self = Self {
        layer: Layer::L2,
        direction: Direction::RX,
        sub_layer: SubLayer::INJECT,
    };
}

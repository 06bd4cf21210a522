//! NDIS 6: net buffers, filters, miniports, protocols, requests, offloads.

pub(super) mod callbacks;
pub(super) mod config;
pub(super) mod constants;
pub(super) mod enums;
pub(super) mod filter;
pub(super) mod header;
pub(super) mod miniport;
pub(super) mod nbl;
pub(super) mod nbl_info;
pub(super) mod offload;
pub(super) mod oid;
pub(super) mod pnp;
pub(super) mod poll;
pub(super) mod protocol;
pub(super) mod rss;
pub(super) mod sizes;
pub(super) mod status;

pub use self::callbacks::*;
pub use self::config::*;
pub use self::constants::*;
pub use self::enums::*;
pub use self::filter::*;
pub use self::header::*;
pub use self::miniport::*;
pub use self::nbl::*;
pub use self::nbl_info::*;
pub use self::offload::*;
pub use self::oid::*;
pub use self::pnp::*;
pub use self::poll::*;
pub use self::protocol::*;
pub use self::rss::*;
pub use self::sizes::*;
pub use self::status::*;

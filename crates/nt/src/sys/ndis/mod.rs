//! NDIS 6: net buffers, filters, miniports, protocols, requests, offloads.

mod callbacks;
mod config;
mod constants;
mod enums;
mod filter;
mod header;
mod miniport;
mod nbl;
mod nbl_info;
mod offload;
mod oid;
mod pnp;
mod poll;
mod protocol;
mod rss;
mod sizes;
mod status;

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

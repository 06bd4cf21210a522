//! The specification, statement by statement.
//!
//! `s02_13_7_...` tests statement 13.7 of document 02, and `s02_2_r3_...` row 3 of the table of section 2 there; a name
//! may begin with several of them.

mod attaching;
mod broken_nic;
mod counters;
mod frame_lists;
mod generic_filter;
mod generic_forward;
mod generic_tx;
mod hostile;
mod kernel_clients;
mod lab_client;
mod maps;
mod offloads;
mod programs_actions;
mod programs_create;
mod programs_match;
mod quirks;
mod reflection;
mod requests;
mod rss;
mod xsk_bind;
mod xsk_notify;
mod xsk_options;
mod xsk_rings;
mod xsk_rx;
mod xsk_tx;
mod xsk_umem;

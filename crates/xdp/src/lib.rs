//! XDP for Windows in safe Rust.
//!
//! [`rulefile`] reads the rules of a program from TOML or JSON.

#![deny(unsafe_code)]

pub mod rulefile;

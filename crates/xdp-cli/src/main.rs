//! The `xdp` command.

#![forbid(unsafe_code)]

fn main() {}

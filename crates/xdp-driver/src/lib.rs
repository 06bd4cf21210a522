//! xdp.sys.

#![no_std]
#![deny(unsafe_code)]

//! nt.

#![no_std]

//! Declares the configuration flag by which sanitizers see every word.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(xdp_ring_plain_words)");
}

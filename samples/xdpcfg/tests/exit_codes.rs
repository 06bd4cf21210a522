//! What scripts see.

use std::process::Command;

#[test]
fn bad_arguments_print_the_usage_and_end_with_1() {
    for words in [
        &[][..],
        &["SetDeviceSddl"],
        &["Reset", "D:P"],
        &["SetDeviceSddl", "queue", "D:P"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_xdpcfg"))
            .args(words)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(said.starts_with("Usage: xdpcfg SetDeviceSddl"), "{said}");
    }
}

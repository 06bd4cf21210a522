//! Rule files: the data is the text.

use xdp::rulefile::RuleFile;
use xdp_abi::Handle;

/// Checks that no text makes the reader panic, that every mistake has a place in the text, and that rules bind.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for parsed in [RuleFile::parse_toml(text), RuleFile::parse_json(text)] {
        match parsed {
            Ok(file) => {
                let rules = file
                    .bind(|_| Some(Handle(1)))
                    .expect("every target is known");
                assert_eq!(rules.len(), file.entries().len());
                for entry in file.entries() {
                    let line = format!("{} => {}", entry.condition(), entry.action());
                    assert!(line.len() > 4 && entry.line() >= 1, "{line}");
                }
            }
            Err(errors) => {
                assert!(!errors.as_slice().is_empty());
                for error in errors.as_slice() {
                    assert!(error.line >= 1 && error.column >= 1);
                    assert!(error.span.end <= text.len() + 1, "{error:?}");
                }
            }
        }
    }
}

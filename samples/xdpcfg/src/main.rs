//! Says who may use XDP: sets the security descriptors of the driver's devices.

#![deny(unsafe_code)]

#[cfg(windows)]
mod registry;

use std::process::ExitCode;

use xdp_abi::Guid;
use xdp_abi::open;

const USAGE: &str = "\
Usage: xdpcfg SetDeviceSddl <SDDL>
       xdpcfg SetDeviceSddl program|xsk|interface|map <SDDL>

Sets the security descriptor of the device that makes every kind of object, or of the one that makes one kind. The driver applies it
when it starts the next time. Who may open the device for every kind may make each of them.

Example, which opens AF_XDP sockets to everybody who is logged on:
  xdpcfg SetDeviceSddl xsk \"D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;IU)\"";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((class, sddl)) = parse(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match set(class, sddl) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ERR: cannot set the security of the device class: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// The device class that is meant, and the descriptor for it.
fn parse<'a>(words: &[&'a str]) -> Option<(Guid, &'a str)> {
    let classes = [
        ("program", open::PROGRAM_DEVICE_CLASS_GUID),
        ("xsk", open::XSK_DEVICE_CLASS_GUID),
        ("interface", open::INTERFACE_DEVICE_CLASS_GUID),
        ("map", open::MAP_DEVICE_CLASS_GUID),
    ];
    let (verb, rest) = words.split_first()?;
    if !verb.eq_ignore_ascii_case("SetDeviceSddl") {
        return None;
    }
    let (class, sddl) = match rest {
        [sddl] => (open::DEVICE_CLASS_GUID, sddl),
        [kind, sddl] => {
            let class = classes
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(kind))?;
            (class.1, sddl)
        }
        _ => return None,
    };
    (!sddl.is_empty()).then_some((class, sddl))
}

#[cfg(windows)]
fn set(class: Guid, sddl: &str) -> std::io::Result<()> {
    registry::set_class_security(class, sddl)
}

#[cfg(not(windows))]
fn set(_: Guid, _: &str) -> std::io::Result<()> {
    Err(std::io::Error::other(
        "device classes are Windows' own; run it there",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDDL: &str = "D:P(A;;GA;;;SY)";

    #[test]
    fn words_are_known_in_any_case() {
        assert_eq!(
            parse(&["setdevicesddl", SDDL]),
            Some((open::DEVICE_CLASS_GUID, SDDL))
        );
        assert_eq!(
            parse(&["SetDeviceSddl", "XSK", SDDL]),
            Some((open::XSK_DEVICE_CLASS_GUID, SDDL))
        );
        assert_eq!(
            parse(&["SETDEVICESDDL", "Map", SDDL]),
            Some((open::MAP_DEVICE_CLASS_GUID, SDDL))
        );
    }

    #[test]
    fn everything_else_is_refused() {
        let all: [&[&str]; 7] = [
            &[],
            &["SetDeviceSddl"],
            &["SetDeviceSddl", ""],
            &["SetDeviceSddl", "xsk", ""],
            &["SetDeviceSddl", "sockets", SDDL],
            &["SetDeviceSddl", "xsk", SDDL, "more"],
            &["GetDeviceSddl", SDDL],
        ];
        for words in all {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}

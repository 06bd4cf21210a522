//! Addresses of interfaces in a lab.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::User;

/// An address: `lab:` and options separated by commas, in any order.
///
/// | option | meaning | if not given |
/// |---|---|---|
/// | `nic=NAME` | the card that is meant: `nic0`, `nic1`, ... | `nic0` |
/// | `wire=END` | what the wire end of the next card is plugged into; once per card | `none` |
/// | `stack=END` | the same for its stack end | `none` |
/// | `nics=N` | number of cards, 1 to 16 | as many as have ends, at least 1 |
/// | `queues=N` | queues of each card, 1 to 64 | 1 |
/// | `mtu=BYTES` | MTU of each card, 68 to 65521 | 1500 |
/// | `cpus=N` | virtual processors, 1 to 64 | 2 |
/// | `driver=FILE` | driver file | `XDP_DRIVER`, or the built one |
/// | `verifier=strict` or `fast` | how much is checked | `strict` |
/// | `user=administrator` or `ordinary` | who this program is in the lab: one who may use XDP, or not | `administrator` |
///
/// An `END` is `none`, `if:NAME` (a Linux interface), `tap:NAME` (a new TAP device), `read:FILE` (frames of a capture, from the
/// moment when the first program is attached), `write:FILE` (frames that reach it go to a capture), or `read:FILE,write:FILE`.
///
/// An interface can also be one of a lab that [another process shares](super::Lab::share): `lab:NAME`, or `lab:NAME/nic1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// Ends of the cards, wire and stack.
    pub ends: Vec<(EndSpec, EndSpec)>,
    /// Queues of each card.
    pub queues: u32,
    /// MTU of each card.
    pub mtu_bytes: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// Driver file.
    pub driver: Option<PathBuf>,
    /// How much is checked.
    pub verifier: Verifier,
    /// Who this program is in the lab.
    pub user: User,
    /// The card that is meant, if it is said.
    pub nic: Option<String>,
}

/// How much the simulated kernel checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verifier {
    /// Every rule of the kernel; a broken one stops the lab.
    #[default]
    Strict,
    /// What costs little, for benchmarks.
    Fast,
}

/// What an end of a card is plugged into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EndSpec {
    /// Nothing: what reaches it is kept for [`End::receive`](super::End::receive).
    #[default]
    None,
    /// A Linux interface.
    Interface(String),
    /// A new TAP device.
    Tap(String),
    /// Captures.
    Captures {
        /// Where frames come from.
        read: Option<PathBuf>,
        /// Where frames go to.
        write: Option<PathBuf>,
    },
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(String);

impl Default for Address {
    fn default() -> Self {
        Self {
            ends: vec![Default::default()],
            queues: 1,
            mtu_bytes: 1500,
            cpus: 2,
            driver: None,
            verifier: Verifier::Strict,
            user: User::Administrator,
            nic: None,
        }
    }
}

impl Address {
    /// Whether it says nothing about the lab, but at most which card is meant.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.same_machine(&Self::default())
    }

    /// Whether both describe the same lab, whichever card they mean.
    pub(super) fn same_machine(&self, other: &Self) -> bool {
        let anonymous = |address: &Self| Self {
            nic: None,
            ..address.clone()
        };
        anonymous(self) == anonymous(other)
    }

    /// Name of the card that is meant.
    pub(super) fn card(&self) -> &str {
        self.nic.as_deref().unwrap_or("nic0")
    }
}

fn error(text: impl Into<String>) -> AddressError {
    AddressError(text.into())
}

/// A number in a range.
fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32, AddressError> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(error(format!(
            "{name}={text}: it must be {least} to {most}"
        ))),
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let options = text
            .strip_prefix("lab:")
            .ok_or_else(|| error(format!("`{text}` does not begin with `lab:`")))?;
        let mut address = Self::default();
        let (mut wires, mut stacks): (Vec<String>, Vec<String>) = Default::default();
        let mut nics = None;
        // The end that `write:FILE` behind a comma still belongs to.
        let mut open_end: Option<&mut String> = None;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let Some((name, value)) = option.split_once('=') else {
                match &mut open_end {
                    Some(end) if option.starts_with("read:") || option.starts_with("write:") => {
                        end.push(',');
                        end.push_str(option);
                        continue;
                    }
                    _ => {
                        return Err(error(format!(
                            "`{option}` is no option; an option is NAME=VALUE, as in queues=4 (a name alone, as in \
                             lab:demo, is one of a lab that is shared already)"
                        )));
                    }
                }
            };
            open_end = None;
            match name {
                "wire" | "stack" => {
                    let ends = if name == "wire" {
                        &mut wires
                    } else {
                        &mut stacks
                    };
                    ends.push(value.to_owned());
                    open_end = ends.last_mut();
                }
                "nics" => nics = Some(number(name, value, 1, 16)?),
                "queues" => address.queues = number(name, value, 1, 64)?,
                "mtu" => address.mtu_bytes = number(name, value, 68, 65_521)?,
                "cpus" => address.cpus = number(name, value, 1, 64)?,
                "driver" if !value.is_empty() => address.driver = Some(value.into()),
                "verifier" => {
                    address.verifier = match value {
                        "strict" => Verifier::Strict,
                        "fast" => Verifier::Fast,
                        _ => {
                            return Err(error(format!(
                                "verifier={value}: it must be strict or fast"
                            )));
                        }
                    };
                }
                "user" => {
                    address.user = match value {
                        "administrator" => User::Administrator,
                        "ordinary" => User::Ordinary,
                        _ => {
                            return Err(error(format!(
                                "user={value}: it must be administrator or ordinary"
                            )));
                        }
                    };
                }
                "nic" if !value.is_empty() => address.nic = Some(value.to_owned()),
                "driver" | "nic" => return Err(error(format!("{name}= needs a value"))),
                _ => {
                    return Err(error(format!(
                        "there is no option `{name}`; there are nic, wire, stack, nics, queues, mtu, cpus, driver, verifier and user"
                    )));
                }
            }
        }
        let given = wires.len().max(stacks.len()).max(1);
        let cards = nics.map_or(given, |nics| nics as usize);
        if cards < given {
            return Err(error(format!(
                "there are ends for {given} cards, but nics={cards}"
            )));
        }
        let end = |ends: &[String], card: usize| match ends.get(card) {
            Some(text) => text.parse(),
            None => Ok(EndSpec::None),
        };
        address.ends = (0..cards)
            .map(|card| Ok((end(&wires, card)?, end(&stacks, card)?)))
            .collect::<Result<_, AddressError>>()?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::default();
        let mut options = Vec::new();
        if let Some(nic) = &self.nic {
            options.push(format!("nic={nic}"));
        }
        let used =
            |(wire, stack): &(EndSpec, EndSpec)| *wire != EndSpec::None || *stack != EndSpec::None;
        let last = self.ends.iter().rposition(used).map_or(0, |last| last + 1);
        for (wire, stack) in &self.ends[..last] {
            options.push(format!("wire={wire}"));
            options.push(format!("stack={stack}"));
        }
        if self.ends.len() > last.max(1) {
            options.push(format!("nics={}", self.ends.len()));
        }
        for (name, value, usual) in [
            ("queues", self.queues, usual.queues),
            ("mtu", self.mtu_bytes, usual.mtu_bytes),
            ("cpus", self.cpus, usual.cpus),
        ] {
            if value != usual {
                options.push(format!("{name}={value}"));
            }
        }
        if let Some(driver) = &self.driver {
            options.push(format!("driver={}", driver.display()));
        }
        if self.verifier == Verifier::Fast {
            options.push("verifier=fast".to_owned());
        }
        if self.user == User::Ordinary {
            options.push("user=ordinary".to_owned());
        }
        write!(f, "lab:{}", options.join(","))
    }
}

impl FromStr for EndSpec {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            Some(("if", name)) if !name.is_empty() => Ok(Self::Interface(name.into())),
            Some(("tap", name)) if !name.is_empty() => Ok(Self::Tap(name.into())),
            Some(("read" | "write", _)) => captures(text),
            _ => Err(error(format!(
                "`{text}` is no end; an end is none, if:NAME, tap:NAME, read:FILE or write:FILE"
            ))),
        }
    }
}

fn captures(text: &str) -> Result<EndSpec, AddressError> {
    let (mut read, mut write) = (None, None);
    for part in text.split(',') {
        let (which, file) = match part.split_once(':') {
            Some(("read", file)) => (&mut read, file),
            Some(("write", file)) => (&mut write, file),
            _ => {
                return Err(error(format!(
                    "`{part}` is neither read:FILE nor write:FILE"
                )));
            }
        };
        if file.is_empty() {
            return Err(error(format!("`{part}` names no file")));
        }
        if which.replace(PathBuf::from(file)).is_some() {
            return Err(error(format!(
                "`{part}`: an end reads one file and writes one file"
            )));
        }
    }
    if read.is_some() && read == write {
        return Err(error("an end cannot write the file that it reads"));
    }
    Ok(EndSpec::Captures { read, write })
}

impl fmt::Display for EndSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Interface(name) => write!(f, "if:{name}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
            Self::Captures { read, write } => {
                let parts = [("read", read), ("write", write)];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|(word, file)| {
                        file.as_ref()
                            .map(|file| format!("{word}:{}", file.display()))
                    })
                    .collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "lab:",
            "lab:nic=nic1",
            "lab:wire=if:veth1,stack=none",
            "lab:wire=if:veth1,stack=tap:t0,queues=4",
            "lab:wire=read:in.pcap,write:out.pcapng,stack=none,verifier=fast",
            "lab:nics=2",
            "lab:user=ordinary",
            "lab:nic=nic1,wire=if:a,stack=none,wire=if:b,stack=none,queues=2,mtu=9000,cpus=4,driver=x/xdp.sys,verifier=fast",
        ] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
        assert_eq!(
            parse("lab:stack=if:b,wire=if:a"),
            parse("lab:wire=if:a,stack=if:b")
        );
        assert_eq!(parse("lab:"), Address::default());
        assert_eq!(parse("lab:wire=if:a,wire=if:b").ends.len(), 2);
    }

    #[test]
    fn ends_are_read_and_written_alike() {
        for text in [
            "none",
            "if:veth0",
            "tap:lab0",
            "read:a.pcap",
            "write:b.pcapng",
        ] {
            assert_eq!(text.parse::<EndSpec>().expect(text).to_string(), text);
        }
        let either: EndSpec = "write:b,read:a".parse().expect("either order");
        assert_eq!(either.to_string(), "read:a,write:b");
        for (text, part) in [
            ("", "an end is"),
            ("pcap:a", "an end is"),
            ("read:a,if:b", "neither"),
        ] {
            let error = text.parse::<EndSpec>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_is_valid() {
        for (text, part) in [
            ("eth0", "does not begin with"),
            ("lab:veth1", "NAME=VALUE"),
            ("lab:queues=0", "1 to 64"),
            ("lab:queues=x", "1 to 64"),
            ("lab:mtu=20", "68 to 65521"),
            ("lab:speed=9", "there is no option `speed`"),
            ("lab:wire=eth0", "an end is"),
            ("lab:wire=if:", "an end is"),
            ("lab:wire=read:", "names no file"),
            ("lab:wire=read:a,write:a", "cannot write the file"),
            ("lab:wire=read:a,read:b", "reads one file"),
            ("lab:queues=2,write:b", "NAME=VALUE"),
            ("lab:verifier=lax", "strict or fast"),
            ("lab:user=root", "administrator or ordinary"),
            ("lab:driver=", "needs a value"),
            ("lab:wire=none,wire=none,nics=1", "ends for 2 cards"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn which_card_is_meant_does_not_make_another_lab() {
        assert!(parse("lab:nic=nic1").asks_for_nothing());
        assert!(parse("lab:queues=2,nic=nic1").same_machine(&parse("lab:queues=2")));
        assert!(!parse("lab:queues=2").same_machine(&parse("lab:queues=3")));
        assert_eq!(parse("lab:").card(), "nic0");
    }
}

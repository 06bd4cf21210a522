//! Queues as they are named on the command line.

use std::fmt;
use std::str::FromStr;

use crate::error::Failure;

/// Which queues of an interface: `0`, `0,2`, `0-3`, `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Queues {
    /// All that it has.
    #[default]
    All,
    /// These, in ascending order.
    Some(Vec<u32>),
}

/// No network card has more; a longer list is a slip of the finger.
const MOST: u32 = 1024;

impl Queues {
    /// The numbers on an interface with `count` queues.
    pub fn on(&self, interface: &str, count: u32) -> Result<Vec<u32>, Failure> {
        let Self::Some(numbers) = self else {
            return Ok((0..count).collect());
        };
        match numbers.iter().find(|number| **number >= count) {
            None => Ok(numbers.clone()),
            Some(missing) => Err(
                Failure::usage(format!("{interface} has no queue {missing}")).because(
                    match count {
                        1 => "its only queue is 0".to_owned(),
                        _ => format!("its queues are 0 to {}", count.saturating_sub(1)),
                    },
                ),
            ),
        }
    }
}

impl FromStr for Queues {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("all") || text == "*" {
            return Ok(Self::All);
        }
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let read = |text: &str| {
                let number: Option<u32> = text.trim().parse().ok();
                let number = number.filter(|number| *number < MOST);
                number.ok_or_else(|| {
                    format!(
                        "`{text}` is not a queue: write 0, 0,2, 0-3 or all; queues are numbered 0 to {}",
                        MOST - 1
                    )
                })
            };
            let (first, last) = (read(first)?, read(last)?);
            if first > last {
                return Err(format!("`{part}` is the wrong way round: {last}-{first}"));
            }
            numbers.extend(first..=last);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self::Some(numbers))
    }
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Some(numbers) = self else {
            return f.write_str("all");
        };
        for (index, number) in numbers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        let read = |text: &str| text.parse::<Queues>().map(|queues| queues.to_string());
        assert_eq!(read("all").unwrap(), "all");
        assert_eq!(read("*").unwrap(), "all");
        assert_eq!(read("3").unwrap(), "3");
        assert_eq!(read("2,0").unwrap(), "0,2");
        assert_eq!(read("0-3").unwrap(), "0,1,2,3");
        assert_eq!(read("0-1,1-2,7").unwrap(), "0,1,2,7");
        for wrong in ["", ",", "-1", "1-", "x", "0,,2", "1024", "4294967296"] {
            let message = read(wrong).unwrap_err();
            assert!(message.contains("numbered 0 to 1023"), "{wrong}: {message}");
        }
        assert_eq!(
            read("3-1").unwrap_err(),
            "`3-1` is the wrong way round: 1-3"
        );
    }

    #[test]
    fn a_queue_that_is_not_there_is_named() {
        let some: Queues = "0,4".parse().unwrap();
        assert_eq!(some.on("nic0", 5).unwrap(), [0, 4]);
        assert_eq!(Queues::All.on("nic0", 2).unwrap(), [0, 1]);
        assert_eq!(
            some.on("nic0", 4).unwrap_err().exit(),
            crate::error::Exit::Usage
        );
    }
}

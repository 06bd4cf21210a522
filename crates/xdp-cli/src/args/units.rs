//! Numbers with units: durations, sizes of memory, rates.
//!
//! Prefixes of rates are decimal, those of memory binary.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Splits `10Gbit/s` into its number and its unit.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

fn number(text: &str) -> Option<f64> {
    // What else `f64` understands, `inf` and `1e3`, has letters, which `split` takes for the unit.
    text.replace('_', "").parse().ok()
}

/// Reads `10s`, `250ms`, `2m`; a plain number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split(text);
    let seconds_per_unit = match unit {
        "" | "s" => 1.0,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of time; use us, ms, s, m or h, as in 250ms"
            ));
        }
    };
    let number = number(digits).ok_or("it needs a number, as in 10s")?;
    match Duration::try_from_secs_f64(number * seconds_per_unit) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it must be more than zero and less than the age of the universe".into()),
    }
}

/// Reads `64KiB`, `9000B`, `2M`; a plain number is bytes.
pub fn size(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let (digits, unit) = split(text);
        let scale: u64 = match unit {
            "" | "B" => 1,
            "K" | "KiB" => 1 << 10,
            "M" | "MiB" => 1 << 20,
            "G" | "GiB" => 1 << 30,
            _ => {
                return Err(format!(
                    "`{unit}` is not a unit of memory; use B, KiB, MiB or GiB, as in 64KiB"
                ));
            }
        };
        let bytes = number(digits).map(|number| number * scale as f64);
        match bytes {
            Some(bytes) if bytes.fract() == 0.0 && range.contains(&(bytes as u64)) => {
                Ok(bytes as u64)
            }
            _ => Err(format!(
                "it must be from {} to {}",
                bytes_text(*range.start()),
                bytes_text(*range.end())
            )),
        }
    }
}

/// A number of bytes in the largest unit that is exact.
fn bytes_text(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} bytes")
}

/// A rate of frames, or of the bits in them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Frames a second.
    Frames(f64),
    /// Bits a second.
    Bits(f64),
}

/// Bytes of preamble and gap between two frames, and of the check sequence behind each.
const ON_THE_WIRE: usize = 8 + 12 + 4;

impl Rate {
    /// Frames of this size a second; `wire` counts what the wire adds to each.
    pub fn frames(self, frame_bytes: usize, wire: bool) -> f64 {
        match self {
            Self::Frames(frames) => frames,
            Self::Bits(bits) => {
                let added = if wire { ON_THE_WIRE } else { 0 };
                bits / (8.0 * (frame_bytes + added).max(1) as f64)
            }
        }
    }
}

/// Reads `14.88Mpps`, `10Gbit/s`, `5k`; a plain number is frames a second.
pub fn rate(text: &str) -> Result<Rate, String> {
    text.parse()
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: &str = "use pps, kpps, Mpps, bit/s, kbit/s, Mbit/s or Gbit/s, as in 14.88Mpps";
        let (digits, unit) = split(text);
        let (scale, rest) = match unit.chars().next() {
            Some('k' | 'K') => (1e3, &unit[1..]),
            Some('M') => (1e6, &unit[1..]),
            Some('G') => (1e9, &unit[1..]),
            _ => (1.0, unit),
        };
        let number = number(digits).ok_or_else(|| format!("it needs a number; {UNITS}"))?;
        let value = number * scale;
        if !(value > 0.0 && value <= 1e12) {
            return Err("it must be more than zero, and 1e12 at most".into());
        }
        match rest {
            "" | "pps" | "f/s" => Ok(Self::Frames(value)),
            "bit/s" | "bps" => Ok(Self::Bits(value)),
            _ => Err(format!("`{unit}` is not a unit of rates; {UNITS}")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Frames(frames) => f.write_str(&si(frames, "pps")),
            Self::Bits(bits) => f.write_str(&si(bits, "bit/s")),
        }
    }
}

/// A value with a decimal prefix: `1.25 Mbit/s`.
pub fn si(value: f64, unit: &str) -> String {
    let (scaled, prefix) = match value {
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => return format!("{v:.0} {unit}"),
    };
    format!("{scaled:.2} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "",
            "s",
            "0",
            "-1s",
            "3 parsecs",
            "1e9",
            "999999999999999999999h",
            "1.2.3",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary_and_have_a_range() {
        let frame = size(64..=9216);
        assert_eq!(frame("64"), Ok(64));
        assert_eq!(frame("2KiB"), Ok(2048));
        assert_eq!(frame("1.5K"), Ok(1536));
        for wrong in ["63", "1MiB", "0.3B", "", "-1"] {
            let message = frame(wrong).unwrap_err();
            assert!(
                message == "it must be from 64 bytes to 9 KiB" || message.contains("unit"),
                "{wrong}: {message}"
            );
        }
        assert!(frame("1kB").unwrap_err().contains("use B, KiB"));
    }

    #[test]
    fn rates_are_decimal() {
        assert_eq!(rate("14.88Mpps"), Ok(Rate::Frames(14.88e6)));
        assert_eq!(rate("10Gbit/s"), Ok(Rate::Bits(10e9)));
        assert_eq!(rate("5k"), Ok(Rate::Frames(5e3)));
        assert_eq!(rate("100000"), Ok(Rate::Frames(1e5)));
        for wrong in ["", "fast", "0", "-3pps", "10GiB/s", "1e3", "9999Gpps"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Rate::Frames(14_880_952.0).to_string(), "14.88 Mpps");
        assert_eq!(Rate::Bits(10e9).to_string(), "10.00 Gbit/s");
        // The classic: 10 Gbit/s of the shortest frames (60 bytes without check sequence).
        assert_eq!(Rate::Bits(10e9).frames(60, true).round(), 14_880_952.0);
        assert_eq!(Rate::Bits(8e3).frames(100, false), 10.0);
    }
}

//! Numbers with a valid range.

use std::ops::RangeInclusive;

/// Reads a whole number in a range.
pub fn in_range(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = whole(text).filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!(
                "it must be a number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

/// Reads a power of two in a range whose ends are powers of two.
pub fn power_of_two(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let (least, most) = (*range.start(), *range.end());
        let valid = format!("it must be a power of two from {least} to {most}");
        let Some(number) = whole(text) else {
            return Err(valid);
        };
        match u32::try_from(number) {
            Ok(number) if range.contains(&number) && number.is_power_of_two() => Ok(number),
            Ok(number) if range.contains(&number) => {
                let above = number.next_power_of_two();
                Err(format!("{valid}; {} and {above} are next to it", above / 2))
            }
            _ => Err(valid),
        }
    }
}

/// Digits, which underscores may group.
fn whole(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_named() {
        let queues = in_range(1..=64);
        assert_eq!(queues("64"), Ok(64));
        assert_eq!(queues("1_0"), Ok(10));
        for wrong in ["0", "65", "", "x", "-1", "+1", "_1", "99999999999999999999"] {
            assert_eq!(
                queues(wrong),
                Err("it must be a number from 1 to 64".into())
            );
        }
    }

    #[test]
    fn the_powers_next_to_a_number_are_named() {
        let ring = power_of_two(8..=8192);
        assert_eq!(ring("8"), Ok(8));
        assert_eq!(ring("8192"), Ok(8192));
        let valid = "it must be a power of two from 8 to 8192";
        assert_eq!(
            ring("1000"),
            Err(format!("{valid}; 512 and 1024 are next to it"))
        );
        for wrong in ["4", "16384", "0", "many", "4294967296"] {
            assert_eq!(ring(wrong), Err(valid.into()), "{wrong}");
        }
    }
}

//! Processors and memory: the classes of an executor, and what a build gets of them.

use std::fmt;

use serde_json::{Value, json};

use switchyard_file::Word;

use crate::decimal::Decimal;

/// Processor time: thousandths of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(u64);

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

impl Millicores {
    /// How many thousandths of a core.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }
}

impl Bytes {
    /// How many bytes.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }
}

/// A size that an executor cannot give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a size: write a class ({classes}) or {examples}", classes = CLASSES.join(", "))]
pub struct InvalidSize {
    text: String,
    examples: &'static str,
}

/// The classes of one resource, as Screwdriver names them. Nothing gets more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<T> {
    /// The smallest.
    pub micro: T,
    /// What a build gets that names none.
    pub low: T,
    /// More.
    pub high: T,
    /// Much more.
    pub turbo: T,
    /// The most that any build gets, by class or by quantity.
    pub max: T,
}

const CLASSES: [&str; 5] = ["micro", "low", "high", "turbo", "max"];

/// A quantity with a unit of its own.
pub(crate) trait Quantity: Copy + Ord {
    /// What each class is where the file does not say: micro, low, high, turbo, max.
    const STANDARD: [Self; 5];
    /// Examples of it, for an error message.
    const EXAMPLES: &str;
    /// How much one of this suffix is; `None` where the suffix is not one of this unit.
    fn unit(suffix: &str) -> Option<u64>;
    /// So many of the smallest unit.
    fn of(count: u64) -> Self;

    /// Reads a quantity that is more than nothing.
    fn parse(text: &str) -> Result<Self, InvalidSize> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        Self::unit(suffix)
            .and_then(|unit| Decimal::parse(number)?.times(unit))
            .filter(|count| *count > 0)
            .map(Self::of)
            .ok_or_else(|| InvalidSize { text: text.to_owned(), examples: Self::EXAMPLES })
    }
}

impl Quantity for Millicores {
    const STANDARD: [Self; 5] = [Self(500), Self(2000), Self(6000), Self(12_000), Self(12_000)];
    const EXAMPLES: &str = "a quantity such as 2, 0.5 or 500m";

    fn unit(suffix: &str) -> Option<u64> {
        match suffix {
            "" => Some(1000),
            "m" => Some(1),
            _ => None,
        }
    }

    fn of(count: u64) -> Self {
        Self(count)
    }
}

impl Quantity for Bytes {
    const STANDARD: [Self; 5] = [Self(1 << 30), Self(2 << 30), Self(12 << 30), Self(16 << 30), Self(16 << 30)];
    const EXAMPLES: &str = "a quantity such as 512Mi or 4Gi; a bare number is GiB";

    fn unit(suffix: &str) -> Option<u64> {
        Some(match suffix {
            "" | "Gi" => 1 << 30,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Ti" => 1 << 40,
            "Pi" => 1 << 50,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "P" => 1_000_000_000_000_000,
            _ => return None,
        })
    }

    fn of(count: u64) -> Self {
        Self(count)
    }
}

#[expect(private_bounds, reason = "the two units there are stand above")]
impl<T: Quantity> Sizes<T> {
    /// What a build gets that asks for `asked`: a class (in any case) or a quantity, at most `max`; without any, `low`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn get(&self, asked: Option<&str>) -> Result<T, InvalidSize> {
        let Some(asked) = asked else { return Ok(self.low.min(self.max)) };
        let class = CLASSES.iter().zip([self.micro, self.low, self.high, self.turbo, self.max]);
        let size = match class.into_iter().find(|(class, _)| class.eq_ignore_ascii_case(asked)) {
            Some((_, size)) => size,
            None => <T as Quantity>::parse(asked)?,
        };
        Ok(size.min(self.max))
    }
}

#[expect(private_bounds, reason = "the two units there are stand above")]
impl<T: Quantity> Sizes<T> {
    /// Screwdriver's own: 0.5, 2, 6 and 12 cores; 1, 2, 12 and 16 `Gi`.
    #[must_use]
    pub fn standard() -> Self {
        let [micro, low, high, turbo, max] = T::STANDARD;
        Self { micro, low, high, turbo, max }
    }
}

impl fmt::Display for Millicores {
    /// As Kubernetes writes it: `500m`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

impl fmt::Display for Bytes {
    /// As Kubernetes writes it: `12Gi`, `512Mi`, else bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, suffix) in [(30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{suffix}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Word for Millicores {
    fn parse(text: &str) -> Result<Self, String> {
        quantity(text)
    }

    fn schema() -> Value {
        json!({"type": ["number", "string"], "examples": [2, 0.5, "500m"]})
    }
}

impl Word for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        quantity(text)
    }

    fn schema() -> Value {
        json!({"type": ["number", "string"], "examples": [4, "512Mi", "4Gi"]})
    }
}

fn quantity<T: Quantity>(text: &str) -> Result<T, String> {
    <T as Quantity>::parse(text).map_err(|_| format!("{text:?} is not {}", T::EXAMPLES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(asked: &str) -> Result<String, InvalidSize> {
        Sizes::<Millicores>::standard().get(Some(asked)).map(|size| size.to_string())
    }

    fn memory(asked: &str) -> Result<String, InvalidSize> {
        Sizes::<Bytes>::standard().get(Some(asked)).map(|size| size.to_string())
    }

    #[test]
    fn a_build_that_asks_for_nothing_gets_low() {
        assert_eq!(Sizes::<Millicores>::standard().get(None).unwrap().to_string(), "2");
        assert_eq!(Sizes::<Bytes>::standard().get(None).unwrap().to_string(), "2Gi");
    }

    #[test]
    fn classes_are_read_in_any_case() {
        assert_eq!(cpu("MICRO").unwrap(), "500m");
        assert_eq!(cpu("High").unwrap(), "6");
        assert_eq!(memory("turbo").unwrap(), "16Gi");
        assert_eq!(memory("MAX").unwrap(), "16Gi");
    }

    #[test]
    fn quantities_are_read_and_a_bare_number_of_memory_is_gib() {
        for (asked, given) in [("8", "8"), ("0.5", "500m"), ("250m", "250m"), ("1.5", "1500m")] {
            assert_eq!(cpu(asked).unwrap(), given);
        }
        for (asked, given) in [("4", "4Gi"), ("0.5", "512Mi"), ("512Mi", "512Mi"), ("1G", "1000000000"), ("4Gi", "4Gi")] {
            assert_eq!(memory(asked).unwrap(), given);
        }
    }

    #[test]
    fn nothing_gets_more_than_max() {
        assert_eq!(cpu("64").unwrap(), "12");
        assert_eq!(memory("1Ti").unwrap(), "16Gi");
    }

    #[test]
    fn what_is_no_size_is_refused_by_name() {
        for asked in ["lots", "", "0", "-1", "toString", "4Gi", "NaN"] {
            assert!(cpu(asked).is_err(), "{asked}");
        }
        let error = memory("500m").unwrap_err().to_string();
        assert!(error.starts_with("\"500m\" is not a size: write a class (micro, low, high, turbo, max) or"), "{error}");
    }
}

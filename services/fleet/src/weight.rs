//! What an executor weighs against the others.

use std::fmt;

use serde_json::{Value, json};

use switchyard_file::Word;

use crate::decimal::Decimal;

const BILLION: u64 = 1_000_000_000;

/// A share of the builds, exact to the ninth decimal; 0 takes no part. Only its ratio to the others matters.
///
/// Screwdriver cut weights to whole numbers, so that 0.5 against 0.5 gave everything to the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight {
    billionths: u64,
}

impl Weight {
    /// Whether the executor takes no part in the weighted choice.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.billionths == 0
    }

    /// The weight as a number: the nearest double to what is written.
    #[must_use]
    pub fn value(self) -> f64 {
        self.to_string().parse().unwrap_or_default()
    }

    /// Reads a decimal that is not negative, such as `20` or `0.5`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Decimal::parse(text)?.times(BILLION).map(|billionths| Self { billionths })
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.billionths / BILLION, self.billionths % BILLION);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        f.write_str(format!("{whole}.{rest:09}").trim_end_matches('0'))
    }
}

impl Word for Weight {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("{text:?} is not a weight: write 0 or more, such as 20 or 0.5"))
    }

    fn schema() -> Value {
        json!({"type": ["number", "string"], "minimum": 0, "examples": [20, 0.5]})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_real() {
        for (text, value) in
            [("20", 20.0), ("0.5", 0.5), ("0.1", 0.1), ("2.90", 2.9), ("999999999.999999999", 999_999_999.999_999_999)]
        {
            assert!((Weight::parse(text).unwrap().value() - value).abs() < f64::EPSILON, "{text}");
        }
        assert!(Weight::parse("0.0").unwrap().is_zero());
        assert!(!Weight::parse("0.000000001").unwrap().is_zero());
    }

    #[test]
    fn a_negative_weight_is_refused() {
        assert_eq!(Weight::parse("-1"), None);
    }

    proptest! {
        #[test]
        fn every_weight_survives_being_written(billionths in 0..BILLION * BILLION) {
            let weight = Weight { billionths };
            prop_assert_eq!(Weight::parse(&weight.to_string()), Some(weight));
            prop_assert_eq!(weight.value() > 0.0, !weight.is_zero());
        }
    }
}

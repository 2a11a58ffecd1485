//! Decimals as people write them, read exactly: `20`, `0.5`, never through a float.

/// A decimal that is not negative: `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    mantissa: u128,
    scale: u32,
}

/// At most this many digits on either side of the point: so that nothing that is computed from one overflows.
const MOST_DIGITS: usize = 9;

impl Decimal {
    /// Reads digits with at most one point, and a digit on each side of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| (1..=MOST_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        Some(Self { mantissa: format!("{whole}{fraction}").parse().ok()?, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// `self * factor`, rounded up to a whole number; `None` past 64 bits.
    pub(crate) fn times(self, factor: u64) -> Option<u64> {
        let product = self.mantissa.checked_mul(u128::from(factor))?;
        u64::try_from(product.div_ceil(10u128.pow(self.scale))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_round_up() {
        let times = |text: &str, factor| Decimal::parse(text).unwrap().times(factor);
        assert_eq!(times("0.5", 1000), Some(500));
        assert_eq!(times("0.1", 1_000_000_000), Some(100_000_000));
        assert_eq!(times("0.0001", 1000), Some(1));
        assert_eq!(times("999999999", u64::MAX), None);
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "NaN", "inf", "1_000", "0x10", "1.2.3", "1234567890", "0.1234567890", "٣"]
        {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}

//! Money as people write it: decimal, exact, never a float.

use std::fmt;
use std::str::FromStr;

use claim::{Amount, Price};
use serde::{Deserialize, Serialize};

/// Decimals of a dollar: the ledger counts millionths.
const DOLLAR_PLACES: usize = 6;
/// Decimals of an ether: the chain counts wei.
const ETHER_PLACES: usize = 18;
/// The most that a channel can hold, and so the most that anything here is asked to move.
const AMOUNT_MAX: u128 = (1 << 96) - 1;

/// An amount of dollars as an option, which may be nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Dollars(pub(crate) Amount);

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_price(text).map(Self)
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&dollars(self.0))
    }
}

/// What a million tokens of the prompt and of the answer cost in dollars, as `0.05/0.20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Rates(pub(crate) Price);

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (prompt, output) = text.split_once('/').ok_or("a price is written PROMPT/OUTPUT, like 0.05/0.20")?;
        let read = |text: &str| {
            let amount = parse_price(text)?.get();
            u64::try_from(amount).map_err(|_| "the price is too large".to_owned())
        };
        Ok(Self(Price::new(read(prompt)?, read(output)?)))
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [prompt, output] = [self.0.prompt_per_million, self.0.output_per_million];
        write!(f, "{}/{}", dollars(Amount::new(prompt.into())), dollars(Amount::new(output.into())))
    }
}

/// In the configuration file both are texts: a float would round them.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Dollars, Rates);

/// Reads an amount of dollars that is to be moved: `12`, `12.5` or `0.000001`, more than nothing.
pub(crate) fn parse_payment(text: &str) -> Result<Amount, String> {
    let amount = parse_price(text)?;
    if amount.get() == 0 {
        return Err("the smallest amount is 0.000001 dollars".into());
    }
    Ok(amount)
}

/// Reads an amount of dollars, which may be nothing.
pub(crate) fn parse_price(text: &str) -> Result<Amount, String> {
    let amount = parse_decimal(text, DOLLAR_PLACES)?;
    if amount > AMOUNT_MAX {
        return Err(format!("the largest amount is {} dollars", dollars(Amount::new(AMOUNT_MAX))));
    }
    Ok(Amount::new(amount))
}

/// Reads an amount of ether, in wei.
pub(crate) fn parse_ether(text: &str) -> Result<u128, String> {
    parse_decimal(text, ETHER_PLACES)
}

/// Dollars as text: two decimals, and more where they say something.
pub(crate) fn dollars(amount: Amount) -> String {
    format_decimal(amount.get(), DOLLAR_PLACES, 2)
}

/// Ether as text.
pub(crate) fn ether(wei: u128) -> String {
    format_decimal(wei, ETHER_PLACES, 1)
}

/// A decimal number with at most so many places after the point, in units of the last of them.
fn parse_decimal(text: &str, places: usize) -> Result<u128, String> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !fraction.is_none_or(is_number) {
        return Err("an amount is written in digits with a point, as 12 or 0.5".into());
    }
    let fraction = fraction.unwrap_or_default();
    if fraction.len() > places {
        return Err(format!("an amount has at most {places} decimals, found {}", fraction.len()));
    }
    format!("{whole}{fraction:0<places$}").parse().map_err(|_| "the amount is too large".into())
}

fn format_decimal(units: u128, places: usize, places_min: usize) -> String {
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let shown = fraction.trim_end_matches('0').len().max(places_min);
    format!("{whole}.{}", &fraction[..shown])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        let check = |text: &str, expect: Result<u128, &str>| match (parse_payment(text), expect) {
            (Ok(amount), Ok(expect)) => assert_eq!(amount.get(), expect, "{text}"),
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{text}: {error}"),
            (found, _) => assert!(found.is_err() == expect.is_err(), "{text}: {found:?}"),
        };
        check("12", Ok(12_000_000));
        check("012.5", Ok(12_500_000));
        check("0.1", Ok(100_000));
        check("0.000001", Ok(1));
        check("79228162514264337593543.950335", Ok(AMOUNT_MAX));
        check("79228162514264337593543.950336", Err("the largest amount is 79228162514264337593543.950335"));
        check("340282366920938463463374607431768211456", Err("too large"));
        check("0", Err("smallest"));
        check("0.000000", Err("smallest"));
        check("0.0000001", Err("at most 6 decimals, found 7"));
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1_000", "1,5", "0x10", " 1", "1 ", "NaN", "1.2.3", "\u{661}"]
        {
            check(text, Err("written in digits"));
        }
        assert_eq!(parse_price("0"), Ok(Amount::new(0)));
        assert_eq!(parse_ether("1.000000000000000001"), Ok(1_000_000_000_000_000_001));
    }

    #[test]
    fn amounts_are_shown_with_every_digit_that_counts() {
        for (units, expect) in [(0, "0.00"), (1, "0.000001"), (100_000, "0.10"), (12_345_678, "12.345678")] {
            assert_eq!(dollars(Amount::new(units)), expect);
            assert_eq!(parse_price(expect), Ok(Amount::new(units)));
        }
        assert_eq!(ether(10_u128.pow(19)), "10.0");
        assert_eq!(ether(1), "0.000000000000000001");
    }
}

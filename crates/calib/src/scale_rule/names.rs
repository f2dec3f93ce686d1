//! Names of scale rules, as typed after `--scale-rule` and stored in files.
//!
//! ```text
//! NAME            amax, narrow, full-range, min-max, mse, …
//! percentile:P    P in (0, 100]; without P, 99.9
//! ```

use core::fmt;
use core::str::FromStr;

use super::{RULES, ScaleRule};
use crate::error::Error;

impl ScaleRule {
    /// The name without parameters.
    fn stem(self) -> &'static str {
        match self {
            Self::Amax => "amax",
            Self::Narrow => "narrow",
            Self::FullRange => "full-range",
            Self::MinMax => "min-max",
            Self::Affine => "affine",
            Self::Percentile(_) => "percentile",
            Self::Mse => "mse",
            Self::MseFullRange => "mse-full-range",
            Self::FourOverSix => "four-over-six",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Even => "even",
            Self::Rceil => "rceil",
            Self::Round175 => "round-1.75",
            Self::CeilLog2 => "ceil-log2",
        }
    }
}

impl fmt::Display for ScaleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "percentile:{percent}"),
            other => f.pad(other.stem()),
        }
    }
}

impl FromStr for ScaleRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let percentile = name.strip_prefix("percentile:").and_then(|percent| percent.parse().ok());
        if let Some(percent) = percentile.filter(|percent| *percent > 0.0 && *percent <= 100.0) {
            return Ok(Self::Percentile(percent));
        }
        RULES.into_iter().find(|rule| rule.stem() == name).ok_or_else(|| Error::UnknownRule {
            name: name.to_owned(),
            known: RULES.map(|rule| rule.to_string()).join(", "),
        })
    }
}

impl TryFrom<String> for ScaleRule {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<ScaleRule> for String {
    fn from(rule: ScaleRule) -> Self {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_rule() {
        for rule in RULES {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert_eq!("percentile".parse(), Ok(ScaleRule::Percentile(99.9)));
        assert_eq!("percentile:50".parse(), Ok(ScaleRule::Percentile(50.0)));
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_names() {
        for name in ["", "max", "percentile:", "percentile:0", "percentile:100.1", "percentile:nan", "amax "]
        {
            let error = name.parse::<ScaleRule>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("no scale rule is called {name}; there are amax, narrow, ")),
                "{error}"
            );
        }
    }
}

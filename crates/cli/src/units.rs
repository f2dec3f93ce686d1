//! Sizes and times as text, in decimal units, as file systems and model hubs count.

use std::time::Duration;

const UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("B", 1)];

/// Parses `5GB`, `500 mb`, `1.5GB` or a plain number of bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| upper.strip_suffix(name).map(|n| (n.trim(), *unit)))
        .unwrap_or((&upper, 1));
    let value: f64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a size; write 5GB, 500MB or a number of bytes"))?;
    let bytes = value * unit as f64;
    if bytes.is_finite() && (1.0..=1e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(format!("`{text}` is not a size between 1B and 1000000TB"))
    }
}

/// `1536` bytes as `1.54 KB`: three digits and a decimal unit.
pub(crate) fn size(bytes: u64) -> String {
    let (name, unit) = UNITS.iter().find(|(_, unit)| bytes >= *unit).unwrap_or(&UNITS[4]);
    let value = bytes as f64 / *unit as f64;
    match (*unit, value) {
        (1, _) => format!("{bytes} B"),
        (_, v) if v < 9.995 => format!("{v:.2} {name}"),
        (_, v) if v < 99.95 => format!("{v:.1} {name}"),
        (_, v) => format!("{v:.0} {name}"),
    }
}

/// A duration as `85 ms`, `4.2 s`, `3 min 20 s` or `2 h 05 min`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=99 => format!("{:.1} s", duration.as_secs_f64()),
        100..=5999 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_and_read_back() {
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
        assert_eq!(parse_size("1.5 mb"), Ok(1_500_000));
        assert_eq!(parse_size("17"), Ok(17));
        assert!(parse_size("many").unwrap_err().contains("`many`"));
        assert!(parse_size("0").is_err() && parse_size("-1GB").is_err() && parse_size("nan").is_err());
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_536), "1.54 KB");
        assert_eq!(size(4_069_936), "4.07 MB");
        assert_eq!(size(12_345_000_000), "12.3 GB");
    }

    #[test]
    fn times_keep_two_units() {
        assert_eq!(time(Duration::from_millis(85)), "85 ms");
        assert_eq!(time(Duration::from_millis(4_200)), "4.2 s");
        assert_eq!(time(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(time(Duration::from_secs(7_500)), "2 h 05 min");
    }
}

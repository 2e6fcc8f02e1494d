//! Points in time as people write them.

/// Milliseconds since the epoch of `2026-11-23`, `2026-11-23T14:05`, `2026-11-23T14:05:06.789Z` or with `+02:00`
/// instead of `Z`; UTC if nothing is said.
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let (date, rest) = match text.split_once(['T', 't', ' ']) {
        Some((date, rest)) => (date, rest),
        None => (text, "00:00"),
    };
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = digits(parts.next()?, 2).filter(|day| (1..=days_in(year, month)).contains(day))?;
    let (clock, zone_minutes) = zone(rest)?;
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let (second, ms) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            (digits(whole, 2).filter(|second| *second < 60)?, thousandths(fraction)?)
        }
    };
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - zone_minutes;
    Some((minutes * 60 + second) * 1000 + ms)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn thousandths(fraction: &str) -> Option<i64> {
    let plain =
        !fraction.is_empty() && fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
    plain.then(|| padded.parse().ok())?
}

/// The time of day, and the minutes that its zone is ahead of UTC.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (clock, offset) = text.split_at_checked(at)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let plain: String = offset.chars().skip(1).filter(|c| *c != ':').collect();
    let number = digits(&plain, 4)?;
    (number % 100 < 60).then_some((clock, sign * (number / 100 * 60 + number % 100)))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// In the Gregorian calendar, also before it was in use.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    before + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso() {
        for (text, ms) in [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:00.001Z", Some(1)),
            ("2000-03-01", Some(951_868_800_000)),
            ("2026-11-23T14:05:06.789Z", Some(1_795_442_706_789)),
            ("2026-11-23 14:05:06.789", Some(1_795_442_706_789)),
            ("2026-11-23T16:05:06.789123+02:00", Some(1_795_442_706_789)),
            ("2026-11-23T14:05", Some(1_795_442_700_000)),
            ("1969-12-31T23:59:59Z", Some(-1000)),
            ("2024-02-29", Some(1_709_164_800_000)),
            ("2023-02-29", None),
            ("2026-13-01", None),
            ("2026-11-23T24:00", None),
            ("2026-11-23T", None),
            ("2026-11-23T14:05:06.", None),
            ("26-11-23", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_iso(text), ms, "{text}");
        }
    }
}

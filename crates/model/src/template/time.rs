//! `strftime_now`: the date that some templates put into the system message, from a clock that is an argument.

use claim::UnixMillis;
use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A point of time in the Gregorian calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calendar {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
    /// 1 to 366.
    day_of_year: i64,
    /// 0 is Sunday.
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Calendar {
    /// The calendar date of a count of days since 1970-01-01, by the method of counting years from March: leap days
    /// then come last, and months have lengths that a line through them rounds to.
    fn new(now: UnixMillis) -> Self {
        const DAYS_PER_ERA: i64 = 146_097;
        /// Days from 0000-03-01 to 1970-01-01.
        const EPOCH: i64 = 719_468;
        let seconds = (now.get() / 1_000) as i64;
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let since = days + EPOCH;
        let (era, day_of_era) = (since / DAYS_PER_ERA, since % DAYS_PER_ERA);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let january_and_february = 59 + i64::from(is_leap);
        let day_of_year = if month > 2 { day_from_march + january_and_february + 1 } else { day_from_march - 306 + 1 };
        Self {
            year,
            month,
            day,
            day_of_year,
            weekday: (days + 4) % 7,
            hour: second_of_day / 3_600,
            minute: second_of_day / 60 % 60,
            second: second_of_day % 60,
        }
    }

    /// One directive of `strftime` in the C locale; `padded` is false after `%-`.
    fn directive(&self, letter: char, padded: bool) -> Option<String> {
        let number = |value: i64, width: usize| {
            if padded { format!("{value:0width$}") } else { value.to_string() }
        };
        let hour_of_12 = (self.hour + 11) % 12 + 1;
        let month = MONTHS[(self.month - 1) as usize];
        let day = DAYS[self.weekday as usize];
        Some(match letter {
            'Y' => number(self.year, 4),
            'y' => number(self.year % 100, 2),
            'm' => number(self.month, 2),
            'd' => number(self.day, 2),
            'e' => {
                if padded {
                    format!("{:2}", self.day)
                } else {
                    self.day.to_string()
                }
            }
            'j' => number(self.day_of_year, 3),
            'H' => number(self.hour, 2),
            'I' => number(hour_of_12, 2),
            'M' => number(self.minute, 2),
            'S' => number(self.second, 2),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'B' => month.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'A' => day.to_owned(),
            'a' => day[..3].to_owned(),
            'u' => ((self.weekday + 6) % 7 + 1).to_string(),
            'w' => self.weekday.to_string(),
            'F' => format!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

/// Formats a time in UTC.
pub(super) fn format_utc(now: UnixMillis, format: &str) -> Result<String, Error> {
    let calendar = Calendar::new(now);
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut letter = characters.next();
        let padded = letter != Some('-');
        if !padded {
            letter = characters.next();
        }
        let written = letter.and_then(|letter| calendar.directive(letter, padded)).ok_or_else(|| {
            Error::new(ErrorKind::InvalidOperation, format!("strftime_now does not know a directive in {format:?}"))
        })?;
        out.push_str(&written);
    }
    Ok(out)
}

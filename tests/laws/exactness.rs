//! No digit is lost: random numbers and times, written in every form, come back from DuckDB as what they are.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::Lake,
    program::{Sync, Synced},
    random::Random,
    rows::timestamp,
};

const COUNT: usize = 100_000;

/// A resource of the test's own, with a value of one type.
struct Values {
    lake: Lake,
    api: ScriptedApi,
    schemas: PathBuf,
}

impl Values {
    fn new(kind: &str) -> Self {
        let lake = Lake::new();
        let schemas = lake.folder().join("schemas");
        fs::create_dir(&schemas).unwrap();
        let column = |name, kind| json!({"name": name, "json": name, "type": kind, "doc": "A column of the test."});
        let schema = json!({
            "resource": "values", "doc": "Values of the test.", "path": "/values", "item_path": "/values/{key}",
            "partitioned": false, "key": ["id"], "columns": [column("id", "string"), column("x", kind)],
        });
        fs::write(schemas.join("values.json"), schema.to_string()).unwrap();
        Self { lake, api: ScriptedApi::start(), schemas }
    }

    fn sync(&self) -> Synced {
        Sync::of(&self.lake, &self.api.url(), "values").schemas(self.schemas.clone()).run()
    }

    /// Serves these JSON texts, syncs, and gives what DuckDB finds for each: text of the value, and `_extra`.
    fn stored(&self, values: &[String]) -> BTreeMap<usize, (String, Option<String>)> {
        let records: Vec<String> =
            values.iter().enumerate().map(|(n, x)| format!(r#"{{"id":"{n}","x":{x}}}"#)).collect();
        self.api.serve("/values", format!("[{}]", records.join(",")));
        let synced = self.sync();
        assert_eq!(synced.ended.code, Some(0), "{}{}", synced.ended.stdout, synced.ended.stderr);
        let sql = format!("SELECT id, CAST(x AS VARCHAR), _extra FROM {}", self.lake.scan("current", "values"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let stored =
            |row: Vec<Value>| (text(&row[0]).unwrap().parse().unwrap(), (text(&row[1]).unwrap(), text(&row[2])));
        DuckDb::start().query(&sql).rows.into_iter().map(stored).collect()
    }
}

/// A number as its sign, its significant digits and their power of ten: equal for equal numbers, however written.
fn canonical(number: &str) -> (bool, String, i64) {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |number| (true, number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let exponent: i64 = exponent.trim_start_matches('+').parse().unwrap();
    (negative, significant.to_owned(), exponent - fraction.len() as i64 + trailing as i64)
}

/// Numbers at the edges of what a column holds, and forms that are easily misread.
const EDGES: [&str; 24] = [
    "0",
    "-0",
    "0.0",
    "-0.000000000000000000000",
    "0e99999999999999999999",
    "0E-99999999999999999999",
    "1e-18",
    "-1E-18",
    "0.000000000000000001",
    "10e-19",
    "0.00000000000000000100000",
    "99999999999999999999",
    "-99999999999999999999",
    "99999999999999999999.999999999999999999",
    "-99999999999999999999.999999999999999999",
    "9.9999999999999999999999999999999999999e19",
    "99999999999999999999999999999999999999e-18",
    "1e19",
    "1E+19",
    "1e0000000000000000000000000000019",
    "10000000000000000000",
    "0.1",
    "9007199254740993",
    "12345678901234567.89",
];

/// A number with at most 20 digits before the point and 18 after it, in one of the forms that JSON allows.
fn number(random: &mut Random) -> String {
    let fraction = random.below(19);
    let whole = if random.one_in(8) { 20 } else { random.below(21) };
    let digits = random.digits(whole + fraction);
    let sign = if random.one_in(3) { "-" } else { "" };
    let body = match random.below(3) {
        0 => with_exponent(random, &digits, fraction as i64),
        _ => {
            let (whole, fraction) = digits.split_at(whole as usize);
            let zeros = if random.one_in(4) { random.below(25) as usize } else { 0 };
            let (whole, fraction) = (without_leading_zeros(whole), format!("{fraction}{}", "0".repeat(zeros)));
            if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
        }
    };
    format!("{sign}{body}")
}

/// `digits` × 10^-`scale`, with the point anywhere and an exponent that makes up for it.
fn with_exponent(random: &mut Random, digits: &str, scale: i64) -> String {
    let padded = format!("{digits}{}", "0".repeat(random.below(4) as usize));
    let point = random.below(padded.len() as u64 + 1) as usize;
    let (whole, fraction) = padded.split_at(point);
    let exponent = digits.len() as i64 - scale - point as i64;
    let zeros = "0".repeat(random.below(3) as usize);
    let sign = if exponent < 0 { "-" } else { random.pick(&["", "+"]) };
    let point = if fraction.is_empty() { "" } else { "." };
    let letter = random.pick(&["e", "E"]);
    format!("{}{point}{fraction}{letter}{sign}{zeros}{}", without_leading_zeros(whole), exponent.abs())
}

fn without_leading_zeros(whole: &str) -> String {
    let whole = whole.trim_start_matches('0');
    if whole.is_empty() { "0".to_owned() } else { whole.to_owned() }
}

/// A number that no column holds: too many digits, before or behind the point.
fn misfit(random: &mut Random) -> String {
    let last = random.between(1, 9);
    match random.below(4) {
        0 => format!("0.{}{last}", random.digits(18)),
        1 => format!("{last}{}", random.digits(20)),
        2 => format!("{last}e-{}", 19 + random.below(400)),
        _ => format!("-{last}.{}E{}", random.digits(3), 20 + random.below(400)),
    }
}

#[test]
fn the_measure_itself_tells_numbers_apart() {
    for (a, b) in [("1840.00", "1.84E+3"), ("0.10", "1e-1"), ("-0", "0.0e5"), ("100", "1e2"), ("-20.5", "-205e-1")] {
        assert_eq!(canonical(a), canonical(b));
    }
    for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.01"), ("12", "21"), ("1e19", "1e18")] {
        assert_ne!(canonical(a), canonical(b));
    }
}

#[test]
fn a_hundred_thousand_numbers_come_back_exact_and_what_does_not_fit_is_set_aside_whole() {
    let mut random = Random::seeded(20_260_511);
    let values = Values::new("decimal");
    let mut numbers: Vec<String> = EDGES.iter().map(|text| (*text).to_owned()).collect();
    numbers.extend((numbers.len()..COUNT).map(|_| number(&mut random)));
    let fit = numbers.len();
    numbers.extend((0..80).map(|_| misfit(&mut random)));
    let stored = values.stored(&numbers);
    assert!(stored.keys().copied().eq(0..fit), "{} of {fit} numbers are in the lake", stored.len());
    for (n, (text, extra)) in &stored {
        assert_eq!(canonical(text), canonical(&numbers[*n]), "{} became {text}", numbers[*n]);
        assert!(extra.is_none() && text.split_once('.').is_some_and(|(_, fraction)| fraction.len() == 18), "{text}");
    }
    let rows = DuckDb::start().query(&format!("SELECT key, text FROM {}", values.lake.quarantine("values"))).rows;
    let aside: BTreeMap<usize, String> = rows
        .iter()
        .map(|row| (row[0].as_str().unwrap().parse().unwrap(), row[1].as_str().unwrap().to_owned()))
        .collect();
    assert!(aside.keys().copied().eq(fit..numbers.len()), "{} in quarantine", rows.len());
    for (n, text) in aside {
        assert_eq!(text, format!(r#"{{"id":"{n}","x":{}}}"#, numbers[n]));
    }
}

/// A moment, in microseconds since 1970, as the Gregorian calendar of all years has it.
fn calendar(micros: i64) -> String {
    let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    // Years that begin in March, in eras of 400 of them.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// 0001-01-01T00:00:00 and the last microsecond of 9999.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_300_799_999_999;
const HOUR: i64 = 3_600_000_000;

/// A time as JSON text, the moment that it means, and the digits beyond the microsecond.
fn time(random: &mut Random) -> (String, i64, bool) {
    let micros = match random.below(10) {
        0 => random.between(FIRST, FIRST + 40 * HOUR),
        1 => random.between(LAST - 40 * HOUR, LAST),
        2 => random.between(-HOUR, HOUR),
        3..6 => random.between(1_577_836_800_000_000, 1_893_456_000_000_000),
        _ => random.between(FIRST, LAST),
    };
    let digits = random.below(10) as usize;
    // Digits that are not written are no part of the moment.
    let shown = 10_i64.pow(6_usize.saturating_sub(digits) as u32);
    let micros = micros.div_euclid(shown) * shown;
    let beyond = random.digits(3)[..digits.saturating_sub(6)].to_owned();
    let minutes = random.between(-23 * 60 - 59, 23 * 60 + 59);
    let (east, zone) = match random.below(7) {
        0 => (0, String::new()),
        1 | 2 => (0, "Z".to_owned()),
        3 => (0, (random.pick(&["+00:00", "-00:00", "z"])).to_owned()),
        4 => (minutes, format!("{}{:02}{:02}", sign(minutes), minutes.abs() / 60, minutes.abs() % 60)),
        _ => (minutes, format!("{}{:02}:{:02}", sign(minutes), minutes.abs() / 60, minutes.abs() % 60)),
    };
    let written = micros + east * 60_000_000;
    if !(FIRST..=LAST).contains(&written) {
        return time(random);
    }
    let local = calendar(written);
    let (seconds, fraction) = local.split_once('.').unwrap();
    let fraction = format!("{}{beyond}", &fraction[..digits.min(6)]);
    let seconds = seconds.replace(' ', random.pick(&["T", "T", "T", " "]));
    let point = if digits == 0 { "" } else { "." };
    (format!("\"{seconds}{point}{fraction}{zone}\""), micros, beyond.bytes().any(|digit| digit != b'0'))
}

fn sign(minutes: i64) -> char {
    if minutes < 0 { '-' } else { '+' }
}

#[test]
fn the_calendar_of_the_test_is_the_calendar() {
    for (micros, text) in [
        (0, "1970-01-01 00:00:00.000000"),
        (FIRST, "0001-01-01 00:00:00.000000"),
        (LAST, "9999-12-31 23:59:59.999999"),
        (951_782_400_000_000, "2000-02-29 00:00:00.000000"),
        (-1, "1969-12-31 23:59:59.999999"),
        (-11_670_998_400_000_000, "1600-02-29 00:00:00.000000"),
        (1_778_494_530_120_000, "2026-05-11 10:15:30.120000"),
    ] {
        assert_eq!(calendar(micros), text);
    }
}

#[test]
fn a_hundred_thousand_times_come_back_exact_and_finer_digits_keep_their_text() {
    let mut random = Random::seeded(20_260_512);
    let values = Values::new("timestamp");
    let times: Vec<(String, i64, bool)> = (0..COUNT).map(|_| time(&mut random)).collect();
    let texts: Vec<String> = times.iter().map(|(text, ..)| text.clone()).collect();
    let stored = values.stored(&texts);
    assert!(stored.keys().copied().eq(0..COUNT), "{} of {COUNT} times are in the lake", stored.len());
    for (n, (found, extra)) in &stored {
        let (text, micros, finer) = &times[*n];
        assert_eq!(timestamp(found), calendar(*micros), "{text}");
        assert_eq!(extra.clone(), finer.then(|| format!(r#"{{"x":{text}}}"#)), "{text}");
    }
}

#[test]
fn a_time_that_lies_outside_the_years_1_to_9999_is_set_aside() {
    let outside =
        ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-12-31T23:59:59Z", "10000-01-01T00:00:00Z"];
    let values = Values::new("timestamp");
    let mut times = vec![r#""2026-05-11T10:15:30Z""#.to_owned()];
    times.extend(outside.iter().map(|text| format!("\"{text}\"")));
    let stored = values.stored(&times);
    assert_eq!(
        stored.into_iter().map(|(n, (text, _))| (n, text)).collect::<Vec<_>>(),
        [(0, "2026-05-11 10:15:30+00".into())]
    );
}

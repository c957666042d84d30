//! Lines at the foot of a terminal, one a resource, that say how far a run has come.
//!
//! ```text
//! accounts            1.2 MiB       4,000 records  unchanged
//! deposits          123.4 MiB     412,345 records    12.3 MiB/s  42 s left
//! ```
//!
//! In: a run's progress. Out: nothing that stays. The lines are drawn now and then, below whatever else is told, and are gone
//! when the run has ended, or the process. The cursor stands below them, so that a key that is echoed, as that of
//! an interruption, does not run into them.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::termios::tcgetwinsize;

use crate::{
    figure,
    sync::{Glimpse, Progress, Stage, Step},
};

/// Between two drawings. What is over before the first is not worth a line.
const INTERVAL: Duration = Duration::from_millis(250);
/// A rate is that of about so long.
const RATE_OVER: Duration = Duration::from_secs(3);
/// Of a terminal that does not say how large it is: columns and rows.
const SIZE: (usize, usize) = (80, 24);

/// What stands at the foot of the terminal. Whoever writes to the terminal holds it.
static FOOT: Mutex<Option<Foot>> = Mutex::new(None);

/// Lines that are shown until this is dropped.
#[derive(Debug)]
pub struct Shown(());

struct Foot {
    progress: Arc<Progress>,
    /// Whose run it is.
    profile: Option<String>,
    /// How fast each resource comes.
    paces: HashMap<String, Pace>,
    /// Lines that stand there.
    drawn: usize,
}

/// How fast something grows, more by what was seen last than by what was seen before.
struct Pace {
    bytes: u64,
    seen_at: Instant,
    bytes_per_second: f64,
}

impl Shown {
    /// Shows how far a run has come; one at a time.
    #[must_use]
    pub(super) fn start(progress: &Arc<Progress>, profile: Option<&str>) -> Self {
        let progress = progress.clone();
        *foot() = Some(Foot {
            progress: progress.clone(),
            profile: profile.map(str::to_owned),
            paces: HashMap::new(),
            drawn: 0,
        });
        let draw = move || {
            loop {
                thread::sleep(INTERVAL);
                match &mut *foot() {
                    Some(foot) if Arc::ptr_eq(&foot.progress, &progress) => foot.draw(),
                    _ => return,
                }
            }
        };
        // Where there is no thread to be had, there are no lines.
        drop(thread::Builder::new().name("lines".to_owned()).spawn(draw));
        Self(())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        hide();
    }
}

/// Takes the lines away that are shown, as before the process ends.
pub fn hide() {
    if let Some(mut foot) = foot().take() {
        foot.clear();
    }
}

/// Does something to the terminal where the lines are, which come again below it.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    let mut foot = foot();
    if let Some(foot) = &mut *foot {
        foot.clear();
    }
    write()
}

fn foot() -> MutexGuard<'static, Option<Foot>> {
    FOOT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Foot {
    fn clear(&mut self) {
        let text = self.redrawn(&[]);
        write(&text);
    }

    fn draw(&mut self) {
        let (columns, rows) = size();
        let now = Instant::now();
        // One row is the cursor's.
        let glimpses = fitting(self.progress.glimpses(), rows.saturating_sub(1));
        let lines: Vec<String> = glimpses.iter().map(|glimpse| self.line(glimpse, columns, now)).collect();
        let text = self.redrawn(&lines);
        write(&text);
    }

    /// As much of a resource's line as fits without a line break of the terminal's own.
    fn line(&mut self, glimpse: &Glimpse, columns: usize, now: Instant) -> String {
        let new = || Pace { bytes: glimpse.bytes, seen_at: now, bytes_per_second: 0.0 };
        let pace = self.paces.entry(glimpse.resource.clone()).or_insert_with(new);
        pace.see(glimpse.bytes, now);
        let line = text(glimpse, pace.bytes_per_second);
        let line = self.profile.as_ref().map_or_else(|| line.clone(), |profile| format!("{profile}/{line}"));
        line.chars().take(columns.saturating_sub(1)).collect()
    }

    /// What puts these lines in the place of those that stand there, and of what was typed below them.
    fn redrawn(&mut self, lines: &[String]) -> String {
        let mut text = match self.drawn {
            0 => String::new(),
            drawn => format!("\r\x1b[{drawn}A\x1b[J"),
        };
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        text
    }
}

impl Pace {
    fn see(&mut self, bytes: u64, now: Instant) {
        let seconds = now.duration_since(self.seen_at).as_secs_f64();
        let Some(more) = bytes.checked_sub(self.bytes) else {
            // It has begun anew.
            *self = Self { bytes, seen_at: now, bytes_per_second: 0.0 };
            return;
        };
        if seconds > 0.0 {
            let rate = more as f64 / seconds;
            let weight =
                if self.bytes_per_second > 0.0 { 1.0 - (-seconds / RATE_OVER.as_secs_f64()).exp() } else { 1.0 };
            self.bytes_per_second += weight * (rate - self.bytes_per_second);
            (self.bytes, self.seen_at) = (bytes, now);
        }
    }
}

/// In one piece, so that nothing flickers. That a terminal has gone is no reason not to go on.
fn write(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Columns and rows.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE,
    }
}

/// Of the resources that have begun those for which there is room: what has ended goes first.
fn fitting(mut glimpses: Vec<Glimpse>, room: usize) -> Vec<Glimpse> {
    glimpses.retain(|glimpse| glimpse.step != Step::Waits);
    if glimpses.len() > room {
        glimpses.retain(|glimpse| !matches!(glimpse.step, Step::Ended(_)));
        glimpses.truncate(room);
    }
    glimpses
}

/// A resource's line: 80 columns are enough for a terabyte.
fn text(glimpse: &Glimpse, bytes_per_second: f64) -> String {
    let Glimpse { resource, step, bytes, expected, records } = glimpse;
    let received = if *bytes == 0 && *records == 0 {
        String::new()
    } else {
        format!("{:>11}{:>20}", figure::bytes(*bytes), figure::plural(*records, "record ", "records"))
    };
    let state = match step {
        Step::Waits => "waiting".to_owned(),
        Step::Begun(Stage::Settle) => "settling".to_owned(),
        Step::Begun(Stage::Poll) if received.is_empty() => "waiting for the API".to_owned(),
        Step::Begun(Stage::Poll) => {
            let rate = format!("{}/s", figure::bytes(bytes_per_second as u64));
            let rest = expected.map(|whole| whole.saturating_sub(*bytes));
            match rest.and_then(|rest| left(rest, bytes_per_second)) {
                Some(left) => format!("{rate:>12}  {left} left"),
                None => format!("{rate:>12}"),
            }
        }
        Step::Begun(Stage::Commit) => "committing".to_owned(),
        Step::Begun(Stage::Project) => "projecting".to_owned(),
        Step::Ended(outcome) => outcome.to_string(),
    };
    format!("{resource:<16}{received:<31}  {state}")
}

/// How long so many bytes take, in whole seconds; `None` if that cannot be foretold.
fn left(bytes: u64, bytes_per_second: f64) -> Option<String> {
    let seconds = Duration::try_from_secs_f64(bytes as f64 / bytes_per_second).ok()?.as_secs();
    Some(if seconds == 0 {
        "0 s".to_owned()
    } else {
        figure::span(i64::try_from(seconds).ok()?.checked_mul(1_000_000)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::ResourceOutcome;

    const SECOND: Duration = Duration::from_secs(1);

    fn glimpse(step: Step, bytes: u64, expected: Option<u64>, records: u64) -> Glimpse {
        Glimpse { resource: "payment_routes".to_owned(), step, bytes, expected, records }
    }

    #[test]
    fn a_line_says_what_is_known_and_fits_80_columns() {
        let poll = Step::Begun(Stage::Poll);
        let whole = Some(1 << 30);
        let rows = [
            (glimpse(Step::Begun(Stage::Settle), 0, None, 0), 0.0, "settling"),
            (glimpse(poll, 0, None, 0), 0.0, "waiting for the API"),
            (glimpse(poll, 900, None, 1), 900.0, "900 bytes           1 record    900 bytes/s"),
            (glimpse(poll, 1 << 29, whole, 1_234_567), 1e7, "512.0 MiB   1,234,567 records     9.5 MiB/s  53 s left"),
            (glimpse(poll, 1 << 29, whole, 1_234_567), 0.0, "512.0 MiB   1,234,567 records     0 bytes/s"),
            (glimpse(poll, 1 << 30, whole, 2), 1e7, "1.0 GiB           2 records     9.5 MiB/s  0 s left"),
            (
                glimpse(poll, 1023 << 30, Some(9 << 40), 123_456_789),
                1e8,
                "1023.0 GiB 123,456,789 records    95.3 MiB/s  1 d left",
            ),
            (glimpse(Step::Begun(Stage::Commit), 900, None, 2), 0.0, "900 bytes           2 records  committing"),
            (
                glimpse(Step::Ended(ResourceOutcome::Unchanged), 2, None, 0),
                0.0,
                "2 bytes           0 records  unchanged",
            ),
        ];
        for (glimpse, bytes_per_second, expected) in rows {
            let line = text(&glimpse, bytes_per_second);
            assert!(line.len() < 80, "{line}");
            assert_eq!((&line[..16], line[16..].trim()), ("payment_routes  ", expected), "{line}");
        }
        assert_eq!(left(u64::MAX, 0.5), None, "a time that no clock can tell");
    }

    #[test]
    fn what_is_under_way_is_shown_before_what_has_ended() {
        let ended = Step::Ended(ResourceOutcome::Committed);
        let steps = [ended, Step::Begun(Stage::Poll), Step::Begun(Stage::Commit), Step::Waits];
        let shown = |room| {
            let glimpses = fitting(steps.map(|step| glimpse(step, 0, None, 0)).to_vec(), room);
            glimpses.iter().map(|glimpse| glimpse.step).collect::<Vec<_>>()
        };
        assert_eq!((shown(3), shown(2)), (steps[..3].to_vec(), steps[1..3].to_vec()));
        assert_eq!((shown(1), shown(0)), (steps[1..2].to_vec(), Vec::new()));
    }

    #[test]
    fn a_pace_follows_what_comes() {
        let began = Instant::now();
        let mut pace = Pace { bytes: 0, seen_at: began, bytes_per_second: 0.0 };
        let mut see = |bytes, second| {
            pace.see(bytes, began + second * SECOND);
            pace.bytes_per_second.round()
        };
        assert_eq!((see(0, 1), see(1000, 2), see(2000, 3)), (0.0, 1000.0, 1000.0));
        assert!((1100.0..1500.0).contains(&see(4000, 4)), "it does not leap");
        assert!(see(4000, 30) < 1.0, "nor stay when nothing comes");
        assert_eq!((see(10, 31), see(510, 32)), (0.0, 500.0), "another attempt begins anew");
    }

    #[test]
    fn lines_take_the_place_of_those_before_them() {
        let mut foot = Foot { progress: Arc::default(), profile: None, paces: HashMap::new(), drawn: 0 };
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(foot.redrawn(&lines), "a\nb\n");
        assert_eq!(foot.redrawn(&lines[1..]), "\r\x1b[2A\x1b[Jb\n");
        assert_eq!((foot.redrawn(&[]), foot.redrawn(&[])), ("\r\x1b[1A\x1b[J".to_owned(), String::new()));
    }
}

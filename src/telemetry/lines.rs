//! Lines at the foot of a terminal, one a resource, that say how far a run has come.
//!
//! ```text
//! accounts          1.21 MiB         4,000 records  unchanged
//! deposits        123.40 MiB       412,345 records    12.30 MiB/s  42s left
//! ```
//!
//! In: a run's progress. Out: nothing that stays. The lines are drawn now and then, below whatever else is told, and are gone
//! when the run has ended, or the process.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use indicatif::{HumanBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

use crate::sync::{Glimpse, Progress, Stage, Step};

/// Between two drawings. What is over before the first is not worth a line.
const INTERVAL: Duration = Duration::from_millis(250);
/// A poll that slower than this, in bytes a second, is not on its way to an end that could be foretold.
const RATE_MIN: f64 = 1.0;

/// What stands at the foot of the terminal. Whoever writes to the terminal holds it.
static FOOT: Mutex<Option<Foot>> = Mutex::new(None);

/// Lines that are shown until this is dropped.
#[derive(Debug)]
pub struct Shown(());

struct Foot {
    progress: Arc<Progress>,
    lines: MultiProgress,
    /// The line of each resource that has one.
    bars: HashMap<String, ProgressBar>,
}

impl Shown {
    /// Shows how far a run has come; one at a time.
    #[must_use]
    pub(super) fn start(progress: &Arc<Progress>) -> Self {
        let progress = progress.clone();
        *foot() = Some(Foot::new(progress.clone()));
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
    if let Some(foot) = foot().take() {
        foot.clear();
        // Or else they would be drawn once more, one after the other, as they go.
        foot.lines.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Does something to the terminal where the lines are, which come again below it.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    let foot = foot();
    if let Some(foot) = &*foot {
        foot.clear();
    }
    write()
}

fn foot() -> MutexGuard<'static, Option<Foot>> {
    FOOT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Foot {
    fn new(progress: Arc<Progress>) -> Self {
        Self { progress, lines: MultiProgress::new(), bars: HashMap::new() }
    }

    /// That a terminal has gone is no reason not to go on.
    fn clear(&self) {
        drop(self.lines.clear());
    }

    fn draw(&mut self) {
        let mut glimpses = self.progress.glimpses();
        glimpses.retain(|glimpse| glimpse.step != Step::Waits);
        // What does not fit is not drawn, from the bottom on.
        let rows = tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_row));
        let is_crowded = glimpses.len() > rows;
        for glimpse in glimpses {
            if is_crowded && matches!(glimpse.step, Step::Ended(_)) {
                if let Some(bar) = self.bars.remove(&glimpse.resource) {
                    self.lines.remove(&bar);
                }
                continue;
            }
            let bar = self.bars.entry(glimpse.resource.clone()).or_insert_with(|| self.lines.add(line_of_text()));
            bar.set_position(glimpse.bytes);
            bar.set_message(text(&glimpse, bar.per_sec()));
        }
    }
}

/// A line with nothing but its text, as far as that fits.
fn line_of_text() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::no_length().with_style(style)
}

/// A resource's line: 80 columns are enough for a terabyte.
fn text(glimpse: &Glimpse, bytes_per_second: f64) -> String {
    let Glimpse { resource, step, bytes, expected, records } = glimpse;
    let received = if *bytes == 0 && *records == 0 {
        String::new()
    } else {
        let unit = if *records == 1 { "record " } else { "records" };
        format!("{:>10}{:>14} {unit}", HumanBytes(*bytes).to_string(), HumanCount(*records).to_string())
    };
    let state = match step {
        Step::Waits => "waiting".to_owned(),
        Step::Begun(Stage::Settle) => "settling".to_owned(),
        Step::Begun(Stage::Poll) if received.is_empty() => "waiting for the API".to_owned(),
        Step::Begun(Stage::Poll) => {
            let rate = format!("{}/s", HumanBytes(bytes_per_second as u64));
            let rest = expected.filter(|_| bytes_per_second >= RATE_MIN).map(|whole| whole.saturating_sub(*bytes));
            match rest.and_then(|rest| Duration::try_from_secs_f64(rest as f64 / bytes_per_second).ok()) {
                Some(left) => format!("{rate:>12}  {:#} left", HumanDuration(left)),
                None => format!("{rate:>12}"),
            }
        }
        Step::Begun(Stage::Commit) => "committing".to_owned(),
        Step::Begun(Stage::Project) => "projecting".to_owned(),
        Step::Ended(outcome) => outcome.to_string(),
    };
    format!("{resource:<16}{received:<32}  {state}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::ResourceOutcome;

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
            (glimpse(poll, 900, None, 1), 900.0, "     900 B             1 record        900 B/s"),
            (glimpse(poll, 1 << 29, whole, 1_234_567), 1e7, "512.00 MiB     1,234,567 records    9.54 MiB/s  54s left"),
            (glimpse(poll, 1 << 29, whole, 1_234_567), 0.0, "512.00 MiB     1,234,567 records         0 B/s"),
            (glimpse(poll, 1 << 30, whole, 2), 1e7, "  1.00 GiB             2 records    9.54 MiB/s  0s left"),
            (
                glimpse(poll, 1 << 40, Some(2 << 40), 1_234_567_890),
                1e9,
                "  1.00 TiB 1,234,567,890 records  953.67 MiB/s  18m left",
            ),
            (glimpse(Step::Begun(Stage::Commit), 900, None, 2), 0.0, "     900 B             2 records  committing"),
            (
                glimpse(Step::Ended(ResourceOutcome::Unchanged), 2, None, 0),
                0.0,
                "       2 B             0 records  unchanged",
            ),
        ];
        for (glimpse, bytes_per_second, expected) in rows {
            let line = text(&glimpse, bytes_per_second);
            assert!(line.len() < 80, "{line}");
            let (resource, rest) = line.split_at(16);
            assert_eq!((resource, rest.trim_end()), ("payment_routes  ", expected), "{line}");
        }
    }
}

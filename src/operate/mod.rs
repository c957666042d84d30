//! Runs that follow one another in one process, for as long as nobody stops it (`sync --every`), and what is told of them.
//!
//! ```text
//!            ┌──────────── due, or the settings were read again ────────────┐
//! Schedule ──┴─▶ sync::run ──▶ Witness: metrics, history, webhook ──▶ Schedule
//!                    └── asked to stop: what is being written is written, the rest is dropped
//! ```
//!
//! Runs never overlap. A run's failure does not end the process, unless it is the first and the settings are wrong.

mod message;
mod requests;
mod schedule;
#[cfg(test)]
mod tests;
mod trace;
mod witness;

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;

use self::schedule::{Outcome, Schedule};
pub use self::{
    requests::Requests,
    witness::{Witness, past_runs},
};
use crate::{
    config::{Config, ConfigError},
    error::{Error, Kind},
    metrics::Endpoint,
    sync::{self, Ambient, Brake, PastRun, Report, Stopwatch},
    telemetry,
};

/// Syncs once, and shows meanwhile how far that has come, if somebody looks on.
///
/// # Errors
///
/// As [`sync::run`].
pub async fn sync_shown(config: &Config, ambient: &Ambient, brake: &Brake) -> Result<Report, Error> {
    let progress = Arc::default();
    let _shown = telemetry::show(&progress, config.profile.as_deref());
    sync::run(config, ambient, brake, &progress).await
}

/// Syncs at once and then every `period` until it is asked to stop, and gives the exit code that it was asked to stop with. With
/// several profiles a run is of all of them, one after the other. Settings come from `load`, at the start and whenever they are to
/// be read again; what comes of each run goes to `tell`.
///
/// # Errors
///
/// If the settings cannot be used at the start, or of no profile by the first run: [`Kind::Settings`].
pub async fn run(
    period: Duration,
    load: impl Fn() -> Result<Vec<Config>, ConfigError> + Send,
    ambient: &Ambient,
    requests: &Requests,
    tell: impl Fn(&Config, &Result<Report, Error>) + Send + Sync,
) -> Result<u8, Error> {
    let configs = load()?;
    let mut witness = Witness::new(&configs).await;
    // All profiles have the same.
    if let Some(address) = configs.first().and_then(|config| config.operating.metrics_listen) {
        let endpoint = Endpoint::listen(address, witness.metrics()).await;
        let endpoint = endpoint.map_err(|error| ConfigError::Invalid {
            setting: "operate.metrics_listen",
            problem: format!("nobody can ask for metrics at {address}: {error}"),
        })?;
        tracing::info!(address = %endpoint.address(), "metrics can be asked for");
        witness.publish_at(endpoint);
    }
    notify(&[NotifyState::Ready, NotifyState::Status("the first run is under way")]);
    keep_the_watchdog_quiet();
    let mut operation = Operation { configs, load, ambient, witness, tell, is_first: true };
    go_on(&mut operation, period, || ambient.random() as u64, requests).await
}

/// What is done, time after time.
trait Work {
    /// Runs, and says what came of it.
    ///
    /// # Errors
    ///
    /// If there is no use in running again.
    fn run(&mut self, brake: &Brake) -> impl Future<Output = Result<Outcome, Error>> + Send;

    /// Reads the settings again.
    fn reload(&mut self);

    /// Takes note of how long it is until the next run, and of how many were left out before it.
    fn wait(&mut self, pause: Duration, missed: u64);
}

/// Runs when it is due, or at once when the settings were read again. Stops between runs, or in a run that has the brake put
/// on.
async fn go_on(
    work: &mut impl Work,
    period: Duration,
    chance: impl Fn() -> u64,
    requests: &Requests,
) -> Result<u8, Error> {
    let (clock, mut schedule) = (Stopwatch::start(), Schedule::new(period));
    let mut due = Duration::ZERO;
    let stopped = async || {
        let exit_code = requests.stopped().await;
        notify(&[NotifyState::Stopping]);
        exit_code
    };
    loop {
        tokio::select! {
            biased;
            exit_code = stopped() => return Ok(exit_code),
            () = requests.reloaded() => work.reload(),
            () = clock.reach(due) => {}
        }
        let brake = Brake::default();
        let stopped_safely = async {
            let exit_code = stopped().await;
            brake.pull().await;
            exit_code
        };
        let outcome = tokio::select! {
            outcome = work.run(&brake) => outcome?,
            exit_code = stopped_safely => return Ok(exit_code),
        };
        let now = clock.elapsed();
        let next = schedule.next(now, outcome, chance());
        due = next.due;
        work.wait(due.saturating_sub(now), next.missed);
    }
}

/// Syncs.
struct Operation<'a, L, T> {
    configs: Vec<Config>,
    load: L,
    ambient: &'a Ambient,
    witness: Witness,
    tell: T,
    is_first: bool,
}

impl<L, T> Work for Operation<'_, L, T>
where
    L: Fn() -> Result<Vec<Config>, ConfigError> + Send,
    T: Fn(&Config, &Result<Report, Error>) + Send + Sync,
{
    async fn run(&mut self, brake: &Brake) -> Result<Outcome, Error> {
        let is_first = std::mem::take(&mut self.is_first);
        let (mut outcomes, mut unusable) = (Vec::new(), Vec::new());
        for config in &self.configs {
            let (started_at, began) = (self.ambient.now(), Stopwatch::start());
            let ended = telemetry::within_profile(config, sync_shown(config, self.ambient, brake)).await;
            outcomes.push(outcome_of(&ended));
            let is_unusable = is_first && ended.as_ref().is_err_and(|error| error.kind() == Kind::Settings);
            // Without a profile, it is what the process ends with.
            if !is_unusable || config.profile.is_some() {
                (self.tell)(config, &ended);
                self.witness.note(config, PastRun::of(started_at, began, &ended), &ended).await;
            }
            unusable.extend(ended.err().filter(|_| is_unusable));
        }
        match unusable.pop() {
            Some(error) if unusable.len() + 1 == self.configs.len() => Err(error),
            _ => Ok(outcome_of_all(&outcomes)),
        }
    }

    fn reload(&mut self) {
        let reloaded = (self.load)();
        let successfully = reloaded.is_ok();
        match reloaded {
            Ok(configs) => self.configs = configs,
            Err(error) => tracing::error!(%error, "the settings cannot be used; those from before are kept"),
        }
        self.witness.reloaded(&self.configs, successfully);
    }

    fn wait(&mut self, pause: Duration, missed: u64) {
        if missed > 0 {
            tracing::warn!(missed, "the run took longer than the period; what was due meanwhile is left out");
        }
        let due = self.ambient.now() + pause;
        self.witness.next_run(&self.configs, due, missed);
        notify(&[NotifyState::Status(&format!("the next run is due at {}", due.format("%Y-%m-%d %H:%M:%SZ")))]);
    }
}

/// One resource that comes through is reason enough to keep to the period: what ails another is no reason to let it wait.
fn outcome_of(ended: &Result<Report, Error>) -> Outcome {
    match ended {
        Err(error) => Outcome::Nothing(error.kind()),
        Ok(report) => match report.kind() {
            Some(kind) if report.failures().count() == report.resources.len() => Outcome::Nothing(kind),
            _ => Outcome::Progress,
        },
    }
}

/// The same of several profiles.
fn outcome_of_all(outcomes: &[Outcome]) -> Outcome {
    let failed: Option<Vec<_>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Nothing(kind) => Some(*kind),
            Outcome::Progress => None,
        })
        .collect();
    failed.and_then(|kinds| Kind::gravest(kinds.into_iter())).map_or(Outcome::Progress, Outcome::Nothing)
}

/// Tells systemd, if it has started us.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// Tells systemd, if it wants to know, that there is life in this process.
fn keep_the_watchdog_quiet() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        loop {
            notify(&[NotifyState::Watchdog]);
            tokio::time::sleep(limit / 2).await;
        }
    });
}

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
    let _shown = telemetry::show(&progress);
    sync::run(config, ambient, brake, &progress).await
}

/// Syncs at once and then every `period` until it is asked to stop, and gives the exit code that it was asked to stop with.
/// Settings come from `load`, at the start and whenever they are to be read again; what comes of each run goes to `tell`.
///
/// # Errors
///
/// If the settings cannot be used at the start, or not by the first run: [`Kind::Settings`].
pub async fn run(
    period: Duration,
    load: impl Fn() -> Result<Config, ConfigError> + Send,
    ambient: &Ambient,
    requests: &Requests,
    tell: impl Fn(&Result<Report, Error>) + Send,
) -> Result<u8, Error> {
    let config = load()?;
    let mut witness = Witness::new(&config).await;
    if let Some(address) = config.operating.metrics_listen {
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
    let mut operation = Operation { config, load, ambient, witness, tell, is_first: true };
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
    config: Config,
    load: L,
    ambient: &'a Ambient,
    witness: Witness,
    tell: T,
    is_first: bool,
}

impl<L, T> Work for Operation<'_, L, T>
where
    L: Fn() -> Result<Config, ConfigError> + Send,
    T: Fn(&Result<Report, Error>) + Send,
{
    async fn run(&mut self, brake: &Brake) -> Result<Outcome, Error> {
        let (started_at, began) = (self.ambient.now(), Stopwatch::start());
        let ended = sync_shown(&self.config, self.ambient, brake).await;
        if std::mem::take(&mut self.is_first)
            && let Err(error) = &ended
            && error.kind() == Kind::Settings
        {
            return ended.map(|_| Outcome::Progress);
        }
        (self.tell)(&ended);
        self.witness.note(&self.config, PastRun::of(started_at, began, &ended), &ended).await;
        Ok(outcome_of(&ended))
    }

    fn reload(&mut self) {
        let reloaded = (self.load)();
        self.witness.reloaded(&self.config, reloaded.is_ok());
        match reloaded {
            Ok(config) => self.config = config,
            Err(error) => tracing::error!(%error, "the settings cannot be used; those from before are kept"),
        }
    }

    fn wait(&mut self, pause: Duration, missed: u64) {
        if missed > 0 {
            tracing::warn!(missed, "the run took longer than the period; what was due meanwhile is left out");
        }
        let due = self.ambient.now() + pause;
        self.witness.next_run(&self.config, due, missed);
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

//! How the runs ended, and what holds whenever all of them have.

use std::sync::Arc;

use super::{
    api::SimulatedApi,
    checker,
    lists::{KINDS, Kind},
    plan::Weather,
    process::{Process, sleep},
    random::Random,
    stage::{Stage, Violation, violation},
    store::SimulatedStore,
};
use crate::{
    config::{Config, Environment, Flags},
    lake::Store,
    schema::Schemas,
    sync::{self, Brake, Progress, Report, ResourceOutcome},
};

/// The runs that have ended, and the ones that overlap at present.
#[derive(Default)]
pub(super) struct Runs {
    ended: Vec<Run>,
    active: u64,
    /// Whether anything but the runs themselves has touched the store since the first of those that overlap began.
    disturbed: bool,
    /// Where in `ended` those that overlap begin.
    batch: usize,
}

/// A run that has ended.
pub(super) struct Run {
    pub process: Arc<Process>,
    pub kinds: Vec<usize>,
    pub ending: Ending,
}

#[derive(Debug)]
pub(super) enum Ending {
    Crashed,
    /// It could not even begin.
    Failed {
        exit_code: u8,
        message: String,
    },
    Reported(Report),
}

impl Runs {
    pub(super) fn ended(&self) -> &[Run] {
        &self.ended
    }

    /// Somebody else than a run writes to the store.
    pub(super) fn disturb(&mut self) {
        self.disturbed = true;
    }

    fn begin(&mut self, disturbed: bool) {
        if self.active == 0 {
            (self.disturbed, self.batch) = (disturbed, self.ended.len());
        }
        self.active += 1;
    }

    /// Notes the end of a run. If no other is active and nothing else was, gives the kinds that all of them have synced.
    fn end(&mut self, run: Run) -> Vec<usize> {
        self.ended.push(run);
        self.active -= 1;
        if self.active > 0 || self.disturbed {
            return Vec::new();
        }
        let batch = &self.ended[self.batch..];
        let synced = |kind: &usize| {
            let mut runs = batch.iter().filter(|run| run.kinds.contains(kind)).peekable();
            runs.peek().is_some() && runs.all(|run| run.has_synced(*kind))
        };
        (0..KINDS.len()).filter(synced).collect()
    }
}

impl Run {
    pub(super) fn has_synced(&self, kind: usize) -> bool {
        let Ending::Reported(report) = &self.ending else { return false };
        let done = [ResourceOutcome::Committed, ResourceOutcome::Unchanged];
        report.resources.iter().any(|resource| Kind::of(&resource.resource) == kind && done.contains(&resource.outcome))
    }
}

/// One process of a writer, from its start to its end.
pub(super) struct Start {
    pub who: String,
    pub kinds: Vec<usize>,
    pub weather: Weather,
    pub accepts_removals: bool,
    /// Whether it may die at any moment, and not only at its operations.
    pub mortal: bool,
    pub random: Random,
}

/// Runs one process, and gives whether it crashed.
pub(super) async fn run(stage: &Arc<Stage>, start: Start) -> bool {
    let Start { who, kinds, weather, accepts_removals, mortal, mut random } = start;
    let config = config(stage, &kinds, accepts_removals);
    let killed_after_ms = (mortal && random.chance(weather.crashes)).then(|| random.below(3_000));
    let process = Arc::new(Process::new(stage, who, weather, accepts_removals, random));
    stage.note(&process.who, "begins", &names(&kinds), "", &[]);
    let disturbed = stage.late_writes() > 0;
    stage.runs().begin(disturbed);
    let killed = async {
        match killed_after_ms {
            Some(ms) => sleep(ms).await,
            None => std::future::pending().await,
        }
    };
    let store = Store::new(Arc::new(SimulatedStore(process.clone())), "the simulated lake");
    let (ambient, brake, api) = (process.ambient(), Brake::default(), SimulatedApi(process.clone()));
    let progress = Progress::default();
    let ending = tokio::select! {
        biased;
        () = process.crashed() => Ending::Crashed,
        () = killed => Ending::Crashed,
        ended = sync::sync(&config, &ambient, &brake, &progress, &api, store) => match ended {
            Ok(report) => Ending::Reported(report),
            Err(error) => Ending::Failed { exit_code: error.kind().exit_code(), message: error.to_string() },
        },
    };
    stage.note(&process.who, "ends", &names(&kinds), ending.name(), &[]);
    let crashed = matches!(ending, Ending::Crashed);
    stage.figures().count(if crashed { "runs that crashed" } else { "runs that ended" });
    let run = Run { process, kinds, ending };
    if let Err(violation) = run.check() {
        stage.report(violation);
    }
    let synced = stage.runs().end(run);
    for kind in synced {
        stage.figures().count("projections compared after quiet runs");
        if let Err(violation) = checker::projection_is_up_to_date(stage, kind) {
            stage.report(violation);
        }
    }
    crashed
}

fn names(kinds: &[usize]) -> String {
    kinds.iter().map(|kind| KINDS[*kind].name).collect::<Vec<_>>().join("+")
}

/// Settings as they come from no file, with what the plan says. Every column is kept: what the lake says is held to what the
/// API said.
fn config(stage: &Stage, kinds: &[usize], accepts_removals: bool) -> Config {
    thread_local! {
        static DEFAULTS: Config = {
            let mut config = Config::without_file(Flags::default(), &Environment::of(&[])).unwrap();
            config.resources = Schemas::builtin().unwrap().iter().cloned().collect();
            config
        };
    }
    let mut config = DEFAULTS.with(Config::clone);
    config.resources.retain(|resource| kinds.iter().any(|kind| KINDS[*kind].name == resource.name));
    config.granularity = stage.plan.granularity;
    config.limits.accept_removals = accepts_removals;
    config
}

impl Ending {
    fn name(&self) -> &'static str {
        match self {
            Ending::Crashed => "crashed",
            Ending::Failed { .. } => "failed",
            Ending::Reported(report) if report.exit_code() == 0 => "well",
            Ending::Reported(_) => "in part",
        }
    }
}

impl Run {
    /// A run may fail for what went wrong, and for nothing else. Without anything that goes wrong it does not fail at all.
    fn check(&self) -> Result<(), Violation> {
        match &self.ending {
            Ending::Crashed => Ok(()),
            Ending::Failed { exit_code, message } => self.allow(*exit_code, None, message),
            Ending::Reported(report) => report.resources.iter().try_for_each(|resource| match &resource.failure {
                Some(failure) => self.allow(failure.exit_code, Some(Kind::of(&resource.resource)), &failure.message),
                None => Ok(()),
            }),
        }
    }

    fn allow(&self, exit_code: u8, kind: Option<usize>, message: &str) -> Result<(), Violation> {
        use std::sync::atomic::Ordering::Relaxed;
        let Process { who, stage, store_failed, denied, api_failed, odd, .. } = self.process.as_ref();
        let name = match exit_code {
            65 => "runs that refused an answer",
            69 => "runs without an answer",
            74 => "runs that the store failed",
            75 => "runs that were outrun",
            77 => "runs that were denied",
            79 => "runs of unknown outcome",
            _ => "runs that failed otherwise",
        };
        stage.figures().count(name);
        let alone = stage.plan.writers == 1 && stage.plan.weather.crashes == 0 && stage.plan.weather.writes == 0;
        let allowed = match exit_code {
            65 => kind.is_some_and(|kind| odd.load(Relaxed) >> kind & 1 == 1),
            69 => api_failed.load(Relaxed),
            74 | 79 => store_failed.load(Relaxed),
            75 => stage.is_rough() && !alone,
            77 => denied.load(Relaxed) || api_failed.load(Relaxed),
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        Err(violation("a run fails only for what went wrong", format!("{who} exits with {exit_code}: {message}")))
    }
}

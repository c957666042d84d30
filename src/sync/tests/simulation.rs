//! One simulation from its seed to its verdict.
//!
//! ```text
//! seed ─▶ plan ─▶ writers, vandal, reader  ─ all at once, in virtual time ─▶ calm: a last run, and one that finds nothing ─▶ checker
//! ```
//!
//! Time is tokio's paused clock and there is one thread, so that all that happens is decided by the seed.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    checker,
    figures::Figures,
    glob::Reader,
    plan::{Plan, Weather},
    random::Random,
    runs::{Ending, Start, run},
    shelf::Mode,
    stage::{Stage, Violation, violation},
    trace::Trace,
    vandal::{forget, spoil},
    writers::write,
};
use crate::lake::{
    Identity, Probe,
    defect::{self, Defect},
};

/// What became of a seed.
pub(super) struct Verdict {
    pub seed: u64,
    pub plan: Plan,
    pub violation: Option<Violation>,
    pub figures: Figures,
    pub trace: Trace,
}

/// Virtual time after which a simulation should long have ended.
const END_MS: u64 = 48 * 3_600_000;

/// Simulates a seed, with the code as it is or with a defect.
pub(super) fn simulate(seed: u64, defect: Option<Defect>) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut random = Random::new(seed);
        let mut plan = Plan::new(&mut random);
        // What tries the store would find some defects, and is not what they are to be found by.
        plan.lake_is_there |= defect.is_some();
        let stage = Arc::new(Stage::new(seed, plan.clone(), &mut random));
        let played = tokio::time::timeout(std::time::Duration::from_millis(END_MS), play(&stage, random, defect)).await;
        let broken = match played {
            Ok(Ok(())) => None,
            Ok(Err(violation)) => Some(violation),
            Err(_) => Some(violation("a simulation ends", "it does not")),
        };
        defect::set(None);
        let violation = stage.violation().or(broken);
        let figures = std::mem::take(&mut *stage.figures());
        let trace = std::mem::take(&mut *stage.trace());
        // Each of them holds on to the stage.
        drop(std::mem::take(&mut *stage.runs()));
        Verdict { seed, plan, violation, figures, trace }
    })
}

async fn play(stage: &Arc<Stage>, mut random: Random, defect: Option<Defect>) -> Result<(), Violation> {
    if stage.plan.lake_is_there {
        make_lake(stage, &mut random);
    }
    defect::set(defect);
    let vandal = tokio::spawn(spoil(stage.clone(), random.fork()));
    let reader = tokio::spawn(Reader::new(stage.clone(), random.fork()).watch());
    join_all((0..stage.plan.writers).map(|writer| write(stage.clone(), writer, random.fork()))).await;
    vandal.abort();
    stage.settle().await;
    reader.abort();
    stage.calm();
    sync_in_calm(stage, "last", random.fork()).await?;
    let before = truth(stage);
    if stage.plan.forgets {
        forget(stage);
    }
    sync_in_calm(stage, "quiet", random.fork()).await?;
    if truth(stage) != before {
        return Err(violation("a run that finds nothing new commits nothing", "the second of two runs in calm did"));
    }
    match stage.violation() {
        Some(violation) => Err(violation),
        None => checker::check(stage).await,
    }
}

/// Makes the lake as a sync on a faultless store would, without the trial of the store, which takes long.
fn make_lake(stage: &Stage, random: &mut Random) {
    let plan = &stage.plan;
    let (id, at) = (u128::from(random.next()), stage.world_time());
    let probe = Probe { at, racers: 64, conditional_replace: plan.conditional_replace };
    let identity = Identity { probe: Some(probe), ..Identity::new(id, random.next(), at, plan.granularity) };
    let bytes = serde_json::to_vec(&identity).unwrap().into();
    stage.apply(&"maker".into(), "meta/lake.json", bytes, &Mode::Create).unwrap();
}

/// A run that nothing hinders, of all resources.
async fn sync_in_calm(stage: &Arc<Stage>, who: &str, random: Random) -> Result<(), Violation> {
    let kinds = stage.plan.kinds.clone();
    let start = Start {
        who: who.into(),
        kinds: kinds.clone(),
        weather: Weather::CALM,
        accepts_removals: true,
        mortal: false,
        random,
    };
    run(stage, start).await;
    let runs = stage.runs();
    let run = runs.ended().last();
    let synced = run.is_some_and(|run| kinds.iter().all(|kind| run.has_synced(*kind)));
    if synced {
        return Ok(());
    }
    let ending: Option<&Ending> = run.map(|run| &run.ending);
    Err(violation("in calm weather every run succeeds", format!("{who}: {ending:?}")))
}

/// Keys of all that is no cache.
fn truth(stage: &Stage) -> Vec<String> {
    let listed = stage.shelf().list("");
    listed.into_iter().map(|(key, _)| key).filter(|key| super::shelf::is_truth(key)).collect()
}

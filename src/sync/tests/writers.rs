//! The writers: each runs on a schedule that all share, and starts again when it has died.

use std::sync::Arc;

use super::{
    process::sleep,
    random::Random,
    runs::{Start, run},
    stage::Stage,
};

/// Starts of one run, should each die.
const STARTS_MAX: u64 = 3;

/// One writer, from its first run to its last.
pub(super) async fn write(stage: Arc<Stage>, writer: u64, mut random: Random) {
    let plan = stage.plan.clone();
    for round in 0..plan.runs {
        let due_ms = round * plan.tick_ms;
        // A run that takes longer than a tick is followed at once.
        sleep(due_ms.saturating_sub(stage.now_ms())).await;
        let jitter_ms = random.pick(&[0, 5, 100, 1_000, 10_000]);
        sleep(random.below(jitter_ms)).await;
        let mut kinds = plan.kinds.clone();
        if kinds.len() > 1 && random.one_in(4) {
            kinds.remove(random.below(kinds.len() as u64) as usize);
        }
        for start in 0..STARTS_MAX {
            let start = Start {
                who: format!("{}{round}.{start}", char::from(b'A' + writer as u8)),
                kinds: kinds.clone(),
                weather: plan.weather,
                accepts_removals: random.one_in(12),
                mortal: true,
                random: random.fork(),
            };
            if !run(&stage, start).await || random.one_in(3) {
                break;
            }
            sleep(random.below(5_000)).await;
        }
    }
}

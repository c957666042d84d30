//! The loop, in time that passes at once.

use tokio::time::{Instant, sleep, timeout};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// Runs that take so long each, and come to nothing but what is said here.
struct Rehearsal {
    began: Instant,
    run_takes: Duration,
    outcomes: Vec<Result<Outcome, Error>>,
    /// What happened, with the seconds since the start.
    seen: Vec<(u64, &'static str)>,
}

impl Rehearsal {
    fn new(run_takes: Duration, outcomes: Vec<Result<Outcome, Error>>) -> Self {
        Self { began: Instant::now(), run_takes, outcomes, seen: Vec::new() }
    }

    fn see(&mut self, what: &'static str) {
        self.seen.push((self.began.elapsed().as_secs(), what));
    }
}

impl Work for Rehearsal {
    async fn run(&mut self, _: &Brake) -> Result<Outcome, Error> {
        self.see("begins");
        sleep(self.run_takes).await;
        self.see("ends");
        if self.outcomes.is_empty() { Ok(Outcome::Progress) } else { self.outcomes.remove(0) }
    }

    fn reload(&mut self) {
        self.see("reloads");
    }

    fn wait(&mut self, _: Duration, _: u64) {}
}

/// Lets a rehearsal go on for almost so many minutes, while something else happens.
async fn rehearse(
    mut work: Rehearsal,
    minutes: u32,
    meanwhile: impl AsyncFnOnce(&Requests),
) -> Vec<(u64, &'static str)> {
    let requests = Requests::default();
    let going = go_on(&mut work, MINUTE, || 0, &requests);
    let _ = tokio::join!(timeout(MINUTE * minutes - Duration::from_secs(1), going), meanwhile(&requests));
    work.seen
}

fn begins(seen: &[(u64, &'static str)]) -> Vec<u64> {
    seen.iter().filter(|(_, what)| *what == "begins").map(|(at, _)| *at).collect()
}

#[tokio::test(start_paused = true)]
async fn runs_begin_with_the_minutes_and_never_before_the_last_has_ended() {
    let quick = rehearse(Rehearsal::new(Duration::from_secs(10), Vec::new()), 4, async |_| ()).await;
    assert_eq!(begins(&quick), [0, 60, 120, 180]);
    let slow = rehearse(Rehearsal::new(Duration::from_secs(150), Vec::new()), 10, async |_| ()).await;
    assert_eq!(begins(&slow), [0, 180, 360, 540]);
    let alternates = slow.chunks(2).all(|pair| pair[0].1 == "begins" && pair.get(1).is_none_or(|end| end.1 == "ends"));
    assert!(alternates, "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn runs_that_get_nothing_done_are_further_and_further_apart() {
    let outcomes = (0..5).map(|_| Ok(Outcome::Nothing(Kind::Denied))).collect();
    let seen = rehearse(Rehearsal::new(Duration::ZERO, outcomes), 35, async |_| ()).await;
    assert_eq!(begins(&seen), [0, 60, 3 * 60, 7 * 60, 15 * 60, 31 * 60, 32 * 60, 33 * 60, 34 * 60]);
}

#[tokio::test(start_paused = true)]
async fn settings_are_read_again_between_runs_and_another_run_begins_at_once() {
    let seen = rehearse(Rehearsal::new(Duration::from_secs(10), Vec::new()), 3, async |requests| {
        sleep(Duration::from_secs(5)).await;
        requests.reload();
        requests.reload();
        sleep(Duration::from_secs(30)).await;
        requests.reload();
    })
    .await;
    let expected = [
        (0, "begins"),
        (10, "ends"),
        (10, "reloads"),
        (10, "begins"),
        (20, "ends"),
        (35, "reloads"),
        (35, "begins"),
        (45, "ends"),
        (60, "begins"),
    ];
    assert_eq!(seen[..expected.len()], expected);
}

/// A run that polls for a minute, and then writes for ten seconds.
struct Slow {
    wrote: bool,
}

impl Work for Slow {
    async fn run(&mut self, brake: &Brake) -> Result<Outcome, Error> {
        sleep(MINUTE).await;
        let _writing = brake.writing().await;
        sleep(Duration::from_secs(10)).await;
        self.wrote = true;
        Ok(Outcome::Progress)
    }

    fn reload(&mut self) {}

    fn wait(&mut self, _: Duration, _: u64) {}
}

#[tokio::test(start_paused = true)]
async fn a_stop_drops_a_poll_at_once_and_waits_for_what_is_being_written() {
    for (asked_at, ended_at, wrote) in [(30, 30, false), (65, 70, true), (100, 100, true)] {
        let (mut work, requests) = (Slow { wrote: false }, Requests::default());
        let began = Instant::now();
        let going = async { (go_on(&mut work, 2 * MINUTE, || 0, &requests).await, began.elapsed().as_secs()) };
        let asked = async {
            sleep(Duration::from_secs(asked_at)).await;
            requests.stop(143);
        };
        let ((exit_code, at), ()) = tokio::join!(going, asked);
        assert_eq!((exit_code.unwrap(), at, work.wrote), (143, ended_at, wrote), "{asked_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_later_run_can_mend_ends_it() {
    let outcomes = vec![Ok(Outcome::Progress), Err(Error::Bug("told".to_owned()))];
    let mut work = Rehearsal::new(Duration::ZERO, outcomes);
    let ended = timeout(10 * MINUTE, go_on(&mut work, MINUTE, || 0, &Requests::default())).await.unwrap();
    assert!(matches!(ended, Err(Error::Bug(_))));
}

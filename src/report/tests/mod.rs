//! What is folded, of lists that stand here.

mod lives;
mod volumes;

use crate::{
    config::{Config, Environment, Flags, Reconciling},
    decode::{Decoder, Operation, Stamp, Zone},
    reconcile::{Names, Records},
    report::{DAY, Life, Lives, Volumes},
    schema::{Resource, Schemas},
};

/// The settings as they are unless a file says otherwise.
fn settings() -> Reconciling {
    Config::without_file(Flags::default(), &Environment::of(&[])).unwrap().reconciling
}

fn resource(name: &str) -> Resource {
    Schemas::builtin().unwrap().get(name).unwrap().clone()
}

/// A version of a record: the day on which it was seen, what was seen, and its text.
type Version<'v> = (i64, Operation, &'v str);

/// What becomes of these versions, as of a day.
fn fold(name: &str, today: i64, versions: &[Version<'_>]) -> (Life, Volumes) {
    let (resource, mut volumes, mut names) = (resource(name), Volumes::default(), Names::default());
    let counted = volumes.counted(&resource, &settings()).unwrap();
    let mut lives = Lives::new(&resource, today * DAY, counted, &mut volumes, &mut names);
    let mut records = Records::default();
    each(&resource, versions, |row, stamp| records.take(&mut lives, row, stamp));
    records.close(&mut lives);
    each(&resource, versions, |row, stamp| lives.compare(row, stamp));
    let life = lives.conclude();
    (life, volumes)
}

fn each(resource: &Resource, versions: &[Version<'_>], mut each: impl FnMut(&crate::decode::Row<'_>, Stamp<'_>)) {
    let mut decoder = Decoder::new(resource, Zone::UTC);
    for (seq, (day, operation, text)) in (1..).zip(versions) {
        let (observed_at, operation) = (day * DAY, *operation);
        let stamp = Stamp { seq, operation, observed_at, first_seen_at: 0, poll_id: "p" };
        each(&decoder.decode(text.as_bytes()).unwrap(), stamp);
    }
}

/// A deposit with more members behind its key.
fn deposit(id: &str, members: &str) -> String {
    format!(r#"{{"transactionId":"{id}",{members}}}"#)
}

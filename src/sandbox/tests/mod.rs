//! Laws of the sandbox, tested on what it serves rather than on how it makes it.

mod faults;
mod http;
mod laws;
mod served;
mod switches;
mod values;
mod wire;

use std::sync::Arc;

use chrono::TimeDelta;

use super::{Body, Options, Resource, Snapshot, World};

/// A world small enough to be read whole, and large enough to hold one of everything.
fn world(records: u64) -> Arc<World> {
    Arc::new(World::new(&Options { records, ..Options::default() }).unwrap())
}

fn at(world: &Arc<World>, hours: i64) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(world.clone(), World::start() + TimeDelta::hours(hours)))
}

fn text(body: Body) -> String {
    String::from_utf8(body.flat_map(Vec::from).collect()).unwrap()
}

fn list(snapshot: &Arc<Snapshot>, resource: Resource) -> String {
    text(snapshot.list(resource, Default::default()))
}

//! All that a page tells.

use std::collections::BTreeMap;

use super::{
    health::{Health, State},
    life::Life,
    volume::Window,
};
use crate::reconcile;

/// All that a page tells.
pub(super) struct Figures {
    /// The time of the report, in microseconds.
    pub now: i64,
    /// Where the lake is.
    pub location: String,
    /// Of every resource of the settings.
    pub health: Vec<Health>,
    pub volumes: Window,
    /// Of the resources that have statuses and commits.
    pub lives: Vec<Life>,
    /// Or why there are none.
    pub books: Result<reconcile::Report, String>,
    /// Objects and bytes by layer and table.
    pub sizes: BTreeMap<(String, String), (u64, u64)>,
}

impl Figures {
    /// The resources that are told of: one that the API may lack is none, as long as no sync has found it.
    pub(super) fn resources(&self) -> impl Iterator<Item = &Health> {
        self.health.iter().filter(|health| health.is_expected())
    }

    /// When a poll last found something new, in whatever resource.
    pub(super) fn last_change(&self) -> Option<i64> {
        self.health.iter().filter_map(Health::changed_at).max()
    }

    /// How many resources are in this state.
    pub(super) fn count(&self, state: State) -> usize {
        self.resources().filter(|health| health.state(self.now) == state).count()
    }
}

//! Texts that repeat, each held once: statuses and currencies of very many records.

use std::{collections::HashSet, sync::Arc};

/// Texts that repeat.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    /// The text, as it is held.
    pub(crate) fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.0.get(text) {
            return name.clone();
        }
        let name: Arc<str> = text.into();
        self.0.insert(name.clone());
        name
    }
}

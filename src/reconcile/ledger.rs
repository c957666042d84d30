//! Where all that is folded comes together: totals a currency, findings and notes.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    books::{Books, Line},
    finding::{Findings, Law},
    names::Names,
};
use crate::config::Reconciling;

/// All that is folded.
pub(super) struct Ledger<'s> {
    pub settings: &'s Reconciling,
    pub books: Books,
    pub findings: Findings,
    notes: Vec<(String, String)>,
    /// Currencies that records refer to.
    references: BTreeMap<(Arc<str>, &'static str), Reference>,
    /// Records that had gone back and have ended again, by resource.
    healed: BTreeMap<String, u64>,
    names: Names,
}

/// Records that refer to a currency.
struct Reference {
    first: Box<str>,
    count: u64,
}

impl<'s> Ledger<'s> {
    pub(super) fn new(settings: &'s Reconciling) -> Self {
        Self {
            settings,
            books: Books::opened(&settings.opening),
            findings: Findings::default(),
            notes: Vec::new(),
            references: BTreeMap::new(),
            healed: BTreeMap::new(),
            names: Names::default(),
        }
    }

    /// A text that repeats.
    pub(super) fn name(&mut self, text: &str) -> Arc<str> {
        self.names.name(text)
    }

    /// Notes that a record is in this currency.
    pub(super) fn refer(&mut self, currency: &Arc<str>, resource: &'static str, key: &str) {
        let reference = self.references.entry((currency.clone(), resource));
        reference.or_insert_with(|| Reference { first: key.into(), count: 0 }).count += 1;
    }

    /// Notes that a record had gone back and has ended again.
    pub(super) fn healed(&mut self, resource: &str) {
        *self.healed.entry(resource.to_owned()).or_default() += 1;
    }

    /// Says something of a resource that is not wrong.
    pub(super) fn note(&mut self, resource: &str, text: String) {
        self.notes.push((resource.to_owned(), text));
    }

    /// What it all comes to. What is wrong with whole currencies goes before what is wrong with records.
    pub(super) fn conclude(mut self) -> (Vec<Line>, Findings, Vec<(String, String)>) {
        let lines = self.books.lines(self.settings.tolerance);
        let mut findings = Findings::default();
        lines.iter().for_each(|line| line.check(&mut findings));
        for ((currency, resource), Reference { first, count }) in &self.references {
            if self.books.has_account(currency) {
                continue;
            }
            findings.add(Law::Account, resource, first, || match count - 1 {
                0 => format!("is in {currency}, of which there is no account"),
                1 => format!("is in {currency}, of which there is no account; so is another of the {resource}"),
                others => format!("is in {currency}, of which there is no account; so are {others} more {resource}"),
            });
        }
        findings.found += self.findings.found;
        findings.kept.append(&mut self.findings.kept);
        for (resource, count) in self.healed {
            let text = format!("{count} had gone back to an earlier status, and ended again");
            self.notes.push((resource, text));
        }
        (lines, findings, self.notes)
    }
}

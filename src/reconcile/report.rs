//! The books as they are told: a table for people, or lines of JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use super::{
    books::{Line, Verdict},
    finding::{Finding, Findings},
    ledger::Ledger,
    sum::Sum,
};
use crate::{
    error::{Error, Kind},
    redact::printable,
};

/// Findings that the table for people lists.
const FINDINGS_TOLD_MAX: usize = 20;

/// The books, and what is wrong with them.
#[derive(Debug, Clone)]
pub struct Report {
    /// One a currency, in their order.
    pub lines: Vec<Line>,
    /// What does not add up: up to a thousand, and more than that of whole currencies.
    pub findings: Vec<Finding>,
    /// How much does not add up.
    pub found: u64,
    /// What is not wrong and should be known, each of a resource.
    pub notes: Vec<(String, String)>,
    /// The last commit that was looked at, by resource.
    pub heads: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn new(ledger: Ledger<'_>, heads: BTreeMap<String, u64>) -> Self {
        let (lines, Findings { kept, found }, notes) = ledger.conclude();
        Self { lines, findings: kept, found, notes, heads }
    }

    /// The exit code: 65 if anything was found, 0 if nothing was.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.found > 0 { Kind::Data.exit_code() } else { 0 }
    }

    /// One line of JSON a currency, then one a finding, then one for the run.
    ///
    /// # Errors
    ///
    /// None in practice: all of it can be JSON.
    pub fn to_json_lines(&self) -> Result<String, Error> {
        let bug = |error: serde_json::Error| Error::Bug(error.to_string());
        let mut lines: Vec<String> = Vec::new();
        for line in &self.lines {
            lines.push(serde_json::to_string(line).map_err(bug)?);
        }
        for finding in &self.findings {
            lines.push(serde_json::to_string(finding).map_err(bug)?);
        }
        let notes = self.notes.iter();
        let notes: Vec<_> =
            notes.map(|(resource, text)| serde_json::json!({"resource": resource, "text": text})).collect();
        let run = serde_json::json!({
            "run": {
                "exit_code": self.exit_code(),
                "currencies": self.lines.len(),
                "found": self.found,
                "heads": self.heads,
                "notes": notes,
            }
        });
        lines.push(run.to_string());
        Ok(lines.join("\n") + "\n")
    }

    fn rows(&self) -> Vec<[String; 12]> {
        let head = [
            "currency",
            "opening",
            "deposits",
            "withdrawals",
            "fees",
            "trades in",
            "trades out",
            "expected",
            "balance + locked",
            "difference",
            "open records",
            "verdict",
        ];
        let amount = |sum: Option<Sum>| sum.map_or_else(|| "-".to_owned(), |sum| sum.to_string());
        let row = |line: &Line| {
            [
                line.currency.clone(),
                line.opening.to_string(),
                line.deposits.to_string(),
                line.withdrawals.to_string(),
                line.fees.to_string(),
                line.trades_in.to_string(),
                line.trades_out.to_string(),
                line.expected.to_string(),
                amount(line.held),
                amount(line.difference),
                line.open.sum().to_string(),
                line.told_verdict(),
            ]
        };
        std::iter::once(head.map(str::to_owned)).chain(self.lines.iter().map(row)).collect()
    }
}

impl Line {
    /// What it comes to, for people.
    pub(crate) fn told_verdict(&self) -> String {
        match self.verdict {
            Verdict::Balanced => "balanced".to_owned(),
            Verdict::Tolerated => "within tolerance".to_owned(),
            Verdict::Explained => format!("explained by open {}", self.explained_by.join(" and ")),
            Verdict::Off => "OFF".to_owned(),
            Verdict::NoAccount => "no account".to_owned(),
            Verdict::TooLarge => "TOO LARGE".to_owned(),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows().into_iter().map(|row| row.map(|cell| printable(&cell))).collect::<Vec<_>>();
        let mut widths = [0; 12];
        for row in &rows {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        }
        for row in &rows {
            let [currency, amounts @ .., verdict] = row;
            write!(f, "{currency:<width$}", width = widths[0])?;
            for (amount, width) in amounts.iter().zip(&widths[1..]) {
                write!(f, "  {amount:>width$}")?;
            }
            writeln!(f, "  {verdict}")?;
        }
        for Finding { law, resource, key, problem } in self.findings.iter().take(FINDINGS_TOLD_MAX) {
            writeln!(f, "{}", printable(&format!("finding: {law}: {resource}: {key}: {problem}")))?;
        }
        let more = self.found.saturating_sub(FINDINGS_TOLD_MAX as u64);
        if more > 0 {
            writeln!(f, "finding: and {more} more; --json has up to a thousand")?;
        }
        for (resource, text) in &self.notes {
            writeln!(f, "{}", printable(&format!("note: {resource}: {text}")))?;
        }
        let s = if self.found == 1 { "" } else { "s" };
        let heads = self.heads.iter().map(|(resource, seq)| format!("{resource} {seq}"));
        writeln!(
            f,
            "{} finding{s} in {} currencies, as of commit {}",
            self.found,
            self.lines.len(),
            heads.collect::<Vec<_>>().join(", ")
        )
    }
}

//! Whether it adds up: what `reconcile` finds.

use maud::{Markup, html};

use super::{table::wide, text};
use crate::reconcile::{Finding, Line, Report, Sum, Verdict};

/// Findings that are listed at once; others are behind a line that opens.
const OPEN_MAX: usize = 10;
/// Findings that are listed at all.
const TOLD_MAX: usize = 100;

pub(super) fn section(books: &Result<Report, String>) -> Markup {
    html! {
        @match books {
            Ok(report) => (told(report)),
            Err(problem) => p.lead { (text::long(problem)) "." },
        }
        p.note {
            "Opening, deposits and trades in, less withdrawals, fees and trades out, should be what the accounts hold: to the last digit, "
            "by the settings under [reconcile]. The command reconcile tells the same."
        }
    }
}

fn told(report: &Report) -> Markup {
    let balanced = report.lines.iter().filter(|line| line.difference == Some(Sum::ZERO)).count();
    html! {
        p.lead {
            (balanced) " of " (text::plural(report.lines.len() as u64, "currency balances", "currencies balance"))
            " to the last digit; " (text::plural(report.found, "finding", "findings")) "."
        }
        @if !report.findings.is_empty() { (findings(&report.findings, report.found)) }
        @if !report.lines.is_empty() { (wide("Books by currency", &HEAD, &report.lines.iter().map(row).collect::<Vec<_>>())) }
        @if !report.notes.is_empty() {
            ul { @for (resource, note) in &report.notes { li { (resource) ": " (text::long(note)) } } }
        }
        @let heads = report.heads.iter().map(|(resource, seq)| format!("{resource} {seq}")).collect::<Vec<_>>().join(", ");
        @if !heads.is_empty() { p.under { "As of commit " (heads) "." } }
    }
}

const HEAD: [(&str, bool); 12] = [
    ("Currency", false),
    ("Verdict", false),
    ("Difference", true),
    ("Balance + locked", true),
    ("Expected", true),
    ("Opening", true),
    ("Deposits", true),
    ("Withdrawals", true),
    ("Fees", true),
    ("Trades in", true),
    ("Trades out", true),
    ("Open records", true),
];

fn row(line: &Line) -> Vec<Markup> {
    let is_bad = matches!(line.verdict, Verdict::Off | Verdict::TooLarge);
    let verdict = html! {
        @if is_bad { span.state.attention { span aria-hidden="true" { "▲" } " " (line.told_verdict()) } }
        @else { (text::own(&line.told_verdict())) }
    };
    let amount = |sum: Sum| html! { (text::amount(sum)) };
    let perhaps = |sum: Option<Sum>| html! { @match sum { Some(sum) => (text::amount(sum)), None => "–" } };
    vec![
        text::code(&line.currency),
        verdict,
        perhaps(line.difference),
        perhaps(line.held),
        amount(line.expected),
        amount(line.opening),
        amount(line.deposits),
        amount(line.withdrawals),
        amount(line.fees),
        amount(line.trades_in),
        amount(line.trades_out),
        amount(line.open.sum()),
    ]
}

fn findings(findings: &[Finding], found: u64) -> Markup {
    let row = |Finding { law, resource, key, problem }: &Finding| {
        vec![html! { (law) }, html! { (resource) }, text::own(key), text::long(problem)]
    };
    let head = [("Finding", false), ("Resource", false), ("Record", false), ("What is the case", false)];
    let rows: Vec<_> = findings.iter().take(TOLD_MAX).map(row).collect();
    let (open, behind) = rows.split_at(rows.len().min(OPEN_MAX));
    let more = found - rows.len() as u64;
    html! {
        (wide("Findings", &head, open))
        @if !behind.is_empty() {
            details {
                summary { (text::plural(behind.len() as u64, "more finding", "more findings")) }
                (wide("More findings", &head, behind))
            }
        }
        @if more > 0 { p.under { "And " (text::count(more)) " more, of which reconcile --json has up to a thousand." } }
    }
}

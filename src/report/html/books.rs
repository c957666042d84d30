//! Whether it adds up: what `reconcile` finds.

use maud::{Markup, html};

use super::{table::wide, text};
use crate::reconcile::{Finding, Line, Report, Sum, Verdict};

/// Findings that are listed.
const FINDINGS_MAX: usize = 50;

pub(super) fn section(books: &Result<Report, String>) -> Markup {
    html! {
        @match books {
            Ok(report) => (told(report)),
            Err(problem) => p.lead { (text::own(problem)) "." },
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
        @if !report.lines.is_empty() { (wide("Books by currency", &HEAD, &report.lines.iter().map(row).collect::<Vec<_>>())) }
        @if !report.findings.is_empty() { (findings(report)) }
        @if !report.notes.is_empty() {
            ul { @for (resource, note) in &report.notes { li { (resource) ": " (text::own(note)) } } }
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
        text::own(&line.currency),
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

fn findings(report: &Report) -> Markup {
    let row = |Finding { law, resource, key, problem }: &Finding| {
        vec![html! { (law) }, html! { (resource) }, text::own(key), html! { bdi { (text::cut(problem, 400)) } }]
    };
    let head = [("Finding", false), ("Resource", false), ("Record", false), ("What is the case", false)];
    let rows: Vec<_> = report.findings.iter().take(FINDINGS_MAX).map(row).collect();
    let more = report.found - rows.len() as u64;
    html! {
        (wide("Findings", &head, &rows))
        @if more > 0 { p { (text::plural(more, "more finding", "more findings")) "; reconcile --json has up to a thousand." } }
    }
}

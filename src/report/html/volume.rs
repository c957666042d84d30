//! What moved, a card a currency.

use maud::{Markup, html};

use super::{
    super::volume::{Currency, Day, Flow, Window},
    chart::{Days, days},
    table::wide,
    text,
};
use crate::reconcile::Sum;

/// Currencies that are shown at once; the others are behind a line that opens.
const OPEN_MAX: usize = 12;
/// Currencies that are told of at all, the busiest.
const TOLD_MAX: usize = 100;

pub(super) fn section(window: &Window) -> Markup {
    let told = &window.currencies[..window.currencies.len().min(TOLD_MAX)];
    let (open, behind) = told.split_at(told.len().min(OPEN_MAX));
    html! {
        @if let Some((first, last)) = window.days {
            p.lead {
                "From " (text::day(first)) " to " (text::day(last)) ", the last day on which anything moved. Upwards is what came in "
                "(deposits and trades), downwards what went out (withdrawals and trades), on one scale a currency."
            }
            div.charts { @for currency in open { (card(currency, (first, last))) } }
            @if !behind.is_empty() {
                details {
                    summary { (text::plural(behind.len() as u64, "more currency", "more currencies")) }
                    div.charts { @for currency in behind { (card(currency, (first, last))) } }
                }
            }
        } @else {
            p.lead { "Nothing has moved yet." }
        }
        @let untold = window.currencies.len() - told.len();
        @if untold > 0 { p { (text::plural(untold as u64, "currency", "currencies")) " with less movement are not shown." } }
        @if !window.idle.is_empty() {
            p {
                "Moved before these days alone: "
                @for (place, name) in window.idle.iter().take(TOLD_MAX).enumerate() { @if place > 0 { ", " } (text::code(name)) }
                @if window.idle.len() > TOLD_MAX { " and others" }
                "."
            }
        }
        @if window.to_come > 0 {
            p { (text::plural(window.to_come, "movement is", "movements are")) " on days that are still to come, and not counted." }
        }
        @for left_out in &window.left_out { p { (text::long(left_out)) } }
        p.note {
            "What has moved is what has a status that moves money, by the settings under [reconcile]; fees are not taken off. A record "
            "counts on the day by which the lake files it: a deposit when it was completed, a withdrawal or a trade when it was created."
        }
    }
}

fn card(Currency { name, days: moved, total }: &Currency, window: (i64, i64)) -> Markup {
    let caption = format!("{}: amounts a day", text::cut(name, 24));
    let series: Vec<(i64, Sum, Sum)> =
        moved.iter().map(|(day, moved)| (*day, moved.sums.incoming(), moved.sums.outgoing())).collect();
    let (above, below) = (peak("▲ in", &series, |day| day.1), peak("▼ out", &series, |day| day.2));
    let description = format!("{above}; {below}. The table below has each day.");
    let ends = (text::day(window.0), text::day(window.1));
    let chart = days(&caption, &description, &Days { window, days: &series, above, below, ends });
    html! {
        article.card {
            h3 { (text::code(name)) " " span.under { (text::plural(total.movements, "movement", "movements")) } }
            (chart)
            details {
                summary { "Amounts a day" span.hidden { " in " (text::code(name)) } }
                (wide(&caption, &head(), &rows(moved.iter(), total)))
            }
        }
    }
}

fn head() -> Vec<(&'static str, bool)> {
    std::iter::once(("Day", false)).chain(Flow::ALL.map(|flow| (flow.name(), true))).collect()
}

fn rows<'d>(days: impl DoubleEndedIterator<Item = (&'d i64, &'d Day)>, total: &Day) -> Vec<Vec<Markup>> {
    let row = |name: Markup, day: &Day| {
        let amounts = Flow::ALL.map(|flow| html! { (text::amount(day.sums.of(flow))) });
        std::iter::once(name).chain(amounts).collect::<Vec<_>>()
    };
    let total = row(html! { "All days" }, total);
    let days = days.rev().map(|(day, moved)| row(html! { (text::day(*day)) }, moved));
    std::iter::once(total).chain(days).collect()
}

/// The day on which most came or went.
fn peak(name: &str, days: &[(i64, Sum, Sum)], pick: fn(&(i64, Sum, Sum)) -> Sum) -> String {
    // A sum that is not known is larger than any that is.
    let most = days.iter().max_by_key(|day| (pick(day).known().is_none(), pick(day).known()));
    match most.filter(|day| pick(day) != Sum::ZERO) {
        Some(day) => format!("{name}: {} at most, on {}", text::short(pick(day)), text::day(day.0)),
        None => format!("{name}: nothing"),
    }
}

//! Charts as SVG: pure geometry, with a title, a description and the values as text. Colours are the style's; what they tell is
//! told by place or words too.

use std::fmt::Write;

use maud::{Markup, html};

use super::text::cut;
use crate::reconcile::Sum;

/// All charts are as wide as a phone, in units of their own, so that their text is never too small to be read.
const WIDTH: f64 = 340.0;

/// A value with its name, and how it is told.
pub(super) struct Bar {
    pub name: String,
    pub value: u64,
    pub told: String,
    /// The class of its colour.
    pub class: &'static str,
}

/// Bars from left to right, one below the other.
pub(super) fn bars(title: &str, description: &str, bars: &[Bar]) -> Markup {
    const LINE: f64 = 24.0;
    const BEGIN: f64 = 152.0;
    const END: f64 = 268.0;
    const NAME_CHARS: usize = 22;
    let max = bars.iter().map(|bar| bar.value).max().unwrap_or_default();
    let height = LINE * bars.len() as f64;
    chart(
        title,
        description,
        height,
        html! {
            @for (place, bar) in bars.iter().enumerate() {
                @let y = LINE * place as f64;
                text.name x="0" y=(y + 16.0) { (cut(&bar.name, NAME_CHARS)) }
                rect.track x=(BEGIN) y=(y + 6.0) width=(END - BEGIN) height="12" rx="2" {}
                rect class=(bar.class) x=(BEGIN) y=(y + 6.0) width=(length(bar.value, max, END - BEGIN)) height="12" rx="2" {}
                text.value x=(WIDTH) y=(y + 16.0) text-anchor="end" { (bar.told) }
            }
        },
    )
}

/// Columns from the ground up, one beside the other.
pub(super) fn columns(title: &str, description: &str, bars: &[Bar]) -> Markup {
    const GROUND: f64 = 92.0;
    const TALLEST: f64 = 74.0;
    const HEIGHT: f64 = 112.0;
    let max = bars.iter().map(|bar| bar.value).max().unwrap_or_default();
    let slot = WIDTH / bars.len().max(1) as f64;
    chart(
        title,
        description,
        HEIGHT,
        html! {
            line.ground x1="0" x2=(WIDTH) y1=(GROUND) y2=(GROUND) {}
            @for (place, bar) in bars.iter().enumerate() {
                @let (height, middle) = (length(bar.value, max, TALLEST), round(slot * (place as f64 + 0.5)));
                rect class=(bar.class) x=(round(middle - slot * 0.3)) y=(GROUND - height) width=(round(slot * 0.6)) height=(height) {}
                text.value x=(middle) y=(round(GROUND - height - 5.0)) text-anchor="middle" { (bar.told) }
            text.name x=(middle) y=(GROUND + 15.0) text-anchor="middle" { (bar.name) }
            }
        },
    )
}

/// What comes in, upwards, and what goes out, downwards, day by day.
pub(super) struct Days<'d> {
    /// Days since 1970, both included.
    pub window: (i64, i64),
    /// Days with what came in and went out on them.
    pub days: &'d [(i64, Sum, Sum)],
    /// What is written above and below, and under both ends.
    pub above: String,
    pub below: String,
    pub ends: (String, String),
}

/// Days from left to right, with one scale for both directions.
pub(super) fn days(title: &str, description: &str, Days { window, days, above, below, ends }: &Days<'_>) -> Markup {
    const TOP: f64 = 20.0;
    const TALLEST: f64 = 44.0;
    const GROUND: f64 = TOP + TALLEST;
    const BOTTOM: f64 = GROUND + TALLEST;
    let slot = WIDTH / (window.1 - window.0 + 1).max(1) as f64;
    let max = days.iter().flat_map(|(_, up, down)| [size(*up), size(*down)]).fold(0.0, f64::max);
    let path = |pick: fn(&(i64, Sum, Sum)) -> Sum, direction: f64| {
        let mut path = String::new();
        for day in days.iter().filter(|day| size(pick(day)) > 0.0) {
            // What is little is still seen.
            let height = round((size(pick(day)) / max * TALLEST).max(1.0) * direction);
            let (x, width) = (round(slot * (day.0 - window.0) as f64 + slot * 0.1), round(slot * 0.8));
            // Writing to a string cannot fail.
            let _ = write!(path, "M{x} {GROUND}v{height}h{width}v{}z", -height);
        }
        path
    };
    let (up, down) = (path(|day| day.1, -1.0), path(|day| day.2, 1.0));
    chart(
        title,
        description,
        BOTTOM + 34.0,
        html! {
            text.value x="0" y="12" { (above) }
            @if !up.is_empty() { path.in d=(up) {} }
            @if !down.is_empty() { path.out d=(down) {} }
            line.ground x1="0" x2=(WIDTH) y1=(GROUND) y2=(GROUND) {}
            text.value x="0" y=(BOTTOM + 14.0) { (below) }
            text.name x="0" y=(BOTTOM + 30.0) { (ends.0) }
            text.name x=(WIDTH) y=(BOTTOM + 30.0) text-anchor="end" { (ends.1) }
        },
    )
}

fn chart(title: &str, description: &str, height: f64, content: Markup) -> Markup {
    html! {
        svg role="img" aria-label={ (title) ". " (description) } viewBox={ "0 0 " (WIDTH) " " (height) } {
            title { (title) }
            desc { (description) }
            (content)
        }
    }
}

/// How long a value is drawn; what is little is still seen.
fn length(value: u64, max: u64, longest: f64) -> f64 {
    if value == 0 { 0.0 } else { round((value as f64 / max as f64 * longest).max(1.5)) }
}

/// How large a sum is drawn: one that is not known as large as can be, one less than nothing not at all.
fn size(sum: Sum) -> f64 {
    sum.known().map_or(i128::MAX as f64, |sum| (sum as f64).max(0.0))
}

/// A tenth of a unit is as fine as is seen.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

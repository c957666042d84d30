//! The funnel of statuses, and how old open records are.

use maud::{Markup, html};

use super::{
    super::life::{AGES, Life, Meaning, Status},
    chart::{Bar, bars, columns},
    table::wide,
    text,
};

/// Statuses that a table lists; the schema's are far fewer.
const STATUSES_MAX: usize = 40;

pub(super) fn statuses(lives: &[Life]) -> Markup {
    html! {
        @if lives.is_empty() { p.lead { "No resource with statuses has been synced yet." } }
        @for life in lives { (funnel(life)) }
        p.note {
            "Ever: records that were seen with the status at least once. Timed: of these, the records that were first seen open and "
            "later with this end. Median and 95th percentile: within which time, from the first poll that saw a record open to the "
            "first that saw this end, half of them and 95 in a hundred got there. What lies between two polls is not seen, so a time "
            "is right to within the time between them; records that were first seen at their end are not timed."
        }
    }
}

fn funnel(life: &Life) -> Markup {
    let caption = format!("{}: records by status", life.resource);
    let told = &life.statuses[..life.statuses.len().min(STATUSES_MAX)];
    let bar = |status: &Status| Bar {
        name: name(status),
        value: status.ever,
        told: text::count(status.ever),
        class: match status.meaning {
            Meaning::Open | Meaning::Unknown => "open",
            Meaning::Ended => "ended",
        },
    };
    let head = [
        ("Status", false),
        ("Means", false),
        ("Now", true),
        ("Ever", true),
        ("Timed", true),
        ("Median", true),
        ("95th percentile", true),
    ];
    let time = |status: &Status, percent| {
        html! { @match status.within(percent) { Some(micros) => (text::span(micros)), None => "–" } }
    };
    let row = |status: &Status| {
        let is_end = status.meaning == Meaning::Ended;
        vec![
            text::own(&name(status)),
            html! { (match status.meaning { Meaning::Open => "open", Meaning::Ended => "ended", Meaning::Unknown => "unknown" }) },
            html! { (text::count(status.now)) },
            html! { (text::count(status.ever)) },
            html! { @if is_end { (text::count(status.times.len() as u64)) } @else { "–" } },
            time(status, 50),
            time(status, 95),
        ]
    };
    html! {
        article.pair {
            h3 { (life.resource) }
            (bars(&caption, "How many records were ever seen with each status. The table beside it has the numbers.",
                &told.iter().map(bar).collect::<Vec<_>>()))
            (wide(&caption, &head, &told.iter().map(row).collect::<Vec<_>>()))
            @let untold = life.statuses.len() - told.len();
            @if untold > 0 { p { (text::plural(untold as u64, "more status", "more statuses")) " that the schema does not list." } }
        }
    }
}

fn name(status: &Status) -> String {
    status.name.as_deref().map_or_else(|| "no status".to_owned(), str::to_owned)
}

pub(super) fn open(lives: &[Life], now: i64) -> Markup {
    let mut head = vec![("Resource", false)];
    head.extend(AGES.map(|(name, _)| (name, true)));
    head.extend([("All", true), ("Oldest", false)]);
    let row = |life: &Life| {
        let mut row = vec![html! { (life.resource) }];
        row.extend(life.open.map(|open| html! { (text::count(open)) }));
        row.push(html! { (text::count(life.open_count())) });
        row.push(html! {
            @match &life.oldest {
                Some((since, key)) => { (text::own(key)) ", " (text::span(now - since)) },
                None => "–",
            }
        });
        row
    };
    html! {
        @if lives.is_empty() {
            p.lead { "No resource with statuses has been synced yet." }
        } @else {
            div.charts { @for life in lives { (ages(life)) } }
            (wide("Open records by age", &head, &lives.iter().map(row).collect::<Vec<_>>()))
            p.note {
                "A record is open while its status is not an end. Its age counts from when it happened by the API's account; of one that "
                "does not say, as an open deposit does not, from when it was first seen."
            }
        }
    }
}

fn ages(life: &Life) -> Markup {
    let title = format!("{}: open records by age", life.resource);
    let bars = AGES.iter().zip(life.open).map(|((name, _), open)| Bar {
        name: (*name).to_owned(),
        value: open,
        told: text::count(open),
        class: "open",
    });
    html! {
        article.card {
            h3 { (life.resource) " " span.under { (text::count(life.open_count())) " open" } }
            (columns(&title, "The table below has the numbers.", &bars.collect::<Vec<_>>()))
        }
    }
}

//! What changed of records after they had ended.

use maud::{Markup, html};

use super::{
    super::{
        life::Life,
        restated::{Change, Restated, Restatement},
    },
    chart::{Bar, bars},
    table::{table, wide},
    text,
};

/// Days, and columns, that are told of: the last, and the most frequent.
const ROWS_MAX: usize = 30;

pub(super) fn section(lives: &[Life]) -> Markup {
    let bar = |life: &Life| Bar {
        name: life.resource.clone(),
        value: life.restated.records,
        told: text::count(life.restated.records),
        class: "ended",
    };
    let head =
        [("Resource", false), ("Records that ended", true), ("Of these changed later", true), ("Versions", true)];
    let row = |life: &Life| {
        let Restated { ended, records, versions, .. } = life.restated;
        let figures = [ended, records, versions].map(|figure| html! { (text::count(figure)) });
        std::iter::once(html! { (life.resource) }).chain(figures).collect::<Vec<_>>()
    };
    let caption = "Records that changed after their end";
    html! {
        @if lives.is_empty() {
            p.lead { "No resource with statuses has been synced yet." }
        } @else {
            article.pair {
                (bars(caption, "By resource. The table beside it has the numbers.", &lives.iter().map(bar).collect::<Vec<_>>()))
                (wide(caption, &head, &lives.iter().map(row).collect::<Vec<_>>()))
            }
            @if lives.iter().any(|life| life.restated.versions > 0) {
                div.tables { (what_changed(lives)) (by_day(lives)) }
                (last(lives))
            }
            p.note {
                "A restatement is a version of a record behind one with a status that is an end, such as a completed deposit that is "
                "reversed. What was already reported for the days on which such records happened is no longer what the API says. Values "
                "are told of amounts and of the status; of all else, only that they differ."
            }
        }
    }
}

fn what_changed(lives: &[Life]) -> Markup {
    let all = lives.iter().flat_map(|life| life.restated.columns.iter().map(move |(what, count)| (life, what, *count)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let rows: Vec<_> = all
        .iter()
        .take(ROWS_MAX)
        .map(|(life, what, count)| vec![html! { (life.resource) }, text::own(what), html! { (text::count(*count)) }])
        .collect();
    table("What changed", &[("Resource", false), ("Column", false), ("Versions", true)], &rows)
}

fn by_day(lives: &[Life]) -> Markup {
    let all = lives.iter().flat_map(|life| life.restated.days.iter().map(move |(day, seen)| (*day, life, seen)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(day, ..)| std::cmp::Reverse(*day));
    let rows: Vec<_> = all
        .iter()
        .take(ROWS_MAX)
        .map(|(day, life, seen)| {
            let (first, last) = (seen.happened.0, seen.happened.1);
            let (first, last) = (super::super::day_of(first), super::super::day_of(last));
            vec![
                html! { (text::day(*day)) },
                html! { (life.resource) },
                html! { (text::count(seen.versions)) },
                html! { (text::day(first)) @if first != last { " to " (text::day(last)) } },
            ]
        })
        .collect();
    let head = [("Seen on", false), ("Resource", false), ("Versions", true), ("Of records that happened", false)];
    wide("When it was seen, and which days it restates", &head, &rows)
}

fn last(lives: &[Life]) -> Markup {
    let last = Restated::last(lives.iter().map(|life| &life.restated));
    let row = |restatement: &Restatement| {
        vec![
            text::moment(restatement.seen_at),
            html! { (restatement.resource) },
            text::own(&restatement.key),
            text::moment(restatement.happened_at),
            html! {
                @if restatement.changes.is_empty() { "in no column that the schema has" }
                @for (place, change) in restatement.changes.iter().enumerate() { @if place > 0 { "; " } (told(change)) }
            },
        ]
    };
    let head = [("Seen", false), ("Resource", false), ("Record", false), ("Happened", false), ("What changed", false)];
    html! {
        details {
            summary { "The last " (text::plural(last.len() as u64, "restatement", "restatements")) ", one by one" }
            (wide("The last restatements", &head, &last.iter().map(row).collect::<Vec<_>>()))
        }
    }
}

fn told(Change { what, values }: &Change) -> Markup {
    let value = |value: &Option<String>| {
        html! {
            @match value { Some(value) => (text::own(value)), None => "null" }
        }
    };
    html! {
        (text::own(what))
        @if let Some((before, after)) = values { " " (value(before)) " → " (value(after)) }
    }
}

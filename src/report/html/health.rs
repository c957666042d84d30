//! A card a resource: how far it has come.

use maud::{Markup, html};

use super::{
    super::{
        figures::Figures,
        health::{Health, State},
    },
    table::facts,
    text,
};

pub(super) fn section(figures: &Figures) -> Markup {
    html! {
        div.cards { @for health in figures.resources() { (card(health, figures.now)) } }
        p.note {
            "Fresh: a poll has found something new in the last 24 hours. Quiet: none has. A poll that finds nothing new writes "
            "nothing, so the lake cannot tell a quiet resource from one that is not polled, as long as others are fresh."
        }
    }
}

fn card(health: &Health, now: i64) -> Markup {
    let (class, mark, word) = match health.state(now) {
        State::Fresh => ("fresh", "●", "fresh"),
        State::Quiet => ("quiet", "○", "quiet"),
        State::BrokenOff => ("attention", "▲", "broken off"),
        State::Never => ("attention", "▲", "never synced"),
    };
    html! {
        article.card {
            h3 { (health.resource) " " span.state.(class) { span aria-hidden="true" { (mark) } " " (word) } }
            @if let Some(cursor) = &health.cursor {
                p.figure { (text::span(now - cursor.observed_at)) " ago" }
                p.under { "last change seen, " (text::moment(cursor.observed_at)) }
                (facts(&told(health)))
            } @else {
                p.under { "No sync has brought it yet." }
            }
        }
    }
}

fn told(health: &Health) -> Vec<(&'static str, Markup)> {
    let mut told = vec![("Commit", html! { (text::count(health.head)) })];
    if let Some(cursor) = &health.cursor {
        told.push(("Records", html! { (text::count(cursor.known)) }));
        if health.has_statuses {
            told.push(("Of these open", html! { (text::count(cursor.open)) }));
        }
        if let Some(newest) = cursor.newest_event_time {
            told.push(("Newest event", text::moment(newest)));
        }
    }
    let quarantined = html! { (text::count(health.quarantined)) };
    told.push((
        "In quarantine",
        if health.quarantined > 0 {
            html! { strong { (quarantined) } }
        } else {
            quarantined
        },
    ));
    told
}

//! What is to be known before anything else: one sentence, and what is worth a look.

use maud::{Markup, html};

use super::{
    super::{
        DAY,
        figures::Figures,
        health::{FRESH, State},
        life::Meaning,
    },
    text::{plural, span_text},
};

/// From this age on an open record is worth a look, in microseconds.
const LONG_OPEN: i64 = 7 * DAY;

/// What is to be known first.
pub(super) struct Verdict {
    pub headline: String,
    /// What is worth a look, with the section that tells more.
    notices: Vec<(String, &'static str)>,
}

pub(super) fn of(figures: &Figures) -> Verdict {
    let mut notices = Vec::new();
    of_resources(figures, &mut notices);
    let found = figures.books.as_ref().map_or(0, |books| books.found);
    if found > 0 {
        notices.push((format!("{} in the books", plural(found, "finding", "findings")), "books"));
    }
    let quarantined: u64 = figures.health.iter().map(|health| health.quarantined).sum();
    if quarantined > 0 {
        notices.push((format!("{} in quarantine", plural(quarantined, "record is", "records are")), "resources"));
    }
    for life in &figures.lives {
        let unknown = life
            .statuses
            .iter()
            .filter(|status| status.meaning == Meaning::Unknown)
            .map(|status| status.now)
            .sum::<u64>();
        if unknown > 0 {
            let what = plural(unknown, "record has", "records have");
            notices.push((format!("{what} no status that the schema of {} lists", life.resource), "statuses"));
        }
        if let Some((since, _)) = life.oldest.as_ref().filter(|(since, _)| figures.now - since >= LONG_OPEN) {
            let age = span_text(figures.now - since);
            notices.push((format!("the oldest open record of {} is {age} old", life.resource), "open"));
        }
    }
    Verdict { headline: headline(figures, found), notices }
}

fn of_resources(figures: &Figures, notices: &mut Vec<(String, &'static str)>) {
    let mut notice = |text: String| notices.push((text, "resources"));
    let named = |state| {
        let of_state = figures.resources().filter(move |health| health.state(figures.now) == state);
        of_state.map(|health| health.resource.as_str()).collect::<Vec<_>>().join(", ")
    };
    match figures.last_change() {
        Some(last) if figures.now - last >= FRESH => {
            notice(format!("nothing new for {}: are syncs running?", span_text(figures.now - last)));
        }
        Some(last) if last > figures.now => {
            notice("the last poll is in the future of this machine's clock".to_owned());
        }
        _ => {}
    }
    if figures.count(State::BrokenOff) > 0 {
        notice(format!(
            "the last poll was not committed to its end ({}); the next sync finishes it",
            named(State::BrokenOff)
        ));
    }
    if figures.count(State::Never) > 0 {
        notice(format!("never synced: {}", named(State::Never)));
    }
}

fn headline(figures: &Figures, found: u64) -> String {
    let all = figures.resources().count();
    if figures.last_change().is_none() {
        return "Nothing has been synced yet.".to_owned();
    }
    let resources = match (figures.count(State::Fresh), all) {
        (0, _) => "No resource has changed in the last 24 hours".to_owned(),
        (fresh, all) if fresh == all => format!("All {all} resources have changed in the last 24 hours"),
        (fresh, all) => format!("{fresh} of {all} resources have changed in the last 24 hours"),
    };
    let books = match (&figures.books, found) {
        (Ok(_), 0) => "the books balance".to_owned(),
        (Ok(_), found) => format!("the books have {}", plural(found, "finding", "findings")),
        (Err(_), _) => "there are no books".to_owned(),
    };
    format!("{resources}; {books}.")
}

impl Verdict {
    pub(super) fn notices(&self) -> Markup {
        html! {
            @if self.notices.is_empty() {
                p.well { "Nothing needs a look." }
            } @else {
                h2.notices { "Worth a look" }
                ul.notices {
                    @for (text, section) in &self.notices { li { a href={ "#" (section) } { (first_upper(text)) } } }
                }
            }
        }
    }
}

fn first_upper(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

//! Figures to a page: HTML with its style inside, and nothing to be fetched.
//!
//! The page's own policy forbids scripts, requests and any style but the one that it carries, so that text from the API could do
//! nothing even if it were not escaped, which all of it is. Every chart is an image with a title and a description, beside a table
//! with the same figures. Tables that may be wider than a phone are regions that can be scrolled and reached by the keyboard.

mod books;
mod chart;
mod health;
mod lake;
mod lives;
mod restated;
mod table;
mod text;
mod verdict;
mod volume;

use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::figures::Figures;

const STYLE: &str = include_str!("style.css");

/// The sections, by the names that lead to them.
const SECTIONS: [(&str, &str); 7] = [
    ("resources", "Resources"),
    ("volumes", "Volumes"),
    ("statuses", "Statuses"),
    ("open", "Open records"),
    ("restated", "Restatements"),
    ("books", "Books"),
    ("lake", "Lake"),
];

/// The whole page.
pub(super) fn page(figures: &Figures) -> String {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        BASE64_STANDARD.encode(Sha256::digest(STYLE))
    );
    let verdict = verdict::of(figures);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { "Lumetrade lake, " (text::time(figures.now)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the figures" }
                header {
                    p.kicker { "Lumetrade lake · " (text::moment(figures.now)) " UTC" }
                    h1 { (verdict.headline) }
                    (verdict.notices())
                    nav aria-label="Sections" {
                        ul { @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } } }
                    }
                }
                main #content tabindex="-1" {
                    (section(0, health::section(figures)))
                    (section(1, volume::section(&figures.volumes)))
                    (section(2, lives::statuses(&figures.lives)))
                    (section(3, lives::open(&figures.lives, figures.now)))
                    (section(4, restated::section(&figures.lives)))
                    (section(5, books::section(&figures.books)))
                    (section(6, lake::section(figures)))
                }
                footer {
                    p {
                        "Made by lumetrade-export " (env!("CARGO_PKG_VERSION")) " from the lake at "
                        (text::long(&figures.location)) ", as of " (text::moment(figures.now))
                        ". Times and days are in UTC. Amounts are exact; what is drawn is rounded."
                    }
                }
            }
        }
    };
    page.into_string()
}

fn section(place: usize, content: Markup) -> Markup {
    let (id, name) = SECTIONS[place];
    let heading = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(heading) {
            h2 id=(heading) { (name) }
            (content)
        }
    }
}

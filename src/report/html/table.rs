//! Tables: a caption, a head and rows of cells, of which the first names the row.

use maud::{Markup, html};

/// A column's name, and whether it holds figures.
pub(super) type Head<'h> = (&'h str, bool);

/// A table that fits everywhere.
pub(super) fn table(caption: &str, head: &[Head<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { @for (name, is_figure) in head { th scope="col" class=[is_figure.then_some("n")] { (name) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (place, (cell, (_, is_figure))) in row.iter().zip(head).enumerate() {
                            @if place == 0 { th scope="row" class=[is_figure.then_some("n")] { (cell) } }
                            @else { td class=[is_figure.then_some("n")] { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// A table that may be wider than the page: it scrolls by itself, by the keyboard too.
pub(super) fn wide(caption: &str, head: &[Head<'_>], rows: &[Vec<Markup>]) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(caption) { (table(caption, head, rows)) } }
}

/// A definition list, a term and its value a line.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (term, value) in facts { div { dt { (term) } dd { (value) } } } } }
}

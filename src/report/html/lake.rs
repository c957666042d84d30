//! What the lake takes up.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    super::figures::Figures,
    chart::{Bar, bars},
    table::wide,
    text,
};

/// The layers of a lake, with what each is for.
const LAYERS: [(&str, &str); 5] = [
    ("changes", "changes: every version"),
    ("current", "current: one row a record"),
    ("snapshots", "snapshots: commits once more, for quick reading"),
    ("quarantine", "quarantine: what does not fit"),
    ("meta", "meta: claims and caches"),
];

/// Objects and bytes.
type Size = (u64, u64);
/// Sizes by layer, of which one may be none of [`LAYERS`].
type Layers<'l> = BTreeMap<&'l str, Size>;

pub(super) fn section(figures: &Figures) -> Markup {
    let (mut tables, mut others) = (BTreeMap::<&str, Layers<'_>>::new(), Layers::new());
    for ((layer, folder), size) in &figures.sizes {
        let is_table = LAYERS.iter().any(|(known, _)| known == layer) && !folder.contains('.') && folder != "probe";
        let layers = if is_table { tables.entry(folder).or_default() } else { &mut others };
        add(layers.entry(layer).or_default(), *size);
    }
    let mut all = Layers::new();
    for layers in tables.values().chain([&others]) {
        layers.iter().for_each(|(layer, size)| add(all.entry(*layer).or_default(), *size));
    }
    let total = sum(&all);
    let bar = |(layer, name): &(&str, &str)| {
        let (_, bytes) = all.get(layer).copied().unwrap_or_default();
        Bar {
            name: (*name).split(':').next().unwrap_or_default().to_owned(),
            value: bytes,
            told: text::bytes(bytes),
            class: "lake",
        }
    };
    let mut head = vec![("Table", false)];
    head.extend(LAYERS.map(|(layer, _)| (layer, true)));
    head.push(("All", true));
    let row = |name: Markup, layers: &Layers<'_>| {
        let mut row = vec![name];
        row.extend(LAYERS.map(|(layer, _)| cell(layers.get(layer).copied().unwrap_or_default())));
        row.push(cell(sum(layers)));
        row
    };
    let mut rows: Vec<_> = tables.iter().map(|(table, layers)| row(text::own(table), layers)).collect();
    rows.extend([row(html! { "Everything else" }, &others), row(html! { "All" }, &all)]);
    let caption = "Size and objects by table and layer";
    html! {
        p.lead { (text::bytes(total.1)) " in " (text::plural(total.0, "object", "objects")) "." }
        article.pair {
            (bars("Size by layer", "The table beside it has the numbers.", &LAYERS.iter().map(bar).collect::<Vec<_>>()))
            (wide(caption, &head, &rows))
        }
        p.note { @for (place, (_, what)) in LAYERS.iter().enumerate() { @if place > 0 { "; " } (what) } "." }
    }
}

fn add(size: &mut Size, more: Size) {
    *size = (size.0 + more.0, size.1 + more.1);
}

fn sum(layers: &Layers<'_>) -> Size {
    let mut sum = Size::default();
    layers.values().for_each(|size| add(&mut sum, *size));
    sum
}

fn cell((objects, bytes): Size) -> Markup {
    html! {
        @if objects == 0 { "–" }
        @else { data value=(bytes) { (text::bytes(bytes)) } br; span.under { (text::plural(objects, "object", "objects")) } }
    }
}

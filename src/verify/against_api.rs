//! What a comparison with the API came to: figures and a table of differences for people, or lines of JSON.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{FINDINGS_TOLD_MAX, line};
use crate::sync::{Comparison, Difference, DifferenceKind};

/// Space between two columns.
const GAP: &str = "  ";

/// A difference with its resource, as a line of JSON.
#[derive(Serialize)]
struct Told<'d> {
    difference: OfResource<'d>,
}

#[derive(Serialize)]
struct OfResource<'d> {
    resource: &'d str,
    #[serde(flatten)]
    difference: &'d Difference,
}

/// Of all resources that were compared.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    resources: usize,
    equal: u64,
    only_in_api: u64,
    only_in_lake: u64,
    differ: u64,
    unexpected: u64,
    quarantined: u64,
    withheld: u64,
}

/// A line for each difference of a resource that was kept.
pub(super) fn json_lines(resource: &str, comparison: &Comparison) -> Result<String, serde_json::Error> {
    let told = |difference| Told { difference: OfResource { resource, difference } };
    comparison.differences.iter().map(|difference| Ok(serde_json::to_string(&told(difference))? + "\n")).collect()
}

/// `None` if nothing was compared.
pub(super) fn sum(compared: &[(&str, &Comparison)]) -> Option<Sum> {
    let total = |figure: fn(&Comparison) -> u64| compared.iter().map(|(_, comparison)| figure(comparison)).sum();
    (!compared.is_empty()).then(|| Sum {
        resources: compared.len(),
        equal: total(|comparison| comparison.equal),
        only_in_api: total(|comparison| comparison.only_in_api),
        only_in_lake: total(|comparison| comparison.only_in_lake),
        differ: total(|comparison| comparison.differ),
        unexpected: total(|comparison| comparison.unexpected),
        quarantined: total(|comparison| comparison.quarantined),
        withheld: total(|comparison| comparison.withheld),
    })
}

/// Figures, differences and a sum, if anything was compared.
pub(super) fn tell(compared: &[(&str, &Comparison)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(sum) = sum(compared) else { return Ok(()) };
    writeln!(f, "\nagainst the API")?;
    figures(compared, f)?;
    differences(compared, f)?;
    for (resource, comparison) in compared {
        odd_figures(resource, comparison, f)?;
    }
    let Sum { equal, only_in_api, only_in_lake, differ, unexpected, .. } = sum;
    let explained = match unexpected {
        0 if only_in_api + only_in_lake + differ == 0 => "",
        0 => "; what has happened since the last sync is among them, and may be all",
        _ => "; what has happened since the last sync is among them, and does not explain those that are unexpected",
    };
    writeln!(
        f,
        "{equal} records are equal, {differ} differ, {only_in_api} are only in the API, {only_in_lake} only in the \
         lake; {unexpected} of these are unexpected{explained}"
    )
}

fn figures(compared: &[(&str, &Comparison)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<16}{:>10}{:>10}{:>10}{:>8}{:>13}{:>14}{:>12}{:>13}  {:<21}polled",
        "resource",
        "lake",
        "API",
        "equal",
        "differ",
        "only in API",
        "only in lake",
        "unexpected",
        "quarantined",
        "last change seen"
    )?;
    for (resource, comparison) in compared {
        let Comparison { lake, api, equal, differ, only_in_api, only_in_lake, unexpected, quarantined, .. } =
            comparison;
        writeln!(
            f,
            "{resource:<16}{lake:>10}{api:>10}{equal:>10}{differ:>8}{only_in_api:>13}{only_in_lake:>14}\
             {unexpected:>12}{quarantined:>13}  {:<21}{}",
            comparison.observed_at.map_or("never".to_owned(), readable),
            readable(comparison.polled_at),
        )?;
    }
    Ok(())
}

fn readable(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The first differences of each resource, in columns as wide as they need to be.
fn differences(compared: &[(&str, &Comparison)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let heads = ["resource", "difference", "key", "column", "in the lake", "in the API"].map(str::to_owned);
    let mut rows = vec![heads];
    for (resource, comparison) in compared {
        rows.extend(
            comparison.differences.iter().take(FINDINGS_TOLD_MAX).map(|difference| cells(resource, difference)),
        );
    }
    if rows.len() == 1 {
        return Ok(());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    writeln!(f)?;
    for row in &rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(padded.collect::<Vec<_>>().join(GAP).trim_end(), f)?;
    }
    for (resource, Comparison { differences_found, .. }) in compared {
        let more = differences_found.saturating_sub(FINDINGS_TOLD_MAX as u64);
        if more > 0 {
            writeln!(f, "{resource}: and {more} more; --json has up to a thousand")?;
        }
    }
    writeln!(f)
}

fn cells(resource: &str, difference: &Difference) -> [String; 6] {
    let Difference { kind, unexpected, key, column, hidden, lake, api } = difference;
    let what = match kind {
        DifferenceKind::OnlyInApi => "only in API",
        DifferenceKind::OnlyInLake => "only in lake",
        DifferenceKind::Differs => "differs",
    };
    let value = |value: &Option<String>| match (value, column) {
        _ if *hidden => "(personal data)".to_owned(),
        (Some(value), _) => value.clone(),
        (None, Some(_)) => "null".to_owned(),
        (None, None) => String::new(),
    };
    [
        resource.to_owned(),
        if *unexpected { format!("{what}, unexpected") } else { what.to_owned() },
        key.clone(),
        column.clone().unwrap_or_default(),
        value(lake),
        value(api),
    ]
}

/// What is mostly nothing, in lines of its own.
fn odd_figures(resource: &str, comparison: &Comparison, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if comparison.absent {
        writeln!(f, "{resource}: the API lacks it, and may")?;
    }
    if comparison.withheld > 0 {
        let withheld = comparison.withheld;
        writeln!(f, "{resource}: {withheld} are missing from an answer that leaves a doubt whether they have gone")?;
    }
    Ok(())
}

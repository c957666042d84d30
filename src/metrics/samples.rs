//! Values of metrics, and Prometheus's text format (0.0.4), in which they are told and read back.

use std::{collections::BTreeMap, fmt::Write};

use super::family::{FAMILIES, Family, Kind};

/// The labels of a value, in their order.
pub(super) type Labels<'l> = &'l [(&'static str, &'l str)];

/// Values by family and, within it, by what stands before the value: the rest of the name, and the labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Samples(BTreeMap<&'static str, BTreeMap<String, f64>>);

impl Samples {
    pub(super) fn set(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        self.of_profile(None).set(family, labels, value);
    }

    pub(super) fn add(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        self.of_profile(None).add(family, labels, value);
    }

    /// Those with a profile's name as their first label, or with none.
    pub(super) fn of_profile<'s>(&'s mut self, profile: Option<&'s str>) -> OfProfile<'s> {
        OfProfile { samples: self, profile }
    }

    /// Drops what is of other profiles, and what is of none unless that is among these. What is of the process stays.
    pub(super) fn keep_to(&mut self, profiles: &[Option<&str>]) {
        for (name, values) in &mut self.0 {
            if FAMILIES.iter().any(|family| family.name == *name && !family.is_of_process) {
                values.retain(|key, _| {
                    let labels = read(key.split_once('{').map_or("", |(_, labels)| labels));
                    let profile = labels.first().filter(|(name, _)| name == PROFILE).map(|(_, value)| value.as_str());
                    profiles.contains(&profile)
                });
            }
        }
    }

    /// The text, family by family.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for Family { name, kind, help, .. } in FAMILIES {
            let Some(values) = self.0.get(name).filter(|values| !values.is_empty()) else { continue };
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
            for (key, value) in values {
                let _ = writeln!(text, "{name}{key} {value}");
            }
        }
        text
    }

    /// The values of a family: what stands behind its name, labels, value.
    pub(super) fn of(&self, family: &Family) -> impl Iterator<Item = (&str, Vec<(String, String)>, f64)> {
        let values = self.0.get(family.name).into_iter().flatten();
        values.map(|(key, value)| {
            let (rest, labels) = key.split_once('{').unwrap_or((key, ""));
            (rest, read(labels), *value)
        })
    }

    /// What a text of this form says. What it says of anything else is passed over.
    pub(super) fn of_text(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((sample, value)) = line.rsplit_once(' ') else { continue };
            let name = sample.split('{').next().unwrap_or_default();
            let family = FAMILIES.iter().find(|family| match family.kind {
                Kind::Summary => [Some("_sum"), Some("_count")].contains(&name.strip_prefix(family.name)),
                Kind::Counter | Kind::Gauge => family.name == name,
            });
            if let (Some(family), Ok(value)) = (family, value.parse()) {
                samples.0.entry(family.name).or_default().insert(sample[family.name.len()..].to_owned(), value);
            }
        }
        samples
    }
}

/// The label that names a profile.
const PROFILE: &str = "profile";

/// Values of one profile.
pub(super) struct OfProfile<'s> {
    samples: &'s mut Samples,
    profile: Option<&'s str>,
}

impl OfProfile<'_> {
    pub(super) fn set(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        *self.value(family, "", labels) = value;
    }

    pub(super) fn add(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        *self.value(family, "", labels) += value;
    }

    pub(super) fn observe(&mut self, family: &Family, labels: Labels<'_>, value: f64) {
        *self.value(family, "_sum", labels) += value;
        *self.value(family, "_count", labels) += 1.0;
    }

    pub(super) fn remove(&mut self, family: &Family, labels: Labels<'_>) {
        let key = self.key("", labels);
        if let Some(values) = self.samples.0.get_mut(family.name) {
            values.remove(&key);
        }
    }

    fn value(&mut self, family: &Family, rest: &str, labels: Labels<'_>) -> &mut f64 {
        let key = self.key(rest, labels);
        self.samples.0.entry(family.name).or_default().entry(key).or_default()
    }

    fn key(&self, rest: &str, labels: Labels<'_>) -> String {
        let profile = self.profile.map(|name| (PROFILE, name));
        key(rest, &profile.into_iter().chain(labels.iter().copied()).collect::<Vec<_>>())
    }
}

fn key(rest: &str, labels: Labels<'_>) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    if labels.is_empty() { rest.to_owned() } else { format!("{rest}{{{}}}", labels.join(",")) }
}

/// Labels as they were before they were written.
fn read(mut labels: &str) -> Vec<(String, String)> {
    let mut read = Vec::new();
    while let Some((name, rest)) = labels.split_once("=\"") {
        let (mut value, mut characters) = (String::new(), rest.char_indices());
        while let Some((at, character)) = characters.next() {
            labels = &rest[at + character.len_utf8()..];
            match character {
                '"' => break,
                '\\' => value.extend(characters.next().map(|(_, escaped)| if escaped == 'n' { '\n' } else { escaped })),
                other => value.push(other),
            }
        }
        read.push((name.trim_start_matches(',').to_owned(), value));
    }
    read
}

#[cfg(test)]
mod tests {
    use super::{
        super::family::{CHANGES, OPEN, RUNS, STAGES},
        *,
    };

    #[test]
    fn what_is_written_is_read_whatever_the_labels() {
        let mut samples = Samples::default();
        samples.add(&RUNS, &[], 2.0);
        samples.set(&OPEN, &[("resource", "a \"b\" \\ \n c")], 1.5);
        samples.of_profile(None).observe(&STAGES, &[("resource", "trades"), ("stage", "poll")], 0.25);
        samples.of_profile(None).observe(&STAGES, &[("resource", "trades"), ("stage", "poll")], 0.5);
        let text = samples.to_text();
        assert_eq!(Samples::of_text(&text), samples, "{text}");
        let open: Vec<_> = samples.of(&OPEN).collect();
        assert_eq!(open, [("", vec![("resource".to_owned(), "a \"b\" \\ \n c".to_owned())], 1.5)]);
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = vec![label("resource", "trades"), label("stage", "poll")];
        assert_eq!(samples.of(&STAGES).collect::<Vec<_>>(), [("_count", labels.clone(), 2.0), ("_sum", labels, 0.75)]);
        assert_eq!(samples.of(&RUNS).collect::<Vec<_>>(), [("", Vec::new(), 2.0)]);
        for line in [
            "lumetrade_export_runs_total 2",
            "lumetrade_export_open_records{resource=\"a \\\"b\\\" \\\\ \\n c\"} 1.5",
            "lumetrade_export_stage_duration_seconds_sum{resource=\"trades\",stage=\"poll\"} 0.75",
            "lumetrade_export_stage_duration_seconds_count{resource=\"trades\",stage=\"poll\"} 2",
            "# TYPE lumetrade_export_stage_duration_seconds summary",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_not_ours_is_passed_over_and_what_is_removed_is_not_told() {
        let foreign = "up 1\nlumetrade_export_runs_total many\nlumetrade_export_runs_total_more 7\n\n{} 1\n 2";
        assert_eq!(Samples::of_text(foreign), Samples::default());
        let mut samples = Samples::default();
        samples.add(&CHANGES, &[("kind", "added")], 1.0);
        samples.of_profile(None).remove(&CHANGES, &[("kind", "added")]);
        assert_eq!(samples.to_text(), "");
    }

    #[test]
    fn large_counters_are_written_to_the_last_digit() {
        let mut samples = Samples::default();
        samples.add(&RUNS, &[], 9_007_199_254_740_991.0);
        assert!(samples.to_text().contains("_total 9007199254740991\n"));
    }
}

//! What is told of a run beside its report: metrics, the history in the lake, and a word to whoever is to know of failures.
//!
//! None of it changes what a run came to. What cannot be told is a warning.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{message, trace};
use crate::{
    api,
    config::Config,
    error::Error,
    lake::{Lake, Store},
    metrics::{Endpoint, Metrics},
    redact::redact,
    sync::{PastRun, Report},
};

/// Takes note of runs.
pub struct Witness {
    metrics: Metrics,
    endpoint: Option<Endpoint>,
    /// Of each profile, the last run that was told of, or that there was nothing to tell of.
    before: BTreeMap<Option<String>, PastRun>,
}

impl Witness {
    /// Goes on from what earlier processes have noted of these profiles, or of the one lake that there is. There is always one.
    pub async fn new(configs: &[Config]) -> Self {
        let file = configs.first().and_then(|config| config.operating.metrics_file.as_deref());
        let metrics = file.map_or_else(|| Ok(Metrics::default()), Metrics::read);
        let mut metrics = metrics.unwrap_or_else(|error| {
            tracing::warn!(%error, "the metrics' file cannot be read; they begin anew");
            Metrics::default()
        });
        metrics.keep_to(&profiles(configs));
        let mut before = BTreeMap::new();
        for config in configs.iter().filter(|config| config.operating.runs_kept > 0) {
            let runs = past_runs(config).await.unwrap_or_default();
            before.extend(runs.into_iter().next_back().map(|run| (config.profile.clone(), run)));
        }
        Self { metrics, endpoint: None, before }
    }

    /// What was noted so far.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Lets metrics be asked for.
    pub(super) fn publish_at(&mut self, endpoint: Endpoint) {
        self.endpoint = Some(endpoint);
    }

    /// Takes note of a run that has ended.
    pub async fn note(&mut self, config: &Config, run: PastRun, ended: &Result<Report, Error>) {
        self.metrics.note(config.profile.as_deref(), &run, ended.as_ref().ok());
        if config.operating.runs_kept > 0
            && let Err(error) = keep(config, &run).await
        {
            tracing::warn!(%error, "the run cannot be kept in the history");
        }
        let is_told = self.tell(config, &run).await;
        self.publish(config);
        self.export(config, &run, ended).await;
        if is_told {
            self.before.insert(config.profile.clone(), run);
        }
    }

    /// Takes note of when the next run is due, and how many were left out before it.
    pub(super) fn next_run(&mut self, configs: &[Config], due: DateTime<Utc>, missed: u64) {
        self.metrics.next_run(due, missed);
        configs.first().into_iter().for_each(|config| self.publish(config));
    }

    /// Takes note of whether the settings could be read again, and of which profiles there are.
    pub(super) fn reloaded(&mut self, configs: &[Config], successfully: bool) {
        self.metrics.keep_to(&profiles(configs));
        self.metrics.reloaded(successfully);
        configs.first().into_iter().for_each(|config| self.publish(config));
    }

    fn publish(&self, config: &Config) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.publish(&self.metrics);
        }
        if let Some(path) = &config.operating.metrics_file
            && let Err(error) = self.metrics.write(path)
        {
            tracing::warn!(file = %path.display(), %error, "the metrics cannot be written");
        }
    }

    /// Sends metrics and the run's trace to OpenTelemetry's collector, if there is one.
    async fn export(&self, config: &Config, run: &PastRun, ended: &Result<Report, Error>) {
        let Some(endpoint) = &config.operating.otlp_endpoint else { return };
        let headers = match config.otlp_headers() {
            Ok(headers) => headers,
            Err(error) => return tracing::warn!(%error, "the collector was not told"),
        };
        let ended_at = run.started_at + TimeDelta::milliseconds((run.seconds * 1e3) as i64);
        // Each profile may have a collector of its own, which the others are no business of.
        let mut metrics = self.metrics.clone();
        metrics.keep_to(&[config.profile.as_deref()]);
        let metrics = metrics.to_otlp(ended_at.timestamp_nanos_opt().unwrap_or_default());
        for (what, message) in [("metrics", metrics), ("traces", trace::request(&config.lake, run, ended))] {
            let url = format!("{endpoint}/v1/{what}").into();
            let message = redact(&message).into_owned();
            if let Err(error) = api::post(&config.connection, &url, headers.as_ref(), message).await {
                // What does not take the one does not take the other.
                return tracing::warn!(%error, what, "the collector was not told");
            }
        }
    }

    /// Tells of a failure that is another than before, and of the recovery from one. Whether there is nothing left to tell.
    async fn tell(&mut self, config: &Config, run: &PastRun) -> bool {
        let form = config.operating.webhook_form;
        let Some(message) = message::between(self.before.get(&config.profile), run, &config.lake, form) else {
            return true;
        };
        let posted = match config.webhook_url() {
            Ok(None) => return true,
            Ok(Some(url)) => {
                let message = redact(&message).into_owned();
                api::post(&config.connection, &url, None, message).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = &posted {
            tracing::warn!(error, "the webhook was not told");
            self.metrics.webhook_failed(config.profile.as_deref());
        }
        posted.is_ok()
    }
}

/// All that there are in the settings, or none where there are no profiles.
fn profiles(configs: &[Config]) -> Vec<Option<&str>> {
    let names: Vec<_> = configs.first().into_iter().flat_map(Config::profile_names).map(Some).collect();
    if names.is_empty() { vec![None] } else { names }
}

/// The last runs, the last one last. What cannot be read as one is left out.
///
/// # Errors
///
/// If there is no lake, or it cannot be read.
pub async fn past_runs(config: &Config) -> Result<Vec<PastRun>, Error> {
    let lines = open(config).await?.runs().await?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

async fn keep(config: &Config, run: &PastRun) -> Result<(), Error> {
    let line = run.to_json().map_err(|error| Error::Bug(error.to_string()))?;
    Ok(open(config).await?.keep_run(&line, config.operating.runs_kept).await?)
}

async fn open(config: &Config) -> Result<Lake, Error> {
    Ok(Lake::open(Store::open(&config.lake, &config.s3, false)?).await?)
}

//! What is told of runs, and to whom: metrics, the history of runs, a webhook.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use super::{ConfigError, path};
use crate::api::BaseUrl;

/// A longer history is not for a single object.
const RUNS_KEPT_MAX: u32 = 10_000;

/// What is told of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operating {
    /// Where metrics can be asked for while `sync --every` runs.
    pub metrics_listen: Option<SocketAddr>,
    /// The file to which metrics are written after each run.
    pub metrics_file: Option<PathBuf>,
    /// Reports of runs that the lake keeps.
    pub runs_kept: usize,
    /// What the webhook is sent.
    pub webhook_form: WebhookForm,
    /// Where OpenTelemetry's metrics and traces go, up to and without `/v1`.
    pub otlp_endpoint: Option<String>,
}

/// Who reads what a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookForm {
    /// A program.
    Json,
    /// Slack, and whatever takes the same.
    Slack,
}

/// Of the settings file, under `[operate]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    metrics_listen: String,
    metrics_file: String,
    runs_kept: u32,
    pub webhook_url_file: String,
    pub webhook_url_command: Vec<String>,
    webhook_form: WebhookForm,
    otlp_endpoint: String,
    pub otlp_headers_file: String,
    pub otlp_headers_command: Vec<String>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            metrics_listen: String::new(),
            metrics_file: String::new(),
            runs_kept: 0,
            webhook_url_file: String::new(),
            webhook_url_command: Vec::new(),
            webhook_form: WebhookForm::Json,
            otlp_endpoint: String::new(),
            otlp_headers_file: String::new(),
            otlp_headers_command: Vec::new(),
        }
    }
}

impl Raw {
    pub(super) fn parse(&self) -> Result<Operating, ConfigError> {
        let metrics_listen = match self.metrics_listen.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| ConfigError::Invalid {
                setting: "operate.metrics_listen",
                problem: format!("`{text}` is no address with a port, as 127.0.0.1:9184"),
            })?),
        };
        if self.runs_kept > RUNS_KEPT_MAX {
            let problem = format!("{} is more than {RUNS_KEPT_MAX}", self.runs_kept);
            return Err(ConfigError::Invalid { setting: "operate.runs_kept", problem });
        }
        let otlp_endpoint = match self.otlp_endpoint.trim_end_matches('/') {
            "" => None,
            text => match text.parse::<BaseUrl>() {
                Ok(_) => Some(text.to_owned()),
                Err(_) => {
                    let problem = "it is no URL of scheme, host, port and path alone that begins with https:// (http:// is for \
                                   loopback addresses alone)";
                    return Err(ConfigError::Invalid { setting: "operate.otlp_endpoint", problem: problem.to_owned() });
                }
            },
        };
        Ok(Operating {
            metrics_listen,
            metrics_file: path(&self.metrics_file),
            runs_kept: self.runs_kept as usize,
            webhook_form: self.webhook_form,
            otlp_endpoint,
        })
    }
}

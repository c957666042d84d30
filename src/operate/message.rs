//! What a webhook is told: that something has failed which had not, or that all is well again. Pure.
//!
//! | before | now | told |
//! |---|---|---|
//! | nothing, or well | failed | the failure |
//! | failed | failed otherwise | the failure |
//! | failed | failed alike | nothing |
//! | failed | well | the recovery |
//! | nothing, or well | well | nothing |

use std::{collections::BTreeSet, fmt::Write};

use serde_json::json;

use crate::{
    config::WebhookForm,
    redact::printable,
    sync::{PastFailure, PastRun},
};

/// Failures that a message names.
const FAILURES_MAX: usize = 10;
/// Characters of a failure's message: it may quote what the API says.
const MESSAGE_MAX: usize = 500;

/// The message after this run, if there is anything to say that was not said before. It may have secrets in it.
pub(super) fn between(before: Option<&PastRun>, run: &PastRun, lake: &str, form: WebhookForm) -> Option<String> {
    let before = before.filter(|before| before.exit_code != 0);
    let is_news = match before {
        Some(before) => what_failed(before) != what_failed(run),
        None => run.exit_code != 0,
    };
    let message = match form {
        WebhookForm::Json => program_message,
        WebhookForm::Slack => slack_message,
    };
    is_news.then(|| message(before, run, lake))
}

/// What has failed, and how. That its wording differs, as by a count, is no news.
fn what_failed(run: &PastRun) -> BTreeSet<(Option<&str>, u64)> {
    run.failures().map(|failure| (failure.resource, failure.exit_code)).collect()
}

fn program_message(before: Option<&PastRun>, run: &PastRun, lake: &str) -> String {
    let failures: Vec<_> = run.failures().take(FAILURES_MAX).collect();
    let message = json!({
        "event": if run.exit_code == 0 { "recovery" } else { "failure" },
        "lake": lake,
        "run_started_at": run.started_at,
        "exit_code": run.exit_code,
        "failures": failures,
        "exit_code_before": before.map(|before| before.exit_code),
        "failing_since": before.map(|before| before.started_at),
    });
    message.to_string()
}

fn slack_message(before: Option<&PastRun>, run: &PastRun, lake: &str) -> String {
    let mut text = match before {
        Some(before) if run.exit_code == 0 => {
            format!("*lumetrade-export*: all is well again, since the failure of {}", before.started_at)
        }
        _ => format!("*lumetrade-export*: failed, with exit code {}", run.exit_code),
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n{}", escaped(lake));
    for PastFailure { resource, message, hint, .. } in run.failures().take(FAILURES_MAX) {
        let _ = write!(text, "\n• {}: {}", resource.unwrap_or("the run"), escaped(message));
        if let Some(hint) = hint {
            let _ = write!(text, "\n    hint: {}", escaped(hint));
        }
    }
    json!({ "text": text }).to_string()
}

/// Nothing in it is taken for a link, a mention or a line's end.
fn escaped(text: &str) -> String {
    let shortened: String = text.chars().take(MESSAGE_MAX).collect();
    printable(&shortened).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::Value;

    use super::*;

    fn run(failures: &[(&str, u8, &str)]) -> PastRun {
        let failed = failures.iter().map(|(resource, exit_code, message)| {
            json!({ "resource": resource, "failure": { "message": message, "hint": null, "exit_code": exit_code } })
        });
        PastRun {
            started_at: DateTime::UNIX_EPOCH,
            seconds: 1.0,
            exit_code: failures.iter().map(|(_, code, _)| *code).max().unwrap_or_default(),
            error: None,
            resources: failed.chain([json!({ "resource": "wallets", "failure": null })]).collect(),
        }
    }

    fn message(before: Option<&PastRun>, now: &PastRun, form: WebhookForm) -> Option<Value> {
        between(before, now, "./lake", form).map(|message| serde_json::from_str(&message).unwrap())
    }

    #[test]
    fn a_failure_and_its_recovery_are_told_once_each() {
        let (well, down) = (run(&[]), run(&[("trades", 69, "gone at 12:00")]));
        let (still_down, worse) = (run(&[("trades", 69, "gone at 12:15")]), run(&[("trades", 77, "denied")]));
        let event = |before: Option<&PastRun>, now: &PastRun| {
            message(before, now, WebhookForm::Json).map(|message| message["event"].as_str().unwrap().to_owned())
        };
        assert_eq!(event(None, &well), None);
        assert_eq!(event(Some(&well), &well), None);
        assert_eq!(event(None, &down).as_deref(), Some("failure"));
        assert_eq!(event(Some(&well), &down).as_deref(), Some("failure"));
        assert_eq!(event(Some(&down), &still_down), None);
        assert_eq!(event(Some(&down), &worse).as_deref(), Some("failure"));
        assert_eq!(event(Some(&worse), &well).as_deref(), Some("recovery"));
    }

    #[test]
    fn a_program_is_told_what_has_failed_and_since_when() {
        let told = message(None, &run(&[("trades", 69, "gone")]), WebhookForm::Json).unwrap();
        let failure = json!({ "resource": "trades", "message": "gone", "hint": null, "exit_code": 69 });
        assert_eq!(told["failures"], json!([failure]));
        assert_eq!((told["exit_code"].as_u64(), told["lake"].as_str()), (Some(69), Some("./lake")));
        let told = message(Some(&run(&[("trades", 69, "gone")])), &run(&[]), WebhookForm::Json).unwrap();
        assert_eq!((&told["exit_code_before"], &told["failing_since"]), (&json!(69), &json!("1970-01-01T00:00:00Z")));
        let whole = PastRun { error: Some("no lake".to_owned()), exit_code: 78, ..run(&[]) };
        let told = message(None, &whole, WebhookForm::Json).unwrap();
        assert_eq!(told["failures"][0]["resource"], Value::Null);
        assert_eq!(told["failures"][0]["message"], "no lake");
    }

    #[test]
    fn nothing_that_the_api_says_is_markup_in_slack() {
        let hostile = format!("<!channel> <https://evil|here>\n• wallets: fine & {}", "x".repeat(1000));
        let told = message(None, &run(&[("trades", 65, &hostile)]), WebhookForm::Slack).unwrap();
        let text = told["text"].as_str().unwrap();
        assert!(!text.contains('<') && text.lines().count() == 3 && text.len() < 800, "{text}");
        assert!(text.starts_with("*lumetrade-export*: failed, with exit code 65\n./lake\n• trades: &lt;!channel&gt;"));
        let told = message(Some(&run(&[("trades", 65, "x")])), &run(&[]), WebhookForm::Slack).unwrap();
        assert!(told["text"].as_str().unwrap().contains("all is well again"), "{told}");
    }
}

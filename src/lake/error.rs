//! What can go wrong between us and the lake, by what the operator has to do about it.

use thiserror::Error;

/// Length of what a store says that is told.
const SUMMARY_CHARS_MAX: usize = 400;

/// A failure of the lake. Losing a race is none: see [`Outcome`](super::Outcome).
#[derive(Debug, Error)]
pub enum LakeError {
    /// The store could not read or write.
    #[error("cannot {action} {key}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which object.
        key: String,
        /// What the store says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object cannot be made ready on this machine.
    #[error("cannot make an object ready in the spool folder: {0}")]
    Spool(String),
    /// The store refuses access.
    #[error("not allowed to {action} {key}: {source}")]
    Denied {
        /// What was attempted.
        action: &'static str,
        /// On which object.
        key: String,
        /// What the store says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no bucket where the settings point to.
    #[error("cannot {action} {key}: the bucket is not there, or in another region: {source}")]
    NoBucket {
        /// What was attempted.
        action: &'static str,
        /// On which object.
        key: String,
        /// What the store says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A write may or may not have happened.
    #[error("it is not known whether {key} was written: {source}")]
    OutcomeUnknown {
        /// The object.
        key: String,
        /// The last thing that the store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store lacks what every commit relies upon.
    #[error("{location} cannot hold a lake: {law}")]
    Contract {
        /// The store.
        location: String,
        /// The law that it breaks.
        law: String,
    },
    /// What is in the lake cannot have come from this program's laws.
    #[error("the lake is damaged: {key}: {problem}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Commits that were there have gone.
    #[error("commit {seq} of {resource} was in the lake and is not any more, as {cache} shows")]
    RolledBack {
        /// The resource.
        resource: String,
        /// The last commit that is known to have been there.
        seq: u64,
        /// The cache that knows it.
        cache: String,
    },
    /// A newer version of this program has written the lake.
    #[error("the lake has format {found}, this version writes up to {known}", known = super::FORMAT)]
    NewerFormat {
        /// The lake's format.
        found: u32,
    },
    /// The lake was made with another granularity of partitions.
    #[error("the lake is partitioned by {lake}, the settings say {settings}")]
    Granularity {
        /// As the lake was made.
        lake: crate::schema::Granularity,
        /// As it is set.
        settings: crate::schema::Granularity,
    },
    /// A declared column has another type than the lake's.
    #[error("column `{column}` of {table} is {found} in the lake, the schema says {declared}")]
    Incompatible {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Type in the lake.
        found: String,
        /// Type in the schema.
        declared: String,
    },
    /// The schema identifies records otherwise than the lake does.
    #[error("{resource} is keyed by {lake} in the lake, the schema says {schema}")]
    KeyChanged {
        /// The resource.
        resource: String,
        /// Key columns in the lake.
        lake: String,
        /// Key columns of the schema.
        schema: String,
    },
    /// There is no lake where one was expected.
    #[error("there is no lake at {location}")]
    Missing {
        /// Where it was looked for.
        location: String,
    },
    /// The location is none that a lake can have.
    #[error("`{location}` cannot be a lake: {problem}")]
    Location {
        /// As it was given.
        location: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl LakeError {
    pub(crate) fn spool(error: &(dyn std::error::Error + Send + Sync)) -> Self {
        LakeError::Spool(error.to_string())
    }

    pub(super) fn io(
        action: &'static str,
        key: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        LakeError::Io { action, key: key.to_owned(), source: source.into() }
    }

    pub(super) fn store(action: &'static str, key: &str, source: object_store::Error) -> Self {
        let (key, said) = (key.to_owned(), summary(&source).into());
        if is_denial(&source) {
            LakeError::Denied { action, key, source: said }
        } else if is_elsewhere(&source) {
            LakeError::NoBucket { action, key, source: said }
        } else {
            LakeError::Io { action, key, source: said }
        }
    }

    pub(super) fn outcome_unknown(key: &str, source: &object_store::Error) -> Self {
        LakeError::OutcomeUnknown { key: key.to_owned(), source: summary(source).into() }
    }

    /// Of a create that has happened, and may not last.
    pub(super) fn not_persisted(key: &str, error: LakeError) -> Self {
        LakeError::OutcomeUnknown { key: key.to_owned(), source: error.into() }
    }

    /// What the operating system says of a file or folder.
    pub(crate) fn file(action: &'static str, path: &str, source: std::io::Error) -> Self {
        let key = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::PermissionDenied => LakeError::Denied { action, key, source: source.into() },
            _ => LakeError::Io { action, key, source: source.into() },
        }
    }

    pub(crate) fn damaged(key: &str, problem: impl Into<String>) -> Self {
        LakeError::Damaged { key: key.to_owned(), problem: problem.into() }
    }
}

/// What a store says, on one line: of an error in XML, as S3 answers with, only its code and message.
pub(super) fn summary(error: &object_store::Error) -> String {
    let text = error.to_string();
    let mut line = match text.split_once("<?xml").or_else(|| text.split_once("<Error>")) {
        Some((before, xml)) => {
            let parts = [before.trim_end_matches([' ', ':']), element(xml, "Code"), element(xml, "Message")];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
        }
        None => text,
    };
    // The first cause says whether it was a refusal, a reset or a lapse of time, and clients leave it out.
    let cause = innermost(error).to_string();
    if !cause.contains('<') && !line.contains(&cause) {
        line = format!("{line}: {cause}");
    }
    line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(SUMMARY_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    error.source().map_or(error, innermost)
}

/// The text of the first element of this name; empty if there is none.
fn element<'x>(xml: &'x str, name: &str) -> &'x str {
    let inner = xml.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    inner.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
}

/// Some stores say so by a variant; the local one hides the operating system's error at the end of the chain; S3 has more
/// than one status for credentials that do not hold, and where there are none, the machine is asked for its own in vain.
pub(super) fn is_denial(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    const CREDENTIALS: [&str; 5] = [
        "status code: 403",
        "<Code>ExpiredToken",
        "<Code>InvalidToken",
        "<Code>RequestTimeTooSkewed",
        "169.254.169.254",
    ];
    if matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) || says_any(error, &CREDENTIALS) {
        return true;
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::PermissionDenied;
        }
        source = error.source();
    }
    false
}

/// Whether the request went to a place that is not the bucket's. An object that is missing is never an error here, so what is
/// not found is the bucket, or an upload that is completed already.
pub(super) fn is_elsewhere(error: &object_store::Error) -> bool {
    const PLACES: [&str; 4] =
        ["redirect", "<Code>AuthorizationHeaderMalformed", "<Code>NoSuchBucket", "<Code>PermanentRedirect"];
    let is_missing =
        matches!(error, object_store::Error::NotFound { .. }) && !error.to_string().contains("NoSuchUpload");
    is_missing || says_any(error, &PLACES)
}

fn says_any(error: &object_store::Error, texts: &[&str]) -> bool {
    matches!(error, object_store::Error::Generic { store: "S3", .. })
        && texts.iter().any(|text| error.to_string().contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_says_is_told_on_one_short_line() {
        let error = |text: String| object_store::Error::Generic { store: "S3", source: text.into() };
        let xml = "<?xml version=\"1.0\"?>\n<Error>\n<Code>SlowDown</Code><Message>Please\nwait</Message></Error>";
        let rows = [
            (
                format!("status code: 503: {xml}"),
                "Generic S3 error: status code: 503: SlowDown: Please wait".to_owned(),
            ),
            ("status code: 503: <Error></Error>".to_owned(), "Generic S3 error: status code: 503".to_owned()),
            ("reset\nby peer".to_owned(), "Generic S3 error: reset by peer".to_owned()),
        ];
        for (said, told) in rows {
            assert_eq!(summary(&error(said)), told);
        }
        assert_eq!(summary(&error("ä".repeat(1000))).chars().count(), SUMMARY_CHARS_MAX + 1);
    }
}

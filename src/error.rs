//! Every failure, and what the operator should do about it.

use std::{fmt, path::PathBuf};

use thiserror::Error;

use crate::{
    api::ApiError, config::ConfigError, decode::Rejection, diff::GuardRefusal, lake::LakeError, record::MalformedBody,
};

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum Error {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Of a profile of the settings.
    #[error("{profile}: {problem}")]
    OfProfile {
        /// The profile.
        profile: String,
        /// What happened.
        problem: Box<Error>,
    },
    /// The API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The answer is not one complete list.
    #[error("the API's answer is refused: {0}")]
    Malformed(#[from] MalformedBody),
    /// An object with pages instead of a list.
    #[error("the API's answer is an object with `{member}` instead of a list, as if it had begun to paginate")]
    Paginated {
        /// The member that gives it away.
        member: &'static str,
    },
    /// A record of the answer is not JSON.
    #[error("the API's answer is refused: the record at byte {offset} is not JSON (at byte {at} of it)")]
    MalformedRecord {
        /// Offset of the record in the body.
        offset: u64,
        /// Offset in the record.
        at: usize,
    },
    /// The same key twice, with different content.
    #[error(
        "the API's answer is refused: the key `{key}` stands twice, with different content (again at byte {offset})"
    )]
    Duplicate {
        /// The key.
        key: String,
        /// Offset in the body of the second record.
        offset: u64,
    },
    /// A single read has given something else than the record that was asked for.
    #[error("the API's answer for the single record `{key}` is refused: {problem}")]
    Single {
        /// The key.
        key: String,
        /// What it is instead.
        problem: &'static str,
    },
    /// A guard.
    #[error("the API's answer is refused: {0}")]
    Guard(#[from] GuardRefusal),
    /// Too many records do not fit, with the first of them.
    #[error("the API's answer is refused: {refusal}; the first: {first}")]
    Unfit {
        /// The guard.
        refusal: GuardRefusal,
        /// The first record that does not fit.
        first: Box<Rejection>,
    },
    /// Other runs were always quicker.
    #[error("another run has committed {resource} first, {attempts} times over")]
    Outrun {
        /// The resource.
        resource: String,
        /// Polls made.
        attempts: u32,
    },
    /// A file that a backfill is to take in cannot be used.
    #[error("{path}: {problem}")]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What a backfill would do is not what was reviewed.
    #[error("plan {reviewed} is stale: what there is to be done now is plan {plan}; nothing was committed")]
    StalePlan {
        /// The plan that was reviewed.
        reviewed: String,
        /// What there is to be done.
        plan: String,
    },
    /// There is nothing to replay, or no place for it.
    #[error("{location}: {problem}")]
    Replay {
        /// The archive's lake, or the one that is to be made.
        location: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A run is in the middle of its commits, or was cut off there.
    #[error(
        "{resource}: a run is committing, or was cut off while it did, so that it is not certain what is in the lake"
    )]
    Unsettled {
        /// The resource.
        resource: String,
    },
    /// The books cannot be reckoned.
    #[error("there are no books without {resource}: {problem}")]
    NoBooks {
        /// The resource.
        resource: String,
        /// What is missing.
        problem: String,
    },
    /// The sandbox.
    #[error("the sandbox: {0}")]
    Sandbox(#[from] crate::sandbox::Error),
    /// The demo's lake is there already.
    #[error("there is a lake at {location} already, and the demo's world is not its own")]
    DemoLake {
        /// Where.
        location: String,
    },
    /// The report cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
    /// This machine gives us no threads.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// A defect of this program.
    #[error("internal error: {0}; please report it")]
    Bug(String),
}

/// What the operator should do, as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 65: look at the data.
    Data,
    /// 69: the API is unavailable; retry later.
    Unavailable,
    /// 70: report a bug.
    Bug,
    /// 74: look at the disk or the network of the store.
    Store,
    /// 75: another run is ahead; retry later.
    Outrun,
    /// 76: the lake is damaged, or its store breaks its contract.
    Damaged,
    /// 77: fix the credentials or permissions.
    Denied,
    /// 78: fix the settings.
    Settings,
    /// 79: a commit's outcome is unknown; run again, which settles it.
    Unknown,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Data,
        Kind::Unavailable,
        Kind::Bug,
        Kind::Store,
        Kind::Outrun,
        Kind::Damaged,
        Kind::Denied,
        Kind::Settings,
        Kind::Unknown,
    ];

    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Data => 65,
            Kind::Unavailable => 69,
            Kind::Bug => 70,
            Kind::Store => 74,
            Kind::Outrun => 75,
            Kind::Damaged => 76,
            Kind::Denied => 77,
            Kind::Settings => 78,
            Kind::Unknown => 79,
        }
    }

    /// Whether it stays as it is until a person does something. The others may be gone at the next run.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        !matches!(self, Kind::Unavailable | Kind::Store | Kind::Outrun | Kind::Unknown)
    }

    /// Of several failures, the one to tell; `None` of none.
    pub fn gravest(kinds: impl Iterator<Item = Kind>) -> Option<Kind> {
        kinds.max_by_key(|kind| kind.gravity())
    }

    /// Of several exit codes, the one to end with: 0 only if all are.
    pub fn gravest_code(codes: impl Iterator<Item = u8>) -> u8 {
        let gravity = |code: &u8| Kind::ALL.into_iter().find(|kind| kind.exit_code() == *code).map(Kind::gravity);
        codes.max_by_key(gravity).unwrap_or_default()
    }

    /// Of several failures, the one to tell: what needs a person goes before what the next run may mend by itself.
    #[must_use]
    pub fn gravity(self) -> u8 {
        match self {
            Kind::Outrun => 1,
            Kind::Unavailable => 2,
            Kind::Unknown => 3,
            Kind::Store => 4,
            Kind::Data => 5,
            Kind::Denied => 6,
            Kind::Settings => 7,
            Kind::Damaged => 8,
            Kind::Bug => 9,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Data => "data",
            Kind::Unavailable => "unavailable",
            Kind::Bug => "bug",
            Kind::Store => "store",
            Kind::Outrun => "outrun",
            Kind::Damaged => "damaged",
            Kind::Denied => "denied",
            Kind::Settings => "settings",
            Kind::Unknown => "unknown",
        })
    }
}

impl Error {
    /// What the operator should do.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Error::Config(_) | Error::DemoLake { .. } | Error::NoBooks { .. } | Error::Replay { .. } => Kind::Settings,
            Error::OfProfile { problem, .. } => problem.kind(),
            Error::Api(error) => api_kind(error),
            Error::Lake(error) => lake_kind(error),
            Error::Malformed(_) | Error::MalformedRecord { .. } | Error::Paginated { .. } => Kind::Data,
            Error::Duplicate { .. } | Error::Single { .. } => Kind::Data,
            Error::Guard(_) | Error::Unfit { .. } | Error::Input { .. } | Error::StalePlan { .. } => Kind::Data,
            Error::Outrun { .. } | Error::Unsettled { .. } => Kind::Outrun,
            Error::Sandbox(_) | Error::Output(_) | Error::Start(_) => Kind::Store,
            Error::Bug(_) => Kind::Bug,
        }
    }

    /// What may help, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Guard(GuardRefusal::PageSized { .. }) | Error::Paginated { .. } => Some(
                "`pagination = \"page\"` in the settings reads all pages, and `check --reserved` tells whether the server has them; if the records are really gone, sync this --resource with --accept-removals",
            ),
            Error::Api(ApiError::Walk { .. }) => Some(
                "`check --reserved` tells whether the server has pages; with `pagination = \"none\"` the list is read in one answer",
            ),
            Error::Guard(_) => Some("if the records are really gone, sync this --resource with --accept-removals"),
            Error::Unfit { .. } => Some("if the API has changed, describe its records with --schemas"),
            Error::Api(ApiError::Denied { status: 401, .. }) => Some(
                "check LUMETRADE_API_KEY and LUMETRADE_API_SECRET, or what the settings name in their place: they may be wrong, expired or revoked",
            ),
            Error::Api(ApiError::Denied { .. }) => {
                Some("the key's owner may not read this; check the key's permissions")
            }
            Error::Lake(LakeError::Granularity { .. }) => Some("set `partition` to what the lake was made with"),
            Error::Lake(LakeError::Missing { .. }) => Some("a first sync makes it; --lake says where it is"),
            Error::Lake(LakeError::NewerFormat { .. }) => Some("use a newer version of lumetrade-export"),
            Error::Lake(LakeError::RolledBack { .. }) => {
                Some("restore the commits, or, to go on from what is left, remove that cache and sync again")
            }
            Error::Lake(LakeError::NoBucket { .. }) => Some("check the bucket's name, AWS_REGION and AWS_ENDPOINT_URL"),
            Error::Lake(LakeError::Denied { .. }) => {
                Some("check the folder's owner and mode, or for S3 the credentials in AWS_… and what they may do")
            }
            Error::Lake(LakeError::Contract { .. }) => Some("keep the lake in another store; nothing was committed"),
            Error::StalePlan { .. } => {
                Some("the API's answer or the lake has changed since; look at it again with --dry-run")
            }
            Error::OfProfile { problem, .. } => problem.hint(),
            Error::Unsettled { .. } => Some("try again in a moment; if it stays so, a sync settles it"),
            Error::DemoLake { .. } => Some("name a new folder, or none"),
            _ => None,
        }
    }
}

fn api_kind(error: &ApiError) -> Kind {
    match error {
        ApiError::Credential { .. } | ApiError::Redirect { .. } => Kind::Settings,
        ApiError::Setup { .. } | ApiError::Forbidden { .. } => Kind::Settings,
        ApiError::Denied { .. } => Kind::Denied,
        ApiError::Unreachable { .. } | ApiError::Interrupted { .. } | ApiError::TooLate { .. } => Kind::Unavailable,
        ApiError::Coding { .. } | ApiError::Walk { .. } => Kind::Data,
        ApiError::Status { status, .. } if *status >= 500 || matches!(status, 408 | 425 | 429) => Kind::Unavailable,
        ApiError::Status { .. } => Kind::Data,
    }
}

fn lake_kind(error: &LakeError) -> Kind {
    match error {
        LakeError::Io { .. } | LakeError::Spool(_) => Kind::Store,
        LakeError::Denied { .. } => Kind::Denied,
        LakeError::OutcomeUnknown { .. } => Kind::Unknown,
        LakeError::Contract { .. } | LakeError::Damaged { .. } => Kind::Damaged,
        LakeError::NewerFormat { .. } | LakeError::RolledBack { .. } => Kind::Damaged,
        LakeError::Granularity { .. } | LakeError::Missing { .. } | LakeError::NoBucket { .. } => Kind::Settings,
        LakeError::Incompatible { .. } | LakeError::KeyChanged { .. } | LakeError::Location { .. } => Kind::Settings,
    }
}

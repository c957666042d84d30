//! What goes wrong, with which requests, when, and how often.

use super::{
    bucket::Verb,
    http::{Reply, Response},
};

/// Kinds of requests, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    List,
    /// Of any object.
    Get,
    /// Writes below `meta/<resource>/log/`.
    Claim,
    /// Writes below `changes/`.
    Data,
    /// Writes of what can be rebuilt: `current/`, `meta/<resource>/current.json`, `meta/<resource>/state/`.
    Cache,
    /// The steps of a write in parts, which are of what can be rebuilt, too.
    Begin,
    Part,
    Complete,
    /// Writes of all else: the lake's identity, the probe, the quarantine.
    Other,
}

pub const CLASSES: [Class; 5] = [Class::List, Class::Get, Class::Claim, Class::Data, Class::Cache];

impl Class {
    /// Of a request for `key`, which is relative to the lake.
    pub fn of(verb: Verb, key: &str) -> Self {
        let mut folders = key.split('/');
        match (verb, folders.next(), folders.nth(1)) {
            (Verb::List, ..) => Class::List,
            (Verb::Get | Verb::Head, ..) => Class::Get,
            (Verb::Begin, ..) => Class::Begin,
            (Verb::Part, ..) => Class::Part,
            (Verb::Complete, ..) => Class::Complete,
            (_, Some("changes"), _) => Class::Data,
            (_, Some("current"), _) | (_, Some("meta"), Some("state" | "current.json")) => Class::Cache,
            (_, Some("meta"), Some("log")) => Class::Claim,
            _ => Class::Other,
        }
    }
}

/// What the client meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    TooManyRequests,
    InternalError,
    SlowDown,
    /// The connection ends: without an answer, or in the middle of one.
    Reset,
    /// No answer, or no more than the half of one.
    Timeout,
    /// 409.
    Conflict,
    /// 412.
    PreconditionFailed,
    /// 200 with S3's XML of an error.
    ErrorBody,
    /// 200 with a page of HTML, as from a network that wants its visitors to log in.
    Html,
    /// The write takes effect only when [`land`](super::S3::land) is called. [`When::Before`]: an error is answered first;
    /// [`When::After`]: nothing is ever answered.
    Late,
    /// 403, of a session token that has expired.
    Expired,
    /// 403, of a right that is not given.
    Denied,
}

pub const WHAT: [What; 10] = [
    What::TooManyRequests,
    What::InternalError,
    What::SlowDown,
    What::Reset,
    What::Timeout,
    What::Conflict,
    What::PreconditionFailed,
    What::ErrorBody,
    What::Html,
    What::Late,
];

/// Whether the request has taken effect when the client meets the fault. A read takes no effect: before, there is no answer;
/// after, there is the half of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// A fault of the `first` request of its class (1 is the first) and of as many as `times` from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub class: Class,
    pub what: What,
    pub when: When,
    pub first: u64,
    pub times: u64,
}

/// As often as the client likes to ask.
pub const FOR_EVER: u64 = u64::MAX;

impl What {
    /// What is sent, given what would have been.
    pub fn reply(self, when: When, real: Response) -> Reply {
        let half = real.status < 300 && when == When::After && !real.body.is_empty();
        let error = |status, code| Reply::Whole(Response::error(status, code, "on cue"));
        match self {
            What::TooManyRequests => error(429, "TooManyRequests"),
            What::InternalError => error(500, "InternalError"),
            What::SlowDown => error(503, "SlowDown"),
            What::Reset if half => Reply::Cut(real),
            What::Reset => Reply::Closed,
            What::Timeout if half => Reply::Stalled(real),
            What::Timeout => Reply::Silent,
            What::Conflict => error(409, "ConditionalRequestConflict"),
            What::PreconditionFailed => error(412, "PreconditionFailed"),
            What::ErrorBody => error(200, "InternalError"),
            What::Html => {
                let page = b"<!doctype html><html><head><title>Log in</title></head><body>Welcome</body></html>";
                Reply::Whole(Response { body: page.to_vec(), ..Response::new(200) }.header("Content-Type", "text/html"))
            }
            What::Late if when == When::Before => error(500, "InternalError"),
            What::Late => Reply::Silent,
            What::Expired => error(403, "ExpiredToken"),
            What::Denied => error(403, "AccessDenied"),
        }
    }
}

//! What may be wrong with the answers to requests for lists, and for how many of them.
//!
//! | kind | the answer |
//! |---|---|
//! | `status` | has the status `code`, `Retry-After: retry_after` if that is given, and the API's envelope |
//! | `html` | is a login page, with status 200 |
//! | `error-in-200` | is the envelope of an error, with status 200 |
//! | `redirect` | leads `to` elsewhere, with the status `code`, or 302 |
//! | `hang` | does not begin for an hour |
//! | `drip` | comes at a byte a second |
//! | `cut` | breaks off with the connection, after half of its records |
//! | `short` | is complete, but has half of its records |
//! | `empty` | has no record |
//! | `gzip-bomb` | is followed by a gibibyte of white space, all in gzip |
//! | `duplicate` | has one record twice |
//! | `conflict` | has one record twice, with two amounts |
//! | `no-id` | has one record without its key |
//! | `huge-amount` | has one record with an amount of 60 digits |
//! | `unknown-status` | has one record with a status that no reference knows |
//! | `regressed-status` | shows as PENDING what is COMPLETED |
//! | `new-field` | has a member in each record that no reference knows |
//! | `wrong-balance` | has one account with the smallest unit of its currency more than the books say |
//! | `lost-fill` | has one trade without the last of its several fills |
//! | `stale` | is as the clock was `days` days ago |
//! | `none` | is right |
//!
//! Lists without amounts, statuses, balances or fills do not suffer what is wrong with those.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU64;
use std::str::FromStr;

use axum::http::{HeaderValue, StatusCode};
use serde::de::value::{Error as ReadError, MapDeserializer};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::Resource;
use super::envelope::Refusal;
use super::tamper::Tamper;

/// What is wrong with an answer, by the table above.
// Variants are braced because serde looks for unknown fields in those alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Fault {
    None {},
    Status {
        code: Code,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<HeaderText>,
    },
    Html {},
    #[serde(rename = "error-in-200")]
    ErrorIn200 {},
    Redirect {
        to: HeaderText,
        #[serde(default = "found")]
        code: Code,
    },
    Hang {},
    Drip {},
    Cut {},
    Short {},
    Empty {},
    GzipBomb {},
    Duplicate {},
    Conflict {},
    NoId {},
    HugeAmount {},
    UnknownStatus {},
    RegressedStatus {},
    NewField {},
    WrongBalance {},
    LostFill {},
    Stale {
        #[serde(deserialize_with = "parsed")]
        days: u32,
    },
}

/// The status of a final answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "u16")]
pub(super) struct Code(pub(super) StatusCode);

/// Text that a header can hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct HeaderText(pub(super) HeaderValue);

impl Fault {
    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Fault::None {})
    }

    /// Whether the text of the answer is the right one, or would be if all of it came.
    pub(super) fn keeps_text(&self) -> bool {
        matches!(self, Fault::None {} | Fault::Drip {} | Fault::Cut {})
    }

    /// What it does to records.
    pub(super) fn tamper(&self) -> Option<Tamper> {
        Some(match self {
            Fault::Duplicate {} => Tamper::Duplicate,
            Fault::Conflict {} => Tamper::Conflict,
            Fault::NoId {} => Tamper::NoId,
            Fault::HugeAmount {} => Tamper::HugeAmount,
            Fault::UnknownStatus {} => Tamper::UnknownStatus,
            Fault::RegressedStatus {} => Tamper::RegressedStatus,
            Fault::NewField {} => Tamper::NewField,
            Fault::WrongBalance {} => Tamper::WrongBalance,
            Fault::LostFill {} => Tamper::LostFill,
            _ => return None,
        })
    }

    fn suits(&self, resource: Resource) -> bool {
        self.tamper().is_none_or(|tamper| tamper.suits(resource))
    }
}

/// A request to `/control/fault`, understood.
pub(super) struct Order {
    fault: Fault,
    /// All, if none is named.
    resource: Option<Resource>,
    /// For ever, if no number is given.
    times: Option<NonZeroU64>,
}

impl Order {
    /// What the query asks for.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for an unknown kind or resource, for a parameter that the kind lacks or does not know, and for a
    /// list that cannot suffer it.
    pub(super) fn read(query: Vec<(String, String)>) -> Result<Order, Refusal> {
        if query.iter().any(|(name, _)| name == "reset") {
            return Ok(Order { fault: Fault::None {}, resource: None, times: None });
        }
        let (mut resource, mut times, mut rest) = (None, None, Vec::new());
        for (name, text) in query {
            match name.as_str() {
                "resource" => resource = Some(named(&text)?),
                "times" => times = Some(text.parse().map_err(|error| invalid("times", error))?),
                _ => rest.push((name, text)),
            }
        }
        let fault = Fault::deserialize(MapDeserializer::<_, ReadError>::new(rest.into_iter()));
        let fault = fault.map_err(|error| Refusal::Invalid(error.to_string()))?;
        match resource.filter(|resource| !fault.suits(*resource)) {
            Some(resource) => {
                Err(invalid("kind", format!("{} have nothing that this could happen to", resource.name())))
            }
            None => Ok(Order { fault, resource, times }),
        }
    }
}

/// What each list suffers at present.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Faults(BTreeMap<Resource, Lasting>);

/// A fault, and how many answers are still to suffer it.
#[derive(Clone, Debug, Serialize)]
struct Lasting {
    #[serde(flatten)]
    fault: Fault,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<NonZeroU64>,
}

impl Faults {
    /// Each list that is meant suffers this from here on, and nothing else.
    pub(super) fn set(&mut self, Order { fault, resource, times }: Order) {
        let is_meant = |own: &Resource| resource.is_none_or(|resource| resource == *own);
        self.0.retain(|own, _| !is_meant(own));
        if !fault.is_none() {
            let suffers = |own: &Resource| is_meant(own) && fault.suits(*own);
            let lasting = |own| (own, Lasting { fault: fault.clone(), times });
            self.0.extend(Resource::ALL.into_iter().filter(suffers).map(lasting));
        }
    }

    /// What the answer at hand suffers; it counts.
    pub(super) fn suffer(&mut self, resource: Resource) -> Fault {
        let Some(lasting) = self.0.get_mut(&resource) else { return Fault::None {} };
        let fault = lasting.fault.clone();
        if let Some(times) = lasting.times {
            lasting.times = NonZeroU64::new(times.get() - 1);
            if lasting.times.is_none() {
                self.0.remove(&resource);
            }
        }
        fault
    }
}

impl TryFrom<String> for Code {
    type Error = String;

    fn try_from(text: String) -> Result<Code, String> {
        let code = text.parse().ok().filter(|code| (200..600).contains(code));
        let status = code.and_then(|code| StatusCode::from_u16(code).ok());
        status.map(Code).ok_or_else(|| format!("`{text}` is no status from 200 to 599"))
    }
}

impl From<Code> for u16 {
    fn from(Code(status): Code) -> u16 {
        status.as_u16()
    }
}

impl TryFrom<String> for HeaderText {
    type Error = String;

    fn try_from(text: String) -> Result<HeaderText, String> {
        HeaderValue::try_from(&text).map(HeaderText).map_err(|_| format!("{text:?} does not fit a header"))
    }
}

impl From<HeaderText> for String {
    fn from(HeaderText(value): HeaderText) -> String {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    }
}

fn named(text: &str) -> Result<Resource, Refusal> {
    Resource::named(text).ok_or_else(|| invalid("resource", format!("there is no `{text}`")))
}

fn invalid(name: &str, reason: impl Display) -> Refusal {
    Refusal::Invalid(format!("{name}: {reason}"))
}

fn found() -> Code {
    Code(StatusCode::FOUND)
}

/// What comes out of a query is text, and of a tagged enum serde does not parse it.
fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

//! A list that is read page by page, as one body.
//!
//! ```text
//! page=0 ──▶ page=1 ──▶ … ──▶ an empty page, or one that says it is the last
//!    [a,b]      [c,d]                      ⇒  [a,b,c,d]
//! ```
//!
//! A page is a bare array, or an object with the array as `content` or `data` and, beside it or under `page`, what it says of
//! itself: `number`, `last`, `totalPages`, `totalElements`. The records' texts are passed on as they are. One page is held in
//! memory; the bounds of an answer hold for the whole walk.
//!
//! | what is seen | what it is taken for |
//! |---|---|
//! | a page with the records of an earlier one | a list that moves, or a server that passes `page` over: no list |
//! | a page that says that it is another than was asked for | the same |
//! | fewer records in all than the pages say there are | a list that moves |
//! | pages without end | no list: the bounds of an answer, and earlier pages that come again, end the walk |
//! | a record on two pages | a list that moved; whoever reads the body sees the record twice |
//!
//! A record that has moved to a page that was read already is not seen at all: whoever misses it has to ask for it.

use std::collections::HashSet;

use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use thiserror::Error;
use tokio::time::timeout_at;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    ApiError, BodyStream, Client, CodingError, ListRequest, Received,
    body::Bounds,
    client::{Answered, Question},
};
use crate::{
    record::{MalformedBody, Splitter},
    schema::Resource,
};

/// The largest page. A server that passes `size` over may answer with everything it has.
const PAGE_BYTES_MAX: u64 = 32 << 20;
/// Times that a page is asked for whose answer breaks off.
const ATTEMPTS_MAX: u32 = 3;

/// Why pages do not make a list. Pages count from zero.
#[derive(Debug, Error)]
pub enum WalkError {
    /// A page is no list, and no object with one.
    #[error("page {page} is none: {problem}")]
    Malformed {
        /// Which.
        page: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A page is larger than is taken.
    #[error("page {page} is larger than {PAGE_BYTES_MAX} bytes")]
    TooLarge {
        /// Which.
        page: u64,
    },
    /// The server has sent another page.
    #[error("page {page} says that it is page {number}")]
    OtherPage {
        /// Which was asked for.
        page: u64,
        /// Which it says it is.
        number: u64,
    },
    /// A page has come before.
    #[error("page {page} holds the same records as one before it")]
    Repeated {
        /// Which.
        page: u64,
    },
    /// The pages end too early.
    #[error("the pages hold {held} records, and the last of them says that there are {total}")]
    Short {
        /// Records in all pages.
        held: u64,
        /// Records that there are.
        total: u64,
    },
}

impl WalkError {
    /// Whether a list that moved while it was read explains it.
    pub(super) fn is_torn(&self) -> bool {
        matches!(self, WalkError::Repeated { .. } | WalkError::Short { .. })
    }
}

/// The list of a resource, page by page; `None` if the API lacks it and may.
pub(super) async fn walk(
    client: Client,
    resource: Resource,
    request: ListRequest,
) -> Result<Option<BodyStream>, ApiError> {
    let mut walk = Walk::new(client, resource, request);
    walk.next = walk.read(0).await?;
    if walk.next.is_none() {
        return Ok(None);
    }
    let received = walk.received.clone();
    let chunks = stream::try_unfold(walk, async |mut walk| Ok(walk.step().await?.map(|chunk| (chunk, walk))));
    let mut body = BodyStream::new(None, chunks);
    body.received = received;
    Ok(Some(body))
}

/// The first two pages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// How many each holds.
    pub records: [u64; 2],
    /// Whether both hold the same, and anything at all.
    pub are_equal: bool,
}

/// The first two pages of a list.
pub(super) async fn first_pages(client: Client, resource: Resource, request: ListRequest) -> Result<Pages, ApiError> {
    let mut walk = Walk::new(client, resource, request);
    let (first, second) = (walk.read(0).await?, walk.read(1).await?);
    let of = |page: &Option<Page>| page.as_ref().map_or((0, 0), |page| (page.records, page.hash));
    let (first, second) = (of(&first), of(&second));
    Ok(Pages { records: [first.0, second.0], are_equal: first.0 > 0 && first == second })
}

struct Walk {
    client: Client,
    resource: Resource,
    request: ListRequest,
    /// Of the walk as a whole.
    bounds: Bounds,
    /// Of the pages so far, decoded.
    received: Received,
    /// Number of the page that is next.
    page: u64,
    /// The page that is next, if it was read; none after the last.
    next: Option<Page>,
    /// Records of the pages so far.
    held: u64,
    /// Hashes of the records of each page.
    seen: HashSet<u128>,
}

impl Walk {
    fn new(client: Client, resource: Resource, request: ListRequest) -> Self {
        let bounds = client.bounds();
        let seen = HashSet::new();
        Self { client, resource, request, bounds, received: Received::default(), page: 0, next: None, held: 0, seen }
    }

    /// The next part of the list; `None` behind its end.
    async fn step(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(page) = self.next.take() else { return Ok(None) };
        let number = self.page;
        let mut text = if number == 0 { b"[".to_vec() } else { Vec::new() };
        if page.records > 0 {
            if !self.seen.insert(page.hash) {
                return Err(self.refuse(WalkError::Repeated { page: number }));
            }
            if self.held > 0 {
                text.push(b',');
            }
            text.extend_from_slice(&page.text);
            self.held += page.records;
        }
        if page.records == 0 || page.is_last(number) {
            if let Some(total) = page.about.total_elements.filter(|total| *total > self.held) {
                return Err(self.refuse(WalkError::Short { held: self.held, total }));
            }
            text.push(b']');
        } else {
            self.page += 1;
            self.next = self.read(self.page).await?;
            if self.next.is_none() {
                let problem = "the API lacks it, though it had the one before".to_owned();
                return Err(self.refuse(WalkError::Malformed { page: self.page, problem }));
            }
        }
        Ok(Some(text.into()))
    }

    /// Reads a page; `None` if the API lacks it and may.
    async fn read(&mut self, number: u64) -> Result<Option<Page>, ApiError> {
        let mut attempt = 1;
        let text = loop {
            match self.receive(number).await {
                Ok(Some(text)) => break text,
                Ok(None) => return Ok(None),
                Err(error @ ApiError::Interrupted { .. }) if attempt < ATTEMPTS_MAX => {
                    tracing::warn!(resource = self.resource.name, page = number, %error, "asking for the page again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        self.received.add(text.len());
        if self.received.bytes() > self.bounds.bytes_max {
            let (url, source) = (self.url(number), CodingError::TooLarge(self.bounds.bytes_max));
            return Err(ApiError::Coding { url, source });
        }
        let page = Page::parse(&text).map_err(|problem| self.refuse(WalkError::Malformed { page: number, problem }))?;
        match page.about.number.filter(|given| *given != number) {
            Some(given) => Err(self.refuse(WalkError::OtherPage { page: number, number: given })),
            None => Ok(Some(page)),
        }
    }

    async fn receive(&self, number: u64) -> Result<Option<Vec<u8>>, ApiError> {
        let url = self.client.list_url(&self.resource, &self.request, number);
        let may_lack = self.resource.optional && number == 0;
        let question = Question { resource: &self.resource.name, url, etag: None, may_lack };
        let Ok(answered) = timeout_at(self.bounds.deadline, self.client.ask(question)).await else {
            return Err(self.bounds.missed(&self.url(number)));
        };
        let Answered::With(response, bounds) = answered? else { return Ok(None) };
        let deadline = bounds.deadline.min(self.bounds.deadline);
        let bounds = Bounds { bytes_max: PAGE_BYTES_MAX, deadline, ..bounds };
        match BodyStream::of(response, bounds)?.collect().await {
            Err(ApiError::Coding { source: CodingError::TooLarge(_), .. }) => {
                Err(self.refuse(WalkError::TooLarge { page: number }))
            }
            collected => collected.map(Some),
        }
    }

    fn url(&self, page: u64) -> String {
        self.client.list_url(&self.resource, &self.request, page).to_string()
    }

    fn refuse(&self, source: WalkError) -> ApiError {
        let url = self.client.list_url(&self.resource, &ListRequest::default(), 0).to_string();
        ApiError::Walk { url, source }
    }
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// The texts of its records, with commas between.
    text: Vec<u8>,
    /// Of the same.
    hash: u128,
    records: u64,
    about: About,
}

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    number: Option<u64>,
    last: Option<bool>,
    total_pages: Option<u64>,
    total_elements: Option<u64>,
}

/// An object with a page in it.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(borrow, alias = "data")]
    content: &'a RawValue,
    page: Option<Value>,
    number: Option<Value>,
    last: Option<Value>,
    #[serde(rename = "totalPages")]
    total_pages: Option<Value>,
    #[serde(rename = "totalElements")]
    total_elements: Option<Value>,
}

impl Page {
    fn parse(text: &[u8]) -> Result<Self, String> {
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Self::of(text, About::default());
        }
        let form: Form<'_> = serde_json::from_slice(text)
            .map_err(|error| format!("it is no list, and no object with one as `content` or `data` ({error})"))?;
        let about = About::of(&form);
        Self::of(form.content.get().as_bytes(), about)
    }

    fn of(array: &[u8], about: About) -> Result<Self, String> {
        let mut splitter = Splitter::new(0);
        let mut text = Vec::with_capacity(array.len());
        let pushed = splitter.push::<MalformedBody>(array, |record| {
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(record.text);
            Ok(())
        });
        let list = pushed.and_then(|()| splitter.finish()).map_err(|error| error.to_string())?;
        Ok(Self { hash: xxh3_128(&text), text, records: list.records, about })
    }

    /// Whether it says that it is the last.
    fn is_last(&self, number: u64) -> bool {
        self.about.last == Some(true) || self.about.total_pages.is_some_and(|pages| number.saturating_add(1) >= pages)
    }
}

impl About {
    fn of(form: &Form<'_>) -> Self {
        let nested = form.page.as_ref();
        let member = |own: &Option<Value>, name: &str| own.clone().or_else(|| nested?.get(name).cloned());
        let number = |own: &Option<Value>, name: &str| member(own, name)?.as_u64();
        Self {
            number: number(&form.number, "number").or_else(|| nested?.as_u64()),
            last: member(&form.last, "last").and_then(|last| last.as_bool()),
            total_pages: number(&form.total_pages, "totalPages"),
            total_elements: number(&form.total_elements, "totalElements"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fuzz::Target;

    fn about(number: u64, last: Option<bool>, total_pages: u64, total_elements: u64) -> About {
        About { number: Some(number), last, total_pages: Some(total_pages), total_elements: Some(total_elements) }
    }

    #[test]
    fn a_page_is_a_list_or_an_object_with_one() {
        let rows = [
            ("[]", "", 0, About::default()),
            (" [ {\"a\": 1.10} ,\n{} ] ", "{\"a\": 1.10},{}", 2, About::default()),
            (
                r#"{"content":[{"a":1e400}, 2],"page":{"size":2,"number":0,"totalElements":3,"totalPages":2}}"#,
                r#"{"a":1e400},2"#,
                2,
                about(0, None, 2, 3),
            ),
            (
                r#"{"number":7,"last":true,"totalPages":8,"totalElements":70,"data":[{"a":"]"}]}"#,
                r#"{"a":"]"}"#,
                1,
                about(7, Some(true), 8, 70),
            ),
            (r#"{"page":3,"content":[]}"#, "", 0, About { number: Some(3), ..About::default() }),
        ];
        for (text, records, count, about) in rows {
            let page = Page::parse(text.as_bytes()).unwrap();
            assert_eq!((page.text.as_slice(), page.records, page.about), (records.as_bytes(), count, about), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_page() {
        let rows = [
            "",
            "null",
            "[1] [2]",
            "[1",
            "[1,]",
            "{}",
            r#"{"content":null}"#,
            r#"{"content":{}}"#,
            r#"{"content":[1]"#,
            r#"{"content":[],"content":[1]}"#,
            r#"{"content":[],"data":[1]}"#,
            r#"{"items":[]}"#,
            "<html>",
        ];
        for text in rows {
            assert!(Page::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_is_the_last_if_it_says_so() {
        let page = |about| Page { text: Vec::new(), hash: 0, records: 1, about };
        assert!(!page(About::default()).is_last(0));
        assert!(page(about(0, Some(true), 9, 9)).is_last(0));
        assert!(page(about(1, None, 2, 9)).is_last(1));
        assert!(!page(about(0, Some(false), 2, 9)).is_last(0));
    }

    #[test]
    fn mutants_of_pages_are_pages_of_whole_records_or_none() {
        let words = [
            "[",
            "]",
            "{",
            "}",
            ",",
            "\"content\":",
            "\"data\":",
            "\"page\":",
            "\"number\":",
            "\"last\":true",
            "\"totalPages\":",
            "null",
            "1",
        ];
        Target { name: "pages", words: &words, twist: None }.run(|text| match Page::parse(text) {
            Ok(page) => {
                let again = Page::of(&[b"[", page.text.as_slice(), b"]"].concat(), About::default()).unwrap();
                assert_eq!((&again.text, again.records, again.hash), (&page.text, page.records, page.hash));
                let About { number, last, total_pages, total_elements } = page.about;
                let about = [number.is_some(), last.is_some(), total_pages.is_some(), total_elements.is_some()];
                (page.records.min(3), about, String::new())
            }
            Err(problem) => (0, [false; 4], problem.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()),
        });
    }
}

//! What a server makes of that which the contract reserves: tried on one resource before a user relies on it.
//!
//! | tried | honoured if |
//! |---|---|
//! | `page` and `size` | a page of two holds two, and the next holds others |
//! | `dateFrom` | exactly the records since a time in the midst of all are listed |
//! | `If-None-Match` | the list's own ETag is answered with 304 |
//! | a single read | it says what the list says of the record |
//!
//! The list is read twice or three times; of a long one a sample of the records is compared.

use std::collections::{HashMap, HashSet};

use chrono::DateTime;

use super::{Finding, Outcome};
use crate::{
    api::{Answer, ApiError, Client, ListRequest, Pages, Source},
    config::{Polling, has_windows},
    decode::{Cell, Decoder, Row, Seed, Zone, key_hash},
    error::{Error, Kind},
    record::{MalformedBody, Splitter},
    schema::Resource,
};

/// Records that are compared.
const SAMPLE_MAX: usize = 10_000;
/// What comes of hashing is neither stored nor compared with anything stored.
const SEED: Seed = Seed(0);

/// Tries what is reserved with one resource.
pub(super) struct Trial<'a> {
    pub client: &'a Client,
    pub resource: &'a Resource,
    pub polling: &'a Polling,
    pub naive_zone: Zone,
}

/// A list, as far as it is compared.
#[derive(Default)]
struct Listing {
    records: u64,
    etag: Option<String>,
    /// Event times by the hashes of keys: of some of the records, the same of every list.
    sample: HashMap<u128, Option<i64>>,
    /// Bits of a hash that must be zero for a record to be in the sample.
    mask: u128,
    /// A record, with its key.
    one: Option<(String, Vec<u8>)>,
}

impl Trial<'_> {
    /// What was found, one finding each.
    pub(super) async fn run(&self) -> Vec<Finding> {
        let whole = match self.list(&ListRequest::default()).await {
            Ok(Some(whole)) => whole,
            Ok(None) => return Vec::new(),
            Err(error) => return vec![Finding::failed(&self.resource.name, &error)],
        };
        let mut findings = vec![self.pages(&whole).await, self.single_read(&whole).await];
        findings.push(self.window(&whole).await);
        findings.push(self.condition(&whole).await);
        findings.into_iter().flatten().collect()
    }

    async fn pages(&self, whole: &Listing) -> Option<Finding> {
        let on = self.polling.page_size.is_some();
        let found = match self.client.first_pages(self.resource, 2).await {
            _ if whole.records <= 2 => Ok((false, "there are too few records to tell".to_owned())),
            Ok(Pages { records, .. }) if records[0] != 2 => {
                Ok((false, format!("`size` is passed over: a page of 2 has {} records", records[0])))
            }
            Ok(Pages { are_equal: true, .. }) => {
                Ok((false, "`page` is passed over: the second page is the first".to_owned()))
            }
            Ok(_) => Ok((true, "pages are honoured".to_owned())),
            Err(ApiError::Walk { source, .. }) => Ok((false, format!("there are no pages: {source}"))),
            Err(error) => Err(error.into()),
        };
        Some(self.judge("pages", on, found))
    }

    async fn window(&self, whole: &Listing) -> Option<Finding> {
        if !has_windows(self.resource) {
            return None;
        }
        let on = self.polling.window.is_some();
        let mut times: Vec<i64> = whole.sample.values().copied().flatten().collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).map(|micros| micros / 1_000_000 * 1_000_000);
        let since = middle.filter(|middle| times.first().is_some_and(|first| first < middle));
        let Some(since) = since else {
            let found = Ok((false, "there are too few records with a time to tell".to_owned()));
            return Some(self.judge("dateFrom", on, found));
        };
        let request = ListRequest { since: DateTime::from_timestamp_micros(since), ..ListRequest::default() };
        let found = match self.list(&request).await {
            Ok(Some(part)) => Ok(whole.compare(&part, since)),
            Ok(None) => Ok((false, "the API lacks it now".to_owned())),
            Err(error) => Err(error),
        };
        Some(self.judge("dateFrom", on, found))
    }

    async fn condition(&self, whole: &Listing) -> Option<Finding> {
        let found = match &whole.etag {
            None => Ok((false, "lists come without an ETag".to_owned())),
            Some(etag) => {
                let request = ListRequest { etag: Some(etag.clone()), ..ListRequest::default() };
                match self.client.poll(self.resource, &request).await {
                    Ok(Answer::NotModified) => Ok((true, "`If-None-Match` is honoured".to_owned())),
                    Ok(_) => Ok((false, "`If-None-Match` is passed over, or the list has changed just now".to_owned())),
                    Err(error) => Err(error.into()),
                }
            }
        };
        // A list that is sent in full is none the worse for it.
        Some(self.judge("ETag", self.polling.conditional, found).at_worst_odd())
    }

    async fn single_read(&self, whole: &Listing) -> Option<Finding> {
        let (key, listed) = whole.one.as_ref()?;
        let found = match self.client.single(self.resource, key).await {
            Ok(Some(single)) => Ok(self.compare_single(listed, &single)),
            Ok(None) => Ok((false, "a record of the list is not given by itself (404)".to_owned())),
            Err(error) => Err(error.into()),
        };
        Some(self.judge("single", self.polling.window.is_some(), found))
    }

    fn compare_single(&self, listed: &[u8], single: &[u8]) -> (bool, String) {
        let (mut of_list, mut of_single) = (self.decoder(), self.decoder());
        let (Ok(listed), Ok(single)) = (of_list.decode(listed), of_single.decode(single)) else {
            return (false, "what is given by itself does not fit the schema".to_owned());
        };
        let columns = self.resource.columns.iter().zip(listed.cells.iter().zip(&single.cells));
        let less = columns.filter(|(_, (listed, single))| **single == Cell::Null && **listed != Cell::Null);
        let less: Vec<_> = less.map(|(column, _)| column.name.as_str()).collect();
        match less.as_slice() {
            [] => (true, "single reads say what the list says".to_owned()),
            less => (false, format!("single reads leave out what the list has: {}", less.join(", "))),
        }
    }

    /// What is honoured is well; what is not, and is relied upon by the settings, has failed.
    fn judge(&self, what: &str, on: bool, found: Result<(bool, String), Error>) -> Finding {
        let what = format!("{}.{what}", self.resource.name);
        match found {
            Ok((false, detail)) if on => {
                let detail = format!("{detail}, and the settings rely on it");
                Finding { kind: Some(Kind::Settings), ..Finding::new(&what, Outcome::Failed, detail) }
            }
            Ok((_, detail)) => Finding::new(&what, Outcome::Well, detail),
            Err(error) => Finding::failed(&what, &error),
        }
    }

    async fn list(&self, request: &ListRequest) -> Result<Option<Listing>, Error> {
        let Answer::Body(mut body) = self.client.poll(self.resource, request).await? else { return Ok(None) };
        let (mut splitter, mut decoder) = (Splitter::new(SEED.0), self.decoder());
        let mut listing = Listing { etag: body.etag.take(), ..Listing::default() };
        while let Some(chunk) = body.next().await? {
            splitter.push::<MalformedBody>(&chunk, |record| {
                if let Ok(row) = decoder.decode(record.text) {
                    listing.take(&row, record.text, self.resource);
                }
                Ok(())
            })?;
        }
        listing.records = splitter.finish()?.records;
        Ok(Some(listing))
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(self.resource, self.naive_zone)
    }
}

impl Listing {
    fn take(&mut self, row: &Row<'_>, text: &[u8], resource: &Resource) {
        let Some(key) = row.key(resource) else { return };
        if self.one.is_none() {
            self.one = Some((key.1.to_owned(), text.to_vec()));
        }
        let hash = key_hash(SEED, key);
        if hash & self.mask == 0 {
            self.sample.insert(hash, row.event_time(resource));
        }
        while self.sample.len() > SAMPLE_MAX {
            self.mask = self.mask << 1 | 1;
            self.sample.retain(|hash, _| hash & self.mask == 0);
        }
    }

    /// Whether a part is what has happened since then.
    fn compare(&self, part: &Self, since: i64) -> (bool, String) {
        if part.records >= self.records {
            return (false, "`dateFrom` is passed over: all records are listed".to_owned());
        }
        let mask = self.mask | part.mask;
        let keys: HashSet<_> = part.sample.keys().collect();
        let (mut missed, mut expected, mut timeless, mut timeless_listed) = (0, 0, 0, 0);
        for (hash, event_time) in self.sample.iter().filter(|(hash, _)| *hash & mask == 0) {
            let is_listed = keys.contains(hash);
            match *event_time {
                Some(time) if time >= since => {
                    expected += 1;
                    missed += u64::from(!is_listed);
                }
                Some(_) => {}
                None => {
                    timeless += 1;
                    timeless_listed += u64::from(is_listed);
                }
            }
        }
        if missed > 0 {
            let detail =
                format!("`dateFrom` compares another time: it leaves out {missed} of {expected} records since then");
            return (false, detail);
        }
        let without = match (timeless, timeless_listed) {
            (0, _) => String::new(),
            (all, listed) => format!("; of {all} records without a time it lists {listed}"),
        };
        (true, format!("`dateFrom` is honoured{without}"))
    }
}

//! A bucket in memory, and what S3's verbs do to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::http::{Head, Response};

/// Objects and unfinished uploads.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    started: u64,
    /// Objects in one page of a listing.
    pub page: usize,
    /// Puts everything, whatever the conditions of the request: the store that must not be used.
    pub ignores_conditions: bool,
    /// Knows no `If-Match`.
    pub never_replaces_on_condition: bool,
    /// A listing shows an object only when it has been there for so long.
    pub listing_lag: Duration,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Vec<u8>,
    etag: String,
    modified: DateTime<Utc>,
    put_at: Instant,
}

#[derive(Debug, Clone, Default)]
struct Upload {
    key: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    List,
    Get,
    Head,
    /// A put on condition that nothing is there.
    Create,
    Put,
    /// Of an upload in parts: its beginning, a part, its end, and its giving up.
    Begin,
    Part,
    Complete,
    Abort,
    Delete,
    Unknown,
}

impl Verb {
    pub fn of(head: &Head, key: &str) -> Self {
        let asks = |name| head.query.contains_key(name);
        match head.method.as_str() {
            "GET" if key.is_empty() && head.query.get("list-type").is_some_and(|kind| kind == "2") => Verb::List,
            "GET" if !key.is_empty() => Verb::Get,
            "HEAD" if !key.is_empty() => Verb::Head,
            "PUT" if asks("partNumber") && asks("uploadId") => Verb::Part,
            "PUT" if head.header("if-none-match") == Some("*") => Verb::Create,
            "PUT" if !key.is_empty() => Verb::Put,
            "POST" if asks("uploads") => Verb::Begin,
            "POST" if asks("uploadId") => Verb::Complete,
            "POST" if asks("delete") => Verb::Delete,
            "DELETE" if asks("uploadId") => Verb::Abort,
            "DELETE" => Verb::Delete,
            _ => Verb::Unknown,
        }
    }

    /// Whether the request may change what is in the bucket.
    pub fn writes(self) -> bool {
        !matches!(self, Verb::List | Verb::Get | Verb::Head)
    }
}

impl Bucket {
    pub fn new(page: usize) -> Self {
        Self { page, ..Self::default() }
    }

    /// Does what is asked, and answers.
    pub fn apply(&mut self, verb: Verb, key: &str, head: &Head, body: Vec<u8>) -> Response {
        match verb {
            Verb::List => self.list(head),
            Verb::Get | Verb::Head => self.get(key, head),
            Verb::Create | Verb::Put => self.put(key, head, body),
            Verb::Begin => self.begin(key),
            Verb::Part => self.part(head, body),
            Verb::Complete => self.complete(key, head, &body),
            Verb::Abort => self.abort(head),
            Verb::Delete => {
                self.objects.remove(key);
                Response::new(204)
            }
            Verb::Unknown => Response::error(501, "NotImplemented", "this server does not know that"),
        }
    }

    /// Every object by its key.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    /// Whether an object could be created under this key.
    pub fn is_free(&self, key: &str) -> bool {
        self.ignores_conditions || !self.objects.contains_key(key)
    }

    /// Puts an object there, and nobody is asked.
    pub fn place(&mut self, key: &str, bytes: &[u8]) {
        self.store(key, bytes.to_vec(), None);
    }

    pub fn forget(&mut self, key: &str) {
        self.objects.remove(key);
    }

    fn put(&mut self, key: &str, head: &Head, bytes: Vec<u8>) -> Response {
        if self.never_replaces_on_condition && head.header("if-match").is_some() {
            return Response::error(
                501,
                "NotImplemented",
                "a header you provided implies functionality that is not there",
            );
        }
        let there = self.objects.get(key).map(|object| object.etag.as_str());
        let holds = match (head.header("if-none-match"), head.header("if-match")) {
            (Some(_), _) => there.is_none(),
            (None, Some(etag)) if there.is_none() => {
                return Response::error(404, "NoSuchKey", &format!("nothing with {etag} is there"));
            }
            (None, Some(etag)) => there == Some(etag),
            (None, None) => true,
        };
        if holds || self.ignores_conditions {
            Response::new(200).header("ETag", self.store(key, bytes, None))
        } else {
            Response::error(412, "PreconditionFailed", "at least one of the preconditions did not hold")
        }
    }

    fn store(&mut self, key: &str, bytes: Vec<u8>, parts: Option<usize>) -> String {
        let digest: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let etag = parts.map_or(format!("\"{digest}\""), |parts| format!("\"{digest}-{parts}\""));
        let object = Object { bytes, etag: etag.clone(), modified: Utc::now(), put_at: Instant::now() };
        self.objects.insert(key.to_owned(), object);
        etag
    }

    fn get(&self, key: &str, head: &Head) -> Response {
        let Some(object) = self.objects.get(key) else {
            return Response::error(404, "NoSuchKey", "the specified key does not exist");
        };
        if head.header("if-match").is_some_and(|etag| etag != object.etag) {
            return Response::error(412, "PreconditionFailed", "at least one of the preconditions did not hold");
        }
        if head.header("if-none-match").is_some_and(|etag| etag == object.etag) {
            return Response::new(304).header("ETag", object.etag.as_str());
        }
        let (size, range) = (object.bytes.len(), head.header("range"));
        let (status, from, to) = match range.map(|range| bounds(range, size)) {
            None => (200, 0, size),
            Some(Some((from, to))) => (206, from, to),
            Some(None) => return Response::error(416, "InvalidRange", "the requested range is not satisfiable"),
        };
        let modified = object.modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut response = Response::new(status).header("ETag", object.etag.as_str()).header("Last-Modified", modified);
        if status == 206 {
            response = response.header("Content-Range", format!("bytes {from}-{}/{size}", to - 1));
        }
        let length = to - from;
        Response { body: object.bytes[from..to].to_vec(), ..response.header("Content-Length", length.to_string()) }
    }

    fn list(&self, head: &Head) -> Response {
        let text = |name: &str| head.query.get(name).map_or("", String::as_str);
        let (prefix, delimiter, token) = (text("prefix"), text("delimiter"), text("continuation-token"));
        let after = token.strip_prefix("after:").unwrap_or(text("start-after"));
        let listed = self.objects.iter().filter(|(_, object)| object.put_at.elapsed() >= self.listing_lag);
        let mut page = Page { limit: self.page, ..Page::default() };
        for (key, object) in listed.filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after) {
            let rest = &key[prefix.len()..];
            let folder = if delimiter.is_empty() { None } else { rest.split_once(delimiter) };
            match folder {
                Some((folder, _)) => page.folder(key, format!("{prefix}{folder}{delimiter}")),
                None => page.object(key, object),
            }
            if page.is_over {
                break;
            }
        }
        Response::new(200).xml(&page.xml(prefix))
    }

    fn begin(&mut self, key: &str) -> Response {
        self.started += 1;
        let id = format!("upload-{}", self.started);
        self.uploads.insert(id.clone(), Upload { key: key.to_owned(), ..Upload::default() });
        let result = format!("<Key>{}</Key><UploadId>{id}</UploadId>", escape(key));
        Response::new(200).xml(&format!("<InitiateMultipartUploadResult>{result}</InitiateMultipartUploadResult>"))
    }

    fn part(&mut self, head: &Head, bytes: Vec<u8>) -> Response {
        let number = head.query["partNumber"].parse().unwrap();
        let Some(upload) = self.uploads.get_mut(&head.query["uploadId"]) else { return no_such_upload() };
        upload.parts.insert(number, bytes);
        Response::new(200).header("ETag", format!("\"part-{number}\""))
    }

    fn complete(&mut self, key: &str, head: &Head, body: &[u8]) -> Response {
        let Some(upload) = self.uploads.remove(&head.query["uploadId"]) else { return no_such_upload() };
        let numbers: Vec<String> = upload.parts.keys().map(|number| format!("<PartNumber>{number}<")).collect();
        let named = String::from_utf8_lossy(body);
        assert!(upload.key == key && numbers.iter().all(|number| named.contains(number)), "{named}");
        assert!(upload.parts.keys().copied().eq(1..=upload.parts.len() as u32), "a part is missing: {named}");
        let count = upload.parts.len();
        let etag = self.store(key, upload.parts.into_values().flatten().collect(), Some(count));
        let result = format!("<Key>{}</Key><ETag>{}</ETag>", escape(key), escape(&etag));
        Response::new(200).xml(&format!("<CompleteMultipartUploadResult>{result}</CompleteMultipartUploadResult>"))
    }

    fn abort(&mut self, head: &Head) -> Response {
        if self.uploads.remove(&head.query["uploadId"]).is_some() { Response::new(204) } else { no_such_upload() }
    }
}

/// A page of a listing in the making.
#[derive(Default)]
struct Page<'a> {
    limit: usize,
    xml: String,
    folders: BTreeSet<String>,
    count: usize,
    last: &'a str,
    is_over: bool,
}

impl<'a> Page<'a> {
    fn object(&mut self, key: &'a str, object: &Object) {
        if self.has_room() {
            let modified = object.modified.format("%Y-%m-%dT%H:%M:%S%.3fZ");
            self.xml.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>{modified}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                escape(key),
                escape(&object.etag),
                object.bytes.len(),
            ));
            self.count += 1;
            self.last = key;
        }
    }

    fn folder(&mut self, key: &'a str, folder: String) {
        if self.folders.contains(&folder) {
            self.last = key;
        } else if self.has_room() {
            self.xml.push_str(&format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(&folder)));
            self.folders.insert(folder);
            self.count += 1;
            self.last = key;
        }
    }

    fn has_room(&mut self) -> bool {
        self.is_over = self.count == self.limit;
        !self.is_over
    }

    fn xml(&self, prefix: &str) -> String {
        let next = if self.is_over {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escape(&format!("after:{}", self.last)))
        } else {
            String::new()
        };
        format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Prefix>{}</Prefix><KeyCount>{}</KeyCount>\
             <MaxKeys>{}</MaxKeys><IsTruncated>{}</IsTruncated>{next}{}</ListBucketResult>",
            escape(prefix),
            self.count,
            self.limit,
            self.is_over,
            self.xml
        )
    }
}

/// What a `Range` header asks for, as `from..to`; `None` if there is nothing of it.
fn bounds(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let number = |text: &str| text.parse::<usize>().ok();
    let (from, to) = match (number(from), number(to)) {
        (Some(from), Some(last)) => (from, size.min(last + 1)),
        (Some(from), None) => (from, size),
        (None, last) => (size.saturating_sub(last.unwrap()), size),
    };
    (from < to).then_some((from, to))
}

fn no_such_upload() -> Response {
    Response::error(404, "NoSuchUpload", "the specified upload does not exist")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

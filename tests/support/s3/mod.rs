//! An S3 server in this process, over memory: it keeps to S3's rules as far as a lake needs them, remembers what it was asked,
//! and fails on cue.
//!
//! ```text
//! client ─HTTP─► http ─► access (key, token, region, policy) ─► fault, if one is due ─► bucket
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `http` | requests and answers on the wire |
//! | `bucket` | objects, uploads in parts, listings in small pages |
//! | `fault` | what goes wrong, with which requests, when, and how often |
//! | `policy` | what an IAM policy allows |

pub mod bucket;
pub mod fault;
mod http;
pub mod policy;

use std::{
    collections::BTreeMap,
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use self::{
    bucket::{Bucket, Verb},
    fault::{Class, Fault, What, When},
    http::{Head, Reply, Response},
    policy::Policy,
};
use super::program::{KEY, S3Location, SECRET};

/// The bucket's name, and the prefix of the lake in it.
pub const BUCKET: &str = "lake";
pub const PREFIX: &str = "some/where";
pub const REGION: &str = "eu-test-1";

pub const ACCESS_KEY: &str = "AKIACANARYACCESSKEY";
pub const SECRET_KEY: &str = "canary/secret+access/key";
pub const SESSION_TOKEN: &str = "canary/session+token==";

/// What no output and no object may hold: the secrets of this server, and of the sandbox.
pub const SECRETS: [&str; 4] = [SECRET_KEY, SESSION_TOKEN, KEY, SECRET];

/// Objects in a page of a listing: so few that every listing of some length has several.
const PAGE: usize = 3;
/// How long a store that races takes between looking and writing.
const RACE: Duration = Duration::from_millis(50);

/// A server on loopback.
pub struct S3 {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    load: Load,
    is_over: AtomicBool,
}

/// How a server is, for as long as it runs.
#[derive(Default)]
pub struct Options {
    /// Demands a session token of every request.
    pub session_token: bool,
    /// Allows what this says and nothing else.
    pub policy: Option<Policy>,
    /// Looks whether a create may be, and puts a little later.
    pub races: bool,
    /// Answers a request for another region with a redirect.
    pub regional: bool,
    /// Has no bucket of the lake's name.
    pub named_otherwise: bool,
    /// Finds the bucket in the host of a request alone.
    pub virtual_hosts: bool,
}

struct State {
    bucket: Bucket,
    faults: Vec<(Fault, u64)>,
    hits: u64,
    seen: Vec<Seen>,
    late: Vec<(Verb, String, Head, Vec<u8>)>,
}

/// A request that was answered, or not.
#[derive(Debug, Clone)]
pub struct Seen {
    pub verb: Verb,
    pub class: Class,
    /// Relative to the lake; of a listing, its prefix.
    pub key: String,
    pub status: Option<u16>,
}

/// Bytes that are being uploaded at the moment, and the most that ever were.
#[derive(Default)]
struct Load {
    bytes: AtomicUsize,
    bytes_max: AtomicUsize,
}

impl S3 {
    pub fn start(options: Options) -> Self {
        Self::with(Bucket::new(PAGE), options)
    }

    /// With this in the bucket.
    pub fn with(bucket: Bucket, options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { bucket, faults: Vec::new(), hits: 0, seen: Vec::new(), late: Vec::new() };
        let (load, is_over) = (Load::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { options, state: Mutex::new(state), load, is_over });
        let served = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.is_over.load(Ordering::Acquire) {
                    return;
                }
                let shared = served.clone();
                // Whoever asks may go away before the end; that is not this server's business.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The lake, and what a client needs to get to it.
    pub fn location(&self) -> S3Location {
        let mut environment = BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]);
        if self.shared.options.session_token {
            environment.insert("AWS_SESSION_TOKEN", SESSION_TOKEN.to_owned());
        }
        S3Location { location: format!("s3://{BUCKET}/{PREFIX}"), environment }
    }

    /// Does this with the bucket.
    pub fn bucket<T>(&self, use_it: impl FnOnce(&mut Bucket) -> T) -> T {
        use_it(&mut self.shared.state.lock().unwrap().bucket)
    }

    /// Removes an object of the lake, by its key in it.
    pub fn forget(&self, key: &str) {
        self.bucket(|bucket| bucket.forget(&format!("{PREFIX}/{key}")));
    }

    /// Puts an object of the lake there, by its key in it.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.bucket(|bucket| bucket.place(&format!("{PREFIX}/{key}"), bytes));
    }

    /// From here on, this goes wrong.
    pub fn inject(&self, fault: Fault) {
        self.shared.state.lock().unwrap().faults.push((fault, 0));
    }

    /// From here on, all goes well. Says how many requests went wrong.
    pub fn heal(&self) -> u64 {
        let mut state = self.shared.state.lock().unwrap();
        state.faults.clear();
        std::mem::take(&mut state.hits)
    }

    /// What is late arrives, in its order. Says how much of it came first after all.
    pub fn land(&self) -> usize {
        let mut state = self.shared.state.lock().unwrap();
        let late = std::mem::take(&mut state.late);
        let land = |(verb, key, head, body): (Verb, String, Head, Vec<u8>)| {
            usize::from(state.bucket.apply(verb, &key, &head, body).status < 300)
        };
        late.into_iter().map(land).sum()
    }

    /// Waits until so much is late.
    pub fn await_late(&self, count: usize) {
        for _ in 0..30_000 {
            if self.shared.state.lock().unwrap().late.len() >= count {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("nothing comes late");
    }

    /// The objects of the lake, by their keys in it.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let within = |(key, bytes): (String, Vec<u8>)| Some((in_lake(&key)?, bytes));
        self.bucket(|bucket| bucket.contents()).into_iter().filter_map(within).collect()
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// How many requests there were of each class.
    pub fn counts(&self) -> BTreeMap<Class, u64> {
        let mut counts = BTreeMap::new();
        self.seen().iter().for_each(|seen| *counts.entry(seen.class).or_default() += 1);
        counts
    }

    /// The most bytes of requests' bodies that there were at once.
    pub fn peak_of_uploads(&self) -> usize {
        self.shared.load.bytes_max.load(Ordering::SeqCst)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the thread that waits for the next connection.
        drop(TcpStream::connect(self.address));
    }
}

impl Load {
    fn begin(&self, bytes: usize) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.bytes_max.fetch_max(bytes, Ordering::SeqCst);
    }

    fn end(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(head) = Head::read(&mut reader)? {
            let length = head.length();
            if length > 0 {
                self.load.begin(length);
            }
            let reply = head.read_body(&mut reader).map(|body| self.reply(&head, body));
            if length > 0 {
                self.load.end(length);
            }
            if !reply?.send(&mut stream, &head)? {
                break;
            }
        }
        Ok(())
    }

    fn reply(&self, head: &Head, body: Vec<u8>) -> Reply {
        let (bucket, key) = self.address(head);
        let verb = Verb::of(head, &key);
        if bucket != BUCKET || self.options.named_otherwise {
            return Reply::Whole(Response::error(404, "NoSuchBucket", "the specified bucket does not exist"));
        }
        let refused = self.refuse(head, verb, &key);
        let about =
            if verb == Verb::List { head.query.get("prefix").cloned().unwrap_or_default() } else { key.clone() };
        let about = in_lake(&about).unwrap_or(about);
        let class = Class::of(verb, &about);
        if verb == Verb::Create && self.options.races {
            self.let_others_race(&key);
        }
        let mut state = self.state.lock().unwrap();
        let reply = match (refused, state.due(class)) {
            (Some(refused), _) => Reply::Whole(refused),
            (None, Some(fault)) => state.fail(fault, verb, &key, head, body),
            (None, None) => Reply::Whole(self.veil(state.bucket.apply(verb, &key, head, body))),
        };
        let status = match &reply {
            Reply::Whole(response) => Some(response.status),
            _ => None,
        };
        state.seen.push(Seen { verb, class, key: about, status });
        reply
    }

    /// Why the request may not be, if it may not.
    fn refuse(&self, head: &Head, verb: Verb, key: &str) -> Option<Response> {
        let authorization = head.header("authorization").unwrap_or_default();
        let scope = authorization.split_once("Credential=").map_or("", |(_, rest)| rest.split(',').next().unwrap());
        let mut scope = scope.split('/');
        let denied = |code: &str| Some(Response::error(403, code, "access denied"));
        if scope.next() != Some(ACCESS_KEY) {
            return denied("InvalidAccessKeyId");
        }
        if self.options.session_token && head.header("x-amz-security-token") != Some(SESSION_TOKEN) {
            return denied("InvalidToken");
        }
        if self.options.regional && scope.nth(1) != Some(REGION) {
            let message = "the bucket you are attempting to access must be addressed using the specified endpoint";
            let redirect = Response::error(301, "PermanentRedirect", message);
            return Some(redirect.header("x-amz-bucket-region", REGION));
        }
        let allowed = self.options.policy.as_ref().is_none_or(|policy| policy.allows(verb, key, head));
        if allowed { None } else { denied("AccessDenied") }
    }

    /// Bucket and key of a request. Where the bucket is in the host, the host has no other name here than the address.
    fn address(&self, head: &Head) -> (String, String) {
        let path = head.path.trim_start_matches('/');
        if self.options.virtual_hosts {
            return (BUCKET.to_owned(), path.to_owned());
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (bucket.to_owned(), key.to_owned())
    }

    /// Who may not list does not learn that something is missing.
    fn veil(&self, response: Response) -> Response {
        let veiled = self.options.policy.as_ref().is_some_and(|policy| !policy.tells_what_is_missing());
        if veiled && response.status == 404 { Response::error(403, "AccessDenied", "access denied") } else { response }
    }

    /// A create of what is not there becomes a put, a moment later.
    fn let_others_race(&self, key: &str) {
        let is_free = self.state.lock().unwrap().bucket.is_free(key);
        if is_free {
            thread::sleep(RACE);
            self.state.lock().unwrap().bucket.forget(key);
        }
    }
}

impl State {
    /// The fault that this request of `class` meets.
    fn due(&mut self, class: Class) -> Option<Fault> {
        let mut due = None;
        for (fault, count) in self.faults.iter_mut().filter(|(fault, _)| fault.class == class) {
            *count += 1;
            let met = *count >= fault.first && *count - fault.first < fault.times;
            due = due.or(met.then_some(*fault));
        }
        self.hits += u64::from(due.is_some());
        due
    }

    fn fail(&mut self, fault: Fault, verb: Verb, key: &str, head: &Head, body: Vec<u8>) -> Reply {
        let nothing = Response::new(200);
        let real = if fault.what == What::Late {
            if verb.writes() {
                self.late.push((verb, key.to_owned(), head.clone(), body));
            }
            nothing
        } else if fault.when == When::After {
            self.bucket.apply(verb, key, head, body)
        } else {
            nothing
        };
        fault.what.reply(fault.when, real)
    }
}

fn in_lake(key: &str) -> Option<String> {
    key.strip_prefix(PREFIX)?.strip_prefix('/').map(str::to_owned)
}

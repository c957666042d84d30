//! The API: it says what the world is like, hides a record now and then, garbles another, and fails. What it said is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    lists::{KINDS, Kind, Record},
    process::Process,
    random::Random,
};
use crate::{
    api::{Answer, ApiError, BodyStream, Envelope, ListRequest, Source},
    sandbox::{KeyOrder, ListOrder, Numbers, Style, Whitespace},
    schema::Resource,
};

/// A process's connection to the API.
pub(super) struct SimulatedApi(pub Arc<Process>);

/// What was said in answer to a poll.
#[derive(Debug)]
pub(super) struct Said {
    pub kind: usize,
    /// The process that asked.
    pub to: Arc<str>,
    /// Number of the event.
    pub at: u64,
    pub bytes: u64,
    pub hash: String,
    /// Whether it was said to its end.
    pub whole: bool,
    /// Whether one key stands in it twice, with different content.
    pub contradicts_itself: bool,
    /// Whether whoever asked takes what is missing for gone, however much it is.
    pub accepts_removals: bool,
    /// What its records mean, by key.
    pub records: BTreeMap<String, Arc<Value>>,
    /// Texts of records that can be no rows, with their key if it can be read.
    pub unfit: Vec<(Option<String>, String)>,
    /// Elements of the list.
    pub listed: u64,
}

/// How the API feels at the moment, and all that it said.
pub(super) struct Mood {
    random: Random,
    hidden: BTreeSet<String>,
    /// Records that it garbles, and whether their keys go with it.
    garbled: BTreeMap<String, bool>,
    said: Vec<Arc<Said>>,
}

/// What goes wrong with one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    Unavailable,
    Unreachable,
    Denied,
    BreaksOff,
    EndsEarly,
    ClosedEarly,
    Repeats,
    Contradicts,
    Paginates,
}

const ODDITIES: [(Oddity, &str); 9] = [
    (Oddity::Unavailable, "answers of 503"),
    (Oddity::Unreachable, "polls without an answer"),
    (Oddity::Denied, "answers of 401"),
    (Oddity::BreaksOff, "answers that broke off"),
    (Oddity::EndsEarly, "answers that ended early"),
    (Oddity::ClosedEarly, "answers that were cut and closed again"),
    (Oddity::Repeats, "answers that repeat a record"),
    (Oddity::Contradicts, "answers that contradict themselves"),
    (Oddity::Paginates, "answers with a page instead of a list"),
];

/// Records hidden at a time: no more than a guard lets pass.
const HIDDEN_MAX: usize = 3;

impl Mood {
    pub(super) fn new(random: Random) -> Self {
        Self { random, hidden: BTreeSet::new(), garbled: BTreeMap::new(), said: Vec::new() }
    }

    /// What was said, in order.
    pub(super) fn said(&self) -> &[Arc<Said>] {
        &self.said
    }

    /// The answer with this ETag.
    pub(super) fn with_etag(&self, etag: &str) -> Option<(usize, Arc<Said>)> {
        let number: usize = etag.strip_prefix("\"said-")?.strip_suffix('"')?.parse().ok()?;
        Some((number, self.said.get(number)?.clone()))
    }

    /// At times a record goes, comes back, turns bad, or is mended.
    fn swing(&mut self, records: &[Record], restlessness: u64) {
        if !self.random.one_in(restlessness) {
            return;
        }
        let Some(record) = records.get(self.random.below(records.len() as u64) as usize) else { return };
        let key = &record.key;
        match self.random.below(10) {
            0..3 if self.hidden.len() < HIDDEN_MAX => drop(self.hidden.insert(key.clone())),
            0..6 => drop(self.hidden.pop_first()),
            6..8 if self.garbled.is_empty() => drop(self.garbled.insert(key.clone(), self.random.one_in(3))),
            _ => drop(self.garbled.pop_first()),
        }
    }

    fn style(&mut self, reformats: bool) -> Style {
        let random = &mut self.random;
        if !reformats || random.one_in(2) {
            return Style::default();
        }
        Style {
            key_order: random.pick(&[KeyOrder::Documented, KeyOrder::Shuffled]),
            whitespace: random.pick(&[Whitespace::Compact, Whitespace::Pretty]),
            numbers: random.pick(&[Numbers::Stable, Numbers::Alternate]),
            order: random.pick(&[ListOrder::Natural, ListOrder::Reversed, ListOrder::Shuffled]),
        }
    }

    fn oddity(&mut self, process: &Process) -> Oddity {
        if !self.random.chance(process.weather.api) {
            return Oddity::None;
        }
        let (oddity, name) = self.random.pick(&ODDITIES);
        process.stage.figures().count(name);
        oddity
    }
}

impl SimulatedApi {
    /// Says what there is to say at this moment.
    fn answer(&self, kind: usize) -> Result<(String, Vec<Bytes>, bool), ApiError> {
        let process = &self.0;
        let stage = &process.stage;
        let mut mood = stage.mood();
        let oddity = mood.oddity(process);
        if let Some(error) = failure(oddity) {
            Process::set(&process.api_failed);
            stage.note(&process.who, "poll", KINDS[kind].name, "fails", &[]);
            return Err(error);
        }
        let style = mood.style(stage.plan.reformats && stage.is_rough());
        let mut records = stage.lists.records(kind, stage.world_age(), style);
        if stage.is_rough() {
            mood.swing(&records, stage.plan.restlessness);
        }
        records.retain(|record| !mood.hidden.contains(&record.key));
        if oddity == Oddity::ClosedEarly {
            let left = mood.random.below(records.len() as u64);
            records.truncate(left as usize);
        }
        let mut answer = Draft::default();
        for record in &records {
            answer.list(record, mood.garbled.get(&record.key).copied(), &KINDS[kind]);
        }
        if let Some(record) = records.first().filter(|record| !mood.garbled.contains_key(&record.key)) {
            match oddity {
                Oddity::Repeats => answer.elements.push(record.json.clone()),
                Oddity::Contradicts => answer.elements.push(record.json.replacen("\"currency\"", "\"kurrency\"", 1)),
                _ => {}
            }
        }
        let contradicts_itself =
            answer.elements.len() > records.len() && answer.elements.last() != answer.elements.first();
        let mut body = answer.body(style);
        if oddity == Oddity::Paginates {
            body = [br#"{"page":0,"content":"#, body.as_slice(), b"}"].concat();
        }
        let whole = !matches!(oddity, Oddity::BreaksOff | Oddity::EndsEarly | Oddity::Paginates);
        if oddity != Oddity::None
            || kind == Kind::of("beneficiaries")
            || !mood.hidden.is_empty()
            || !answer.unfit.is_empty()
        {
            process.odd.fetch_or(1 << kind, Ordering::Relaxed);
        }
        for (name, count) in [("records hidden", mood.hidden.len()), ("records garbled", answer.unfit.len())] {
            stage.figures().add(name, count as u64);
        }
        let said = Said {
            kind,
            to: process.who.clone(),
            at: stage.note(&process.who, "poll", KINDS[kind].name, "answers", &body),
            bytes: body.len() as u64,
            hash: format!("{:032x}", xxh3_128(&body)),
            whole,
            contradicts_itself,
            accepts_removals: process.accepts_removals,
            records: answer.records,
            unfit: answer.unfit,
            listed: answer.elements.len() as u64,
        };
        mood.said.push(Arc::new(said));
        let etag = format!("\"said-{}\"", mood.said.len() - 1);
        if matches!(oddity, Oddity::BreaksOff | Oddity::EndsEarly) {
            body.truncate(mood.random.below(body.len() as u64) as usize);
        }
        let chunks = chunks(body.into(), &mut mood.random);
        Ok((etag, chunks, oddity == Oddity::BreaksOff))
    }
}

impl Source for SimulatedApi {
    async fn single(&self, _: &Resource, _: &str) -> Result<Option<Vec<u8>>, ApiError> {
        Ok(None)
    }

    async fn poll(&self, resource: &Resource, _: &ListRequest) -> Result<Answer, ApiError> {
        let process = &self.0;
        process.depart().await;
        process.stage.figures().count("polls");
        let (etag, chunks, breaks_off) = self.answer(Kind::of(&resource.name))?;
        let end = breaks_off.then(|| {
            Process::set(&process.api_failed);
            Err(ApiError::Interrupted { url: "the API".into(), reason: "reset".into() })
        });
        let chunks: Vec<_> = chunks.into_iter().map(Ok).chain(end).collect();
        let process = process.clone();
        let arriving = stream::iter(chunks).then(move |chunk| {
            let process = process.clone();
            async move {
                process.pass().await;
                chunk
            }
        });
        Ok(Answer::Body(BodyStream::new(Some(etag), arriving)))
    }
}

fn failure(oddity: Oddity) -> Option<ApiError> {
    let (url, envelope) = ("the API".to_owned(), Envelope::default());
    match oddity {
        Oddity::Unavailable => Some(ApiError::Status { url, status: 503, envelope }),
        Oddity::Denied => Some(ApiError::Denied { url, status: 401, envelope }),
        Oddity::Unreachable => Some(ApiError::Unreachable { url, reason: "refused".into() }),
        _ => None,
    }
}

/// An answer in the making.
#[derive(Default)]
struct Draft {
    elements: Vec<String>,
    records: BTreeMap<String, Arc<Value>>,
    unfit: Vec<(Option<String>, String)>,
}

impl Draft {
    fn list(&mut self, record: &Record, garbled: Option<bool>, kind: &Kind) {
        let Some(without_key) = garbled else {
            self.elements.push(record.json.clone());
            self.records.insert(record.key.clone(), record.meaning.clone());
            return;
        };
        let mut fields: serde_json::Map<String, Value> = serde_json::from_str(&record.json).unwrap();
        let (member, value) = if without_key { (kind.member, "7") } else { kind.unfit };
        fields.insert(member.to_owned(), serde_json::from_str(value).unwrap());
        let text = Value::from(fields).to_string();
        self.elements.push(text.clone());
        self.unfit.push(((!without_key).then(|| record.key.clone()), text));
    }

    fn body(&self, style: Style) -> Vec<u8> {
        let between = if style.whitespace == Whitespace::Pretty { ",\n  " } else { "," };
        format!("[{}]", self.elements.join(between)).into_bytes()
    }
}

/// Cuts a body where a network might.
fn chunks(mut body: Bytes, random: &mut Random) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    while chunks.len() < 4 && body.len() > 1 && !random.one_in(3) {
        chunks.push(body.split_to(random.between(1, body.len() as u64 - 1) as usize));
    }
    chunks.push(body);
    chunks
}

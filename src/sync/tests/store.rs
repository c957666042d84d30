//! A process's connection to the store: slow, and at times failing in every way that one over a network may.
//!
//! What is on the shelf is always consistent; what a process is told of it need not be. A write that fails may have taken
//! effect, may take effect later, whether its process still lives or not, or never will.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};

use super::{
    process::{Process, sleep},
    random::Random,
    shelf::{Mode, Object, Refused},
};

/// A connection.
#[derive(Clone)]
pub(super) struct SimulatedStore(pub Arc<Process>);

/// How a write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Done,
    /// It never arrived, and the process is told of a broken connection.
    LostBefore,
    /// It never arrived: not allowed.
    Denied,
    /// It took effect, and the process is told of a broken connection.
    LostAfter,
    /// It took effect, was sent again below the process, and found itself.
    FoundItself,
    /// It did not take effect, since another request for the key was under way.
    Conflict,
    /// It timed out, and is still on its way.
    Late,
    /// The process dies, and the write with it.
    CrashBefore,
    /// The process dies once it took effect.
    CrashAfter,
    /// The process dies, and the write is still on its way.
    CrashLate,
}

impl Write {
    fn draw(process: &Process, mode: &Mode) -> Self {
        let weather = process.weather;
        if process.has_lost_the_store() {
            return process
                .draw(|random| random.pick(&[Self::LostBefore, Self::LostBefore, Self::LostAfter, Self::Late]));
        }
        if process.draw(|random| random.chance(weather.writes / 20)) {
            process.lose_the_store();
            return Self::LostBefore;
        }
        process.draw(|random| {
            if random.chance(weather.crashes) {
                return random.pick(&[Self::CrashBefore, Self::CrashAfter, Self::CrashLate]);
            }
            if !random.chance(weather.writes) {
                return Self::Done;
            }
            match (random.below(12), mode) {
                (0..2, _) => Self::LostBefore,
                (2..5, _) => Self::LostAfter,
                (5..7, Mode::Create) => Self::FoundItself,
                (7..9, Mode::Create) => Self::Conflict,
                (9, _) if random.one_in(4) => Self::Denied,
                _ => Self::Late,
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Done => "writes",
            Self::LostBefore => "writes lost before they took effect",
            Self::Denied => "writes denied",
            Self::LostAfter => "writes whose acknowledgement was lost",
            Self::FoundItself => "creates that found themselves",
            Self::Conflict => "creates refused for a conflict",
            Self::Late => "writes that timed out and came later",
            Self::CrashBefore => "crashes before a write",
            Self::CrashAfter => "crashes after a write",
            Self::CrashLate => "crashes with a write on its way",
        }
    }
}

impl SimulatedStore {
    async fn write(&self, key: &str, bytes: Bytes, mode: Mode) -> Result<PutResult> {
        let process = &self.0;
        let Process { who, stage, .. } = process.as_ref();
        process.depart().await;
        if mode != Mode::Create {
            process.carry().await;
        }
        let ending = Write::draw(process, &mode);
        if matches!(mode, Mode::Update(_)) && !stage.plan.conditional_replace {
            return Err(not_simulated("a replacement on condition"));
        }
        stage.note(who, "put", key, ending.name(), &bytes);
        stage.figures().count(ending.name());
        if ending != Write::Done {
            Process::set(&process.store_failed);
        }
        let apply = |bytes| stage.apply(who, key, bytes, &mode);
        match ending {
            Write::Done => {
                let another = stage.shelf().get(key).is_some_and(|there| there.bytes != bytes);
                let applied = apply(bytes);
                if another && applied.is_err() && key.contains("/log/") {
                    stage.figures().count("races lost");
                }
                process.pass().await;
                match applied {
                    Ok(etag) => Ok(PutResult { e_tag: Some(etag), version: None, extensions: Default::default() }),
                    Err(Refused::Exists) => Err(exists(key)),
                    Err(Refused::Otherwise) => Err(otherwise(key)),
                }
            }
            Write::LostBefore => self.lose().await,
            Write::Denied => {
                Process::set(&process.denied);
                process.pass().await;
                Err(Error::PermissionDenied { path: key.to_owned(), source: "the token has expired".into() })
            }
            Write::LostAfter => {
                let _ = apply(bytes);
                self.lose().await
            }
            Write::FoundItself => {
                let _ = apply(bytes);
                process.pass().await;
                Err(exists(key))
            }
            Write::Conflict => {
                process.pass().await;
                Err(if process.draw(|random| random.one_in(2)) { exists(key) } else { otherwise(key) })
            }
            Write::Late => {
                stage.apply_late(who, key, bytes, mode, process.draw(late_ms));
                let timeout_ms = process.draw(|random| random.pick(&[20, 1_000, 30_000]));
                sleep(timeout_ms).await;
                Err(broken("timed out"))
            }
            Write::CrashBefore => process.die("before a write").await,
            Write::CrashAfter => {
                let _ = apply(bytes);
                process.die("after a write").await
            }
            Write::CrashLate => {
                stage.apply_late(who, key, bytes, mode, process.draw(late_ms));
                process.die("with a write on its way").await
            }
        }
    }

    async fn lose<T>(&self) -> Result<T> {
        self.0.pass().await;
        Err(broken("the connection was reset"))
    }

    /// Begins a reading, which may fail or be the process's last.
    async fn look(&self, what: &'static str, of: &str) -> Result<()> {
        let process = &self.0;
        process.depart().await;
        let weather = process.weather;
        let (crashes, fails) =
            process.draw(|random| (random.chance(weather.crashes / 2), random.chance(weather.reads)));
        if crashes {
            process.stage.figures().count("crashes at a reading");
            return process.die(what).await;
        }
        if fails || process.has_lost_the_store() {
            process.stage.figures().count(if what == "list" { "listings that failed" } else { "readings that failed" });
            Process::set(&process.store_failed);
            process.stage.note(&process.who, what, of, "fails", &[]);
            return self.lose().await;
        }
        Ok(())
    }

    /// Whether a reading breaks off.
    fn breaks_off(&self) -> bool {
        let process = &self.0;
        let breaks_off = process.draw(|random| random.chance(process.weather.reads / 4));
        if breaks_off {
            process.stage.figures().count("readings that broke off");
            Process::set(&process.store_failed);
        }
        breaks_off
    }

    async fn listing(self, folder: String) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.look("list", &folder).await?;
        let process = &self.0;
        let listed = process.stage.shelf().list(&folder);
        process.stage.note(&process.who, "list", &folder, "seen", listed.len().to_string().as_bytes());
        let end = if self.breaks_off() { listed.len() / 2 } else { listed.len() };
        let broken_off = (end < listed.len()).then(|| Err(broken("the listing broke off")));
        process.pass().await;
        let metas = listed.into_iter().take(end).map(|(key, object)| Ok(meta(&key, &object)));
        Ok(stream::iter(metas.chain(broken_off).collect::<Vec<_>>()).boxed())
    }
}

/// How late: mostly soon, at times when its process is long forgotten.
fn late_ms(random: &mut Random) -> u64 {
    let scale = random.pick(&[100, 1_000, 10_000, 10_000, 100_000, 600_000]);
    random.below(scale)
}

fn broken(how: &'static str) -> Error {
    Error::Generic { store: "S3", source: how.into() }
}

fn exists(key: &str) -> Error {
    Error::AlreadyExists { path: key.to_owned(), source: "it is there".into() }
}

fn otherwise(key: &str) -> Error {
    Error::Precondition { path: key.to_owned(), source: "the condition does not hold".into() }
}

fn meta(key: &str, object: &Object) -> ObjectMeta {
    ObjectMeta {
        location: Path::from(key),
        last_modified: chrono::DateTime::UNIX_EPOCH,
        size: object.bytes.len() as u64,
        e_tag: Some(object.etag.clone()),
        version: None,
    }
}

fn not_simulated(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "the simulated store".to_owned() }
}

impl fmt::Debug for SimulatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedStore({})", self.0.who)
    }
}

impl fmt::Display for SimulatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for SimulatedStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mode = match options.mode {
            PutMode::Create => Mode::Create,
            PutMode::Overwrite => Mode::Replace,
            PutMode::Update(version) => Mode::Update(version.e_tag.unwrap_or_default()),
        };
        self.write(path.as_ref(), payload.into(), mode).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(not_simulated("an upload in parts, which nothing here is large enough for"))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.look("get", path.as_ref()).await?;
        let process = &self.0;
        let there = process.stage.shelf().get(path.as_ref()).cloned();
        let seen = there.as_ref().map_or(&[][..], |object| &object.bytes);
        process.stage.note(&process.who, "get", path.as_ref(), if there.is_some() { "seen" } else { "absent" }, seen);
        let breaks_off = self.breaks_off();
        process.pass().await;
        let Some(object) = there else {
            return Err(Error::NotFound { path: path.to_string(), source: "it is not there".into() });
        };
        let meta = meta(path.as_ref(), &object);
        options.check_preconditions(&meta)?;
        let whole = 0..meta.size;
        let range: Range<u64> = match options.range {
            Some(range) => range.as_range(meta.size).map_err(|_| broken("the range is not satisfiable"))?,
            None => whole,
        };
        let bytes = object.bytes.slice(range.start as usize..range.end as usize);
        let parts = if breaks_off {
            vec![Ok(bytes.slice(..bytes.len() / 2)), Err(broken("the reading broke off"))]
        } else {
            vec![Ok(bytes)]
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(parts).boxed()),
            meta,
            range,
            attributes: Attributes::new(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(not_simulated("a deletion, which no sync needs")) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = prefix.map(ToString::to_string).unwrap_or_default();
        stream::once(self.clone().listing(folder)).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(not_simulated("a listing of folders"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_simulated("a copy"))
    }
}

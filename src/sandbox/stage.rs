//! What a running sandbox has beside its world: the clock, the switches, who may come in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use super::envelope::Refusal;
use super::etag::Tagging;
use super::fault::{Fault, Faults};
use super::filter::Filtering;
use super::ids::Ids;
use super::page::Paging;
use super::single::SingleReads;
use super::{Error, Options, Resource, Snapshot, Style, World};

/// The state that all requests share.
pub(super) struct Stage {
    scene: Mutex<Scene>,
    options: Options,
    world: Arc<World>,
    requests: AtomicU64,
    request_ids: Ids,
    stopping: watch::Sender<bool>,
}

/// What the API shows at present. A request that has begun keeps its own.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) style: Style,
    pub(super) serves_optional: bool,
    pub(super) paging: Paging,
    pub(super) filtering: Filtering,
    pub(super) tagging: Tagging,
    pub(super) single_reads: SingleReads,
    pub(super) faults: Faults,
}

impl Scene {
    /// The world with every switch as at first.
    pub(super) fn plain(snapshot: Arc<Snapshot>) -> Scene {
        Scene {
            snapshot,
            style: Style::default(),
            serves_optional: false,
            paging: Paging::default(),
            filtering: Filtering::default(),
            tagging: Tagging::default(),
            single_reads: SingleReads::default(),
            faults: Faults::default(),
        }
    }

    /// Whether there is such a resource at all.
    fn shows(&self, resource: Resource) -> bool {
        self.serves_optional || !resource.is_optional()
    }
}

impl Stage {
    pub(super) fn new(options: Options) -> Result<Stage, Error> {
        let world = Arc::new(World::new(&options)?);
        let snapshot = Arc::new(Snapshot::new(world.clone(), World::start()));
        let scene = Mutex::new(Scene::plain(snapshot));
        let request_ids = Ids::new(options.seed, "req_01HY");
        let (requests, stopping) = (AtomicU64::new(0), watch::Sender::new(false));
        Ok(Stage { scene, options, world, requests, request_ids, stopping })
    }

    /// What the API shows at present.
    pub(super) fn scene(&self) -> Scene {
        self.lock().clone()
    }

    /// What the API shows at present, if that has the resource.
    pub(super) fn showing(&self, resource: Resource) -> Result<Scene, Refusal> {
        Some(self.scene()).filter(|scene| scene.shows(resource)).ok_or(Refusal::NotFound)
    }

    /// Begins the answer to a request for a list: what the API shows, and the fault that the answer suffers.
    pub(super) fn begin_list(&self, resource: Resource) -> Result<(Scene, Fault), Refusal> {
        let mut scene = self.lock();
        if !scene.shows(resource) {
            return Err(Refusal::NotFound);
        }
        let fault = scene.faults.suffer(resource);
        Ok((scene.clone(), fault))
    }

    /// What the world is made from.
    pub(super) fn origin(&self) -> (u64, u64) {
        (self.options.seed, self.options.records)
    }

    /// Changes what the API shows, and returns it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Scene)) -> Scene {
        let mut scene = self.lock();
        change(&mut scene);
        scene.clone()
    }

    /// Moves the clock on and returns it; it stays where it is on an error.
    pub(super) fn advance(&self, by: TimeDelta) -> Result<DateTime<Utc>, Error> {
        let mut scene = self.lock();
        let clock = scene.snapshot.clock().checked_add_signed(by).filter(|clock| *clock <= World::end());
        let clock = clock.filter(|_| by >= TimeDelta::zero()).ok_or(Error::Clock { end: World::end() })?;
        scene.snapshot = Arc::new(Snapshot::new(self.world.clone(), clock));
        Ok(clock)
    }

    /// The first credential header that is missing or wrong.
    pub(super) fn refused_header(&self, headers: &HeaderMap) -> Option<&'static str> {
        let expected = [("X-API-KEY", &self.options.key), ("X-API-SECRET", &self.options.secret)];
        let is_wrong = |name: &str, value: &String| headers.get(name).is_none_or(|given| given != value.as_str());
        expected.into_iter().find(|(name, value)| is_wrong(name, value)).map(|(name, _)| name)
    }

    /// An id for the request at hand.
    pub(super) fn next_request_id(&self) -> String {
        self.request_ids.encode(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits so long. Whether it did to the end, rather than to the sandbox's.
    pub(super) async fn wait(&self, time: Duration) -> bool {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }

    /// Ends all waits, so that no answer holds the sandbox up.
    pub(super) fn stop_waiting(&self) {
        self.stopping.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, Scene> {
        // Nothing that changes a scene can panic half-way.
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

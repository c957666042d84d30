//! What a running sandbox has beside its world: the clock, the style, who may come in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};

use super::ids::Ids;
use super::{Error, Options, Snapshot, Style, World};

/// The state that all requests share.
pub(super) struct Stage {
    scene: Mutex<Scene>,
    options: Options,
    world: Arc<World>,
    requests: AtomicU64,
    request_ids: Ids,
}

/// What the API shows at present. A request that has begun keeps its own.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) style: Style,
    pub(super) serves_optional: bool,
}

impl Stage {
    pub(super) fn new(options: Options) -> Result<Stage, Error> {
        let world = Arc::new(World::new(&options)?);
        let snapshot = Arc::new(Snapshot::new(world.clone(), World::start()));
        let scene = Mutex::new(Scene { snapshot, style: Style::default(), serves_optional: false });
        let request_ids = Ids::new(options.seed, "req_01HY");
        Ok(Stage { scene, options, world, requests: AtomicU64::new(0), request_ids })
    }

    /// What the API shows at present.
    pub(super) fn scene(&self) -> Scene {
        self.lock().clone()
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

    fn lock(&self) -> MutexGuard<'_, Scene> {
        // Every change of a scene is a single assignment, so a panic cannot have left half of one.
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

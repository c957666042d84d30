//! A list, from the request for it to the answer.
//!
//! ```text
//! request ─► fault ─┬─► answer in its place
//!                   └─► filters ─► page ─► ETag ─┬─► 304
//!                                                └─► Listing ─► Body ─► delivery
//! ```
//!
//! With every switch as at first, each step leaves all as it is.

use std::sync::Arc;

use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::Array;
use super::broken::{deliver, instead};
use super::envelope::Refusal;
use super::etag::{etag, is_known};
use super::fault::Fault;
use super::filter::Filters;
use super::listing::Listing;
use super::page::Page;
use super::parameters::Parameters;
use super::stage::{Scene, Stage};
use super::tamper::Tampering;
use super::{Body, Resource};

/// Answers a request for a list.
pub(super) async fn list(
    stage: Arc<Stage>,
    resource: Resource,
    asked: Parameters,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (mut scene, fault) = stage.begin_list(resource)?;
    if let Some(answer) = instead(&fault, &stage).await {
        return Ok(answer);
    }
    if let Fault::Stale { days } = fault {
        scene.snapshot = Arc::new(scene.snapshot.ago(days));
    }
    let filters = Filters::read(resource, scene.filtering, &asked)?;
    let page = Page::read(scene.paging, &asked);
    let tag = scene.tagging.on.then(|| {
        let altered = Some(&fault).filter(|fault| !fault.keeps_text());
        etag(&(stage.origin(), scene.snapshot.clock(), scene.style, resource, &filters, page, altered))
    });
    // An answer that was to go wrong is never left unsent.
    if let Some(tag) = tag.as_ref().filter(|tag| fault.is_none() && is_known(&headers, tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag.clone())]).into_response());
    }
    let plan = Plan { scene, resource, filters, page, fault: fault.clone() };
    let body = tokio::task::spawn_blocking(move || plan.body()).await.map_err(|_| Refusal::Internal)?;
    let mut response = deliver(&fault, body, stage);
    response.headers_mut().extend(tag.map(|tag| (ETAG, tag)));
    Ok(response)
}

/// What a list's body is made from.
struct Plan {
    scene: Scene,
    resource: Resource,
    filters: Filters,
    page: Option<Page>,
    fault: Fault,
}

impl Plan {
    /// The body, ready to be read without long waits: what takes a pass over many records is done here.
    fn body(self) -> Body {
        let Plan { scene: Scene { snapshot, style, .. }, resource, filters, page, fault } = self;
        if resource == Resource::Accounts {
            snapshot.books();
        }
        let mut listing = Listing::new(snapshot, resource, style.order, filters);
        if let Fault::Empty {} = fault {
            listing = listing.nothing();
        }
        let mut about = None;
        if let Some(page) = page {
            let total = listing.total();
            about = page.about(total);
            listing = listing.window(page.window(total));
        }
        if let Fault::Short {} | Fault::Cut {} = fault {
            listing = listing.half();
        }
        let tampering = fault.tamper().map(|tamper| Tampering::new(tamper, resource));
        Body::array(listing, Array { style, about, tampering, is_cut: matches!(fault, Fault::Cut {}) })
    }
}

//! The reserved features of the contract, switched on and off.

use chrono::{DateTime, FixedOffset};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::{Resource, Running};
use super::served::Object;
use super::wire::{CREDENTIALS, ask, exchange, fetch, get, post, sandbox};
use super::{at, list, world};

const TRADES: &str = "/api/v1/trades";

#[derive(Deserialize)]
struct Envelope {
    content: Box<RawValue>,
    page: Value,
}

fn keys(list: &str) -> Vec<String> {
    Object::list(list).iter().map(Object::key).collect()
}

/// A request with every parameter that the contract reserves, and a tag.
async fn everything_asked(sandbox: &Running, resource: Resource) -> String {
    let query = "page=1&size=2&sort=createdAt,desc&dateFrom=2026-01-01T00:00:00Z&dateTo=x&status=PENDING";
    let headers = format!("{CREDENTIALS}If-None-Match: *\r\n");
    let answer = exchange(sandbox, "GET", &format!("{}?{query}", resource.path()), &headers).await;
    assert_eq!((answer.status, answer.header("etag")), (200, None));
    answer.text()
}

#[tokio::test]
async fn with_every_switch_off_a_list_is_the_worlds_whatever_is_asked() {
    let (sandbox, snapshot) = (sandbox().await, at(&world(1000), 0));
    let first = get(&sandbox, "/control").await;
    for _ in 0..2 {
        assert_eq!(get(&sandbox, "/control").await, first);
        for resource in Resource::ALL.into_iter().filter(|resource| !resource.is_optional()) {
            assert_eq!(everything_asked(&sandbox, resource).await, list(&snapshot, resource));
        }
        for switch in [
            "style?order=reversed",
            "serve-optional?on=true",
            "paginate?on=true&shift=2",
            "filters?dates=event_time",
            "etags?on=true",
            "single-reads?shape=missing",
            "fault?kind=empty",
        ] {
            let name = switch.split_once('?').unwrap().0;
            let state = post(&sandbox, &format!("/control/{switch}")).await;
            let shown: Value = serde_json::from_str(&get(&sandbox, "/control").await).unwrap();
            assert_eq!(shown[name], state, "{switch}");
            assert!(!first.contains(&state.to_string()), "{switch} is as at first");
        }
        assert_eq!(post(&sandbox, "/control/reset").await.to_string(), first);
    }
}

#[tokio::test]
async fn what_a_switch_does_not_know_is_refused_and_changes_nothing() {
    let sandbox = sandbox().await;
    let first = get(&sandbox, "/control").await;
    for query in [
        "paginate?on=maybe",
        "paginate?shape=cursor",
        "paginate?size_max=0",
        "paginate?pages=3",
        "filters?dates=created_at",
        "filters?from=x",
        "etags?weak=true",
        "single-reads?shape=wide",
    ] {
        let (status, body) = ask(&sandbox, "POST", &format!("/control/{query}"), "").await;
        assert_eq!(status, 400, "{query}: {body}");
    }
    assert_eq!(get(&sandbox, "/control").await, first);
}

#[tokio::test]
async fn pages_put_together_are_the_list() {
    let sandbox = sandbox().await;
    for (order, size) in [("natural", 100), ("reversed", 7), ("shuffled", 33)] {
        post(&sandbox, &format!("/control/style?order={order}")).await;
        for resource in [Resource::Accounts, Resource::Beneficiaries, Resource::Withdrawals] {
            post(&sandbox, "/control/paginate").await;
            let whole = get(&sandbox, &resource.path()).await;
            post(&sandbox, "/control/paginate?on=true").await;
            let mut pages = Vec::new();
            loop {
                let path = format!("{}?size={size}&page={}", resource.path(), pages.len());
                let page = get(&sandbox, &path).await;
                let records = page.strip_prefix('[').and_then(|page| page.strip_suffix(']')).unwrap().to_owned();
                if records.is_empty() {
                    break;
                }
                pages.push(records);
            }
            assert_eq!(pages.len(), keys(&whole).len().div_ceil(size));
            assert_eq!(format!("[{}]", pages.join(",")), whole);
        }
    }
}

#[tokio::test]
async fn an_envelope_holds_a_page_and_says_which() {
    let sandbox = sandbox().await;
    let whole = keys(&get(&sandbox, TRADES).await);
    let state = post(&sandbox, "/control/paginate?on=true&shape=envelope&size_max=60").await;
    assert_eq!(
        (&state["shape"], &state["size_max"], &state["endless"]),
        (&json!("envelope"), &json!(60), &json!(false))
    );
    for (query, size, number) in
        [("", 20, 0), ("?page=2", 20, 2), ("?page=5&size=60", 60, 5), ("?size=1000", 60, 0), ("?page=900", 20, 900)]
    {
        let page = get(&sandbox, &format!("{TRADES}{query}")).await;
        assert!(page.starts_with(r#"{"content":["#), "{page}");
        let Envelope { content, page } = serde_json::from_str(&page).unwrap();
        let held: Vec<_> = whole.iter().skip(size * number).take(size).cloned().collect();
        assert_eq!(keys(content.get()), held, "{query}");
        let pages = whole.len().div_ceil(size);
        assert_eq!(
            page,
            json!({"size": size, "number": number, "totalElements": whole.len(), "totalPages": pages}),
            "{query}"
        );
    }
    post(&sandbox, "/control/style?whitespace=pretty").await;
    serde_json::from_str::<Envelope>(&get(&sandbox, TRADES).await).unwrap();
}

#[tokio::test]
async fn a_server_may_paginate_wrongly() {
    let sandbox = sandbox().await;
    let whole = keys(&get(&sandbox, TRADES).await);
    let held = |start: usize| whole.iter().cycle().skip(start).take(100).cloned().collect::<Vec<_>>();
    for (switch, starts) in [
        ("repeat=true", [0, 100, 100, 100]),
        ("ignore=true", [0, 0, 0, 0]),
        ("shift=30", [0, 70, 140, 210]),
        ("shift=-10", [0, 110, 220, 330]),
        ("endless=true", [0, 100, 200, 300]),
    ] {
        post(&sandbox, &format!("/control/paginate?on=true&{switch}")).await;
        for (page, start) in starts.into_iter().enumerate() {
            let mut expected = held(start);
            if switch != "endless=true" {
                expected.truncate(whole.len() - start);
            }
            assert_eq!(keys(&get(&sandbox, &format!("{TRADES}?size=100&page={page}")).await), expected, "{switch}");
        }
    }
    post(&sandbox, "/control/paginate?on=true&endless=true&shape=envelope").await;
    let page: Envelope = serde_json::from_str(&get(&sandbox, &format!("{TRADES}?page=1000")).await).unwrap();
    assert_eq!((keys(page.content.get()).len(), &page.page["totalPages"]), (20, &json!(1002)));
    post(&sandbox, "/control/paginate?on=true&ignore=true&shape=envelope").await;
    let page: Envelope = serde_json::from_str(&get(&sandbox, &format!("{TRADES}?page=3")).await).unwrap();
    assert_eq!(page.page["number"], 0);
}

/// The first of the members that is a time.
fn time(object: &Object, members: &[&str]) -> Option<DateTime<FixedOffset>> {
    let text = members.iter().find_map(|name| object.raw(name).filter(|raw| *raw != "null"))?;
    let text = text.trim_matches('"').trim_end_matches('Z');
    Some(DateTime::parse_from_rfc3339(&format!("{text}Z")).unwrap())
}

#[tokio::test]
async fn dates_filter_by_the_time_that_the_switch_names() {
    let sandbox = sandbox().await;
    for resource in [Resource::Deposits, Resource::Withdrawals, Resource::Trades] {
        post(&sandbox, "/control/filters").await;
        let whole = Object::list(&get(&sandbox, &resource.path()).await);
        for (switch, members) in [("event_time", &["createdAt", "completedAt"][..]), ("completed_at", &["completedAt"])]
        {
            post(&sandbox, &format!("/control/filters?dates={switch}")).await;
            let times: Vec<_> = whole.iter().filter_map(|object| time(object, members)).collect();
            // The ends are times of records, so that both are seen to be included.
            let [early, late, funding] =
                [times[40], times[90], times[2]].map(|at| at.to_rfc3339().replace("+00:00", "Z"));
            for query in [
                format!("dateFrom={early}&dateTo={late}"),
                format!("dateFrom={late}"),
                format!("dateTo={early}"),
                format!("dateTo={funding}"),
                format!("dateFrom={late}&dateTo={early}"),
                "dateFrom=0001-01-01T00:00:00Z&dateTo=9999-12-31T23:59:59Z".to_owned(),
                "page=0".to_owned(),
            ] {
                let end = |name| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
                let read = |text| DateTime::parse_from_rfc3339(text).unwrap();
                let (from, to) = (end("dateFrom").map(read), end("dateTo").map(read));
                let is_asked = |object: &&Object| match time(object, members) {
                    Some(at) => from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to),
                    None => from.is_none() && to.is_none(),
                };
                let expected: Vec<_> = whole.iter().filter(is_asked).map(Object::key).collect();
                let list = get(&sandbox, &format!("{}?{query}", resource.path())).await;
                assert_eq!(keys(&list), expected, "{resource:?} {switch} {query}");
            }
        }
        let (status, body) = ask(&sandbox, "GET", &format!("{}?dateTo=today", resource.path()), CREDENTIALS).await;
        assert!(status == 400 && body.contains("dateTo"), "{body}");
    }
    let wallets = get(&sandbox, "/api/v1/wallets?dateFrom=2030-01-01T00:00:00Z").await;
    assert!(!Object::list(&wallets).is_empty(), "wallets have no dates to filter by");
}

#[tokio::test]
async fn a_filtered_list_comes_in_pages_too() {
    let sandbox = sandbox().await;
    post(&sandbox, "/control/filters?dates=completed_at").await;
    let query = "dateFrom=2025-01-01T00:00:00Z&dateTo=2025-12-31T23:59:59Z";
    let whole = keys(&get(&sandbox, &format!("/api/v1/deposits?{query}")).await);
    post(&sandbox, "/control/paginate?on=true&shape=envelope").await;
    let mut pages = Vec::new();
    for number in 0..whole.len().div_ceil(30) {
        let page = get(&sandbox, &format!("/api/v1/deposits?{query}&size=30&page={number}")).await;
        let Envelope { content, page } = serde_json::from_str(&page).unwrap();
        assert_eq!(page["totalElements"], whole.len());
        pages.extend(keys(content.get()));
    }
    assert_eq!(pages, whole);
}

#[tokio::test]
async fn a_tag_is_anothers_when_the_body_may_be_another() {
    let sandbox = sandbox().await;
    assert_eq!(fetch(&sandbox, TRADES).await.header("etag"), None);
    post(&sandbox, "/control/etags?on=true").await;
    post(&sandbox, "/control/filters?dates=event_time").await;
    let mut tags = Vec::new();
    for (change, path) in [
        ("etags?on=true", TRADES),
        ("etags?on=true", "/api/v1/deposits"),
        ("etags?on=true", "/api/v1/trades?dateFrom=2026-01-01T00:00:00Z"),
        ("advance?seconds=1", TRADES),
        ("style?whitespace=pretty", TRADES),
        ("paginate?on=true", TRADES),
        ("paginate?on=true", "/api/v1/trades?page=1"),
        ("paginate?on=true", "/api/v1/trades?size=3"),
        ("paginate?on=true&shape=envelope", TRADES),
        ("fault?kind=short", TRADES),
    ] {
        post(&sandbox, &format!("/control/{change}")).await;
        let answer = fetch(&sandbox, path).await;
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(fetch(&sandbox, path).await.header("etag"), Some(tag.as_str()), "{change} {path}");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is strong");
        assert!(!tags.contains(&tag), "{change} {path}");
        tags.push(tag);
    }
}

#[tokio::test]
async fn who_has_the_body_already_is_told_so() {
    let sandbox = sandbox().await;
    post(&sandbox, "/control/etags?on=true").await;
    let tag = fetch(&sandbox, TRADES).await.header("etag").unwrap().to_owned();
    let headers = format!("{CREDENTIALS}If-None-Match: {tag}\r\n");
    let answer = exchange(&sandbox, "GET", TRADES, &headers).await;
    assert_eq!((answer.status, answer.header("etag"), answer.text().as_str()), (304, Some(tag.as_str()), ""));
    post(&sandbox, "/control/fault?kind=cut&times=1").await;
    assert_eq!(exchange(&sandbox, "GET", TRADES, &headers).await.status, 200, "a fault comes first");
    assert_eq!(exchange(&sandbox, "GET", TRADES, &headers).await.status, 304);
    post(&sandbox, "/control/advance?seconds=1").await;
    assert_eq!(exchange(&sandbox, "GET", TRADES, &headers).await.status, 200);
    post(&sandbox, "/control/etags?on=false").await;
    assert_eq!(exchange(&sandbox, "GET", TRADES, &headers).await.status, 200);
}

#[tokio::test]
async fn single_reads_may_say_less_than_the_list_or_nothing() {
    let sandbox = sandbox().await;
    let list = get(&sandbox, TRADES).await;
    let trade = &Object::list(&list)[0];
    let path = format!("{TRADES}/{}", trade.key());
    post(&sandbox, "/control/single-reads?shape=narrow").await;
    let narrow: Object = serde_json::from_str(&get(&sandbox, &path).await).unwrap();
    let names = |object: &Object| object.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&narrow), names(trade).into_iter().filter(|name| name != "createdAt").collect::<Vec<_>>());
    assert_eq!(narrow.raw("fills"), trade.raw("fills"));
    post(&sandbox, "/control/single-reads?shape=missing").await;
    for path in [path.as_str(), "/api/v1/accounts/currency/ZAR"] {
        assert_eq!(fetch(&sandbox, path).await.status, 404, "{path}");
    }
    assert_eq!(get(&sandbox, TRADES).await, list);
    post(&sandbox, "/control/single-reads?shape=same").await;
    assert!(list.contains(&get(&sandbox, &path).await));
}

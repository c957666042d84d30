//! Faults: what each does to an answer, to whose, and for how long.

use std::io::Read;

use chrono::TimeDelta;
use flate2::read::GzDecoder;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::super::{Options, Resource, Running, start};
use super::laws::amount;
use super::served::Object;
use super::wire::{Answer, CREDENTIALS, ask, fetch, get, post, sandbox, send};

const DEPOSITS: &str = "/api/v1/deposits";

async fn fault(sandbox: &Running, query: &str) -> Value {
    post(sandbox, &format!("/control/fault?{query}")).await
}

/// The list of deposits with a fault, and what it should be.
async fn faulty(kind: &str) -> (Vec<Object>, Vec<Object>) {
    let sandbox = sandbox().await;
    let right = Object::list(&get(&sandbox, DEPOSITS).await);
    fault(&sandbox, &format!("kind={kind}&resource=deposits&times=1")).await;
    let wrong = Object::list(&get(&sandbox, DEPOSITS).await);
    assert_same(&Object::list(&get(&sandbox, DEPOSITS).await), &right);
    (wrong, right)
}

fn members(object: &Object) -> Vec<(&str, &str)> {
    object.0.iter().map(|(name, value)| (name.as_str(), value.get())).collect()
}

#[track_caller]
fn assert_same(some: &[Object], others: &[Object]) {
    assert!(some.iter().map(members).eq(others.iter().map(members)));
}

/// What of an object differs from another with the same members.
fn differences<'a>(object: &'a Object, other: &Object) -> Vec<(&'a str, &'a str)> {
    members(object).into_iter().filter(|member| !members(other).contains(member)).collect()
}

#[tokio::test]
async fn a_status_comes_in_the_envelope_as_often_as_it_was_asked_for() {
    let sandbox = sandbox().await;
    let state =
        fault(&sandbox, "kind=status&code=503&retry_after=Fri,%2015%20May%202026&resource=deposits&times=2").await;
    let suffered = json!({"kind": "status", "code": 503, "retry_after": "Fri, 15 May 2026", "times": 2});
    assert_eq!(state, json!({ "deposits": suffered }));
    for left in [json!(1), Value::Null] {
        let answer = fetch(&sandbox, DEPOSITS).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("Fri, 15 May 2026")));
        let envelope: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!((&envelope["httpStatus"], &envelope["message"]), (&json!(503), &json!("Service Unavailable")));
        assert_eq!(get(&sandbox, "/api/v1/trades").await.as_bytes()[0], b'[');
        let state: Value = serde_json::from_str(&get(&sandbox, "/control").await).unwrap();
        assert_eq!(state["fault"]["deposits"]["times"], left);
    }
    assert_eq!(fetch(&sandbox, DEPOSITS).await.status, 200);
}

#[tokio::test]
async fn a_fault_is_every_lists_own_until_it_is_taken_away() {
    let sandbox = sandbox().await;
    fault(&sandbox, "kind=status&code=429&times=1").await;
    for path in [DEPOSITS, "/api/v1/wallets", "/api/v1/trades"] {
        assert_eq!(fetch(&sandbox, path).await.status, 429);
        assert_eq!(fetch(&sandbox, path).await.status, 200);
    }
    for ending in ["kind=none", "reset"] {
        fault(&sandbox, "kind=empty").await;
        assert_eq!(fault(&sandbox, "kind=none&resource=trades").await["trades"], Value::Null);
        for _ in 0..3 {
            assert_eq!(get(&sandbox, DEPOSITS).await, "[]");
            assert_ne!(get(&sandbox, "/api/v1/trades").await, "[]");
        }
        assert_eq!(fault(&sandbox, ending).await, json!({}));
        assert_ne!(get(&sandbox, DEPOSITS).await, "[]");
    }
}

#[tokio::test]
async fn a_fault_that_is_not_understood_is_refused() {
    let sandbox = sandbox().await;
    for (query, reason) in [
        ("", "kind"),
        ("kind=flood", "unknown variant"),
        ("kind=html&code=200", "unknown field"),
        ("kind=status", "missing field"),
        ("kind=status&code=199", "no status"),
        ("kind=status&code=600", "no status"),
        ("kind=status&code=500&retry_after=%00", "does not fit a header"),
        ("kind=redirect", "missing field"),
        ("kind=stale&days=-1", "invalid digit"),
        ("kind=html&times=0", "times"),
        ("kind=html&resource=fills", "there is no `fills`"),
        ("kind=conflict&resource=wallets", "wallets have nothing"),
        ("kind=regressed-status&resource=accounts", "accounts have nothing"),
    ] {
        let (status, body) = ask(&sandbox, "POST", &format!("/control/fault?{query}"), "").await;
        assert!(status == 400 && body.contains(reason), "{query}: {body}");
    }
    let state = fault(&sandbox, "kind=conflict").await;
    assert_eq!(
        state.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["accounts", "deposits", "trades", "withdrawals"]
    );
    assert!(!Object::list(&get(&sandbox, "/api/v1/wallets").await).is_empty());
}

#[tokio::test]
async fn what_is_no_list_says_so_or_does_not() {
    let sandbox = sandbox().await;
    fault(&sandbox, "kind=html").await;
    let page = fetch(&sandbox, DEPOSITS).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().starts_with("<!DOCTYPE html>"));
    fault(&sandbox, "kind=error-in-200").await;
    let envelope: Value = serde_json::from_str(&get(&sandbox, DEPOSITS).await).unwrap();
    assert_eq!(envelope["httpStatus"], 500);
    for (query, status) in [("", 302), ("&code=308", 308)] {
        fault(&sandbox, &format!("kind=redirect&to=http://localhost:1/x{query}")).await;
        let answer = fetch(&sandbox, DEPOSITS).await;
        assert_eq!((answer.status, answer.header("location")), (status, Some("http://localhost:1/x")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_hang_for_an_hour_or_drip() {
    let sandbox = start(Options { records: 1, ..Options::default() }, 0).await.unwrap();
    let right = get(&sandbox, DEPOSITS).await;
    let began = Instant::now();
    fault(&sandbox, "kind=hang&times=1").await;
    assert_eq!(fetch(&sandbox, DEPOSITS).await.status, 504);
    assert!(began.elapsed() >= Duration::from_secs(3600));
    let began = Instant::now();
    fault(&sandbox, "kind=drip&times=1").await;
    assert_eq!(get(&sandbox, DEPOSITS).await, right);
    assert!(began.elapsed() >= Duration::from_secs(right.len() as u64));
}

#[tokio::test]
async fn an_answer_that_hangs_does_not_hold_the_sandbox_up() {
    let sandbox = sandbox().await;
    let address = sandbox.address();
    fault(&sandbox, "kind=hang&resource=deposits&times=1").await;
    let hanging = tokio::spawn(async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {DEPOSITS} HTTP/1.0\r\n{CREDENTIALS}\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
    });
    while get(&sandbox, "/control").await.contains("hang") {}
    sandbox.stop().await.unwrap();
    hanging.await.unwrap();
}

#[tokio::test]
async fn a_cut_answer_has_no_end_and_a_short_one_has() {
    let sandbox = sandbox().await;
    let right = get(&sandbox, DEPOSITS).await;
    let count = Object::list(&right).len();
    fault(&sandbox, "kind=short").await;
    let short = get(&sandbox, DEPOSITS).await;
    let half = short.strip_suffix(']').unwrap();
    assert!(Object::list(&short).len() == count / 2 && right.starts_with(half));
    fault(&sandbox, "kind=cut").await;
    assert_eq!(get(&sandbox, DEPOSITS).await, half);
    let request = format!("GET {DEPOSITS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{CREDENTIALS}\r\n");
    let ends = |answer: Answer| answer.body.ends_with(b"\r\n0\r\n\r\n");
    assert!(!ends(send(&sandbox, &request).await), "the last chunk must not come");
    fault(&sandbox, "kind=none").await;
    assert!(ends(send(&sandbox, &request).await));
}

#[tokio::test]
async fn faults_are_those_of_a_page_where_there_are_pages() {
    let sandbox = sandbox().await;
    post(&sandbox, "/control/paginate?on=true&shape=envelope").await;
    for (kind, records, total) in [("short", 10, 400), ("empty", 0, 0), ("duplicate", 21, 400)] {
        fault(&sandbox, &format!("kind={kind}")).await;
        let page: Value = serde_json::from_str(&get(&sandbox, &format!("{DEPOSITS}?page=1")).await).unwrap();
        assert_eq!(page["content"].as_array().unwrap().len(), records, "{kind}");
        assert_eq!(page["page"]["totalElements"], total, "{kind}");
    }
}

#[tokio::test]
async fn a_bomb_is_a_list_and_a_gibibyte_of_nothing() {
    let sandbox = sandbox().await;
    let right = get(&sandbox, DEPOSITS).await;
    fault(&sandbox, "kind=gzip-bomb").await;
    let bomb = fetch(&sandbox, DEPOSITS).await;
    assert_eq!((bomb.status, bomb.header("content-encoding")), (200, Some("gzip")));
    assert!(bomb.body.len() < 8 << 20, "{} bytes", bomb.body.len());
    let mut decoder = GzDecoder::new(bomb.body.as_slice());
    let mut list = vec![0; right.len()];
    decoder.read_exact(&mut list).unwrap();
    assert_eq!(list, right.as_bytes());
    let mut piece = vec![0; 1 << 20];
    let mut spaces = 0;
    loop {
        let read = decoder.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        assert!(piece[..read].iter().all(|byte| *byte == b' '));
        spaces += read;
    }
    assert_eq!(spaces, 1 << 30);
}

#[tokio::test]
async fn a_record_may_stand_twice() {
    let (wrong, right) = faulty("duplicate").await;
    assert_same(&wrong[..1], &wrong[1..2]);
    assert_same(&wrong[1..], &right);
    let (wrong, right) = faulty("conflict").await;
    assert_same(&wrong[..1], &right[..1]);
    assert_same(&wrong[2..], &right[1..]);
    let differences = differences(&wrong[1], &right[0]);
    assert!(matches!(differences[..], [("amount", _)]), "{differences:?}");
}

#[tokio::test]
async fn a_record_may_be_what_no_record_should_be() {
    let (wrong, right) = faulty("no-id").await;
    assert_eq!((wrong[0].raw("transactionId"), wrong[0].0.len()), (None, right[0].0.len() - 1));
    assert_same(&wrong[1..], &right[1..]);
    let (wrong, right) = faulty("huge-amount").await;
    let [("amount", amount)] = differences(&wrong[0], &right[0])[..] else { panic!("not the amount alone") };
    assert!(amount.len() == 60 && amount.bytes().all(|byte| byte.is_ascii_digit()), "{amount}");
    assert_same(&wrong[1..], &right[1..]);
    let (wrong, right) = faulty("unknown-status").await;
    assert_eq!(differences(&wrong[0], &right[0]), [("status", "\"ON_HOLD\"")]);
    assert_same(&wrong[1..], &right[1..]);
}

#[tokio::test]
async fn the_books_may_be_cheated() {
    let sandbox = sandbox().await;
    for (kind, resource, member) in
        [("wrong-balance", Resource::Accounts, "balance"), ("lost-fill", Resource::Trades, "fills")]
    {
        let right = Object::list(&get(&sandbox, &resource.path()).await);
        let state = fault(&sandbox, &format!("kind={kind}&times=1")).await;
        assert_eq!(state, json!({ resource.name(): { "kind": kind, "times": 1 } }), "it suits no other list");
        let wrong = Object::list(&get(&sandbox, &resource.path()).await);
        let differing: Vec<_> =
            wrong.iter().zip(&right).filter(|(wrong, right)| !differences(wrong, right).is_empty()).collect();
        let [(wrong, right)] = differing[..] else { panic!("{kind}: {} records", differing.len()) };
        assert!(matches!(differences(wrong, right)[..], [(name, _)] if name == member), "{kind}");
        match kind {
            "wrong-balance" => assert_eq!(amount(wrong, member) - amount(right, member), Decimal::new(1, 2)),
            _ => {
                let fills = |object: &Object| object.raw(member).unwrap().matches("fromCurrencyAmount").count();
                assert!(fills(right) > 1 && fills(wrong) == fills(right) - 1);
            }
        }
    }
}

#[tokio::test]
async fn all_records_may_be_other_than_they_were() {
    let (wrong, right) = faulty("new-field").await;
    for (wrong, right) in wrong.iter().zip(&right) {
        assert_eq!(differences(wrong, right), [("settlementRail", "\"INSTANT\"")]);
    }
    let (wrong, right) = faulty("regressed-status").await;
    for (wrong, right) in wrong.iter().zip(&right) {
        let is_completed = right.text("status") == "COMPLETED";
        let expected: &[_] = if is_completed { &[("status", "\"PENDING\"")] } else { &[] };
        assert_eq!(differences(wrong, right), expected);
    }
    assert_eq!(wrong.len(), right.len());
}

#[tokio::test]
async fn a_stale_answer_is_that_of_an_earlier_clock() {
    let sandbox = sandbox().await;
    for resource in [Resource::Accounts, Resource::Trades] {
        let before = get(&sandbox, &resource.path()).await;
        sandbox.advance(TimeDelta::days(30)).unwrap();
        assert_ne!(get(&sandbox, &resource.path()).await, before);
        fault(&sandbox, "kind=stale&days=30").await;
        assert_eq!(get(&sandbox, &resource.path()).await, before);
        fault(&sandbox, "kind=none").await;
    }
    let keys = |list: String| Object::list(&list).iter().map(Object::key).collect::<Vec<_>>();
    let right = keys(get(&sandbox, DEPOSITS).await);
    let mut last = right.len();
    for days in [200, 500, 4_000_000_000_u32] {
        fault(&sandbox, &format!("kind=stale&days={days}")).await;
        let stale = keys(get(&sandbox, DEPOSITS).await);
        assert!(stale.len() < last && right.starts_with(&stale), "{days}");
        last = stale.len();
    }
    assert_eq!(last, 0, "nothing is older than the world");
}

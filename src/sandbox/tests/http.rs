//! The sandbox over its socket: credentials, envelopes, single reads, filters and control.

use serde_json::{Value, json};

use super::super::Resource;
use super::served::Object;
use super::wire::{CREDENTIALS, ask, get, post, sandbox};

#[tokio::test]
async fn what_is_refused_is_refused_in_the_documented_envelope() {
    let sandbox = sandbox().await;
    let wrong_key = "X-API-KEY: nobody\r\nX-API-SECRET: sandbox-secret\r\n";
    for (method, path, headers, status) in [
        ("GET", "/api/v1/deposits", "", 401),
        ("GET", "/api/v1/deposits", "X-API-KEY: sandbox-key\r\n", 401),
        ("GET", "/api/v1/deposits", wrong_key, 401),
        ("GET", "/api/v1/nothing", "", 401),
        ("GET", "/api/v1/nothing", CREDENTIALS, 404),
        ("GET", "/nothing", "", 404),
        ("GET", "/api/v1/currencies", CREDENTIALS, 404),
        ("GET", "/api/v1/payment-routes", CREDENTIALS, 404),
        ("GET", "/api/v1/deposits/DP00000000", CREDENTIALS, 404),
        ("GET", "/api/v1/trades/%FF", CREDENTIALS, 404),
        ("GET", "/api/v1/accounts/currency/XXX", CREDENTIALS, 404),
        ("GET", "/control/truth/nothing", "", 404),
        ("GET", "/control/truth/currencies", "", 404),
        ("POST", "/api/v1/accounts", CREDENTIALS, 405),
        ("DELETE", "/api/v1/trades/trd_00000000", CREDENTIALS, 405),
        ("GET", "/control/advance?days=1", "", 405),
        ("POST", "/control/advance?weeks=1", "", 400),
        ("POST", "/control/advance?days=-1", "", 400),
        ("POST", "/control/advance?days=4000", "", 400),
        ("POST", "/control/style?numbers=roman", "", 400),
    ] {
        let (given, body) = ask(&sandbox, method, path, headers).await;
        assert_eq!(given, status, "{method} {path}: {body}");
        let envelope: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(envelope["httpStatus"], status);
        assert!(envelope["code"].is_u64() && envelope["message"].is_string() && envelope["errors"].is_array());
        assert!(envelope["requestId"].as_str().unwrap().starts_with("req_"));
        assert_eq!(envelope["timestamp"], "2026-05-15T00:00:00Z");
    }
}

#[tokio::test]
async fn a_single_read_is_the_element_of_the_list() {
    let sandbox = sandbox().await;
    post(&sandbox, "/control/serve-optional?on=true").await;
    for resource in Resource::ALL {
        let list = get(&sandbox, &resource.path()).await;
        for object in Object::list(&list).iter().take(40) {
            let item = get(&sandbox, &format!("{}/{}", resource.path(), object.key())).await;
            assert!(list.contains(&item), "{item}");
        }
    }
    let account = get(&sandbox, "/api/v1/accounts/currency/ZAR").await;
    assert!(get(&sandbox, "/api/v1/accounts").await.contains(&account));
}

#[tokio::test]
async fn live_filters_filter_and_reserved_parameters_do_not() {
    let sandbox = sandbox().await;
    let all = get(&sandbox, "/api/v1/withdrawals").await;
    assert_eq!(get(&sandbox, "/api/v1/withdrawals?page=0&size=2&sort=createdAt,desc&status=PENDING").await, all);
    for (path, name, text) in [
        ("/api/v1/wallets?networkName=Ethereum", "networkName", "Ethereum"),
        ("/api/v1/wallets?paymentMethodType=EFT", "paymentMethodType", "EFT"),
        ("/api/v1/beneficiaries?currency=ZAR", "currency", "ZAR"),
    ] {
        let some = Object::list(&get(&sandbox, path).await);
        assert!(!some.is_empty() && some.iter().all(|object| object.text(name) == text), "{path}");
        let whole = Object::list(&get(&sandbox, path.split_once('?').unwrap().0).await);
        assert!(some.len() < whole.len());
    }
    assert_eq!(get(&sandbox, "/api/v1/wallets?networkName=None").await, "[]");
}

#[tokio::test]
async fn the_clock_moves_on_command_and_the_world_with_it() {
    let sandbox = sandbox().await;
    let before = get(&sandbox, "/api/v1/trades").await;
    assert_eq!(get(&sandbox, "/api/v1/trades").await, before);
    let clock = json!({"clock": "2026-06-14T01:00:10Z"});
    assert_eq!(post(&sandbox, "/control/advance?days=30&hours=1&seconds=10").await, clock);
    assert_eq!(get(&sandbox, "/control/clock").await, clock.to_string());
    let after = get(&sandbox, "/api/v1/trades").await;
    assert!(Object::list(&after).len() > Object::list(&before).len());
    assert_eq!(sandbox.advance(chrono::TimeDelta::days(1)).unwrap(), sandbox.clock());
    assert!(sandbox.advance(chrono::TimeDelta::seconds(-1)).is_err());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn control_changes_the_style_and_sets_it_back() {
    let sandbox = sandbox().await;
    let plain = get(&sandbox, "/api/v1/deposits").await;
    let style = post(&sandbox, "/control/style?whitespace=pretty&order=reversed").await;
    assert_eq!(
        style,
        json!({"key_order": "documented", "whitespace": "pretty", "numbers": "stable", "order": "reversed"})
    );
    assert!(get(&sandbox, "/api/v1/deposits").await.starts_with("[\n  {\n    \""));
    post(&sandbox, "/control/style?reset").await;
    assert_eq!(get(&sandbox, "/api/v1/deposits").await, plain);
}

#[tokio::test]
async fn optional_resources_come_and_go() {
    let sandbox = sandbox().await;
    post(&sandbox, "/control/serve-optional?on=true").await;
    let truth = get(&sandbox, "/control/truth/payment_routes").await;
    assert_eq!(truth.lines().count(), Object::list(&get(&sandbox, "/api/v1/payment-routes").await).len());
    post(&sandbox, "/control/serve-optional?on=false").await;
    assert_eq!(ask(&sandbox, "GET", "/api/v1/payment-routes", CREDENTIALS).await.0, 404);
}

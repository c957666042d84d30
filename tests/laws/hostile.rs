//! What others wrote stays what they wrote: it is stored as text, and is never a path, a command or a colour of a terminal.

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced},
    rows::current,
    tables::Resource,
    verified::assert_verified,
};

const PATH: &str = "/api/v1/deposits";

const TEXTS: [&str; 18] = [
    "'; DROP TABLE deposits; --",
    "\" OR 1=1 --",
    "=HYPERLINK(\"http://evil.example\")",
    "@SUM(A1)",
    "`reboot`",
    "$(reboot)",
    "{{7*7}}",
    "\u{202e}txt.exe",
    "\u{1b}[2J\u{1b}[31m",
    "two\nlines\r\n",
    "../../../etc/passwd",
    "%2e%2e%2fetc",
    "a/b\\c",
    "event_month=2026-01",
    "CON",
    "*.parquet",
    "__proto__",
    "ß🦀\u{0301}",
];

fn sync(lake: &Lake, api: &ScriptedApi) -> Synced {
    Sync::of(lake, &api.url(), "deposits").arg("-vv").run()
}

#[test]
fn texts_of_others_are_data_and_part_of_no_path() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let long = "x".repeat(300);
    let texts: Vec<&str> = TEXTS.into_iter().chain([long.as_str()]).collect();
    let deposit = |text: &&str| serde_json::json!({ "transactionId": text, "currency": text, "status": text, text.to_string(): text });
    api.serve(PATH, serde_json::Value::from(texts.iter().map(deposit).collect::<Vec<_>>()).to_string());
    let synced = sync(&lake, &api);
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
    let rows = current(&mut DuckDb::start(), &lake, &Resource::named("deposits"));
    assert_eq!(rows.len(), texts.len());
    for text in texts {
        let row = &rows[text];
        assert_eq!((row["currency"].as_str(), row["status"].as_str()), (Some(text), Some(text)), "{text:?}");
        let extra: serde_json::Value = serde_json::from_str(row["_extra"].as_str().unwrap()).unwrap();
        assert_eq!(extra[text], text);
    }
    for file in lake.files() {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_=./-".contains(&byte);
        assert!(file.bytes().all(plain) && !file.contains(".."), "{file}");
    }
    for text in [&synced.ended.stdout, &synced.ended.stderr] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
    }
    assert_verified(&lake);
}

#[test]
fn half_a_character_and_a_nul_are_set_aside_with_their_text_and_whole_characters_are_kept() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let unfit = [
        r#"{"transactionId":"D1","currency":"\ud83e"}"#,
        r#"{"transactionId":"D2","currency":"\udd80\ud83e"}"#,
        r#"{"transactionId":"D3","currency":"a\u0000b"}"#,
    ];
    let whole = r#"{"transactionId":"D4","currency":"\ud83e\udd80\u00e9"}"#;
    api.serve(PATH, format!("[{},{whole}]", unfit.join(",")));
    let synced = sync(&lake, &api);
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stdout);
    assert_eq!((synced.figure("deposits", "added"), synced.figure("deposits", "quarantined")), (1, 3));
    let mut duckdb = DuckDb::start();
    assert_eq!(current(&mut duckdb, &lake, &Resource::named("deposits"))["D4"]["currency"], "🦀é");
    let aside = duckdb.query(&format!("SELECT text FROM {} ORDER BY key", lake.quarantine("deposits"))).rows;
    assert_eq!(aside.iter().map(|row| row[0].as_str().unwrap()).collect::<Vec<_>>(), unfit);
}

#[test]
fn what_is_beyond_all_measure_is_refused_or_set_aside() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let sound = r#"{"transactionId":"D1","amount":1},{"transactionId":"D2","amount":1}"#;
    api.serve(PATH, format!("[{sound}]"));
    Sync::of(&lake, &api.url(), "deposits").succeed();
    let before = lake.contents();
    let member = |name: &str, value: String| format!(r#"[{sound},{{"transactionId":"D3","{name}":{value}}}]"#);
    let rows = [
        (member("currency", format!("\"{}\"", "x".repeat(17 << 20))), "larger than 16777216 bytes"),
        (member("amount", "9".repeat(17 << 20)), "larger than 16777216 bytes"),
        (format!(r#"[{sound},{{"transactionId":"D3","{}":1}}]"#, "k".repeat(17 << 20)), "larger than 16777216 bytes"),
        (member("x", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), "is not JSON"),
        ("[".repeat(100_000), "before its array does"),
    ];
    for (body, message) in rows {
        api.serve(PATH, body);
        let synced = sync(&lake, &api);
        assert_eq!(synced.ended.code, Some(65), "{message}: {}", synced.ended.stdout);
        assert!(synced.failure("deposits").contains(message), "{}", synced.failure("deposits"));
        assert!(synced.failure("deposits").len() < 500, "no more of it is shown than helps");
        assert_untouched(&before, &lake.contents(), message);
    }
    // A million digits are one record's matter.
    api.serve(PATH, member("amount", "9".repeat(1_000_000)));
    let synced = sync(&lake, &api);
    assert_eq!((synced.ended.code, synced.figure("deposits", "quarantined")), (Some(0), 1));
}

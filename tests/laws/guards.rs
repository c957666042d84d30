//! What looks like the server's failure to tell everything is refused, and leaves the lake as it was, byte for byte.

use crate::support::{
    api::{Answer, Framing, ScriptedApi},
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Sync, Synced},
    rows::{changes, current},
    tables::Resource,
};

const PATH: &str = "/api/v1/deposits";

struct Guarded {
    lake: Lake,
    api: ScriptedApi,
}

impl Guarded {
    /// A lake that knows these records.
    fn knowing(records: &[String]) -> Self {
        let guarded = Self { lake: Lake::new(), api: ScriptedApi::start() };
        guarded.api.serve(PATH, list(records));
        assert_eq!(guarded.sync().ended.code, Some(0));
        guarded
    }

    fn sync(&self) -> Synced {
        Sync::of(&self.lake, &self.api.url(), "deposits").run()
    }

    fn accepting(&self) -> Synced {
        Sync::of(&self.lake, &self.api.url(), "deposits").arg("--accept-removals").run()
    }

    /// Serves the answer, and fails unless the sync is refused with this code and message and writes nothing.
    #[track_caller]
    fn refuses(&self, answer: Answer, code: i32, message: &str) {
        let before = self.lake.contents();
        self.api.answer(PATH, [answer]);
        let synced = self.sync();
        assert_eq!(synced.ended.code, Some(code), "{message}: {}", synced.ended.stdout);
        let told = synced.failure("deposits");
        assert!(told.contains(message), "`{told}` does not say `{message}`");
        assert_eq!(synced.resources["deposits"]["failure"]["state"], "nothing was committed");
        assert_untouched(&before, &self.lake.contents(), message);
    }
}

fn deposit(n: usize) -> String {
    format!(r#"{{"transactionId":"D{n:04}","currency":"ZAR","amount":{n}.25,"fee":0,"status":"PENDING"}}"#)
}

fn deposits(count: usize) -> Vec<String> {
    (0..count).map(deposit).collect()
}

fn list(records: &[String]) -> String {
    format!("[{}]", records.join(","))
}

/// The list of `count` deposits with one of them replaced.
fn with(count: usize, place: usize, record: &str) -> String {
    let mut records = deposits(count);
    records[place] = record.to_owned();
    list(&records)
}

#[test]
fn a_body_that_is_not_one_whole_list_is_refused() {
    let guarded = Guarded::knowing(&deposits(150));
    let whole = list(&deposits(150));
    let (half, next) = whole.split_at(whole.len() / 2);
    let rows: [(String, &str); 18] = [
        (half.to_owned(), "before its array does"),
        (whole[..whole.len() - 1].to_owned(), "before its array does"),
        (String::new(), "before its array does"),
        (format!("{whole}{next}"), "the end of the body"),
        (format!("{whole}[]"), "the end of the body"),
        (whole.replacen("},{", "}{", 1), "`,` or `]`"),
        (whole.replacen("},{", "},,{", 1), "a record"),
        (whole.replace("}]", "},]"), "a record"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>".to_owned(), "HTML"),
        ("null".to_owned(), "`null`, not a JSON array"),
        (format!("\u{feff}{whole}"), "byte-order mark"),
        (format!(r#"{{"content":{whole},"totalElements":150}}"#), "paginate"),
        (format!(r#"{{"page":0,"data":{whole}}}"#), "paginate"),
        (format!(r#"{{"deposits":{whole}}}"#), "a JSON object, not a JSON array"),
        (with(150, 70, r#"{"transactionId":"D0070","amount":1,}"#), "is not JSON"),
        (with(150, 70, r#"{"transactionId":"D0070","amount":01}"#), "is not JSON"),
        (with(150, 70, r#"{"transactionId":"D0070","amount":NaN}"#), "is not JSON"),
        (with(150, 70, r#"{"transactionId":"D0070" "amount":1}"#), "is not JSON"),
    ];
    for (body, message) in rows {
        guarded.refuses(Answer::ok(body), 65, message);
    }
    let mut bytes = with(150, 70, &deposit(70).replace("ZAR", "Z?R")).into_bytes();
    let place = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[place] = 0xff;
    guarded.refuses(Answer::ok(bytes), 65, "is not JSON");
}

#[test]
fn a_connection_that_ends_before_the_body_does_is_the_apis_failure() {
    let guarded = Guarded::knowing(&deposits(150));
    let whole = list(&deposits(150));
    let longer = Framing::Declared(whole.len() + 100);
    let cut_in_the_middle = Answer::ok(&whole.as_bytes()[..2000]).framed(Framing::Declared(whole.len()));
    guarded.refuses(cut_in_the_middle, 69, "cannot receive the whole answer");
    // Even if what came is a whole list: what was promised is more.
    guarded.refuses(Answer::ok(whole.clone()).framed(longer), 69, "cannot receive the whole answer");
    guarded.refuses(
        Answer::ok(whole.clone()).framed(Framing::ChunkedWithoutEnd),
        69,
        "cannot receive the whole answer",
    );
    guarded.api.answer(PATH, [Answer::ok(whole).framed(Framing::Chunked)]);
    assert_eq!(guarded.sync().outcome("deposits"), "unchanged");
}

#[test]
fn an_empty_list_where_records_are_known_is_refused_until_it_is_accepted() {
    let guarded = Guarded::knowing(&deposits(3));
    guarded.refuses(Answer::ok("[]"), 65, "lists no record where 3 are known");
    let refused = guarded.sync();
    let hint = refused.resources["deposits"]["failure"]["hint"].as_str().unwrap();
    assert!(hint.contains("--accept-removals"), "{hint}");
    let accepted = guarded.accepting();
    assert_eq!((accepted.ended.code, accepted.figure("deposits", "removed")), (Some(0), 3));
    let (mut duckdb, resource) = (DuckDb::start(), Resource::named("deposits"));
    assert!(current(&mut duckdb, &guarded.lake, &resource).is_empty());
    // Nothing is known any more, so there is nothing to refuse.
    assert_eq!(guarded.sync().outcome("deposits"), "unchanged");
    let operations: Vec<_> =
        changes(&mut duckdb, &guarded.lake, &resource).into_iter().map(|version| version.operation).collect();
    assert_eq!(operations, ["added", "added", "added", "removed", "removed", "removed"]);
}

#[test]
fn ten_records_may_go_and_eleven_may_not_unless_it_is_accepted() {
    let guarded = Guarded::knowing(&deposits(150));
    guarded.refuses(Answer::ok(list(&deposits(139))), 65, "11 of 150 known records are missing");
    guarded.api.serve(PATH, list(&deposits(140)));
    let synced = guarded.sync();
    assert_eq!((synced.ended.code, synced.figure("deposits", "removed")), (Some(0), 10));
    guarded.refuses(Answer::ok(list(&deposits(60))), 65, "80 of 140 known records are missing");
    assert_eq!(guarded.accepting().figure("deposits", "removed"), 80);
    let found = current(&mut DuckDb::start(), &guarded.lake, &Resource::named("deposits"));
    assert!(found.keys().cloned().eq((0..60).map(|n| format!("D{n:04}"))));
}

#[test]
fn one_in_a_hundred_of_many_records_may_go_and_more_may_not() {
    let guarded = Guarded::knowing(&deposits(3000));
    guarded.refuses(Answer::ok(list(&deposits(2969))), 65, "31 of 3000 known records are missing");
    guarded.api.serve(PATH, list(&deposits(2970)));
    assert_eq!(guarded.sync().figure("deposits", "removed"), 30);
}

#[test]
fn a_list_of_exactly_a_page_where_more_are_known_is_refused_and_names_pagination() {
    let guarded = Guarded::knowing(&deposits(101));
    guarded.refuses(Answer::ok(list(&deposits(100))), 65, "exactly 100 records where 101 are known");
    assert!(guarded.sync().failure("deposits").contains("paginate"));
    assert_eq!(guarded.accepting().figure("deposits", "removed"), 1);
    // A hundred that are all known are no page but the whole list.
    assert_eq!(guarded.sync().outcome("deposits"), "unchanged");
}

#[test]
fn one_id_with_two_contents_is_refused_and_with_one_content_is_one_record() {
    let guarded = Guarded::knowing(&deposits(150));
    let other = deposit(3).replace("3.25", "4.25");
    for place in [4, 149] {
        guarded.refuses(Answer::ok(with(150, place, &other)), 65, "stands twice, with different content");
    }
    // The same value in another form is the same content.
    let mut twice = deposits(150);
    twice.push(deposit(3).replace("3.25", "3.250"));
    guarded.api.serve(PATH, list(&twice));
    let synced = guarded.sync();
    assert_eq!((synced.outcome("deposits"), synced.figure("deposits", "repeated")), ("unchanged", 1));
}

#[test]
fn a_key_that_stands_twice_in_a_record_rejects_it_and_many_of_them_the_body() {
    let guarded = Guarded::knowing(&deposits(150));
    let doubled = |count: usize| {
        let mut records = deposits(150);
        records[..count].iter_mut().for_each(|record| *record = record.replace("\"fee\":0", "\"fee\":0,\"fee\":0"));
        list(&records)
    };
    guarded.refuses(Answer::ok(doubled(11)), 65, "`fee` stands twice");
    guarded.api.serve(PATH, doubled(10));
    let synced = guarded.sync();
    assert_eq!((synced.ended.code, synced.figure("deposits", "quarantined")), (Some(0), 10));
    assert_eq!(current(&mut DuckDb::start(), &guarded.lake, &Resource::named("deposits")).len(), 150);
}

#[test]
fn accepting_removals_accepts_nothing_else() {
    let guarded = Guarded::knowing(&deposits(150));
    let whole = list(&deposits(150));
    let other = deposit(3).replace("3.25", "4.25");
    for body in [whole[..whole.len() - 1].to_owned(), format!("{whole},"), with(150, 9, &other), "<html>".to_owned()] {
        let before = guarded.lake.contents();
        guarded.api.serve(PATH, body);
        assert_eq!(guarded.accepting().ended.code, Some(65));
        assert_untouched(&before, &guarded.lake.contents(), "with --accept-removals");
    }
}

#[test]
fn a_resource_that_is_refused_does_not_keep_the_others_from_being_synced() {
    let (lake, api) = (Lake::new(), ScriptedApi::without_records());
    api.serve(PATH, "[{]");
    let synced = Sync::new(&lake, &api.url()).run();
    assert_eq!(synced.ended.code, Some(65));
    for (resource, line) in &synced.resources {
        let expected = if resource == "deposits" { "failed" } else { "committed" };
        assert_eq!(line["outcome"], expected, "{resource}");
    }
}

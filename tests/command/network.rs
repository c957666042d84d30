//! What the network may do to a poll: it is received whole and as it was sent, or nothing of it is used.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};

use crate::support::{
    api::{Answer, Framing, Gate, ScriptedApi},
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{KEY, SECRET, Sync, Synced, end, run},
    tables::Resource,
    tls::{TlsApi, fixture},
};

const PATH: &str = "/api/v1/wallets";
const ONE: &str = r#"[{"id":"w1"}]"#;
const TWO: &str = r#"[{"id":"w1"},{"id":"w2"}]"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn coded(coding: &str, body: Vec<u8>) -> Answer {
    Answer::ok(body).header("Content-Encoding", coding)
}

/// A sync with settings of its own.
fn sync_with(lake: &Lake, url: &str, settings: &str) -> Sync {
    Sync::of(lake, url, "wallets").settings(settings)
}

/// Syncs one wallet, then another answer, which must be refused with this code and leave the lake as it was.
fn refused(answers: impl IntoIterator<Item = Answer>, settings: &str, code: i32) -> (Synced, usize) {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, ONE);
    Sync::of(&lake, &api.url(), "wallets").succeed();
    let before = lake.contents();
    let asked = api.requests().len();
    api.answer(PATH, answers);
    let synced = sync_with(&lake, &api.url(), settings).run();
    assert_eq!(synced.ended.code, Some(code), "{}{}", synced.ended.stdout, synced.ended.stderr);
    assert_untouched(&before, &lake.contents(), "a poll that was refused");
    (synced, api.requests().len() - asked)
}

#[test]
fn an_answer_may_be_compressed_and_is_asked_for_so() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.answer(PATH, [coded("gzip", gzip(ONE.as_bytes()))]);
    assert_eq!(Sync::of(&lake, &api.url(), "wallets").succeed().figure("wallets", "added"), 1);
    api.answer(PATH, [coded("zstd", zstd::encode_all(TWO.as_bytes(), 1).unwrap())]);
    assert_eq!(Sync::of(&lake, &api.url(), "wallets").succeed().figure("wallets", "added"), 1);
    api.answer(PATH, [coded("gzip", gzip(TWO.as_bytes())).framed(Framing::Chunked)]);
    let quiet = Sync::of(&lake, &api.url(), "wallets").succeed();
    assert_eq!(quiet.figure("wallets", "body_bytes"), TWO.len() as u64, "bytes are counted as the API wrote them");
    assert_eq!((quiet.figure("wallets", "unchanged"), quiet.figure("wallets", "rows")), (2, 0));
    assert!(
        api.requests()[0].to_ascii_lowercase().contains("accept-encoding: zstd, gzip\r\n"),
        "{}",
        api.requests()[0]
    );
}

#[test]
fn what_the_api_says_of_an_error_is_read_though_it_is_compressed() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let error = Answer::error(400, "No such thing", "req_gz");
    let compressed = gzip(&error.body);
    api.answer(PATH, [Answer { body: compressed, ..error }.header("Content-Encoding", "gzip")]);
    let synced = Sync::of(&lake, &api.url(), "wallets").run();
    assert_eq!(synced.ended.code, Some(65), "{}", synced.ended.stderr);
    let message = synced.failure("wallets");
    assert!(message.contains("No such thing") && message.contains("req_gz"), "{message}");
}

#[test]
fn a_coding_that_was_not_asked_for_is_refused() {
    let (synced, asked) = refused([coded("br", TWO.into())], "", 65);
    assert!(synced.failure("wallets").contains("coding `br`"), "{}", synced.failure("wallets"));
    assert_eq!(asked, 1);
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let began = Instant::now();
    let mut spaces = GzEncoder::new(Vec::new(), Compression::best());
    let mebibyte = vec![b' '; 1 << 20];
    (0..256).for_each(|_| spaces.write_all(&mebibyte).unwrap());
    let bomb = spaces.finish().unwrap();
    let made = began.elapsed();
    let (synced, asked) = refused([coded("gzip", bomb)], "", 65);
    assert!(synced.failure("wallets").contains("200 times as large"), "{}", synced.failure("wallets"));
    assert_eq!(asked, 1);
    assert!(began.elapsed() < made + Duration::from_secs(20));
}

#[test]
fn an_answer_has_a_largest_size_that_the_settings_tell() {
    let body = format!("[{{\"id\":\"w1\",\"x\":\"{}\"}}]", "x".repeat(2 << 20));
    let (synced, _) = refused([Answer::ok(body.clone())], "body_max_mib = 2", 65);
    assert!(synced.failure("wallets").contains("`body_max_mib` allows"), "{}", synced.failure("wallets"));
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, body);
    sync_with(&lake, &api.url(), "body_max_mib = 3").succeed();
}

#[test]
fn an_answer_that_does_not_come_to_its_end_is_asked_for_again_and_never_used() {
    let broken = || {
        [
            Answer::ok(TWO).framed(Framing::Declared(1000)),
            Answer::ok(TWO).framed(Framing::ChunkedWithoutEnd),
            Answer::ok(&TWO[..20]).framed(Framing::Declared(TWO.len())),
        ]
    };
    let (synced, asked) = refused(broken(), "", 69);
    assert!(synced.failure("wallets").contains("cannot receive the whole answer"), "{}", synced.failure("wallets"));
    assert_eq!(asked, 3);

    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let [first, second, _] = broken();
    api.answer(PATH, [first, second, Answer::ok(TWO)]);
    let synced = Sync::of(&lake, &api.url(), "wallets").succeed();
    assert_eq!((synced.figure("wallets", "added"), synced.figure("wallets", "head")), (2, 1));
}

#[test]
fn a_compressed_answer_that_ends_early_is_refused_though_its_length_is_right() {
    let mut short = gzip(TWO.as_bytes());
    short.truncate(short.len() - 5);
    let (synced, _) = refused([coded("gzip", short)], "", 65);
    assert!(synced.failure("wallets").contains("compressed form is broken"), "{}", synced.failure("wallets"));
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let (lake, api, gate) = (Lake::new(), ScriptedApi::start(), Gate::default());
    api.answer(PATH, [Answer::ok(ONE).behind(&gate)]);
    let synced = sync_with(&lake, &api.url(), "poll_timeout = \"300ms\"").run();
    gate.open();
    assert_eq!(synced.ended.code, Some(69), "{}", synced.ended.stderr);
    assert!(synced.failure("wallets").contains("`poll_timeout` allows (300ms)"), "{}", synced.failure("wallets"));
}

#[test]
fn who_is_not_to_be_trusted_gets_no_credentials() {
    let rows: [(&str, &[&str], bool, &str); 4] = [
        ("good", &[], false, "UnknownIssuer"),
        ("expired", &[], true, "xpired"),
        ("other-host", &[], true, "not valid for name"),
        ("good", &["tls1.1"], true, ""),
    ];
    for (certificate, options, knows_authority, reason) in rows {
        let (lake, api) = (Lake::new(), TlsApi::start(certificate, options));
        let authority =
            if knows_authority { format!("ca_file = '{}'", fixture("ca.pem").display()) } else { String::new() };
        let synced = sync_with(&lake, &api.url(), &authority).run();
        assert_eq!(synced.ended.code, Some(69), "{certificate} {options:?}: {}", synced.ended.stderr);
        let message = synced.failure("wallets");
        assert!(message.contains("cannot reach") && message.contains(reason), "{certificate}: {message}");
        if options.is_empty() {
            assert!(!synced.ended.stderr.contains("trying again"), "{certificate}: {}", synced.ended.stderr);
        }
        lake.assert_nothing_committed();
    }
    let (lake, api) = (Lake::new(), TlsApi::start("good", &[]));
    let synced = sync_with(&lake, &api.url(), &format!("ca_file = '{}'", fixture("ca.pem").display())).succeed();
    assert_eq!(synced.figure("wallets", "added"), 1);
}

#[test]
fn a_proxy_is_used_if_the_settings_name_it_and_never_otherwise() {
    let (lake, api, proxy) = (Lake::new(), ScriptedApi::start(), ScriptedApi::start());
    api.serve(PATH, ONE);
    let mut sync = Sync::of(&lake, &api.url(), "wallets");
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        sync = sync.with(variable, &proxy.url());
    }
    sync.succeed();
    assert_eq!((api.requests().len(), proxy.requests()), (1, vec![]));

    // To a proxy, the whole URL is named.
    proxy.answer(&format!("{}{PATH}", api.url()), [Answer::ok(TWO)]);
    let synced = sync_with(&lake, &api.url(), &format!("proxy = \"{}\"", proxy.url())).succeed();
    assert_eq!((synced.figure("wallets", "added"), api.requests().len(), proxy.requests().len()), (1, 1, 1));
}

#[test]
fn what_the_api_says_of_an_error_cannot_steer_a_terminal_or_repeat_a_secret() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    let message = format!("\u{1b}[2J\nno {SECRET} for {KEY}, {}", "x".repeat(10_000));
    api.answer(PATH, [Answer::error(400, &message, &format!("req_{SECRET}"))]);
    let synced = Sync::of(&lake, &api.url(), "wallets").arg("-vvv").run();
    assert_eq!(synced.ended.code, Some(65));
    for text in [&synced.ended.stdout, &synced.ended.stderr] {
        assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
        assert!(!text.contains('\u{1b}') && text.len() < 20_000);
    }
    let message = synced.failure("wallets");
    assert!(message.contains("no [secret] for [secret]") && message.contains("req_[secret]"), "{message}");
}

#[test]
fn secrets_come_from_commands_and_only_for_the_host_that_they_are_for() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, ONE);
    let commands =
        "api_key_command = [\"echo\", \"key-by-command\"]\napi_secret_command = [\"printf\", \"secret-by-command\"]\n";
    let sync = |settings: &str| {
        let sync = sync_with(&lake, &api.url(), settings);
        sync.without("LUMETRADE_API_KEY").without("LUMETRADE_API_SECRET")
    };
    sync(commands).succeed();
    assert!(api.requests()[0].contains("x-api-key: key-by-command\r\nx-api-secret: secret-by-command\r\n"));

    let elsewhere = sync(&format!("{commands}credentials_for = \"api.lumetrade.com\"")).command().output().unwrap();
    let stderr = String::from_utf8(elsewhere.stderr).unwrap();
    assert_eq!(elsewhere.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("are for api.lumetrade.com"), "{stderr}");

    let failing = "api_key_command = [\"sh\", \"-c\", \"echo canary-7f; exit 3\"]";
    let ended = sync(failing).command().output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("`sh`: it ends with exit status: 3") && !stderr.contains("canary"), "{stderr}");
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn a_program_that_gives_one_secret_is_not_given_the_others() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve(PATH, ONE);
    let by_command = "api_key_command = [\"sh\", \"-c\", \"env > seen; echo key-by-command\"]";
    let sync = sync_with(&lake, &api.url(), by_command).without("LUMETRADE_API_KEY");
    sync.with("AWS_SECRET_ACCESS_KEY", "for-the-vault").with("AWS_SESSION_TOKEN", "and=this").succeed();
    assert!(api.requests()[0].contains(&format!("x-api-key: key-by-command\r\nx-api-secret: {SECRET}\r\n")));
    let seen = fs::read_to_string(lake.folder().join("seen")).unwrap();
    assert!(!seen.contains(SECRET) && !seen.contains("LUMETRADE_"), "{seen}");
    let vault = ["AWS_SECRET_ACCESS_KEY=for-the-vault\n", "AWS_SESSION_TOKEN=and=this\n"];
    assert!(vault.iter().all(|variable| seen.contains(variable)), "{seen}");
}

#[test]
fn more_secrets_than_can_be_taken_out_of_the_environment_are_refused() {
    let lake = Lake::new();
    let secret = "canary".repeat(20_000);
    let sync = Sync::of(&lake, "http://127.0.0.1:1", "wallets").with("LUMETRADE_API_SECRET", &secret);
    let ended = run(&mut sync.command());
    assert_eq!(ended.code, Some(74), "{}", ended.stderr);
    assert!(ended.stderr.contains("give them by file or by command"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    lake.assert_nothing_committed();
}

/// Reads a request's head; false if there is none.
fn read_head(reader: &mut impl BufRead) -> bool {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

#[test]
fn a_connection_that_is_closed_as_it_is_used_again_is_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    let serve = move |mut stream: TcpStream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        if read_head(&mut reader) && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").is_ok() {
            // Whoever asks again was told that the connection stays, and gets no answer.
            counted.fetch_add(usize::from(read_head(&mut reader)), Ordering::Relaxed);
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    let lake = Lake::new();
    let synced = Sync::new(&lake, &url).succeed();
    assert!(synced.resources.values().all(|line| line["outcome"] == "committed"), "{}", synced.ended.stdout);
    assert!(dropped.load(Ordering::Relaxed) > 0, "no connection was used again");
}

#[test]
fn what_the_apis_clock_says_is_not_taken_for_the_time() {
    for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "soon"] {
        let (lake, api) = (Lake::new(), ScriptedApi::start());
        api.answer(PATH, [Answer::ok(ONE).header("Date", date).header("Age", "86400")]);
        Sync::of(&lake, &api.url(), "wallets").succeed();
        let scan = lake.scan("changes", "wallets");
        let sql = format!("SELECT CAST(CAST(epoch(_observed_at) AS BIGINT) AS VARCHAR) FROM {scan}");
        let observed: u64 = DuckDb::start().value(&sql).parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((now - 600..=now + 1).contains(&observed), "{date}: {observed}");
    }
}

#[test]
fn a_secret_that_no_header_can_carry_is_refused() {
    let lake = Lake::new();
    for secret in ["a\r\nX-Injected: 1", "a\nb", "a\u{7f}b"] {
        let sync = Sync::of(&lake, "http://127.0.0.1:1", "wallets").with("LUMETRADE_API_SECRET", secret);
        let ended = sync.command().output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(78), "{stderr}");
        assert!(stderr.contains("X-API-SECRET holds a character"), "{stderr}");
        lake.assert_nothing_committed();
    }
    // No variable can hold it.
    let by_command = "api_secret_command = [\"printf\", 'canary\\000b']";
    let sync = sync_with(&lake, "http://127.0.0.1:1", by_command).without("LUMETRADE_API_SECRET");
    let ended = sync.command().output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("X-API-SECRET holds a character") && !stderr.contains("canary"), "{stderr}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_running_sync_is_for_nobody() {
    let (lake, api, gate) = (Lake::new(), ScriptedApi::start(), Gate::default());
    api.answer(PATH, [Answer::ok(ONE).behind(&gate)]);
    let child = Sync::of(&lake, &api.url(), "wallets").spawn();
    api.await_requests(1);
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    // What is not to be dumped belongs to root, whoever runs it.
    use std::os::unix::fs::MetadataExt;
    let environ = format!("/proc/{}/environ", child.id());
    assert_eq!(fs::metadata(&environ).unwrap().uid(), 0);
    // Root may read it all the same.
    if let Ok(environ) = fs::read(environ) {
        let environ = String::from_utf8_lossy(&environ).into_owned();
        assert!(environ.contains("LUMETRADE_PERSONAL_DATA=keep"), "{environ}");
        assert!(!environ.contains(SECRET) && !environ.contains(KEY), "{environ}");
    }
    gate.open();
    assert_eq!(crate::support::program::end(child).code, Some(0));
}

#[test]
fn a_server_that_says_nothing_is_no_api() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
    let lake = Lake::new();
    let synced = Sync::of(&lake, &url, "wallets").run();
    assert_eq!(synced.ended.code, Some(69), "{}", synced.ended.stderr);
    assert_eq!(synced.ended.stderr.matches("trying again").count(), 4, "{}", synced.ended.stderr);
}

#[test]
fn a_list_that_is_slow_to_come_keeps_nothing_but_its_own_place() {
    let (lake, api, gate) = (Lake::new(), ScriptedApi::without_records(), Gate::default());
    api.answer("/api/v1/accounts", [Answer::ok("[]").behind(&gate)]);
    let waiting = Sync::new(&lake, &api.url()).settings("requests_per_second = 1000.0\npolls_at_once = 2").spawn();
    // All the others go by.
    api.await_requests(Resource::all().len());
    gate.open();
    let synced = Synced::of(end(waiting));
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
    let lines: Vec<_> = synced.ended.stdout.lines().filter(|line| line.starts_with("{\"resource\"")).collect();
    let told: Vec<_> = lines.iter().map(|line| line.split('"').nth(3).unwrap()).collect();
    let named: Vec<_> = Resource::all().into_iter().map(|resource| resource.name).collect();
    assert_eq!(told, named, "they are told in their order");
}

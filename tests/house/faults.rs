//! What may go wrong on the way to the lake, in what comes, in time, and with settings and secrets; and what shows what comes of it.
//!
//! The numbers are those of the design's catalogue of faults (its sections on transport, payload, time, and on settings,
//! secrets and supply chain). What is a matter of words or of the build is shown by a sentence of the README or a step of
//! `.ci/run`.

use std::{collections::BTreeSet, fs, path::Path};

/// What shows a row.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// A test: its file, and the name of its function.
    Test(&'static str, &'static str),
    /// Words that stand in the README, whatever the line breaks.
    Readme(&'static str),
    /// Words that stand in `.ci/run`.
    Ci(&'static str),
}

use Shown::{Ci, Readme, Test};

/// A fault: its number, what happens, and what comes of it: an exit code, or several where it depends.
struct Fault(u32, &'static str, &'static str, &'static [Shown]);

const API_ERRORS: &str = "tests/command/api_errors.rs";
const NETWORK: &str = "tests/command/network.rs";
const SETTINGS: &str = "tests/command/settings.rs";
const PERSONAL: &str = "tests/command/personal_data.rs";
const GUARDS: &str = "tests/laws/guards.rs";
const HOSTILE: &str = "tests/laws/hostile.rs";
const ODDITIES: &str = "tests/laws/oddities.rs";
const QUARANTINE: &str = "tests/laws/quarantine.rs";
const EXACTNESS: &str = "tests/laws/exactness.rs";
const CONFIG: &str = "src/config/mod.rs";
const SECRET: &str = "src/config/secret.rs";

const TRANSPORT: [Fault; 15] = [
    Fault(
        1,
        "nobody listens, or the name means nothing",
        "69",
        &[
            Test(API_ERRORS, "an_api_that_is_not_there_is_unavailable"),
            Test(API_ERRORS, "a_name_that_means_nothing_is_unavailable"),
            Test("src/api/retry.rs", "pauses_double_and_differ_by_chance"),
        ],
    ),
    Fault(
        2,
        "a certificate or a version of TLS that is not to be trusted",
        "69",
        &[
            Test(NETWORK, "who_is_not_to_be_trusted_gets_no_credentials"),
            Test(API_ERRORS, "what_is_typed_wrong_is_a_usage_error"),
        ],
    ),
    Fault(
        3,
        "plain HTTP to another machine",
        "78",
        &[
            Test(API_ERRORS, "settings_that_cannot_be_used_are_refused_before_anything_is_asked_or_written"),
            Test("src/api/base_url.rs", "credentials_travel_encrypted_or_not_at_all"),
        ],
    ),
    Fault(
        4,
        "a redirect, to anywhere",
        "78",
        &[Test(API_ERRORS, "a_redirect_is_not_followed_and_the_target_is_not_asked")],
    ),
    Fault(
        5,
        "credentials are denied",
        "77",
        &[
            Test(API_ERRORS, "denied_credentials_end_at_once_with_the_request_to_ask_support_about"),
            Test(API_ERRORS, "the_sandbox_denies_a_wrong_secret"),
        ],
    ),
    Fault(
        6,
        "too many requests, and odd words of when to come back",
        "69",
        &[
            Test(API_ERRORS, "a_failure_that_stays_is_the_apis_and_says_what_it_said"),
            Test("src/api/retry.rs", "a_server_is_come_back_to_when_it_asks_within_a_cap"),
            Test("src/api/retry.rs", "a_run_does_not_wait_for_ever"),
        ],
    ),
    Fault(
        7,
        "a storm of 5xx that passes",
        "0",
        &[
            Test(API_ERRORS, "a_failure_that_passes_is_tried_again"),
            Test("src/api/retry.rs", "each_outcome_has_its_decision"),
        ],
    ),
    Fault(
        8,
        "200 with an error, or with a page to sign in at",
        "65",
        &[Test(API_ERRORS, "an_error_or_a_page_that_comes_with_200_is_no_list")],
    ),
    Fault(
        9,
        "an error told in another form, or to steer a terminal",
        "65",
        &[
            Test(NETWORK, "what_the_api_says_of_an_error_cannot_steer_a_terminal_or_repeat_a_secret"),
            Test("src/api/envelope.rs", "an_envelope_is_shown_as_far_as_it_goes"),
            Test("src/api/envelope.rs", "whatever_comes_is_shown_short_and_plain"),
        ],
    ),
    Fault(
        10,
        "an answer that does not begin, or drips, or stands still",
        "69",
        &[
            Test(NETWORK, "an_answer_that_takes_too_long_is_given_up"),
            Test(NETWORK, "a_server_that_says_nothing_is_no_api"),
            Test("src/api/body.rs", "a_server_that_drips_is_given_up_after_half_a_minute"),
            Test("src/api/body.rs", "an_answer_has_to_come_to_its_end_in_time"),
        ],
    ),
    Fault(
        11,
        "a connection that breaks before the body ends",
        "69",
        &[
            Test(NETWORK, "an_answer_that_does_not_come_to_its_end_is_asked_for_again_and_never_used"),
            Test(GUARDS, "a_connection_that_ends_before_the_body_does_is_the_apis_failure"),
        ],
    ),
    Fault(
        12,
        "a list cut between two records and closed again",
        "65",
        &[Test(GUARDS, "ten_records_may_go_and_eleven_may_not_unless_it_is_accepted")],
    ),
    Fault(
        13,
        "a connection closed as it is used again",
        "0",
        &[Test(NETWORK, "a_connection_that_is_closed_as_it_is_used_again_is_no_failure")],
    ),
    Fault(
        14,
        "a proxy in the environment that nobody asked for",
        "0",
        &[Test(NETWORK, "a_proxy_is_used_if_the_settings_name_it_and_never_otherwise")],
    ),
    Fault(
        15,
        "a cache that answers with what was true once",
        "0",
        &[
            Test(API_ERRORS, "every_request_carries_both_headers_and_asks_for_json"),
            Test(ODDITIES, "an_older_version_than_is_known_is_skipped_whatever_the_caches_know"),
        ],
    ),
];

const PAYLOAD: [Fault; 20] = [
    Fault(
        16,
        "an answer that explodes when it is decompressed, or in a coding that was not asked for",
        "65",
        &[
            Test(NETWORK, "a_bomb_is_refused_before_it_goes_off"),
            Test(NETWORK, "a_coding_that_was_not_asked_for_is_refused"),
            Test(NETWORK, "an_answer_has_a_largest_size_that_the_settings_tell"),
            Test("src/api/coding.rs", "what_becomes_far_too_large_is_refused_before_it_is_there"),
        ],
    ),
    Fault(
        17,
        "a list larger than memory",
        "0",
        &[
            Ci("python3 benches/growth.py --records 1000000 --limit-mib 128"),
            Test("tests/laws/s3/memory.rs", "uploads_are_bounded_in_memory"),
        ],
    ),
    Fault(
        18,
        "a text, a number or a name of a field beyond all measure",
        "65",
        &[
            Test(HOSTILE, "what_is_beyond_all_measure_is_refused_or_set_aside"),
            Test("src/record/split.rs", "a_record_without_end_is_refused_before_it_fills_memory"),
        ],
    ),
    Fault(
        19,
        "brackets a hundred thousand deep",
        "65",
        &[
            Test(HOSTILE, "what_is_beyond_all_measure_is_refused_or_set_aside"),
            Test("src/decode/json.rs", "nesting_is_capped_without_a_stack_overflow"),
        ],
    ),
    Fault(
        20,
        "what is not one list, whole and alone",
        "65",
        &[
            Test(GUARDS, "a_body_that_is_not_one_whole_list_is_refused"),
            Test("src/record/split.rs", "what_is_not_one_complete_array_is_refused"),
        ],
    ),
    Fault(
        21,
        "bytes that are no UTF-8, half a character, a NUL",
        "65 or 0",
        &[
            Test(GUARDS, "a_body_that_is_not_one_whole_list_is_refused"),
            Test(HOSTILE, "half_a_character_and_a_nul_are_set_aside_with_their_text_and_whole_characters_are_kept"),
        ],
    ),
    Fault(
        22,
        "numbers of any length, scale and form",
        "0",
        &[
            Test(EXACTNESS, "a_hundred_thousand_numbers_come_back_exact_and_what_does_not_fit_is_set_aside_whole"),
            Test("src/decode/decimal.rs", "what_does_not_fit_is_refused_and_never_rounded"),
            Test(QUARANTINE, "what_does_not_fit_is_set_aside_with_its_exact_text_and_released_when_it_fits"),
        ],
    ),
    Fault(
        23,
        "a field that stands twice in a record",
        "65 or 0",
        &[Test(GUARDS, "a_key_that_stands_twice_in_a_record_rejects_it_and_many_of_them_the_body")],
    ),
    Fault(
        24,
        "a record that stands twice in a list",
        "65 or 0",
        &[Test(GUARDS, "one_id_with_two_contents_is_refused_and_with_one_content_is_one_record")],
    ),
    Fault(
        25,
        "an id that is missing, null or no text",
        "65 or 0",
        &[
            Test(QUARANTINE, "what_does_not_fit_is_set_aside_with_its_exact_text_and_released_when_it_fits"),
            Test(QUARANTINE, "while_a_record_has_no_readable_key_none_is_taken_for_removed"),
            Test(QUARANTINE, "ten_misfits_are_odd_records_and_eleven_are_another_contract"),
        ],
    ),
    Fault(
        26,
        "a field that appears, vanishes or changes its type",
        "0 or 65",
        &[
            Test(ODDITIES, "a_field_that_appears_or_vanishes_makes_a_version_and_loses_nothing"),
            Test(QUARANTINE, "ten_misfits_are_odd_records_and_eleven_are_another_contract"),
        ],
    ),
    Fault(
        27,
        "a status that nobody documented",
        "0",
        &[Test(ODDITIES, "a_status_that_nobody_documented_is_stored_as_it_came_and_told_once")],
    ),
    Fault(
        28,
        "a status that goes back",
        "0",
        &[
            Test(ODDITIES, "a_status_that_goes_back_is_stored_counted_and_told_once"),
            Test("src/sync/oddities.rs", "a_record_has_gone_back_if_it_had_ended_and_is_listed_open"),
            Test(
                "tests/command/reconcile.rs",
                "a_cheated_balance_a_vanished_fill_and_a_status_that_went_back_are_each_found_and_named",
            ),
        ],
    ),
    Fault(
        29,
        "a version older than the known one",
        "0",
        &[
            Test(ODDITIES, "an_older_version_than_is_known_is_skipped_whatever_the_caches_know"),
            Test("src/diff/changes.rs", "an_older_version_than_is_known_is_skipped_and_what_is_known_stays"),
        ],
    ),
    Fault(
        30,
        "an empty list where records are known",
        "65",
        &[Test(GUARDS, "an_empty_list_where_records_are_known_is_refused_until_it_is_accepted")],
    ),
    Fault(
        31,
        "a part of the records gone at once",
        "65",
        &[
            Test(GUARDS, "ten_records_may_go_and_eleven_may_not_unless_it_is_accepted"),
            Test(GUARDS, "one_in_a_hundred_of_many_records_may_go_and_more_may_not"),
        ],
    ),
    Fault(
        32,
        "a record that goes and comes back",
        "0",
        &[Test(
            "tests/laws/returns.rs",
            "a_record_that_returns_goes_on_where_it_was_whether_or_not_the_caches_are_there",
        )],
    ),
    Fault(
        33,
        "texts that mean something to a database, a spreadsheet, a shell or a terminal",
        "0",
        &[
            Test(HOSTILE, "texts_of_others_are_data_and_part_of_no_path"),
            Test("src/verify/mod.rs", "what_the_api_wrote_cannot_steer_a_terminal_or_begin_a_line"),
        ],
    ),
    Fault(
        34,
        "texts that mean something in a path",
        "0",
        &[
            Test(HOSTILE, "texts_of_others_are_data_and_part_of_no_path"),
            Test("src/lake/layout.rs", "keys_are_those_of_the_layout_and_read_back"),
        ],
    ),
    Fault(
        35,
        "times that no calendar has",
        "0",
        &[
            Test(EXACTNESS, "a_time_that_lies_outside_the_years_1_to_9999_is_set_aside"),
            Test("src/decode/date_time.rs", "what_is_no_instant_is_not_taken_for_one"),
        ],
    ),
];

const TIME: [Fault; 7] = [
    Fault(
        36,
        "our clock is set back or ahead",
        "0",
        &[Test("src/sync/tests/seeds.rs", "whatever_happens_nothing_is_lost_doubled_or_taken_back")],
    ),
    Fault(
        37,
        "the API's clock is another",
        "0",
        &[Test(NETWORK, "what_the_apis_clock_says_is_not_taken_for_the_time")],
    ),
    Fault(
        38,
        "two runs that file one record under two months",
        "0 or 75",
        &[
            Test("src/sync/tests/seeds.rs", "whatever_happens_nothing_is_lost_doubled_or_taken_back"),
            Test("src/lake/tests/model/mod.rs", "two_records_of_many_versions_keep_every_law"),
            Test("tests/laws/race.rs", "two_syncs_that_start_together_commit_everything_once"),
        ],
    ),
    Fault(
        39,
        "a zone of the machine, and summer time",
        "0",
        &[Test(SETTINGS, "the_zone_of_the_machine_means_nothing")],
    ),
    Fault(
        40,
        "a record that changes twice between two polls",
        "0",
        &[Readme("the API shows states and not events, so what changes twice between two polls is seen once")],
    ),
    Fault(
        41,
        "a list that changes while it is read",
        "0 or 65",
        &[Test(ODDITIES, "what_changes_while_it_is_listed_is_stored_as_it_was_seen_and_healed_by_the_next_poll")],
    ),
    Fault(42, "two resources that are not of one moment", "0", &[Readme("two resources are not polled at one moment")]),
];

const SECRETS: [Fault; 16] = [
    Fault(
        78,
        "a secret on the command line",
        "2",
        &[
            Test(API_ERRORS, "what_is_typed_wrong_is_a_usage_error"),
            Test("src/cli.rs", "the_command_line_is_sound_and_has_no_flag_for_a_secret"),
        ],
    ),
    Fault(
        79,
        "a secret in a file that others may read, or have written",
        "78",
        &[
            Test(SETTINGS, "all_settings_may_come_from_the_environment_or_from_a_file_with_credentials_of_ones_own"),
            Test(SETTINGS, "a_credential_in_a_file_of_another_user_is_refused"),
            Test(CONFIG, "a_credential_comes_from_the_environment_or_from_a_file_that_is_private"),
        ],
    ),
    Fault(
        80,
        "a command for a secret that fails, hangs or prints too much",
        "78",
        &[
            Test(SECRET, "a_command_that_does_not_is_refused_and_never_quoted"),
            Test(SECRET, "a_command_prints_a_secret_on_one_line"),
            Test(NETWORK, "secrets_come_from_commands_and_only_for_the_host_that_they_are_for"),
        ],
    ),
    Fault(
        81,
        "a secret that no header can carry",
        "78",
        &[Test(NETWORK, "a_secret_that_no_header_can_carry_is_refused")],
    ),
    Fault(
        82,
        "a secret in the API's URL",
        "78",
        &[
            Test(API_ERRORS, "settings_that_cannot_be_used_are_refused_before_anything_is_asked_or_written"),
            Test("src/api/base_url.rs", "credentials_travel_encrypted_or_not_at_all"),
        ],
    ),
    Fault(
        83,
        "logs in every detail, and what prints of settings and errors",
        "any",
        &[
            Test(API_ERRORS, "the_secret_is_nowhere_to_be_seen"),
            Test("tests/laws/s3/access.rs", "no_output_however_verbose_tells_a_secret"),
            Test("src/redact.rs", "a_secret_is_masked_in_every_form"),
            Test(CONFIG, "whatever_a_file_says_its_values_are_not_repeated_where_they_may_be_secrets"),
        ],
    ),
    Fault(
        84,
        "an API that repeats the secret",
        "65",
        &[Test(NETWORK, "what_the_api_says_of_an_error_cannot_steer_a_terminal_or_repeat_a_secret")],
    ),
    Fault(
        85,
        "a look into the memory or the environment of a run",
        "0",
        &[
            Test(NETWORK, "the_memory_of_a_running_sync_is_for_nobody"),
            Test(NETWORK, "a_program_that_gives_one_secret_is_not_given_the_others"),
            Test(NETWORK, "more_secrets_than_can_be_taken_out_of_the_environment_are_refused"),
            Test(SECRET, "a_command_is_not_told_our_secrets"),
        ],
    ),
    Fault(
        86,
        "a lake that others could read",
        "0",
        &[
            Test(SETTINGS, "what_is_written_is_for_its_owner_alone"),
            Test("tests/laws/disk.rs", "nobody_else_may_read_a_lake_whatever_the_mask"),
        ],
    ),
    Fault(
        87,
        "a URL or a name that leads to a metadata service, or to a file",
        "78",
        &[
            Test(API_ERRORS, "settings_that_cannot_be_used_are_refused_before_anything_is_asked_or_written"),
            Test("src/api/resolver.rs", "a_name_that_means_a_metadata_service_is_not_asked"),
            Test("src/api/resolver.rs", "the_addresses_of_metadata_services_are_known_in_every_form"),
        ],
    ),
    Fault(
        88,
        "credentials and another host, by one edit of the settings",
        "78",
        &[
            Test(CONFIG, "credentials_go_to_the_host_that_they_are_for"),
            Test(NETWORK, "secrets_come_from_commands_and_only_for_the_host_that_they_are_for"),
        ],
    ),
    Fault(
        89,
        "a resource's name that would lead elsewhere",
        "78",
        &[
            Test(API_ERRORS, "settings_that_cannot_be_used_are_refused_before_anything_is_asked_or_written"),
            Test("src/schema/definition.rs", "what_cannot_be_is_refused_by_name"),
        ],
    ),
    Fault(
        90,
        "people's bank details and names",
        "0",
        &[
            Test(PERSONAL, "what_is_dropped_is_nowhere_and_that_is_said_once"),
            Test(PERSONAL, "what_is_hashed_can_be_joined_and_not_read"),
        ],
    ),
    Fault(
        91,
        "another key for what is hashed",
        "0",
        &[Test(PERSONAL, "under_another_key_a_value_has_another_hash_and_what_was_committed_keeps_its_own")],
    ),
    Fault(
        92,
        "a dependency that is not what it was",
        "a red build",
        &[Ci("check bans licenses sources"), Ci("cargo test --locked"), Ci("cargo-deny")],
    ),
    Fault(
        93,
        "a program that is not ours: none is handed out, it is built from what is locked",
        "a red build",
        &[Readme("cargo install --locked --path ."), Ci("cargo run --locked --release")],
    ),
];

fn faults() -> impl Iterator<Item = &'static Fault> {
    TRANSPORT.iter().chain(&PAYLOAD).chain(&TIME).chain(&SECRETS)
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default()
}

/// Whether a source has a test function of this name that is run.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| declares(line)).any(|(at, _)| {
        let attributes: Vec<_> =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect();
        let is_test = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        attributes.iter().any(is_test) && !attributes.iter().any(|line| line.starts_with("#[ignore"))
    })
}

fn is_there(shown: Shown) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match shown {
        Test(file, name) => has_test(&read(file), name),
        Readme(sentence) => words(&read("README.md")).contains(sentence),
        Ci(step) => read(".ci/run").lines().any(|line| !line.trim().starts_with('#') && line.contains(step)),
    }
}

#[test]
fn every_fault_has_what_shows_it() {
    let missing: Vec<String> = faults()
        .flat_map(|Fault(number, .., shown)| shown.iter().map(move |shown| (number, *shown)))
        .filter(|(_, shown)| !is_there(*shown))
        .map(|(number, shown)| format!("{number}: {shown:?}"))
        .collect();
    assert!(missing.is_empty(), "nothing shows\n{}", missing.join("\n"));
    let unshown: Vec<_> = faults().filter(|Fault(.., shown)| shown.is_empty()).map(|fault| fault.0).collect();
    assert!(unshown.is_empty(), "{unshown:?}");
}

#[test]
fn no_fault_is_left_out() {
    let numbers: Vec<u32> = faults().map(|fault| fault.0).collect();
    assert!(numbers.iter().copied().eq((1..=42).chain(78..=93)), "{numbers:?}");
    let named: BTreeSet<_> = faults().map(|Fault(_, what, ..)| what).collect();
    assert_eq!(named.len(), numbers.len(), "two faults are named alike");
    let codes = ["0", "2", "65", "69", "70", "75", "77", "78"];
    for Fault(number, _, exit, _) in faults() {
        let known = exit.split(" or ").all(|code| codes.contains(&code)) || ["any", "a red build"].contains(exit);
        assert!(known, "{number}: {exit}");
    }
}

#[test]
fn a_test_that_is_not_run_shows_nothing() {
    let source = "#[test]\nfn runs() {}\n\n#[tokio::test(start_paused = true)]\nasync fn waits() {}\n\nfn helps() {}\n\n\
                  #[test]\n#[ignore]\nfn rests() {}\n\n/// Why.\n#[test]\n#[cfg(unix)]\nfn is_here() {}\n";
    for (name, expected) in [
        ("runs", true),
        ("waits", true),
        ("helps", false),
        ("rests", false),
        ("is_here", true),
        ("run", false),
        ("gone", false),
    ] {
        assert_eq!(has_test(source, name), expected, "{name}");
    }
}

//! Records one by one: what each adds, and what is found wrong with it.

use super::*;
use crate::{config::Basis, reconcile::Sum};

const ACCOUNT: &str = r#"[{"id":"a1","currency":"ZAR","balance":100,"lockedBalance":0}]"#;

fn deposit(id: &str, amount: &str, fee: &str, status: &str) -> String {
    format!(r#"{{"transactionId":"{id}","currency":"ZAR","amount":{amount},"fee":{fee},"status":"{status}"}}"#)
}

fn deposits(statuses: &[&str]) -> String {
    let each = statuses.iter().enumerate().map(|(n, status)| deposit(&format!("D{n}"), "100", "0", status));
    format!("[{}]", each.collect::<Vec<_>>().join(","))
}

fn trade(id: &str, status: &str, fills: &str) -> String {
    format!(
        r#"{{"transactionId":"{id}","fromCurrency":"ZAR","toCurrency":"ZAR","fromAmount":10,"toAmount":10,"status":"{status}","fills":{fills}}}"#
    )
}

fn fill(id: &str, from: &str, to: &str, status: &str) -> String {
    format!(
        r#"{{"transactionId":"{id}","fromCurrency":"ZAR","toCurrency":"ZAR","fromCurrencyAmount":{from},"toCurrencyAmount":{to},"status":"{status}"}}"#
    )
}

/// The books of trades alone, which move nothing from one currency to itself, after these lists.
fn books_of_trades(lists: &[String]) -> Report {
    let polls: Vec<[(&str, &str); 2]> = lists
        .iter()
        .map(|list| {
            [(ACCOUNTS, r#"[{"id":"a1","currency":"ZAR","balance":0,"lockedBalance":0}]"#), (TRADES, list.as_str())]
        })
        .collect();
    books(&settings(), &polls.iter().map(<[_; 2]>::as_slice).collect::<Vec<_>>())
}

#[test]
fn an_amount_is_before_or_after_its_fee_as_the_settings_say() {
    let deposits = format!("[{}]", deposit("D", "50", "2", "COMPLETED"));
    let withdrawals = format!("[{}]", deposit("W", "30", "3", "COMPLETED"));
    let poll: Poll<'_> = &[(ACCOUNTS, ACCOUNT), (DEPOSITS, &deposits), (WITHDRAWALS, &withdrawals)];
    let rows = [
        (Basis::Gross, Basis::Net, "15"),
        (Basis::Gross, Basis::Gross, "18"),
        (Basis::Net, Basis::Net, "17"),
        (Basis::Net, Basis::Gross, "20"),
    ];
    for (deposit_amount, withdrawal_amount, expected) in rows {
        let report = books(&Reconciling { deposit_amount, withdrawal_amount, ..settings() }, &[poll]);
        assert_eq!(report.line("ZAR").expected.to_string(), expected);
    }
}

#[test]
fn what_was_there_before_counts_and_a_tolerance_lets_so_much_pass() {
    let one = 10_i128.pow(18);
    let poll: Poll<'_> = &[(ACCOUNTS, ACCOUNT)];
    let verdict = |opening: i128, tolerance: i128| {
        let opening = BTreeMap::from([("ZAR".to_owned(), opening)]);
        let report = books(&Reconciling { opening, tolerance, ..settings() }, &[poll]);
        (report.line("ZAR").verdict, report.exit_code())
    };
    assert_eq!(verdict(100 * one, 0), (Verdict::Balanced, 0));
    assert_eq!(verdict(100 * one + 1, 0), (Verdict::Off, 65));
    assert_eq!(verdict(101 * one, one), (Verdict::Tolerated, 0));
    assert_eq!(verdict(99 * one, one), (Verdict::Tolerated, 0));
    assert_eq!(verdict(101 * one + 1, one), (Verdict::Off, 65));
    let opening = BTreeMap::from([("XYZ".to_owned(), one)]);
    let report = books(&Reconciling { opening, ..settings() }, &[&[]]);
    assert_eq!((report.verdicts(), report.broken()), (vec![Verdict::NoAccount], vec![(Law::Account, "")]));
}

#[test]
fn what_is_locked_is_held_too_and_nothing_that_is_missing_is_taken_for_an_amount() {
    let accounts = r#"[{"id":"a1","currency":"ZAR","balance":60,"lockedBalance":40},{"id":"a2","currency":"ZAR"},
        {"id":"a3","currency":"BTC","balance":0},{"id":"a4","balance":5}]"#;
    let deposits = r#"[{"transactionId":"D1","currency":"ZAR","amount":100,"status":"COMPLETED"},
        {"transactionId":"D2","currency":"ZAR","fee":1,"status":"COMPLETED"},
        {"transactionId":"D3","amount":1,"status":"COMPLETED"},
        {"transactionId":"D4","currency":"ZAR","status":"PENDING"},
        {"transactionId":"D5","currency":"ZAR","amount":100}]"#;
    let report = books(&settings(), &[&[(ACCOUNTS, accounts), (DEPOSITS, deposits)]]);
    let missing = [(Law::Amount, "a2"), (Law::Amount, "a4"), (Law::Amount, "D2"), (Law::Amount, "D3")];
    assert_eq!(report.broken(), missing);
    assert_eq!(report.verdicts(), [Verdict::Balanced, Verdict::Balanced]);
    assert_eq!(report.line("ZAR").held, Some(Sum::of(100 * 10_i128.pow(18))));
}

#[test]
fn a_sum_beyond_128_bits_is_told_and_the_other_currencies_are_reckoned() {
    let much = "99999999999999999999.999999999999999999";
    let each: Vec<_> = (0..2).map(|n| deposit(&format!("D{n}"), much, "0", "COMPLETED")).collect();
    let list = format!(
        r#"[{},{{"transactionId":"E","currency":"BTC","amount":1,"fee":0,"status":"COMPLETED"}}]"#,
        each.join(",")
    );
    let accounts = format!(r#"[{},{{"id":"a2","currency":"BTC","balance":1}}]"#, ACCOUNT.trim_matches(['[', ']']));
    let report = books(&settings(), &[&[(ACCOUNTS, &accounts), (DEPOSITS, &list)]]);
    assert_eq!(report.verdicts(), [Verdict::Balanced, Verdict::TooLarge]);
    assert_eq!((report.broken(), report.exit_code()), (vec![(Law::Balance, "a1")], 65));
    assert!(report.to_string().contains("more than 20 digits before the point"), "{report}");
}

#[test]
fn a_difference_that_open_records_are_to_the_last_digit_is_explained_and_no_other() {
    let open = |id: &str, amount: &str| deposit(id, amount, "0", "PROCESSING");
    let verdict = |deposits: &[String], withdrawals: &[String]| {
        let list = |records: &[String]| format!("[{}]", records.join(","));
        let (deposits, withdrawals) = (list(deposits), list(withdrawals));
        let poll: Poll<'_> = &[(ACCOUNTS, ACCOUNT), (DEPOSITS, &deposits), (WITHDRAWALS, &withdrawals)];
        let report = books(&settings(), &[poll]);
        let line = report.line("ZAR").clone();
        assert_eq!(report.exit_code(), if line.verdict == Verdict::Off { 65 } else { 0 });
        (line.verdict, line.explained_by.join(" and "))
    };
    let explained = |by: &str| (Verdict::Explained, by.to_owned());
    assert_eq!(verdict(&[open("D1", "100"), open("D2", "7")], &[]), explained("deposits D1"));
    assert_eq!(verdict(&[open("D1", "40"), open("D2", "60")], &[]), explained("deposits"));
    assert_eq!(verdict(&[open("D1", "40"), open("D2", "60.01")], &[]), (Verdict::Off, String::new()));
    let completed = deposit("D0", "150", "0", "COMPLETED");
    let withdrawals = [open("W1", "20"), deposit("W2", "25", "5", "PENDING")];
    assert_eq!(verdict(std::slice::from_ref(&completed), &withdrawals), explained("withdrawals"));
    assert_eq!(verdict(&[completed, open("D1", "30")], &[open("W1", "80")]), explained("deposits and withdrawals"));
    let cancelled = deposit("D1", "100", "0", "CANCELLED");
    assert_eq!(verdict(&[cancelled], &[]), (Verdict::Off, String::new()));
}

#[test]
fn an_open_trade_explains_what_it_would_bring_and_cost() {
    let accounts = r#"[{"id":"a1","currency":"ZAR","balance":-10},{"id":"a2","currency":"BTC","balance":3}]"#;
    let trade = r#"[{"transactionId":"T1","fromCurrency":"ZAR","toCurrency":"BTC","fromAmount":10,"toAmount":3,"status":"PENDING"}]"#;
    let report = books(&settings(), &[&[(ACCOUNTS, accounts), (TRADES, trade)]]);
    assert_eq!(report.verdicts(), [Verdict::Explained; 2]);
    assert!(report.lines.iter().all(|line| line.explained_by == ["trades T1"]), "{report}");
}

#[test]
fn a_status_that_goes_back_is_found_for_as_long_as_it_is_back() {
    let rows: [(&[&str], usize); 12] = [
        (&["PENDING", "COMPLETED"], 0),
        (&["COMPLETED", "REVERSED"], 0),
        (&["COMPLETED", "PENDING"], 1),
        (&["COMPLETED", "PENDING", "PROCESSING"], 1),
        (&["COMPLETED", "PENDING", "COMPLETED"], 0),
        (&["FAILED", "COMPLETED"], 1),
        (&["CANCELLED", "COMPLETED"], 1),
        (&["REVERSED", "COMPLETED"], 1),
        (&["FAILED", "PENDING", "COMPLETED"], 1),
        (&["FAILED", "COMPLETED", "REVERSED"], 0),
        (&["COMPLETED", "ON_HOLD"], 0),
        (&["COMPLETED", "ON_HOLD", "PENDING"], 1),
    ];
    for (statuses, found) in rows {
        let lists: Vec<String> = statuses.iter().map(|status| deposits(&[status])).collect();
        let polls: Vec<[(&str, &str); 1]> = lists.iter().map(|list| [(DEPOSITS, list.as_str())]).collect();
        let report = books(&settings(), &polls.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>());
        let gone_back = report.broken().into_iter().filter(|broken| *broken == (Law::Status, "D0")).count();
        assert_eq!(gone_back, found, "{statuses:?}\n{report}");
        let is_healed = found == 0 && statuses.len() > 2 && statuses[1] != "ON_HOLD";
        assert_eq!(report.notes.len(), usize::from(is_healed), "{statuses:?}\n{report}");
    }
    let report = books(&settings(), &[&[(DEPOSITS, &deposits(&["FAILED"]))], &[(DEPOSITS, &deposits(&["COMPLETED"]))]]);
    let finding = report.findings.iter().find(|finding| finding.law == Law::Status).unwrap();
    assert_eq!(finding.problem, "is COMPLETED, and was FAILED in commit 1");
}

#[test]
fn what_has_moved_money_and_is_not_listed_any_more_is_found_and_does_not_count() {
    let (before, after) = (deposits(&["COMPLETED", "COMPLETED", "PENDING"]), deposits(&["COMPLETED"]));
    let report = books(&settings(), &[&[(ACCOUNTS, ACCOUNT), (DEPOSITS, &before)], &[(DEPOSITS, &after)]]);
    assert_eq!((report.broken(), report.verdicts()), (vec![(Law::Listed, "D1")], vec![Verdict::Balanced]));
    let report = books(
        &settings(),
        &[&[(ACCOUNTS, ACCOUNT), (DEPOSITS, &before)], &[(DEPOSITS, &after)], &[(DEPOSITS, &before)]],
    );
    assert_eq!(report.broken(), [(Law::Balance, "a1")], "it is listed again: {report}");
}

#[test]
fn fills_that_have_moved_money_come_to_their_trade() {
    let both = |status| format!("[{},{}]", fill("f1", "4", "4", "COMPLETED"), fill("f2", "6", "6", status));
    let rows = [
        ("COMPLETED", both("COMPLETED"), 0),
        ("COMPLETED", both("REVERSED"), 1),
        ("COMPLETED", format!("[{}]", fill("f1", "10", "9.999999999999999999", "COMPLETED")), 1),
        ("COMPLETED", format!("[{}]", fill("f1", "10", "null", "COMPLETED")), 1),
        ("COMPLETED", format!("[{}]", fill("f1", "10", "10", "COMPLETED").replacen("ZAR", "BTC", 1)), 1),
        ("COMPLETED", "[]".to_owned(), 0),
        ("COMPLETED", "null".to_owned(), 0),
        ("PENDING", both("REVERSED"), 0),
        ("REVERSED", format!("[{}]", fill("f1", "10", "10", "REVERSED")), 0),
        ("CANCELLED", both("COMPLETED"), 1),
    ];
    for (status, fills, found) in rows {
        let report = books_of_trades(&[format!("[{}]", trade("T1", status, &fills))]);
        assert_eq!(report.broken(), vec![(Law::Fills, "T1"); found], "{status} {fills}\n{report}");
        assert_eq!(report.notes.len(), usize::from(status == "COMPLETED" && fills.len() < 5), "{report}");
    }
    let report = books_of_trades(&[format!("[{}]", trade("T1", "COMPLETED", &both("REVERSED")))]);
    assert_eq!(report.findings[0].problem, "is of 10 ZAR for 10 ZAR, and its fills come to 4 ZAR for 4 ZAR");
}

#[test]
fn a_fill_that_is_gone_is_found_until_it_is_there_again() {
    let (one, other) = (fill("f1", "4", "4", "COMPLETED"), fill("f2", "6", "6", "COMPLETED"));
    let whole = format!("[{}]", trade("T1", "COMPLETED", &format!("[{one},{other}]")));
    let less = format!("[{}]", trade("T1", "COMPLETED", &format!("[{one}]")));
    let none = format!("[{}]", trade("T1", "COMPLETED", "null"));
    let report = books_of_trades(&[whole.clone(), less.clone()]);
    assert_eq!(report.broken(), [(Law::FillKept, "T1"), (Law::Fills, "T1")]);
    assert_eq!(report.findings[0].problem, "lacks its fill `f2`, which it had");
    assert_eq!(books_of_trades(&[whole.clone(), none]).broken(), [(Law::FillKept, "T1"); 2]);
    assert_eq!(books_of_trades(&[less, whole.clone()]).found, 0);
    let replaced = whole.replace("f2", "f3");
    assert_eq!(books_of_trades(&[whole, replaced]).broken(), [(Law::FillKept, "T1")]);
}

#[test]
fn a_fill_that_stands_twice_is_found_wherever_it_does() {
    let half = fill("f1", "5", "5", "COMPLETED");
    let twice = format!("[{}]", trade("T1", "COMPLETED", &format!("[{half},{half}]")));
    assert_eq!(books_of_trades(&[twice]).broken(), [(Law::FillOnce, "T1")]);
    let fills = format!("[{}]", fill("f1", "10", "10", "COMPLETED"));
    let shared = format!("[{},{}]", trade("T2", "COMPLETED", &fills), trade("T1", "COMPLETED", &fills));
    assert_eq!(books_of_trades(&[shared]).broken(), [(Law::FillOnce, "T2")]);
}

#[test]
fn a_currency_without_an_account_is_found_once_a_resource_with_its_first_record() {
    let trades = r#"[{"transactionId":"T1","fromCurrency":"BTC","toCurrency":"ZAR","fromAmount":1,"toAmount":0,"status":"COMPLETED"}]"#;
    let deposits = deposits(&["COMPLETED", "FAILED", "PENDING"]).replace("ZAR", "BTC");
    let poll: Poll<'_> = &[(ACCOUNTS, ACCOUNT), (DEPOSITS, &deposits), (TRADES, trades)];
    let opening = BTreeMap::from([("ZAR".to_owned(), 100 * 10_i128.pow(18))]);
    let report = books(&Reconciling { opening, ..settings() }, &[poll]);
    assert_eq!(report.broken(), [(Law::Account, "D0"), (Law::Account, "T1")], "{report}");
    assert_eq!(report.findings[0].problem, "is in BTC, of which there is no account; so are 2 more deposits");
    assert_eq!(report.verdicts(), [Verdict::NoAccount, Verdict::Balanced]);
}

#[test]
fn what_the_api_wrote_cannot_steer_a_terminal_or_begin_a_line() {
    let steering = r"X\u001b[2J\nfinding: balance: x";
    let deposits = deposits(&["COMPLETED"]).replace("ZAR", steering).replace("D0", steering);
    let text = books(&settings(), &[&[(DEPOSITS, &deposits)]]).to_string();
    assert!(!text.contains('\u{1b}') && !text.contains("\nfinding: balance"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn more_findings_than_people_read_are_counted_and_a_thousand_are_in_the_json() {
    let deposits: Vec<_> = (0..1200).map(|n| format!(r#"{{"transactionId":"D{n}","status":"COMPLETED"}}"#)).collect();
    let report = books(&settings(), &[&[(DEPOSITS, &format!("[{}]", deposits.join(",")))]]);
    assert_eq!(report.to_string().matches("\nfinding: ").count(), 21);
    assert!(report.to_string().contains("\nfinding: and 1180 more; --json has up to a thousand\n"), "{report}");
    let lines = report.to_json_lines().unwrap();
    assert_eq!(lines.lines().count(), 1001);
    let run: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&run["run"]["found"], &run["run"]["exit_code"]), (&1200.into(), &65.into()));
}

//! A model of the commit protocol, explored completely: two writers, everything that can happen to them, in any order.
//!
//! ```text
//!  1  list the claims                           none: 4            any: 2
//!  2  look for the last one's objects           all there: 4       some missing: 3
//!  3  CREATE voids at the keys of these         whatever is there then: 4
//!  4  poll, and compare with the commits        nothing new: end   rows: 5
//!  5  CREATE the claim of the next numbers      ours: 6            another's: 1
//!  6  CREATE the objects, all but the last      all ours: 7        another's: 1
//!  7  CREATE the last                           ours: end          another's: 1
//!
//!  CREATE   send ─▸ be answered, somehow, some time ─▸ read back: ours, another's, or nothing: send again
//!             └─▸ arrive, some time, perhaps after the sender's death, or be dropped
//! ```
//!
//! A [`world`] is what the API says, what the [`store`] has, what is on its way to it, and where the writers are. The
//! [`protocol`] says what can happen next: a record gets its next version; a write arrives or is dropped; a writer takes its
//! [`turn`], or dies and, if it has runs left, begins again. The [`search`] goes through all worlds that can come about,
//! looks for the [`laws`] in each and across each step, and for the [`sights`] that must be met with. Then it does so with
//! one rule of the protocol broken, for each of them, to show that the rule is needed and that the laws would notice; the
//! [`story`] of how a law was broken is printed (`--nocapture`).
//!
//! # What stands for what
//!
//! - *Bytes.* An object is a void or a version of the one record of its partition. A claim or an object is equal to another
//!   if both are of one attempt, since each names its poll; voids of one number are equal. Once an attempt has ended nobody
//!   compares with its bytes any more, so it is forgotten whose they were.
//! - *Sending* is no step: what is sent changes nothing until it arrives. Of two copies on their way the second to arrive
//!   changes nothing, so they are one. A write whose key is taken is forgotten, unless the broken rule would let it through.
//! - *An answer* comes at any time, and may say anything but "created" where it was not. A timeout, a lost acknowledgement, a
//!   5xx, S3's 409 and "it exists" for one's own write sent twice are each an answer that does not say what is there.
//! - *Dying* stands for every way in which a run ends early: a kill, a store that cannot be read, an outcome given up as
//!   unknown, a deadline. A pause is a writer that takes no step while others do.
//! - *A partition* stands for one object of a diff, so that a diff has up to two. Several objects of one partition, and
//!   removals, are committed alike; those of a third that are sent beside the first come and go as voids do, side by side.
//!
//! # What is left out
//!
//! - The caches and `current/`: what is known is folded from the commits as of the head, and a cache is believed only if it
//!   names that head or one before it, by SHA-256. The chain of parents: an object that is made on a head names it, and
//!   what cannot change or be squeezed in cannot be named wrongly.
//! - Polls and listings that are torn: a poll is one body with one length and one end. A listing that shows a later claim and
//!   not an earlier one is listed again; one that lacks the last claim is [`Protocol::ListingLags`].
//! - More of everything. A third writer is there in what the runs that have ended left on its way; a further attempt after a
//!   lost race begins as the next run does; a version that returns is, when it is compared, either new or not.

mod laws;
mod protocol;
mod records;
mod search;
mod sights;
mod store;
mod story;
mod turn;
mod world;

use self::{
    laws::Law,
    protocol::{Protocol, Setting},
    records::{Records, Version},
    search::Search,
    sights::{SIGHTS, Sight},
    world::Bounds,
};

/// Two runs of each writer, with so many attempts each, while the records come to have these versions.
fn setting(protocol: Protocol, attempts: u8, may: Version, june: Version) -> Setting {
    Setting { protocol, bounds: Bounds { last: Records([may, june]), runs: 2, attempts } }
}

/// Explores everything: no law is broken, everything is seen, and it is not less than there should be.
fn assert_lawful(setting: Setting, sights: &[Sight], worlds_min: usize) {
    let search = Search::run(setting, &Law::ALL, sights);
    println!("{setting:?}: {} worlds, {} steps", search.worlds(), search.steps);
    if let Some(story) = search.violation {
        panic!("{story}");
    }
    let unseen: Vec<_> = search.unseen.iter().map(|(sight, _)| sight).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");
    assert!(search.worlds() >= worlds_min, "only {} worlds", search.worlds());
}

#[test]
fn a_diff_of_two_objects_keeps_every_law_whatever_happens() {
    let setting = setting(Protocol::AsDesigned, 2, Version::Completed, Version::Pending);
    assert_lawful(setting, &SIGHTS, 600_000);
}

#[test]
fn a_record_of_many_versions_keeps_every_law_through_many_attempts() {
    let setting = setting(Protocol::AsDesigned, 3, Version::Reversed, Version::Unseen);
    assert_lawful(setting, &[], 300_000);
}

#[test]
fn two_records_of_many_versions_keep_every_law() {
    let setting = setting(Protocol::AsDesigned, 1, Version::Reversed, Version::Pending);
    assert_lawful(setting, &[], 150_000);
}

#[test]
fn a_listing_that_lags_breaks_no_law_since_the_claim_finds_it_out() {
    let setting = setting(Protocol::ListingLags, 1, Version::Completed, Version::Pending);
    assert_lawful(setting, &[], 60_000);
}

/// Each rule that is broken, with laws that this breaks.
const REFUTATIONS: [(Protocol, &[Law]); 13] = [
    (Protocol::WithoutVoid, &[Law::NoGaps, Law::NothingTwice, Law::Fenced]),
    (Protocol::VoidNotReadBack, &[Law::NoGaps, Law::NothingTwice, Law::Fenced]),
    (Protocol::Overwriting, &[Law::Immutable, Law::NothingTwice, Law::WholePolls, Law::Fenced]),
    (Protocol::ConditionIgnored, &[Law::Immutable, Law::NothingTwice, Law::NeverBack, Law::OneObjectANumber]),
    (Protocol::WithoutClaim, &[Law::OneObjectANumber, Law::NothingTwice, Law::WholePolls]),
    (Protocol::ClaimsCollected, &[Law::OneObjectANumber]),
    (Protocol::NewNumberWithoutReadBack, &[Law::NoGaps, Law::NothingTwice, Law::NeverBack]),
    (Protocol::ExistsMeansLost, &[Law::HonestOutcomes]),
    (Protocol::SilenceMeansSuccess, &[Law::HonestOutcomes, Law::NoGaps, Law::WholePolls]),
    (Protocol::RebasedObservation, &[Law::NeverBack, Law::WholePolls]),
    (Protocol::CompleteTooEarly, &[Law::WholePolls]),
    (Protocol::LastBesideTheOther, &[Law::WholePolls]),
    (Protocol::KnownKeptApart, &[Law::NothingLost]),
];

#[test]
fn each_rule_that_is_broken_breaks_laws_and_each_law_is_broken_by_some() {
    for (protocol, laws) in REFUTATIONS {
        for law in laws {
            let setting = setting(protocol, 2, Version::Completed, Version::Pending);
            let search = Search::run(setting, std::slice::from_ref(law), &[]);
            let story = search.violation.unwrap_or_else(|| panic!("{protocol:?} does not break {law:?}"));
            println!("{story}");
        }
    }
    let is_broken = |law: &Law| REFUTATIONS.iter().any(|(_, laws)| laws.contains(law));
    let unbroken: Vec<_> = Law::ALL.into_iter().filter(|law| !is_broken(law)).collect();
    assert_eq!(unbroken, [], "laws that nothing would break");
}

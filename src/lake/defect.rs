//! Deliberate defects: tests switch one on to show that it would be found. Outside tests there are none.

/// A defect, at the one place in the code that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// An open claim is passed over and not closed.
    PassesOverOpenClaims,
    /// A claim that another writer has won is taken for one's own.
    IgnoresLostClaims,
    /// The last object of a diff is sent together with the others.
    CreatesTheLastBesideTheOthers,
    /// A commit's object replaces what is at its key.
    OverwritesCommits,
    /// What is there already is believed to be one's own write, without a look.
    BelievesExistingIsOurs,
    /// What is there already is believed to be another's, without a look.
    BelievesExistingIsTheirs,
    /// The API is asked before the head is known, so that an old answer is taken against a newer head.
    PollsTooEarly,
    /// What is known after the poll is kept before the poll is committed.
    KeepsStateTooEarly,
    /// A state cache is believed although there have been commits since.
    TrustsStaleState,
    /// A projection that took its time does not look for what was committed meanwhile.
    ProjectsWithoutASecondLook,
    /// A projection is built upon without comparing its bytes.
    BuildsOnUncheckedBase,
    /// An object of a projection that is another than it was goes unnoticed.
    IgnoresDamagedProjections,
    /// A poll's time is the clock's, even if that was set back.
    TrustsTheClock,
    /// A record is filed anew with each of its versions.
    MovesRecords,
}

/// Whether the code has this defect.
#[cfg(not(test))]
pub(crate) const fn has(_: Defect) -> bool {
    false
}

/// Whether the code has this defect on this thread.
#[cfg(test)]
pub(crate) fn has(defect: Defect) -> bool {
    PRESENT.get() == Some(defect)
}

/// Gives the code a defect on this thread, or takes it away.
#[cfg(test)]
pub(crate) fn set(defect: Option<Defect>) {
    PRESENT.set(defect);
}

#[cfg(test)]
thread_local! {
    static PRESENT: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

//! Statuses, and the moments at which one transaction moves from one to the next.

use super::clock::{DAY, HOUR, MINUTE, Nanos};
use super::draw::Draw;

/// All statuses of deposits, withdrawals, trades and fills; each resource has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Submitted,
    Pending,
    Accepted,
    AwaitingConfirmation,
    Processing,
    CompliancePending,
    Completed,
    Failed,
    Cancelled,
    Reversed,
}

impl Status {
    /// As the API writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Submitted => "SUBMITTED",
            Status::Pending => "PENDING",
            Status::Accepted => "ACCEPTED",
            Status::AwaitingConfirmation => "AWAITING_CONFIRMATION",
            Status::Processing => "PROCESSING",
            Status::CompliancePending => "COMPLIANCE_PENDING",
            Status::Completed => "COMPLETED",
            Status::Failed => "FAILED",
            Status::Cancelled => "CANCELLED",
            Status::Reversed => "REVERSED",
        }
    }

    /// Whether the transaction is still under way.
    pub(super) fn is_open(self) -> bool {
        !matches!(self, Status::Completed | Status::Failed | Status::Cancelled | Status::Reversed)
    }
}

/// Longer than any transaction takes to complete: of its life's steps up to there, the longest add up to less than four days.
pub(super) const COMPLETION_MAX: Nanos = 7 * DAY;

/// More steps than the longest life has: a withdrawal that is looked into, completed and reversed.
const STEPS_MAX: usize = 8;

/// A transaction's statuses, each with the moment that began it.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    steps: [(Status, Nanos); STEPS_MAX],
    count: usize,
}

impl Lifecycle {
    /// A life that begins with the status.
    pub(super) fn begin(status: Status, at: Nanos) -> Lifecycle {
        Lifecycle { steps: [(status, at); STEPS_MAX], count: 1 }
    }

    /// After a time between the two given, the status follows.
    pub(super) fn then(&mut self, draw: &mut Draw, status: Status, low: Nanos, high: Nanos) {
        let at = self.last().1 + draw.span(low, high);
        if let Some(step) = self.steps.get_mut(self.count) {
            *step = (status, at);
            self.count += 1;
        }
    }

    /// What payments in and out have in common: they are processed, some looked into, and end well or badly; or well, until
    /// somebody takes it back.
    pub(super) fn settle(mut self, draw: &mut Draw) -> Lifecycle {
        self.then(draw, Status::Processing, 10 * MINUTE, 12 * HOUR);
        if draw.one_in(8) {
            self.then(draw, Status::CompliancePending, HOUR, 12 * HOUR);
        }
        if draw.one_in(25) {
            self.then(draw, Status::Failed, HOUR, 2 * DAY);
            return self;
        }
        self.then(draw, Status::Completed, 10 * MINUTE, 2 * DAY);
        if draw.one_in(50) {
            self.then(draw, Status::Reversed, 2 * DAY, 45 * DAY);
        }
        self
    }

    /// The status at the clock.
    pub(super) fn status(&self, clock: Nanos) -> Status {
        let reached = self.steps().iter().rev().find(|(_, at)| *at < clock);
        reached.unwrap_or(&self.steps[0]).0
    }

    /// When it was made.
    pub(super) fn begun(&self) -> Nanos {
        self.steps[0].1
    }

    /// When it reached the status, if it had by the clock.
    pub(super) fn reached(&self, status: Status, clock: Nanos) -> Option<Nanos> {
        self.steps().iter().find(|(step, at)| *step == status && *at < clock).map(|(_, at)| *at)
    }

    fn steps(&self) -> &[(Status, Nanos)] {
        &self.steps[..self.count]
    }

    fn last(&self) -> (Status, Nanos) {
        self.steps[self.count - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::Source;
    use super::*;

    #[test]
    fn a_status_lasts_from_its_moment_to_the_next() {
        let mut draw = Source::new(7, "test").draw(0);
        let mut life = Lifecycle::begin(Status::Pending, 1000);
        life.then(&mut draw, Status::Completed, HOUR, DAY);
        let completed = life.reached(Status::Completed, i64::MAX).unwrap();
        assert!((1000 + HOUR..1000 + DAY).contains(&completed));
        assert_eq!(life.status(completed), Status::Pending);
        assert_eq!(life.status(completed + 1), Status::Completed);
        assert_eq!(life.reached(Status::Completed, completed), None);
        assert_eq!(life.reached(Status::Reversed, i64::MAX), None);
        assert_eq!(life.begun(), 1000);
    }
}

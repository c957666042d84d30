//! A log that can be bent before it is written: every commit consistent with itself, whatever it says.

use std::{io::Read, ops::RangeInclusive};

use bytes::Bytes;

use super::super::{identity, partition, resource, spool};
use crate::{
    decode::{Columns, Decoder, Operation, Stamp, Zone},
    lake::{
        Commit, CommitKind, Cursor, FORMAT, Lake, Projection, Store,
        claim::{Claim, ClaimedObject},
        draft::close,
        layout::Layout,
        log::key_columns,
        parquet_file::{Writer, sha256},
        spool::Spool,
    },
    schema::{EventPartition, Granularity, Resource},
};

pub(super) const MAY: i32 = 4;
pub(super) const JUNE: i32 = 5;

/// Times of the two polls: 1970-05-10 and 1970-06-10.
pub(super) const FIRST: i64 = 129 * 86_400_000_000;
pub(super) const SECOND: i64 = 160 * 86_400_000_000;

/// A log to be written.
#[derive(Clone)]
pub(super) struct Plan {
    pub resource: Resource,
    pub commits: Vec<Planned>,
    /// Each commit names the one before it, unless it names another already.
    pub parents: Vec<Option<Option<String>>>,
}

#[derive(Clone)]
pub(super) struct Planned {
    pub commit: Commit,
    /// The first number of its claim.
    pub claim: usize,
    pub partition: EventPartition,
    pub rows: Vec<PlannedRow>,
    /// What the claim says, if not the truth.
    pub claimed_poll: Option<String>,
    /// The resource whose columns the object has, if not those of the plan's.
    pub own: Option<Resource>,
}

#[derive(Clone)]
pub(super) struct PlannedRow {
    pub text: String,
    pub operation: Operation,
    pub seq: i64,
    pub observed_at: i64,
    pub first_seen_at: i64,
    pub poll_id: String,
}

pub(super) fn deposit(id: &str, amount: u32, status: &str) -> String {
    format!(r#"{{"transactionId":"{id}","amount":{amount},"status":"{status}"}}"#)
}

/// A deposit that tells when it happened.
pub(super) fn dated(id: &str, day: &str) -> String {
    format!(r#"{{"transactionId":"{id}","status":"COMPLETED","completedAt":"{day}T00:00:00Z"}}"#)
}

/// Kind, month, records known and open afterwards, and rows.
pub(super) type PlannedPart<'p> = (CommitKind, i32, (u64, u64), &'p [(Operation, String)]);

impl Plan {
    /// Two polls of two commits each, with a claim each, the last a removal: every law holds.
    ///
    /// | commit | poll | partition | rows |
    /// |---|---|---|---|
    /// | 1 | p1 | May | `a` and `b` added, open |
    /// | 2 | p1 | June | `c` added, closed |
    /// | 3 | p2 | May | `a` changed, closed |
    /// | 4 | p2 | May | `b` removed |
    pub(super) fn lawful() -> Self {
        let mut plan = Self::empty("deposits");
        let (open, closed) = ("PENDING", "COMPLETED");
        plan.poll(
            "p1",
            FIRST,
            &[
                (
                    CommitKind::Changes,
                    MAY,
                    (2, 2),
                    &[(Operation::Added, deposit("a", 1, open)), (Operation::Added, deposit("b", 1, open))],
                ),
                (CommitKind::Changes, JUNE, (3, 2), &[(Operation::Added, dated("c", "1970-06-03"))]),
            ],
        );
        plan.poll(
            "p2",
            SECOND,
            &[
                (CommitKind::Changes, MAY, (3, 1), &[(Operation::Changed, deposit("a", 1, closed))]),
                (CommitKind::Removals, MAY, (2, 0), &[(Operation::Removed, deposit("b", 1, open))]),
            ],
        );
        plan
    }

    pub(super) fn empty(name: &str) -> Self {
        Self { resource: resource(name), commits: Vec::new(), parents: Vec::new() }
    }

    /// Adds the commits of a poll, as one claim.
    pub(super) fn poll(&mut self, poll_id: &str, observed_at: i64, commits: &[PlannedPart<'_>]) {
        let claim = self.commits.len() + 1;
        for (index, (kind, month, (known, open), rows)) in commits.iter().enumerate() {
            let seq = self.commits.len() as u64 + 1;
            let cursor = Cursor {
                poll_id: poll_id.to_owned(),
                observed_at,
                complete: index + 1 == commits.len(),
                body_bytes: 9,
                body_hash: "x".into(),
                etag: None,
                full_poll_at: None,
                backfill: None,
                newest_event_time: Some(FIRST),
                known: *known,
                open: *open,
            };
            let row = |(operation, text): &(Operation, String)| PlannedRow {
                text: text.clone(),
                operation: *operation,
                seq: seq as i64,
                observed_at,
                first_seen_at: if *operation == Operation::Added { observed_at } else { FIRST },
                poll_id: poll_id.to_owned(),
            };
            let commit = Commit {
                format: FORMAT,
                lake: identity().id,
                resource: self.resource.name.clone(),
                seq,
                kind: *kind,
                rows: rows.len() as u64,
                parent: None,
                schema: self.resource.fingerprint(),
                key: key_columns(&self.resource),
                cursor: Some(cursor),
            };
            self.commits.push(Planned {
                commit,
                claim,
                partition: partition(*month),
                rows: rows.iter().map(row).collect(),
                claimed_poll: None,
                own: None,
            });
            self.parents.push(None);
        }
    }

    pub(super) fn commit(&mut self, seq: usize) -> &mut Commit {
        &mut self.commits[seq - 1].commit
    }

    pub(super) fn cursor(&mut self, seq: usize) -> &mut Cursor {
        self.commit(seq).cursor.as_mut().unwrap()
    }

    pub(super) fn row(&mut self, seq: usize, row: usize) -> &mut PlannedRow {
        &mut self.commits[seq - 1].rows[row]
    }

    /// Sets the rows of a commit, and counts them in its footer.
    pub(super) fn set_rows(&mut self, seq: usize, rows: Vec<PlannedRow>) {
        self.commit(seq).rows = rows.len() as u64;
        self.commits[seq - 1].rows = rows;
    }

    /// Makes a commit a void, as the next sync would: it tells the cursor from before its claim.
    pub(super) fn make_void(&mut self, seq: usize) {
        self.set_rows(seq, Vec::new());
        let claim = self.commits[seq - 1].claim;
        let before = self.commits[..claim - 1].iter().rfind(|planned| planned.commit.kind != CommitKind::Void);
        let before = before.and_then(|planned| planned.commit.cursor.clone());
        (self.commit(seq).kind, self.commit(seq).cursor) = (CommitKind::Void, before);
    }

    /// Adds a poll of three commits, 5 to 7: `d` is added in July, `e` in August, and `f` in September; all are closed.
    pub(super) fn more(&mut self) {
        let parts = [("d", 6, 3), ("e", 7, 4), ("f", 8, 5)].map(|(id, month, known)| {
            (month, known, [(Operation::Added, dated(id, &format!("1970-{:02}-02", month + 1)))])
        });
        let [d, e, f] = &parts;
        let parts = [d, e, f].map(|(month, known, rows)| (CommitKind::Changes, *month, (*known, 0), rows.as_slice()));
        self.poll("p3", SECOND + 1, &parts);
    }

    /// Adds a poll of two more commits behind these, 8 and 9, which counts what is there.
    pub(super) fn even_more(&mut self) {
        let present = |seq: usize| u64::from(self.commits[seq - 1].commit.kind != CommitKind::Void);
        let there = 2 + present(5) + present(6) + present(7);
        let (g, h) = (dated("g", "1970-10-02"), dated("h", "1970-11-02"));
        let rows = [[(Operation::Added, g)], [(Operation::Added, h)]];
        let part = |month, known, rows| (CommitKind::Changes, month, (known, 0), rows);
        self.poll("p4", SECOND + 2, &[part(9, there + 1, rows[0].as_slice()), part(10, there + 2, rows[1].as_slice())]);
    }

    /// SHA-256 of the object of a commit.
    pub(super) fn sha256_of(&self, seq: usize) -> Option<String> {
        Some(sha256(&self.encode_all().0[seq - 1]))
    }

    /// Gives each commit a claim of its own.
    pub(super) fn claim_each(&mut self) {
        (1..).zip(&mut self.commits).for_each(|(seq, planned)| planned.claim = seq);
    }

    pub(super) fn key(&self, seq: usize) -> String {
        let layout = Layout::new(&self.resource, Granularity::Month);
        layout.commit(self.commits[seq - 1].partition, seq as u64)
    }

    pub(super) fn claim_key(&self, seq: usize) -> String {
        Layout::new(&self.resource, Granularity::Month).claim(self.commits[seq - 1].claim as u64)
    }

    /// Writes the log, and nothing else, into a new lake.
    pub(super) async fn write(&self, store: Store) -> Lake {
        let lake = Lake::open_or_create(store, identity()).await.unwrap();
        self.write_range(&lake, 1..=self.commits.len()).await;
        lake
    }

    /// Writes the commits with these numbers, and the claims that begin with one of them.
    pub(super) async fn write_range(&self, lake: &Lake, numbers: RangeInclusive<usize>) {
        let (objects, claims) = self.encode_all();
        for (index, bytes) in objects.into_iter().enumerate().filter(|(index, _)| numbers.contains(&(index + 1))) {
            if let Some(claim) = claims.iter().find(|claim| claim.seq == index as u64 + 1) {
                lake.store.replace(&self.claim_key(index + 1), claim.to_bytes().unwrap()).await.unwrap();
            }
            lake.store.replace(&self.key(index + 1), bytes).await.unwrap();
        }
    }

    /// All objects, each of which names the one before it, and all claims.
    fn encode_all(&self) -> (Vec<Bytes>, Vec<Claim>) {
        let (mut objects, mut claims) = (Vec::new(), Vec::<Claim>::new());
        let mut parent: Option<String> = None;
        for (index, planned) in self.commits.iter().enumerate() {
            if planned.claim != index + 1
                && let Some(before) = claims.last().and_then(|claim| claim.objects.last())
            {
                // Within a claim, what was promised is named, whatever came of it.
                parent = Some(before.sha256.clone());
            }
            let named = self.parents[index].clone().unwrap_or_else(|| parent.take());
            let bytes = self.encode(planned, named);
            let hash = sha256(&bytes);
            parent = Some(hash.clone());
            // Whoever claimed the number of a void had something else to write.
            let is_void = planned.commit.kind == CommitKind::Void;
            let sha256 = if is_void { "0".repeat(64) } else { hash };
            let object = ClaimedObject { key: self.key(index + 1), size: bytes.len() as u64, sha256 };
            objects.push(bytes);
            match claims.last_mut() {
                Some(claim) if planned.claim != index + 1 => claim.objects.push(object),
                _ => {
                    let poll_id = planned.commit.cursor.as_ref().map(|cursor| cursor.poll_id.clone());
                    let poll_id = planned.claimed_poll.clone().or(poll_id).unwrap_or_default();
                    claims.push(Claim { seq: index as u64 + 1, poll_id, objects: vec![object] });
                }
            }
        }
        // A void tells of the poll before, its claim does not.
        for claim in &mut claims {
            let first = claim.seq as usize - 1;
            let of_claim = &self.commits[first..first + claim.objects.len()];
            let rows = of_claim.iter().find(|planned| planned.commit.kind != CommitKind::Void);
            if let (None, Some(cursor)) = (&of_claim[0].claimed_poll, rows.and_then(|rows| rows.commit.cursor.as_ref()))
            {
                claim.poll_id = cursor.poll_id.clone();
            }
        }
        (objects, claims)
    }

    /// Makes the state cache and `current/` as a sync would.
    pub(super) async fn add_caches(&self, lake: &Lake) {
        let log = crate::lake::Log::new(lake, &self.resource);
        let head = log.head().await.unwrap();
        let decoder = Decoder::new(&self.resource, Zone::UTC);
        let (known, _) = crate::lake::load_known(lake, &decoder, &head, &spool()).await.unwrap();
        crate::lake::save_known(lake, &decoder, &head, known.records()).await.unwrap();
        Projection::new(lake, &self.resource, &spool())
            .advance(&log, &head, &crate::lake::Twins::default())
            .await
            .unwrap();
    }

    fn encode(&self, planned: &Planned, parent: Option<String>) -> Bytes {
        let resource = planned.own.as_ref().unwrap_or(&self.resource);
        let mut decoder = Decoder::new(resource, Zone::UTC);
        let mut columns = Columns::new(resource);
        for row in &planned.rows {
            let stamp = Stamp {
                seq: row.seq,
                operation: row.operation,
                observed_at: row.observed_at,
                first_seen_at: row.first_seen_at,
                poll_id: &row.poll_id,
            };
            columns.append(&decoder.decode(row.text.as_bytes()).unwrap(), stamp);
        }
        let segment = Spool::new(&spool()).unwrap().begin();
        let mut writer = Writer::new(resource.arrow_schema(), segment).unwrap();
        writer.write(&columns.finish().unwrap()).unwrap();
        let (mut written, _) = close(writer, Commit { parent, ..planned.commit.clone() }).unwrap();
        let mut bytes = Vec::new();
        written.content.read_to_end(&mut bytes).unwrap();
        bytes.into()
    }
}

//! `current/` against the fold of the commits, object by object and row by row.
//!
//! Only what the index says of the last commit is held to it. An index that is of an earlier one, of another schema, or not
//! to be read is no finding: the next sync sees the same, and makes anew what it does not vouch for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
};

use bytes::Bytes;

use super::{
    super::{FORMAT, LakeError, claim, current::Index, parquet_file::Content, state::known_record, store::Listed},
    Depth, Finding, Law, Scope, Verification,
    chain::Chain,
    damage, difference,
    elements::Elements,
    report::Problems,
};
use crate::{
    decode::{Row, Stamp, flatten},
    schema::{EventPartition, Table, TableRows},
};

pub(super) async fn verify(scope: &Scope<'_>, chain: &mut Chain, report: &mut Verification) -> Result<(), LakeError> {
    let index_key = scope.layout.current_index();
    let bytes = scope.lake.store.get(&index_key).await?;
    let mut comparison = Comparison::new(scope);
    comparison.list(chain, report).await?;
    match standing(scope, chain, bytes.as_ref()) {
        Ok(index) => comparison.compare(&index, chain, report).await?,
        Err(Some(_)) if reflects_more(bytes.as_ref(), chain) => {
            let problem = format!("reflects a commit after {}, the last there is: commits have gone", chain.head);
            comparison.find(Law::Chain, &index_key, problem);
        }
        Err(Some(why)) => {
            report.note(&index_key, format!("{why}; `current/` was not compared, the next sync sees to it"))
        }
        Err(None) => {}
    }
    if comparison.findings.is_empty() {
        return Ok(());
    }
    if has_moved(scope, chain, bytes.as_ref()).await? {
        let text = "another run has written meanwhile, so that what differs was not held against `current/`";
        report.note(&index_key, text);
    } else {
        comparison.findings.into_iter().for_each(|finding| report.add(finding));
    }
    Ok(())
}

/// Whether the index knows commits that are not there.
fn reflects_more(bytes: Option<&Bytes>, chain: &Chain) -> bool {
    bytes.and_then(|bytes| Index::read(bytes).ok()).is_some_and(|index| index.seq > chain.head)
}

/// The index if it is of the last commit, else what it is, where there is something to say.
fn standing(scope: &Scope<'_>, chain: &Chain, bytes: Option<&Bytes>) -> Result<Index, Option<String>> {
    let head = chain.head;
    let Some(bytes) = bytes else {
        return Err((head > 0).then(|| "is missing".to_owned()));
    };
    let index = Index::read(bytes).map_err(Some)?;
    if index.format != FORMAT || index.schema != scope.resource.fingerprint() {
        return Err(Some("is of another format or schema".to_owned()));
    }
    if index.seq != head {
        return Err(Some(format!("reflects commit {}, the last is {head}", index.seq)));
    }
    if chain.heads().iter().any(|head| head.sha256 == index.sha256) {
        Ok(index)
    } else {
        Err(Some(format!("reflects another commit {head} than there is")))
    }
}

/// Whether another run has committed or projected since this verification began.
async fn has_moved(scope: &Scope<'_>, chain: &Chain, index: Option<&Bytes>) -> Result<bool, LakeError> {
    let mut is_closed = !chain.open.is_empty();
    for open in &chain.open {
        is_closed = is_closed && scope.lake.store.tail(open, 1).await?.is_some();
    }
    let later = claim::numbers(scope.lake, &scope.layout, chain.last_claim).await?;
    Ok(is_closed || !later.is_empty() || scope.lake.store.get(&scope.layout.current_index()).await?.as_ref() != index)
}

/// `current/` while it is compared.
struct Comparison<'a> {
    scope: &'a Scope<'a>,
    tables: Vec<Table>,
    listed: BTreeMap<String, Listed>,
    /// Partitions whose records were compared.
    compared: BTreeSet<EventPartition>,
    /// Objects that are as the index says but for their ETag.
    rewritten: u64,
    /// What is wrong, unless another run turns out to have written.
    findings: Vec<Finding>,
}

impl<'a> Comparison<'a> {
    fn new(scope: &'a Scope<'a>) -> Self {
        Self {
            scope,
            tables: scope.resource.tables(),
            listed: BTreeMap::new(),
            compared: BTreeSet::new(),
            rewritten: 0,
            findings: Vec::new(),
        }
    }

    fn find(&mut self, law: Law, key: &str, problem: impl Into<String>) {
        self.findings.push(Finding { law, key: key.to_owned(), problem: problem.into() });
    }

    /// Lists the tables, and finds what no commit backs.
    async fn list(&mut self, chain: &Chain, report: &mut Verification) -> Result<(), LakeError> {
        let names: Vec<String> = self.tables.iter().map(|table| table.name.clone()).collect();
        for table in names {
            for object in self.scope.lake.store.list(&format!("current/{table}")).await? {
                match self.scope.layout.parse_current(&table, &object.key) {
                    None => {
                        report.find(Law::Strays, &object.key, "is no projection, and a glob over `current/` reads it")
                    }
                    Some(partition) if !backed(chain, partition) => {
                        self.find(
                            Law::Strays,
                            &object.key,
                            "is a partition without commits, and a glob over `current/` reads it",
                        );
                    }
                    Some(_) => report.figures.current_objects += 1,
                }
                self.listed.insert(object.key.clone(), object);
            }
        }
        Ok(())
    }

    async fn compare(&mut self, index: &Index, chain: &mut Chain, report: &mut Verification) -> Result<(), LakeError> {
        for key in index.objects.keys() {
            let mut partitions =
                self.tables.iter().filter_map(|table| self.scope.layout.parse_current(&table.name, key));
            if !partitions.next().is_some_and(|partition| backed(chain, partition)) {
                self.find(Law::Current, key, "is in the index, and no commit backs it");
            }
        }
        for partition in chain.partitions.clone() {
            self.compare_partition(partition, index, chain, report).await?;
        }
        for (partition, (missing, seq)) in chain.versions.not_shown(&self.compared) {
            let key = self.scope.layout.current(&self.scope.resource.name, partition);
            self.find(Law::Current, &key, format!("lacks {missing} records, one of them of commit {seq}"));
        }
        if self.rewritten > 0 {
            let bytes =
                if self.scope.depth == Depth::Quick { "their bytes were not read" } else { "with the same bytes" };
            let text =
                format!("says another ETag of {} objects, {bytes}; the next sync makes them anew", self.rewritten);
            report.note(&self.scope.layout.current_index(), text);
        }
        Ok(())
    }

    async fn compare_partition(
        &mut self,
        partition: EventPartition,
        index: &Index,
        chain: &mut Chain,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let mut lists: Vec<Elements> = self.tables.iter().map(|_| Elements::default()).collect();
        let mut parents = false;
        for at in 0..self.tables.len() {
            let table = self.tables[at].clone();
            let key = self.scope.layout.current(&table.name, partition);
            let Some(content) = self.vouched(&key, &table, index, report).await? else { continue };
            match table.rows {
                TableRows::Records if chain.versions.lost.has(partition) => {}
                TableRows::Records => {
                    parents = self.records(&key, partition, content, chain, &mut lists, report)?;
                }
                TableRows::Elements(_) if parents => {
                    self.elements(&key, &table, content, &lists[at], chain, report)?;
                }
                TableRows::Elements(_) => {}
            }
        }
        Ok(())
    }

    /// The object if it is the one in the index. Looked at quickly it is not read, so that there is nothing to give out.
    async fn vouched(
        &mut self,
        key: &str,
        table: &Table,
        index: &Index,
        report: &mut Verification,
    ) -> Result<Option<Content<File>>, LakeError> {
        let Some(listed) = self.listed.get(key) else {
            self.find(Law::Current, key, "is missing");
            return Ok(None);
        };
        let Some(object) = index.objects.get(key) else {
            self.find(Law::Current, key, "is not in the index");
            return Ok(None);
        };
        if listed.size != object.size {
            let problem = format!("has {} bytes, the index says {}", listed.size, object.size);
            self.find(Law::Current, key, problem);
            return Ok(None);
        }
        let is_rewritten = listed.etag != object.etag;
        if self.scope.depth == Depth::Quick {
            self.rewritten += u64::from(is_rewritten);
            return Ok(None);
        }
        let Some(copy) = self.scope.copy(key).await? else {
            self.find(Law::Current, key, "has vanished");
            return Ok(None);
        };
        report.figures.bytes_hashed += copy.size;
        if copy.sha256 != object.sha256 {
            self.find(Law::Current, key, format!("has SHA-256 {}, the index says {}", copy.sha256, object.sha256));
            return Ok(None);
        }
        self.rewritten += u64::from(is_rewritten);
        let Some(content) = self.readable(key, Content::open(key, copy.content))? else { return Ok(None) };
        match difference(content.schema().fields(), table.schema.fields()) {
            None => Ok(Some(content)),
            Some(difference) => {
                self.find(Law::Current, key, difference);
                Ok(None)
            }
        }
    }

    /// Holds the rows of a partition to the versions, and gathers what its lists come to. `false` if they cannot be read.
    fn records(
        &mut self,
        key: &str,
        partition: EventPartition,
        content: Content<File>,
        chain: &mut Chain,
        lists: &mut [Elements],
        report: &mut Verification,
    ) -> Result<bool, LakeError> {
        let (resource, lake) = (self.scope.resource, self.scope.lake);
        let mut problems = Problems::of(key);
        for batch in content.batches(None)? {
            let Some(batch) = self.readable(key, batch)? else { return Ok(false) };
            report.figures.current_rows += batch.num_rows() as u64;
            for index in 0..batch.num_rows() {
                let row = Row::read(&batch, index, resource);
                let stamp = Stamp::read(&batch, index);
                let record = stamp.and_then(|stamp| known_record(&row, stamp, partition, resource, lake));
                match (row.key(resource), stamp, record) {
                    (Some((_, text)), Some(stamp), Some(record)) => {
                        chain.versions.show(text, &record, stamp, &mut problems);
                    }
                    _ => problems.add(Law::Current, "lacks its key or a system column", || format!("row {index}")),
                }
            }
            for (table, elements) in self.tables.iter().zip(lists.iter_mut()) {
                if let TableRows::Elements(list) = table.rows {
                    let flat = flatten(&batch, resource, list, &table.schema)
                        .map_err(|error| LakeError::damaged(key, error.to_string()))?;
                    elements.add(self.scope, table, &flat);
                }
            }
        }
        self.compared.insert(partition);
        self.findings.extend(problems.findings());
        Ok(true)
    }

    /// Holds the rows of a flat table to what the lists of its records come to.
    fn elements(
        &mut self,
        key: &str,
        table: &Table,
        content: Content<File>,
        expected: &Elements,
        chain: &mut Chain,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let mut found = Elements::default();
        for batch in content.batches(None)? {
            let Some(batch) = self.readable(key, batch)? else { return Ok(()) };
            report.figures.current_rows += batch.num_rows() as u64;
            found.add(self.scope, table, &batch);
        }
        let differing = found.differing(expected);
        let Some(first) = differing.first() else { return Ok(()) };
        let of = match chain.versions.commit_of(*first) {
            Some(seq) => format!("one of them of commit {seq}"),
            None => "one of them of no commit".to_owned(),
        };
        let (records, resource) = (differing.len(), &self.scope.resource.name);
        self.find(Law::Current, key, format!("holds other rows than {records} records of {resource} do, {of}"));
        Ok(())
    }

    /// What was read of an object, or `None` with a finding if it is damaged.
    fn readable<T>(&mut self, key: &str, read: Result<T, LakeError>) -> Result<Option<T>, LakeError> {
        let read = damage(read)?;
        if let Err(problem) = &read {
            self.find(Law::Current, key, problem.as_str());
        }
        Ok(read.ok())
    }
}

/// Whether a commit lies in this partition, or one that cannot be found may have.
fn backed(chain: &Chain, partition: EventPartition) -> bool {
    chain.partitions.contains(&partition) || chain.versions.lost.has(partition)
}

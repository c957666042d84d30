//! The state cache, if it says that it is of the last commit: then it knows what the commits come to, record by record.

use super::{super::state::cached, Law, Scope, Verification, chain::Chain, report::Problems};
use crate::lake::LakeError;

pub(super) async fn verify(scope: &Scope<'_>, chain: &mut Chain, report: &mut Verification) -> Result<(), LakeError> {
    let key = scope.layout.state();
    let Some(head) = chain.heads().pop().filter(|head| head.seq > 0) else { return Ok(()) };
    let cached = match cached(scope.lake, scope.decoder, &head, scope.spool).await {
        Err(LakeError::RolledBack { seq, .. }) => {
            let problem = format!("knows commit {seq}, and the log ends with {}: commits have gone", head.seq);
            report.find(Law::Chain, &key, problem);
            return Ok(());
        }
        read => report.admit(Law::Chain, read)?.flatten(),
    };
    let Some((of, known)) = cached else {
        let text = format!("is no whole cache up to commit {} with these settings; the next sync makes one", head.seq);
        report.note(&key, text);
        return Ok(());
    };
    if !chain.heads().iter().any(|head| (head.seq, &head.sha256) == (of.seq, &of.sha256)) {
        report.note(&key, format!("is of commit {} of {}; the next sync brings it up to date", of.seq, head.seq));
        return Ok(());
    }
    if !chain.versions.lost.is_empty() {
        return Ok(());
    }
    let mut problems = Problems::of(&key);
    chain.versions.compare(&known, &mut problems)?;
    problems.findings().for_each(|finding| report.add(finding));
    Ok(())
}

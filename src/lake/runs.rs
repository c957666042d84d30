//! The history of runs: a line each, the last one last, in one object that is replaced. It is for people, and nothing depends
//! on it: of two runs that end at the same moment, one may not be in it.

use super::{Lake, LakeError, layout::RUNS};

impl Lake {
    /// The last runs, a line each.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn runs(&self) -> Result<Vec<String>, LakeError> {
        let bytes = self.store.get(RUNS).await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Keeps one more run, which is a line, and of all of them the last `kept`.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with.
    pub async fn keep_run(&self, run: &str, kept: usize) -> Result<(), LakeError> {
        let mut runs = self.runs().await?;
        runs.push(run.to_owned());
        let text: String = runs.iter().skip(runs.len().saturating_sub(kept)).map(|run| format!("{run}\n")).collect();
        self.store.replace(RUNS, text.into()).await.map(drop)
    }
}

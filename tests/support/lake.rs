//! A lake in a temporary folder, seen as files.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use tempfile::TempDir;

use super::program::secret_forms;

/// A lake, and the folder around it in which the program runs.
pub struct Lake {
    folder: TempDir,
    path: PathBuf,
}

/// A file's size, inode and time of change: another write, even of equal bytes, is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    size: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Lake {
    /// Not yet there.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lake");
        Self { folder, path }
    }

    /// With these files.
    pub fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let lake = Self::new();
        for (file, bytes) in files {
            let path = lake.path.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        lake
    }

    /// A copy of the lake in a folder.
    pub fn copy_of(folder: &Path) -> Self {
        let mut files = Vec::new();
        walk(folder, &mut files);
        let read = |file: PathBuf| {
            let name = file.strip_prefix(folder).unwrap().display().to_string();
            (name, fs::read(file).unwrap())
        };
        Self::of(&files.into_iter().map(read).collect())
    }

    /// The folder around it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What DuckDB reads a table of `current`, or a resource of `changes`, with.
    pub fn scan(&self, layer: &str, table: &str) -> String {
        format!("read_parquet('{}/{layer}/{table}/**/*.parquet')", self.path.display())
    }

    /// The quarantined records of a resource, and those released.
    pub fn quarantine(&self, resource: &str) -> String {
        format!("read_parquet('{}/quarantine/{resource}/*.parquet')", self.path.display())
    }

    /// Every file, by its path in the lake.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        if self.path.exists() {
            walk(&self.path, &mut files);
        }
        let prefix = self.path.display().to_string() + "/";
        let mut files: Vec<_> =
            files.iter().map(|file| file.display().to_string().strip_prefix(&prefix).unwrap().to_owned()).collect();
        files.sort();
        files
    }

    /// Files below a folder.
    pub fn files_below(&self, folder: &str) -> Vec<String> {
        let prefix = format!("{folder}/");
        self.files().into_iter().filter(|file| file.starts_with(&prefix)).collect()
    }

    /// When and where every file was written. Equal listings mean that nothing was.
    pub fn listing(&self) -> BTreeMap<String, Written> {
        let written = |file: String| {
            let metadata = fs::metadata(self.path.join(&file)).unwrap();
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            (file, Written { size: metadata.len(), inode: metadata.ino(), modified })
        };
        self.files().into_iter().map(written).collect()
    }

    /// Every file with its bytes.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.files().into_iter().map(|file| (file.clone(), fs::read(self.path.join(file)).unwrap())).collect()
    }

    /// Fails if anything is committed, or claimed.
    #[track_caller]
    pub fn assert_nothing_committed(&self) {
        let files = self.files();
        let truth: Vec<_> =
            files.iter().filter(|file| file.starts_with("changes/") || file.contains("/log/")).collect();
        assert!(truth.is_empty(), "{truth:?}");
    }

    /// Numbers of the commits of a resource, from the names of its objects.
    pub fn commits(&self, resource: &str) -> Vec<u64> {
        let files = self.files_below(&format!("changes/{resource}"));
        let mut numbers: Vec<u64> = files
            .iter()
            .filter_map(|file| file.rsplit('/').next()?.strip_suffix(".parquet"))
            .map(|name| name.parse().unwrap_or_else(|_| panic!("a stray in changes/{resource}: {name}")))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Whatever a test has done with it, at its end no file holds a credential.
impl Drop for Lake {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let (forms, mut folders) = (secret_forms(), vec![self.path.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                // Links, and what the test has hidden, are not the program's.
                let (path, file_type) = (entry.path(), entry.file_type().unwrap());
                let bytes = if file_type.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
                let text = format!("{}\n{}", path.display(), String::from_utf8_lossy(&bytes));
                assert!(!forms.iter().any(|form| text.contains(form)), "{} holds a credential", path.display());
                folders.extend(file_type.is_dir().then_some(path));
            }
        }
    }
}

/// Fails unless both listings are the same, and says where they differ.
#[track_caller]
pub fn assert_untouched<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>, when: &str) {
    let gone: Vec<_> = before.keys().filter(|file| !after.contains_key(*file)).collect();
    let touched: Vec<_> =
        after.iter().filter(|(file, now)| before.get(*file) != Some(now)).map(|(file, _)| file).collect();
    assert!(gone.is_empty() && touched.is_empty(), "{when}: gone {gone:?}, written {touched:?}");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

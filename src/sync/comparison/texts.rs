//! The texts of records that differ, in a nameless file, until the lake's rows come that they are compared with.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

pub(super) struct Texts {
    folder: PathBuf,
    file: Option<BufWriter<File>>,
    written: u64,
    /// By the hash of the record's key.
    places: HashMap<u128, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: u64,
    length: u32,
    is_stale: bool,
}

impl Texts {
    /// None yet; `folder` is for the file.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: None, written: 0, places: HashMap::new() }
    }

    /// Keeps the text of a record, and whether it is an older version than is known.
    pub(super) fn keep(&mut self, key: u128, text: &[u8], is_stale: bool) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(tempfile::tempfile_in(&self.folder)?)),
        };
        file.write_all(text)?;
        self.places.insert(key, Place { start: self.written, length, is_stale });
        self.written += u64::from(length);
        Ok(())
    }

    /// The records of which a text is kept.
    pub(super) fn keys(&self) -> impl Iterator<Item = u128> {
        self.places.keys().copied()
    }

    /// What was kept of a record; `None` if nothing was.
    pub(super) fn read(&mut self, key: u128) -> io::Result<Option<(Vec<u8>, bool)>> {
        let (Some(&Place { start, length, is_stale }), Some(file)) = (self.places.get(&key), &mut self.file) else {
            return Ok(None);
        };
        file.flush()?;
        let mut text = vec![0; length as usize];
        file.get_ref().read_exact_at(&mut text, start)?;
        Ok(Some((text, is_stale)))
    }
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;

    use super::*;

    #[test]
    fn texts_are_read_back_by_key_in_any_order() {
        let mut texts = Texts::new(&temp_dir());
        assert_eq!(texts.read(1).unwrap(), None);
        for (key, text) in [(1, "one"), (2, ""), (3, "three")] {
            texts.keep(key, text.as_bytes(), key == 2).unwrap();
        }
        for (key, text) in [(3, "three"), (1, "one"), (2, "")] {
            assert_eq!(texts.read(key).unwrap(), Some((text.as_bytes().to_vec(), key == 2)));
        }
        assert_eq!((texts.read(4).unwrap(), texts.keys().count()), (None, 3));
    }
}

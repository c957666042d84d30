//! The set of resources a run knows: those compiled in, with the user's own over them.

use std::path::Path;

use super::{Resource, SchemaError, Type, definition};

/// Descriptions compiled in, in the order in which they are polled: what others refer to comes first.
const BUILTIN: [(&str, &str); 8] = [
    ("accounts.json", include_str!("../../schemas/accounts.json")),
    ("wallets.json", include_str!("../../schemas/wallets.json")),
    ("beneficiaries.json", include_str!("../../schemas/beneficiaries.json")),
    ("deposits.json", include_str!("../../schemas/deposits.json")),
    ("withdrawals.json", include_str!("../../schemas/withdrawals.json")),
    ("trades.json", include_str!("../../schemas/trades.json")),
    ("currencies.json", include_str!("../../schemas/currencies.json")),
    ("payment_routes.json", include_str!("../../schemas/payment_routes.json")),
];

/// All resources, each name once.
#[derive(Debug, Clone)]
pub struct Schemas {
    resources: Vec<Resource>,
}

impl Schemas {
    /// The resources that this version knows by itself.
    ///
    /// # Errors
    ///
    /// None in a released build: the files are compiled in, and a test reads them all.
    pub fn builtin() -> Result<Self, SchemaError> {
        let resources = BUILTIN.iter().map(|(file, text)| definition::parse(file, text)).collect::<Result<_, _>>()?;
        Self { resources }.validated("schemas")
    }

    /// These resources with every `*.json` of `folder` over them: one of the same name is replaced, another is added.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if the folder or a file of it cannot be read or used, or two resources claim one table.
    pub fn with_overrides(mut self, folder: &Path) -> Result<Self, SchemaError> {
        let unreadable = |source| SchemaError::Unreadable { path: folder.display().to_string(), source };
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let mut files =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        for file in files {
            let path = file.display().to_string();
            let text = std::fs::read_to_string(&file)
                .map_err(|source| SchemaError::Unreadable { path: path.clone(), source })?;
            self.set(definition::parse(&path, &text)?);
        }
        self.validated(&folder.display().to_string())
    }

    /// All resources, in the order in which they are polled.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter()
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Resource> {
        self.resources.iter_mut()
    }

    /// The resource of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }

    fn set(&mut self, resource: Resource) {
        match self.resources.iter_mut().find(|known| known.name == resource.name) {
            Some(known) => *known = resource,
            None => self.resources.push(resource),
        }
    }

    /// A table belongs to one resource, else two projections would write one folder.
    fn validated(self, source: &str) -> Result<Self, SchemaError> {
        let mut tables: Vec<&str> = self.resources.iter().flat_map(table_names).collect();
        tables.sort_unstable();
        match tables.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(SchemaError::Invalid {
                file: source.to_owned(),
                problem: format!("two resources become the table `{}`", pair[0]),
            }),
            None => Ok(self),
        }
    }
}

fn table_names(resource: &Resource) -> impl Iterator<Item = &str> {
    let lists = resource.columns.iter().filter_map(|column| match &column.kind {
        Type::List(list) => Some(list.table.as_str()),
        _ => None,
    });
    std::iter::once(resource.name.as_str()).chain(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_schema_is_valid_and_documented() {
        let schemas = Schemas::builtin().unwrap();
        assert_eq!(schemas.iter().count(), BUILTIN.len());
        for resource in schemas.iter() {
            assert!(!resource.doc.is_empty());
            assert!(resource.columns.iter().all(|column| !column.doc.is_empty()), "{}", resource.name);
        }
    }

    #[test]
    fn a_folder_replaces_and_adds() {
        let folder = tempfile::tempdir().unwrap();
        let mine = include_str!("../../schemas/accounts.json").replace("Available balance", "Balance");
        std::fs::write(folder.path().join("accounts.json"), &mine).unwrap();
        std::fs::write(folder.path().join("b.json"), mine.replace("\"accounts\"", "\"ledgers\"")).unwrap();
        let schemas = Schemas::builtin().unwrap().with_overrides(folder.path()).unwrap();
        assert_eq!(schemas.iter().count(), BUILTIN.len() + 1);
        assert!(schemas.get("accounts").unwrap().columns[2].doc.starts_with("Balance"));
        assert!(schemas.get("ledgers").is_some());
    }

    #[test]
    fn two_resources_cannot_become_one_table() {
        let folder = tempfile::tempdir().unwrap();
        let mine = include_str!("../../schemas/accounts.json").replace("\"accounts\"", "\"trade_fills\"");
        std::fs::write(folder.path().join("a.json"), mine).unwrap();
        let message = Schemas::builtin().unwrap().with_overrides(folder.path()).unwrap_err().to_string();
        assert!(message.contains("`trade_fills`"), "{message}");
    }
}

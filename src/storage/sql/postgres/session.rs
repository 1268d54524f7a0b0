//! Settings of a Postgres session, set first and read back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Error, PgConnection, Row as _};

/// Settings of a session, set and read back in one round trip on each new connection. Start-up options are not used: a pooler
/// may drop them without a word, and a setting that is asked for and never looked at may not hold.
#[derive(Debug)]
pub(in crate::storage::sql) struct SessionSettings {
    wanted: Vec<(&'static str, String)>,
    text: Arc<str>,
}

/// A setting of the session is not as it was set.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database session has {found} although {wanted} was set; a pooler before Postgres has to work in session mode"
)]
struct NotSet {
    wanted: String,
    found: String,
}

impl SessionSettings {
    /// Names and values as `pg_settings` shows them: numbers in the setting's own unit, `on` and `off`.
    pub(super) fn new(wanted: Vec<(&'static str, String)>) -> Self {
        let mut text = String::new();
        for (name, value) in &wanted {
            debug_assert!(!value.contains(['\'', '\\']), "values are words and numbers of this module");
            let _ = writeln!(text, "SET {name} = '{value}';");
        }
        let names: Vec<String> = wanted.iter().map(|(name, _)| format!("'{name}'")).collect();
        let _ = write!(
            text,
            "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ({})",
            names.join(", ")
        );
        Self { wanted, text: text.into() }
    }

    /// These settings and `more`.
    pub(super) fn with(&self, more: &[(&'static str, &str)]) -> Self {
        let mut wanted = self.wanted.clone();
        wanted.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Self::new(wanted)
    }

    /// Sets the session up; the error names a setting that it has otherwise.
    pub(in crate::storage::sql) async fn establish(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), Error> {
        let rows = sqlx::raw_sql(AssertSqlSafe(Arc::clone(&self.text))).fetch_all(connection).await?;
        let mut found = BTreeMap::new();
        for row in rows {
            found.insert(row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?);
        }
        self.held_by(&found).map_err(|unset| {
            tracing::error!(error = %unset, "a connection to the database is not used");
            Error::Configuration(unset.into())
        })
    }

    fn held_by(&self, found: &BTreeMap<String, String>) -> Result<(), NotSet> {
        for (name, value) in &self.wanted {
            let other = match found.get(*name) {
                Some(found) if found == value => continue,
                Some(found) => format!("{name}={found}"),
                None => format!("no {name}"),
            };
            return Err(NotSet { wanted: format!("{name}={value}"), found: other });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_lacks_a_setting_is_refused_by_its_name() {
        let settings = SessionSettings::new(vec![("synchronous_commit", "on".to_owned())])
            .with(&[("statement_timeout", "2000")]);
        let held = |pairs: &[(&str, &str)]| {
            let found = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            settings.held_by(&found).map_err(|unset| unset.to_string())
        };
        assert_eq!(
            held(&[("synchronous_commit", "on"), ("statement_timeout", "2000"), ("jit", "on")]),
            Ok(())
        );
        let lost = held(&[("synchronous_commit", "off"), ("statement_timeout", "2000")]).unwrap_err();
        assert!(lost.contains("has synchronous_commit=off although synchronous_commit=on was set"), "{lost}");
        let absent = held(&[("synchronous_commit", "on")]).unwrap_err();
        assert!(absent.contains("no statement_timeout"), "{absent}");
    }
}

//! Reading and checking the settings of every source.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use super::model::{Provenance, Settings};
use super::{ConfigError, Environment, SettingProblem, Sources, layers, secrets, validation};

impl Settings {
    /// Reads and checks every setting. In development, missing secrets are taken from `<data>/secrets.toml`, which is generated on the
    /// first start; in other environments they must be set.
    ///
    /// # Errors
    /// Every problem of every setting.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let (environment, mut problems) = sources.environment();
        let layers = layers::read(sources, environment);
        problems.extend(layers.problems);

        let (mut settings, refused) = Self::from_leaves(&layers.leaves);
        settings.environment = environment;
        // A value that could not be read was replaced by its default, so validation has nothing to add about it.
        let unread: BTreeSet<String> =
            problems.iter().chain(&refused).map(|problem| problem.key.clone()).collect();
        let wrong =
            validation::problems(&settings).into_iter().filter(|problem| !unread.contains(&problem.key));
        for mut problem in refused.into_iter().chain(wrong) {
            let set = layers.leaves.get(&problem.key).filter(|leaf| leaf.origin != layers::BUILT_IN);
            if let Some(leaf) = set {
                problem.message.push_str(&format!(" (set by {})", leaf.origin));
            }
            problems.push(problem);
        }

        let given = layers.leaves.into_iter().filter(|(_, leaf)| leaf.origin != layers::BUILT_IN);
        let origins = given.map(|(key, leaf)| (key, leaf.origin)).collect();
        settings.provenance = Provenance { origins, notices: layers.notices };
        if environment == Environment::Production && settings.storage.database.url.expose_secret().is_empty()
        {
            let notice =
                "DATABASE_URL is not set: production keeps its data in a SQLite file in the data folder";
            settings.provenance.notices.push(notice.to_owned());
        }

        // Settings with a problem write nothing to disk.
        if problems.is_empty() && environment == Environment::Development {
            problems.extend(secrets::fill_in(&mut settings, sources.secrets).err());
        }
        secrets::sign_simulated_payments(&mut settings);
        if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
    }

    /// Overrides the built-in defaults by the leaves. A value of the wrong type is left out and reported.
    fn from_leaves(leaves: &layers::Leaves) -> (Self, Vec<SettingProblem>) {
        let defaults = Self::default().to_table();
        let mut table = defaults.clone();
        let mut problems = Vec::new();
        for (key, leaf) in leaves {
            let mut alone = defaults.clone();
            layers::set_path(&mut alone, key, leaf.value.clone());
            match Self::from_table(&alone) {
                Ok(_) => layers::set_path(&mut table, key, leaf.value.clone()),
                Err(error) => problems.push(secrets::mismatch(key, error.message())),
            }
        }
        let settings = Self::from_table(&table).expect("every leaf was accepted on its own");
        (settings, problems)
    }
}

//! Secret settings, and the secrets that the hub generates in development.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use uuid::Uuid;

use crate::outbound::ProviderKind;

use super::{MissingSecrets, SettingProblem, Settings};

/// The settings that are never printed and may be read from a file.
pub(super) const SECRETS: [&str; 8] = [
    "auth.secret_key",
    "bus.key",
    "bus.previous_key",
    "database.url",
    "encryption.keys",
    "payments.api_key",
    "payments.webhook_secrets",
    "redis.url",
];

/// The name of the file with generated secrets, in the data folder.
pub(crate) const FILE: &str = "secrets.toml";

/// The contents of `secrets.toml`.
#[derive(Deserialize)]
struct Generated {
    auth: GeneratedAuth,
    encryption: GeneratedEncryption,
}

#[derive(Deserialize)]
struct GeneratedAuth {
    secret_key: SecretString,
}

#[derive(Deserialize)]
struct GeneratedEncryption {
    keys: Vec<SecretString>,
}

/// Whether the setting `key` (`section.name`) is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// The problem of a value of the wrong type. The parser's message quotes the value, so secrets get a message of their own.
pub(super) fn mismatch(key: &str, message: &str) -> SettingProblem {
    let message = match key {
        "encryption.keys" | "payments.webhook_secrets" => "must be a list of texts",
        _ if is_secret(key) => "must be a text",
        _ => message,
    };
    SettingProblem { key: key.to_owned(), message: message.to_owned() }
}

/// Takes the secrets that are not set from `<data>/secrets.toml`, which is generated when it does not exist (mode 0600, complete or
/// not at all). An existing file is never changed, because a lost encryption key cannot be restored.
pub(super) fn fill_in(settings: &mut Settings, missing: MissingSecrets) -> Result<(), SettingProblem> {
    let secret_key = &mut settings.http.auth.secret_key;
    let keys = &mut settings.storage.encryption.keys;
    if !secret_key.expose_secret().is_empty() && !keys.is_empty() {
        return Ok(());
    }
    let folder = &settings.storage.data.dir;
    if folder.exists() && !folder.is_dir() {
        let message = format!("{} is a file; name a folder", folder.display());
        return Err(SettingProblem { key: "data.dir".to_owned(), message });
    }
    let path = folder.join(FILE);
    let refuse = |message: String| SettingProblem { key: path.display().to_string(), message };
    if !path.exists() {
        if missing == MissingSecrets::LeaveEmpty {
            return Ok(());
        }
        generate(&path).map_err(|error| refuse(format!("cannot be created: {error}")))?;
    }
    let text = read_private(&path).map_err(|error| refuse(format!("cannot be used: {error}")))?;
    let generated: Generated = toml::from_str(&text)
        .map_err(|_| refuse("is not complete: it needs auth.secret_key and encryption.keys".to_owned()))?;
    let origins = &mut settings.provenance.origins;
    if secret_key.expose_secret().is_empty() {
        *secret_key = generated.auth.secret_key;
        origins.insert("auth.secret_key".to_owned(), path.display().to_string());
    }
    if keys.is_empty() {
        *keys = generated.encryption.keys;
        origins.insert("encryption.keys".to_owned(), path.display().to_string());
    }
    // The values of the file pass the same checks as those of other sources.
    let mut found = settings.http.problems();
    found.extend(settings.storage.problems());
    match found.into_iter().next() {
        Some(problem) => Err(refuse(problem.to_string())),
        None => Ok(()),
    }
}

/// Gives a simulated provider a secret of its own for its messages, which follows from the hub's, unless one is set.
pub(super) fn sign_simulated_payments(settings: &mut Settings) {
    let secret_key = settings.http.auth.secret_key.expose_secret();
    let payments = &mut settings.outbound.payments;
    let has_its_own = payments.provider != ProviderKind::Simulated || !payments.webhook_secrets.is_empty();
    if has_its_own || secret_key.is_empty() {
        return;
    }
    let mut derived = Hmac::<Sha256>::new_from_slice(secret_key.as_bytes()).expect("HMAC takes any key");
    derived.update(b"messages of the simulated payment provider");
    let secret = BASE64_URL_SAFE_NO_PAD.encode(derived.finalize().into_bytes());
    payments.webhook_secrets = vec![secret.into()];
    let origin = "follows from auth.secret_key".to_owned();
    settings.provenance.origins.insert("payments.webhook_secrets".to_owned(), origin);
}

fn read_private(path: &Path) -> io::Result<Zeroizing<String>> {
    let mode = fs::metadata(path)?.mode();
    if mode & 0o077 != 0 {
        return Err(io::Error::new(
            ErrorKind::PermissionDenied,
            format!("other users may read it (mode {:03o}); run chmod 600 on it", mode & 0o777),
        ));
    }
    fs::read_to_string(path).map(Zeroizing::new)
}

/// Writes a new file beside `path` and links it there, so that of two processes that start at the same time one wins completely.
fn generate(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let secret_key = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(random::<48>()?));
    let encryption_key = Zeroizing::new(BASE64_STANDARD.encode(random::<32>()?));
    let text = Zeroizing::new(format!(
        "# Generated on the first start in development. Without the encryption key, stored phone numbers and addresses are lost.\n\
         [auth]\nsecret_key = \"{}\"\n\n[encryption]\nkeys = [\"k1:{}\"]\n",
        *secret_key, *encryption_key
    ));
    let draft = path.with_extension(format!("{}.draft", Uuid::new_v4()));
    let written = write_draft(&draft, &text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => written.and(Err(error)),
        _ => written,
    }
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn random<const N: usize>() -> io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
    Ok(bytes)
}

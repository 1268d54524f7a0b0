//! One business out of a copy and back: its settings, menu and members as a file. Orders and other businesses are not touched.

mod file;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::Settings;
use crate::domain::access::MemberRole;
use crate::domain::business::{Business, Hand, MenuItem};
use crate::domain::ids::{BusinessId, UserId};
use crate::storage::commands::{
    AddItem, Addition, BusinessUpdate, ItemPatch, Outcome, PutMember, Removal, RemoveItem, UpdateBusiness,
    UpdateItem, Write,
};
use crate::storage::{Member, Store, StoreError};

use super::database::{self, DatabaseError};
use super::one_write::run_one;
use super::output::{fail, print_line};
use file::{Exported, Kept, KeptMember};

#[derive(Debug, Subcommand)]
pub(super) enum BusinessCommand {
    /// Write the settings, menu and members of a business to a new file, which only its owner can read
    Export {
        /// The business, as biz_…
        business: BusinessId,
        /// The file to create
        file: PathBuf,
    },
    /// Give a business the settings, menu and members of such a file, and print each change
    Import(Import),
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// A file that `business export` wrote
    file: PathBuf,
    /// Print the changes and make none
    #[arg(long)]
    dry_run: bool,
    /// Only this part; everything unless given. Can be repeated
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Name, place, times, contact, alerts and which orders are taken
    Settings,
    /// Exactly the items of the file: other ones are removed
    Menu,
    /// Members who are missing or have another role; nobody is removed
    Members,
}

#[derive(Debug, thiserror::Error)]
enum BusinessError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no business {0} in {1}")]
    Unknown(BusinessId, String),
    #[error("{0} has no owner, in whose name it could be changed")]
    NoOwner(BusinessId),
    #[error("{}: {cause}", file.display())]
    File { file: PathBuf, cause: io::Error },
    #[error("{made} of {planned} changes of {business} were made, the others refused")]
    Refused { made: usize, planned: usize, business: String },
    #[error("{}: {why}", file.display())]
    Content { file: PathBuf, why: String },
}

pub(super) async fn run(settings: &Settings, command: BusinessCommand) -> ExitCode {
    let done = match command {
        BusinessCommand::Export { business, file } => export(settings, business, &file).await,
        BusinessCommand::Import(wanted) => import(settings, wanted).await,
    };
    match done {
        Ok(text) => {
            print_line(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

async fn export(settings: &Settings, id: BusinessId, file: &Path) -> Result<String, BusinessError> {
    let store = database::open_existing(settings).await?;
    let business = store.business(id).await?;
    let business = business.ok_or(BusinessError::Unknown(id, database::name(settings)?))?;
    let members =
        store.members(id).await?.into_iter().map(|Member { email, role, .. }| KeptMember { email, role });
    let exported = Exported::of(&business, store.menu(id).await?, members.collect());
    store.close().await;
    let text = serde_json::to_string_pretty(&exported).expect("a business is made of texts and numbers");
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = written.and_then(|mut open| open.write_all(format!("{text}\n").as_bytes()));
    written.map_err(|cause| BusinessError::File { file: file.to_owned(), cause })?;
    let (items, people) = (exported.menu.len(), exported.members.len());
    let file = file.display();
    Ok(format!(
        "{file} has the settings, {items} items and {people} members of {}; it names persons",
        business.name
    ))
}

async fn import(settings: &Settings, wanted: Import) -> Result<String, BusinessError> {
    let file = Exported::read(&wanted.file)
        .map_err(|why| BusinessError::Content { file: wanted.file.clone(), why })?;
    let store = database::open_existing(settings).await?;
    let business = store.business(file.business).await?;
    let business = business.ok_or(BusinessError::Unknown(file.business, database::name(settings)?))?;
    let changes = plan(store.as_ref(), &business, file, &wanted).await?;
    changes.iter().for_each(|(said, _)| print_line(said));
    let planned = changes.iter().filter(|(_, write)| write.is_some()).count();
    if wanted.dry_run {
        store.close().await;
        return Ok(format!("{planned} changes of {} would be made; nothing was changed", business.name));
    }
    let made = apply(store.as_ref(), changes).await?;
    store.close().await;
    if made < planned {
        return Err(BusinessError::Refused { made, planned, business: business.name });
    }
    Ok(format!("{made} changes of {} made", business.name))
}

async fn plan(
    store: &dyn Store,
    business: &Business,
    file: Exported,
    wanted: &Import,
) -> Result<Vec<Planned>, BusinessError> {
    let (id, has) = (business.id, |part| wanted.only.is_empty() || wanted.only.contains(&part));
    let members = store.members(id).await?;
    let owner = members.iter().find(|member| member.role == MemberRole::Owner);
    let owner = owner.ok_or(BusinessError::NoOwner(id))?.user;
    let mut changes = Vec::new();
    if has(Part::Settings) && Kept::of(business) != file.settings {
        let content = |why| BusinessError::Content { file: wanted.file.clone(), why };
        changes.push(change_settings(business, owner, file.settings).map_err(content)?);
    }
    if has(Part::Menu) {
        changes.extend(change_menu(id, &store.menu(id).await?, file.menu));
    }
    if has(Part::Members) {
        changes.extend(change_members(store, id, &members, file.members).await?);
    }
    Ok(changes)
}

/// A change: what is printed of it, and what is written; `None` where a person has to act.
type Planned = (String, Option<Write>);

fn change_settings(business: &Business, owner: UserId, wanted: Kept) -> Result<Planned, String> {
    let patch = Box::new(wanted.into_patch()?);
    let update = UpdateBusiness { business: business.id, user: owner, hand: Hand::Member, patch };
    Ok((format!("settings of {}: as in the file", business.name), Some(Write::UpdateBusiness(update))))
}

fn change_menu(business: BusinessId, now: &[MenuItem], wanted: Vec<MenuItem>) -> Vec<Planned> {
    let gone = now.iter().filter(|item| !wanted.iter().any(|kept| kept.sku == item.sku));
    let removed = gone.map(|item| {
        let write = Write::RemoveItem(RemoveItem { business, sku: item.sku.clone() });
        (format!("menu: {} is removed, it is not in the file", item.sku), Some(write))
    });
    let mut changes: Vec<Planned> = removed.collect();
    for item in wanted {
        match now.iter().find(|present| present.sku == item.sku) {
            Some(present) if *present == item => {}
            Some(_) => {
                let patch = ItemPatch {
                    name: Some(item.name),
                    category: Some(item.category),
                    price_minor: Some(item.price_minor),
                    available: Some(item.available),
                };
                let said = format!("menu: {} becomes as in the file", item.sku);
                let update = UpdateItem { business, sku: item.sku, patch };
                changes.push((said, Some(Write::UpdateItem(update))));
            }
            None => {
                let said = format!("menu: {} is added", item.sku);
                changes.push((said, Some(Write::AddItem(AddItem { business, item }))));
            }
        }
    }
    changes
}

async fn change_members(
    store: &dyn Store,
    business: BusinessId,
    now: &[Member],
    wanted: Vec<KeptMember>,
) -> Result<Vec<Planned>, StoreError> {
    let mut changes = Vec::new();
    for KeptMember { email, role } in wanted {
        if now.iter().any(|member| member.email == email && member.role == role) {
            continue;
        }
        let Some(user) = store.user_by_email(&email).await? else {
            changes.push((format!("members: {email} has no account here and is left out"), None));
            continue;
        };
        let write = Write::PutMember(PutMember { business, user: user.id, role });
        changes.push((format!("members: {email} becomes {role}"), Some(write)));
    }
    Ok(changes)
}

/// Makes the changes one after the other. How many were made; of a refused one its sentence is printed again.
async fn apply(store: &dyn Store, changes: Vec<Planned>) -> Result<usize, StoreError> {
    let (mut lane, mut made) = (store.open_lane().await?, 0);
    for (said, write) in changes {
        let Some(write) = write else { continue };
        match run_one(lane.as_mut(), write).await? {
            Outcome::BusinessUpdated(BusinessUpdate::Updated(_))
            | Outcome::ItemAdded(Addition::Added)
            | Outcome::ItemUpdated(Some(_))
            | Outcome::Removed(Removal::Removed)
            | Outcome::MemberPut(Ok(())) => made += 1,
            refused => print_line(&format!("refused: {said} ({})", why(&refused))),
        }
    }
    Ok(made)
}

fn why(refused: &Outcome) -> &'static str {
    match refused {
        Outcome::BusinessUpdated(BusinessUpdate::ZoneHeld) => "an operator holds something in its zone",
        Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse) => "its currency is in use",
        Outcome::ItemAdded(Addition::Full) => "the menu is full",
        Outcome::ItemAdded(Addition::AlreadyThere) => "it is on the menu already",
        Outcome::Removed(Removal::LastOwner) | Outcome::MemberPut(Err(_)) => {
            "the membership cannot be changed so"
        }
        _ => "it is not there any more",
    }
}

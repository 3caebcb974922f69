//! `odograph user`: people who sign in.

use super::token::{RoleName, Tenanted};
use super::{Outcome, table, usage};
use crate::catalog;
use crate::config::Source;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use odograph_catalog::{Access, NewUser, Secret, User, UserChange, Within};
use odograph_model::Time;
use std::io::{BufRead as _, IsTerminal as _, Write};

/// Make, list and delete users, and give them new passwords. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph user create anna --role manager --name \"Anna Berg\"\n  \
    odograph user password admin\n  \
    echo \"$SECRET\" | odograph user password anna --stdin\n  \
    odograph user disable-totp anna\n\n\
    Passwords are made by chance and shown once, or read from standard input: on the command line others could see them.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a user.
    Create {
        #[command(flatten)]
        of: Tenanted,
        /// What the user signs in with.
        login: String,
        /// The user's name.
        #[arg(long, default_value = "")]
        name: String,
        /// The user's address for mail.
        #[arg(long, default_value = "")]
        email: String,
        /// What the user may do: each role includes those before it.
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleName,
        /// Only devices of this group. May be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// The user may also manage tenants, and enter any of them.
        #[arg(long)]
        system: bool,
        /// Read the password from standard input instead of making one.
        #[arg(long)]
        stdin: bool,
    },
    /// List users.
    List {
        #[command(flatten)]
        of: Tenanted,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Give a user of any tenant a new password, and end the user's sessions.
    Password {
        #[command(flatten)]
        source: Source,
        /// What the user signs in with.
        login: String,
        /// Read the password from standard input instead of making one.
        #[arg(long)]
        stdin: bool,
    },
    /// Take away a user's second factor, which the user has lost.
    DisableTotp {
        #[command(flatten)]
        source: Source,
        /// What the user signs in with.
        login: String,
    },
    /// Keep users from signing in, and end their sessions.
    Disable(Who),
    /// Let users sign in again.
    Enable(Who),
    /// Delete users. The audit log keeps what they did.
    Delete(Who),
}

#[derive(Debug, Args)]
struct Who {
    #[command(flatten)]
    of: Tenanted,
    /// What they sign in with.
    #[arg(required = true, value_name = "LOGIN")]
    logins: Vec<String>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::Create { of, login, name, email, role, groups, system, stdin } => {
            let given = if *stdin { Some(password()?) } else { None };
            let groups = (!groups.is_empty()).then(|| groups.clone());
            let (login, name, email) = (login.clone(), name.clone(), email.clone());
            let (role, system) = ((*role).into(), *system);
            let new =
                NewUser { login, password: given.clone(), name, email, role, system, groups, ..NewUser::default() };
            let (user, made) = of.with(async |catalog, access| {
                let within = catalog.within(access);
                let user = within.create_user(new).await?;
                let made = if given.is_none() { within.set_password(&user.id, None).await? } else { None };
                Ok((user, made))
            })?;
            tell(out, &user.login, made.as_ref())?;
        }
        Command::List { of, json } => {
            let users = of.with(async |catalog, access| Ok(catalog.within(access).users().await?))?;
            if *json {
                writeln!(out, "{}", serde_json::to_string(&users)?)?;
            } else {
                let title = ["LOGIN", "NAME", "ROLE", "GROUPS", "2ND FACTOR", "LAST SIGNED IN", "STATE"];
                out.write_all(table::headed(&title, users.iter().map(row).collect()).as_bytes())?;
            }
        }
        Command::Password { source, login, stdin } => {
            let given = if *stdin { Some(password()?) } else { None };
            let made = catalog::with(&source.load()?.config, async |catalog| {
                Ok(catalog.reset_password(&Access::owner("default"), login, given.as_deref()).await?)
            })?;
            tell(out, login, made.as_ref())?;
        }
        Command::DisableTotp { source, login } => {
            catalog::with(&source.load()?.config, async |catalog| {
                Ok(catalog.disable_totp(&Access::owner("default"), login).await?)
            })?;
            writeln!(out, "{login}: the password alone is asked for")?;
        }
        Command::Disable(who) => each(who, out, "cannot sign in any more", async |within, id| {
            within.update_user(id, UserChange { disabled: Some(true), ..UserChange::default() }).await.map(drop)
        })?,
        Command::Enable(who) => each(who, out, "can sign in again", async |within, id| {
            within.update_user(id, UserChange { disabled: Some(false), ..UserChange::default() }).await.map(drop)
        })?,
        Command::Delete(who) => each(who, out, "deleted", async |within, id| within.delete_user(id).await)?,
    }
    Ok(Outcome::Done)
}

fn each(
    who: &Who,
    out: &mut dyn Write,
    done: &str,
    mut work: impl AsyncFnMut(&Within<'_>, &str) -> Result<(), odograph_catalog::Error>,
) -> Result<()> {
    who.of.with(async |catalog, access| {
        let within = catalog.within(access);
        for login in &who.logins {
            let users = within.users().await?;
            let lower = login.to_lowercase();
            let Some(user) = users.iter().find(|user| user.login == lower) else {
                return usage(format!("the tenant {} has no user {login}", who.of.tenant));
            };
            work(&within, &user.id).await?;
            writeln!(out, "{login}: {done}")?;
        }
        Ok(())
    })
}

fn tell(out: &mut dyn Write, login: &str, made: Option<&Secret>) -> Result<()> {
    match made {
        Some(made) => writeln!(out, "{login}: the password is {} (it is shown this once)", made.reveal())?,
        None => writeln!(out, "{login}: the password is set")?,
    }
    Ok(())
}

/// The first line of standard input.
fn password() -> Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type the password, which is shown as you type, and press Enter:");
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn row(user: &User) -> Vec<String> {
    let role = if user.system { format!("{} system", user.role) } else { user.role.to_string() };
    vec![
        user.login.clone(),
        user.name.clone(),
        role,
        user.groups.as_ref().map_or_else(|| "all".to_owned(), |groups| groups.join(",")),
        if user.totp { "yes" } else { "no" }.to_owned(),
        user.last_login.map_or_else(|| "never".to_owned(), |time| Time(time).to_string()),
        if user.disabled.is_some() { "disabled" } else { "active" }.to_owned(),
    ]
}

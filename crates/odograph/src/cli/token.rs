//! `odograph token`: what programs ask the API with.

use super::{Outcome, table};
use crate::catalog;
use crate::config::Source;
use anyhow::Result;
use clap::{Args, Subcommand};
use odograph_catalog::{Access, Catalog, NewToken, Role, Token};
use odograph_env::{Clock as _, SystemClock};
use odograph_model::Time;
use serde_json::json;
use std::io::Write;

/// Make, list and revoke tokens, with which programs ask the API. Also while the server runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph token create --name reports --role viewer\n  \
    TOKEN=$(odograph token create --role owner --json | jq -r .secret)\n  \
    curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8080/api/v1/devices\n\n\
    A token's secret is shown once, when it is made: only its hash is kept.")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and show its secret.
    Create {
        #[command(flatten)]
        of: Tenanted,
        /// What it is for.
        #[arg(long, default_value = "command line")]
        name: String,
        /// What it may do: each role includes those before it.
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleName,
        /// Only devices of this group. May be repeated.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// For so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in: Option<u32>,
        /// It may also manage tenants, and enter any of them.
        #[arg(long)]
        system: bool,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List tokens: those that hold, and those that ended in the last 90 days, 1,000 of them at most.
    List {
        #[command(flatten)]
        of: Tenanted,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Revoke tokens: from now on they do not hold.
    Revoke {
        #[command(flatten)]
        of: Tenanted,
        /// Their ids, as the list has them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// Of which data folder and tenant.
#[derive(Debug, Args)]
pub(super) struct Tenanted {
    #[command(flatten)]
    pub(super) source: Source,
    /// Of which tenant.
    #[arg(long, default_value = "default")]
    pub(super) tenant: String,
}

impl Tenanted {
    /// Does something with the tenant's part of the catalog, as the owner of the data folder.
    pub(super) fn with<T>(&self, work: impl AsyncFnOnce(&Catalog, &Access) -> Result<T>) -> Result<T> {
        let config = self.source.load()?.config;
        catalog::with(&config, async |catalog| {
            // A folder that no server has used yet has nobody in it.
            catalog.ensure_tenant(DEFAULT).await?;
            let access = catalog.enter(&Access::owner(DEFAULT), &self.tenant).await?;
            work(catalog, &access).await
        })
    }
}

const DEFAULT: &str = "default";

/// A role, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RoleName {
    /// Sees devices and what they sent.
    Viewer,
    /// Also changes devices and sends commands.
    Manager,
    /// Also manages users and tokens.
    Owner,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Manager => Self::Manager,
            RoleName::Owner => Self::Owner,
        }
    }
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    match &options.command {
        Command::Create { of, name, role, groups, expires_in, system, json } => {
            let day_ms = 24 * 60 * 60 * 1000;
            let expires = expires_in.map(|days| SystemClock::new().now() + i64::from(days) * day_ms);
            let groups = (!groups.is_empty()).then(|| groups.clone());
            let new = NewToken { name: name.clone(), role: (*role).into(), system: *system, groups, expires };
            let (token, secret) =
                of.with(async |catalog, access| Ok(catalog.within(access).create_token(new).await?))?;
            let secret = secret.reveal();
            if *json {
                let mut shown = serde_json::to_value(&token)?;
                shown["secret"] = json!(secret);
                shown["token"] = json!(secret);
                writeln!(out, "{shown}")?;
            } else {
                writeln!(out, "{secret}")?;
            }
        }
        Command::List { of, json } => {
            let tokens = of.with(async |catalog, access| Ok(catalog.within(access).tokens().await?))?;
            if *json {
                writeln!(out, "{}", serde_json::to_string(&tokens)?)?;
            } else {
                let title = ["ID", "NAME", "ROLE", "GROUPS", "CREATED", "EXPIRES", "LAST USED", "STATE"];
                let now = SystemClock::new().now();
                let rows = tokens.iter().map(|token| row(token, now)).collect();
                out.write_all(table::headed(&title, rows).as_bytes())?;
            }
        }
        Command::Revoke { of, ids } => {
            of.with(async |catalog, access| {
                for id in ids {
                    let token = catalog.within(access).revoke_token(id).await?;
                    writeln!(out, "{id}: revoked ({})", table::visible(&token.name))?;
                }
                Ok(())
            })?;
        }
    }
    Ok(Outcome::Done)
}

fn row(token: &Token, now: i64) -> Vec<String> {
    let moment = |time: Option<i64>| time.map_or_else(|| "-".to_owned(), |time| Time(time).to_string());
    let role = if token.system { format!("{} system", token.role) } else { token.role.to_string() };
    vec![
        token.id.clone(),
        token.name.clone(),
        role,
        token.groups.as_ref().map_or_else(|| "all".to_owned(), |groups| groups.join(",")),
        moment(Some(token.created)),
        moment(token.expires),
        moment(token.last_used),
        state(token, now).to_owned(),
    ]
}

fn state(token: &Token, now: i64) -> &'static str {
    match token.revoked {
        Some(_) => "revoked",
        None if token.holds(now) => "holds",
        None => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_has_expired_is_not_said_to_hold() {
        let said = |expires, revoked, now| {
            let (id, name, created_by) = ("t1".to_owned(), "reports".to_owned(), "owner".to_owned());
            let (role, system, groups, created, last_used) = (Role::Viewer, false, None, 0, None);
            let token = Token { id, name, role, system, groups, created, created_by, expires, last_used, revoked };
            row(&token, now).pop().expect("a state stands last")
        };
        assert_eq!(said(None, None, 1000), "holds");
        assert_eq!(said(Some(1000), None, 999), "holds");
        assert_eq!(said(Some(1000), None, 1000), "expired");
        assert_eq!(said(Some(1000), Some(500), 1000), "revoked");
    }
}

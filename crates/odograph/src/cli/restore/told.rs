//! What a restore tells: of how it went, and of what holds again as it did when the backup was made.

use super::super::table;
use super::catalog::CatalogTo;
use anyhow::Result;
use odograph_catalog::{Restored, Role, Token, User};
use odograph_model::Time;
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
pub(super) struct View {
    pub(super) time: Time,
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// Where it was when the backup was made.
    pub(super) catalog: String,
    pub(super) catalog_to: CatalogTo,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
    pub(super) journals: Vec<JournalView>,
    /// Where the backup has a catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revived: Option<Revived>,
}

/// How a node's journal goes on.
#[derive(Serialize)]
pub(super) struct JournalView {
    pub(super) node: u16,
    pub(super) end: u64,
    pub(super) next: u64,
}

/// What would hold again, and was ended; and what does hold again.
#[derive(Serialize)]
pub(super) struct Revived {
    sessions_ended: i64,
    links_ended: i64,
    commands_cancelled: i64,
    tokens: Vec<TokenView>,
    users: Vec<UserView>,
}

#[derive(Serialize)]
struct TokenView {
    tenant: String,
    id: String,
    name: String,
    role: Role,
    system: bool,
    last_used: Option<Time>,
}

#[derive(Serialize)]
struct UserView {
    tenant: String,
    login: String,
    role: Role,
    system: bool,
    last_login: Option<Time>,
}

impl From<Restored> for Revived {
    fn from(restored: Restored) -> Self {
        let Restored { sessions, links, commands, tokens, users } = restored;
        let token = |(tenant, token): (String, Token)| {
            let Token { id, name, role, system, last_used, .. } = token;
            TokenView { tenant, id, name, role, system, last_used: last_used.map(Time) }
        };
        let user = |(tenant, user): (String, User)| {
            let User { login, role, system, last_login, .. } = user;
            UserView { tenant, login, role, system, last_login: last_login.map(Time) }
        };
        Self {
            sessions_ended: sessions,
            links_ended: links,
            commands_cancelled: commands,
            tokens: tokens.into_iter().map(token).collect(),
            users: users.into_iter().map(user).collect(),
        }
    }
}

pub(super) fn tell(view: &View, keep_links: bool, verifies: bool, out: &mut dyn Write) -> Result<()> {
    let View { time, files, bytes, catalog, catalog_to, missing, journals, revived } = view;
    writeln!(out, "Restored the backup of {time}: {files} files, {bytes} bytes.")?;
    for JournalView { node, end, next } in journals {
        writeln!(out, "The journal of node {node} ends at {end} and goes on at {next}.")?;
    }
    for path in missing {
        writeln!(out, "{path} was missing when the backup was made.")?;
    }
    writeln!(out, "What was erased since {time} is in it again: erase it once more, before you lead devices there.")?;
    if let Some(said) = told_of_catalog(catalog == "postgres", catalog_to) {
        writeln!(out, "{said}")?;
    }
    if let Some(revived) = revived {
        tell_revived(*time, revived, keep_links, out)?;
    }
    if !verifies {
        writeln!(
            out,
            "`odograph journal verify` checks every byte of the journal, and with --history what history has of it."
        )?;
    }
    Ok(())
}

/// Where users, tokens and devices are now, if that is not where they always are.
fn told_of_catalog(was_in_postgres: bool, catalog_to: &CatalogTo) -> Option<&'static str> {
    match catalog_to {
        CatalogTo::Database(_) => Some("Users, tokens and devices are in the database that catalog.url names."),
        CatalogTo::Kept => Some("The database that catalog.url names stays as it is: nothing in it was ended."),
        CatalogTo::Folder if was_in_postgres => Some(
            "Users, tokens and devices were in PostgreSQL. The configuration names no such database, so they are in the data folder now.",
        ),
        CatalogTo::Nowhere if was_in_postgres => Some(
            "Users, tokens and devices were in PostgreSQL, and this backup is without them: restore that with its own tools.",
        ),
        CatalogTo::Folder | CatalogTo::Nowhere => None,
    }
}

fn tell_revived(time: Time, revived: &Revived, keep_links: bool, out: &mut dyn Write) -> Result<()> {
    let Revived { sessions_ended, links_ended, commands_cancelled, tokens, users } = revived;
    let links = match keep_links {
        true => "No link to a device was ended (--keep-links).".to_owned(),
        false => format!("Links to devices that were ended: {links_ended}."),
    };
    writeln!(out, "Sessions that were ended: {sessions_ended}; people sign in again. {links}")?;
    if *commands_cancelled > 0 {
        writeln!(
            out,
            "Commands that waited and were called off: {commands_cancelled}; they may have been sent since."
        )?;
    }
    if tokens.is_empty() && users.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "These hold as they did at {time}, with their passwords of then. What was taken back since, take back again:"
    )?;
    let moment = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let role = |role: Role, system: bool| if system { format!("{role} system") } else { role.to_string() };
    let token_rows = tokens.iter().take(LISTED_MAX).map(|token| {
        let undo = format!("odograph token revoke --tenant {} {}", argument(&token.tenant), argument(&token.id));
        let TokenView { tenant, name, last_used, .. } = token;
        vec!["token".to_owned(), tenant.clone(), name.clone(), role(token.role, token.system), moment(*last_used), undo]
    });
    let user_rows = users.iter().take(LISTED_MAX).map(|user| {
        let undo = format!("odograph user disable --tenant {} {}", argument(&user.tenant), argument(&user.login));
        let UserView { tenant, login, last_login, .. } = user;
        vec!["user".to_owned(), tenant.clone(), login.clone(), role(user.role, user.system), moment(*last_login), undo]
    });
    out.write_all(table::headed(&HEADING, token_rows.chain(user_rows).collect()).as_bytes())?;
    let more = tokens.len().saturating_sub(LISTED_MAX) + users.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        writeln!(out, "… and {more} more: `odograph token list` and `odograph user list` have them, by tenant.")?;
    }
    Ok(())
}

/// A name as a shell takes it for one word and no option: its owner chose it, and somebody else pastes it.
fn argument(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.@:+-".contains(c);
    match name {
        plain if !plain.is_empty() && !plain.starts_with('-') && plain.chars().all(is_plain) => plain.to_owned(),
        _ => format!("{}'{}'", if name.starts_with('-') { "-- " } else { "" }, name.replace('\'', r"'\''")),
    }
}

const HEADING: [&str; 6] = ["WHAT", "TENANT", "NAME", "ROLE", "LAST USED", "TO TAKE IT BACK"];

/// Of each kind, so many a person reads; with `--json` all are there.
const LISTED_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        for (name, expected) in [
            ("anna@example.org", "anna@example.org"),
            ("anna b", "'anna b'"),
            ("x; rm -rf ~", "'x; rm -rf ~'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("-all", "-- '-all'"),
            ("", "''"),
        ] {
            assert_eq!(argument(name), expected);
        }
    }

    #[test]
    fn a_person_reads_so_many_and_how_many_more_there_are() {
        let token = |number: usize| TokenView {
            tenant: "north".into(),
            id: format!("id{number}"),
            name: "reports".into(),
            role: Role::Viewer,
            system: number == 0,
            last_used: None,
        };
        let revived = Revived {
            sessions_ended: 3,
            links_ended: 2,
            commands_cancelled: 1,
            tokens: (0..LISTED_MAX + 2).map(token).collect(),
            users: Vec::new(),
        };
        let said = |keep_links: bool| {
            let mut out = Vec::new();
            tell_revived(Time(0), &revived, keep_links, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = said(false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3 + 1 + LISTED_MAX + 1, "{text}");
        assert_eq!(lines[0], "Sessions that were ended: 3; people sign in again. Links to devices that were ended: 2.");
        assert_eq!(lines[1], "Commands that waited and were called off: 1; they may have been sent since.");
        assert!(
            lines[4].contains("viewer system") && lines[4].ends_with("odograph token revoke --tenant north id0"),
            "{text}"
        );
        assert!(lines.last().is_some_and(|last| last.starts_with("… and 2 more: ")), "{text}");
        assert!(said(true).contains("No link to a device was ended (--keep-links)."));
    }
}

//! What holds of a catalog that was put back to an earlier moment, out of a backup: what people have ended since would be there again as if
//! they had not.
//!
//! Sessions, links and commands that wait are ended: they are had again in a minute, and nobody is surprised in another way. Tokens and users are
//! told and stay: programs would stand still, and nobody could sign in.

use serde_json::json;

use crate::scoped::Scoped;
use crate::{Access, Catalog, CommandState, DEFAULT_TENANT, Error, Role, Token, UnixMillis, User};

/// What was ended, and what holds again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Sessions that were ended.
    pub sessions: i64,
    /// Links to devices that were ended.
    pub links: i64,
    /// Commands that waited for their devices and were called off: they may have been sent since.
    pub commands: i64,
    /// Tokens that hold, each with its tenant.
    pub tokens: Vec<(String, Token)>,
    /// Users who can sign in, each with the tenant.
    pub users: Vec<(String, User)>,
}

impl Catalog {
    /// Ends what may have been ended since the time of the backup that this catalog comes from, in every tenant, and says what holds
    /// again. Each tenant's audit log has it.
    ///
    /// # Errors
    ///
    /// When the catalog cannot be written. What was ended by then stays so.
    pub async fn restored(&self, backup: UnixMillis, keep_links: bool) -> Result<Restored, Error> {
        let mut all = Restored::default();
        for tenant in self.tenants(&Access::owner(DEFAULT_TENANT)).list().await? {
            let (access, id) = (Access::owner(&tenant.id), tenant.id);
            self.end(&access, backup, keep_links, &mut all).await?;
            if tenant.disabled.is_some() {
                continue;
            }
            let (within, now) = (self.within(&access), self.inner().clock.now());
            let tokens = within.tokens().await?.into_iter().filter(|token| token.holds(now));
            all.tokens.extend(tokens.map(|token| (id.clone(), token)));
            let users = within.users().await?.into_iter().filter(|user| user.disabled.is_none());
            all.users.extend(users.map(|user| (id.clone(), user)));
        }
        Ok(all)
    }

    async fn end(
        &self,
        access: &Access,
        backup: UnixMillis,
        keep_links: bool,
        all: &mut Restored,
    ) -> Result<(), Error> {
        let mut change = Scoped::new(self.inner(), access).change(Role::Owner).await?;
        let now = change.now();
        let old = change.sql("DELETE FROM sessions WHERE tenant = $1 AND expires <= $2");
        change.execute(old.bind(now)).await?;
        let sessions = change.sql("DELETE FROM sessions WHERE tenant = $1");
        let sessions = change.execute(sessions).await?;
        let links = if keep_links {
            0
        } else {
            let links = change.sql("DELETE FROM shares WHERE tenant = $1 AND expires > $2");
            change.execute(links.bind(now)).await?
        };
        let call_off = change.sql(
            "UPDATE commands SET state = $2, reason = $3, ended = $4 WHERE tenant = $1 AND state = $5 AND expires > $4",
        );
        let call_off = call_off.bind(CommandState::Cancelled.name().to_owned()).bind(MAY_BE_SENT.to_owned()).bind(now);
        let commands = change.execute(call_off.bind(CommandState::Queued.name().to_owned())).await?;
        let told = json!({"backup": backup, "sessions": sessions, "links": links, "commands": commands});
        change.audit("catalog.restore", ("tenant", &access.scope.tenant), None, Some(told)).await?;
        change.commit().await?;
        (all.sessions, all.links, all.commands) = (all.sessions + sessions, all.links + links, all.commands + commands);
        Ok(())
    }
}

const MAY_BE_SENT: &str = "it waited when the backup was made, and may have been sent since";

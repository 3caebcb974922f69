//! From a password to a session, and from a secret to who asks with it.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::any::AnyRow;

use crate::bounds::{self, SECRET_BYTES_MAX, SESSIONS_MAX};
use crate::scoped::Scoped;
use crate::secret::{self, hash, new_id};
use crate::sql::{Columns as _, Sql};
use crate::within::login_of;
use crate::{Access, Actor, Catalog, Error, LoginError, Role, Scope, Secret, totp};

/// How long a session lasts at most.
pub const SESSION_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long a session lasts that nobody uses.
pub const SESSION_IDLE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often it is written down that a session or a token was used.
const USE_WRITTEN_MS: i64 = 60 * 1000;
/// How long a request waits for that to be written, at most: else the next one writes it.
const USE_PATIENCE: Duration = Duration::from_millis(100);

/// A user who wants in.
struct Candidate {
    tenant: String,
    id: String,
    password: String,
    totp_secret: Option<String>,
    disabled: bool,
    role: Role,
    system: bool,
    groups: Option<Vec<String>>,
}

impl Catalog {
    /// Signs a user in: makes a session, whose secret is given back and nowhere else to be had. `code` is that of the user's
    /// authenticator, where the user has one.
    pub async fn login(
        &self,
        login: &str,
        password: &str,
        code: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<(Secret, Access), LoginError> {
        let login = login_of(login);
        // Nobody has one like that, and it is not worth remembering.
        if bounds::id("login", &login).is_err() {
            return Err(LoginError::Wrong);
        }
        let admitted = self.inner().failures().admit(&login, peer, self.inner().clock.monotonic());
        if let Err(retry_after) = admitted {
            tracing::warn!(peer = peer.map(tracing::field::display), "too many attempts to sign in failed");
            return Err(LoginError::TooMany { retry_after });
        }
        let candidate = self.candidate(&login).await?;
        self.inner().passwords.prepare().await?;
        let hash = candidate.as_ref().map(|candidate| candidate.password.as_str());
        let is_right = password.len() <= bounds::PASSWORD_BYTES_MAX;
        let is_right = self.inner().passwords.verify(password, hash.filter(|_| is_right)).await?;
        let Some(candidate) = candidate.filter(|_| is_right) else { return Err(LoginError::Wrong) };
        if candidate.disabled {
            return Err(LoginError::Disabled);
        }
        let step = match (&candidate.totp_secret, code) {
            (None, _) => 0,
            (Some(_), None) => {
                self.inner().failures().forgive(&login, peer, false);
                return Err(LoginError::CodeNeeded);
            }
            (Some(secret), Some(code)) => {
                totp::step(secret, code, self.inner().clock.now())?.ok_or(LoginError::CodeWrong)?
            }
        };
        let done = self.begin_session(&login, candidate, step, peer).await?;
        self.inner().failures().forgive(&login, peer, true);
        Ok(done)
    }

    /// Ends the session of this secret. Says whether there was one.
    pub async fn logout(&self, secret: &str) -> Result<bool, Error> {
        let Some(access) = self.authenticate(secret).await? else { return Ok(false) };
        let Actor::User { session, .. } = &access.actor else { return Ok(false) };
        self.within(&access).end_session(session).await.map(|()| true)
    }

    /// Who asks with this secret of a session or a token. Nobody, where it is unknown, has expired or was revoked, or where
    /// its user or tenant is disabled.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Access>, Error> {
        if secret.len() > SECRET_BYTES_MAX {
            return Ok(None);
        }
        let (hash, now) = (hash(secret), self.inner().clock.now());
        let (question, used) = if secret.starts_with(secret::SESSION) {
            let question = Sql::new(SESSION_BY_HASH).bind(hash.clone()).bind(now).bind(now - SESSION_IDLE_MS);
            (question, "UPDATE sessions SET last_used = $2 WHERE hash = $1")
        } else if secret.starts_with(secret::TOKEN) {
            let question = Sql::new(TOKEN_BY_HASH).bind(hash.clone()).bind(now);
            (question, "UPDATE tokens SET last_used = $2 WHERE hash = $1")
        } else {
            return Ok(None);
        };
        let Some(row) = question.row(self.inner().database.reader()).await? else { return Ok(None) };
        if row.number_or_none("last_used")?.is_none_or(|last| now.saturating_sub(last) >= USE_WRITTEN_MS) {
            self.write_use(Sql::new(used).bind(hash).bind(now)).await;
        }
        access_of(&row).map(Some)
    }

    async fn candidate(&self, login: &str) -> Result<Option<Candidate>, Error> {
        let found = Sql::new(
            "SELECT u.tenant, u.id, u.password, u.totp_secret, u.totp_on, u.role, u.system, u.only_groups, \
             CASE WHEN u.disabled IS NULL AND t.disabled IS NULL THEN 0 ELSE 1 END AS barred \
             FROM users u JOIN tenants t ON t.id = u.tenant WHERE u.login = $1 AND u.password IS NOT NULL",
        );
        let row = found.bind(login.to_owned()).row(self.inner().database.reader()).await?;
        row.as_ref().map(Candidate::from_row).transpose()
    }

    async fn begin_session(
        &self,
        login: &str,
        of: Candidate,
        step: i64,
        peer: Option<IpAddr>,
    ) -> Result<(Secret, Access), LoginError> {
        let (secret, session) = (Secret::new(secret::SESSION, &*self.inner().rng), new_id(&*self.inner().rng));
        let actor = Actor::User {
            id: of.id.clone(),
            login: login.to_owned(),
            tenant: of.tenant.clone(),
            session: session.clone(),
        };
        let scope = Scope { tenant: of.tenant, groups: of.groups };
        let access = Access { actor, scope, role: of.role, system: of.system, peer };
        let mut change = Scoped::new(self.inner(), &access).change_of_own().await?;
        let now = change.now();
        // If all is still as it was when the password was looked at. A code counts once: its step must be a later one.
        let update = change.sql(
            "UPDATE users SET last_login = $3, totp_step = $4 WHERE tenant = $1 AND id = $2 AND password = $5 \
             AND disabled IS NULL AND ((totp_on = 0 AND $4 = 0) OR totp_step < $4)",
        );
        if change.execute(update.bind(of.id.clone()).bind(now).bind(step).bind(of.password)).await? == 0 {
            return Err(if step == 0 { LoginError::Wrong } else { LoginError::CodeWrong });
        }
        let insert = change.sql(
            "INSERT INTO sessions (tenant, account, id, hash, created, expires, last_used, peer) \
             VALUES ($1, $2, $3, $4, $5, $6, $5, $7)",
        );
        let insert = insert.bind(of.id.clone()).bind(session.clone()).bind(secret.hash()).bind(now);
        change.execute(insert.bind(now + SESSION_MS).bind(peer.map(|peer| peer.to_string()))).await?;
        let oldest = change.sql(
            "DELETE FROM sessions WHERE tenant = $1 AND account = $2 AND hash NOT IN (SELECT hash FROM sessions \
             WHERE tenant = $1 AND account = $2 ORDER BY created DESC, hash LIMIT $3)",
        );
        change.execute(oldest.bind(of.id.clone()).bind(SESSIONS_MAX)).await?;
        change.audit("session.begin", ("user", &of.id), None, None).await?;
        change.commit().await?;
        Ok((secret, access))
    }

    /// Nobody waits for it long, and nothing fails because of it.
    async fn write_use(&self, update: Sql) {
        let Some(mut transaction) = self.inner().database.begin_within(USE_PATIENCE).await else { return };
        let done = match update.execute(&mut *transaction).await {
            Ok(_) => transaction.commit().await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::debug!(error = &error as &dyn std::error::Error, "cannot write down when a secret was used");
        }
    }
}

impl Candidate {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        let totp_secret = if row.flag("totp_on")? { row.text_or_none("totp_secret")? } else { None };
        Ok(Self {
            tenant: row.text("tenant")?,
            id: row.text("id")?,
            password: row.text("password")?,
            totp_secret,
            disabled: row.flag("barred")?,
            role: row.named("role", Role::from_name)?,
            system: row.flag("system")?,
            groups: row.parsed_or_none("only_groups")?,
        })
    }
}

fn access_of(row: &AnyRow) -> Result<Access, Error> {
    let tenant = row.text("tenant")?;
    let actor = match row.text_or_none("login")? {
        Some(login) => {
            Actor::User { id: row.text("account")?, login, tenant: tenant.clone(), session: row.text("id")? }
        }
        None => Actor::Token { id: row.text("id")?, name: row.text("name")?, tenant: tenant.clone() },
    };
    let scope = Scope { tenant, groups: row.parsed_or_none("only_groups")? };
    Ok(Access { actor, scope, role: row.named("role", Role::from_name)?, system: row.flag("system")?, peer: None })
}

const SESSION_BY_HASH: &str = "SELECT s.tenant, s.id, s.account, s.last_used, u.login, u.name, u.role, u.system, \
    u.only_groups FROM sessions s JOIN users u ON u.tenant = s.tenant AND u.id = s.account \
    JOIN tenants t ON t.id = s.tenant WHERE s.hash = $1 AND s.expires > $2 AND s.last_used > $3 \
    AND u.disabled IS NULL AND t.disabled IS NULL";

const TOKEN_BY_HASH: &str = "SELECT k.tenant, k.id, k.name, k.last_used, NULL AS login, k.role, k.system, \
    k.only_groups FROM tokens k JOIN tenants t ON t.id = k.tenant WHERE k.hash = $1 \
    AND k.revoked IS NULL AND (k.expires IS NULL OR k.expires > $2) AND t.disabled IS NULL";

#[cfg(test)]
#[expect(clippy::assertions_on_constants, reason = "the constants are what is tested")]
mod tests {
    use super::*;

    #[test]
    fn times_fit_together() {
        assert!(SESSION_IDLE_MS < SESSION_MS && USE_WRITTEN_MS * 2 < SESSION_IDLE_MS);
    }
}

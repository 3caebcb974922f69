//! What each user may do with the own account, whatever the role.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use super::users::{COLUMNS, User, UserChange, end_sessions, write_password};
use crate::bounds;
use crate::scoped::shown;
use crate::sign_in::SESSION_IDLE_MS;
use crate::sql::Columns as _;
use crate::totp::{self, TotpOffer};
use crate::{Error, UnixMillis};

/// What users change of themselves. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountChange {
    /// The name.
    pub name: Option<String>,
    /// The address for mail.
    pub email: Option<String>,
    /// The language of the interface.
    pub language: Option<String>,
}

/// Where a user has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// Its id, which is no secret.
    pub id: String,
    /// Since when.
    pub created: UnixMillis,
    /// Until when it lasts at most.
    pub expires: UnixMillis,
    /// When it was used last, to the minute.
    pub last_used: UnixMillis,
    /// From which address.
    pub peer: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Within<'_> {
    /// The own account.
    pub async fn account(&self) -> Result<User, Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        let one = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM users WHERE tenant = $1 AND id = $2");
        let row = self.scoped.row(one.bind(id.to_owned())).await?;
        User::from_row(&row.ok_or_else(|| Error::not_found("user", id))?)
    }

    /// Changes the own account.
    pub async fn update_account(&self, to: AccountChange) -> Result<User, Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        let mut change = self.scoped.change_of_own().await?;
        let was = User::of(&mut change, id).await?;
        let AccountChange { name, email, language } = to;
        let to = UserChange { name, email, language, ..UserChange::default() };
        let user = to.applied(was.clone(), change.now())?;
        user.write(&mut change).await?;
        change.audit("user.update", ("user", id), Some(shown(&was)), Some(shown(&user))).await?;
        change.commit().await?;
        Ok(user)
    }

    /// Changes the own password, and ends all other sessions.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<(), Error> {
        let (id, session) = self.scoped.access().needs_user()?;
        bounds::password(new)?;
        self.check_own_password(id, old).await?;
        let hash = self.scoped.catalog().passwords.hash(new).await?;
        let mut change = self.scoped.change_of_own().await?;
        write_password(&mut change, id, hash).await?;
        end_sessions(&mut change, id, session).await?;
        change.audit("user.set_password", ("user", id), None, None).await?;
        change.commit().await
    }

    /// Begins to set up a second factor: it holds once [`Within::confirm_totp`] has seen a code of it.
    pub async fn offer_totp(&self) -> Result<TotpOffer, Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        let mut change = self.scoped.change_of_own().await?;
        let user = User::of(&mut change, id).await?;
        let offer = totp::offer(&user.login, &*self.scoped.catalog().rng)?;
        let write = change
            .sql("UPDATE users SET totp_secret = $3, totp_step = 0 WHERE tenant = $1 AND id = $2 AND totp_on = 0");
        if change.execute(write.bind(id.to_owned()).bind(offer.secret.reveal().to_owned())).await? == 0 {
            return Err(Error::conflict("there is a second factor already: remove it first"));
        }
        change.audit("user.offer_totp", ("user", id), None, None).await?;
        change.commit().await?;
        Ok(offer)
    }

    /// Turns the second factor on, with a code that shows that the user has it.
    pub async fn confirm_totp(&self, code: &str) -> Result<(), Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        let mut change = self.scoped.change_of_own().await?;
        let offered = change.sql("SELECT totp_secret FROM users WHERE tenant = $1 AND id = $2 AND totp_on = 0");
        let row = change.row(offered.bind(id.to_owned())).await?;
        let secret = row.map_or(Ok(None), |row| row.text_or_none("totp_secret"))?;
        let secret = secret.ok_or_else(|| Error::conflict("no second factor is being set up"))?;
        let step = totp::step(&secret, code, change.now())?;
        let step = step.ok_or_else(|| Error::invalid("code", "is not the one that the authenticator shows now"))?;
        let turn_on = change.sql("UPDATE users SET totp_on = 1, totp_step = $3 WHERE tenant = $1 AND id = $2");
        change.execute(turn_on.bind(id.to_owned()).bind(step)).await?;
        change.audit("user.confirm_totp", ("user", id), None, None).await?;
        change.commit().await
    }

    /// Removes the own second factor.
    pub async fn remove_totp(&self, password: &str) -> Result<(), Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        self.check_own_password(id, password).await?;
        let mut change = self.scoped.change_of_own().await?;
        let clear = change.sql("UPDATE users SET totp_secret = NULL, totp_on = 0 WHERE tenant = $1 AND id = $2");
        change.execute(clear.bind(id.to_owned())).await?;
        change.audit("user.clear_totp", ("user", id), None, None).await?;
        change.commit().await
    }

    /// The own sessions that last, the latest first.
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        let (id, session) = self.scoped.access().needs_user()?;
        let now = self.scoped.catalog().clock.now();
        let all = self.scoped.sql(
            "SELECT id, created, expires, last_used, peer FROM sessions WHERE tenant = $1 AND account = $2 \
             AND expires > $3 AND last_used > $4 ORDER BY created DESC, id",
        );
        let all = all.bind(id.to_owned()).bind(now).bind(now - SESSION_IDLE_MS);
        self.scoped.rows(all).await?.iter().map(|row| Session::from_row(row, session)).collect()
    }

    /// Ends one of the own sessions.
    pub async fn end_session(&self, session: &str) -> Result<(), Error> {
        let (id, _) = self.scoped.access().needs_user()?;
        let mut change = self.scoped.change_of_own().await?;
        let end = change.sql("DELETE FROM sessions WHERE tenant = $1 AND account = $2 AND id = $3");
        if change.execute(end.bind(id.to_owned()).bind(session.to_owned())).await? == 0 {
            return Err(Error::not_found("session", session));
        }
        change.audit("session.end", ("user", id), None, None).await?;
        change.commit().await
    }

    /// Whoever sits at a screen that was left alone does not know the password, and may try only so often.
    async fn check_own_password(&self, id: &str, password: &str) -> Result<(), Error> {
        let catalog = self.scoped.catalog();
        let login = match &self.scoped.access().actor {
            crate::Actor::User { login, .. } => login,
            _ => return Err(Error::not_found("user", id)),
        };
        let peer = self.scoped.access().peer;
        let admitted = catalog.failures().admit(login, peer, catalog.clock.monotonic());
        admitted.map_err(|retry_after| Error::TooMany { retry_after })?;
        let kept = self.scoped.sql("SELECT password FROM users WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        let row = self.scoped.row(kept).await?;
        let hash = row.map_or(Ok(None), |row| row.text_or_none("password"))?;
        if password.len() > bounds::PASSWORD_BYTES_MAX || !catalog.passwords.verify(password, hash.as_deref()).await? {
            return Err(Error::invalid("password", "is not the one of this account"));
        }
        catalog.failures().forgive(login, peer, false);
        Ok(())
    }
}

impl Session {
    fn from_row(row: &AnyRow, current: &str) -> Result<Self, Error> {
        let id = row.text("id")?;
        Ok(Self {
            current: id == current,
            id,
            created: row.number("created")?,
            expires: row.number("expires")?,
            last_used: row.number("last_used")?,
            peer: row.text_or_none("peer")?,
        })
    }
}

//! What the owner of the data folder does: the first user, and the way back in for those who have locked themselves out.

use crate::bounds::{self, PASSWORD_CHARS_MIN};
use crate::scoped::{Scoped, shown};
use crate::sql::{Columns as _, Sql};
use crate::tenants::add_tenant;
use crate::within::login_of;
use crate::{Access, Catalog, Error, Needed, NewUser, Role, Secret};

/// The tenant that there is from the start.
pub const DEFAULT_TENANT: &str = "default";
/// The user that there is from the start.
pub const ADMIN: &str = "admin";

impl Catalog {
    /// Makes the first user, `admin` in the tenant `default`, who may manage tenants, with this password or a new one, which
    /// is given back and nowhere else to be had. Nothing happens where there is any user.
    pub async fn ensure_admin(&self, password: Option<&str>) -> Result<Option<Secret>, Error> {
        self.ensure_tenant(DEFAULT_TENANT).await?;
        if self.has_users().await? {
            return Ok(None);
        }
        let generated = password.is_none().then(|| Secret::password(&*self.inner().rng));
        let password = generated.as_ref().map_or(password.unwrap_or_default(), Secret::reveal);
        // What the operator chose is taken, even where a user could not choose it.
        if password.is_empty() || password.len() > bounds::PASSWORD_BYTES_MAX {
            bounds::password(password)?;
        }
        if password.chars().count() < PASSWORD_CHARS_MIN {
            tracing::warn!("the password given for {ADMIN} is shorter than {PASSWORD_CHARS_MIN} characters");
        }
        let hash = self.inner().passwords.hash(password).await?;
        let access = Access::owner(DEFAULT_TENANT);
        let mut change = Scoped::new(self.inner(), &access).change(Role::Owner).await?;
        // Another process may have been faster: the tenant is ours alone now.
        if Sql::new("SELECT id FROM users LIMIT 1").row(&mut **change.across_tenants()).await?.is_some() {
            return Ok(None);
        }
        let new = NewUser { login: ADMIN.into(), role: Role::Owner, system: true, ..NewUser::default() };
        let user = new.insert(&mut change, &*self.inner().rng, Some(hash)).await?;
        change.audit("user.create", ("user", &user.id), None, Some(shown(&user))).await?;
        change.commit().await?;
        Ok(generated)
    }

    /// Whether this is the password of the user that there is from the start: not where the user is no more.
    pub async fn is_admin_password(&self, password: &str) -> Result<bool, Error> {
        let kept = Sql::new("SELECT password FROM users WHERE login = $1").bind(ADMIN.to_owned());
        let row = kept.row(self.inner().database.reader()).await?;
        let Some(hash) = row.map_or(Ok(None), |row| row.text_or_none("password"))? else { return Ok(false) };
        self.inner().passwords.verify(password, Some(&hash)).await
    }

    /// Makes a tenant that the configuration names, unless it is there. Says whether it was made.
    pub async fn ensure_tenant(&self, tenant: &str) -> Result<bool, Error> {
        bounds::id("tenant", tenant)?;
        let known = Sql::new("SELECT id FROM tenants WHERE id = $1").bind(tenant.to_owned());
        if known.row(self.inner().database.reader()).await?.is_some() {
            return Ok(false);
        }
        bounds::folder("tenant", tenant)?;
        let mut transaction = self.inner().database.begin().await?;
        let added = add_tenant(&mut transaction, tenant, self.inner().clock.now()).await?;
        transaction.commit().await?;
        Ok(added)
    }

    /// Gives a user of any tenant a new password, this one or one that is made and given back. Ends the user's sessions.
    pub async fn reset_password(
        &self,
        access: &Access,
        login: &str,
        password: Option<&str>,
    ) -> Result<Option<Secret>, Error> {
        let (access, id) = self.user_of(access, login).await?;
        self.within(&access).set_password(&id, password).await
    }

    /// Takes the second factor from a user of any tenant, who has lost it.
    pub async fn disable_totp(&self, access: &Access, login: &str) -> Result<(), Error> {
        let (access, id) = self.user_of(access, login).await?;
        self.within(&access).clear_totp(&id).await
    }

    /// The user of this login, and an access to the user's tenant.
    async fn user_of(&self, access: &Access, login: &str) -> Result<(Access, String), Error> {
        if !access.system {
            return Err(Error::Forbidden { needed: Needed::System });
        }
        let found = Sql::new("SELECT tenant, id FROM users WHERE login = $1").bind(login_of(login));
        let row = found.row(self.inner().database.reader()).await?.ok_or_else(|| Error::not_found("user", login))?;
        Ok((self.enter(access, &row.text("tenant")?).await?, row.text("id")?))
    }

    async fn has_users(&self) -> Result<bool, Error> {
        let any = Sql::new("SELECT id FROM users LIMIT 1").row(self.inner().database.reader()).await?;
        Ok(any.is_some())
    }
}

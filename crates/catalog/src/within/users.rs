//! Users: people who sign in.

use odograph_env::Rng;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::{Within, check_groups, know_groups};
use crate::bounds::{self, NAME_CHARS_MAX, USERS_MAX};
use crate::scoped::{Change, shown};
use crate::secret::new_id;
use crate::sql::{Columns as _, json};
use crate::{Access, Actor, Error, Needed, Role, Secret, UnixMillis};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The id.
    pub id: String,
    /// What the user signs in with: no other user has it, of any tenant.
    pub login: String,
    /// The name, if one was given.
    pub name: String,
    /// The address for mail, if one was given.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may manage tenants and enter any of them.
    pub system: bool,
    /// The groups of devices that the user sees, or all devices.
    pub groups: Option<Vec<String>>,
    /// The language of the interface, if one was chosen.
    pub language: String,
    /// Whether the user signs in with a second factor.
    pub totp: bool,
    /// Since when the user is there.
    pub created: UnixMillis,
    /// When the user signed in last.
    pub last_login: Option<UnixMillis>,
    /// Since when the user cannot sign in.
    pub disabled: Option<UnixMillis>,
}

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What the user signs in with. Capital letters do not matter.
    pub login: String,
    /// The password. Without one, nobody can sign in until one is set.
    #[serde(default)]
    pub password: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The address for mail.
    #[serde(default)]
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may manage tenants.
    #[serde(default)]
    pub system: bool,
    /// The groups of devices that the user sees.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// The language of the interface.
    #[serde(default)]
    pub language: String,
}

impl Default for NewUser {
    fn default() -> Self {
        let text = String::new;
        let (login, name, email, language) = (text(), text(), text(), text());
        Self { login, password: None, name, email, role: Role::Viewer, system: false, groups: None, language }
    }
}

/// What becomes different of a user. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserChange {
    /// What the user signs in with.
    pub login: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The address for mail.
    pub email: Option<String>,
    /// What the user may do.
    pub role: Option<Role>,
    /// Whether the user may manage tenants.
    pub system: Option<bool>,
    /// The groups of devices that the user sees; `Some(None)` is all devices.
    #[serde(deserialize_with = "crate::within::present")]
    pub groups: Option<Option<Vec<String>>>,
    /// The language of the interface.
    pub language: Option<String>,
    /// Whether the user cannot sign in.
    pub disabled: Option<bool>,
}

const KIND: &str = "user";
pub(super) const COLUMNS: &str =
    "id, login, name, email, role, system, only_groups, language, totp_on, created, last_login, disabled";

impl Within<'_> {
    /// All users of the tenant, by login. For its owners.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let all = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM users WHERE tenant = $1 ORDER BY login");
        self.scoped.rows(all).await?.iter().map(User::from_row).collect()
    }

    /// One of them. For owners.
    pub async fn user(&self, id: &str) -> Result<User, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let one = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM users WHERE tenant = $1 AND id = $2");
        let row = self.scoped.row(one.bind(id.to_owned())).await?;
        User::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Makes a user. For owners.
    pub async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let access = self.scoped.access();
        access.needs(Role::Owner)?;
        if new.system {
            access.needs_system()?;
        }
        new.check()?;
        let password = match &new.password {
            None => None,
            Some(password) => {
                bounds::password(password)?;
                Some(self.scoped.catalog().passwords.hash(password).await?)
            }
        };
        let mut change = self.scoped.change(Role::Owner).await?;
        know_groups(&mut change, new.groups.as_deref()).await?;
        let user = new.insert(&mut change, &*self.scoped.catalog().rng, password).await?;
        change.audit("user.create", (KIND, &user.id), None, Some(shown(&user))).await?;
        change.commit().await?;
        Ok(user)
    }

    /// Changes a user. For owners; none can shut themselves out.
    pub async fn update_user(&self, id: &str, to: UserChange) -> Result<User, Error> {
        let access = self.scoped.access();
        let mut change = self.scoped.change(Role::Owner).await?;
        let was = User::of(&mut change, id).await?;
        was.may_be_changed_by(access)?;
        if to.system == Some(true) {
            access.needs_system()?;
        }
        let weaker = to.disabled == Some(true)
            || to.role.is_some_and(|role| role < was.role)
            || (was.system && to.system == Some(false));
        if weaker && was.is(access) {
            return Err(Error::conflict("this is your own account, and you would lock yourself out"));
        }
        let user = to.applied(was.clone(), change.now())?;
        know_groups(&mut change, user.groups.as_deref().filter(|_| user.groups != was.groups)).await?;
        user.write(&mut change).await?;
        if user.disabled.is_some() {
            end_sessions(&mut change, id, "").await?;
        }
        change.audit("user.update", (KIND, id), Some(shown(&was)), Some(shown(&user))).await?;
        change.commit().await?;
        Ok(user)
    }

    /// Deletes a user. For owners, and not oneself.
    pub async fn delete_user(&self, id: &str) -> Result<(), Error> {
        let mut change = self.scoped.change(Role::Owner).await?;
        let was = User::of(&mut change, id).await?;
        was.may_be_changed_by(self.scoped.access())?;
        if was.is(self.scoped.access()) {
            return Err(Error::conflict("this is your own account, and you would lock yourself out"));
        }
        let delete = change.sql("DELETE FROM users WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        change.execute(delete).await?;
        change.audit("user.delete", (KIND, id), Some(shown(&was)), None).await?;
        change.commit().await
    }

    /// Gives a user a new password, this one or one that is made and given back, and ends the user's sessions. For owners.
    pub async fn set_password(&self, id: &str, password: Option<&str>) -> Result<Option<Secret>, Error> {
        self.scoped.access().needs(Role::Owner)?;
        let catalog = self.scoped.catalog();
        let generated = password.is_none().then(|| Secret::password(&*catalog.rng));
        let password = generated.as_ref().map_or(password.unwrap_or_default(), Secret::reveal);
        bounds::password(password)?;
        let hash = catalog.passwords.hash(password).await?;
        let mut change = self.scoped.change(Role::Owner).await?;
        User::of(&mut change, id).await?.may_be_changed_by(self.scoped.access())?;
        write_password(&mut change, id, hash).await?;
        end_sessions(&mut change, id, "").await?;
        change.audit("user.set_password", (KIND, id), None, None).await?;
        change.commit().await?;
        Ok(generated)
    }

    /// Takes the second factor from a user who has lost it. For owners.
    pub async fn clear_totp(&self, id: &str) -> Result<(), Error> {
        let mut change = self.scoped.change(Role::Owner).await?;
        User::of(&mut change, id).await?.may_be_changed_by(self.scoped.access())?;
        let clear = change.sql("UPDATE users SET totp_secret = NULL, totp_on = 0 WHERE tenant = $1 AND id = $2");
        change.execute(clear.bind(id.to_owned())).await?;
        change.audit("user.clear_totp", (KIND, id), None, None).await?;
        change.commit().await
    }
}

/// A login as it is kept: people do not care for capital letters there.
pub(crate) fn login_of(text: &str) -> String {
    text.trim().to_lowercase()
}

pub(super) async fn write_password(change: &mut Change<'_>, id: &str, hash: String) -> Result<(), Error> {
    let write = change.sql("UPDATE users SET password = $3 WHERE tenant = $1 AND id = $2");
    change.execute(write.bind(id.to_owned()).bind(hash)).await.map(drop)
}

/// Ends all sessions of a user but this one.
pub(super) async fn end_sessions(change: &mut Change<'_>, id: &str, but: &str) -> Result<i64, Error> {
    let end = change.sql("DELETE FROM sessions WHERE tenant = $1 AND account = $2 AND id <> $3");
    change.execute(end.bind(id.to_owned()).bind(but.to_owned())).await
}

impl NewUser {
    fn check(&self) -> Result<(), Error> {
        bounds::id("login", &login_of(&self.login))?;
        bounds::line("name", &self.name, NAME_CHARS_MAX)?;
        bounds::line("email", &self.email, NAME_CHARS_MAX)?;
        bounds::line("language", &self.language, bounds::ID_CHARS_MAX)?;
        check_groups(self.groups.as_deref(), self.role)
    }

    pub(crate) async fn insert(
        self,
        change: &mut Change<'_>,
        rng: &dyn Rng,
        password: Option<String>,
    ) -> Result<User, Error> {
        let count = change.sql("SELECT count(*) AS count FROM users WHERE tenant = $1");
        let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        if used >= USERS_MAX {
            return Err(Error::Quota { of: "users", limit: USERS_MAX, used });
        }
        let user = User {
            id: new_id(rng),
            login: login_of(&self.login),
            name: self.name,
            email: self.email,
            role: self.role,
            system: self.system,
            groups: self.groups,
            language: self.language,
            totp: false,
            created: change.now(),
            last_login: None,
            disabled: None,
        };
        let insert = change.sql(
            "INSERT INTO users (tenant, id, login, name, email, password, totp_on, totp_step, role, system, only_groups, \
             language, created) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9, $10, $11) ON CONFLICT (login) DO NOTHING",
        );
        let insert = insert.bind(user.id.clone()).bind(user.login.clone()).bind(user.name.clone());
        let insert = insert.bind(user.email.clone()).bind(password).bind(user.role.name().to_owned());
        let insert = insert.bind(i64::from(user.system)).bind(user.groups.as_ref().map(json));
        let insert = insert.bind(user.language.clone()).bind(user.created);
        if change.execute(insert).await? == 0 {
            return Err(Error::conflict(format!("the login {} is taken", user.login)));
        }
        Ok(user)
    }
}

impl UserChange {
    pub(super) fn applied(self, mut user: User, now: UnixMillis) -> Result<User, Error> {
        if let Some(login) = self.login {
            user.login = login_of(&login);
            bounds::id("login", &user.login)?;
        }
        if let Some(name) = self.name {
            bounds::line("name", &name, NAME_CHARS_MAX)?;
            user.name = name;
        }
        if let Some(email) = self.email {
            bounds::line("email", &email, NAME_CHARS_MAX)?;
            user.email = email;
        }
        if let Some(language) = self.language {
            bounds::line("language", &language, bounds::ID_CHARS_MAX)?;
            user.language = language;
        }
        user.role = self.role.unwrap_or(user.role);
        user.system = self.system.unwrap_or(user.system);
        user.groups = self.groups.unwrap_or(user.groups);
        check_groups(user.groups.as_deref(), user.role)?;
        match self.disabled {
            Some(true) => user.disabled = user.disabled.or(Some(now)),
            Some(false) => user.disabled = None,
            None => {}
        }
        Ok(user)
    }
}

impl User {
    pub(super) fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            login: row.text("login")?,
            name: row.text("name")?,
            email: row.text("email")?,
            role: row.named("role", Role::from_name)?,
            system: row.flag("system")?,
            groups: row.parsed_or_none("only_groups")?,
            language: row.text("language")?,
            totp: row.flag("totp_on")?,
            created: row.number("created")?,
            last_login: row.number_or_none("last_login")?,
            disabled: row.number_or_none("disabled")?,
        })
    }

    pub(super) async fn of(change: &mut Change<'_>, id: &str) -> Result<Self, Error> {
        let one = change.sql("SELECT ").push(COLUMNS).push(" FROM users WHERE tenant = $1 AND id = $2");
        let row = change.row(one.bind(id.to_owned())).await?;
        Self::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    pub(super) async fn write(&self, change: &mut Change<'_>) -> Result<(), Error> {
        if change.is_taken(&self.login, &self.id).await? {
            return Err(Error::conflict(format!("the login {} is taken", self.login)));
        }
        let update = change.sql(
            "UPDATE users SET login = $3, name = $4, email = $5, role = $6, system = $7, only_groups = $8, language = $9, \
             disabled = $10 WHERE tenant = $1 AND id = $2",
        );
        let update = update.bind(self.id.clone()).bind(self.login.clone()).bind(self.name.clone());
        let update = update.bind(self.email.clone()).bind(self.role.name().to_owned()).bind(i64::from(self.system));
        let update = update.bind(self.groups.as_ref().map(json)).bind(self.language.clone()).bind(self.disabled);
        change.execute(update).await.map(drop)
    }

    fn is(&self, access: &Access) -> bool {
        matches!(&access.actor, Actor::User { id, .. } if *id == self.id)
    }

    /// Who may manage tenants is out of reach of those who may not: else an owner could take over such an account.
    fn may_be_changed_by(&self, access: &Access) -> Result<(), Error> {
        if self.system && !access.system {
            return Err(Error::Forbidden { needed: Needed::System });
        }
        Ok(())
    }
}

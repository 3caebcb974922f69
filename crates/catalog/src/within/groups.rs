//! Groups of devices, by which people find them and are limited to some.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use crate::bounds::{self, GROUPS_MAX};
use crate::scoped::{Change, shown};
use crate::secret::new_id;
use crate::sql::Columns as _;
use crate::{Error, Role, UnixMillis};

/// A group of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its name, which no other group of the tenant has.
    pub name: String,
    /// Since when it is there.
    pub created: UnixMillis,
}

const KIND: &str = "group";

impl Within<'_> {
    /// The groups that are visible, by name.
    pub async fn groups(&self) -> Result<Vec<Group>, Error> {
        let all = self.scoped.sql("SELECT id, name, created FROM device_groups WHERE tenant = $1 ORDER BY name");
        let groups: Result<Vec<_>, _> = self.scoped.rows(all).await?.iter().map(Group::from_row).collect();
        let mut groups = groups?;
        groups.retain(|group| self.sees_group(Some(&group.id)));
        Ok(groups)
    }

    /// Makes a group. For managers of all devices.
    pub async fn create_group(&self, name: &str) -> Result<Group, Error> {
        self.scoped.access().needs(Role::Manager)?;
        self.scoped.access().needs_all_devices()?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let group = self.add_group(&mut change, name).await?;
        change.commit().await?;
        Ok(group)
    }

    /// Gives a group another name. For managers of all devices.
    pub async fn rename_group(&self, id: &str, name: &str) -> Result<Group, Error> {
        self.scoped.access().needs(Role::Manager)?;
        self.scoped.access().needs_all_devices()?;
        bounds::name("name", name)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let was = Group::of(&mut change, id).await?;
        let taken = change.sql("SELECT id FROM device_groups WHERE tenant = $1 AND name = $2 AND id <> $3");
        if change.row(taken.bind(name.to_owned()).bind(id.to_owned())).await?.is_some() {
            return Err(taken_name(name));
        }
        let update = change.sql("UPDATE device_groups SET name = $3 WHERE tenant = $1 AND id = $2");
        change.execute(update.bind(id.to_owned()).bind(name.to_owned())).await?;
        let group = Group { name: name.to_owned(), ..was.clone() };
        change.audit("group.update", (KIND, id), Some(shown(&was)), Some(shown(&group))).await?;
        change.commit().await?;
        Ok(group)
    }

    /// Deletes a group that has no devices, and that no user is limited to and no token that holds. For managers of all devices.
    pub async fn delete_group(&self, id: &str) -> Result<(), Error> {
        self.scoped.access().needs(Role::Manager)?;
        self.scoped.access().needs_all_devices()?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let was = Group::of(&mut change, id).await?;
        // What is in a list stands there in quotes, and an id has none.
        let quoted = format!("\"{id}\"");
        for (question, what) in [(BY_DEVICES, "devices"), (BY_USERS, "users"), (BY_TOKENS, "tokens")] {
            let count = change.sql(question).bind(id.to_owned()).bind(quoted.clone()).bind(change.now());
            let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
            if used > 0 {
                return Err(Error::conflict(format!("the group {} has {used} {what}: move them first", was.name)));
            }
        }
        let delete = change.sql("DELETE FROM device_groups WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        change.execute(delete).await?;
        change.audit("group.delete", (KIND, id), Some(shown(&was)), None).await?;
        change.commit().await
    }

    /// Whether devices of this group are visible.
    pub(super) fn sees_group(&self, group: Option<&str>) -> bool {
        let groups = self.scoped.access().scope.groups.as_ref();
        groups.is_none_or(|groups| group.is_some_and(|group| groups.iter().any(|visible| visible == group)))
    }

    /// Adds a group, and says so in the audit log.
    pub(super) async fn add_group(&self, change: &mut Change<'_>, name: &str) -> Result<Group, Error> {
        bounds::name("name", name)?;
        let count = change.sql("SELECT count(*) AS count FROM device_groups WHERE tenant = $1");
        let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        if used >= GROUPS_MAX {
            return Err(Error::Quota { of: "groups", limit: GROUPS_MAX, used });
        }
        let group = Group { id: new_id(&*self.scoped.catalog().rng), name: name.to_owned(), created: change.now() };
        let insert = change.sql(
            "INSERT INTO device_groups (tenant, id, name, created) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, name) DO NOTHING",
        );
        let insert = insert.bind(group.id.clone()).bind(name.to_owned()).bind(group.created);
        if change.execute(insert).await? == 0 {
            return Err(taken_name(name));
        }
        change.audit("group.create", (KIND, &group.id), None, Some(shown(&group))).await?;
        Ok(group)
    }
}

fn taken_name(name: &str) -> Error {
    Error::conflict(format!("the name {name} is taken by another group"))
}

/// How often devices name a group. `$2` is its id, `$3` the same in quotes, `$4` now.
const BY_DEVICES: &str = "SELECT count(*) AS count FROM devices WHERE tenant = $1 AND device_group = $2 \
    AND $3 <> '' AND $4 >= 0";

/// How often users are limited to it.
const BY_USERS: &str = "SELECT count(*) AS count FROM users WHERE tenant = $1 AND $2 <> '' AND $4 >= 0 \
    AND replace(only_groups, $3, '') <> only_groups";

/// The same of tokens that hold.
const BY_TOKENS: &str = "SELECT count(*) AS count FROM tokens WHERE tenant = $1 AND $2 <> '' \
    AND replace(only_groups, $3, '') <> only_groups AND revoked IS NULL AND (expires IS NULL OR expires > $4)";

impl Group {
    pub(super) fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self { id: row.text("id")?, name: row.text("name")?, created: row.number("created")? })
    }

    pub(super) async fn of(change: &mut Change<'_>, id: &str) -> Result<Self, Error> {
        let one = change.sql("SELECT id, name, created FROM device_groups WHERE tenant = $1 AND id = $2");
        let row = change.row(one.bind(id.to_owned())).await?;
        Self::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }
}

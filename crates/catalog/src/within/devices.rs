//! Devices: found by pages, made, changed and deleted by people.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Within;
use super::groups::Group;
use crate::bounds::{self, DEVICE_PAGE_MAX, PAGE_BYTES_MAX, SEARCH_CHARS_MAX};
use crate::devices::{Device, DeviceFields, DeviceState, check_ids};
use crate::kept_out;
use crate::scoped::{Change, Statement};
use crate::sql::{Columns as _, json};
use crate::{Error, Needed, Role};

/// Which devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceFilter {
    /// With this in an id, the name or the plate. Capital letters do not matter.
    pub text: Option<String>,
    /// Of this group; the empty text is those of no group.
    pub group: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of which this was decided.
    pub state: Option<DeviceState>,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceOrder {
    /// By id, letter for letter.
    #[default]
    Id,
    /// By name as people sort, those without one by their id.
    Name,
}

/// Some devices.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePage {
    /// In order.
    pub devices: Vec<Device>,
    /// What gets the next page, if there is one.
    pub next: Option<String>,
}

const KIND: &str = "device";
/// Devices that one statement writes. More take more time each, since SQLite looks for the name of each argument among all before it,
/// and memory that it does not give back.
pub(crate) const WRITE_ROWS: usize = 20;
pub(crate) const COLUMNS: &str = "id, ids, name, plate, time_zone, device_group, tags, protocol, settings, notes, attributes, state, \
    created, updated, revision, sort_key";

impl Within<'_> {
    /// A page of the devices that are visible; `after` is [`DevicePage::next`] of the page before. Where much is kept of each, it has fewer
    /// than `limit`, and a next one.
    pub async fn devices(
        &self,
        filter: &DeviceFilter,
        order: DeviceOrder,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DevicePage, Error> {
        let limit = limit.clamp(1, DEVICE_PAGE_MAX);
        let some = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM devices WHERE tenant = $1");
        let mut some = filter.add_to(self.scoped.visible(some))?;
        if let Some(after) = after {
            let (key, id) = place_of(after)?;
            some = match order {
                DeviceOrder::Id => some.push(" AND id > ").push_bind(id),
                DeviceOrder::Name => {
                    some.push(" AND (sort_key, id) > (").push_bind(key).push(", ").push_bind(id).push(")")
                }
            };
        }
        let order = match order {
            DeviceOrder::Id => " ORDER BY id LIMIT ",
            DeviceOrder::Name => " ORDER BY sort_key, id LIMIT ",
        };
        // One more, to know whether there are more.
        let some = some.push(order).push_bind(i64::from(limit) + 1);
        let (rows, is_cut) = self.scoped.rows_within(some, PAGE_BYTES_MAX).await?;
        let page = rows.get(..limit as usize).unwrap_or(&rows);
        let next = match page.last() {
            Some(last) if is_cut || page.len() < rows.len() => Some(place(&last.text("sort_key")?, &last.text("id")?)),
            _ => None,
        };
        let role = self.scoped.access().role;
        let devices: Result<_, Error> = page.iter().map(|row| Ok(Device::from_row(row)?.for_role(role))).collect();
        Ok(DevicePage { devices: devices?, next })
    }

    /// How many devices these are.
    pub async fn count_devices(&self, filter: &DeviceFilter) -> Result<i64, Error> {
        let count = self.scoped.sql("SELECT count(*) AS count FROM devices WHERE tenant = $1");
        let count = filter.add_to(self.scoped.visible(count))?;
        self.scoped.row(count).await?.map_or(Ok(0), |row| row.number("count"))
    }

    /// The device of this id, be it one of several.
    pub async fn device(&self, id: &str) -> Result<Device, Error> {
        let device = self.scoped.row(self.scoped.visible(one_of(self.scoped.sql("SELECT "), id))).await?;
        let device = Device::from_row(&device.ok_or_else(|| Error::not_found(KIND, id))?)?;
        Ok(device.for_role(self.scoped.access().role))
    }

    /// Makes a device of these ids, the first of which it keeps for ever. For managers.
    pub async fn create_device(&self, ids: Vec<String>, fields: DeviceFields) -> Result<Device, Error> {
        self.scoped.access().needs(Role::Manager)?;
        check_ids(&ids)?;
        bounds::id("ids", &ids[0])?;
        kept_out::refuse(&self.scoped.catalog().kept_out_now(), self.scoped.tenant(), &ids)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let blank = Device::blank(ids, DeviceState::Accepted, change.now());
        let fields = DeviceFields { ids: None, if_revision: None, ..fields };
        let mut device = fields.applied(blank)?;
        self.may_have(&mut change, &device).await?;
        may_add_devices(device_quota(&mut change).await?, 1)?;
        device.revision = change.revision();
        take_ids(&mut change, &device, &[]).await?;
        write_devices(&mut change, std::slice::from_ref(&device)).await?;
        change.audit("device.create", (KIND, &device.id), None, Some(device.for_audit(None))).await?;
        change.commit().await?;
        Ok(device)
    }

    /// Changes a device. For managers.
    pub async fn update_device(&self, id: &str, fields: DeviceFields) -> Result<Device, Error> {
        let mut change = self.scoped.change(Role::Manager).await?;
        let was = visible_device(&mut change, id).await?;
        let mut device = fields.applied(was.clone())?;
        if device == was {
            return Ok(device);
        }
        self.may_have(&mut change, &device).await?;
        device.updated = change.now();
        device.revision = change.revision();
        if device.ids != was.ids {
            let new = device.ids.iter().filter(|id| !was.ids.contains(id));
            kept_out::refuse(&self.scoped.catalog().kept_out_now(), self.scoped.tenant(), new)?;
            take_ids(&mut change, &device, &was.ids).await?;
        }
        write_devices(&mut change, std::slice::from_ref(&device)).await?;
        let (before, after) = (was.for_audit(None), device.for_audit(Some(&was)));
        change.audit("device.update", (KIND, &device.id), Some(before), Some(after)).await?;
        change.commit().await?;
        Ok(device)
    }

    /// Deletes a device. What it sent stays in history; if it comes again, it is a new one. For managers.
    pub async fn delete_device(&self, id: &str) -> Result<(), Error> {
        let mut change = self.scoped.change(Role::Manager).await?;
        let was = visible_device(&mut change, id).await?;
        remove_device(&mut change, &was).await?;
        change.audit("device.delete", (KIND, &was.id), Some(was.for_audit(None)), None).await?;
        change.commit().await
    }

    /// Whether the group is there, and the device would still be visible.
    async fn may_have(&self, change: &mut Change<'_>, device: &Device) -> Result<(), Error> {
        if let Some(group) = &device.group {
            Group::of(change, group).await?;
        }
        if !self.sees_group(device.group.as_deref()) {
            return Err(Error::Forbidden { needed: Needed::AllDevices });
        }
        Ok(())
    }
}

impl DeviceFilter {
    fn add_to(&self, mut statement: Statement) -> Result<Statement, Error> {
        if let Some(text) = self.text.as_ref().filter(|text| !text.is_empty()) {
            if text.chars().count() > SEARCH_CHARS_MAX {
                return Err(Error::invalid("text", format!("is longer than {SEARCH_CHARS_MAX} characters")));
            }
            statement = statement.push_contains("search", text.to_lowercase().replace('\0', ""));
        }
        match self.group.as_deref() {
            None => {}
            Some("") => statement = statement.push(" AND device_group IS NULL"),
            Some(group) => statement = statement.push(" AND device_group = ").push_bind(group.to_owned()),
        }
        if let Some(tag) = self.tag.as_ref().filter(|tag| !tag.is_empty()) {
            // As it stands in the list: in quotes.
            statement = statement.push_contains("tags", json(tag));
        }
        if let Some(state) = self.state {
            statement = statement.push(" AND state = ").push_bind(state.name().to_owned());
        }
        Ok(statement)
    }
}

/// Where a page ended, as text that nobody needs to understand.
impl Device {
    /// What gets the devices behind this one, as [`DevicePage::next`] does behind the last of a page.
    pub fn place(&self) -> String {
        place(&self.sort_key(), &self.id)
    }
}

fn place(key: &str, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(json(&(key, id)))
}

fn place_of(text: &str) -> Result<(String, String), Error> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| Error::invalid("after", "is not what the page before gave as the next one"))
}

/// Asks for the device of this id, be it one of several.
fn one_of(select: Statement, id: &str) -> Statement {
    let ids = " FROM devices WHERE tenant = $1 AND id = (SELECT device FROM device_ids WHERE tenant = $1 AND id = ";
    select.push(COLUMNS).push(ids).push_bind(id.to_owned()).push(")")
}

pub(super) async fn visible_device(change: &mut Change<'_>, id: &str) -> Result<Device, Error> {
    let question = change.visible(one_of(change.sql("SELECT "), id));
    let row = change.row(question).await?;
    Device::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
}

/// How many devices the tenant may have, if there is a limit, and how many it has.
pub(super) async fn device_quota(change: &mut Change<'_>) -> Result<Option<(i64, i64)>, Error> {
    let Some(limit) = change.own_tenant().await?.quotas.devices_max else { return Ok(None) };
    let count = change.sql("SELECT count(*) AS count FROM devices WHERE tenant = $1").of_any_group();
    let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
    Ok(Some((limit, used)))
}

/// Fails where the tenant would have more devices than it may.
pub(super) fn may_add_devices(quota: Option<(i64, i64)>, more: usize) -> Result<(), Error> {
    match quota {
        Some((limit, used)) if more > 0 && used.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > limit => {
            Err(Error::Quota { of: "devices", limit, used })
        }
        _ => Ok(()),
    }
}

/// Takes a device away, and tells whoever follows.
pub(crate) async fn remove_device(change: &mut Change<'_>, was: &Device) -> Result<(), Error> {
    let (now, revision) = (change.now(), change.revision());
    let delete = change.sql("DELETE FROM devices WHERE tenant = $1 AND id = $2").of_any_group();
    change.execute(delete.bind(was.id.clone())).await?;
    let ids = change.sql("DELETE FROM device_ids WHERE tenant = $1 AND device = $2 AND id IN ");
    change.execute(ids.bind(was.id.clone()).push_list(&was.ids)).await?;
    let told = change.sql(
        "INSERT INTO devices_removed (tenant, id, ids, revision, time) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant, id) DO UPDATE SET ids = excluded.ids, revision = excluded.revision, time = excluded.time",
    );
    let told = told.bind(was.id.clone()).bind(json(&was.ids)).bind(revision).bind(now);
    change.execute(told).await.map(drop)
}

/// Takes a device's ids, of which it had these, unless another device has one of them.
async fn take_ids(change: &mut Change<'_>, device: &Device, had: &[String]) -> Result<(), Error> {
    let others = change.sql("SELECT id, device FROM device_ids WHERE tenant = $1 AND device <> $2 AND id IN ");
    if let Some(row) = change.row(others.bind(device.id.clone()).push_list(&device.ids)).await? {
        return Err(taken_id(&row.text("id")?, &row.text("device")?));
    }
    if had.is_empty() {
        let known = change.sql("SELECT id FROM device_ids WHERE tenant = $1 AND id = $2").bind(device.id.clone());
        if change.row(known).await?.is_some() {
            return Err(taken_id(&device.id, &device.id));
        }
    } else {
        let old = change.sql("DELETE FROM device_ids WHERE tenant = $1 AND device = $2 AND id IN ");
        change.execute(old.bind(device.id.clone()).push_list(had)).await?;
    }
    write_ids(change, std::slice::from_ref(device)).await
}

pub(super) fn taken_id(id: &str, device: &str) -> Error {
    Error::conflict(format!("the id {id} is taken by the device {device}"))
}

/// Writes the ids of devices, which nothing else has.
pub(crate) async fn write_ids(change: &mut Change<'_>, devices: &[Device]) -> Result<(), Error> {
    for chunk in devices.chunks(WRITE_ROWS) {
        let mut insert = change.sql("INSERT INTO device_ids (tenant, id, device) VALUES ");
        let pairs = chunk.iter().flat_map(|device| device.ids.iter().map(move |id| (id, &device.id)));
        for (index, (id, device)) in pairs.enumerate() {
            insert = insert.push(if index > 0 { ", ($1, " } else { "($1, " }).push_bind(id.clone());
            insert = insert.push(", ").push_bind(device.clone()).push(")");
        }
        change.execute(insert).await?;
    }
    Ok(())
}

/// Writes devices, new ones and others. Whether that may be was looked at before.
pub(crate) async fn write_devices(change: &mut Change<'_>, devices: &[Device]) -> Result<(), Error> {
    for chunk in devices.chunks(WRITE_ROWS) {
        let mut write = change.sql(
            "INSERT INTO devices (tenant, id, ids, name, plate, time_zone, device_group, tags, protocol, settings, notes, \
             attributes, state, sort_key, search, created, updated, revision) VALUES ",
        );
        for (index, device) in chunk.iter().enumerate() {
            write = write.push(if index > 0 { ", ($1, " } else { "($1, " }).push_bind(device.id.clone());
            let own = [json(&device.ids), device.name.clone(), device.plate.clone(), device.time_zone.clone()];
            let own = own.into_iter().map(Some).chain([device.group.clone()]);
            let more = [json(&device.tags), device.protocol.clone(), json(&device.settings), device.notes.clone()];
            let rest = [json(&device.attributes), device.state.name().into(), device.sort_key(), device.search_text()];
            for text in own.chain(more.into_iter().chain(rest).map(Some)) {
                write = write.push(", ").push_bind(text);
            }
            for number in [device.created, device.updated, device.revision] {
                write = write.push(", ").push_bind(number);
            }
            write = write.push(")");
        }
        let write = write.push(
            " ON CONFLICT (tenant, id) DO UPDATE SET ids = excluded.ids, name = excluded.name, plate = excluded.plate, \
             time_zone = excluded.time_zone, device_group = excluded.device_group, tags = excluded.tags, protocol = excluded.protocol, \
             settings = excluded.settings, notes = excluded.notes, attributes = excluded.attributes, \
             state = excluded.state, sort_key = excluded.sort_key, search = excluded.search, \
             updated = excluded.updated, revision = excluded.revision",
        );
        change.execute(write.of_any_group()).await?;
    }
    Ok(())
}

//! Many devices at once, from a list that somebody has: what would change can be looked at before.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::devices::{COLUMNS, device_quota, may_add_devices, taken_id, write_ids};
use super::{DriverFields, WRITE_ROWS, Within, write_devices};
use crate::bounds::{self, IMPORT_AUDIT_IDS_MAX, IMPORT_ROWS_MAX};
use crate::devices::{Device, DeviceFields, DeviceState, check_ids};
use crate::kept_out::{self, KeptOut};
use crate::scoped::Change;
use crate::sql::Columns as _;
use crate::{Error, Role};

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceRow {
    /// All that the device calls itself; the first is its id.
    pub ids: Vec<String>,
    /// What is given of it. A group is named by its name: if there is none of that name, it is made.
    #[serde(flatten)]
    pub fields: DeviceFields,
}

/// How a list is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImportMode {
    /// Says what would change, and changes nothing.
    pub dry_run: bool,
    /// Leaves out rows that cannot be taken. Else one such row is enough to change nothing.
    pub skip_bad: bool,
}

/// What came of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportReport {
    /// Whether anything was written.
    pub written: bool,
    /// Devices that were made.
    pub created: usize,
    /// Devices of which something became different.
    pub changed: usize,
    /// Devices that are as the list says already.
    pub same: usize,
    /// Rows that could not be taken, of devices and of drivers.
    pub failed: usize,
    /// Names of groups that were made.
    pub groups_created: Vec<String>,
    /// Each device's row, in order.
    pub rows: Vec<ImportedRow>,
    /// Each driver's, by the first card.
    pub drivers: Vec<ImportedRow>,
}

/// What came of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedRow {
    /// The device's id, or the driver's first card.
    pub id: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: ImportOutcome,
}

/// What came of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum ImportOutcome {
    /// The device or driver was made.
    Created,
    /// These fields became different.
    Changed {
        /// Their names.
        fields: Vec<String>,
    },
    /// The device is as the row says already, or the driver is there.
    Same,
    /// The row cannot be taken.
    Failed {
        /// Why.
        reason: String,
    },
}

/// An import that is being made.
struct Import<'i, 'c> {
    within: &'i Within<'c>,
    change: Change<'c>,
    /// Ids of groups by their names.
    groups: HashMap<String, String>,
    /// All ids of the rows so far, with the number of the row.
    seen: HashMap<String, usize>,
    /// What cannot be made now.
    kept_out: Vec<KeptOut>,
    report: ImportReport,
    written_ids: Vec<String>,
}

impl Within<'_> {
    /// Makes and changes devices as a list says, and takes in its drivers: all of it, or nothing. Tags and attributes of a device are
    /// added to those that it has. Where the list says nothing of what is decided about a device, it is accepted, unless it waits in
    /// quarantine or somebody rejected it. A driver whose card is known already stays as people made him. For managers of all devices.
    pub async fn import_devices(
        &self,
        rows: &[DeviceRow],
        drivers: &[DriverFields],
        mode: ImportMode,
    ) -> Result<ImportReport, Error> {
        self.scoped.access().needs(Role::Manager)?;
        self.scoped.access().needs_all_devices()?;
        bounds::count("rows", rows.len(), IMPORT_ROWS_MAX)?;
        let groups = self.groups().await?.into_iter().map(|group| (group.name, group.id)).collect();
        let mut change = self.scoped.change(Role::Manager).await?;
        let quota = device_quota(&mut change).await?;
        let (seen, report, written_ids) = (HashMap::new(), ImportReport::default(), Vec::new());
        let kept_out = self.scoped.catalog().kept_out_now();
        let mut import = Import { within: self, change, groups, seen, kept_out, report, written_ids };
        for chunk in rows.chunks(WRITE_ROWS) {
            import.take(chunk).await?;
        }
        import.take_drivers(drivers).await?;
        let Import { mut change, mut report, written_ids, .. } = import;
        may_add_devices(quota, report.created)?;
        let may_write = !mode.dry_run && (mode.skip_bad || report.failed == 0);
        let has_drivers = report.drivers.iter().any(|row| row.outcome == ImportOutcome::Created);
        if !may_write || (written_ids.is_empty() && !has_drivers) {
            return Ok(report);
        }
        if !written_ids.is_empty() {
            let ids = &written_ids[..written_ids.len().min(IMPORT_AUDIT_IDS_MAX)];
            let became = json!({"created": report.created, "changed": report.changed, "ids": ids});
            change.audit("device.import", ("device", ""), None, Some(became)).await?;
        }
        change.commit().await?;
        report.written = true;
        Ok(report)
    }
}

impl Import<'_, '_> {
    /// Takes some rows.
    async fn take(&mut self, rows: &[DeviceRow]) -> Result<(), Error> {
        let owners = self.owners(rows).await?;
        let mut known = self.known(rows).await?;
        let mut written = Vec::new();
        for row in rows {
            let id = row.ids.first().cloned().unwrap_or_default();
            let before = known.remove(&id);
            let outcome = match self.becomes(row, before.as_ref(), &owners).await {
                Ok(device) => self.outcome(device, before, &mut written),
                // Not of this row: after it there is no transaction any more.
                Err(error @ (Error::Database { .. } | Error::Full { .. })) => return Err(error),
                Err(error) => {
                    self.report.failed += 1;
                    ImportOutcome::Failed { reason: error.to_string() }
                }
            };
            self.report.rows.push(ImportedRow { id, outcome });
        }
        self.write(&written).await
    }

    /// Takes in drivers.
    async fn take_drivers(&mut self, drivers: &[DriverFields]) -> Result<(), Error> {
        for fields in drivers {
            let id = fields.cards.iter().flatten().next().cloned().unwrap_or_default();
            let outcome = match self.within.take_driver(&mut self.change, fields).await {
                Ok(true) => ImportOutcome::Created,
                Ok(false) => ImportOutcome::Same,
                Err(error @ (Error::Database { .. } | Error::Full { .. })) => return Err(error),
                Err(error) => {
                    self.report.failed += 1;
                    ImportOutcome::Failed { reason: error.to_string() }
                }
            };
            self.report.drivers.push(ImportedRow { id, outcome });
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        mut device: Device,
        before: Option<Device>,
        written: &mut Vec<(Device, Option<Device>)>,
    ) -> ImportOutcome {
        let fields = before.as_ref().map(|before| differing(before, &device));
        let outcome = match fields {
            Some(fields) if fields.is_empty() => {
                self.report.same += 1;
                return ImportOutcome::Same;
            }
            Some(fields) => {
                self.report.changed += 1;
                ImportOutcome::Changed { fields }
            }
            None => {
                self.report.created += 1;
                ImportOutcome::Created
            }
        };
        device.updated = self.change.now();
        device.revision = self.change.revision();
        written.push((device, before));
        outcome
    }

    /// The device as the row says.
    async fn becomes(
        &mut self,
        row: &DeviceRow,
        before: Option<&Device>,
        owners: &HashMap<String, String>,
    ) -> Result<Device, Error> {
        check_ids(&row.ids)?;
        let id = &row.ids[0];
        let number = self.report.rows.len() + 1;
        let mut fields = row.fields.clone();
        fields.ids = Some(row.ids.clone());
        let device = match before {
            // Who lists but the id says nothing of the others.
            Some(before) if row.ids.len() == 1 => {
                fields.ids = None;
                added_to(before, &mut fields)
            }
            Some(before) => added_to(before, &mut fields),
            None => {
                bounds::id("ids", id)?;
                Device::blank(row.ids.clone(), DeviceState::Accepted, self.change.now())
            }
        };
        let name = fields.group.take().flatten().filter(|name| !name.is_empty());
        let clears_group = row.fields.group.is_some() && name.is_none();
        let mut device = fields.applied(device)?;
        for own in &device.ids {
            if let Some(owner) = owners.get(own).filter(|owner| *owner != id) {
                return Err(taken_id(own, owner));
            }
            if let Some(other) = self.seen.get(own) {
                return Err(Error::conflict(format!("row {other} has the id {own} too")));
            }
        }
        let is_new = |own: &&String| before.is_none_or(|before| !before.ids.contains(own));
        kept_out::refuse(&self.kept_out, self.within.scoped.tenant(), device.ids.iter().filter(is_new))?;
        if let Some(name) = name {
            device.group = Some(self.group(name).await?);
        } else if clears_group {
            device.group = None;
        }
        self.seen.extend(device.ids.iter().map(|own| (own.clone(), number)));
        Ok(device)
    }

    /// The id of the group of this name, which is made if it is missing.
    async fn group(&mut self, name: String) -> Result<String, Error> {
        if let Some(id) = self.groups.get(&name) {
            return Ok(id.clone());
        }
        let group = self.within.add_group(&mut self.change, &name).await?;
        self.report.groups_created.push(name.clone());
        self.groups.insert(name, group.id.clone());
        Ok(group.id)
    }

    /// Which device has which of the ids of these rows.
    async fn owners(&mut self, rows: &[DeviceRow]) -> Result<HashMap<String, String>, Error> {
        let mut owners = HashMap::new();
        let ids: HashSet<&String> = rows.iter().flat_map(|row| row.ids.iter().take(bounds::DEVICE_IDS_MAX)).collect();
        let ids: Vec<&String> = ids.into_iter().filter(|id| !id.contains('\0')).collect();
        for ids in ids.chunks(WRITE_ROWS) {
            let question = self.change.sql("SELECT id, device FROM device_ids WHERE tenant = $1 AND id IN ");
            for row in self.change.rows(question.push_list(ids.iter().copied())).await? {
                owners.insert(row.text("id")?, row.text("device")?);
            }
        }
        Ok(owners)
    }

    /// The devices of these rows, as they are, by id.
    async fn known(&mut self, rows: &[DeviceRow]) -> Result<BTreeMap<String, Device>, Error> {
        let ids: Vec<&String> = rows.iter().filter_map(|row| row.ids.first()).filter(|id| !id.contains('\0')).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let question = self.change.sql("SELECT ").push(COLUMNS).push(" FROM devices WHERE tenant = $1 AND id IN ");
        let found = self.change.rows(question.of_any_group().push_list(ids)).await?;
        found.iter().map(|row| Device::from_row(row).map(|device| (device.id.clone(), device))).collect()
    }

    async fn write(&mut self, written: &[(Device, Option<Device>)]) -> Result<(), Error> {
        let mut new_ids = Vec::new();
        for (device, before) in written {
            self.written_ids.push(device.id.clone());
            if before.as_ref().is_none_or(|before| before.ids != device.ids) {
                if let Some(before) = before {
                    let old = self.change.sql("DELETE FROM device_ids WHERE tenant = $1 AND device = $2 AND id IN ");
                    self.change.execute(old.bind(before.id.clone()).push_list(&before.ids)).await?;
                }
                new_ids.push(device.clone());
            }
        }
        write_ids(&mut self.change, &new_ids).await?;
        let devices: Vec<Device> = written.iter().map(|(device, _)| device.clone()).collect();
        write_devices(&mut self.change, &devices).await
    }
}

/// A device of which a list says something: what people have put beside that stays, and so does what they decided.
fn added_to(before: &Device, fields: &mut DeviceFields) -> Device {
    if let Some(tags) = &mut fields.tags {
        let kept: Vec<String> = before.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
        tags.extend(kept);
    }
    if let Some(attributes) = &mut fields.attributes {
        for (name, value) in &before.attributes {
            attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let state = match before.state {
        // Whoever lists it has decided about it.
        DeviceState::New | DeviceState::Configured => DeviceState::Accepted,
        decided => decided,
    };
    Device { state, ..before.clone() }
}

/// The names of the fields that differ.
fn differing(before: &Device, after: &Device) -> Vec<String> {
    let (before, after) = (crate::scoped::shown(before), crate::scoped::shown(after));
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Vec::new() };
    after.into_iter().filter(|(name, value)| before.get(name) != Some(value)).map(|(name, _)| name).collect()
}

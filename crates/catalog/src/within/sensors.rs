//! What people make of a device's parameters: its sensors.

use odograph_sensors::{Definition, Fault, Sensor};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use super::devices::visible_device;
use crate::bounds::SENSORS_MAX;
use crate::scoped::shown;
use crate::sql::{Columns as _, json};
use crate::{Error, Role, UnixMillis};

/// A sensor of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeviceSensor {
    /// What it is.
    #[serde(flatten)]
    pub definition: Definition,
    /// Since when it is there.
    pub created: UnixMillis,
    /// When it changed last.
    pub updated: UnixMillis,
}

const KIND: &str = "sensor";

impl Within<'_> {
    /// A device's sensors, by name.
    pub async fn sensors(&self, device: &str) -> Result<Vec<DeviceSensor>, Error> {
        let device = self.device(device).await?.id;
        let all = self
            .scoped
            .sql("SELECT definition, created, updated FROM sensors WHERE tenant = $1 AND device = $2 ORDER BY name");
        self.scoped.rows(all.bind(device)).await?.iter().map(DeviceSensor::from_row).collect()
    }

    /// One of them.
    pub async fn sensor(&self, device: &str, name: &str) -> Result<DeviceSensor, Error> {
        let sensors = self.sensors(device).await?;
        sensors.into_iter().find(|it| it.definition.name == name).ok_or_else(|| Error::not_found(KIND, name))
    }

    /// Gives a device a sensor, or another one in the place of the one of that name. For managers.
    pub async fn set_sensor(&self, device: &str, definition: Definition) -> Result<DeviceSensor, Error> {
        self.scoped.access().needs(Role::Manager)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let device = visible_device(&mut change, device).await?.id;
        Sensor::new(&definition)?;
        let question = change.sql("SELECT definition, created, updated FROM sensors WHERE tenant = $1 AND device = $2");
        let rows = change.rows(question.bind(device.clone())).await?;
        let before: Result<Vec<_>, _> = rows.iter().map(DeviceSensor::from_row).collect();
        let before = before?;
        let was = before.iter().find(|it| it.definition.name == definition.name);
        let used = i64::try_from(before.len()).unwrap_or(i64::MAX);
        if was.is_none() && used >= SENSORS_MAX {
            return Err(Error::Quota { of: "sensors of a device", limit: SENSORS_MAX, used });
        }
        let (created, updated) = (was.map_or(change.now(), |was| was.created), change.now());
        let sensor = DeviceSensor { definition, created, updated };
        let write = change.sql(
            "INSERT INTO sensors (tenant, device, name, definition, created, updated) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, device, name) DO UPDATE SET definition = excluded.definition, updated = excluded.updated",
        );
        let write = write.bind(device.clone()).bind(sensor.definition.name.clone()).bind(json(&sensor.definition));
        change.execute(write.bind(created).bind(updated)).await?;
        let object = format!("{device}/{}", sensor.definition.name);
        change.audit("sensor.set", (KIND, &object), was.map(shown), Some(shown(&sensor))).await?;
        change.commit().await?;
        Ok(sensor)
    }

    /// Takes a sensor away. For managers.
    pub async fn delete_sensor(&self, device: &str, name: &str) -> Result<(), Error> {
        self.scoped.access().needs(Role::Manager)?;
        let mut change = self.scoped.change(Role::Manager).await?;
        let device = visible_device(&mut change, device).await?.id;
        let question = change
            .sql("SELECT definition, created, updated FROM sensors WHERE tenant = $1 AND device = $2 AND name = $3");
        let row = change.row(question.bind(device.clone()).bind(name.to_owned())).await?;
        let was = DeviceSensor::from_row(&row.ok_or_else(|| Error::not_found(KIND, name))?)?;
        let delete = change.sql("DELETE FROM sensors WHERE tenant = $1 AND device = $2 AND name = $3");
        change.execute(delete.bind(device.clone()).bind(name.to_owned())).await?;
        change.audit("sensor.delete", (KIND, &format!("{device}/{name}")), Some(shown(&was)), None).await?;
        change.commit().await
    }
}

impl DeviceSensor {
    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        let (created, updated) = (row.number("created")?, row.number("updated")?);
        Ok(Self { definition: row.parsed("definition")?, created, updated })
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::invalid(fault.field, fault.reason)
    }
}

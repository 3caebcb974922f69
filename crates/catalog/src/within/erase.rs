//! A device that is erased leaves nothing in the catalog that names it.

use super::Within;
use super::devices::{remove_device, visible_device};
use crate::listeners::forget_device;
use crate::{Device, Error, Role};

const KIND: &str = "device";

impl Within<'_> {
    /// Somebody asks to erase all that a device sent: gives it, and where they mean it, that goes to the audit log, of which the
    /// erasure leaves who did it and when. For owners.
    ///
    /// # Errors
    ///
    /// When that is not allowed, there is no such device, or the catalog cannot be written.
    pub async fn ask_to_erase(&self, id: &str, yes: bool) -> Result<Device, Error> {
        let mut change = self.scoped.change(Role::Owner).await?;
        let device = visible_device(&mut change, id).await?;
        if yes {
            change.audit("device.erase_asked", (KIND, &device.id), None, None).await?;
            change.commit().await?;
        }
        Ok(device)
    }

    /// Deletes a device with its commands and sensors, and takes it out of what the audit log says of earlier changes of devices, their
    /// sensors, links and drivers, and the operator's of listeners: what was said there goes, that something was done stays. One that is
    /// not there is taken out of the log all the same. Whoever follows the catalog in other processes is told of it, if `tell`; else
    /// nothing is left that says that it was removed. Gives the ids that it had. For owners.
    ///
    /// # Errors
    ///
    /// When that is not allowed, or the catalog cannot be written.
    pub async fn erase_device(&self, id: &str, tell: bool) -> Result<Vec<String>, Error> {
        let mut change = self.scoped.change(Role::Owner).await?;
        let ids = match visible_device(&mut change, id).await {
            Ok(device) => {
                remove_device(&mut change, &device).await?;
                device.ids
            }
            Err(Error::NotFound { .. }) => vec![id.to_owned()],
            Err(error) => return Err(error),
        };
        for id in &ids {
            if !tell {
                let told = change.sql("DELETE FROM devices_removed WHERE tenant = $1 AND id = $2");
                change.execute(told.bind(id.clone())).await?;
            }
            let own = change.sql(
                "UPDATE audit SET object = '', was = NULL, became = NULL WHERE tenant = $1 AND \
                 ((kind = 'device' AND object = $2) OR (kind = 'sensor' AND substr(object, 1, length($2) + 1) = $2 || '/'))",
            );
            change.execute(own.bind(id.clone())).await?;
            // A whole value in what was said of another device, or of a link to this one: before what may stand behind a value, and not
            // behind a name.
            let quoted = serde_json::Value::from(id.as_str()).to_string();
            let spoken = change.sql(
                "UPDATE audit SET was = NULL, became = NULL WHERE tenant = $1 AND kind IN ('device', 'sensor', 'share', 'driver') AND \
                 (replace(replace(replace(coalesce(was, ''), $2, ''), $3, ''), $4, '') <> coalesce(was, '') \
                 OR replace(replace(replace(coalesce(became, ''), $2, ''), $3, ''), $4, '') <> coalesce(became, ''))",
            );
            let [next, last, last_of_list] = [",", "}", "]"].map(|behind| format!("{quoted}{behind}"));
            change.execute(spoken.bind(next).bind(last).bind(last_of_list)).await?;
            forget_device(&mut change, self.scoped.tenant(), id).await?;
        }
        change.audit("device.erase", (KIND, ""), None, None).await?;
        change.commit().await?;
        Ok(ids)
    }
}

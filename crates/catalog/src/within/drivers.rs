//! Drivers, and the cards by which devices name them.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::Within;
use crate::bounds::{self, CARD_CHARS_MAX, CARDS_MAX, DRIVERS_MAX, PHONE_CHARS_MAX};
use crate::scoped::{Change, Statement, shown};
use crate::secret::new_id;
use crate::sql::{Columns as _, json};
use crate::{Error, Role, UnixMillis};

/// A driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Driver {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Keys, cards and tags (iButton, RFID) that devices read, as they say them in `driver.id`. Capital letters, blanks, colons and
    /// hyphens make no difference.
    pub cards: Vec<String>,
    /// The telephone number.
    pub phone: String,
    /// Remarks.
    pub notes: String,
    /// Since when the driver is there.
    pub created: UnixMillis,
    /// When any of this changed last.
    pub updated: UnixMillis,
}

/// What is given of a driver, or becomes different. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DriverFields {
    /// The name.
    pub name: Option<String>,
    /// Keys, cards and tags: all are replaced.
    pub cards: Option<Vec<String>>,
    /// The telephone number.
    pub phone: Option<String>,
    /// Remarks.
    pub notes: Option<String>,
}

const KIND: &str = "driver";
const COLUMNS: &str = "id, name, cards, phone, notes, created, updated";

impl Within<'_> {
    /// The drivers by name, for those who see all devices; with a card, whoever has it. Others, whose devices name cards, are told that
    /// driver's name and nothing else.
    pub async fn drivers(&self, card: Option<&str>) -> Result<Vec<Driver>, Error> {
        let all = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM drivers WHERE tenant = $1");
        let Some(card) = card else {
            self.scoped.access().needs_all_devices()?;
            return self.scoped.rows(all.push(" ORDER BY name, id")).await?.iter().map(Driver::from_row).collect();
        };
        let whose = all.push(" AND id = (SELECT driver FROM driver_cards WHERE tenant = $1 AND card = $2)");
        let Some(row) = self.scoped.row(whose.bind(key(card))).await? else { return Ok(Vec::new()) };
        let driver = Driver::from_row(&row)?;
        let sees_all = self.scoped.access().scope.groups.is_none();
        Ok(vec![if sees_all { driver } else { driver.known_by(card) }])
    }

    /// A driver, for those who see all devices.
    pub async fn driver(&self, id: &str) -> Result<Driver, Error> {
        self.scoped.access().needs_all_devices()?;
        let row = self.scoped.row(one(self.scoped.sql("SELECT "), id)).await?;
        Driver::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Takes in a driver. For managers of all devices.
    pub async fn create_driver(&self, fields: DriverFields) -> Result<Driver, Error> {
        let mut change = self.change_of_drivers().await?;
        let driver = self.new_driver(&change, fields)?;
        driver.add(&mut change).await?;
        change.commit().await?;
        Ok(driver)
    }

    /// Takes in a driver of a list, unless one has a card of his already. Says whether it did.
    pub(super) async fn take_driver(&self, change: &mut Change<'_>, fields: &DriverFields) -> Result<bool, Error> {
        let driver = self.new_driver(change, fields.clone())?;
        for card in &driver.cards {
            let whose = change.sql("SELECT driver FROM driver_cards WHERE tenant = $1 AND card = $2").bind(key(card));
            if change.row(whose).await?.is_some() {
                return Ok(false);
            }
        }
        driver.add(change).await?;
        Ok(true)
    }

    fn new_driver(&self, change: &Change<'_>, fields: DriverFields) -> Result<Driver, Error> {
        let (id, created) = (new_id(&*self.scoped.catalog().rng), change.now());
        let (name, cards, phone, notes) = (String::new(), Vec::new(), String::new(), String::new());
        fields.applied(Driver { id, name, cards, phone, notes, created, updated: created })
    }

    /// Changes a driver. For managers of all devices.
    pub async fn update_driver(&self, id: &str, fields: DriverFields) -> Result<Driver, Error> {
        let mut change = self.change_of_drivers().await?;
        let was = Driver::of(&mut change, id).await?;
        let driver = Driver { updated: change.now(), ..fields.applied(was.clone())? };
        driver.write(&mut change).await?;
        change.audit("driver.update", (KIND, id), Some(shown(&was)), Some(shown(&driver))).await?;
        change.commit().await?;
        Ok(driver)
    }

    /// Deletes a driver. What devices said of the cards stays. For managers of all devices.
    pub async fn delete_driver(&self, id: &str) -> Result<(), Error> {
        let mut change = self.change_of_drivers().await?;
        let was = Driver::of(&mut change, id).await?;
        take_cards(&mut change, id).await?;
        let delete = change.sql("DELETE FROM drivers WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        change.execute(delete).await?;
        change.audit("driver.delete", (KIND, id), Some(shown(&was)), None).await?;
        change.commit().await
    }

    /// Drivers drive whatever there is, so they are for those who see all of it.
    async fn change_of_drivers(&self) -> Result<Change<'_>, Error> {
        self.scoped.access().needs(Role::Manager)?;
        self.scoped.access().needs_all_devices()?;
        self.scoped.change(Role::Manager).await
    }
}

impl DriverFields {
    fn applied(self, mut driver: Driver) -> Result<Driver, Error> {
        driver.name = self.name.unwrap_or(driver.name);
        driver.cards = self.cards.unwrap_or(driver.cards);
        driver.phone = self.phone.unwrap_or(driver.phone);
        driver.notes = self.notes.unwrap_or(driver.notes);
        bounds::name("name", &driver.name)?;
        bounds::line("phone", &driver.phone, PHONE_CHARS_MAX)?;
        bounds::notes("notes", &driver.notes)?;
        bounds::count("cards", driver.cards.len(), CARDS_MAX)?;
        let mut keys = std::collections::BTreeSet::new();
        for card in &driver.cards {
            bounds::line("cards", card, CARD_CHARS_MAX)?;
            if key(card).is_empty() {
                return Err(Error::invalid("cards", "have an empty one"));
            }
            if !keys.insert(key(card)) {
                return Err(Error::invalid("cards", format!("have {card} twice")));
            }
        }
        Ok(driver)
    }
}

impl Driver {
    async fn of(change: &mut Change<'_>, id: &str) -> Result<Self, Error> {
        let question = one(change.sql("SELECT "), id);
        let row = change.row(question).await?;
        Self::from_row(&row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Writes one that is new, if the tenant may have one more.
    async fn add(&self, change: &mut Change<'_>) -> Result<(), Error> {
        let count = change.sql("SELECT count(*) AS count FROM drivers WHERE tenant = $1");
        let used = change.row(count).await?.map_or(Ok(0), |row| row.number("count"))?;
        if used >= DRIVERS_MAX {
            return Err(Error::Quota { of: "drivers", limit: DRIVERS_MAX, used });
        }
        self.write(change).await?;
        change.audit("driver.create", (KIND, &self.id), None, Some(shown(self))).await
    }

    /// Writes it with its cards, unless one of them is another's.
    async fn write(&self, change: &mut Change<'_>) -> Result<(), Error> {
        take_cards(change, &self.id).await?;
        for card in &self.cards {
            let insert = change.sql(
                "INSERT INTO driver_cards (tenant, card, driver) VALUES ($1, $2, $3) ON CONFLICT (tenant, card) DO NOTHING",
            );
            if change.execute(insert.bind(key(card)).bind(self.id.clone())).await? == 0 {
                return Err(Error::conflict(format!("the card {card} is another driver's")));
            }
        }
        let write = change.sql(
            "INSERT INTO drivers (tenant, id, name, cards, phone, notes, created, updated) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, \
             cards = excluded.cards, phone = excluded.phone, notes = excluded.notes, updated = excluded.updated",
        );
        let write = write.bind(self.id.clone()).bind(self.name.clone()).bind(json(&self.cards));
        let write = write.bind(self.phone.clone()).bind(self.notes.clone()).bind(self.created).bind(self.updated);
        change.execute(write).await.map(drop)
    }

    /// The driver, as far as those are told who know but this card.
    fn known_by(self, card: &str) -> Self {
        let cards = self.cards.into_iter().filter(|own| key(own) == key(card)).collect();
        Self { cards, phone: String::new(), notes: String::new(), ..self }
    }

    fn from_row(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            cards: row.parsed("cards")?,
            phone: row.text("phone")?,
            notes: row.text("notes")?,
            created: row.number("created")?,
            updated: row.number("updated")?,
        })
    }
}

fn one(select: Statement, id: &str) -> Statement {
    select.push(COLUMNS).push(" FROM drivers WHERE tenant = $1 AND id = ").push_bind(id.to_owned())
}

async fn take_cards(change: &mut Change<'_>, driver: &str) -> Result<(), Error> {
    let delete = change.sql("DELETE FROM driver_cards WHERE tenant = $1 AND driver = $2").bind(driver.to_owned());
    change.execute(delete).await.map(drop)
}

/// A card as it is looked for: protocols and printed labels write the same one differently.
fn key(card: &str) -> String {
    card.chars().filter(|c| !matches!(c, ' ' | ':' | '-')).flat_map(char::to_uppercase).collect()
}

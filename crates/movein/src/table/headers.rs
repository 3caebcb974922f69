//! What the columns of a table mean, by what people call them.

use crate::gather::counted;
use std::collections::HashSet;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    /// One of a device's ids; they come in the order of `Columns::ids`.
    Id,
    Single(Field),
    /// An attribute of that name.
    Attribute(String),
}

/// What a device has one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Name,
    Plate,
    TimeZone,
    Group,
    Protocol,
    Model,
    Phone,
    Contact,
    Category,
    Notes,
    Tags,
    Disabled,
    Enabled,
    Expires,
}

/// The columns of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// What each holds.
    pub(crate) all: Vec<Column>,
    /// Which of them have ids, the one first that is most surely what a device calls itself.
    pub(crate) ids: Vec<usize>,
}

impl Columns {
    /// Understands a header. Nothing, if no column has ids.
    pub(crate) fn of(headers: &[String]) -> Option<Self> {
        let words: Vec<String> = headers.iter().map(|header| plain(header)).collect();
        let mut ids = ranked(&words, IDS);
        if ids.is_empty() {
            // Beside a better one, `id` is the number of a row in somebody's database.
            ids = ranked(&words, IDS_IF_ALONE);
            ids.truncate(1);
        }
        if ids.is_empty() {
            return None;
        }
        let mut all = vec![None; headers.len()];
        for index in &ids {
            put(&mut all, *index, Column::Id);
        }
        for (field, spellings) in FIELDS {
            let best = ranked(&words, spellings).into_iter().find(|index| all.get(*index) == Some(&None));
            if let Some(index) = best {
                put(&mut all, index, Column::Single(*field));
            }
        }
        let mut names = HashSet::new();
        let attribute = |(index, (column, header)): (usize, (Option<Column>, &String))| {
            column.unwrap_or_else(|| Column::Attribute(attribute_name(header, index, &mut names)))
        };
        let all = all.into_iter().zip(headers).enumerate().map(attribute).collect();
        Some(Self { all, ids })
    }

    /// How many columns are more than attributes: the more, the surer it is that this is a header.
    pub(crate) fn known(&self) -> usize {
        self.all.iter().filter(|column| !matches!(column, Column::Attribute(_))).count()
    }

    /// How the columns were understood, in words.
    pub(crate) fn said(&self, headers: &[String]) -> Vec<String> {
        let quoted = |wanted: &dyn Fn(&Column) -> bool| -> Vec<String> {
            let all = self.all.iter().zip(headers).filter(|(column, _)| wanted(column));
            all.map(|(_, header)| format!("\"{header}\"")).collect()
        };
        let mut understood: Vec<String> = Vec::new();
        let of_ids = self.ids.iter().filter_map(|index| headers.get(*index));
        understood.push(format!("ids from {}", of_ids.map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ")));
        for (field, _) in FIELDS {
            let columns = quoted(&|column| *column == Column::Single(*field));
            understood.extend(columns.iter().map(|column| format!("{} from {column}", field.word())));
        }
        let mut said = vec![format!("columns: {}", understood.join(", "))];
        let others = quoted(&|column| matches!(column, Column::Attribute(_)));
        if !others.is_empty() {
            let many =
                counted(others.len(), "further column becomes an attribute", "further columns become attributes");
            said.push(format!("{many} of each device: {}", others.join(", ")));
        }
        said
    }
}

impl Field {
    const fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Plate => "plate",
            Self::TimeZone => "time zone",
            Self::Group => "group",
            Self::Protocol => "protocol",
            Self::Model => "model",
            Self::Phone => "phone",
            Self::Contact => "contact",
            Self::Category => "category",
            Self::Notes => "notes",
            Self::Tags => "tags",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Expires => "expiration",
        }
    }
}

/// Whether an attribute of this name is a number plate: databases without a column for it have it there.
pub(crate) fn is_plate(name: &str) -> bool {
    let word = plain(name);
    FIELDS.iter().any(|(field, spellings)| *field == Field::Plate && spellings.contains(&word.as_str()))
}

/// A header without what people write differently: case, spaces, marks.
fn plain(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The columns with one of the spellings, the first spelling first.
fn ranked(words: &[String], spellings: &[&str]) -> Vec<usize> {
    let of = |spelling: &&str| -> Vec<usize> {
        words.iter().enumerate().filter(|(_, word)| word == spelling).map(|(index, _)| index).collect()
    };
    spellings.iter().flat_map(of).collect()
}

fn put(all: &mut [Option<Column>], index: usize, column: Column) {
    if let Some(place) = all.get_mut(index) {
        *place = Some(column);
    }
}

/// `attribute.colour` is `colour`, and so is `Attribute: colour`; a name that stands twice gets its column's number.
fn attribute_name(header: &str, index: usize, names: &mut HashSet<String>) -> String {
    let header = header.trim();
    let is_prefix = |word: &str| ["attribute", "attributes", "attr"].contains(&word.to_ascii_lowercase().as_str());
    let name = match header.split_once(['.', ':']) {
        Some((prefix, name)) if is_prefix(prefix.trim()) && !name.trim().is_empty() => name.trim(),
        _ => header,
    };
    let number = index.saturating_add(1);
    let name = if name.is_empty() { format!("column {number}") } else { name.to_owned() };
    if names.insert(name.clone()) {
        return name;
    }
    let other = format!("{name} ({number})");
    names.insert(other.clone());
    other
}

/// What a device calls itself.
const IDS: &[&str] = &[
    "imei",
    "imeinumber",
    "deviceimei",
    "trackerimei",
    "uniqueid",
    "deviceid",
    "deviceidentifier",
    "identifier",
    "trackerid",
    "unitid",
    "terminalid",
    "hardwareid",
    "serial",
    "serialnumber",
    "serialno",
    "deviceserial",
    "sn",
    "ident",
    "deviceident",
    "ids",
    "идентификатор",
    "серийныйномер",
    "seriennummer",
    "geräteid",
    "kennung",
    "identifiant",
    "identificador",
];

/// The same, unless there is a better one.
const IDS_IF_ALONE: &[&str] = &["id", "uid", "key", "code", "number", "no", "nummer", "номер"];

/// In the order in which they may choose a column; each with its spellings, the surest first.
const FIELDS: &[(Field, &[&str])] = &[
    (
        Field::Plate,
        &[
            "plate",
            "plateno",
            "platenumber",
            "licenseplate",
            "licenceplate",
            "licenseplatenumber",
            "licenceplatenumber",
            "numberplate",
            "vehicleplate",
            "registration",
            "registrationnumber",
            "registrationno",
            "registrationplate",
            "vehicleregistration",
            "regnumber",
            "regno",
            "reg",
            "kennzeichen",
            "amtlicheskennzeichen",
            "immatriculation",
            "matricula",
            "matrícula",
            "госномер",
            "гос",
        ],
    ),
    (
        Field::Name,
        &[
            "name",
            "devicename",
            "vehiclename",
            "unitname",
            "objectname",
            "displayname",
            "label",
            "alias",
            "title",
            "vehicle",
            "object",
            "unit",
            "asset",
            "device",
            "tracker",
            "fahrzeug",
            "bezeichnung",
            "nom",
            "nombre",
            "имя",
            "название",
            "наименование",
            "объект",
        ],
    ),
    (
        Field::Group,
        &[
            "group",
            "groupname",
            "grouppath",
            "fleet",
            "fleetname",
            "department",
            "depot",
            "branch",
            "gruppe",
            "groupe",
            "grupo",
            "группа",
        ],
    ),
    (
        Field::TimeZone,
        &[
            "timezone",
            "devicetimezone",
            "vehicletimezone",
            "tz",
            "zeitzone",
            "fuseauhoraire",
            "zonahoraria",
            "часовойпояс",
        ],
    ),
    (Field::Protocol, &["protocol", "deviceprotocol", "protokoll", "протокол"]),
    (
        Field::Model,
        &[
            "model",
            "devicemodel",
            "trackermodel",
            "devicetype",
            "trackertype",
            "hardware",
            "hardwaretype",
            "modell",
            "modèle",
            "modelo",
            "модель",
        ],
    ),
    (
        Field::Phone,
        &[
            "phone",
            "phonenumber",
            "simphone",
            "simnumber",
            "msisdn",
            "sim",
            "telephone",
            "mobile",
            "telefon",
            "téléphone",
            "teléfono",
            "телефон",
        ],
    ),
    (Field::Contact, &["contact", "contactperson", "owner", "responsible", "kontakt", "contacto", "контакт"]),
    (Field::Category, &["category", "vehicletype", "kind", "type", "kategorie", "catégorie", "categoría", "категория"]),
    (
        Field::Notes,
        &[
            "notes",
            "note",
            "comment",
            "comments",
            "remark",
            "remarks",
            "description",
            "notizen",
            "bemerkung",
            "заметки",
            "комментарий",
        ],
    ),
    (Field::Tags, &["tags", "tag", "labels", "keywords", "метки"]),
    (Field::Disabled, &["disabled", "isdisabled", "inactive", "blocked", "deactivated"]),
    (Field::Enabled, &["enabled", "isenabled", "active", "isactive"]),
    (
        Field::Expires,
        &[
            "expirationtime",
            "expiration",
            "expirationdate",
            "expires",
            "expiresat",
            "expiry",
            "expirydate",
            "validuntil",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], expected: Option<&str>) {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        let found = Columns::of(&headers).map(|columns| columns.said(&headers).join("; "));
        assert_eq!(found.as_deref(), expected, "{headers:?}");
    }

    #[test]
    fn headers_are_known_in_many_spellings() {
        check(&["IMEI", "Name"], Some("columns: ids from \"IMEI\", name from \"Name\""));
        check(
            &["Device ID", "Licence Plate", "Vehicle", "FLEET"],
            Some(
                "columns: ids from \"Device ID\", plate from \"Licence Plate\", name from \"Vehicle\", group from \"FLEET\"",
            ),
        );
        check(&["unique_id", "license-plate"], Some("columns: ids from \"unique_id\", plate from \"license-plate\""));
        check(&["Госномер", "идентификатор"], Some("columns: ids from \"идентификатор\", plate from \"Госномер\""));
        check(&["imei", "Time zone"], Some("columns: ids from \"imei\", time zone from \"Time zone\""));
        check(&["name", "plate"], None);
        check(&[], None);
    }

    #[test]
    fn a_row_number_is_no_id_beside_a_better_one() {
        check(&["id"], Some("columns: ids from \"id\""));
        check(
            &["id", "uniqueId"],
            Some("columns: ids from \"uniqueId\"; 1 further column becomes an attribute of each device: \"id\""),
        );
        check(&["Serial", "IMEI"], Some("columns: ids from \"IMEI\", \"Serial\""));
    }

    #[test]
    fn of_two_columns_for_one_thing_the_better_is_taken() {
        check(
            &["imei", "Vehicle", "Name", "Colour"],
            Some(
                "columns: ids from \"imei\", name from \"Name\"; 2 further columns become attributes of each device: \
                 \"Vehicle\", \"Colour\"",
            ),
        );
    }

    #[test]
    fn attributes_have_names_of_their_own() {
        let headers = ["imei", "attribute.colour", "Attribute: size", "colour", "", "attribute."];
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        let columns = Columns::of(&headers).expect("there is an IMEI");
        let names = columns.all.iter().filter_map(|column| match column {
            Column::Attribute(name) => Some(name.as_str()),
            _ => None,
        });
        let expected = ["colour", "size", "colour (4)", "column 5", "attribute."];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn plates_are_known_among_attributes() {
        assert!(is_plate("licensePlate") && is_plate("Registration") && !is_plate("vin"));
    }
}

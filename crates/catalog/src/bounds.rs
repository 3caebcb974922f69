//! Every bound on what people write, and the checks that hold them.

use crate::Error;

/// Characters of an id: of a tenant, a device, a login.
pub const ID_CHARS_MAX: usize = 64;
/// Bytes of a tenant's id: history has a folder for each tenant, whose name has `x.` and two digits for each byte, and 255 bytes at most.
pub const TENANT_ID_BYTES_MAX: usize = 126;
/// Characters of a name that people gave something.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a remark.
pub const NOTES_CHARS_MAX: usize = 10_000;
/// Characters of a password, at least.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Bytes of a password: nobody types more, and hashing takes time for each.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Groups that a user or a token is limited to. Each is a parameter of the queries.
pub const GROUPS_OF_ACCESS_MAX: usize = 100;
/// Users of a tenant.
pub const USERS_MAX: i64 = 10_000;
/// Tokens of a tenant that hold.
pub const TOKENS_MAX: i64 = 1_000;
/// Tokens of a tenant that are kept after they have ended: the latest ones. A list has all of them.
pub const TOKENS_KEPT_MAX: i64 = 1_000;
/// How long they are kept, in milliseconds: 90 days.
pub const TOKENS_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// Sessions of a user: one more ends the oldest.
pub const SESSIONS_MAX: i64 = 32;
/// Tenants.
pub const TENANTS_MAX: i64 = 100_000;
/// Groups of devices of a tenant.
pub const GROUPS_MAX: i64 = 10_000;
/// Ids of a device.
pub const DEVICE_IDS_MAX: usize = 16;
/// Bytes of an id that a device gave itself: what the journal can hold.
pub const REGISTERED_ID_BYTES_MAX: usize = 255;
/// Tags of a device.
pub const TAGS_MAX: usize = 32;
/// Characters of a tag.
pub const TAG_CHARS_MAX: usize = 64;
/// Settings of a device.
pub const SETTINGS_MAX: usize = 64;
/// Characters of a setting.
pub const SETTING_CHARS_MAX: usize = 1_000;
/// Attributes of a device.
pub const ATTRIBUTES_MAX: usize = 64;
/// Bytes of all attributes of a device, as JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;
/// Devices in one page of a list.
pub const DEVICE_PAGE_MAX: u32 = 1_000;
/// Bytes of a page of devices, or of the audit log: where much is kept of each, the page ends earlier.
pub const PAGE_BYTES_MAX: usize = 4 << 20;
/// Characters that are searched for.
pub const SEARCH_CHARS_MAX: usize = 200;
/// Rows of one import.
pub const IMPORT_ROWS_MAX: usize = 100_000;
/// Ids that the audit log keeps of an import.
pub const IMPORT_AUDIT_IDS_MAX: usize = 1_000;
/// Entries of the audit log that one question gets.
pub const AUDIT_PAGE_MAX: u32 = 1_000;
/// Bytes of what the audit log keeps of a thing before or after a change: more is left out.
pub const AUDIT_JSON_BYTES_MAX: usize = 64 * 1024;
/// Sensors of a device: each is computed for each record that is read with them.
pub const SENSORS_MAX: i64 = 64;
/// Drivers of a tenant.
pub const DRIVERS_MAX: i64 = 10_000;
/// Keys, cards and tags of a driver.
pub const CARDS_MAX: usize = 16;
/// Characters of a card: those of tachographs have sixteen.
pub const CARD_CHARS_MAX: usize = 64;
/// Characters of a telephone number, with blanks and an extension.
pub const PHONE_CHARS_MAX: usize = 40;
/// Days of usage that one question gets: a bit more than ten years.
pub const USAGE_DAYS_MAX: i64 = 4_000;
/// Attributes of a command.
pub const COMMAND_ATTRIBUTES_MAX: usize = 32;
/// Bytes of a command's attributes, its text among them.
pub const COMMAND_BYTES_MAX: usize = 16 * 1024;
/// Seconds that a command may wait for its device: 30 days.
pub const COMMAND_TTL_S_MAX: u64 = 30 * 24 * 60 * 60;
/// How often somebody sets out to send a command that may be repeated.
pub const COMMAND_ATTEMPTS_MAX: i64 = 10;
/// Commands that wait for one device.
pub const COMMANDS_WAITING_OF_DEVICE_MAX: i64 = 100;
/// Commands that wait for all devices of a tenant: the server knows in memory who has some.
pub const COMMANDS_WAITING_MAX: i64 = 100_000;
/// Commands of a device that are kept after they have come to an end.
pub const COMMANDS_KEPT_OF_DEVICE_MAX: i64 = 1_000;
/// How long they are kept, in milliseconds: 90 days.
pub const COMMANDS_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// Commands in one page of a list.
pub const COMMAND_PAGE_MAX: u32 = 1_000;
/// Characters that are kept of a device's answer; all of it is among its frames.
pub const COMMAND_ANSWER_CHARS_MAX: usize = 10_000;
/// Links to devices of a tenant that hold.
pub const SHARES_MAX: i64 = 1_000;
/// Links in one page of a list.
pub const SHARE_PAGE_MAX: u32 = 1_000;
/// How long a link to a device holds where nothing else is said, in milliseconds: a day.
pub const SHARE_MS: i64 = 24 * 60 * 60 * 1000;
/// How long it holds at most: 30 days. Nobody remembers for longer what they gave away.
pub const SHARE_MS_MAX: i64 = 30 * SHARE_MS;
/// How long ago the way may begin that it shows: 30 days.
pub const SHARE_PAST_MS_MAX: i64 = 30 * SHARE_MS;
/// Queries that a tenant has saved.
pub const QUERIES_MAX: i64 = 1_000;
/// Bytes of a query that is saved: one that a program has put together is kept where the program is.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all queries that a tenant has saved: a list has all of them.
pub const QUERIES_BYTES_MAX: i64 = 1 << 20;
/// Listeners that people make while servers run: a list has all of them, and each takes a socket or two.
pub const LISTENERS_MAX: i64 = 1_000;
/// Networks of a list of them.
pub const NETWORKS_MAX: usize = 1_000;
/// Characters of an address or a network.
pub const ADDRESS_CHARS_MAX: usize = 64;
/// Characters of a path to a file.
pub const PATH_CHARS_MAX: usize = 1_000;
/// Bytes of a secret that is looked up: what we give out is shorter.
pub const SECRET_BYTES_MAX: usize = 128;

/// Something that others name it by: printable, and in one piece.
pub(crate) fn id(field: &'static str, text: &str) -> Result<(), Error> {
    chars(field, text, 1, ID_CHARS_MAX)?;
    if text.chars().any(char::is_whitespace) {
        return Err(Error::invalid(field, "has white space in it"));
    }
    Ok(())
}

/// Something that people may call a tenant: an id as others name it by.
///
/// # Errors
///
/// When nothing can be called so.
pub fn check_id(field: &'static str, text: &str) -> Result<(), Error> {
    id(field, text)
}

/// A tenant's id that history can have a folder for. Of one that is longer, it could keep nothing.
///
/// # Errors
///
/// When it is too long.
pub fn check_tenant_length(field: &'static str, text: &str) -> Result<(), Error> {
    let bytes = text.len();
    if bytes > TENANT_ID_BYTES_MAX {
        let most = format!("at most {TENANT_ID_BYTES_MAX} are possible: history has a folder of that name");
        return Err(Error::invalid(field, format!("has {bytes} bytes, {most}")));
    }
    Ok(())
}

/// A new tenant's id, which folders and addresses are made of. Those that were made before this was held stay as they are.
pub(crate) fn folder(field: &'static str, text: &str) -> Result<(), Error> {
    if matches!(text, "." | "..") {
        return Err(Error::invalid(field, "means another folder"));
    }
    check_tenant_length(field, text)?;
    match text.chars().find(|c| matches!(c, '/' | '\\')) {
        Some(odd) => Err(Error::invalid(field, format!("has {odd} in it, which is between folders"))),
        None => Ok(()),
    }
}

/// A line of text.
pub(crate) fn line(field: &'static str, text: &str, chars_max: usize) -> Result<(), Error> {
    chars(field, text, 0, chars_max)?;
    if text.trim() != text {
        return Err(Error::invalid(field, "begins or ends with white space"));
    }
    Ok(())
}

/// A name, which is a line and there.
pub(crate) fn name(field: &'static str, text: &str) -> Result<(), Error> {
    line(field, text, NAME_CHARS_MAX)?;
    if text.is_empty() { Err(Error::invalid(field, "is empty")) } else { Ok(()) }
}

/// Text of several lines.
pub(crate) fn notes(field: &'static str, text: &str) -> Result<(), Error> {
    let one_line: String = text.chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
    chars(field, &one_line, 0, NOTES_CHARS_MAX)
}

/// A query, which is there. Nothing hides in it that others who run it would not see.
pub(crate) fn query(field: &'static str, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    if text.len() > QUERY_BYTES_MAX {
        return Err(Error::invalid(field, format!("has {} bytes, at most {QUERY_BYTES_MAX} are possible", text.len())));
    }
    let one_line: String = text.chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
    chars(field, &one_line, 0, QUERY_BYTES_MAX)
}

/// The name of a time zone as it is written, whatever its letters were; the empty text names none.
pub(crate) fn time_zone(field: &'static str, text: &str) -> Result<&'static str, Error> {
    match text {
        "" => Ok(""),
        _ => time_zone_named(text)
            .ok_or_else(|| Error::invalid(field, "is no time zone such as Europe/Berlin, as the IANA names them")),
    }
}

/// A time zone's name as the IANA writes it, if there is one of this name: capital letters do not matter.
pub fn time_zone_named(text: &str) -> Option<&'static str> {
    if let Ok(zone) = text.parse::<chrono_tz::Tz>() {
        return Some(zone.name());
    }
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).find(|name| name.eq_ignore_ascii_case(text))
}

/// So many at most.
pub(crate) fn count(field: &'static str, count: usize, max: usize) -> Result<(), Error> {
    if count > max {
        return Err(Error::invalid(field, format!("are {count}, at most {max} are possible")));
    }
    Ok(())
}

/// A quota or another amount.
pub(crate) fn amount(field: &'static str, number: Option<i64>) -> Result<(), Error> {
    match number {
        Some(..0) => Err(Error::invalid(field, "is negative")),
        _ => Ok(()),
    }
}

/// A new password.
pub(crate) fn password(text: &str) -> Result<(), Error> {
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Error::invalid("password", format!("has less than {PASSWORD_CHARS_MIN} characters")));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(Error::invalid("password", format!("has more than {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn chars(field: &'static str, text: &str, min: usize, max: usize) -> Result<(), Error> {
    let count = text.chars().count();
    if count < min {
        return Err(Error::invalid(field, "is empty"));
    }
    if count > max {
        return Err(Error::invalid(field, format!("has {count} characters, at most {max} are possible")));
    }
    if let Some(odd) = text.chars().find(|c| c.is_control() || INVISIBLE.contains(c)) {
        return Err(Error::invalid(
            field,
            format!("has the character {} in it, which cannot be seen", odd.escape_default()),
        ));
    }
    Ok(())
}

/// Marks that turn the direction of text or join it: with them, one id looks like another.
const INVISIBLE: &[char] = &[
    '\u{200b}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2028}',
    '\u{2029}', '\u{2060}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(result: Result<(), Error>, expected: &str) {
        assert_eq!(result.err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn ids_are_printable_and_in_one_piece() {
        check(id("id", &"x".repeat(ID_CHARS_MAX)), "");
        check(id("id", "Жук-7/ü"), "");
        check(id("id", &"x".repeat(ID_CHARS_MAX + 1)), "id: has 65 characters, at most 64 are possible");
        check(id("id", ""), "id: is empty");
        check(id("id", "a b"), "id: has white space in it");
        check(id("id", "a\u{a0}b"), "id: has white space in it");
        check(id("id", "a\u{1b}b"), "id: has the character \\u{1b} in it, which cannot be seen");
        check(id("id", "a\u{202e}b"), "id: has the character \\u{202e} in it, which cannot be seen");
        check(id("id", "a\0"), "id: has the character \\u{0} in it, which cannot be seen");
    }

    #[test]
    fn a_tenant_is_no_way_to_another_folder() {
        for text in ["north", "North.7", "...", "Жук-7", "a..b"] {
            check(folder("id", text), "");
        }
        check(folder("id", "."), "id: means another folder");
        check(folder("id", ".."), "id: means another folder");
        check(folder("id", "a/b"), "id: has / in it, which is between folders");
        check(folder("id", "..\\b"), "id: has \\ in it, which is between folders");
    }

    #[test]
    fn a_tenant_is_called_what_a_folder_can_be_called() {
        for longest in ["x".repeat(ID_CHARS_MAX), "Ж".repeat(63), "北".repeat(42)] {
            check(folder("id", &longest), "");
        }
        let why = "at most 126 are possible: history has a folder of that name";
        check(folder("id", &"Ж".repeat(64)), &format!("id: has 128 bytes, {why}"));
        check(folder("id", &"北".repeat(43)), &format!("id: has 129 bytes, {why}"));
    }

    #[test]
    fn names_are_lines() {
        check(name("name", "Truck 7"), "");
        check(name("name", ""), "name: is empty");
        check(name("name", " Truck"), "name: begins or ends with white space");
        check(name("name", "a\nb"), "name: has the character \\n in it, which cannot be seen");
        check(name("name", &"x".repeat(NAME_CHARS_MAX + 1)), "name: has 201 characters, at most 200 are possible");
        check(line("email", "", 3), "");
        check(notes("notes", "a\n\tb"), "");
        check(notes("notes", "a\u{7}"), "notes: has the character \\u{7} in it, which cannot be seen");
        check(count("tags", TAGS_MAX, TAGS_MAX), "");
        check(count("tags", TAGS_MAX + 1, TAGS_MAX), "tags: are 33, at most 32 are possible");
    }

    #[test]
    fn queries_have_a_text_that_can_be_seen() {
        check(query("sql", "SELECT 1 -- one\n\tFROM last\r\n"), "");
        check(query("sql", " \n"), "sql: is empty");
        check(query("sql", &"x".repeat(QUERY_BYTES_MAX)), "");
        check(query("sql", &"\u{fc}".repeat(QUERY_BYTES_MAX / 2)), "");
        check(query("sql", &"x".repeat(QUERY_BYTES_MAX + 1)), "sql: has 16385 bytes, at most 16384 are possible");
        check(query("sql", "a\u{202e}b"), "sql: has the character \\u{202e} in it, which cannot be seen");
        check(query("sql", "a\0"), "sql: has the character \\u{0} in it, which cannot be seen");
    }

    #[test]
    fn time_zones_are_those_of_the_iana() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(time_zone("zone", text).ok(), expected, "{text}");
        check("Europe/Berlin", Some("Europe/Berlin"));
        check("america/argentina/BUENOS_aires", Some("America/Argentina/Buenos_Aires"));
        check("Asia/Calcutta", Some("Asia/Calcutta"));
        check("utc", Some("UTC"));
        check("", Some(""));
        for text in ["Berlin", "+02:00", "Europe/Berlin ", "Europe", "../etc/passwd", "Europe/Berlin\0"] {
            check(text, None);
        }
    }

    #[test]
    fn passwords_have_a_length() {
        check(password("1234567"), "password: has less than 8 characters");
        check(password("12345678"), "");
        check(password(&"x".repeat(PASSWORD_BYTES_MAX)), "");
        check(password(&"x".repeat(PASSWORD_BYTES_MAX + 1)), "password: has more than 256 bytes");
    }

    #[test]
    fn amounts_are_not_negative() {
        check(amount("devices_max", Some(0)), "");
        check(amount("devices_max", None), "");
        check(amount("devices_max", Some(-1)), "devices_max: is negative");
    }
}

//! Lists of devices.

use odograph_catalog::{
    Access, DeviceFields, DeviceRow, DeviceState, DriverFields, ImportMode, ImportOutcome, ImportReport, ImportedRow,
    NewTenant, Quotas, Registered, Within,
};

use crate::support::{NOON, refused, with_catalog};

fn row(ids: &[&str], name: &str, group: Option<&str>) -> DeviceRow {
    let fields = DeviceFields {
        name: Some(name.into()),
        group: group.map(|group| Some(group.to_owned())),
        ..DeviceFields::default()
    };
    DeviceRow { ids: ids.iter().map(ToString::to_string).collect(), fields }
}

/// What came of it: created, changed, same, failed, and each row in words.
async fn import(within: Within<'_>, rows: &[DeviceRow], mode: ImportMode) -> ([usize; 4], bool, Vec<String>) {
    let report = within.import_devices(rows, &[], mode).await.unwrap();
    let ImportReport { written, created, changed, same, failed, rows, .. } = report;
    ([created, changed, same, failed], written, words(rows))
}

fn words(rows: Vec<ImportedRow>) -> Vec<String> {
    let words = rows.into_iter().map(|row| match row.outcome {
        ImportOutcome::Created => format!("{}: created", row.id),
        ImportOutcome::Changed { fields } => format!("{}: {}", row.id, fields.join(", ")),
        ImportOutcome::Same => format!("{}: same", row.id),
        ImportOutcome::Failed { reason } => format!("{}: failed: {reason}", row.id),
    });
    words.collect()
}

const DO: ImportMode = ImportMode { dry_run: false, skip_bad: false };

#[test]
fn a_list_makes_and_changes_devices() {
    with_catalog(async |place, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        within.create_group("cold").await.unwrap();
        within.create_device(vec!["1".into(), "1b".into()], DeviceFields::default()).await.unwrap();
        within.create_device(vec!["2".into()], row(&[], "Two", None).fields).await.unwrap();
        place.clock.set_now(NOON + 5);
        let rows =
            [row(&["1"], "One", Some("cold")), row(&["2"], "Two", None), row(&["3", "3b"], "Three", Some("dry"))];
        let expected = ["1: group, name", "2: same", "3: created"];
        let dry = import(within, &rows, ImportMode { dry_run: true, ..DO }).await;
        assert_eq!(dry, ([1, 1, 1, 0], false, expected.map(ToOwned::to_owned).to_vec()));
        assert_eq!((within.device("1").await.unwrap().name.as_str(), within.groups().await.unwrap().len()), ("", 1));
        let done = import(within, &rows, DO).await;
        assert_eq!(done, ([1, 1, 1, 0], true, expected.map(ToOwned::to_owned).to_vec()));

        let one = within.device("1b").await.unwrap();
        assert_eq!((one.name.as_str(), one.ids.len(), one.created, one.updated), ("One", 2, NOON, NOON + 5));
        assert_eq!(within.device("2").await.unwrap().updated, NOON);
        let three = within.device("3b").await.unwrap();
        assert_eq!((three.id.as_str(), three.state), ("3", DeviceState::Accepted));
        let groups = within.groups().await.unwrap();
        let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["cold", "dry"]);
        assert_eq!((one.group.as_ref(), three.group.as_ref()), (Some(&groups[0].id), Some(&groups[1].id)));
        assert_eq!(import(within, &rows, DO).await.0, [0, 0, 3, 0]);

        // Out of its group, and with other ids.
        let rows = [row(&["1", "1c"], "One", Some(""))];
        assert_eq!(import(within, &rows, DO).await.2, ["1: group, ids"]);
        refused(within.device("1b").await, "there is no device 1b");
        assert_eq!(within.device("1c").await.unwrap().group, None);

        let log = within.audit(&Default::default()).await.unwrap();
        let entry = log.iter().rev().find(|entry| entry.action == "device.import").unwrap();
        assert_eq!(entry.became, Some(serde_json::json!({"created": 1, "changed": 1, "ids": ["1", "3"]})));
    });
}

#[test]
fn what_people_decided_or_added_stays() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let states = [
            DeviceState::Configured,
            DeviceState::New,
            DeviceState::Accepted,
            DeviceState::Quarantined,
            DeviceState::Rejected,
        ];
        let came = states.map(|state| Registered {
            tenant: "north".into(),
            id: state.name().into(),
            aliases: vec![],
            protocol: "h02".into(),
            state,
            at: NOON,
        });
        catalog.register(&came).await.unwrap();
        let mut rows: Vec<_> = states.iter().map(|state| row(&[state.name()], "", None)).collect();
        let expected = ["configured: state", "new: state", "accepted: same", "quarantined: same", "rejected: same"];
        assert_eq!(import(within, &rows, DO).await.2, expected);
        assert_eq!(import(within, &rows, DO).await.0, [0, 0, 5, 0]);
        for row in &mut rows {
            row.fields.state = Some(DeviceState::Accepted);
        }
        assert_eq!(import(within, &rows, DO).await.2[2..], ["accepted: same", "quarantined: state", "rejected: state"]);

        let with = |tags: &[&str], attributes: serde_json::Value| DeviceFields {
            tags: Some(tags.iter().map(ToString::to_string).collect()),
            attributes: attributes.as_object().cloned(),
            ..DeviceFields::default()
        };
        let own = with(&["mine", "cold"], serde_json::json!({"vin": "typed", "gate": 7}));
        within.update_device("new", own).await.unwrap();
        let listed = with(&["cold", "night"], serde_json::json!({"vin": "listed", "model": "FMB920"}));
        let listed = [DeviceRow { ids: vec!["new".into()], fields: listed }];
        assert_eq!(import(within, &listed, DO).await.2, ["new: attributes, tags"]);
        assert_eq!(import(within, &listed, DO).await.2, ["new: same"]);
        let device = within.device("new").await.unwrap();
        assert_eq!(device.tags, ["cold", "mine", "night"]);
        let attributes = serde_json::json!({"vin": "listed", "gate": 7, "model": "FMB920"});
        assert_eq!(serde_json::Value::from(device.attributes), attributes);
    });
}

#[test]
fn drivers_of_a_list_are_taken_in_once() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let driver = |name: &str, card: &str, notes: &str| DriverFields {
            name: Some(name.into()),
            cards: Some(vec![card.into()]),
            notes: Some(notes.into()),
            ..DriverFields::default()
        };
        let (bad, good) = (driver("", "9", ""), [driver("Ona", "0A-1B", "shift: night"), driver("Pat", "7", "")]);
        let import = async |rows: &[DeviceRow], drivers: &[DriverFields], mode: ImportMode| {
            let report = within.import_devices(rows, drivers, mode).await.unwrap();
            (report.written, report.failed, words(report.drivers))
        };
        let names = async || -> Vec<String> {
            within.drivers(None).await.unwrap().into_iter().map(|driver| driver.name).collect()
        };
        let made = vec!["0A-1B: created".to_owned(), "7: created".to_owned()];
        let dry = ImportMode { dry_run: true, ..DO };
        assert_eq!(import(&[], &good, dry).await, (false, 0, made.clone()));
        // One that cannot be taken is enough, be it a driver or a device.
        let all = [good[0].clone(), good[1].clone(), bad];
        let refused = "9: failed: name: is empty".to_owned();
        assert_eq!(import(&[], &all, DO).await, (false, 1, [made.clone(), vec![refused.clone()]].concat()));
        assert_eq!(import(&[row(&[], "", None)], &good, DO).await, (false, 1, made.clone()));
        assert_eq!(names().await, [""; 0]);
        let skipping = ImportMode { skip_bad: true, ..DO };
        assert_eq!(import(&[], &all, skipping).await, (true, 1, [made, vec![refused]].concat()));
        let ona = within.drivers(Some("0a1b")).await.unwrap().remove(0);
        assert_eq!((ona.name.as_str(), ona.notes.as_str()), ("Ona", "shift: night"));
        // What is known already stays as people made it.
        let renamed = DriverFields { name: Some("Ona B.".into()), ..DriverFields::default() };
        within.update_driver(&ona.id, renamed).await.unwrap();
        let same = vec!["0A-1B: same".to_owned(), "7: same".to_owned()];
        assert_eq!(import(&[], &good, DO).await, (false, 0, same));
        assert_eq!(names().await, ["Ona B.", "Pat"]);
        let log = within.audit(&Default::default()).await.unwrap();
        let actions: Vec<_> = log.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["driver.update", "driver.create", "driver.create"]);
    });
}

#[test]
fn a_bad_row_is_enough_unless_it_may_be_left_out() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        within.create_device(vec!["1".into(), "1b".into()], DeviceFields::default()).await.unwrap();
        let rows = [
            row(&["9"], "good", None),
            row(&[], "", None),
            row(&["a\0"], "", None),
            row(&["1b"], "", None),
            row(&["2", "1"], "", None),
            row(&["9"], "again", None),
            row(&["3"], &"x".repeat(201), None),
            row(&["1"], "also good", None),
        ];
        let expected = [
            "9: created",
            ": failed: ids: are none: a device has at least one",
            "a\0: failed: ids: has the character \\u{0} in it, which cannot be seen",
            "1b: failed: the id 1b is taken by the device 1",
            "2: failed: the id 1 is taken by the device 1",
            "9: failed: row 1 has the id 9 too",
            "3: failed: name: has 201 characters, at most 200 are possible",
            "1: name",
        ];
        let expected = expected.map(ToOwned::to_owned).to_vec();
        assert_eq!(import(within, &rows, DO).await, ([1, 1, 0, 6], false, expected.clone()));
        refused(within.device("9").await, "there is no device 9");
        let skipping = ImportMode { skip_bad: true, ..DO };
        assert_eq!(import(within, &rows, skipping).await, ([1, 1, 0, 6], true, expected));
        assert_eq!(within.device("9").await.unwrap().name, "good");
    });
}

#[test]
fn a_list_gives_time_zones() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let zoned = |id: &str, zone: &str| {
            let fields = DeviceFields { time_zone: Some(zone.into()), ..DeviceFields::default() };
            DeviceRow { ids: vec![id.into()], fields }
        };
        let rows = [zoned("1", "Europe/Riga"), zoned("2", "EUROPE/RIGA")];
        assert_eq!(import(within, &rows, DO).await.0, [2, 0, 0, 0]);
        let rows = [zoned("1", "Europe/Riga"), zoned("2", "Africa/Cairo"), row(&["1"], "", None)];
        let expected = ["1: same", "2: time_zone", "1: failed: row 1 has the id 1 too"];
        let skipping = ImportMode { skip_bad: true, ..DO };
        assert_eq!(import(within, &rows, skipping).await.2, expected);
        let zone = async |id: &str| within.device(id).await.unwrap().time_zone;
        assert_eq!((zone("1").await, zone("2").await), ("Europe/Riga".to_owned(), "Africa/Cairo".to_owned()));
        let reason = "1: failed: time_zone: is no time zone such as Europe/Berlin, as the IANA names them";
        assert_eq!(import(within, &[zoned("1", "Riga")], DO).await.2, [reason]);
        // A list that says nothing of it takes nothing away.
        import(within, &[row(&["1"], "One", None)], DO).await;
        assert_eq!(zone("1").await, "Europe/Riga");
    });
}

#[test]
fn a_list_keeps_to_the_quota() {
    with_catalog(async |_, catalog| {
        let quotas = Quotas { devices_max: Some(3), ..Quotas::default() };
        let new = NewTenant { id: "small".into(), quotas, ..NewTenant::default() };
        catalog.tenants(&Access::owner("default")).create(new).await.unwrap();
        let owner = Access::owner("small");
        let within = catalog.within(&owner);
        within.create_device(vec!["0".into()], DeviceFields::default()).await.unwrap();
        let rows = ["0", "1", "2", "3"].map(|id| row(&[id], "x", None));
        let full = "the tenant may have 3 devices and has 1: delete some, or have the quota raised";
        refused(within.import_devices(&rows, &[], DO).await, full);
        assert_eq!(import(within, &rows[..3], DO).await.0, [2, 1, 0, 0]);
    });
}

#[test]
fn long_lists_are_taken_in_one_piece() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let within = catalog.within(&owner);
        let rows: Vec<_> = (0..1_050).map(|number| row(&[&number.to_string()], "x", Some("all"))).collect();
        assert_eq!(import(within, &rows, DO).await.0, [1_050, 0, 0, 0]);
        assert_eq!(import(within, &rows, DO).await.0, [0, 0, 1_050, 0]);
        let twice: Vec<_> = rows.iter().chain(&rows[..1]).cloned().collect();
        let (counts, written, words) = import(within, &twice, DO).await;
        assert_eq!((counts, written), ([0, 0, 1_050, 1], false));
        assert_eq!(words[1_050], "0: failed: row 1 has the id 0 too");
        let many = vec![DeviceRow::default(); odograph_catalog::bounds::IMPORT_ROWS_MAX + 1];
        refused(within.import_devices(&many, &[], DO).await, "rows: are 100001, at most 100000 are possible");
    });
}

//! Sensors of devices.

use odograph_catalog::{Access, DeviceFields, DeviceSensor};
use odograph_sensors::{Calibration, Definition};

use crate::support::{NOON, refused, with_catalog};

fn formula(name: &str, formula: &str) -> Definition {
    Definition { name: name.into(), formula: Some(formula.into()), ..Definition::default() }
}

#[test]
fn sensors_are_a_devices_and_go_with_it() {
    with_catalog(async |place, catalog| {
        let (owner, other) = (Access::owner("north"), Access::owner("south"));
        let (north, south) = (catalog.within(&owner), catalog.within(&other));
        let ids = || vec!["1".to_owned(), "one".to_owned()];
        north.create_device(ids(), DeviceFields::default()).await.unwrap();
        south.create_device(ids(), DeviceFields::default()).await.unwrap();
        let points = vec![(0.0, 0.0), (5.0, 300.0)];
        let calibration = Calibration { parameter: "raw.9".into(), points, beyond: Default::default() };
        let tank = Definition { name: "fuel".into(), unit: "l".into(), calibration: Some(calibration), formula: None };
        let made = north.set_sensor("one", tank.clone()).await.unwrap();
        assert_eq!(made, DeviceSensor { definition: tank.clone(), created: NOON, updated: NOON });
        north.set_sensor("1", formula("a", "1")).await.unwrap();
        place.clock.set_now(NOON + 7);
        let changed = north.set_sensor("1", formula("a", "2")).await.unwrap();
        assert_eq!((changed.created, changed.updated), (NOON, NOON + 7));
        assert_eq!(north.sensors("one").await.unwrap(), [changed.clone(), made]);
        assert_eq!(north.sensor("1", "a").await.unwrap(), changed);
        assert_eq!(south.sensors("1").await.unwrap(), []);
        north.delete_sensor("1", "a").await.unwrap();
        refused(north.delete_sensor("1", "a").await, "there is no sensor a");
        refused(north.sensor("1", "a").await, "there is no sensor a");
        north.delete_device("1").await.unwrap();
        north.create_device(ids(), DeviceFields::default()).await.unwrap();
        assert_eq!(north.sensors("1").await.unwrap(), [], "another device of that id has none");
    });
}

#[test]
fn what_cannot_be_is_not_kept() {
    with_catalog(async |_, catalog| {
        let owner = Access::owner("north");
        let north = catalog.within(&owner);
        north.create_device(vec!["1".into()], DeviceFields::default()).await.unwrap();
        refused(
            north.set_sensor("1", formula("a", "2 * speed")).await,
            "formula: line 1, column 5: speed: a parameter is written as value(\"speed\")",
        );
        for number in 0..64 {
            north.set_sensor("1", formula(&format!("a{number}"), "1")).await.unwrap();
        }
        refused(
            north.set_sensor("1", formula("b", "1")).await,
            "the tenant may have 64 sensors of a device and has 64: delete some, or have the quota raised",
        );
        north.set_sensor("1", formula("a0", "2")).await.unwrap();
    });
}

//! The configuration's own tests.
use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odograph.toml");
    std::fs::write(&path, file).unwrap();
    let source = Source { config: Some(path), data: None };
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let strip = |error: anyhow::Error| error.to_string().replace(&format!("{}/", folder.path().display()), "");
    source.load_with(environment).map_err(strip)
}

fn refused(file: &str) -> String {
    load(file, &[]).unwrap_err()
}

#[test]
fn the_environment_stands_above_the_file_and_both_above_defaults() {
    let loaded =
        load("[http]\nlisten = \"127.0.0.1:1\"\n[journal]\nnode = 0x10\n", &[("ODOGRAPH_HTTP__LISTEN", "127.0.0.1:2")]);
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.http.listen.to_string(), "127.0.0.1:2");
    assert_eq!(loaded.origin("http.listen"), Origin::Environment("ODOGRAPH_HTTP__LISTEN".to_owned()));
    assert_eq!(loaded.config.journal.node, 16);
    assert_eq!(loaded.origin("data"), Origin::Default);
}

#[test]
fn what_the_file_says_and_nobody_knows_is_an_error_with_its_place() {
    assert_eq!(
        refused("\n[htpp]\nlisten = \"\"\n"),
        "odograph.toml:3:1: unknown key htpp.listen: did you mean http.listen?"
    );
    assert_eq!(refused("dato = 1"), "odograph.toml:1:1: unknown key dato: did you mean data?");
    assert_eq!(
        refused("[[listener]]\nprotocl = \"x\"").lines().next(),
        Some("odograph.toml:2:1: unknown key protocl: did you mean protocol?")
    );
    assert!(refused("data = ").starts_with("odograph.toml:1:"));
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_says_what_would() {
    assert_eq!(
        refused("[journal]\nsegment_bytes = \"lots\""),
        "odograph.toml:2:1: journal.segment_bytes: \"lots\" is not a size such as 256 MiB"
    );
    assert_eq!(
        refused("[ingest]\ndefault_ports = \"perhaps\""),
        "odograph.toml:2:1: ingest.default_ports: \"perhaps\" is not true or false"
    );
    assert_eq!(refused("data = [\"a\"]"), "odograph.toml:1:1: data: a list, not a path");
}

#[test]
fn an_unknown_variable_is_a_warning_and_a_wrong_one_an_error() {
    let loaded = load("", &[("ODOGRAPH_HTTP__LISTN", "1")]).unwrap();
    assert_eq!(
        loaded.warnings,
        ["environment variable ODOGRAPH_HTTP__LISTN: unknown key http.listn: did you mean http.listen?"]
    );
    let error = load("", &[("ODOGRAPH_INGEST__WORKERS", "many")]).unwrap_err();
    assert_eq!(
        error,
        "environment variable ODOGRAPH_INGEST__WORKERS: ingest.workers: \"many\" is not a whole number, 0 or more"
    );
}

#[test]
fn devices_are_whole_and_have_ids_of_their_own() {
    let loaded = load("[[device]]\nids = [\"1\", \"2\"]\ntenant = \"north\"\n", &[("ODOGRAPH_DEVICE__1__IDS", "3,4")]);
    let devices = loaded.unwrap().config.devices;
    assert_eq!(devices.iter().map(|device| device.ids.join(" ")).collect::<Vec<_>>(), ["1 2", "3 4"]);
    assert_eq!(refused("[[device]]\nname = \"x\""), "odograph.toml:2:1: a [[device]] needs ids");
    assert_eq!(
        refused("[[device]]\nids = [\"1\"]\n[[device]]\nids = [\"1\"]"),
        "odograph.toml:4:1: the id 1 belongs to two devices"
    );
    assert_eq!(
        refused("[[device]]\nids = [\"1\"]\n[device.settings]\nwarp = 9").lines().next(),
        Some("odograph.toml:2:1: no protocol takes the setting warp")
    );
}

#[test]
fn elements_of_a_list_come_in_their_order_from_the_environment() {
    let names: Vec<_> = (0..12).map(|number| format!("ODOGRAPH_DEVICE__{number}__IDS")).collect();
    let ids: Vec<_> = (0..12).map(|number| format!("id{number}")).collect();
    let variables: Vec<_> = names.iter().zip(&ids).map(|(name, id)| (name.as_str(), id.as_str())).collect();
    let loaded = load("", &variables).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(loaded.config.devices.iter().map(|device| device.ids[0].as_str()).collect::<Vec<_>>(), ids);
}

#[test]
fn a_store_and_its_options_are_taken_and_its_secrets_not_shown() {
    let file = "[lake]\nstore = \"s3://bucket/odograph\"\nstore_bandwidth = \"1 MiB\"\n\
                [lake.store_options]\nregion = \"eu-central-1\"\nallow_http = true\n";
    let loaded = load(file, &[("ODOGRAPH_LAKE__STORE_OPTIONS__SECRET_ACCESS_KEY", "hush")]).unwrap();
    let store = loaded.config.lake.remote().unwrap();
    assert_eq!((store.url.as_str(), store.bytes_per_second), ("s3://bucket/odograph", Some(1 << 20)));
    assert_eq!(store.options["secret_access_key"], "hush");
    let shown = serde_json::to_string(&rows(&loaded)).unwrap();
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("eu-central-1") && shown.contains("(set, and not shown)"), "{shown}");
    for (file, expected) in [
        (
            "[lake]\nstore = \"ftp://x\"",
            "odograph.toml:2:1: \"ftp://x\" is no s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX",
        ),
        (
            "[lake]\nstore = \"s3://x\"\nstore_options = { regoin = \"x\" }",
            "odograph.toml:2:1: lake.store_options has no regoin for s3://x",
        ),
        (
            "[lake.store_options]\nregion = \"x\"",
            "odograph.toml:2:1: lake.store_options say nothing without lake.store",
        ),
    ] {
        assert_eq!(refused(file), expected);
    }
}

#[test]
fn every_key_has_a_meaning_and_stands_once() {
    let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len());
    assert!(KEYS.iter().all(|key| key.meaning.ends_with('.')));
}

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
fn tenants_have_a_name_each_and_keep_what_they_are_told() {
    let file = "[lake]\nkeep_records_days = 30\n[[tenant]]\nname = \"north\"\nkeep_records_days = 365\n";
    let config = load(file, &[("ODOGRAPH_TENANT__1__NAME", "south")]).unwrap().config;
    let options = crate::history::options(&config);
    let kept = |tenant: &str| options.keep_of.get(tenant).map(|keep| (keep.records, keep.frames));
    assert_eq!(options.keep.records, Some(30));
    assert_eq!(
        (kept("north"), kept("south"), kept("default")),
        (Some((Some(365), None)), Some((Some(30), None)), None)
    );
    assert_eq!(refused("[[tenant]]\nkeep_frames_days = 1"), "odograph.toml:2:1: a [[tenant]] needs a name");
    assert_eq!(
        refused("[[tenant]]\nname = \"a\"\n[[tenant]]\nname = \"a\""),
        "odograph.toml:4:1: there are two [[tenant]] of the name a"
    );
}

#[test]
fn a_tenant_is_called_what_history_can_have_a_folder_for() {
    let parts = [
        ("tenant", "[[listener]]\nprotocol = \"wialon\"\nlisten = 1\ntenant = "),
        ("tenant", "[[device]]\nids = [\"1\"]\ntenant = "),
        ("name", "[[tenant]]\nname = "),
    ];
    for (key, begin) in parts {
        load(&format!("{begin}\"{}\"", "北".repeat(42)), &[]).expect("126 bytes are possible");
        let why = "has 129 bytes, at most 126 are possible: history has a folder of that name";
        assert_eq!(refused(&format!("{begin}\"{}\"", "北".repeat(43))), format!("odograph.toml:2:1: {key}: {why}"));
    }
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
fn a_value_outside_its_range_is_an_error_that_says_what_is_possible() {
    for (file, expected) in [
        (
            "[journal]\nsegment_bytes = \"1 B\"",
            "journal.segment_bytes: \"1 B\" is too little: 64 KiB to 2 GiB are possible",
        ),
        ("[journal]\nsegment_age = \"0 s\"", "journal.segment_age: \"0 s\" is too little: 1 s to 30 d are possible"),
        ("[ingest]\nworkers = 100000", "ingest.workers: \"100000\" is too much: 1 to 1024 are possible"),
        ("[ingest]\nworkers = 0", "ingest.workers: \"0\" is too little: 1 to 1024 are possible"),
        ("[limits]\nstop_max = \"1 d\"", "limits.stop_max: \"1 d\" is too much: 100 ms to 10 min are possible"),
        ("[limits]\nudp_peers_max = 0", "limits.udp_peers_max: \"0\" is too little: 1 to 10000000 are possible"),
    ] {
        assert_eq!(refused(file), format!("odograph.toml:2:1: {expected}"));
    }
    let error = load("", &[("ODOGRAPH_LIMITS__CONNECTIONS_MAX", "0")]).unwrap_err();
    let expected = "limits.connections_max: \"0\" is too little: 1 to 10000000 are possible";
    assert_eq!(error, format!("environment variable ODOGRAPH_LIMITS__CONNECTIONS_MAX: {expected}"));
    assert!(refused("[log]\nlevel = \"inof\"").starts_with("odograph.toml:2:1: log.level: \"inof\" is not a level"));
    assert!(
        refused("[[listener]]\nprotocol = \"wialon\"\nlisten = 1\ntenant = \"a\\u001b[2J\"").contains("is not a name")
    );
}

/// Whatever is a number, a size or a duration has a range, and the default lies in it.
#[test]
fn every_amount_has_a_range_and_a_default_within() {
    let mut config = Config::default();
    for key in KEYS.iter().filter(|key| !["journal.node", "journal.disk_budget"].contains(&key.name)) {
        let default = (key.place)(&mut config).amount();
        let zero = (key.place)(&mut config).set(&Given::Text("0".to_owned())).is_ok()
            || (key.place)(&mut config).set(&Given::Text("0 s".to_owned())).is_ok();
        if zero && (key.place)(&mut config).amount().is_some() {
            let (least, most) = key.range.unwrap_or_else(|| panic!("{} has no range", key.name));
            assert!(
                default.is_none_or(|default| (least..=most).contains(&default)) || default == Some(u64::MAX),
                "{}",
                key.name
            );
        }
    }
}

#[test]
fn a_budget_holds_two_segments() {
    assert_eq!(
        refused("[journal]\nsegment_bytes = \"1 MiB\"\ndisk_budget = \"2047 KiB\""),
        "odograph.toml:3:1: journal.disk_budget: \"2047 KiB\" is less than two segments of journal.segment_bytes (1 MiB): \
         2 MiB or more"
    );
    load("[journal]\nsegment_bytes = \"1 MiB\"\ndisk_budget = \"2 MiB\"", &[]).unwrap();
}

#[test]
fn what_a_listener_says_about_balancers_and_tls_is_whole() {
    for (more, expected) in [
        ("tls = { cert = \"c\" }\ntransport = \"tcp\"", "tls needs both cert and key"),
        ("tls = { cert = \"c\", key = \"k\" }", "tls is for tcp: set transport = \"tcp\""),
        ("tls.client_ca = \"ca\"", "tls.client_ca says nothing without tls.cert and tls.key"),
        ("proxy_protocol = true\ntransport = \"tcp\"", "proxy_protocol needs trusted: the balancers' networks"),
        ("proxy_protocol = true\ntrusted = [\"10.0.0.1\"]", "proxy_protocol is for tcp: set transport = \"tcp\""),
        ("trusted = [\"10.0.0.1\"]", "trusted says nothing without proxy_protocol = true"),
        ("other_device = \"refuse\"", "other_device says nothing without device"),
        ("socket = \"wialon\"", "a [[listener]] has listen or socket, not both"),
    ] {
        let file = format!("[[listener]]\nprotocol = \"wialon\"\nlisten = 1\n{more}\n");
        assert_eq!(refused(&file), format!("odograph.toml:2:1: {expected}"));
    }
    let whole = "[[listener]]\nprotocol = \"wialon\"\nlisten = 1\ntransport = \"tcp\"\nproxy_protocol = true\n\
                 trusted = [\"10.0.0.0/8\"]\ntls = { cert = \"c\", key = \"k\", client_ca = \"ca\" }\n";
    load(whole, &[]).unwrap();
    let half = "[http]\ntls.key = \"k\"";
    assert_eq!(refused(half), "odograph.toml:2:5: http: tls needs both cert and key");
    load("[http]\ntls = { cert = \"c\", key = \"k\" }", &[]).unwrap();
    load("[[listener]]\nprotocol = \"wialon\"\nsocket = \"wialon\"", &[]).unwrap();
}

#[test]
fn proxies_are_some_and_not_everyone() {
    let loaded = load("[http]\ntrusted_proxies = [\"10.0.0.5\", \"2001:db8:1::/64\"]", &[]).unwrap();
    let networks: Vec<String> = loaded.config.http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.5/32", "2001:db8:1::/64"]);
    for everyone in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        let shown = if everyone.starts_with("::/") { everyone } else { "0.0.0.0/0" };
        assert_eq!(
            refused(&format!("[http]\ntrusted_proxies = [\"10.0.0.5\", \"{everyone}\"]")),
            format!(
                "odograph.toml:2:1: http.trusted_proxies: {shown} is everyone, and anyone could say then that they are somebody \
                 else: name the networks of the proxies, as 10.0.0.0/24"
            )
        );
    }
}

#[test]
fn sites_whose_pages_may_ask_are_written_as_browsers_write_them() {
    let file = "[http]\ncors_origins = [\"https://dashboard.example\", \"http://[::1]:5173\"]";
    let loaded = load(file, &[]).unwrap();
    let origins: Vec<&str> = loaded.config.http.cors_origins.iter().map(setting::PageOrigin::as_str).collect();
    assert_eq!(origins, ["https://dashboard.example", "http://[::1]:5173"]);
    let loaded = load("", &[("ODOGRAPH_HTTP__CORS_ORIGINS", "https://a.example, http://localhost:5173")]).unwrap();
    assert_eq!(loaded.config.http.cors_origins.len(), 2);
    for (wrong, told) in [
        ("https://dashboard.example/", "is none: did you mean https://dashboard.example?"),
        ("https://dashboard.example/app?x=1", "is none: did you mean https://dashboard.example?"),
        ("https://dashboard.example:443", "is none: did you mean https://dashboard.example?"),
        ("https://Dashboard.example", "is none: did you mean https://dashboard.example?"),
        ("dashboard.example:8443", "is none: did you mean https://dashboard.example:8443?"),
        ("https://me:secret@dashboard.example", "is none"),
        ("*", "is none: each is named by itself"),
        ("https://*.dashboard.example", "is none: each is named by itself"),
        ("null", "is none"),
        ("ftp://dashboard.example", "is none"),
        ("", "is none"),
    ] {
        assert_eq!(
            refused(&format!("[http]\ncors_origins = [\"https://a.example\", \"{wrong}\"]")),
            format!(
                "odograph.toml:2:1: http.cors_origins: not a list of sites such as https://dashboard.example: {wrong:?} {told}"
            )
        );
    }
}

#[test]
fn a_map_is_named_by_its_address() {
    let loaded = load(
        "[map]\nstyle = \"https://tiles.example.org:8443/a/style.json?key=1\"\nhosts = [\"https://fonts.example.org\", \"https://*.example.com/x\"]",
        &[("ODOGRAPH_MAP__STYLE_DARK", "http://[::1]:7/dark")],
    );
    let map = loaded.unwrap().config.map;
    let style = map.style.unwrap();
    assert_eq!(style.as_str(), "https://tiles.example.org:8443/a/style.json?key=1");
    assert_eq!(style.origin(), "https://tiles.example.org:8443");
    assert_eq!(map.style_dark.unwrap().origin(), "http://[::1]:7");
    let hosts: Vec<String> = map.hosts.iter().map(WebAddress::origin).collect();
    assert_eq!(hosts, ["https://fonts.example.org", "https://*.example.com"]);
    let not = "not an address such as https://tiles.example.org/style.json";
    for wrong in ["style.json", "ftp://example.org/a", "https://me:secret@example.org/a", "https://a;b.example.org/"] {
        let told = refused(&format!("[map]\nstyle = \"{wrong}\""));
        assert!(told.contains(not), "{wrong}: {told}");
    }
    let told = refused("[map]\nstyle = \"https://example.org/a\"\nhosts = [\"example.org\"]");
    assert!(told.contains("\"example.org\" is none"), "{told}");
    assert_eq!(
        refused("[map]\nhosts = [\"https://example.org\"]"),
        "odograph.toml:2:1: map: style_dark and hosts say nothing without style"
    );
    assert_eq!(
        refused("[map]\nstyle = \"https://example.org/a\"\ntiles = \"region.pmtiles\""),
        "odograph.toml:2:1: map: style and tiles are two maps: name one of them"
    );
    let tiles = load("[map]\ntiles = \"maps/region.pmtiles\"", &[]).unwrap().config.map.tiles;
    assert_eq!(tiles.as_deref(), Some(Path::new("maps/region.pmtiles")));
}

#[test]
fn two_sockets_on_one_address_are_told() {
    let file = |http: &str, one: &str, other: &str| {
        format!(
            "[http]\nlisten = \"{http}\"\n[[listener]]\nprotocol = \"wialon\"\nlisten = \"{one}\"\n\
             [[listener]]\nprotocol = \"teltonika\"\nlisten = \"{other}\"\n"
        )
    };
    for (one, other, clash) in [
        ("127.0.0.1:5", "127.0.0.1:5", true),
        ("[::]:5", "127.0.0.1:5", true),
        ("127.0.0.1:5", "0.0.0.0:5", true),
        ("0.0.0.0:5", "[::1]:5", false),
        ("127.0.0.1:5", "127.0.0.2:5", false),
        ("127.0.0.1:5", "127.0.0.1:6", false),
        ("127.0.0.1:0", "127.0.0.1:0", false),
    ] {
        let expected = format!(
            "odograph.toml:7:1: {other} (tcp) is taken by the [[listener]] for wialon, which has {one} (odograph.toml:4:1)"
        );
        assert_eq!(load(&file("127.0.0.1:9", one, other), &[]).err(), clash.then_some(expected));
    }
    assert_eq!(
        refused(&file("5", "127.0.0.1:5", "127.0.0.1:6")),
        "odograph.toml:4:1: 127.0.0.1:5 (tcp) is taken by http.listen, which has [::]:5 (odograph.toml:2:1)"
    );
    // One carries what goes by TCP, and the other what goes by UDP.
    let apart = "[[listener]]\nprotocol = \"wialon\"\nlisten = 5\ntransport = \"tcp\"\n\
                 [[listener]]\nprotocol = \"wialon\"\nlisten = 5\ntransport = \"udp\"\n";
    load(apart, &[]).unwrap();
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
    let guarded = "[[listener]]\nprotocol = \"wialon\"\nlisten = 5\nsettings = { password = \"hush\" }\n";
    let shown = serde_json::to_string(&rows(&load(guarded, &[]).unwrap())).unwrap();
    assert!(!shown.contains("hush") && shown.contains("(set, and not shown)"), "{shown}");
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

#[test]
fn what_was_meant_to_say_something_and_says_nothing_is_an_error() {
    let listener = "[[listener]]\nprotocol = \"wialon\"\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\n";
    assert_eq!(refused(&format!("{listener}tls = {{}}")), "odograph.toml:5:1: tls needs both cert and key");
    assert_eq!(refused(&format!("{listener}[listener.tls]")), "odograph.toml:5:11: tls needs both cert and key");
    assert_eq!(refused("[http]\ntls = {}"), "odograph.toml:2:1: tls needs both cert and key");
    let empty = "odograph.toml:2:1: allow is empty: name networks, or leave it out to let devices come from everywhere";
    assert_eq!(refused(&format!("{listener}allow = []")), empty);
    load(&format!("{listener}allow = [\"10.0.0.0/8\"]\nsettings = {{}}\n[http]\n"), &[]).unwrap();
}

#[test]
fn a_geocoder_has_an_address_with_the_place_in_it_whose_key_is_shown_nowhere() {
    let url = "https://a.example/reverse?lat={latitude}&lon={longitude}&key=hush";
    let file = format!("[geocoder]\nurl = \"{url}\"\npointer = \"/results/0/text\"\nrequests_per_second = 5\n");
    let loaded = load(&file, &[("ODOGRAPH_GEOCODER__CREDIT", "© Test")]).unwrap();
    let shown = rows(&loaded).into_iter().find(|row| row.key == "geocoder.url").unwrap();
    assert_eq!(shown.value, "https://a.example/reverse?lat={latitude}&lon={longitude}&key=hidden");
    let wanted = loaded.config.geocoder.wanted().unwrap();
    assert_eq!((wanted.url.host().as_str(), wanted.credit.as_deref()), ("a.example", Some("© Test")));
    assert_eq!((wanted.timeout.as_secs(), wanted.requests_per_second), (5, 5));
    assert!(load("", &[]).unwrap().config.geocoder.wanted().is_none());
    assert_eq!(
        refused("[geocoder]\nurl = \"https://a.example/reverse?lat={latitude}&key=hush\""),
        "odograph.toml:2:1: geocoder.url: it is without {latitude} or {longitude}, which stand for the place"
    );
    assert_eq!(
        refused("[geocoder]\npointer = \"results\""),
        "odograph.toml:2:1: geocoder.pointer: \"results\" is not a JSON pointer such as /results/0/formatted"
    );
    assert_eq!(
        refused("[geocoder]\ncredit = \"© Test\""),
        "odograph.toml:2:1: geocoder: pointer and credit say nothing without url"
    );
    assert_eq!(
        refused("[geocoder]\nrequests_per_second = 0"),
        "odograph.toml:2:1: geocoder.requests_per_second: \"0\" is too little: 1 to 100 are possible"
    );
}

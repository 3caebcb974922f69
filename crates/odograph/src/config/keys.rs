//! Every key of the configuration, with what it means: the one table from which it is read, shown and documented.

mod lists;

pub(crate) use lists::{DEVICE_KEYS, LISTENER_KEYS, TENANT_KEYS};

use super::setting::{
    BackupPlace, CatalogUrl, GeocoderUrl, JsonPointer, LogFormat, LogLevel, Name, PageOrigin, Setting, Size, StoreUrl,
    Transports, WebAddress,
};
use compact_str::CompactString;
use ipnet::IpNet;
use odograph_catalog::AuditKept;
use odograph_ingest::{Limits, Other, UNKNOWN_DEVICES_MAX, Unknown};
use odograph_lake::StoreConfig;
use odograph_pipeline::Window;
use odograph_protocols::{Checksum, Protocol};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// All that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) http: Http,
    pub(crate) map: MapConfig,
    pub(crate) geocoder: GeocoderConfig,
    pub(crate) ingest: Ingest,
    pub(crate) listeners: Vec<ListenerConfig>,
    pub(crate) devices: Vec<DeviceConfig>,
    pub(crate) tenants: Vec<TenantConfig>,
    pub(crate) journal: JournalConfig,
    pub(crate) clock: ClockConfig,
    pub(crate) lake: LakeConfig,
    pub(crate) catalog: CatalogConfig,
    pub(crate) backup: BackupConfig,
    pub(crate) limits: Limits,
    /// Unset: as many as the system lets us have files open, less what we need ourselves.
    pub(crate) connections_max: Option<usize>,
    pub(crate) unknown_devices_max: usize,
    /// How long a server that takes this one's place may take.
    pub(crate) take_over_max: Duration,
    pub(crate) log: Log,
}

#[derive(Debug, Clone)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: TlsConfig,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Where pages are from that may ask besides our own.
    pub(crate) cors_origins: Vec<PageOrigin>,
}

/// The map that the interface shows, if it is not the one that it has itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapConfig {
    pub(crate) style: Option<WebAddress>,
    pub(crate) style_dark: Option<WebAddress>,
    /// What the styles take from elsewhere.
    pub(crate) hosts: Vec<WebAddress>,
    /// The file with a map's tiles, which is there instead of styles.
    pub(crate) tiles: Option<PathBuf>,
}

/// Who is asked for the addresses of places, if anybody is.
#[derive(Debug, Clone)]
pub(crate) struct GeocoderConfig {
    pub(crate) url: Option<GeocoderUrl>,
    pub(crate) pointer: Option<JsonPointer>,
    pub(crate) credit: Option<Name>,
    pub(crate) timeout: Duration,
    pub(crate) requests_per_second: usize,
}

impl Default for GeocoderConfig {
    fn default() -> Self {
        // As often as public ones allow.
        Self { url: None, pointer: None, credit: None, timeout: Duration::from_secs(5), requests_per_second: 1 }
    }
}

impl GeocoderConfig {
    /// The same, as whoever asks it takes it.
    pub(crate) fn wanted(&self) -> Option<odograph_geocoder::Config> {
        let Self { url, pointer, credit, timeout, requests_per_second } = self;
        Some(odograph_geocoder::Config {
            url: url.as_ref()?.0.clone(),
            pointer: pointer.as_ref().map(|pointer| pointer.0.clone()),
            credit: credit.as_ref().map(|credit| credit.0.to_string()),
            timeout: *timeout,
            requests_per_second: u32::try_from(*requests_per_second).unwrap_or(u32::MAX),
        })
    }
}

/// Where users, tokens and devices are.
#[derive(Debug, Clone)]
pub(crate) struct CatalogConfig {
    pub(crate) url: Option<CatalogUrl>,
    pub(crate) audit_days: usize,
    pub(crate) audit_entries_max: usize,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        let AuditKept { days, entries_max } = AuditKept::default();
        Self { url: None, audit_days: days, audit_entries_max: entries_max }
    }
}

impl CatalogConfig {
    /// How much of the audit log is kept.
    pub(crate) const fn audit(&self) -> AuditKept {
        AuditKept { days: self.audit_days, entries_max: self.audit_entries_max }
    }
}

/// Where backups are.
#[derive(Debug, Clone, Default)]
pub(crate) struct BackupConfig {
    pub(crate) to: Option<BackupPlace>,
    pub(crate) store_options: BTreeMap<String, String>,
    pub(crate) bandwidth: Option<Size>,
}

#[derive(Debug, Clone)]
pub(crate) struct Ingest {
    pub(crate) host: IpAddr,
    pub(crate) default_ports: bool,
    pub(crate) common_port: Option<u16>,
    pub(crate) workers: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct JournalConfig {
    pub(crate) node: u16,
    pub(crate) segment_bytes: Size,
    pub(crate) segment_age: Duration,
    pub(crate) disk_budget: Option<Size>,
}

/// How far devices' clocks may be from ours.
#[derive(Debug, Clone)]
pub(crate) struct ClockConfig {
    pub(crate) behind_max: Duration,
    pub(crate) ahead_max: Duration,
}

impl ClockConfig {
    pub(crate) fn window(&self) -> Window {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Window { behind_max_ms: ms(self.behind_max), ahead_max_ms: ms(self.ahead_max) }
    }
}

impl Default for ClockConfig {
    fn default() -> Self {
        let window = Window::default();
        let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        Self { behind_max: duration(window.behind_max_ms), ahead_max: duration(window.ahead_max_ms) }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LakeConfig {
    pub(crate) flush_rows: usize,
    pub(crate) flush_after: Duration,
    pub(crate) late_flush_after: Duration,
    pub(crate) frames_flush_after: Duration,
    pub(crate) flush_bytes: Size,
    pub(crate) keep_records_days: Option<usize>,
    pub(crate) keep_frames_days: Option<usize>,
    pub(crate) keep_events_days: Option<usize>,
    pub(crate) removed_files_after: Duration,
    pub(crate) log_entries_after: Duration,
    pub(crate) maintain_every: Duration,
    pub(crate) store: Option<StoreUrl>,
    pub(crate) store_options: BTreeMap<String, String>,
    pub(crate) store_bandwidth: Option<Size>,
}

impl LakeConfig {
    /// Where the lake is, if it is not in the data folder.
    pub(crate) fn remote(&self) -> Option<StoreConfig> {
        let StoreUrl(url) = self.store.clone()?;
        let bytes_per_second = self.store_bandwidth.map(|size| size.0);
        Some(StoreConfig { url, options: self.store_options.clone(), bytes_per_second })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

/// One `[[listener]]`.
#[derive(Debug, Clone)]
pub(crate) struct ListenerConfig {
    pub(crate) protocol: Option<&'static Protocol>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) transport: Transports,
    pub(crate) socket: Option<Name>,
    pub(crate) device: Option<Name>,
    pub(crate) other_device: Other,
    pub(crate) tenant: Name,
    pub(crate) unknown: Unknown,
    pub(crate) checksum: Checksum,
    pub(crate) allow: Vec<IpNet>,
    pub(crate) deny: Vec<IpNet>,
    pub(crate) accept_rate_max: Option<usize>,
    pub(crate) connections_max: Option<usize>,
    pub(crate) connections_per_address_max: usize,
    pub(crate) proxy_protocol: bool,
    pub(crate) trusted: Vec<IpNet>,
    pub(crate) tls: TlsConfig,
    pub(crate) settings: BTreeMap<String, String>,
}

/// The files of a listener that speaks TLS, for devices or for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsConfig {
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
}

/// One `[[device]]`.
#[derive(Debug, Clone)]
pub(crate) struct DeviceConfig {
    pub(crate) ids: Vec<CompactString>,
    pub(crate) name: Option<Name>,
    pub(crate) tenant: Name,
    pub(crate) settings: BTreeMap<String, String>,
}

/// One `[[tenant]]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantConfig {
    pub(crate) name: Option<Name>,
    pub(crate) keep_records_days: Option<usize>,
    pub(crate) keep_frames_days: Option<usize>,
    pub(crate) keep_events_days: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "odograph-data".into(),
            http: Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                tls: TlsConfig::default(),
                trusted_proxies: Vec::new(),
                cors_origins: Vec::new(),
            },
            map: MapConfig::default(),
            geocoder: GeocoderConfig::default(),
            ingest: Ingest {
                host: Ipv6Addr::UNSPECIFIED.into(),
                default_ports: true,
                common_port: None,
                workers: None,
            },
            listeners: Vec::new(),
            devices: Vec::new(),
            tenants: Vec::new(),
            journal: JournalConfig {
                node: 0,
                segment_bytes: Size(256 << 20),
                segment_age: Duration::from_secs(3600),
                disk_budget: None,
            },
            clock: ClockConfig::default(),
            lake: LakeConfig::default(),
            catalog: CatalogConfig::default(),
            backup: BackupConfig::default(),
            limits: Limits::default(),
            connections_max: None,
            unknown_devices_max: UNKNOWN_DEVICES_MAX,
            // The new one reads the end of the journal, and devices wait.
            take_over_max: Duration::from_secs(120),
            log: Log { format: LogFormat::Auto, level: LogLevel("info".to_owned()) },
        }
    }
}

impl Config {
    /// The tenants that it names.
    pub(crate) fn named_tenants(&self) -> impl Iterator<Item = &str> {
        let own = self.tenants.iter().filter_map(|tenant| tenant.name.as_ref());
        let named =
            own.chain(self.listeners.iter().map(|one| &one.tenant)).chain(self.devices.iter().map(|one| &one.tenant));
        named.map(|name| name.0.as_str())
    }
}

impl Default for LakeConfig {
    fn default() -> Self {
        let options = odograph_lake::Options::default();
        Self {
            flush_rows: options.flush_rows,
            flush_after: options.in_time_flush,
            late_flush_after: options.late_flush,
            frames_flush_after: options.frames_flush,
            flush_bytes: Size(options.flush_bytes as u64),
            keep_records_days: None,
            keep_frames_days: None,
            keep_events_days: None,
            removed_files_after: options.grace.files,
            log_entries_after: options.grace.log,
            maintain_every: options.care_every,
            store: None,
            store_options: BTreeMap::new(),
            store_bandwidth: None,
        }
    }
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            protocol: None,
            listen: None,
            transport: Transports::Both,
            socket: None,
            device: None,
            other_device: Other::default(),
            tenant: default_tenant(),
            unknown: Unknown::Register,
            checksum: Checksum::Enforce,
            allow: Vec::new(),
            deny: Vec::new(),
            accept_rate_max: None,
            connections_max: None,
            connections_per_address_max: 0,
            proxy_protocol: false,
            trusted: Vec::new(),
            tls: TlsConfig::default(),
            settings: BTreeMap::new(),
        }
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self { ids: Vec::new(), name: None, tenant: default_tenant(), settings: BTreeMap::new() }
    }
}

fn default_tenant() -> Name {
    Name(CompactString::const_new("default"))
}

/// A key, in a part of the configuration of type `T`.
pub(crate) struct Key<T: 'static> {
    /// Its name, dotted.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) meaning: &'static str,
    /// What holds where it has no value.
    pub(crate) unset: &'static str,
    /// The least and the greatest value that make sense, in bytes, milliseconds, or as a count.
    pub(crate) range: Option<(u64, u64)>,
    /// Its place.
    pub(crate) place: Place<T>,
}

type Place<T> = for<'a> fn(&'a mut T) -> &'a mut dyn Setting;

const fn key<T>(name: &'static str, place: Place<T>, meaning: &'static str) -> Key<T> {
    free(name, place, "", meaning)
}

/// A key that may have no value.
const fn free<T>(name: &'static str, place: Place<T>, unset: &'static str, meaning: &'static str) -> Key<T> {
    Key { name, meaning, unset, range: None, place }
}

/// A key whose value is an amount.
const fn within<T>(least: u64, most: u64, key: &Key<T>) -> Key<T> {
    Key { range: Some((least, most)), ..*key }
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// In milliseconds.
pub(crate) const YEARS_10: u64 = 3653 * DAY;

/// Keys that are there once.
pub(crate) const KEYS: &[Key<Config>] = &[
    key("data", |c| &mut c.data, "The data folder: journal, devices, lock and control socket. Made if it is missing."),
    key("http.listen", |c| &mut c.http.listen, "Where the API, health, readiness and metrics are served."),
    free(
        "http.tls.cert",
        |c| &mut c.http.tls.cert,
        "no TLS",
        "A file with the certificate that browsers and programs get to see, and those between it and a root, as PEM. It is read again when it changes. See [tls.md](tls.md).",
    ),
    free("http.tls.key", |c| &mut c.http.tls.key, "no TLS", "A file with its private key, as PEM."),
    free(
        "http.tls.client_ca",
        |c| &mut c.http.tls.client_ca,
        "nobody needs a certificate",
        "A file with the certificates of those who sign clients' certificates, as PEM: whoever comes has to show one then.",
    ),
    free(
        "http.trusted_proxies",
        |c| &mut c.http.trusted_proxies,
        "none: whoever is connected is whoever asks",
        "Networks (`10.0.0.0/8`) or addresses of proxies whose `Forwarded` or `X-Forwarded-For` says who asks. Of all others these headers are ignored. See [behind-a-balancer.md](behind-a-balancer.md).",
    ),
    free(
        "http.cors_origins",
        |c| &mut c.http.cors_origins,
        "no other site's",
        "Sites whose pages may ask the API, with a token, as `[\"https://dashboard.example\"]` (CORS). See [api.md](../api.md#pages-of-other-sites).",
    ),
    free(
        "map.style",
        |c| &mut c.map.style,
        "the map that the interface has itself",
        "The MapLibre style of another map, as `https://tiles.example.org/style.json`. Browsers ask that host then, and no other. See [map.md](map.md).",
    ),
    free("map.style_dark", |c| &mut c.map.style_dark, "`map.style`", "The same for the dark."),
    free(
        "map.hosts",
        |c| &mut c.map.hosts,
        "those of the styles",
        "Further hosts that tiles, letters and signs of the style come from, as `[\"https://fonts.example.org\"]`.",
    ),
    free(
        "map.tiles",
        |c| &mut c.map.tiles,
        "the map that the interface has itself",
        "A file with another map on the disk of the server, which serves it itself: a PMTiles archive. See [map.md](map.md).",
    ),
    free(
        "geocoder.url",
        |c| &mut c.geocoder.url,
        "nobody: places have the name of the nearest town",
        "Who is asked for the address of a place that somebody looks at, as `https://geocoder.example.org/reverse?lat={latitude}&lon={longitude}&format=jsonv2`. What stands in its query is shown and logged nowhere. See [geocoder.md](geocoder.md).",
    ),
    free(
        "geocoder.pointer",
        |c| &mut c.geocoder.pointer,
        "as Nominatim and Photon have it",
        "Where the address is in its answer, as a JSON pointer: `/results/0/formatted`.",
    ),
    free(
        "geocoder.credit",
        |c| &mut c.geocoder.credit,
        "what its answers say, or its host",
        "Whom people see as the source of addresses: `© OpenStreetMap contributors`.",
    ),
    within(
        100,
        60 * SECOND,
        &key(
            "geocoder.timeout",
            |c| &mut c.geocoder.timeout,
            "How long its answer may take. Nobody waits for longer than 10 s.",
        ),
    ),
    within(
        1,
        100,
        &key(
            "geocoder.requests_per_second",
            |c| &mut c.geocoder.requests_per_second,
            "How often it is asked, at most. Public ones allow one request a second.",
        ),
    ),
    key("ingest.host", |c| &mut c.ingest.host, "The address of default ports; `[::]` takes IPv4 and IPv6."),
    key(
        "ingest.default_ports",
        |c| &mut c.ingest.default_ports,
        "Whether every protocol listens on the port its devices expect. A port that is taken is reported and skipped.",
    ),
    within(
        0,
        65_535,
        &free(
            "ingest.common_port",
            |c| &mut c.ingest.common_port,
            "5000 with the default ports, otherwise none",
            "The port that understands all protocols, TCP and UDP: see [common-port.md](common-port.md). 0: none.",
        ),
    ),
    within(
        1,
        1024,
        &free("ingest.workers", |c| &mut c.ingest.workers, "one for each core", "Threads that serve devices."),
    ),
    key("journal.node", |c| &mut c.journal.node, "Whose journal this process writes: `DATA/journal/NODE`."),
    within(
        64 << 10,
        2 << 30,
        &key(
            "journal.segment_bytes",
            |c| &mut c.journal.segment_bytes,
            "A segment of the journal ends before it grows longer than this.",
        ),
    ),
    within(
        SECOND,
        30 * DAY,
        &key("journal.segment_age", |c| &mut c.journal.segment_age, "A segment ends when it is this old."),
    ),
    free(
        "journal.disk_budget",
        |c| &mut c.journal.disk_budget,
        "no bound: what is needed is kept",
        "More than this the journal's sealed segments may not take: the oldest go, with an alarm where they are still needed, and one a segment before that. With less than four segments, that one comes easily.",
    ),
    within(
        HOUR,
        YEARS_10,
        &key(
            "clock.behind_max",
            |c| &mut c.clock.behind_max,
            "A device's time that is so long before its receipt is a wrong clock's: the record is under the time of receipt.",
        ),
    ),
    within(
        SECOND,
        YEARS_10,
        &key(
            "clock.ahead_max",
            |c| &mut c.clock.ahead_max,
            "The same for a time that is so long after its receipt. Wrong time zones are up to a day ahead.",
        ),
    ),
    within(
        1,
        16 << 20,
        &key(
            "lake.flush_rows",
            |c| &mut c.lake.flush_rows,
            "So many records of a tenant become files at once, at the latest. Each takes some hundred bytes of memory until then.",
        ),
    ),
    within(
        10,
        DAY,
        &key(
            "lake.flush_after",
            |c| &mut c.lake.flush_after,
            "A record of the day becomes part of a file after this time.",
        ),
    ),
    within(
        10,
        DAY,
        &key(
            "lake.late_flush_after",
            |c| &mut c.lake.late_flush_after,
            "A record of another day than that of its receipt becomes part of a file after this time.",
        ),
    ),
    within(
        10,
        DAY,
        &key(
            "lake.frames_flush_after",
            |c| &mut c.lake.frames_flush_after,
            "The bytes themselves become part of a file after this time; until then the journal has them.",
        ),
    ),
    within(
        1 << 10,
        256 << 20,
        &key(
            "lake.flush_bytes",
            |c| &mut c.lake.flush_bytes,
            "So much memory of what waits in a table becomes files at once, at the latest.",
        ),
    ),
    within(
        0,
        36_500,
        &free(
            "lake.keep_records_days",
            |c| &mut c.lake.keep_records_days,
            "for ever",
            "Records of days before that go. 30 keeps today and the 30 days before it.",
        ),
    ),
    within(
        0,
        36_500,
        &free(
            "lake.keep_frames_days",
            |c| &mut c.lake.keep_frames_days,
            "for ever",
            "The bytes themselves, and what proves them, of days before that go.",
        ),
    ),
    within(
        0,
        36_500,
        &free("lake.keep_events_days", |c| &mut c.lake.keep_events_days, "for ever", "Events of days before that go."),
    ),
    within(
        0,
        30 * DAY,
        &key(
            "lake.removed_files_after",
            |c| &mut c.lake.removed_files_after,
            "Files that are not part of a table any more are deleted after this time: so long other programs may read what they began with.",
        ),
    ),
    within(
        0,
        365 * DAY,
        &key(
            "lake.log_entries_after",
            |c| &mut c.lake.log_entries_after,
            "Entries of a table's log are deleted after this time, if a checkpoint stands for them.",
        ),
    ),
    free(
        "catalog.url",
        |c| &mut c.catalog.url,
        "the file `DATA/catalog.sqlite`",
        "Where users, tokens and devices are, for machines that share them: `postgres://USER@HOST/DATABASE`. Its password can come from the variable `PGPASSWORD`.",
    ),
    within(
        1,
        36_500,
        &key(
            "catalog.audit_days",
            |c| &mut c.catalog.audit_days,
            "Entries of the audit log that are older go, the oldest first. What is gone shows: the numbers of those that stay do not change.",
        ),
    ),
    within(
        1000,
        1_000_000_000,
        &key(
            "catalog.audit_entries_max",
            |c| &mut c.catalog.audit_entries_max,
            "So many entries of the audit log are kept of each tenant at most: beyond that, the oldest go.",
        ),
    ),
    free(
        "backup.to",
        |c| &mut c.backup.to,
        "none: `--to` and `--from` say it",
        "Where backups are: a folder, or `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, `gs://BUCKET/PREFIX`. See [backup.md](backup.md).",
    ),
    within(
        1 << 10,
        1 << 40,
        &free(
            "backup.bandwidth",
            |c| &mut c.backup.bandwidth,
            "as much as the line carries",
            "So many bytes a second are sent to where backups are, at most.",
        ),
    ),
    free(
        "lake.store",
        |c| &mut c.lake.store,
        "the folder `DATA/lake`",
        "Where history is: `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`. See [object-stores.md](object-stores.md).",
    ),
    within(
        1 << 10,
        1 << 40,
        &free(
            "lake.store_bandwidth",
            |c| &mut c.lake.store_bandwidth,
            "as much as the line carries",
            "So many bytes a second go to the object store and come from it, at most.",
        ),
    ),
    within(
        10,
        DAY,
        &key(
            "lake.maintain_every",
            |c| &mut c.lake.maintain_every,
            "How often each table is looked at for what may go.",
        ),
    ),
    within(
        1,
        10_000_000,
        &free(
            "limits.connections_max",
            |c| &mut c.connections_max,
            "the limit of open files, less 256, or a quarter of a small one",
            "Connections of devices at a time; further ones are closed at once.",
        ),
    ),
    within(
        0,
        10_000_000,
        &key(
            "limits.connections_per_address_max",
            |c| &mut c.limits.connections_per_address_max,
            "Connections at a time from one address; 0: any number, because a carrier's NAT looks like one address.",
        ),
    ),
    within(
        SECOND,
        DAY,
        &key(
            "limits.identify_max",
            |c| &mut c.limits.identify_max,
            "How long a connection may take to say which device it is.",
        ),
    ),
    within(
        100,
        10 * 60 * SECOND,
        &key("limits.handshake_max", |c| &mut c.limits.handshake_max, "How long a TLS handshake may take."),
    ),
    within(
        SECOND,
        DAY,
        &key(
            "limits.undecided_max",
            |c| &mut c.limits.undecided_max,
            "How long a connection to the port that understands all protocols may take until it is clear which one it speaks.",
        ),
    ),
    within(
        SECOND,
        DAY,
        &key("limits.unread_max", |c| &mut c.limits.unread_max, "How long a device may leave its answers unread."),
    ),
    within(
        1,
        10_000_000,
        &key("limits.udp_peers_max", |c| &mut c.limits.udp_peers_max, "Peers that each UDP listener remembers."),
    ),
    within(
        100,
        10 * 60 * SECOND,
        &key(
            "limits.stop_max",
            |c| &mut c.limits.stop_max,
            "How long a graceful stop waits for acknowledgements that are due.",
        ),
    ),
    within(
        SECOND,
        60 * 60 * SECOND,
        &key(
            "limits.take_over_max",
            |c| &mut c.take_over_max,
            "How long a server that takes this one's place (`--take-over`) may take from the data folder's lock until it serves.",
        ),
    ),
    within(
        0,
        10_000_000,
        &key(
            "limits.unknown_devices_max",
            |c| &mut c.unknown_devices_max,
            "Devices that may register themselves; further ones are refused.",
        ),
    ),
    key(
        "log.format",
        |c| &mut c.log.format,
        "`auto` is text on a terminal and JSON elsewhere. The log goes to standard error.",
    ),
    key(
        "log.level",
        |c| &mut c.log.level,
        "What is logged: a level, or levels by module (`info,odograph_ingest=debug`).",
    ),
];

/// What `lake.store_options` means.
pub(crate) const STORE_OPTIONS_MEANING: &str = "A table of what the object store needs: `region`, `endpoint`, credentials. \
    With `_file` at its end, a name takes a file that holds the value. See [object-stores.md](object-stores.md).";

/// What `settings` means, for both.
pub(crate) const SETTINGS_MEANING: &str =
    "A table of the protocol's own settings: `odograph protocols NAME` lists them.";

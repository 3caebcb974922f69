//! Keys of what there may be several of: listeners, devices, tenants.

use super::{DeviceConfig, Key, ListenerConfig, TenantConfig, free, key, within};

/// Keys of each `[[listener]]`, beside `settings`.
pub(crate) const LISTENER_KEYS: &[Key<ListenerConfig>] = &[
    free("protocol", |c| &mut c.protocol, "required", "What devices speak there; `auto`: any of the protocols."),
    free("listen", |c| &mut c.listen, "required, or `socket`", "Its address, or a port on all addresses."),
    free(
        "socket",
        |c| &mut c.socket,
        "none: `listen` says where",
        "The name of a socket that the service manager hands over, in the place of `listen`. See [upgrade.md](upgrade.md).",
    ),
    key("transport", |c| &mut c.transport, "`tcp`, `udp`, `http`, or `both`: all that the protocol has."),
    free(
        "device",
        |c| &mut c.device,
        "devices say who they are",
        "The one device that comes here, for devices that never say who they are. Any of its ids will do.",
    ),
    key(
        "other_device",
        |c| &mut c.other_device,
        "What happens where `device` is set and somebody says that he is another: `admit` takes him as that one, as every other listener does; `ignore` takes what he sends as the device's; `refuse` refuses him.",
    ),
    key("tenant", |c| &mut c.tenant, "Whose devices become that register here."),
    key(
        "unknown",
        |c| &mut c.unknown,
        "Devices that nobody announced: `register` them, `quarantine` them until a person decides, or `reject` them.",
    ),
    key("checksum", |c| &mut c.checksum, "`note` takes messages with a wrong checksum, for clones that get it wrong."),
    free(
        "allow",
        |c| &mut c.allow,
        "from everywhere",
        "Networks (`10.0.0.0/8`, `2001:db8::/32`) or addresses from which devices may come; others are closed at once, and their datagrams dropped.",
    ),
    free("deny", |c| &mut c.deny, "none", "Networks or addresses from which they may not, whatever `allow` says."),
    within(
        1,
        1_000_000,
        &free(
            "accept_rate_max",
            |c| &mut c.accept_rate_max,
            "any number",
            "So many connections are taken in in a second, and as many at once after a while without. What comes faster waits in the kernel.",
        ),
    ),
    within(
        1,
        10_000_000,
        &free(
            "connections_max",
            |c| &mut c.connections_max,
            "as `limits.connections_max`",
            "Connections at a time; further ones are closed at once.",
        ),
    ),
    within(
        0,
        10_000_000,
        &key(
            "connections_per_address_max",
            |c| &mut c.connections_per_address_max,
            "Connections at a time from one address; 0: any number.",
        ),
    ),
    key(
        "proxy_protocol",
        |c| &mut c.proxy_protocol,
        "Whether a balancer announces devices by the PROXY protocol, version 1 or 2. See [behind-a-balancer.md](behind-a-balancer.md).",
    ),
    free("trusted", |c| &mut c.trusted, "none", "Networks or addresses of such balancers; nobody else may come then."),
    free(
        "tls.cert",
        |c| &mut c.tls.cert,
        "no TLS",
        "A file with the certificate that devices get to see, and those between it and a root, as PEM. It is read again when it changes. See [tls.md](tls.md).",
    ),
    free("tls.key", |c| &mut c.tls.key, "no TLS", "A file with its private key, as PEM."),
    free(
        "tls.client_ca",
        |c| &mut c.tls.client_ca,
        "devices need no certificate",
        "A file with the certificates of those who sign devices' certificates, as PEM: a device has to show one then.",
    ),
];

/// Keys of each `[[device]]`, beside `settings`.
pub(crate) const DEVICE_KEYS: &[Key<DeviceConfig>] = &[
    free(
        "ids",
        |c| &mut c.ids,
        "required",
        "All that it calls itself, such as its IMEI with and without the check digit, and its serial number. The first is its id in records.",
    ),
    free("name", |c| &mut c.name, "its id", "What people call it."),
    key("tenant", |c| &mut c.tenant, "Whose it is."),
];

/// Keys of each `[[tenant]]`.
pub(crate) const TENANT_KEYS: &[Key<TenantConfig>] = &[
    free("name", |c| &mut c.name, "required", "Its name, as listeners and devices have it."),
    within(
        0,
        36_500,
        &free(
            "keep_records_days",
            |c| &mut c.keep_records_days,
            "as `lake.keep_records_days`",
            "Its records of days before that go.",
        ),
    ),
    within(
        0,
        36_500,
        &free(
            "keep_frames_days",
            |c| &mut c.keep_frames_days,
            "as `lake.keep_frames_days`",
            "The bytes themselves of its devices, and what proves them, of days before that go.",
        ),
    ),
    within(
        0,
        36_500,
        &free(
            "keep_events_days",
            |c| &mut c.keep_events_days,
            "as `lake.keep_events_days`",
            "Its events of days before that go.",
        ),
    ),
];

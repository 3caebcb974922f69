//! How long the catalog takes with a million devices: `cargo run --release -p odograph-catalog --example million`.
//!
//! In a file of its own that is removed at the end, or in the database that is named, which should be an empty one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use odograph_catalog::{
    Access, Catalog, DeviceFields, DeviceFilter, DeviceOrder, DeviceState, Error, Registered, Within,
};
use odograph_env::{SystemClock, SystemRng};

const DEVICES: usize = 1_000_000;

fn main() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("catalog.sqlite");
    let url = std::env::args().nth(1).unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let catalog = Catalog::open(&url, Arc::new(SystemClock::new()), Arc::new(SystemRng)).await?;
        catalog.ensure_tenant("default").await?;
        measure(&catalog).await?;
        catalog.close().await;
        if let Ok(known) = std::fs::metadata(&file) {
            println!("{:>8} MB      the file", known.len() / 1_000_000);
        }
        Ok(())
    })
}

async fn measure(catalog: &Catalog) -> Result<(), Error> {
    let started = now();
    let mut slowest = Duration::ZERO;
    for first in (0..DEVICES).step_by(2_000) {
        let some: Vec<_> = (first..first + 2_000).map(registered).collect();
        let began = now();
        catalog.register(&some).await?;
        slowest = slowest.max(began.elapsed());
    }
    show("register, 2,000 at a time", started);
    println!("{:>8.1} ms      the slowest 2,000", slowest.as_secs_f64() * 1e3);
    let started = now();
    let again: Vec<_> = (0..100_000).map(registered).collect();
    catalog.register(&again).await?;
    show("register 100,000 that are known", started);
    let started = now();
    let mut count = 0;
    catalog.bindings(|_| count += 1).await?;
    show(&format!("read all {count} at start"), started);

    let owner = Access::owner("default");
    let within = catalog.within(&owner);
    let all = DeviceFilter::default;
    let middle = id(DEVICES / 2);
    page(within, "a page by id", &all(), DeviceOrder::Id).await?;
    page(within, "a page by name", &all(), DeviceOrder::Name).await?;
    let text = |text: &str| DeviceFilter { text: Some(text.into()), ..DeviceFilter::default() };
    page(within, "search for one", &text(&middle), DeviceOrder::Id).await?;
    page(within, "search for none", &text("nothing"), DeviceOrder::Id).await?;
    let state = DeviceFilter { state: Some(DeviceState::Quarantined), ..all() };
    page(within, "a page of a rare state", &state, DeviceOrder::Id).await?;
    let started = now();
    within.count_devices(&all()).await?;
    show("count all", started);
    let started = now();
    within.device(&middle).await?;
    show("one device", started);
    let mut changes = catalog.changes().await?;
    let started = now();
    let named = DeviceFields { name: Some("Truck 7".into()), ..DeviceFields::default() };
    within.update_device(&middle, named).await?;
    show("change one", started);
    let started = now();
    changes.next(|_| {}).await?;
    show("follow that change", started);
    Ok(())
}

async fn page(within: Within<'_>, what: &str, filter: &DeviceFilter, order: DeviceOrder) -> Result<(), Error> {
    let started = now();
    let page = within.devices(filter, order, None, 100).await?;
    show(&format!("{what} ({})", page.devices.len()), started);
    Ok(())
}

fn registered(number: usize) -> Registered {
    let state = if number % 100_000 == 7 { DeviceState::Quarantined } else { DeviceState::New };
    Registered { tenant: "default".into(), id: id(number), aliases: vec![], protocol: "teltonika".into(), state, at: 0 }
}

/// As IMEIs are: 15 digits, in no order.
fn id(number: usize) -> String {
    format!("35{:013}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000_000_000_000)
}

fn show(what: &str, started: Instant) {
    println!("{:>8.1} ms      {what}", started.elapsed().as_secs_f64() * 1e3);
}

#[expect(clippy::disallowed_methods, reason = "how long something takes is measured on the real clock")]
fn now() -> Instant {
    Instant::now()
}

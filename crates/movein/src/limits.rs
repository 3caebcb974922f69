//! The bounds of what is read: a file is the operator's, and may still be the wrong one, or broken.

/// A table of devices is some hundred bytes a row: this is a million of them, and more.
pub const CSV_BYTES_MAX: u64 = 256 << 20;

/// A dump has years of positions in it, which are read past and not kept.
pub const DUMP_BYTES_MAX: u64 = 1 << 40;

/// What counts for one row in memory. A device's attributes are 4,000 characters at most where they come from, which a
/// dump may write with six bytes each.
pub const ROW_BYTES_MAX: usize = 1 << 20;

/// Columns of a table.
pub const COLUMNS_MAX: usize = 1024;

/// Devices of one file, as many as may register themselves.
pub const DEVICES_MAX: usize = 1_000_000;

/// Groups of one file.
pub const GROUPS_MAX: usize = 100_000;

/// Groups within groups.
pub const GROUP_DEPTH_MAX: usize = 64;

/// Drivers of one file.
pub const DRIVERS_MAX: usize = 1_000_000;

/// Pairs of a driver with a device or group.
pub const LINKS_MAX: usize = 4_000_000;

/// Text that is kept of all rows together.
pub const KEPT_BYTES_MAX: usize = 1 << 30;

/// Problems that are listed; further ones are counted.
pub const PROBLEMS_MAX: usize = 1000;

/// What is looked at to find out what a file is.
pub(crate) const SAMPLE_BYTES: usize = 256 << 10;

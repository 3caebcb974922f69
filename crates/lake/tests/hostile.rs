//! Questions that want more than an answer: each is refused or ends at a bound, and says so in a sentence.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_lake::{Lake, Limits, Options, Row, Writer};
use odograph_model::{Lsn, Record, RecordId, Time};
use odograph_testkit::{FaultDisk, TestClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A lake of two tenants with one record each.
fn lake() -> Writer {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new());
    let clock = Arc::new(TestClock::new(0));
    let mut writer = Writer::open(disk, clock, Path::new("/data/lake"), Options::default()).unwrap();
    for (tenant, id) in [("default", 1), ("another", 2)] {
        let (time, record) = (Time(0), Record::at(Time(0)));
        let row = Row { device: tenant, time, received: time, id: RecordId(id), protocol: "test", record: &record };
        writer.push(tenant, &row, Lsn(id)).unwrap();
    }
    writer
}

/// How many rows come, or what is said instead.
fn ask(lake: &Lake, sql: &str, limits: Limits) -> Result<usize, String> {
    let mut answer = lake.query("default", sql, limits).map_err(|error| error.to_string())?;
    let mut rows = 0;
    while let Some(batch) = answer.next_rows().map_err(|error| error.to_string())? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

fn check(lake: &Lake, limits: Limits, cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let said = ask(lake, sql, limits);
        let said = said.err().unwrap_or_else(|| format!("an answer to {sql}"));
        assert!(said.starts_with(expected), "{sql}: {said}");
        for debug in ["ParserError", "DataFusion", "Error(", "Some(", "::"] {
            assert!(!said.contains(debug), "{sql}: {said}");
        }
    }
}

#[test]
fn nothing_can_be_changed_or_written() {
    let writer = lake();
    let refused = "history can only be read: SELECT, WITH, EXPLAIN, DESCRIBE and SHOW are possible";
    let cases = [
        "CREATE TABLE copied AS SELECT * FROM records",
        "CREATE VIEW seen AS SELECT * FROM records",
        "CREATE SCHEMA mine",
        "CREATE EXTERNAL TABLE files STORED AS PARQUET LOCATION '/etc/'",
        "CREATE EXTERNAL TABLE web STORED AS CSV LOCATION 'http://127.0.0.1:1/'",
        "DROP TABLE records",
        "DROP VIEW devices",
        "INSERT INTO records SELECT * FROM records",
        "UPDATE records SET device = 'x'",
        "DELETE FROM records",
        "COPY records TO '/tmp/odograph-copied.parquet'",
        "COPY (SELECT 1) TO '/tmp/odograph-copied.csv' STORED AS CSV",
        "EXPLAIN COPY records TO '/tmp/odograph-copied.parquet'",
        "EXPLAIN ANALYZE INSERT INTO records SELECT * FROM records",
        "SET datafusion.execution.batch_size = 1",
        "PREPARE it AS SELECT 1",
    ];
    check(&writer.lake(), Limits::default(), &cases.map(|sql| (sql, refused)));
    let unknown =
        [("BEGIN", "this is not possible: Unsupported SQL statement: BEGIN"), ("SELEC", "this is not SQL: Expected")];
    check(&writer.lake(), Limits::default(), &unknown);
    assert_eq!(ask(&writer.lake(), "SELECT * FROM records", Limits::default()), Ok(1));
}

#[test]
fn nothing_but_the_tenants_own_tables_can_be_read() {
    let writer = lake();
    let cases = [
        ("SELECT * FROM '/etc/passwd'", "table 'datafusion.public./etc/passwd' not found"),
        ("SELECT * FROM \"/etc/passwd.csv\"", "table 'datafusion.public./etc/passwd.csv' not found"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "table function 'read_parquet' not found"),
        ("SELECT * FROM read_csv('http://127.0.0.1:1/')", "table function 'read_csv' not found"),
        ("SELECT * FROM another.records", "table 'datafusion.another.records' not found"),
        ("SELECT * FROM another.public.records", "table 'another.public.records' not found"),
    ];
    check(&writer.lake(), Limits::default(), &cases);
    let lake = writer.lake();
    let tables = "SELECT * FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(ask(&lake, tables, Limits::default()), Ok(5), "records, frames, events, last and devices");
    assert_eq!(ask(&lake, "SELECT * FROM records WHERE device = 'another'", Limits::default()), Ok(0));
}

#[test]
fn what_takes_too_much_ends_at_a_bound() {
    let writer = lake();
    // Each of these meets one bound alone, however fast the machine is.
    let patient = Limits { rows: 1000, memory: 4 << 20, ..Limits::default() };
    let hurried = Limits { time: Duration::from_millis(500), ..patient };
    let (time, rows) = ("the query took longer than 0.5 s", "the answer has more than 1000 rows");
    let memory = "the query needs more memory than it may take";
    let never = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n)";
    let nothing = format!("{never} SELECT * FROM n WHERE i < 0");
    let endless = format!("{never} SELECT * FROM n");
    let doubling = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL \
        SELECT i FROM n CROSS JOIN (VALUES (1), (2)) AS t(x)) SELECT count(*) FROM n";
    let cases = [("SELECT count(*) FROM generate_series(1, 1000000000000)", time), (&nothing, time)];
    check(&writer.lake(), hurried, &cases);
    let cases = [
        ("SELECT * FROM generate_series(1, 1000000000000)", rows),
        (&endless, rows),
        ("SELECT count(DISTINCT value) FROM generate_series(1, 1000000000000)", memory),
        ("SELECT array_agg(value) FROM generate_series(1, 1000000000000)", memory),
        (
            "SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value = b.value",
            memory,
        ),
        (doubling, memory),
        ("SELECT generate_series(1, 1000000000000)", "Invalid function 'generate_series'"),
        ("SELECT range(1000000000000)", "Invalid function 'range'"),
        ("SELECT repeat('x', 2000000000)", "Invalid function 'repeat'"),
        ("SELECT lpad('x', 2000000000)", "Invalid function 'lpad'"),
        ("SELECT rpad('x', 2000000000)", "Invalid function 'rpad'"),
        ("SELECT array_repeat(1, 1000000000000)", "Invalid function 'array_repeat'"),
        ("SELECT list_resize([1], 1000000000000)", "Invalid function 'list_resize'"),
    ];
    check(&writer.lake(), patient, &cases);
    let long = format!("SELECT '{}'", "x".repeat(64 << 10));
    check(&writer.lake(), patient, &[(&long, "a question has at most 65536 bytes, and this one has 65545")]);
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    check(&writer.lake(), patient, &[(&deep, "the query is nested too deeply")]);
}

#[test]
fn a_question_about_the_question_is_answered() {
    let writer = lake();
    for sql in
        ["EXPLAIN SELECT * FROM records", "EXPLAIN ANALYZE SELECT * FROM records", "SHOW TABLES", "DESCRIBE records"]
    {
        assert!(ask(&writer.lake(), sql, Limits::default()).is_ok_and(|rows| rows > 0), "{sql}");
    }
}

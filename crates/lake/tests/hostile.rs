//! Questions that want more than an answer: each is refused or ends at a bound, and says so in a sentence.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use odograph_env::Disk;
use odograph_lake::{Error, Fault, Lake, Limits, Options, Row, Writer};
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
        // Whatever is wrong with it besides.
        "insert into records values (1)",
        "INSERT INTO nosuch VALUES (1)",
        "UPDATE records SET nosuch = 1",
        "DELETE FROM records WHERE nosuch = 1",
        "EXPLAIN INSERT INTO records VALUES (1)",
        "EXPLAIN ANALYZE UPDATE records SET nosuch = 1",
        "WITH few AS (SELECT 1) INSERT INTO records VALUES (1)",
        "CREATE VIEW seen AS SELECT nosuch FROM records",
        "COPY nosuch TO 'copied.parquet'",
        "ALTER TABLE records ADD COLUMN nosuch INT",
        "DROP TABLE nosuch",
        "TRUNCATE TABLE nosuch",
        "SET nosuch = 1",
        "RESET nosuch",
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
    assert_eq!(ask(&lake, tables, Limits::default()), Ok(6), "records, frames, events, track, last and devices");
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
    let recursive = "this is not possible: Recursive CTEs are not enabled";
    // Neither gives a row, and the second does not look up while it seeks one.
    let pairs = "FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value";
    let equal = format!("SELECT count(*) {pairs} * 0 = b.value * 0 AND a.value + b.value < 0");
    let pairs = format!("SELECT a.value {pairs} + b.value < 0");
    let cases = [("SELECT count(*) FROM generate_series(1, 1000000000000)", time), (&pairs, time), (&equal, time)];
    check(&writer.lake(), hurried, &cases);
    let cases = [
        ("SELECT * FROM generate_series(1, 1000000000000)", rows),
        ("SELECT count(DISTINCT value) FROM generate_series(1, 1000000000000)", memory),
        ("SELECT array_agg(value) FROM generate_series(1, 1000000000000)", memory),
        (
            "SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value = b.value",
            memory,
        ),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT * FROM n", recursive),
        ("SELECT generate_series(1, 1000000000000)", "Invalid function 'generate_series'"),
        ("SELECT range(1000000000000)", "Invalid function 'range'"),
        ("SELECT repeat('x', 2000000000)", "Invalid function 'repeat'"),
        ("SELECT lpad('x', 2000000000)", "Invalid function 'lpad'"),
        ("SELECT rpad('x', 2000000000)", "Invalid function 'rpad'"),
        ("SELECT replace('x', 'x', 'xx')", "Invalid function 'replace'"),
        ("SELECT regexp_replace('x', 'x', 'xx')", "Invalid function 'regexp_replace'"),
        ("SELECT array_to_string([1], 'x')", "Invalid function 'array_to_string'"),
        ("SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')", "Invalid function 'arrow_cast'"),
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
fn a_long_chain_is_refused_and_the_longest_allowed_is_answered() {
    let (writer, patient) = (lake(), Limits::default());
    let refused = "a question has at most 500 operators, joins and sub-queries";
    let of = |first: &str, next: &str, times: usize| format!("SELECT {first}{}", next.repeat(times));
    let like = |times| format!("SELECT id FROM records WHERE true{}", " OR device LIKE '%0'".repeat(times));
    let joins = |times: usize| {
        let joined: String = (0..times).map(|n| format!(" CROSS JOIN t t{n}")).collect();
        format!("WITH t AS (VALUES (1)) SELECT 1 FROM t{joined}")
    };
    let listed = |times: usize| {
        let listed: String = (0..times).map(|n| format!(", devices t{n}")).collect();
        format!("SELECT 1 FROM devices{listed}")
    };
    let named = |times: usize| {
        let named: String = (0..times).map(|n| format!(", a{} AS (SELECT * FROM a{n})", n + 1)).collect();
        format!("WITH a0 AS (SELECT 1){named} SELECT * FROM a{times}")
    };
    for deep in [
        of("1", "+1", 3000),
        like(2400),
        of("true", " AND true", 7000),
        of("'a'", "||'a'", 12_000),
        of("1", "::int", 13_000),
        of("1", " UNION ALL SELECT 1", 3400),
        joins(1500),
        listed(1500),
        named(1500),
    ] {
        check(&writer.lake(), patient, &[(&deep, refused)]);
    }
    // As deep as may be, and the stack is large enough.
    for longest in [
        of("1", "+1", 499),
        like(249),
        of("true", " AND true", 499),
        of("1", "::int", 499),
        of("1", " UNION ALL SELECT 1", 249),
        joins(54),
        listed(62),
        named(248),
    ] {
        assert_eq!(ask(&writer.lake(), &longest, patient).err(), None, "{longest}");
    }
    let list = vec!["'another'"; 4000].join(",");
    assert_eq!(ask(&writer.lake(), &format!("SELECT id FROM records WHERE device NOT IN ({list})"), patient), Ok(1));
}

#[test]
fn what_makes_much_of_little_is_refused() {
    let (writer, patient) = (lake(), Limits::default());
    let mut doubled = "SELECT 'x' AS x".to_owned();
    for _ in 0..8 {
        doubled = format!("SELECT x || x AS x FROM ({doubled})");
    }
    let chained = format!("SELECT device{} FROM records", " || device".repeat(40));
    let text = format!("SELECT '{}'", "x".repeat(1025));
    check(
        &writer.lake(),
        patient,
        &[
            (
                &doubled,
                "a value is put together from at most 32 others, sub-queries included, and here one is from 256",
            ),
            (&chained, "a value is put together from at most 32 others, sub-queries included, and here one is from 41"),
            (&text, "a text in a question has at most 1024 bytes, and one here has 1025"),
        ],
    );
    assert_eq!(ask(&writer.lake(), "SELECT concat(device, ' ', protocol) || '!' FROM records", patient), Ok(1));
}

#[test]
fn lists_have_a_bound() {
    let (writer, patient) = (lake(), Limits::default());
    let of = |what: &str, rows: usize| format!("SELECT {what} FROM generate_series(1, {rows})");
    let said = |name: &str| format!("{name} puts at most 32 KiB together, and here it is more: ask for fewer rows");
    let many = of("string_agg(value::text, ',')", 20_000);
    let grouped = of("value % 2 AS g, string_agg(value::text, ',') AS all", 20_000) + " GROUP BY value % 2";
    let array = of("array_agg(value)", 20_000);
    let ordered = of("array_agg(value ORDER BY value DESC)", 20_000);
    let distinct = of("string_agg(DISTINCT value::text, ',')", 20_000);
    for (sql, name) in [
        (&many, "string_agg"),
        (&grouped, "string_agg"),
        (&array, "array_agg"),
        (&ordered, "array_agg"),
        (&distinct, "string_agg"),
        (&format!("SELECT id FROM records WHERE device IN ({many})"), "string_agg"),
    ] {
        check(&writer.lake(), patient, &[(sql, &said(name))]);
    }
    let over = of("string_agg(value::text, ',') OVER (ORDER BY value)", 10);
    let doubled = format!("SELECT a || a FROM ({})", of("string_agg(value::text, ',') AS a", 10));
    check(
        &writer.lake(),
        patient,
        &[
            (&over, "array_agg and string_agg are not possible with OVER: they would give each row a list of many"),
            (&doubled, "a value is put together from at most 32 others, sub-queries included, and here one is from 64"),
        ],
    );
    for (sql, expected) in [
        (of("string_agg(value::text, ',' ORDER BY value DESC)", 3), "3,2,1"),
        (of("string_agg(DISTINCT (value % 2)::text || '!', ',' ORDER BY (value % 2)::text || '!')", 9), "0!,1!"),
        (of("array_agg(value ORDER BY value DESC)::text", 3), "[3, 2, 1]"),
        (of("array_agg(value) FILTER (WHERE value > 2)::text", 3), "[3]"),
        (
            "SELECT upper(x) FROM (SELECT string_agg(d, ',') x FROM (SELECT device || '.' || protocol d FROM records))"
                .to_owned(),
            "DEFAULT.TEST",
        ),
    ] {
        let mut answer = writer.lake().query("default", &sql, patient).unwrap();
        let rows = answer.next_rows().unwrap().unwrap();
        let text = odograph_lake::arrow::util::display::array_value_to_string(rows.column(0), 0).unwrap();
        assert_eq!(text, expected, "{sql}");
    }
}

#[test]
fn questions_that_never_end_keep_nothing_else_from_being_done() {
    let mut writer = lake();
    let lake = writer.lake();
    let pairs = "FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value";
    let endless = format!("SELECT a.value {pairs} + b.value < 0");
    let mut answers: Vec<_> = (0..4).map(|_| lake.query("default", &endless, Limits::default()).unwrap()).collect();
    // All threads for questions are taken; files are made nevertheless.
    assert_eq!(writer.flush(Lsn(3), true).unwrap(), 2);
    let hurried = Limits { time: Duration::from_millis(100), ..Limits::default() };
    check(&lake, hurried, &[("SELECT 1", "4 questions are being answered already: ask again in a minute")]);
    let busy = lake.query("another", "SELECT 1", hurried).unwrap_err();
    assert!(matches!(busy, Error::Busy(4)) && busy.fault() == Fault::Busy, "{busy:?}");
    // What is in memory takes none of them.
    let latest = |device| lake.latest_record("default", device);
    assert_eq!((latest("default"), latest("another")), (Some(Record::at(Time(0))), None));
    // Whoever gives a question up makes room, wherever the answer is.
    drop(answers.pop());
    drop(answers[0].stop());
    let said = answers[0].next_rows().unwrap_err().to_string();
    assert_eq!(said, "the question was given up before its answer was complete");
    drop(answers);
    assert_eq!(ask(&lake, "SELECT id FROM records", Limits::default()), Ok(1));
    // And the end does not wait for one.
    let _endless = lake.query("default", &endless, Limits::default()).unwrap();
    drop(writer);
}

#[test]
fn what_is_wrong_with_a_question_is_the_questions_fault() {
    let writer = lake();
    let few = Limits { rows: 1000, memory: 4 << 20, ..Limits::default() };
    for sql in [
        "SELEC",
        "DROP TABLE records",
        "SELECT nosuch FROM records",
        "SELECT * FROM nosuch",
        "SELECT nosuch(1)",
        "SELECT 1 / 0",
        "SELECT CAST(device AS INT) FROM records",
        "SELECT array_agg(value) FROM generate_series(1, 20000)",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT count(DISTINCT value) FROM generate_series(1, 1000000000000)",
    ] {
        let read = || -> Result<(), Error> {
            let mut answer = writer.lake().query("default", sql, few)?;
            while answer.next_rows()?.is_some() {}
            Ok(())
        };
        let error = read().unwrap_err();
        assert_eq!(error.fault(), Fault::Question, "{sql}: {error:?}");
    }
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

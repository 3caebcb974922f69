//! What kind of file it is, by what its lines begin with.

use crate::{Error, Format};

/// The kind of file that begins like this. Fails for SQL that does not show whose it is; what is not SQL is a table.
pub(crate) fn format(sample: &[u8]) -> Result<Format, Error> {
    let mut scores = [(Format::H2, 0_u32), (Format::PostgreSql, 0), (Format::MySql, 0)];
    let mut is_sql = false;
    for line in sample.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_start();
        is_sql |= SQL.iter().any(|begin| line.starts_with(begin.as_bytes()));
        for (begin, format, weight) in MARKS {
            if line.starts_with(begin.as_bytes()) {
                let score = scores.iter_mut().find(|(known, _)| known == format);
                score.into_iter().for_each(|(_, score)| *score = score.saturating_add(*weight));
            }
        }
    }
    scores.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    match scores {
        [(best, score), (_, second), _] if score > second => Ok(best),
        _ if is_sql => Err(Error::Unclear),
        _ => Ok(Format::Csv),
    }
}

/// What lines of each database's dump begin with, and how much that says.
const MARKS: &[(&str, Format, u32)] = &[
    ("-- H2 ", Format::H2, 100),
    ("CREATE USER IF NOT EXISTS", Format::H2, 10),
    ("CREATE CACHED TABLE", Format::H2, 10),
    ("CREATE MEMORY TABLE", Format::H2, 10),
    ("CREATE SEQUENCE PUBLIC.", Format::H2, 2),
    ("INSERT INTO PUBLIC.", Format::H2, 2),
    ("INSERT INTO \"PUBLIC\".", Format::H2, 2),
    ("-- PostgreSQL database", Format::PostgreSql, 100),
    ("\\restrict ", Format::PostgreSql, 10),
    ("\\connect ", Format::PostgreSql, 10),
    ("SET client_encoding", Format::PostgreSql, 10),
    ("SET standard_conforming_strings", Format::PostgreSql, 10),
    ("SELECT pg_catalog.", Format::PostgreSql, 10),
    ("COPY public.", Format::PostgreSql, 2),
    ("COPY tc_", Format::PostgreSql, 2),
    ("INSERT INTO public.", Format::PostgreSql, 2),
    ("CREATE TABLE public.", Format::PostgreSql, 2),
    ("-- MySQL dump", Format::MySql, 100),
    ("-- MariaDB dump", Format::MySql, 100),
    ("-- phpMyAdmin", Format::MySql, 100),
    ("/*!", Format::MySql, 2),
    ("/*M!", Format::MySql, 2),
    ("INSERT INTO `", Format::MySql, 2),
    ("CREATE TABLE `", Format::MySql, 2),
    (") ENGINE=", Format::MySql, 2),
    ("LOCK TABLES ", Format::MySql, 2),
    ("DROP TABLE IF EXISTS `", Format::MySql, 2),
];

/// What shows that a file is SQL at all.
const SQL: &[&str] = &["INSERT INTO ", "CREATE TABLE ", "COPY ", "insert into ", "create table "];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sample: &str, expected: Option<Format>) {
        assert_eq!(format(sample.as_bytes()).ok(), expected, "{sample:?}");
    }

    #[test]
    fn files_are_known_by_their_lines() {
        check("imei;name\n1;INSERT INTO `x`\n", Some(Format::Csv));
        check("", Some(Format::Csv));
        check("-- H2 2.4.240; \n;\nCREATE USER IF NOT EXISTS \"SA\"", Some(Format::H2));
        check(";              \nCREATE SEQUENCE PUBLIC.A;\nINSERT INTO PUBLIC.TC_DEVICES(ID) VALUES", Some(Format::H2));
        check("--\n-- PostgreSQL database dump\n--\n", Some(Format::PostgreSql));
        check("COPY public.tc_devices (id) FROM stdin;\n1\n", Some(Format::PostgreSql));
        check("-- MySQL dump 10.13\nINSERT INTO public.x VALUES (1);", Some(Format::MySql));
        check("INSERT INTO `tc_devices` VALUES (1);", Some(Format::MySql));
        check("INSERT INTO tc_devices VALUES (1);", None);
    }
}

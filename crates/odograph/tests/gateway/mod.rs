//! A gateway whose history is in an object store, and what is asked of it.
#![allow(dead_code, reason = "each test file uses a part of this")]

use crate::common::{Place, Server, errors, told};
use crate::emulators::{Kind, Line, settings};
use serde_json::{Value, json};
use std::time::Duration;

/// A gateway whose history is in a store.
pub(crate) struct Gateway {
    pub(crate) place: Place,
    kind: Kind,
    line: std::net::SocketAddr,
    node: &'static str,
    pub(crate) more: Vec<(&'static str, String)>,
}

impl Gateway {
    pub(crate) fn new(kind: Kind, line: &Line, node: &'static str) -> Self {
        Self { place: Place::new(), kind, line: line.address(), node, more: Vec::new() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.place.command(arguments);
        command.env("ODOGRAPH_LAKE__FLUSH_AFTER", "10 ms").env("ODOGRAPH_LAKE__LATE_FLUSH_AFTER", "10 ms");
        command.env("ODOGRAPH_JOURNAL__NODE", self.node).envs(settings(self.kind, self.line)).envs(self.more.clone());
        command
    }

    pub(crate) fn serve(&self, protocol: &str) -> Server {
        Server::start(self.command(&["serve", "--listen", &format!("{protocol}=127.0.0.1:0")]))
    }

    pub(crate) fn ask(&self, sql: &str) -> Result<Vec<Value>, String> {
        let output = self.command(&["sql", "--json", sql]).output().expect("the command runs");
        if !output.status.success() {
            return Err(errors(&output));
        }
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect())
    }

    /// Asks until the store is back in use.
    pub(crate) fn ask_again(&self, sql: &str) -> Vec<Value> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.ask(sql) {
                Ok(rows) => return rows,
                Err(error) => last = error,
            }
            std::thread::sleep(PAUSE);
        }
        panic!("it does not go on: {last}");
    }

    /// Waits until everything that was acknowledged is in the store.
    pub(crate) fn settled(&self, server: &Server) {
        // The gauge counts what was read, and a question is answered once everything was.
        self.ask_again("SELECT count(*) FROM records");
        server.metric_becomes("odograph_pipeline_uncommitted_bytes 0");
    }

    pub(crate) fn exported(&self) -> Vec<(String, String)> {
        let output = self.command(&["export", "records"]).output().expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        told(&text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect::<Vec<_>>())
    }
}

/// A minute and more: a server begins again after at most 16 seconds.
pub(crate) const TRIES: u32 = 300;
pub(crate) const PAUSE: Duration = Duration::from_millis(300);

pub(crate) const COUNTED: &str =
    "SELECT device, count(*) AS records, count(DISTINCT id) AS ids FROM records GROUP BY device ORDER BY device";

pub(crate) fn counted(devices: &[(&str, u32)]) -> Vec<Value> {
    devices.iter().map(|(device, count)| json!({"device": device, "records": count, "ids": count})).collect()
}

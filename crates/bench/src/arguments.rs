//! Arguments of the programs here: `--name value`, each with a default.

use std::collections::BTreeMap;
use std::str::FromStr;

/// What was given on the command line.
#[derive(Debug)]
pub struct Arguments {
    given: BTreeMap<String, String>,
    help: &'static str,
}

impl Arguments {
    /// Those of this process. Ends it with `help` where they cannot be read, or where help is asked for.
    pub fn of_process(help: &'static str) -> Self {
        let mut all = std::env::args().skip(1);
        let mut given = BTreeMap::new();
        while let Some(name) = all.next() {
            match (name.strip_prefix("--"), name.as_str()) {
                (_, "--help" | "-h") => end(help, 0),
                (Some(name), _) => match all.next() {
                    Some(value) => drop(given.insert(name.to_owned(), value)),
                    None => end(&format!("--{name} needs a value\n\n{help}"), 64),
                },
                (None, _) => end(&format!("{name} is no argument here\n\n{help}"), 64),
            }
        }
        Self { given, help }
    }

    /// A value, or its default. Take all that there are, and then call [`Arguments::done`].
    pub fn take<T: FromStr>(&mut self, name: &str, default: &str) -> T {
        let value = self.given.remove(name).unwrap_or_else(|| default.to_owned());
        value.parse().unwrap_or_else(|_| end(&format!("--{name} cannot be {value:?}\n\n{}", self.help), 64))
    }

    /// Ends the process if something was given that nobody took.
    pub fn done(self) {
        if let Some(name) = self.given.keys().next() {
            end(&format!("--{name} is no argument here\n\n{}", self.help), 64);
        }
    }
}

fn end(text: &str, status: i32) -> ! {
    if status == 0 {
        println!("{text}");
    } else {
        eprintln!("{text}");
    }
    std::process::exit(status)
}

//! Runs tests, and those that failed beside others once more, alone.
//!
//! A test that passes then has a defect, or what it tests has: most often it takes something for done that was under way, on a machine
//! with little time for it. That is told at the end of a run, in words that nobody overlooks; but it holds up no change that has nothing
//! to do with it.

use std::io::{BufRead as _, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `cargo test` as it is given by the function, which makes a new command each time, and passes on what it prints. Returns the names
/// of tests that passed only when they were alone.
pub(crate) fn test(command: impl Fn() -> Command, out: &mut impl Write) -> Result<Vec<String>> {
    let (status, first) = watch(command(), out)?;
    if status.success() {
        return Ok(Vec::new());
    }
    let failed = first.worth_another_try().with_context(|| format!("tests ended with {status}"))?;
    writeln!(out, "\n── once more, alone: {}", failed.join(", ")).context("cannot write")?;
    let mut again = command();
    // Benchmarks, which are tried as well, do not know these words, and have no tests.
    again.args(["--lib", "--bins", "--test", "*", "--", "--exact", "--test-threads=1"]).args(&failed);
    let (status, second) = watch(again, out)?;
    if !status.success() || second.passed < failed.len() {
        bail!("{} failed, and failed again alone", failed.join(", "));
    }
    Ok(failed)
}

/// What is told of tests that passed only alone.
pub(crate) fn verdict(names: &[String]) -> String {
    let of = if names.len() == 1 { "This test" } else { "These tests" };
    format!(
        "\n{of} failed beside others and passed alone, which is a defect that wants mending: {}\n",
        names.join(", ")
    )
}

/// Passes on what a run prints, and takes note of it.
fn watch(mut command: Command, out: &mut impl Write) -> Result<(ExitStatus, Seen)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let mut seen = Seen::default();
    let (mut said, mut line) = (BufReader::new(child.stdout.take().context("it has no output")?), Vec::new());
    while said.read_until(b'\n', &mut line).context("cannot read what tests say")? > 0 {
        out.write_all(&line).context("cannot write")?;
        seen.note(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok((child.wait().context("cargo did not end")?, seen))
}

/// What a run of tests said.
#[derive(Default)]
struct Seen {
    /// Programs with tests that began.
    begun: usize,
    /// Those that came to their end.
    ended: usize,
    /// Tests that passed, by the programs' own count.
    passed: usize,
    /// Tests that failed, by the programs' own count.
    failed: usize,
    /// Their names.
    names: Vec<String>,
}

impl Seen {
    fn note(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.names.push(name.trim_end_matches(" - should panic").to_owned());
        } else if line.starts_with("running ") && (line.ends_with(" test") || line.ends_with(" tests")) {
            self.begun += 1;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.ended += 1;
            self.passed += count(counts, " passed;");
            self.failed += count(counts, " failed;");
        }
    }

    /// The names of what failed, if that is all that went wrong: a program that ended amid its tests says nothing of the others.
    fn worth_another_try(self) -> Result<Vec<String>> {
        if self.failed == 0 || self.begun != self.ended {
            bail!("something did not compile, or ended amid its tests");
        }
        if self.names.len() != self.failed || self.failed > FAILED_MAX {
            bail!("{} tests failed", self.failed);
        }
        Ok(self.names)
    }
}

/// The number before a word: `ok. 3 passed; 1 failed; …`.
fn count(counts: &str, word: &str) -> usize {
    let before = counts.split_once(word).map(|(before, _)| before);
    before.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Where more fail, it is not for want of time.
const FAILED_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::sink;

    fn seen(lines: &str) -> Seen {
        let mut seen = Seen::default();
        lines.lines().for_each(|line| seen.note(line));
        seen
    }

    const ONE: &str = "running 3 tests\ntest a ... ok\ntest b::c ... FAILED\ntest d - should panic ... FAILED\n\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    const TWO: &str = "running 1 test\ntest e ... ok\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn what_failed_is_known_by_name() {
        let seen = seen(&[ONE, TWO].concat());
        assert_eq!((seen.begun, seen.ended, seen.passed, seen.failed), (2, 2, 2, 2));
        assert_eq!(seen.worth_another_try().expect("both are named"), ["b::c", "d"]);
    }

    #[test]
    fn nothing_is_tried_again_where_more_went_wrong() {
        for lines in ["", TWO, &[ONE, "running 1 test\n"].concat(), &[ONE, ONE].concat()] {
            assert!(seen(lines).worth_another_try().is_err(), "{lines}");
        }
        let torn = ONE.replace("test b::c ... FAILED", "test b::c ... a word\nFAILED");
        assert!(seen(&torn).worth_another_try().is_err());
    }

    #[test]
    fn a_test_that_fails_again_fails_the_run() {
        let script = |text: &str| {
            let text = text.to_owned();
            move || {
                let mut command = Command::new("sh");
                command.args(["-c", &text, "sh"]);
                command
            }
        };
        let always = format!("printf '{ONE}'; exit 101");
        assert!(test(script(&always), &mut sink()).is_err());
        let alone = format!(
            "if [ $# = 0 ]; then printf '{ONE}'; exit 101; fi; printf '{}'",
            TWO.replace("1 passed", "2 passed")
        );
        assert_eq!(test(script(&alone), &mut sink()).expect("they pass alone"), ["b::c", "d"]);
        let none = format!("if [ $# = 0 ]; then printf '{ONE}'; exit 101; fi; printf '{TWO}'");
        assert!(test(script(&none), &mut sink()).is_err(), "one of them did not run");
        assert!(test(script("exit 0"), &mut sink()).expect("all passed").is_empty());
    }
}

//! `odograph completions`: scripts that complete the command line in a shell.

use super::{Cli, Outcome};
use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

/// Print a script that completes odograph's command line in a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    odograph completions bash > /etc/bash_completion.d/odograph\n  \
    odograph completions zsh > ~/.zfunc/_odograph\n  \
    odograph completions fish > ~/.config/fish/completions/odograph.fish")]
pub(super) struct Options {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Outcome> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "odograph", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Done)
}

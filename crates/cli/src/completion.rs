//! `bourn completion`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Arguments, output};

/// Prints a script that completes the commands and options of bourn
#[derive(clap::Args)]
#[command(after_help = "\
bash:  source <(bourn completion bash)
zsh:   bourn completion zsh > \"${fpath[1]}/_bourn\"
fish:  bourn completion fish > ~/.config/fish/completions/bourn.fish")]
pub(crate) struct Completion {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "bourn", &mut script);
        output::written(std::io::Write::write_all(&mut std::io::stdout().lock(), &script))
    }
}

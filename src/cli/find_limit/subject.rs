//! The experiment whose limit is looked for.

use super::Arguments;
use crate::cli::failure::Failure;
use crate::cli::flags::Global;
use crate::cli::output;
use crate::document::Kind;
use crate::document::load::{Loaded, load_text_setting, name_of, read_text};
use crate::document::set::Setting;
use crate::experiment::check::can_run_alone;
use crate::experiment::document::Experiment;
use crate::limit::Dose;
use crate::limit::place::path_of;

/// The experiment, as it was read once.
pub(super) struct Subject<'a> {
    arguments: &'a Arguments,
    text: String,
    /// With the harshest dose.
    pub(super) harshest: Loaded<Experiment>,
    /// The parameter's path.
    pub(super) path: String,
}

impl<'a> Subject<'a> {
    /// Reads the file once, finds the parameter, and checks the document with the harshest dose.
    pub(super) fn read(arguments: &'a Arguments, global: &Global) -> anyhow::Result<Self> {
        let (_, text) = read_text(&arguments.file)?;
        let as_it_is =
            one(load_text_setting(&arguments.file, &text, Kind::Experiment, &arguments.flags.set)?, arguments)?;
        if arguments.controller.controller.is_none() {
            can_run_alone(&as_it_is)?;
        }
        let path = path_of(&as_it_is.document, &arguments.dose.parameter).map_err(|error| {
            Failure::usage(error.to_string()).hint("`faultline faults NAME` tells a fault's parameters")
        })?;
        let mut subject = Self { arguments, text, harshest: as_it_is, path };
        subject.harshest = subject.at(arguments.dose.dose(arguments.dose.harshest))?;
        if !global.quiet {
            output::tell(&subject.harshest.render_warnings(global.colour_on_stderr()));
        }
        Ok(subject)
    }

    /// The experiment with this dose.
    pub(super) fn at(&self, dose: Dose) -> anyhow::Result<Loaded<Experiment>> {
        let setting: Setting = format!("{}={}", self.path, dose.written()).parse()?;
        let set: Vec<Setting> = self.arguments.flags.set.iter().cloned().chain([setting]).collect();
        one(load_text_setting(&self.arguments.file, &self.text, Kind::Experiment, &set)?, self.arguments)
    }
}

/// The one experiment of a file.
fn one(loaded: Vec<Loaded>, arguments: &Arguments) -> anyhow::Result<Loaded<Experiment>> {
    let mut experiments: Vec<_> = loaded.into_iter().filter_map(|one| one.experiment().ok()).collect();
    match (experiments.pop(), experiments.len()) {
        (Some(experiment), 0) => Ok(experiment),
        (_, others) => {
            let number = if others == 0 { "no".into() } else { (others + 1).to_string() };
            let message = format!("{} has {number} experiments, and one is wanted", name_of(&arguments.file));
            Err(Failure::usage(message).hint("put the experiment whose limit is wanted into a file of its own").into())
        }
    }
}

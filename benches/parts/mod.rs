//! Benches in parts, each by its name: `cargo bench --bench judge -- looks hour`; without a name, all of them.

use std::process::ExitCode;

/// A part, with its name, which answers whether something was missed or wrong.
pub(crate) type Part = (&'static str, fn() -> bool);

/// Runs the parts that are asked for. Fails if one of them missed something, or if there is no such part.
pub(crate) fn run(parts: &[Part]) -> ExitCode {
    // Cargo gives `--bench` to every bench.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = asked.iter().find(|asked| parts.iter().all(|(name, _)| name != asked)) {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        println!("no part is called {unknown}; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let wanted = parts.iter().filter(|(name, _)| asked.is_empty() || asked.iter().any(|asked| asked == name));
    let missed = wanted.fold(false, |missed, (_, part)| part() || missed);
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

//! Where in an experiment the parameter stands whose doses are searched.

use faultline_agent::fault::CATALOGUE;
use schemars::SchemaGenerator;

use super::dose::DoseError;
use crate::document::suggest;
use crate::experiment::document::{Experiment, MethodStep};

/// The path of a parameter, as `--set` writes it: `method[1].inject.fault.network-latency.delay`.
///
/// The parameter is that of the one fault that has it. Where several have, a fault's name or the number of a step of the method
/// (counted from 0, as in `--set`) stands before it: `network-latency.delay`, `1.delay`, `1.network-latency.delay`.
///
/// # Errors
/// If no fault has such a parameter, or several have.
pub fn path_of(experiment: &Experiment, parameter: &[String]) -> Result<String, DoseError> {
    let injections = injections(&experiment.spec.method);
    let (step, rest) = match parameter.split_first() {
        Some((first, rest)) if !rest.is_empty() => match first.parse::<usize>() {
            Ok(step) => (Some(step), rest),
            Err(_) => (None, parameter),
        },
        _ => (None, parameter),
    };
    let (fault, rest) = match rest.split_first() {
        Some((first, names)) if !names.is_empty() && injections.iter().any(|one| one.fault == first) => {
            (Some(first.as_str()), names)
        }
        _ => (None, rest),
    };
    let meant: Vec<&Injection> = injections
        .iter()
        .filter(|one| step.is_none_or(|step| one.step == step) && fault.is_none_or(|fault| one.fault == fault))
        .collect();
    if meant.is_empty() {
        let there: Vec<String> = injections.iter().map(|one| format!("{} in step {}", one.fault, one.step)).collect();
        return Err(DoseError(format!(
            "no fault of the method is meant by `{}`: there is {}",
            parameter.join("."),
            there.join(", ")
        )));
    }
    let name = rest.first().map_or("", String::as_str);
    let having: Vec<&&Injection> =
        meant.iter().filter(|one| one.parameters.iter().any(|known| known == name)).collect();
    match having[..] {
        [one] => Ok(format!("{}.{}.{}", one.path, one.fault, rest.join("."))),
        [] => {
            let known = meant.iter().flat_map(|one| &one.parameters).map(String::as_str);
            let faults: Vec<&str> = meant.iter().map(|one| one.fault).collect();
            let hint = suggest::hint(name, known);
            Err(DoseError(format!("{} has no parameter `{name}`; {hint}", faults.join(" or "))))
        }
        [..] => {
            let asked = rest.join(".");
            let several: Vec<String> = having.iter().map(|one| format!("{}.{}.{asked}", one.step, one.fault)).collect();
            Err(DoseError(format!("several faults have a parameter `{name}`: name one of {}", several.join(", "))))
        }
    }
}

struct Injection {
    step: usize,
    path: String,
    fault: &'static str,
    parameters: Vec<String>,
}

fn injections(method: &[MethodStep]) -> Vec<Injection> {
    let mut found = Vec::new();
    for (step, of) in method.iter().enumerate() {
        for (place, inject) in of.injections().iter().enumerate() {
            let path = match of {
                MethodStep::Together(_) => format!("method[{step}].together[{place}].fault"),
                MethodStep::Inject(_) | MethodStep::Observe(_) => format!("method[{step}].inject.fault"),
            };
            let fault = inject.fault.name();
            found.push(Injection { step, path, fault, parameters: parameters(fault) });
        }
    }
    found
}

fn parameters(fault: &str) -> Vec<String> {
    let Some(entry) = CATALOGUE.iter().find(|entry| entry.name == fault) else { return Vec::new() };
    let schema = (entry.schema)(&mut SchemaGenerator::default());
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::load::from_text;
    use crate::experiment::document::smallest::smallest;

    fn path(method: &str, parameter: &str) -> Result<String, String> {
        let text = smallest("one", "  targets: { db: { process: { name: db } } }", method);
        let loaded = from_text("one.yaml", &text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        let experiment = loaded.into_iter().next().unwrap().experiment().unwrap().document;
        let parameter: Vec<String> = parameter.split('.').map(str::to_owned).collect();
        path_of(&experiment, &parameter).map_err(|error| error.to_string())
    }

    const LATENCY: &str = "inject: { fault: { network-latency: { delay: 1ms, peers: { ports: [1] } } }, for: 9s }";
    const PAUSE: &str = "inject: { fault: { process-pause: { every: 3s, pause: 1s } }, on: db, for: 9s }";
    const FILL: &str = "inject: { fault: { disk-fill: { path: /tmp/x, bytes: 1MiB } }, for: 9s }";

    #[test]
    fn the_one_fault_that_has_the_parameter_is_meant() {
        let delay = Ok("method[1].inject.fault.network-latency.delay".to_owned());
        for parameter in ["delay", "network-latency.delay", "1.delay", "1.network-latency.delay"] {
            assert_eq!(path(&format!("{{ {LATENCY} }}, {{ {PAUSE} }}"), parameter), delay, "{parameter}");
        }
        let inodes = Ok("method[1].inject.fault.disk-fill.inodes.count".to_owned());
        assert_eq!(path(&format!("{{ {FILL} }}"), "inodes.count"), inodes);
        let (latency, fill) = (&LATENCY["inject: ".len()..], &FILL["inject: ".len()..]);
        let both = format!("{{ together: [{fill}, {latency}] }}");
        assert_eq!(path(&both, "delay"), Ok("method[1].together[1].fault.network-latency.delay".into()));
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_told() {
        let twice = format!("{{ {LATENCY} }}, {{ observe: 1s }}, {{ {LATENCY} }}");
        let several =
            "several faults have a parameter `delay`: name one of 1.network-latency.delay, 3.network-latency.delay";
        assert_eq!(path(&twice, "delay"), Err(several.into()));
        assert_eq!(path(&twice, "3.delay"), Ok("method[3].inject.fault.network-latency.delay".into()));
        let one = format!("{{ {LATENCY} }}");
        let misspelt = path(&one, "dely").unwrap_err();
        assert_eq!(misspelt, "network-latency has no parameter `dely`; did you mean `delay`?");
        let nowhere = "no fault of the method is meant by `2.delay`: there is network-latency in step 1";
        assert_eq!(path(&one, "2.delay"), Err(nowhere.into()));
    }
}

use std::collections::BTreeSet;

use super::{Findings, at};
use crate::experiment::document::Spec;

/// Of which service the experiment is: names that say something, each once, and nothing tested that is no dependency.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let Some(about) = &spec.about else { return };
    let path = at!["spec", "about"];
    if about.service.trim().is_empty() {
        findings.error(&path.join("service"), "the service has no name", "name it as people do: `checkout`");
    }
    let mut declared = BTreeSet::new();
    for (number, name) in about.depends_on.iter().flatten().enumerate() {
        let at = path.join("dependsOn").join(number);
        if name.trim().is_empty() {
            findings.error(&at, "the dependency has no name", "leave the list empty if there is none");
        } else if *name == about.service {
            findings.error(&at, "a service is no dependency of itself", "leave it out");
        } else if !declared.insert(name) {
            findings.error(&at, format!("the dependency `{name}` is listed twice"), "leave one of them out");
        }
    }
    for (number, name) in about.tests.iter().flatten().enumerate() {
        if !declared.contains(name) {
            let hint = format!("add it to `dependsOn`, or leave it out: `dependsOn: [{name}]`");
            let at = path.join("tests").join(number);
            findings.error(&at, format!("`{name}` is none of the dependencies in `dependsOn`"), hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::document::load;

    fn told(about: &str) -> String {
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: a }}\nspec:\n  hypothesis: all is well\n  about: {about}\n  \
             signals: {{ shop: {{ http: {{ url: 'http://127.0.0.1:1/', rate: 100/s }} }} }}\n  \
             steadyState: [ {{ signal: shop, errors: {{ below: 10% }} }} ]\n  \
             targets: {{ db: {{ process: {{ listensOn: 2 }} }} }}\n  \
             method: [ {{ observe: 20s }}, {{ inject: {{ fault: {{ process-pause: {{}} }}, on: db, for: 10s }} }} ]\n"
        );
        match load::from_text("a.yaml", &text, &[]) {
            Ok(loaded) => {
                let experiment = loaded.into_iter().next().unwrap().experiment().unwrap().document;
                format!("tests {:?}", experiment.spec.tested_dependencies())
            }
            Err(error) => error.render(false),
        }
    }

    #[test]
    fn what_is_tested_is_told_or_follows_from_the_targets() {
        assert_eq!(told("{ service: shop, dependsOn: [db, cache] }"), r#"tests ["db"]"#);
        assert_eq!(told("{ service: shop, dependsOn: [db, cache], tests: [cache] }"), r#"tests ["cache"]"#);
        assert_eq!(told("{ service: shop, dependsOn: [] }"), "tests []");
        assert_eq!(told("{ service: shop }"), "tests []");
    }

    #[test]
    fn names_must_say_something_and_once() {
        assert!(told("{ service: '', dependsOn: [] }").contains("the service has no name"));
        assert!(told("{ service: shop, dependsOn: [db, db] }").contains("the dependency `db` is listed twice"));
        assert!(told("{ service: shop, dependsOn: [shop] }").contains("no dependency of itself"));
        assert!(told("{ service: shop, dependsOn: [db], tests: [dp] }").contains("`dp` is none of the dependencies"));
        assert!(told("{ service: shop, depends: [db] }").contains("depends"));
    }
}

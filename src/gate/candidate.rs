//! An experiment that the gate may run, with the lines of its file that its results are about.

use crate::document::load::Loaded;
use crate::document::yaml::{Scalar, Value, at, read};
use crate::experiment::document::Experiment;

/// An experiment that the gate may run.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The document.
    pub loaded: Loaded<Experiment>,
    /// The line of its name in the file, counted from 1.
    pub line: usize,
    /// The line of each objective of the steady state, in their order.
    pub objective_lines: Vec<usize>,
}

impl Candidate {
    /// With its lines looked up in its text.
    pub fn new(loaded: Loaded<Experiment>) -> Self {
        let documents = read::read(&loaded.text, 0).unwrap_or_default();
        let name = at!["metadata", "name"];
        let tree = documents.iter().find(|tree| match tree.at(&name).map(|node| &node.value) {
            Some(Value::Scalar(Scalar { text, .. })) => *text == loaded.document.metadata.name,
            _ => false,
        });
        let line = |start: usize| {
            let mut start = start.min(loaded.text.len());
            while !loaded.text.is_char_boundary(start) {
                start -= 1;
            }
            loaded.text[..start].matches('\n').count() + 1
        };
        let objectives = 0..loaded.document.spec.steady_state.len();
        let objective_lines = objectives
            .map(|index| tree.map_or(1, |tree| line(tree.place_of(&at!["spec", "steadyState", index]).start)))
            .collect();
        let line = tree.map_or(1, |tree| line(tree.place_of(&name).start));
        Self { loaded, line, objective_lines }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.loaded.document.metadata.name
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::document::load::from_text;
    use crate::experiment::document::smallest::{FILL, smallest};

    pub(crate) fn candidate(file: &str, text: &str) -> Candidate {
        let loaded = from_text(file, text, &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
        Candidate::new(loaded.into_iter().last().unwrap().experiment().unwrap())
    }

    #[test]
    fn lines_are_those_of_the_document_of_that_name() {
        let two = r#"---
apiVersion: faultline.dev/v1
kind: Experiment
metadata:
  name: two
spec:
  hypothesis: It holds.
  signals: { shop: { http: { url: "http://127.0.0.1:8080/", rate: 50/s } } }
  steadyState:
    - { signal: shop, errors: { below: 1% } }
    - { signal: shop, latency: { quantile: 0.5, below: 1s } }
  method: [{ observe: 30s }, { inject: { fault: { disk-fill: { path: /tmp/x, bytes: 1MiB } }, for: 30s } }]
"#;
        let two = candidate("two.yaml", &(smallest("one", "", FILL) + two));
        assert_eq!((two.name(), two.line, &*two.objective_lines), ("two", 13, [18, 19].as_slice()));
    }
}

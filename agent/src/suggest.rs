//! `did you mean …?`

/// Words that other tools use for keys of ours.
const OTHER_WORDS: [(&str, &str); 12] = [
    ("duration", "for"),
    ("lasts", "for"),
    ("target", "on"),
    ("type", "fault"),
    ("timeout", "within"),
    ("command", "run"),
    ("cmd", "run"),
    ("env", "environment"),
    ("cwd", "directory"),
    ("port", "listensOn"),
    ("steps", "method"),
    ("probes", "signals"),
];

/// The candidate that was probably meant, if one is near enough to be no accident.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let wanted = plain(given);
    let near = candidates
        .iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), *candidate))
        .filter(|(distance, candidate)| *distance <= given.chars().count().max(candidate.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    let synonym = || {
        let (_, ours) = OTHER_WORDS.iter().find(|(theirs, _)| *theirs == wanted)?;
        candidates.iter().find(|candidate| *candidate == ours).copied()
    };
    let part = || {
        let holds = |candidate: &&&str| wanted.len() >= 3 && plain(candidate).contains(&wanted);
        let mut holding = candidates.iter().filter(holds);
        holding.next().copied().filter(|_| holding.next().is_none())
    };
    near.or_else(synonym).or_else(part)
}

/// The sentence for a hint: what was probably meant, else what there is.
pub fn hint<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(given, candidates.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => there_is(&candidates),
    }
}

/// The sentence that lists what there is.
pub fn there_is(candidates: &[&str]) -> String {
    match candidates {
        [] => "there is none".into(),
        [only] => format!("there is only `{only}`"),
        several => format!("there is `{}`", several.join("`, `")),
    }
}

/// Without case and separators, so that `steady_state` is `steadyState`.
fn plain(word: &str) -> String {
    word.chars().filter(|letter| !matches!(letter, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// The least number of letters put in, left out, changed, or swapped with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(100).collect();
    let to: Vec<char> = to.chars().take(100).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_other_spellings_and_other_tools_words() {
        let keys = ["steadyState", "signals", "method", "for", "on", "listensOn"];
        for (given, meant) in [
            ("steady_state", Some("steadyState")),
            ("steadystate", Some("steadyState")),
            ("sginals", Some("signals")),
            ("methods", Some("method")),
            ("duration", Some("for")),
            ("listens", Some("listensOn")),
            ("hypothesis", None),
            ("x", None),
        ] {
            assert_eq!(nearest(given, keys), meant, "{given}");
        }
        assert_eq!(hint("x", ["a", "b"]), "there is `a`, `b`");
    }

    #[test]
    fn the_distance_counts_a_swap_once() {
        for (from, to, expected) in [("", "", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("", "abc", 3)] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}

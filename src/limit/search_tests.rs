use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::limit::DoseRange;

const RULES: Rules =
    Rules { error_rate: 0.05, confidence: 0.95, resolution: Resolution::Share(0.05), runs: 14, mildest_holds: true };

fn scale(range: &str) -> Scale {
    Scale::new(&range.parse::<DoseRange>().unwrap(), 0.05)
}

/// A search to its end, with what answers at each dose.
fn searched(scale: &Scale, rules: Rules, mut answer: impl FnMut(f64) -> Answer) -> (Search, Stop, Vec<f64>) {
    let mut search = Search::new(scale, rules);
    let mut asked = Vec::new();
    loop {
        match search.next() {
            Next::Stop(stop) => return (search, stop, asked),
            Next::Run(index) => {
                asked.push(search.dose(index));
                search.take(index, answer(search.dose(index)));
            }
        }
    }
}

fn ends(search: &Search) -> (Option<f64>, Option<f64>) {
    let known = search.known();
    (known.low.map(|index| search.dose(index)), known.high.map(|index| search.dose(index)))
}

fn plainly(limit: f64) -> impl Fn(f64) -> Answer {
    move |dose| if dose <= limit { Answer::Holds } else { Answer::Fails }
}

fn print(what: &str, runs: &[usize], covered: usize) {
    let mean = runs.iter().sum::<usize>() as f64 / runs.len() as f64;
    println!("{what}: {covered} of {} covered, {mean:.2} runs, at most {}", runs.len(), runs.iter().max().unwrap());
}

#[test]
fn without_errors_the_limit_is_found_in_few_runs() {
    for (range, from, to) in
        [("delay=0..2s", 0.02, 1.9), ("delay=0..500ms", 0.01, 0.49), ("delay=10ms..10s", 0.011, 9.0)]
    {
        let scale = scale(range);
        let mut runs = Vec::new();
        for step in 0..200 {
            let limit = from + (to - from) * f64::from(step) / 200.0;
            let (search, stop, asked) = searched(&scale, RULES, plainly(limit));
            let (low, high) = ends(&search);
            assert!(low.unwrap() <= limit && limit < high.unwrap(), "{limit}: {low:?} to {high:?}");
            assert_eq!(stop, Stop::Known, "{limit}: {asked:?}");
            assert!((high.unwrap() - low.unwrap()) <= 0.0501 * high.unwrap());
            runs.push(asked.len());
        }
        print(range, &runs, runs.len());
        assert!(*runs.iter().max().unwrap() < 15);
    }
}

/// The error rate is that of which the search knows; the interval holds the limit as often as it says, over limits as
/// the scale has them, and at single limits not much less often.
#[test]
fn with_errors_the_interval_holds_the_limit_as_often_as_stated() {
    let scale = scale("delay=0..500ms");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for (runs, error_rate) in [(14, 0.05), (60, 0.05), (60, 0.1)] {
        let rules = Rules { runs, error_rate, ..RULES };
        let mut numbers = Vec::new();
        let mut covered = 0;
        for _ in 0..600 {
            let place: f64 = random.random();
            let limit = scale.doses[scale.places.partition_point(|other| *other < place).min(scale.doses.len() - 2)];
            let (search, _, asked) =
                searched(&scale, rules, |dose| match (dose <= limit) != (random.random::<f64>() < error_rate) {
                    true => Answer::Holds,
                    false => Answer::Fails,
                });
            let (low, high) = ends(&search);
            covered += usize::from(low.is_none_or(|low| low <= limit) && high.is_none_or(|high| limit < high));
            numbers.push(asked.len());
        }
        print(&format!("error rate {error_rate}, at most {runs} runs"), &numbers, covered);
        // 570 are expected, with a standard deviation of 5.3.
        assert!(covered >= 553, "{covered} of 600");
    }
}

#[test]
fn the_ends_of_the_range_are_told_apart_from_a_limit() {
    let (from_nothing, scale) = (scale("delay=0..1s"), scale("delay=10ms..1s"));
    let rules = Rules { mildest_holds: false, ..RULES };
    let (search, stop, asked) = searched(&scale, rules, |_| Answer::Holds);
    assert_eq!((stop, ends(&search)), (Stop::Known, (Some(1.0), None)));
    assert!(asked.len() < 10 && asked.contains(&1.0), "{asked:?}");
    let (search, stop, asked) = searched(&scale, rules, |_| Answer::Fails);
    assert_eq!((stop, ends(&search)), (Stop::Known, (None, Some(0.01))));
    assert!(asked.len() < 12 && asked.contains(&0.01), "{asked:?}");
    // A dose of nothing is never run.
    let (search, _, asked) = searched(&from_nothing, RULES, |_| Answer::Fails);
    assert!(!asked.contains(&0.0) && ends(&search).0 == Some(0.0), "{asked:?}");
}

#[test]
fn doses_that_are_not_decided_are_left_and_end_the_search() {
    let scale = scale("delay=0..500ms");
    let hazy = |dose: f64| match dose {
        dose if dose < 0.2 => Answer::Holds,
        dose if dose > 0.25 => Answer::Fails,
        _ => Answer::None,
    };
    let (search, stop, asked) = searched(&scale, Rules { runs: 40, ..RULES }, hazy);
    let (low, high) = ends(&search);
    assert_eq!(stop, Stop::Undecided);
    assert!(low.unwrap() <= 0.2 && high.unwrap() >= 0.25 && asked.len() < 30, "{low:?} {high:?} {asked:?}");
    for dose in &asked {
        let unanswered = asked.iter().filter(|other| *other == dose && hazy(*dose) == Answer::None).count();
        assert!(unanswered <= MOST_UNANSWERED);
    }
    let (_, stop, asked) = searched(&scale, RULES, |_| Answer::None);
    assert!(stop == Stop::Undecided && asked.len() <= 14, "{asked:?}");
}

/// A busy host: one run in ten is not decided, and near the limit as many as three in ten. Before, when a quarter of what was
/// uncertain was left alone around a dose that was run twice, 37% of the searches ended narrow within 14 runs and 53% within 20;
/// now 46% and 80%.
#[test]
fn runs_that_are_not_decided_now_and_then_do_not_end_the_search() {
    let scale = scale("delay=0..500ms");
    for (runs, narrow_at_least) in [(14, 0.42), (20, 0.74)] {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (mut narrow, mut covered, mut numbers) = (0_u32, 0, Vec::new());
        for _ in 0..300 {
            let place: f64 = random.random();
            let limit = scale.places.partition_point(|other| *other < place).min(scale.doses.len() - 2);
            let (search, stop, asked) = searched(&scale, Rules { runs, ..RULES }, |dose| {
                let index = scale.doses.iter().position(|other| *other == dose).unwrap();
                let distance = (scale.places[index] - scale.places[limit]) / 0.05;
                let undecided = 0.1 + 0.2 * (-distance * distance).exp();
                match (random.random::<f64>() < undecided, (index <= limit) != (random.random::<f64>() < 0.05)) {
                    (true, _) => Answer::None,
                    (false, true) => Answer::Holds,
                    (false, false) => Answer::Fails,
                }
            });
            let known = search.known();
            covered += usize::from(known.low <= Some(limit) && known.high.is_none_or(|high| limit < high));
            narrow += u32::from(stop == Stop::Known);
            numbers.push(asked.len());
        }
        print(&format!("{narrow} of 300 narrow within {runs} runs"), &numbers, covered);
        assert!(f64::from(narrow) >= narrow_at_least * 300.0, "{narrow} of 300 narrow within {runs} runs");
        assert!(covered >= 276, "{covered} of 300");
    }
}

#[test]
fn counts_end_between_neighbours() {
    let scale = scale("inodes.count=0..20");
    let rules = Rules { resolution: Resolution::Width(1.0), ..RULES };
    for limit in 0..20 {
        let (search, stop, _) = searched(&scale, rules, plainly(f64::from(limit)));
        assert_eq!((stop, ends(&search)), (Stop::Known, (Some(f64::from(limit)), Some(f64::from(limit + 1)))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_the_answers_it_ends_within_its_runs(answers in proptest::collection::vec(0_u8..3, 30), runs in 1_usize..20) {
        let mut answers = answers.into_iter();
        let scale = scale("delay=1ms..10s");
        let (search, _, asked) = searched(&scale, Rules { runs, mildest_holds: false, ..RULES }, |_| {
            [Answer::Holds, Answer::Fails, Answer::None][usize::from(answers.next().unwrap())]
        });
        prop_assert!(asked.len() <= runs && search.runs() == asked.len());
        let known = search.known();
        prop_assert!(known.low.map_or(-1, |low| low as i64) < known.high.map_or(i64::MAX, |high| high as i64));
        prop_assert!(known.low <= known.limit && known.high.is_none_or(|high| known.limit.is_none_or(|limit| limit < high)));
    }
}

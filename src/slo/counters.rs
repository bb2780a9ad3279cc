//! From the queries that SLOs are written with to raw counters.
//!
//! SLO tools write rates over a window (`sum(rate(x[5m]))`), since they alert. A run needs the counter itself: the growth
//! between two readings has no window that smears the time before the fault over the time during it. What can be unwrapped
//! is linear in its counters (sums, differences, `or vector(0)`); everything else is refused, with the reason.
//! Grammar: <https://prometheus.io/docs/prometheus/latest/querying/basics/>.

use faultline_agent::units::TimeSpan;

use super::promql::{Expression, Operator, QueryError, parse};

/// A counter of events: a query in which every counter can be read as it is, or as its growth over some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter(Expression);

/// What a query of bad events and one of all events are made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// Bad events.
    pub bad: Counter,
    /// All events.
    pub total: Counter,
}

const LINEAR: &str = "a counter can be unwrapped from `sum(rate(x[5m]))`, sums and differences of such, and `or vector(0)`; \
                      else write the SLO into the document: `define: { …, bad: COUNTER, total: COUNTER }`";

impl Counter {
    /// Reads a counter, or a rate or increase of one.
    ///
    /// # Errors
    /// If the query is not understood, or is not linear in counters.
    pub fn read(query: &str) -> Result<Self, QueryError> {
        let expression = parse(query)?;
        Self::of(expression)
    }

    fn of(expression: Expression) -> Result<Self, QueryError> {
        linear(&expression)?;
        let (bare, wrapped) = count(&expression);
        if bare > 0 && wrapped > 0 {
            return Err(QueryError::new("some of its counters are rates and others are not", LINEAR));
        }
        if bare + wrapped == 0 {
            return Err(QueryError::new("it reads no counter", LINEAR));
        }
        Ok(Self(expression))
    }

    /// What is counted here and not there.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(Expression::Binary(Operator::Minus, Box::new(grouped(self.0)), Box::new(grouped(other.0))))
    }

    /// The query of the counter itself.
    pub fn raw(&self) -> String {
        self.0.render(&|selector| selector.to_owned())
    }

    /// The query of what it grew by over some time.
    pub fn growth(&self, over: TimeSpan) -> String {
        self.0.render(&|selector| format!("increase({selector}[{over}])"))
    }
}

impl Ratio {
    /// Reads a ratio of bad events to all events, or 1 minus a ratio of good ones.
    ///
    /// # Errors
    /// If the query is no such ratio of counters.
    pub fn read(query: &str) -> Result<Self, QueryError> {
        Self::of(parse(query)?)
    }

    fn of(expression: Expression) -> Result<Self, QueryError> {
        match expression {
            Expression::Group(inner) => Self::of(*inner),
            Expression::Binary(Operator::Divide, bad, total) => {
                Ok(Self { bad: Counter::of(*bad)?, total: Counter::of(*total)? })
            }
            Expression::Binary(Operator::Minus, one, good) if is_one(&one) => {
                let Self { bad: good, total } = Self::of(*good)?;
                Ok(Self { bad: total.clone().minus(good), total })
            }
            Expression::Binary(Operator::Or, ratio, zero) if matches!(*zero, Expression::Vector(_)) => Self::of(*ratio),
            _ => Err(QueryError::new(
                "it is no ratio of counters, so its bad events cannot be told",
                "a ratio is `BAD / TOTAL` or `1 - (GOOD / TOTAL)`, each a counter or a sum of rates; else write the SLO \
                 into the document: `define: { …, bad: COUNTER, total: COUNTER }`",
            )),
        }
    }
}

fn is_one(expression: &Expression) -> bool {
    match expression {
        Expression::Number(number) | Expression::Vector(number) => number.parse() == Ok(1.0),
        Expression::Group(inner) => is_one(inner),
        _ => false,
    }
}

fn grouped(expression: Expression) -> Expression {
    match expression {
        Expression::Binary(..) => Expression::Group(Box::new(expression)),
        other => other,
    }
}

/// Refuses what does not grow as its counters grow.
fn linear(expression: &Expression) -> Result<(), QueryError> {
    match expression {
        Expression::Selector(_) | Expression::Rate(_) => Ok(()),
        Expression::Vector(number) if number.parse() == Ok(0.0) => Ok(()),
        Expression::Vector(_) | Expression::Number(_) => {
            Err(QueryError::new(format!("`{}` is a number, no counter", expression.render(&str::to_owned)), LINEAR))
        }
        Expression::Group(inner) | Expression::Sum { inner, .. } => linear(inner),
        Expression::Binary(Operator::Plus | Operator::Minus | Operator::Or, left, right) => {
            linear(left)?;
            linear(right)
        }
        Expression::Binary(Operator::Times | Operator::Divide, ..) => {
            Err(QueryError::new("counters are multiplied or divided here, so events cannot be counted", LINEAR))
        }
    }
}

/// How many counters are read as they are, and how many as rates.
fn count(expression: &Expression) -> (usize, usize) {
    match expression {
        Expression::Selector(_) => (1, 0),
        Expression::Rate(_) => (0, 1),
        Expression::Vector(_) | Expression::Number(_) => (0, 0),
        Expression::Group(inner) | Expression::Sum { inner, .. } => count(inner),
        Expression::Binary(_, left, right) => {
            let (left, right) = (count(left), count(right));
            (left.0 + right.0, left.1 + right.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(query: &str) -> String {
        Counter::read(query).map_or_else(|error| format!("refused: {}", error.message), |counter| counter.raw())
    }

    #[test]
    fn rates_are_unwrapped_to_their_counters() {
        for (query, counter) in [
            ("orders_total", "orders_total"),
            (r#"sum(http_requests_total{code=~"5..|429"})"#, r#"sum(http_requests_total{code=~"5..|429"})"#),
            ("sum(rate(x_total[5m]))", "sum(x_total)"),
            ("sum by (job, le) (increase(x_total{a='}'}[4w]))", "sum by (job, le) (x_total{a='}'})"),
            ("sum(irate(x[1m])) without (pod)", "sum without (pod) (x)"),
            ("(sum(rate(a[5m])) or vector(0)) + sum(rate(b[5m]))", "(sum(a) or vector(0)) + sum(b)"),
            (
                "sum(rate(a[{{.window}}]))\n  -\n  # those that were quick\n  sum(rate(b{le=\"0.5\"}[{{ .window }}]))",
                "sum(a) - sum(b{le=\"0.5\"})",
            ),
        ] {
            assert_eq!(raw(query), counter, "{query}");
        }
        let growth = Counter::read("sum(rate(a[5m])) + b_total").map(|counter| counter.raw());
        assert!(growth.is_err(), "a rate beside a raw counter");
        let growth =
            Counter::read("sum(rate(a{b=\"c\"}[5m]))").map(|counter| counter.growth(TimeSpan::from_secs(3600)));
        assert_eq!(growth.as_deref(), Ok("sum(increase(a{b=\"c\"}[1h]))"));
    }

    #[test]
    fn what_is_not_linear_in_counters_is_refused_by_name() {
        for (query, part) in [
            ("histogram_quantile(0.99, rate(x[5m]))", "`histogram_quantile`"),
            ("avg(rate(x[5m]))", "`avg`"),
            ("sum(sum_over_time(ratio[5m]))", "`sum_over_time`"),
            ("sum(rate(x[5m])) * 60", "multiplied"),
            ("sum(rate(x[5m])) > 3", "`>`"),
            ("rate(x[5m] offset 1h)", "`offset`"),
            ("rate(sum(x)[5m:1m])", "window"),
            ("sum(rate(x[5m]", "ends"),
            ("sum(rate(x{a=\"b[5m]))", "quote"),
            ("vector(0)", "no counter"),
            ("Any thing", "`thing`"),
            ("", "empty"),
            ("a / on(job) b", "`on`"),
        ] {
            let error = Counter::read(query).unwrap_err();
            assert!(error.message.contains(part), "{query}: {}", error.message);
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn ratios_become_bad_and_total() {
        let both = |query: &str| Ratio::read(query).map(|ratio| (ratio.bad.raw(), ratio.total.raw()));
        let owned = |bad: &str, total: &str| Ok((bad.to_owned(), total.to_owned()));
        assert_eq!(both("(sum(rate(bad[5m])))\n/\n(sum(rate(all[5m])))"), owned("(sum(bad))", "(sum(all))"));
        assert_eq!(both("1 - (sum(rate(good[5m])) / sum(rate(all[5m])))"), owned("sum(all) - sum(good)", "sum(all)"));
        assert_eq!(
            both("(sum(rate(all[5m])) - sum(rate(quick[5m]))) / sum(rate(all[5m]))"),
            owned("(sum(all) - sum(quick))", "sum(all)")
        );
        assert_eq!(both("sum(rate(b[5m])) / sum(rate(t[5m])) or vector(0)"), owned("sum(b)", "sum(t)"));
        assert!(both("sum(rate(b[5m]))").is_err());
        assert!(both("1 - x:availability:ratio").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_makes_reads_back_the_same(
            query in r#"(sum|rate|increase|a|b|or|vector|by|offset|[(){}\[\]"'=~,+*/ 0-9#-]|5m|\n){0,20}"#
        ) {
            if let Ok(counter) = Counter::read(&query) {
                prop_assert_eq!(Counter::read(&counter.raw()).map(|again| again.raw()), Ok(counter.raw()));
            }
        }
    }
}

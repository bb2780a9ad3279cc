//! The part of PromQL that counters of events are written in. What is not of it is an error that names it: nothing is
//! skipped over.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Why a query cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong with it.
    pub message: String,
    /// The way on.
    pub hint: String,
}

impl QueryError {
    pub(super) fn new(message: impl Into<String>, hint: &str) -> Self {
        Self { message: message.into(), hint: hint.to_owned() }
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// A number as written.
    Number(String),
    /// `vector(NUMBER)`.
    Vector(String),
    /// A metric with its matchers.
    Selector(String),
    /// `rate`, `irate` or `increase` of a selector over some window.
    Rate(String),
    /// `sum`, perhaps with `by (…)` or `without (…)`.
    Sum { grouping: Option<String>, inner: Box<Expression> },
    /// In parentheses.
    Group(Box<Expression>),
    /// Two, with an operator between them.
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// What stands between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Divide,
    Or,
}

impl Operator {
    fn symbol(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Divide => "/",
            Self::Or => "or",
        }
    }

    /// How tightly it binds (<https://prometheus.io/docs/prometheus/latest/querying/operators/#binary-operator-precedence>).
    fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::Plus | Self::Minus => 2,
            Self::Times | Self::Divide => 3,
        }
    }
}

impl Expression {
    /// The query, with each counter written as told.
    pub(super) fn render(&self, counter: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::Number(number) => number.clone(),
            Self::Vector(number) => format!("vector({number})"),
            Self::Selector(selector) | Self::Rate(selector) => counter(selector),
            Self::Sum { grouping, inner } => {
                let inner = inner.render(counter);
                grouping.as_ref().map_or_else(|| format!("sum({inner})"), |by| format!("sum {by} ({inner})"))
            }
            Self::Group(inner) => format!("({})", inner.render(counter)),
            Self::Binary(operator, left, right) => {
                format!("{} {} {}", left.render(counter), operator.symbol(), right.render(counter))
            }
        }
    }
}

/// How deep expressions may be nested.
const DEEPEST: usize = 64;
const SIMPLER: &str =
    "counters are written with metrics, `rate`, `irate`, `increase`, `sum`, `+`, `-` and `or vector(0)`";

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Number(String),
    /// `{…}` with its braces.
    Matchers(String),
    /// What stands between `[` and `]`.
    Window(String),
    Symbol(char),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Matchers(text) => text.clone(),
            Self::Window(text) => format!("[{text}]"),
            Self::Symbol(symbol) => symbol.to_string(),
        }
    }
}

/// Reads a query. `{{.window}}`, which Sloth has in place of a window, is one.
pub(super) fn parse(query: &str) -> Result<Expression, QueryError> {
    let tokens = tokens(query)?;
    if tokens.is_empty() {
        return Err(QueryError::new("the query is empty", SIMPLER));
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth: 0 };
    let expression = parser.binary(0)?;
    match parser.tokens.next() {
        None => Ok(expression),
        Some(token) => Err(QueryError::new(format!("`{}` is not understood here", token.shown()), SIMPLER)),
    }
}

fn tokens(query: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
        let length = match first {
            _ if first.is_whitespace() => first.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '{' => {
                let length = closing(rest, '}')?;
                tokens.push(Token::Matchers(rest[..length].to_owned()));
                length
            }
            '[' => {
                let length = closing(rest, ']')?;
                tokens.push(Token::Window(rest[1..length - 1].trim().to_owned()));
                length
            }
            _ if first.is_ascii_digit() || first == '.' => {
                let length = rest.find(|letter: char| !is_word(letter) && letter != '.').unwrap_or(rest.len());
                tokens.push(Token::Number(rest[..length].to_owned()));
                length
            }
            _ if is_word(first) => {
                let length = rest.find(|letter: char| !is_word(letter)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..length].to_owned()));
                length
            }
            other => {
                tokens.push(Token::Symbol(other));
                other.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// The length of the text up to and with what closes its first character, outside of quotes.
fn closing(text: &str, close: char) -> Result<usize, QueryError> {
    let mut quote = None;
    let mut escaped = false;
    let mut inner = 0;
    for (at, letter) in text.char_indices().skip(1) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if letter == '\\' && open != '`' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'' | '`') => quote = Some(letter),
            // Sloth's `[{{.window}}]`.
            None if letter == '{' => inner += 1,
            None if letter == '}' && inner > 0 => inner -= 1,
            None if letter == close => return Ok(at + letter.len_utf8()),
            None => {}
        }
    }
    let open = text.chars().next().unwrap_or_default();
    let what = if quote.is_some() { "a quote".to_owned() } else { format!("`{open}`") };
    Err(QueryError::new(format!("{what} is never closed"), SIMPLER))
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn binary(&mut self, at_least: u8) -> Result<Expression, QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(QueryError::new("it is nested too deeply", SIMPLER));
        }
        let mut left = self.operand()?;
        while let Some(operator) = self.operator()?.filter(|operator| operator.strength() > at_least) {
            self.tokens.next();
            if let Some(Token::Word(word)) = self.tokens.peek()
                && matches!(word.as_str(), "on" | "ignoring" | "bool")
            {
                return Err(QueryError::new(
                    format!("`{word}` matches series by label, which is not understood"),
                    SIMPLER,
                ));
            }
            let right = self.binary(operator.strength())?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that comes next, which is not taken.
    fn operator(&mut self) -> Result<Option<Operator>, QueryError> {
        Ok(Some(match self.tokens.peek() {
            Some(Token::Symbol('+')) => Operator::Plus,
            Some(Token::Symbol('-')) => Operator::Minus,
            Some(Token::Symbol('*')) => Operator::Times,
            Some(Token::Symbol('/')) => Operator::Divide,
            Some(Token::Word(word)) if word == "or" => Operator::Or,
            Some(Token::Word(word)) if matches!(word.as_str(), "offset" | "and" | "unless" | "atan2") => {
                return Err(QueryError::new(format!("`{word}` is not understood in a counter"), SIMPLER));
            }
            Some(Token::Symbol(symbol @ ('>' | '<' | '=' | '!' | '@' | '^' | '%'))) => {
                return Err(QueryError::new(format!("`{symbol}` is not understood in a counter"), SIMPLER));
            }
            Some(Token::Window(window)) => {
                return Err(QueryError::new(format!("the window `[{window}]` stands outside of a `rate`"), SIMPLER));
            }
            _ => return Ok(None),
        }))
    }

    fn operand(&mut self) -> Result<Expression, QueryError> {
        match self.tokens.next() {
            Some(Token::Symbol('(')) => {
                let inner = self.binary(0)?;
                self.expect(')')?;
                Ok(match inner {
                    inner @ (Expression::Binary(..) | Expression::Sum { .. }) => Expression::Group(Box::new(inner)),
                    inner => inner,
                })
            }
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Matchers(matchers)) => Ok(Expression::Selector(matchers)),
            Some(Token::Word(word)) => self.word(word),
            Some(token) => Err(QueryError::new(format!("`{}` is not understood here", token.shown()), SIMPLER)),
            None => Err(ends()),
        }
    }

    fn word(&mut self, word: String) -> Result<Expression, QueryError> {
        match (word.as_str(), self.tokens.peek()) {
            ("sum", Some(Token::Symbol('(') | Token::Word(_))) => self.sum(),
            ("vector", Some(Token::Symbol('('))) => {
                self.tokens.next();
                let number = match self.tokens.next() {
                    Some(Token::Number(number)) => number,
                    _ => return Err(QueryError::new("`vector` holds a number, as in `vector(0)`", SIMPLER)),
                };
                self.expect(')')?;
                Ok(Expression::Vector(number))
            }
            ("rate" | "irate" | "increase", Some(Token::Symbol('('))) => {
                self.tokens.next();
                let selector = self.selector()?;
                match self.tokens.next() {
                    Some(Token::Window(window)) if !window.contains(':') || window.starts_with("{{") => {}
                    Some(Token::Window(_)) => return Err(QueryError::new(format!("`{word}` has a subquery"), SIMPLER)),
                    _ => {
                        return Err(QueryError::new(
                            format!("`{word}` has no metric with a window, as in `x[5m]`"),
                            SIMPLER,
                        ));
                    }
                }
                if let Some(Token::Word(word)) = self.tokens.peek() {
                    return Err(QueryError::new(format!("`{word}` is not understood in a counter"), SIMPLER));
                }
                self.expect(')')?;
                Ok(Expression::Rate(selector))
            }
            (_, Some(Token::Symbol('('))) => {
                Err(QueryError::new(format!("`{word}` does not keep count of events"), SIMPLER))
            }
            ("by" | "without" | "or" | "and" | "unless" | "on" | "ignoring" | "offset", _) => {
                Err(QueryError::new(format!("`{word}` is not understood here"), SIMPLER))
            }
            _ => Ok(Expression::Selector(self.with_matchers(word))),
        }
    }

    fn sum(&mut self) -> Result<Expression, QueryError> {
        let mut grouping = self.grouping()?;
        self.expect('(')?;
        let inner = self.binary(0)?;
        self.expect(')')?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let inner = match inner {
            Expression::Group(inner) => inner,
            inner => Box::new(inner),
        };
        Ok(Expression::Sum { grouping, inner })
    }

    /// `by (a, b)`, if it comes next.
    fn grouping(&mut self) -> Result<Option<String>, QueryError> {
        let word = match self.tokens.peek() {
            Some(Token::Word(word)) if matches!(word.as_str(), "by" | "without") => word.clone(),
            _ => return Ok(None),
        };
        self.tokens.next();
        self.expect('(')?;
        let mut labels = Vec::new();
        loop {
            match self.tokens.next() {
                Some(Token::Symbol(')')) => break,
                Some(Token::Symbol(',')) => {}
                Some(Token::Word(label)) => labels.push(label),
                Some(token) => return Err(QueryError::new(format!("`{}` is no label", token.shown()), SIMPLER)),
                None => return Err(ends()),
            }
        }
        Ok(Some(format!("{word} ({})", labels.join(", "))))
    }

    fn selector(&mut self) -> Result<String, QueryError> {
        match self.tokens.next() {
            Some(Token::Word(word)) if !matches!(self.tokens.peek(), Some(Token::Symbol('('))) => {
                Ok(self.with_matchers(word))
            }
            Some(Token::Matchers(matchers)) => Ok(matchers),
            _ => Err(QueryError::new("a rate is of one metric with a window, as in `rate(x[5m])`", SIMPLER)),
        }
    }

    fn with_matchers(&mut self, mut metric: String) -> String {
        if let Some(Token::Matchers(matchers)) = self.tokens.next_if(|token| matches!(token, Token::Matchers(_))) {
            metric.push_str(&matchers);
        }
        metric
    }

    fn expect(&mut self, symbol: char) -> Result<(), QueryError> {
        match self.tokens.next() {
            Some(Token::Symbol(found)) if found == symbol => Ok(()),
            Some(token) => {
                Err(QueryError::new(format!("`{}` stands where `{symbol}` is expected", token.shown()), SIMPLER))
            }
            None => Err(ends()),
        }
    }
}

fn ends() -> QueryError {
    QueryError::new("it ends too early", SIMPLER)
}

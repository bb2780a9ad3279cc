//! What people say to a game day, a line each: at a terminal, or in a file of answers.

use super::hash::PlanHash;
use super::machine::{Answer, Event, Finding, FindingSeverity, Note};

/// What can be said, for people.
pub const WORDS: &str = "\
approve NAME                       I approve the plan that was shown
withdraw NAME                      I take that back
go NAME [REMARK]                   yes, go on (also: wait no longer for alerts)
no-go NAME [REMARK]                no; of what is required, it ends the game day
skip NAME [REMARK]                 leave this out
note NAME TEXT [#TAG…]             #detected, #mitigated and #recovered mark these moments
finding NAME high|medium|low TEXT [owner=WHO] [due=2026-12-24]
abort NAME REASON                  end it now and undo everything
";

/// Something that was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Spoken {
    /// As it is.
    Event(Event),
    /// An approval, of the plan as it is now.
    Approve(String),
    /// An answer to whatever was asked.
    Answer {
        /// Who.
        by: String,
        /// How.
        answer: Answer,
        /// What they said.
        remark: Option<String>,
    },
    /// In a file of answers: what follows is said when this is so.
    Wait(Moment),
}

/// A moment for which a file of answers waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A fault is in place.
    Incited,
    /// The experiment has ended, and its alerts are waited for.
    Settling,
}

impl Spoken {
    /// Whether it answers a question, and so is only said when somebody is asked.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Approve(_) | Self::Answer { .. })
    }

    /// The approval as an event.
    pub fn approval(by: String, hash: PlanHash) -> Event {
        Event::Approved { by, hash }
    }
}

/// What can be said to a controller, which knows by a token who says it.
pub const WORDS_BY_TOKEN: &str = "\
approve                            I approve the plan that was shown
withdraw                           I take that back
go [REMARK]                        yes, go on (also: wait no longer for alerts)
no-go [REMARK]                     no; of what is required, it ends the game day
skip [REMARK]                      leave this out
note TEXT [#TAG…]                  #detected, #mitigated and #recovered mark these moments
finding high|medium|low TEXT [owner=WHO] [due=2026-12-24]
abort REASON                       end it now and undo everything
";

/// Reads a line; `None` of an empty one or a comment (`# …`). Where it is known who speaks, lines name nobody.
///
/// # Errors
/// What is wrong with it.
pub fn parse(line: &str, speaker: Option<&str>) -> Result<Option<Spoken>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (verb, rest) = split(line);
    let (name, rest) = match speaker {
        Some(speaker) if verb != "wait" => (speaker, rest),
        _ => split(rest),
    };
    let named =
        || if name.is_empty() { Err(format!("`{verb}` needs a name: {verb} ada")) } else { Ok(name.to_owned()) };
    let remark = || (!rest.is_empty()).then(|| rest.to_owned());
    let needed = |what: &str| {
        if rest.is_empty() { Err(format!("`{}` needs {what}", said(verb, name, speaker))) } else { Ok(rest.to_owned()) }
    };
    let spoken = match verb {
        "approve" => Spoken::Approve(named()?),
        "withdraw" => Spoken::Event(Event::Withdrawn { by: named()? }),
        "go" => Spoken::Answer { by: named()?, answer: Answer::Go, remark: remark() },
        "no-go" | "nogo" => Spoken::Answer { by: named()?, answer: Answer::NoGo, remark: remark() },
        "skip" => Spoken::Answer { by: named()?, answer: Answer::Skip, remark: remark() },
        "abort" => Spoken::Event(Event::Aborted { by: named()?, reason: needed("a reason")? }),
        "note" => {
            let (text, tags) = tags(&{
                named()?;
                needed("a text")?
            });
            Spoken::Event(Event::Noted(Note { author: name.to_owned(), text, tags }))
        }
        "finding" => Spoken::Event(Event::Found(finding(named()?, rest)?)),
        "wait" => match name {
            "incited" => Spoken::Wait(Moment::Incited),
            "settling" => Spoken::Wait(Moment::Settling),
            _ => return Err("`wait` is for `incited` or `settling`".into()),
        },
        _ => return Err(format!("`{verb}` is nothing that can be said here:\n{}", words(speaker.is_some()))),
    };
    Ok(Some(spoken))
}

/// What can be said where it is known who speaks, or where it is not.
pub fn words(speaker_is_known: bool) -> &'static str {
    if speaker_is_known { WORDS_BY_TOKEN } else { WORDS }
}

fn said(verb: &str, name: &str, speaker: Option<&str>) -> String {
    if speaker.is_some() { verb.to_owned() } else { format!("{verb} {name}") }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}

/// A text without its tags, and the tags.
fn tags(text: &str) -> (String, Vec<String>) {
    let is_tag = |word: &&str| word.len() > 1 && word.starts_with('#');
    let tags = text.split_whitespace().filter(is_tag).map(|tag| tag[1..].to_owned()).collect();
    let words: Vec<&str> = text.split_whitespace().filter(|word| !is_tag(word)).collect();
    (words.join(" "), tags)
}

fn finding(author: String, text: &str) -> Result<Finding, String> {
    let (severity, rest) = split(text);
    let severity = FindingSeverity::ALL
        .into_iter()
        .find(|known| known.name() == severity)
        .ok_or_else(|| format!("`{severity}` is no severity: high, medium or low"))?;
    let mut finding = Finding { author, text: String::new(), severity, owner: None, due: None };
    let mut words = Vec::new();
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("owner", owner)) => finding.owner = Some(owner.to_owned()),
            Some(("due", due)) => {
                finding.due = Some(due.parse().map_err(|_| format!("`{due}` is no date, such as 2026-12-24"))?);
            }
            _ => words.push(word),
        }
    }
    if words.is_empty() {
        return Err("a finding needs a text".into());
    }
    finding.text = words.join(" ");
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let read = |line: &str| parse(line, None).unwrap().unwrap();
        assert_eq!(read(" approve ada "), Spoken::Approve("ada".into()));
        let remark = Some("the on-call is here".to_owned());
        assert_eq!(read("go ada the on-call is here"), Spoken::Answer { by: "ada".into(), answer: Answer::Go, remark });
        let note = Note { author: "ada".into(), text: "the page is red".into(), tags: vec!["detected".into()] };
        assert_eq!(read("note ada the page  is red #detected"), Spoken::Event(Event::Noted(note)));
        let Spoken::Event(Event::Found(found)) = read("finding ada high no runbook owner=grace due=2026-12-24") else {
            panic!("no finding")
        };
        assert_eq!((found.text.as_str(), found.owner.as_deref()), ("no runbook", Some("grace")));
        assert_eq!(found.due.unwrap().to_string(), "2026-12-24");
        assert_eq!(read("wait incited"), Spoken::Wait(Moment::Incited));
        assert_eq!(parse("# a comment", None), Ok(None));
        assert_eq!(parse("  ", None), Ok(None));
    }

    #[test]
    fn who_is_known_does_not_name_himself() {
        let read = |line: &str| parse(line, Some("ada"));
        let remark = Some("the on-call is here".to_owned());
        let answer = Spoken::Answer { by: "ada".into(), answer: Answer::Go, remark };
        assert_eq!(read("go the on-call is here"), Ok(Some(answer)));
        let note = Note { author: "ada".into(), text: "it is red".into(), tags: vec!["detected".into()] };
        assert_eq!(read("note it is red #detected"), Ok(Some(Spoken::Event(Event::Noted(note)))));
        assert_eq!(read("approve"), Ok(Some(Spoken::Approve("ada".into()))));
        assert_eq!(read("wait incited"), Ok(Some(Spoken::Wait(Moment::Incited))));
        assert_eq!(read("abort"), Err("`abort` needs a reason".into()));
        assert!(read("hello").unwrap_err().contains("\napprove      "));
    }

    #[test]
    fn what_is_no_line_is_told_why() {
        for (line, why) in [
            ("go", "needs a name"),
            ("abort ada", "needs a reason"),
            ("note ada", "needs a text"),
            ("finding ada bad x", "no severity"),
            ("finding ada low", "needs a text"),
            ("finding ada low x due=soon", "no date"),
            ("wait forever", "`incited` or `settling`"),
            ("hello", "nothing that can be said"),
        ] {
            let error = parse(line, None).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}

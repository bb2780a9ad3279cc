//! Markdown, for wikis and repositories.

use std::fmt::Write as _;

use super::page::{Badge, Block, Cell, Page, Tone};
use crate::report::markdown::{code, text};

pub(super) fn render(page: &Page) -> String {
    let mut out = String::new();
    // Writing to a text never fails.
    let _ = write(&mut out, page);
    out
}

fn write(out: &mut String, page: &Page) -> std::fmt::Result {
    writeln!(out, "# {}\n", text(&page.title))?;
    writeln!(out, "**{}**: {}\n", badge(&page.badge), text(&page.because))?;
    if let Some(quote) = &page.quote {
        writeln!(out, "> {}\n", text(quote))?;
    }
    writeln!(out, "| | |\n|---|---|")?;
    for (name, value) in &page.facts {
        writeln!(out, "| {name} | {} |", text(value))?;
    }
    for section in &page.sections {
        writeln!(out, "\n## {}", text(&section.title))?;
        for one in &section.blocks {
            out.push('\n');
            block(out, one)?;
        }
    }
    writeln!(out, "\n<sub>{}</sub>", text(&page.footer))
}

fn block(out: &mut String, block: &Block) -> std::fmt::Result {
    match block {
        Block::Paragraph(paragraph) => writeln!(out, "{}", text(paragraph)),
        Block::Prompt(prompt) => writeln!(out, "_{prompt}_"),
        Block::Bullets(lines) => lines.iter().try_for_each(|line| writeln!(out, "- {}", text(line))),
        Block::Actions(lines) => lines.iter().try_for_each(|line| writeln!(out, "- [ ] {}", text(line))),
        Block::Heading(heading) => writeln!(out, "### {}", text(heading)),
        Block::Table { head, rows } => {
            writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()))?;
            rows.iter().try_for_each(|row| {
                let cells: Vec<String> = row.iter().map(cell).collect();
                writeln!(out, "| {} |", cells.join(" | "))
            })
        }
        Block::Timeline(moments) => {
            writeln!(out, "| Time | What |\n|---|---|")?;
            moments.iter().try_for_each(|(time, _, what)| writeln!(out, "| {time} | {} |", text(what)))
        }
    }
}

fn badge(badge: &Badge) -> String {
    let sign = match badge.tone {
        Tone::Good => "✅",
        Tone::Bad => "❌",
        Tone::Open => "⚠️",
        Tone::None => "➖",
    };
    format!("{sign} {}", text(&badge.word))
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(words) => text(words),
        Cell::Code(words) => code(words),
        Cell::Badge(one) => badge(one),
        Cell::BadgeAnd(one, words) => format!("{}<br>{}", badge(one), text(words)),
    }
}

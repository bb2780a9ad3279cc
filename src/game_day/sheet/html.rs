//! One HTML file that holds everything it needs, in the style of the runs' reports.

use maud::{Markup, html};

use super::page::{Badge, Block, Cell, Page, Tone};
use crate::report::html::{capital, moment_class, page as whole_page, pill};
use crate::report::notation::one_line;

pub(super) fn render(page: &Page) -> String {
    let (class, sign) = look(page.badge.tone);
    let title = format!("{}: {}", capital(page.what), page.title);
    whole_page(
        &title,
        &page.version,
        &html! {
            header.banner.(class) {
                div.wide {
                    p.eyebrow { span.brand { "Faultline" } " " (page.what) }
                    div.verdict-line {
                        span.badge { span.sign aria-hidden="true" { (sign) } (capital(&one_line(&page.badge.word))) }
                        h1 { (one_line(&page.title)) }
                    }
                    p.because { (one_line(&page.because)) }
                    @if let Some(quote) = &page.quote { blockquote { (one_line(quote)) } }
                    dl.facts {
                        @for (name, value) in &page.facts { div { dt { (name) } dd { (one_line(value)) } } }
                    }
                }
            }
            main {
                @for section in &page.sections {
                    section id=(section.id) {
                        h2 { (one_line(&section.title)) }
                        @for one in &section.blocks { (block(one)) }
                    }
                }
            }
            footer { p { (one_line(&page.footer)) } }
        },
    )
}

fn look(tone: Tone) -> (&'static str, &'static str) {
    match tone {
        Tone::Good => ("good", "✓"),
        Tone::Bad => ("bad", "✕"),
        Tone::Open => ("open", "?"),
        Tone::None => ("none", "–"),
    }
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Paragraph(words) => html! { p { (one_line(words)) } },
        Block::Prompt(prompt) => html! { p.note { em { (prompt) } } },
        Block::Bullets(lines) => html! { div.card { ul.targets { @for line in lines { li { (one_line(line)) } } } } },
        Block::Actions(lines) => {
            html! { div.card { ul.targets { @for line in lines { li { "☐ " (one_line(line)) } } } } }
        }
        Block::Heading(heading) => html! { h3.above { (one_line(heading)) } },
        Block::Table { head, rows } => html! {
            div.card.scroll {
                table.plain {
                    thead { tr { @for name in head { th scope="col" { (name) } } } }
                    tbody { @for row in rows { tr { @for one in row { td { (cell(one)) } } } } }
                }
            }
        },
        Block::Timeline(moments) => html! {
            ol.timeline.card {
                @for (time, kind, words) in moments {
                    li.(moment_class(*kind)) {
                        time { (time) }
                        span.dot aria-hidden="true" {}
                        p { (one_line(words)) }
                    }
                }
            }
        },
    }
}

fn badge(badge: &Badge) -> Markup {
    let (class, sign) = look(badge.tone);
    pill(class, sign, &one_line(&badge.word))
}

fn cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Text(words) => html! { (one_line(words)) },
        Cell::Code(words) => html! { code { (one_line(words)) } },
        Cell::Badge(one) => badge(one),
        Cell::BadgeAnd(one, words) => html! { (badge(one)) small { (one_line(words)) } },
    }
}

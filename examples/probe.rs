//! probe
#![allow(clippy::all, clippy::print_stdout)]
fn main() {
    for text in [
        "a: 1\nb: [x, 1.10, 'q', \"5\"]\nc: { d: ~, e: true, f: no, g: 0x1f, h: 1e999, i: .inf }\nd:\n",
        "a: 1\na: 2\n",
        "a: [1, 2\nb: 3\n",
        "a: &x [1,2]\nb: *x\nc: *y\n",
        "\tfoo: 1\n",
        "a: b: c\n",
        "a: 'unclosed\n",
        "---\na: 1\n---\n---\nb: 2\n",
        "",
        "# only comment\n",
        "a: !foo 1\n",
        "a: !!str 1\n",
        "a: 123456789012345678901234567890\nb: -5\nc: 0123\nd: 1_000\n",
        "- a\n- b\n  c: d\n",
        "a: |\n  hello\n   x\nb: >\n  fold\n",
        "x: {a: 1, b: {c: 2}\n",
        "? [complex, key]\n: 1\n",
        "1: x\n",
        "null: x\n",
        "ü: ö\nz: [ä, {q: €}]\n",
        "base: &b {x: 1}\nm:\n  <<: *b\n  y: 2\n",
        "a: %foo\n",
        "a: @foo\n",
        "a: \"\\q\"\n",
        "a: 1\n b: 2\n",
        "a:\n  - 1\n - 2\n",
        "a: yes\u{0}\n",
    ] {
        println!("=== {text:?}");
        match faultline::experiment::yaml::read::read(text, 0) {
            Ok(n) => { for n in n { println!("{}", short(&n, text)); } }
            Err(e) => println!("ERR {} @{}..{} {:?}", e.message, e.place.start, e.place.end, &text[e.place.start..e.place.end]),
        }
    }
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 { bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i-1); 9].join(",")); }
    for text in [bomb, "[".repeat(100_000), "{a: ".repeat(1000), "- ".repeat(5000), "a: 1\n".repeat(100_000), (0..200_000).map(|i| format!("k{i}: 1\n")).collect()] {
        let t = std::time::Instant::now();
        match faultline::experiment::yaml::read::read(&text, 0) { Ok(_) => println!("OK?"), Err(e) => println!("ERR {} @{:?} {:?}", e.message, e.place, t.elapsed()) }
    }
}
fn short(n: &faultline::experiment::yaml::Node, t: &str) -> String {
    use faultline::experiment::yaml::Value::*;
    let s = &t[n.place.start..n.place.end];
    match &n.value { Scalar(x) => format!("{:?}:{:?}@{s:?}", x.kind, x.text), List(l) => format!("[{}]@{s:?}", l.iter().map(|n| short(n, t)).collect::<Vec<_>>().join(", ")),
      Mapping(m) => format!("{{{}}}@{s:?}", m.iter().map(|e| format!("{}@{:?}={}", e.key, &t[e.place.start..e.place.end], short(&e.node, t))).collect::<Vec<_>>().join(", ")) }
}

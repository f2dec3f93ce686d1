//! Prose of documents in Markdown: which lines are too wide, and how they are wrapped.
//!
//! Tables, code, headings, comments, HTML and what stands between `<!-- BEGIN … -->` and `<!-- END … -->`, which is generated, stay as
//! they are. What is wrapped is paragraphs and items of lists.

/// The width of prose.
pub const COLUMNS: usize = 100;

/// Lines of prose that are wider than [`COLUMNS`] and could be wrapped, counted from 1.
///
/// ```
/// let long = "word ".repeat(30);
/// assert_eq!(lowbit_lints::prose::wide_lines(&format!("short\n{long}\n| {long} |\n```\n{long}\n```\n{long}")), [2, 7]);
/// ```
#[must_use]
pub fn wide_lines(text: &str) -> Vec<usize> {
    let (mut code, mut generated) = (false, false);
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let start = line.trim_start();
        code ^= start.starts_with("```");
        generated = is_generated(start, generated);
        let wrappable = !code && !generated && !is_fixed(start) && start.contains(' ');
        if wrappable && line.chars().count() > COLUMNS {
            found.push(at + 1);
        }
    }
    found
}

/// Whether a line stays as it is.
fn is_fixed(start: &str) -> bool {
    ["|", "#", "<", "```"].iter().any(|begin| start.starts_with(begin))
}

/// Whether lines from this one on are generated.
fn is_generated(start: &str, before: bool) -> bool {
    start.starts_with("<!-- BEGIN") || before && !start.starts_with("<!-- END")
}

/// The text with its prose wrapped at [`COLUMNS`].
///
/// ```
/// use lowbit_lints::prose::wrap;
/// let item = format!("- {}end\n", "word ".repeat(20));
/// assert_eq!(wrap(&item), format!("- {}\n  word end\n", ["word"; 19].join(" ")));
/// assert_eq!(wrap("1. one\n2. two\n"), "1. one\n2. two\n");
/// ```
#[must_use]
pub fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut paragraph = Paragraph::default();
    let (mut code, mut generated, mut number) = (false, false, 0);
    for line in text.lines() {
        let start = line.trim_start();
        let fence = start.starts_with("```");
        code ^= fence;
        generated = is_generated(start, generated);
        if code || fence || generated || start.is_empty() || is_fixed(start) {
            paragraph.end(&mut out);
            out.push_str(line);
            out.push('\n');
            continue;
        }
        if let Some(marker) = marker(line) {
            let own = line[..marker].trim().trim_end_matches(['.', ')']).parse::<usize>().ok();
            // A number inside of a sentence may come to stand at the beginning of a line.
            if paragraph.words.is_empty() || own.is_none_or(|own| own == 1 || own == number + 1) {
                number = own.unwrap_or(0);
                paragraph.end(&mut out);
                paragraph.first = line[..marker].to_owned();
                paragraph.rest = " ".repeat(marker);
                paragraph.words.extend(line[marker..].split_whitespace().map(str::to_owned));
                continue;
            }
        }
        if paragraph.words.is_empty() {
            paragraph.first = line[..line.len() - start.len()].to_owned();
            paragraph.rest.clone_from(&paragraph.first);
        }
        paragraph.words.extend(start.split_whitespace().map(str::to_owned));
    }
    paragraph.end(&mut out);
    out
}

/// The length of what makes a line an item of a list: `- `, `12. `, with the spaces before.
fn marker(line: &str) -> Option<usize> {
    let start = line.trim_start();
    let digits = start.bytes().take_while(u8::is_ascii_digit).count();
    let sign = match (digits, start[digits..].chars().next()?) {
        (0, '-' | '*' | '+') | (1.., '.' | ')') => digits + 1,
        _ => return None,
    };
    start[sign..].starts_with(' ').then_some(line.len() - start.len() + sign + 1)
}

/// Words that are waiting to be written, and what the first line and the others begin with.
#[derive(Default)]
struct Paragraph {
    first: String,
    rest: String,
    words: Vec<String>,
}

impl Paragraph {
    /// Writes the lines. No line but the first begins as an item of a list or a heading would: such a word takes the one before along.
    fn end(&mut self, out: &mut String) {
        let mut lines: Vec<Vec<String>> = Vec::new();
        let mut width = 0;
        for word in self.words.drain(..) {
            let length = word.chars().count();
            match lines.last_mut() {
                Some(line) if width + 1 + length <= COLUMNS => {
                    width += 1 + length;
                    line.push(word);
                }
                Some(line) if marker(&format!("{word} ")).is_some() || word.starts_with('#') => {
                    let before = line.pop().expect("a line has words");
                    width = self.rest.len() + before.chars().count() + 1 + length;
                    lines.push(vec![before, word]);
                }
                last => {
                    let begin = if last.is_none() { &self.first } else { &self.rest };
                    width = begin.chars().count() + length;
                    lines.push(vec![word]);
                }
            }
        }
        for (at, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
            out.push_str(if at == 0 { &self.first } else { &self.rest });
            out.push_str(&line.join(" "));
            out.push('\n');
        }
    }
}

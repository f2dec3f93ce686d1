//! Patterns that select modules and tensors: exact names, globs and regular expressions.
//!
//! | pattern | meaning |
//! |---|---|
//! | `lm_head` | this module (or tensor) |
//! | `*.mlp.*` | glob: `*` and `?` cross dots, `[ab]`, `{up,down}_proj` |
//! | `re:.*\.layers\.[0-3]\.` | regular expression, anchored at the start only, as in Python's `re.match` and compressed-tensors |
//!
//! A pattern is matched against the module's name (`model.layers.0.mlp.down_proj`) and the tensor's
//! name (`….down_proj.weight`).

use crate::{Error, Result};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Glob(globset::GlobMatcher),
    Regex(regex::Regex),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// ```
    /// use lowbit_layouts::Pattern;
    /// assert!(Pattern::new("*.mlp.{up,down}_proj")?.matches("model.layers.0.mlp.up_proj"));
    /// assert!(Pattern::new(r"re:model\.layers\.1")?.matches("model.layers.17.mlp.up_proj"));
    /// assert!(!Pattern::new(r"re:layers")?.matches("model.layers.17.mlp.up_proj"));
    /// # Ok::<(), lowbit_layouts::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Pattern`] with the reason if it does not compile.
    pub fn new(text: &str) -> Result<Self> {
        let bad = |e: &dyn std::fmt::Display| {
            // Both crates print an arrow under the pattern over several lines. The last line has
            // the reason.
            let e = e.to_string();
            let reason = e.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            Error::Pattern { pattern: text.to_owned(), reason: reason.to_owned() }
        };
        let matcher = match text.strip_prefix("re:") {
            Some(regex) => Matcher::Regex(regex::Regex::new(&format!("^(?:{regex})")).map_err(|e| bad(&e))?),
            None => Matcher::Glob(globset::Glob::new(text).map_err(|e| bad(&e))?.compile_matcher()),
        };
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// Compiles a pattern of compressed-tensors: a regular expression after `re:`, otherwise an
    /// exact name.
    pub fn exact(text: &str) -> Result<Self> {
        if text.starts_with("re:") { Self::new(text) } else { Self::new(&globset::escape(text)) }
    }

    /// Compiles a pattern of Quark: a regular expression after `re:`, otherwise a glob of Python's
    /// `fnmatch`, in which braces and backslashes are literal.
    pub(crate) fn fnmatch(text: &str) -> Result<Self> {
        if text.starts_with("re:") {
            return Self::new(text);
        }
        let letters = text.replace('{', "[{]").replace('}', "[}]");
        let glob = globset::GlobBuilder::new(&letters).backslash_escape(false).build();
        let glob =
            glob.map_err(|e| Error::Pattern { pattern: text.to_owned(), reason: e.kind().to_string() })?;
        Ok(Self { text: text.to_owned(), matcher: Matcher::Glob(glob.compile_matcher()) })
    }

    /// Whether the pattern is one name, without wildcards.
    pub fn is_name(&self) -> bool {
        !self.text.starts_with("re:") && globset::escape(&self.text) == self.text
    }

    /// Compiles a list of patterns.
    ///
    /// # Errors
    /// [`Error::Pattern`] for the first pattern that does not compile.
    pub fn list<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Self>> {
        texts.iter().map(|text| Self::new(text.as_ref())).collect()
    }

    /// Whether the pattern matches this name.
    pub fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(glob) => glob.is_match(name),
            Matcher::Regex(regex) => regex.is_match(name),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

//! Patterns that name a variant of an enum: `match` arms, `matches!`, `if let`, `let … else`.

use std::collections::BTreeMap;

use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::sources::{Source, is_test};

/// `crates/x/src/y.rs:12 Name` for every line outside of the defining crate whose pattern names a variant of one of `enums`.
pub fn outside_of_their_crate(sources: &[Source], enums: &[&'static str]) -> Vec<String> {
    let homes = homes(sources, enums);
    found(
        sources,
        |krate| enums.iter().copied().filter(|name| !homes[name].contains(&krate)).collect(),
        false,
    )
}

/// The same for every `match` inside of the defining crate that names variants and takes the others together, by `_` or a name: where a new
/// variant would not be noticed.
pub fn with_a_wildcard(sources: &[Source], enums: &[&'static str]) -> Vec<String> {
    let homes = homes(sources, enums);
    found(sources, |krate| enums.iter().copied().filter(|name| homes[name].contains(&krate)).collect(), true)
}

/// The crates that define each.
fn homes<'a>(sources: &'a [Source], enums: &'a [&'a str]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut homes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources {
        let mut defined = Defined { enums, found: Vec::new() };
        defined.visit_file(&source.syntax);
        for name in defined.found {
            homes.entry(name).or_default().push(&source.krate);
        }
    }
    for name in enums {
        assert!(homes.contains_key(name), "no crate defines an enum `{name}`: correct the list in this test");
    }
    homes
}

fn found<'a>(
    sources: &'a [Source],
    watched: impl Fn(&'a str) -> Vec<&'a str>,
    wildcards: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let enums = watched(&source.krate);
        let mut patterns = Patterns { enums: &enums, wildcards, lines: Vec::new() };
        patterns.visit_file(&source.syntax);
        patterns.lines.dedup();
        found.extend(
            patterns.lines.iter().map(|(line, name)| format!("{}:{line} {name}", source.path.display())),
        );
    }
    found
}

/// The names among `enums` that a file defines.
struct Defined<'a> {
    enums: &'a [&'a str],
    found: Vec<&'a str>,
}

impl Visit<'_> for Defined<'_> {
    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        self.found.extend(self.enums.iter().filter(|name| item.ident == **name));
    }

    /// Macros that write an enum: `enum Name` among their tokens.
    fn visit_macro(&mut self, call: &syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

impl Defined<'_> {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut after_enum = false;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => self.tokens(group.stream()),
                proc_macro2::TokenTree::Ident(word) => {
                    if after_enum {
                        self.found.extend(self.enums.iter().filter(|name| word == **name));
                    }
                    after_enum = word == "enum";
                }
                _ => after_enum = false,
            }
        }
    }
}

/// Lines with patterns of `enums`, and which; or the wildcards beside them.
struct Patterns<'a> {
    enums: &'a [&'a str],
    wildcards: bool,
    lines: Vec<(usize, &'a str)>,
}

/// Whether a pattern is `_`, a name, or alternatives or tuples of nothing else.
fn takes_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(name) => {
            name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase)
        }
        syn::Pat::Tuple(tuple) => tuple.elems.iter().all(takes_all),
        _ => false,
    }
}

impl Patterns<'_> {
    /// The variants that an arm names, at the top or in alternatives.
    fn name_variants(&mut self, pattern: &syn::Pat) {
        match pattern {
            syn::Pat::Or(alternatives) => alternatives.cases.iter().for_each(|case| self.name_variants(case)),
            syn::Pat::Guard(guarded) => self.name_variants(&guarded.pat),
            other => self.name(other),
        }
    }

    fn name(&mut self, pattern: &syn::Pat) {
        match pattern {
            syn::Pat::Path(path) => self.look(&path.path),
            syn::Pat::TupleStruct(tuple) => self.look(&tuple.path),
            syn::Pat::Struct(fields) => self.look(&fields.path),
            _ => {}
        }
    }

    fn look(&mut self, path: &syn::Path) {
        let before_last = path.segments.iter().rev().skip(1);
        for segment in before_last {
            if let Some(name) = self.enums.iter().find(|name| segment.ident == **name) {
                self.lines.push((path.span().start().line, name));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Patterns<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        if self.wildcards {
            let before = self.lines.len();
            for arm in &expression.arms {
                self.name_variants(&arm.pat);
            }
            let named = self.lines.get(before).map(|(_, name)| *name);
            self.lines.truncate(before);
            let wild = expression.arms.iter().find(|arm| takes_all(&arm.pat));
            if let (Some(name), Some(arm)) = (named, wild) {
                self.lines.push((arm.pat.span().start().line, name));
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        if !self.wildcards {
            self.name(pattern);
        }
        visit::visit_pat(self, pattern);
    }

    /// `matches!(value, pattern if guard)`, and macros that take expressions: `assert!(matches!(…))`.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let tokens = call.tokens.clone();
        if call.path.is_ident("matches") {
            let parts = |input: syn::parse::ParseStream<'_>| {
                let value: syn::Expr = input.parse()?;
                input.parse::<syn::Token![,]>()?;
                let pattern = syn::Pat::parse_multi_with_leading_vert(input)?;
                input.parse::<proc_macro2::TokenStream>()?;
                Ok((value, pattern))
            };
            let (value, pattern) = parts.parse2(tokens).expect("the arguments of `matches!`");
            Patterns::look_into(self, |inner| {
                inner.visit_expr(&value);
                inner.visit_pat(&pattern);
            });
        } else {
            let list = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
            if let Ok(arguments) = list.parse2(tokens) {
                Patterns::look_into(self, |inner| {
                    for argument in &arguments {
                        inner.visit_expr(argument);
                    }
                });
            }
        }
    }
}

impl<'a> Patterns<'a> {
    /// Visits what was parsed on the way and lives shorter than the file.
    fn look_into(&mut self, visit: impl FnOnce(&mut Patterns<'a>)) {
        let mut inner = Patterns { enums: self.enums, wildcards: self.wildcards, lines: Vec::new() };
        visit(&mut inner);
        self.lines.append(&mut inner.lines);
    }
}

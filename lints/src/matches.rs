//! Patterns that name a variant of an enum: `match` arms, `matches!`, `if let`, `let … else`.

use std::collections::BTreeMap;

use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::sources::{Source, is_test};

/// `crates/x/src/y.rs:12` for every line outside of the defining crate whose pattern names a variant of one of `enums`.
pub fn outside_of_their_crate(sources: &[Source], enums: &[&str]) -> Vec<String> {
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
    let mut found = Vec::new();
    for source in sources {
        let foreign: Vec<&str> =
            enums.iter().copied().filter(|name| !homes[name].contains(&&*source.krate)).collect();
        let mut patterns = Patterns { enums: &foreign, lines: Vec::new() };
        patterns.visit_file(&source.syntax);
        patterns.lines.dedup();
        found.extend(patterns.lines.iter().map(|(line, name)| {
            let path = source.path.display();
            format!("{path}:{line} {name}")
        }));
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
}

/// Lines with patterns of `enums`, and which.
struct Patterns<'a> {
    enums: &'a [&'a str],
    lines: Vec<(usize, &'a str)>,
}

impl Patterns<'_> {
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

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        match pattern {
            syn::Pat::Path(path) => self.look(&path.path),
            syn::Pat::TupleStruct(tuple) => self.look(&tuple.path),
            syn::Pat::Struct(fields) => self.look(&fields.path),
            _ => {}
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
        let mut inner = Patterns { enums: self.enums, lines: Vec::new() };
        visit(&mut inner);
        self.lines.append(&mut inner.lines);
    }
}

//! Markdown to HTML: a plugin that keeps nothing, so that the next version serves while calls inside this one end.
//!
//! ```text
//! host call markdown render '"# Hello"'
//! jq -Rs . README.md | curl --data-binary @- 127.0.0.1:7878/call/markdown/render
//! ```

use pulldown_cmark::{Options, Parser, html};

#[derive(Default)]
struct Markdown;

/// Turns Markdown into HTML.
#[plugin_api::plugin(stateless)]
impl Markdown {
    /// The HTML of `text`, which may use tables, footnotes, task lists and ~~strikethrough~~. HTML in `text` is passed
    /// through as it is: do not show what strangers wrote without cleaning it.
    fn render(&self, text: String) -> String {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_STRIKETHROUGH;
        let mut rendered = String::with_capacity(text.len() * 3 / 2);
        html::push_html(&mut rendered, Parser::new_ext(&text, options));
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::Markdown;

    fn render(text: &str) -> String {
        Markdown.render(text.to_owned())
    }

    #[test]
    fn markdown_becomes_html() {
        assert_eq!(render("# Hello\n"), "<h1>Hello</h1>\n");
        assert_eq!(render("a < b & *c*"), "<p>a &lt; b &amp; <em>c</em></p>\n");
        assert_eq!(render(""), "");
    }

    #[test]
    fn the_extensions_are_on() {
        assert!(render("|a|\n|-|\n|b|\n").contains("<td>b</td>"));
        assert!(render("~~gone~~").contains("<del>gone</del>"));
        assert!(render("* [x] done\n").contains("checkbox"));
        assert!(render("a[^1]\n\n[^1]: note\n").contains("footnote"));
    }
}

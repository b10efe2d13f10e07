//! The README: what it quotes is what is there.

const README: &str = include_str!("../../README.md");

/// The text between a line that opens a block in this language and the line that closes it.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    README
        .split("\n```")
        .filter_map(move |block| block.strip_prefix(language)?.split_once('\n'))
        .filter(|(rest_of_the_line, _)| rest_of_the_line.is_empty())
        .map(|(_, text)| text)
}

#[test]
fn the_configuration_is_quoted_as_it_is() {
    let example = include_str!("../../host.toml.example");
    assert!(blocks("toml").any(|block| block == example.trim_end()));
}

#[test]
fn the_embedding_service_is_quoted_as_it_is() {
    let example = include_str!("../../host/examples/embed.rs");
    assert!(blocks("rust,no_run").any(|block| block == example.trim_end()));
}

#[test]
fn the_change_of_state_is_quoted_as_it_is() {
    let new = include_str!("../../plugins/monitor-2/src/lib.rs");
    let quoted = blocks("diff")
        .find(|block| block.contains("MonitorV1"))
        .expect("the README shows a change of state");
    let added: String = quoted
        .lines()
        .filter(|line| !line.starts_with('-'))
        .map(|line| format!("{}\n", line.get(1..).unwrap_or_default()))
        .collect();
    assert!(new.contains(&added), "{added}");
}

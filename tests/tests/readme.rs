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

#[test]
fn the_features_are_those_that_there_are() {
    const MANIFEST: &str = include_str!("../../host/Cargo.toml");
    // Those that put others together.
    const SUMS: &[&str] = &["all-sources", "async-sources", "default"];
    let (_, features) = MANIFEST
        .split_once("\n[features]\n")
        .expect("there are some");
    let (features, _) = features.split_once("\n[").expect("more follows");
    let mut features: Vec<&str> = features
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|feature| !feature.starts_with('#') && !SUMS.contains(feature))
        .collect();
    let (_, table) = README
        .split_once("\n| feature |")
        .expect("there is a table");
    let mut told: Vec<&str> = table
        .lines()
        .skip(2)
        .map_while(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0))
        .collect();
    features.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, features);
}

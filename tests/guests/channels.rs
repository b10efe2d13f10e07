//! A plugin that waits at a channel.

use std::sync::mpsc;

/// Keeps nothing.
#[derive(Default)]
struct Channels;

#[plugin_api::plugin(name = "channels", version = "1.0.0", stateless)]
impl Channels {
    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        let (give, take) = mpsc::sync_channel(0);
        let giver = std::thread::spawn(move || give.send(42));
        let answer = take.recv().unwrap_or(0);
        match giver.join() {
            Ok(Ok(())) => answer,
            _ => 0,
        }
    }
}

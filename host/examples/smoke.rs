//! smoke
use std::time::{Duration, Instant};
fn main() -> anyhow::Result<()> {
    host::examiner();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .init();
    let dir = std::env::args().nth(1).expect("dir");
    let host = host::Host::builder()
        .directory(&dir)
        .state_dir("/tmp/smoke-state")
        .start()?;
    println!("{}", serde_json::to_string_pretty(&host.status())?);
    println!("{:?}", host.call("counter", "add", b"[5]"));
    println!("{:?}", host.call("counter", "total", b""));
    println!("{:?}", host.call("counter", "add", b"{\"by\": 2}"));
    println!("{:?}", host.call("counter", "add", b"\"x\""));
    let t = Instant::now();
    for _ in 0..100_000 {
        let _ = host.call("counter", "total", b"");
    }
    println!("{:?} per call", t.elapsed() / 100_000);
    println!(
        "{:?}",
        host.load(std::path::Path::new(
            &std::env::args().nth(2).expect("second")
        ))
    );
    println!("{:?}", host.call("counter", "total", b""));
    println!("{:?}", host.rollback("counter", None));
    println!("{:?}", host.call("counter", "total", b""));
    println!("{:?}", host.shutdown(Duration::from_secs(1)));
    Ok(())
}

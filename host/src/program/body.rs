//! A body: what a request carries, read to its end within limits of size.
//!
//! A client may write the whole of a body that is too large before it looks at the answer. An answer that comes with a
//! closed connection in the middle of that is lost to it; so the rest is read and thrown away, up to a bound.

use super::http::Refusal;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use std::fmt::Display;

/// How much of a body that is too large is thrown away so that its sender reads the answer.
const MOST_DRAINED: u64 = 64 << 20;

/// The whole body of a request with these headers, if it has at most `most` bytes. One that came in one piece is not copied.
pub(crate) async fn read<B>(mut body: B, headers: &HeaderMap, most: usize) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        // Who waits for a word before sending has sent nothing, and who sends more than is thrown away is cut off.
        let is_thrown_away = announced <= most as u64 + MOST_DRAINED;
        if is_thrown_away && !headers.contains_key(header::EXPECT) {
            drain(&mut body, 0).await;
        }
        return Err(too_large(most));
    }
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= most {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(announced.max(first.len() as u64) as usize);
    let mut piece = Some(first);
    while let Some(data) = piece {
        if whole.len() + data.len() > most {
            drain(&mut body, data.len() as u64).await;
            return Err(too_large(most));
        }
        whole.extend_from_slice(&data);
        piece = next(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of data.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        // What is no data is trailers, which mean nothing here.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Throws the rest away, of which so much has come already.
async fn drain<B: Body<Data = Bytes> + Unpin>(body: &mut B, mut drained: u64) {
    while drained <= MOST_DRAINED {
        match body.frame().await {
            Some(Ok(frame)) => drained += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) | None => return,
        }
    }
}

fn too_large(most: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body has more than {most} bytes, which is the limit; nothing was executed"),
    )
}

fn broken(error: &impl Display) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "bad_request",
        format!("the body has not come to its end: {error}; nothing was executed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    fn pieces(
        sizes: &[usize],
    ) -> StreamBody<
        impl tokio_stream::Stream<Item = Result<Frame<Bytes>, Infallible>> + Unpin + use<>,
    > {
        let frames: Vec<_> = sizes
            .iter()
            .map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size]))))
            .collect();
        StreamBody::new(tokio_stream::iter(frames))
    }

    #[test]
    fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from_static(b"[1,2]");
        let read = run(read(Full::new(sent.clone()), &HeaderMap::new(), 5)).unwrap();
        assert_eq!(read.as_ptr(), sent.as_ptr());
    }

    #[test]
    fn pieces_are_put_together_up_to_the_limit() {
        let whole = |sizes: &[usize]| run(read(pieces(sizes), &HeaderMap::new(), 8));
        assert_eq!(whole(&[]).unwrap(), "");
        assert_eq!(whole(&[3, 5]).unwrap(), "xxxxxxxx");
        for too_much in [&[9][..], &[8, 1], &[3, 5, 1]] {
            assert_eq!(whole(too_much).unwrap_err().status, 413, "{too_much:?}");
        }
    }

    #[test]
    fn the_rest_of_a_body_that_is_too_large_is_thrown_away_up_to_a_bound() {
        run(async {
            let piece = 1 << 20;
            let mut body = pieces(&[piece; 70]);
            assert_eq!(
                read(&mut body, &HeaderMap::new(), 8)
                    .await
                    .unwrap_err()
                    .status,
                413
            );
            let mut left = 0;
            while body.frame().await.is_some() {
                left += 1;
            }
            assert_eq!(left, 70 - 1 - 64);
        });
    }

    #[test]
    fn nothing_is_read_where_nothing_was_sent_yet() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::EXPECT,
            header::HeaderValue::from_static("100-continue"),
        );
        let mut body = Full::new(Bytes::from_static(b"[1,2]"));
        let refusal = run(read(&mut body, &headers, 4)).unwrap_err();
        assert_eq!(refusal.kind, "body_too_large");
        assert!(!body.is_end_stream());
    }
}

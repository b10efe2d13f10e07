//! A line of an access log, in Common or Combined Log Format:
//!
//! ```text
//! ::1 - ada [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326
//! ::1 - ada [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "https://example.org/" "curl/8.0"
//! ```

/// What is used of a line.
#[derive(Debug, PartialEq)]
pub(crate) struct Line<'a> {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub(crate) time: i64,
    /// The path asked for, without its query; `None` when the request was no request.
    pub(crate) path: Option<&'a str>,
    pub(crate) status: u16,
    /// The size of the body, when one was sent.
    pub(crate) bytes: Option<u64>,
}

impl<'a> Line<'a> {
    /// Reads a line; the error says what is missing from it.
    pub(crate) fn parse(line: &'a str) -> Result<Self, String> {
        let rest = line.trim_end_matches(['\r', '\n']);
        let (_host, rest) = word(rest).ok_or("no client address at the beginning")?;
        let (_identity, rest) = word(rest).ok_or("no identity after the client address")?;
        // The user's name may contain spaces, so it ends where the time begins.
        let (user, rest) = rest.split_once(" [").ok_or("no [time] after the user")?;
        if user.is_empty() {
            return Err("no user before the time".to_owned());
        }
        let (time, rest) = rest.split_once("] ").ok_or("no end of the [time]")?;
        let (request, rest) = quoted(rest).ok_or("no \"request\" after the time")?;
        let rest = rest
            .strip_prefix(' ')
            .ok_or("no status after the request")?;
        let (status, rest) = rest.split_once(' ').ok_or("no size after the status")?;
        let (bytes, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        if !rest.is_empty() {
            referer_and_agent(rest)
                .ok_or("something other than \"referer\" \"agent\" at the end")?;
        }
        Ok(Line {
            time: self::time(time).ok_or_else(|| format!("{time:?} is no time"))?,
            path: path(request),
            status: self::status(status).ok_or_else(|| format!("{status:?} is no status"))?,
            bytes: self::bytes(bytes).ok_or_else(|| format!("{bytes:?} is no size"))?,
        })
    }
}

/// The text up to the next space, and what follows that.
fn word(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ').filter(|(word, _)| !word.is_empty())
}

/// The inside of a quoted string, and what follows it. A backslash takes the next character's meaning away.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

fn referer_and_agent(text: &str) -> Option<()> {
    let (_referer, rest) = quoted(text.strip_prefix(' ')?)?;
    let (_agent, rest) = quoted(rest.strip_prefix(' ')?)?;
    rest.trim_end().is_empty().then_some(())
}

/// The path in `GET /path?query HTTP/1.1`. Clients send spaces in it, and no version with HTTP/0.9.
fn path(request: &str) -> Option<&str> {
    let (method, rest) = word(request)?;
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    target.split('?').next().filter(|path| !path.is_empty())
}

fn status(text: &str) -> Option<u16> {
    let status = number(text, 3)?;
    (100..600).contains(&status).then_some(status as u16)
}

/// `-` is the size of no body.
fn bytes(text: &str) -> Option<Option<u64>> {
    if text == "-" {
        return Some(None);
    }
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    text.parse().ok().map(Some)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// `10/Oct/2000:13:55:36 -0700` in seconds.
fn time(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (time, zone) = text.split_once(' ')?;
    let (date, clock) = time.split_once(':')?;
    let mut date = date.split('/');
    let day = number(date.next()?, 2)?;
    let month = date.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = number(date.next()?, 4)?;
    let mut clock = clock.split(':');
    let hour = number(clock.next()?, 2)?;
    let minute = number(clock.next()?, 2)?;
    let second = number(clock.next()?, 2)?;
    let fits = (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        // 60 is a leap second.
        && second <= 60
        && date.next().is_none()
        && clock.next().is_none();
    if !fits {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset(zone)?)
}

/// `-0700` in seconds.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = number(digits, 4)?;
    let (hours, minutes) = (digits / 100, digits % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to this date of the Gregorian calendar, counting years from March, so that a leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str =
        r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif?x=1 HTTP/1.0" 200 2326"#;

    fn path_of(request: &str) -> Option<&str> {
        path(request)
    }

    #[test]
    fn a_common_line_is_read() {
        let expected = Line {
            time: 971_211_336,
            path: Some("/a.gif"),
            status: 200,
            bytes: Some(2326),
        };
        assert_eq!(Line::parse(COMMON), Ok(expected));
    }

    #[test]
    fn other_shapes_of_the_same_are_read() {
        for line in [
            format!("{COMMON} \"https://example.org/\" \"Mozilla/5.0 (X11; \\\"quoted\\\")\""),
            format!("{COMMON}\r\n"),
            COMMON.replace("127.0.0.1", "2001:db8::1"),
            COMMON.replace("frank", "frank the first"),
            COMMON.replace("13:55:36 -0700", "20:55:36 +0000"),
            COMMON.replace("10/Oct/2000:13:55:36 -0700", "11/Oct/2000:02:25:36 +0530"),
        ] {
            let read = Line::parse(&line).unwrap();
            assert_eq!(
                (read.time, read.path),
                (971_211_336, Some("/a.gif")),
                "{line}"
            );
        }
    }

    #[test]
    fn a_request_may_be_odd() {
        assert_eq!(path_of("GET / HTTP/1.1"), Some("/"));
        assert_eq!(path_of("GET /old"), Some("/old"));
        assert_eq!(path_of("GET /with space HTTP/1.1"), Some("/with space"));
        assert_eq!(path_of(r#"GET /say\"hi\" HTTP/1.1"#), Some(r#"/say\"hi\""#));
        assert_eq!(path_of("OPTIONS * HTTP/1.1"), Some("*"));
        for none in [
            "-",
            "",
            r"\x16\x03\x01",
            "GET",
            "get / HTTP/1.1",
            "GET ?x HTTP/1.1",
        ] {
            assert_eq!(path_of(none), None, "{none}");
        }
        let line = COMMON
            .replace("GET /a.gif?x=1 HTTP/1.0", r"\x16\x03 \")
            .replace("200 2326", "400 -");
        assert!(
            Line::parse(&line).is_err(),
            "an escaped quote does not end the request"
        );
        let line = COMMON
            .replace("GET /a.gif?x=1 HTTP/1.0", "-")
            .replace("200 2326", "408 -");
        let read = Line::parse(&line).unwrap();
        assert_eq!((read.path, read.status, read.bytes), (None, 408, None));
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_what_is_wrong() {
        for (line, reason) in [
            ("", "no client address at the beginning"),
            ("rubbish", "no client address at the beginning"),
            ("::1 -", "no identity after the client address"),
            ("::1 - x", "no [time] after the user"),
            ("::1 - x [10/Oct/2000", "no end of the [time]"),
            (&COMMON.replace('"', ""), "no \"request\" after the time"),
            (
                &COMMON.replace(" 200 2326", ""),
                "no status after the request",
            ),
            (&COMMON.replace(" 2326", ""), "no size after the status"),
            (&COMMON.replace(" 200 ", " 2000 "), "\"2000\" is no status"),
            (&COMMON.replace(" 200 ", " 999 "), "\"999\" is no status"),
            (&COMMON.replace("2326", "+5"), "\"+5\" is no size"),
            (&COMMON.replace("2326", ""), "\"\" is no size"),
            (
                &COMMON.replace("10/Oct", "31/Sep"),
                "\"31/Sep/2000:13:55:36 -0700\" is no time",
            ),
            (
                &COMMON.replace("-0700", "0700"),
                "\"10/Oct/2000:13:55:36 0700\" is no time",
            ),
            (
                &format!("{COMMON} x"),
                "something other than \"referer\" \"agent\" at the end",
            ),
            (
                &format!("{COMMON} \"-\""),
                "something other than \"referer\" \"agent\" at the end",
            ),
        ] {
            assert_eq!(Line::parse(line), Err(reason.to_owned()), "{line}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("01/Jan/1970:00:00:00 +0000", 0),
            ("31/Dec/1969:23:59:59 +0000", -1),
            ("29/Feb/2000:00:00:00 +0000", 951_782_400),
            ("29/Feb/2024:12:00:00 +0000", 1_709_208_000),
            ("01/Mar/2100:00:00:00 +0000", 4_107_542_400),
        ] {
            assert_eq!(time(text), Some(seconds), "{text}");
        }
        assert_eq!(time("29/Feb/2100:00:00:00 +0000"), None);
        assert_eq!(time("29/Feb/2023:00:00:00 +0000"), None);
    }
}

//! Just enough of HTTP/1.1 for S3: requests with a declared length, answers that are whole, cut short, or never come.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// No client of the tests waits this long for an answer that does not come.
const SILENCE: Duration = Duration::from_secs(60);

/// The beginning of a request, before its body is read.
#[derive(Debug, Clone)]
pub struct Head {
    pub method: String,
    /// Decoded, with the leading slash.
    pub path: String,
    /// Decoded.
    pub query: BTreeMap<String, String>,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// How much of an answer is sent.
#[derive(Debug, Clone)]
pub enum Reply {
    Whole(Response),
    /// The half of it; then the connection ends.
    Cut(Response),
    /// The half of it; then nothing more.
    Stalled(Response),
    /// Nothing; the connection ends.
    Closed,
    /// Nothing, for as long as the client waits.
    Silent,
}

impl Head {
    /// The next request of a connection; `None` if there is no further one.
    pub fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" if lines.is_empty() => {}
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut words = lines[0].split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        let header = |line: &String| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Some(Self {
            method: method.to_owned(),
            path: decode(path),
            query: query.split('&').filter(|part| !part.is_empty()).map(pair).collect(),
            headers: lines[1..].iter().filter_map(header).collect(),
        }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn length(&self) -> usize {
        self.header("content-length").map_or(0, |length| length.parse().unwrap())
    }

    pub fn read_body(&self, reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
        assert_ne!(self.header("transfer-encoding"), Some("chunked"), "S3 takes no body of unknown length");
        let mut body = vec![0; self.length()];
        reader.read_exact(&mut body)?;
        Ok(body)
    }
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn xml(self, body: &str) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}").into_bytes();
        Self { body, ..self }.header("Content-Type", "application/xml")
    }

    /// S3's form of an error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = format!(
            "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>req_s3</RequestId><HostId>host_s3</HostId></Error>"
        );
        Self::new(status).xml(&error)
    }

    fn bytes(&self, with_body: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} S3\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| *name == "Content-Length") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl Reply {
    /// Sends it, and says whether the connection can take another request.
    pub fn send(self, stream: &mut TcpStream, head: &Head) -> std::io::Result<bool> {
        let with_body = head.method != "HEAD";
        match self {
            Reply::Whole(response) => stream.write_all(&response.bytes(with_body)).map(|()| true),
            Reply::Cut(response) => stream.write_all(half(&response.bytes(with_body))).map(|()| false),
            Reply::Stalled(response) => {
                stream.write_all(half(&response.bytes(with_body)))?;
                await_hang_up(stream)
            }
            Reply::Closed => Ok(false),
            Reply::Silent => await_hang_up(stream),
        }
    }
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

fn await_hang_up(stream: &mut TcpStream) -> std::io::Result<bool> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.read(&mut [0; 1]).map(|_| false)
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap()
}

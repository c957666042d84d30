//! An API that says what it is told to, whole or not, and remembers what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A server on loopback. Its thread ends with the test's process.
pub struct ScriptedApi {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    /// Answers by path; the last of a path stays.
    answers: HashMap<String, VecDeque<Answer>>,
    requests: Vec<String>,
    /// What came with them.
    bodies: Vec<String>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub framing: Framing,
    /// Holds the answer back until it is open.
    pub gate: Option<Gate>,
    /// Between two pieces of the body.
    pub pause: Duration,
}

/// What an answer waits for.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// By its length.
    Length,
    /// By a length that is not its own; then the connection ends.
    Declared(usize),
    /// By chunks.
    Chunked,
    /// By chunks, of which the last never comes.
    ChunkedWithoutEnd,
}

impl Answer {
    /// 200, with this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            framing: Framing::Length,
            gate: None,
            pause: Duration::ZERO,
        }
    }

    /// Another status, with the API's error envelope.
    pub fn error(status: u16, message: &str, request_id: &str) -> Self {
        let envelope = serde_json::json!({
            "code": 1000, "message": message, "httpStatus": status, "requestId": request_id,
            "timestamp": "2026-05-15T00:00:00Z", "errors": [],
        });
        Self { status, ..Self::ok(envelope.to_string()) }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn framed(self, framing: Framing) -> Self {
        Self { framing, ..self }
    }

    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// With a pause behind each 1000 bytes of the body.
    pub fn slowly(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    fn write(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = match self.framing {
            Framing::Length => Some(self.body.len()),
            Framing::Declared(length) => Some(length),
            Framing::Chunked | Framing::ChunkedWithoutEnd => None,
        };
        let framing =
            length.map_or("Transfer-Encoding: chunked".to_owned(), |length| format!("Content-Length: {length}"));
        stream.write_all(format!("{head}{framing}\r\n\r\n").as_bytes())?;
        if length.is_some() && self.pause.is_zero() {
            return stream.write_all(&self.body);
        }
        for piece in self.body.chunks(1000) {
            if length.is_some() {
                stream.write_all(piece)?;
            } else {
                write!(stream, "{:x}\r\n", piece.len())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")?;
            }
            thread::sleep(self.pause);
        }
        if matches!(self.framing, Framing::Chunked) { stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }
}

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn wait(&self) {
        while !self.0.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl ScriptedApi {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = script.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = shared.clone();
                // Whoever asks may go away before the end; that is not this server's business.
                thread::spawn(move || drop(serve(stream, &script)));
            }
        });
        Self { address, script }
    }

    /// An API that lists nothing at the paths of all resources.
    pub fn without_records() -> Self {
        let api = Self::start();
        super::tables::Resource::all().iter().for_each(|resource| api.serve(&resource.path, "[]"));
        api
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers a path with this body from here on.
    pub fn serve(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.answer(path, [Answer::ok(body)]);
    }

    /// Answers a path with each of these in turn, and with the last from then on.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().answers.insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Waits until so many requests have come.
    pub fn await_requests(&self, count: usize) {
        for _ in 0..30_000 {
            if self.script.lock().unwrap().requests.len() >= count {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("{count} requests have not come");
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.script.lock().unwrap().requests.clone()
    }

    /// What came with all requests so far that brought something.
    pub fn bodies(&self) -> Vec<String> {
        self.script.lock().unwrap().bodies.clone()
    }
}

fn serve(mut stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    let answer = {
        let mut script = script.lock().unwrap();
        script.requests.push(head);
        script.bodies.extend(length.map(|_| String::from_utf8(body).unwrap()));
        match script.answers.get_mut(&path) {
            Some(answers) if answers.len() > 1 => answers.pop_front(),
            Some(answers) => answers.front().cloned(),
            None => None,
        }
    };
    let answer = answer.unwrap_or_else(|| Answer::error(404, "The resource was not found", "req_404"));
    if let Some(gate) = &answer.gate {
        gate.wait();
    }
    answer.write(&mut stream)
}

//! A sandbox in this process, and what it says is true.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use chrono::TimeDelta;
use lumetrade_export::sandbox::{Options, Running, start};
use tokio::runtime::{Builder, Runtime};

use super::{
    rows::{Records, Row, by_key},
    tables::Resource,
};

/// A sandbox, with the threads that serve it.
pub struct Sandbox {
    running: Running,
    // Dropped last: the sandbox lives on its threads.
    _runtime: Runtime,
}

impl Sandbox {
    pub fn start(seed: u64, records: u64) -> Self {
        Self::start_with_key(seed, records, &Options::default().key)
    }

    /// The same for an entity with a key of its own.
    pub fn start_with_key(seed: u64, records: u64, key: &str) -> Self {
        println!("sandbox of seed {seed} with {records} records");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let running =
            runtime.block_on(start(Options { seed, records, key: key.to_owned(), ..Options::default() }, 0)).unwrap();
        Self { running, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        self.running.base_url()
    }

    pub fn advance(&self, by: TimeDelta) {
        let clock = self.running.advance(by).unwrap();
        println!("the sandbox's clock is {clock}");
    }

    /// Changes the form of what is served, as in `numbers=alternate&order=reversed`; everything else is as at first.
    pub fn style(&self, style: &str) {
        self.post(&format!("/control/style?reset&{style}"));
    }

    /// Makes the undocumented resources exist.
    pub fn serve_optional(&self) {
        self.post("/control/serve-optional?on=true");
    }

    /// Turns a switch, as in `paginate?on=true`.
    pub fn switch(&self, switch: &str) {
        self.post(&format!("/control/{switch}"));
    }

    /// What the lake should hold of a resource.
    pub fn truth(&self, resource: &Resource) -> Records {
        let (status, body) = request(self.running.address(), "GET", &format!("/control/truth/{}", resource.name));
        assert_eq!(status, 200, "{body}");
        by_key(resource, body.lines().map(|line| serde_json::from_str::<Row>(line).unwrap()))
    }

    fn post(&self, path: &str) {
        let (status, body) = request(self.running.address(), "POST", path);
        assert_eq!(status, 200, "{path}: {body}");
    }
}

/// Asks in HTTP/1.0, which has neither chunks nor a connection that stays: the answer is what comes until the end.
pub fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

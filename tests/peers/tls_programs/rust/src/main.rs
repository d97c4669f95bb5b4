// SPDX-License-Identifier: Apache-2.0

//! A TLS peer over rustls. See ../../peer.c for how it is used.
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

static CALLS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4]; // writes, written, reads, read
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static HANDSHAKES: AtomicU64 = AtomicU64::new(0);
static FACTS: Mutex<(String, String)> = Mutex::new((String::new(), String::new()));

type Options = HashMap<String, String>;

fn number(options: &Options, key: &str) -> usize {
    options.get(key).map_or(0, |text| text.parse().unwrap())
}

fn print_truth(role: &str) {
    let [writes, written, reads, read] = [0, 1, 2, 3].map(|i| CALLS[i].load(SeqCst));
    let (version, cipher) = FACTS.lock().unwrap().clone();
    println!(
        "{{\"library\": \"rustls\", \"ends\": [{{\"pid\": {}, \"role\": \"{role}\", \"requests\": {}, \
         \"handshakes\": {}, \"tls\": {{\"writes\": {writes}, \"written\": {written}, \
         \"reads\": {reads}, \"read\": {read}}}, \"wire\": null, \"version\": \"{version}\", \
         \"cipher\": \"{cipher}\", \"sni\": null, \"alpn\": \"\", \"resumed\": null}}]}}",
        std::process::id(),
        REQUESTS.load(SeqCst),
        HANDSHAKES.load(SeqCst)
    );
}

fn note(connection: &rustls::CommonState) {
    let version = format!("{:?}", connection.protocol_version().unwrap()).replace('_', ".");
    let cipher = format!("{:?}", connection.negotiated_cipher_suite().unwrap().suite());
    *FACTS.lock().unwrap() = (version, cipher.replace("TLS13_", "TLS_"));
    HANDSHAKES.fetch_add(1, SeqCst);
}

/// Counted before the call: who has the answer finds it counted.
fn put(tls: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    CALLS[0].fetch_add(1, SeqCst);
    CALLS[1].fetch_add(bytes.len() as u64, SeqCst);
    assert_eq!(tls.write(bytes)?, bytes.len());
    tls.flush()
}

fn take(tls: &mut dyn Read, into: &mut Vec<u8>) -> Result<()> {
    let mut bytes = [0; 16384];
    let size = tls.read(&mut bytes)?;
    if size == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    CALLS[2].fetch_add(1, SeqCst);
    CALLS[3].fetch_add(size as u64, SeqCst);
    into.extend_from_slice(&bytes[..size]);
    Ok(())
}

/// The head of a message, without its end; what came behind it stays in the buffer.
fn take_head(tls: &mut dyn Read, buffer: &mut Vec<u8>) -> Result<String> {
    loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = buffer.split_off(at + 4);
            let head = std::mem::replace(buffer, rest);
            return Ok(String::from_utf8_lossy(&head[..at]).into_owned());
        }
        take(tls, buffer)?;
    }
}

const BODIES: u64 = 23;

/// Body NUMBER of a size, as peer.c has it; without a number it is of x alone.
fn body_of(query: Option<&str>, size: usize) -> Vec<u8> {
    let number: Option<u64> = query.map(|text| text.parse().unwrap());
    let letter = |i: u64| number.map_or(b'x', |number| b'a' + ((number + i) % BODIES) as u8);
    (0..size as u64).map(letter).collect()
}

fn serve(mut sock: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    let mut connection = ServerConnection::new(config).map_err(Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut sock)?;
    }
    note(&connection);
    let mut tls = rustls::Stream::new(&mut connection, &mut sock);
    let mut buffer = Vec::new();
    loop {
        let head = take_head(&mut tls, &mut buffer)?;
        let path = head.split(' ').nth(1).unwrap_or("/0");
        let (size, query) = path[1..].split_once('?').map_or((&path[1..], None), |(a, b)| (a, Some(b)));
        let size: usize = size.parse().map_err(Error::other)?;
        REQUESTS.fetch_add(1, SeqCst);
        put(&mut tls, format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())?;
        for part in body_of(query, size).chunks(16384) {
            put(&mut tls, part)?;
        }
    }
}

struct Client {
    tls: rustls::StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(options: &Options, config: Arc<ClientConfig>) -> Result<Client> {
        let name = ServerName::try_from(options["sni"].clone()).map_err(Error::other)?;
        let mut connection = ClientConnection::new(config, name).map_err(Error::other)?;
        let mut sock = TcpStream::connect(("127.0.0.1", number(options, "port") as u16))?;
        sock.set_nodelay(true)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut sock)?;
        }
        note(&connection);
        Ok(Client { tls: rustls::StreamOwned::new(connection, sock), buffer: Vec::new() })
    }

    fn request(&mut self, size: usize, number: u64) -> Result<()> {
        let query = ((number + REQUESTS.load(SeqCst)) % BODIES).to_string();
        let query = if number > 0 { Some(query.as_str()) } else { None };
        let path = size.to_string() + &query.map_or(String::new(), |query| format!("?{query}"));
        put(&mut self.tls, format!("GET /{path} HTTP/1.1\r\nHost: peer.test\r\n\r\n").as_bytes())?;
        let head = take_head(&mut self.tls, &mut self.buffer)?;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        while self.buffer.len() < size {
            take(&mut self.tls, &mut self.buffer)?;
        }
        assert!(self.buffer == body_of(query, size), "another body than was asked for");
        self.buffer.clear();
        REQUESTS.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn certificates(options: &Options, name: &str) -> Vec<CertificateDer<'static>> {
    let file = File::open(format!("{}/{name}", options["dir"])).unwrap();
    rustls_pemfile::certs(&mut BufReader::new(file)).map(|one| one.unwrap()).collect()
}

fn start_server(options: &Options) {
    let file = File::open(format!("{}/server.key", options["dir"])).unwrap();
    let key: PrivateKeyDer = rustls_pemfile::private_key(&mut BufReader::new(file)).unwrap().unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates(options, "server.pem"), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", number(options, "port") as u16)).unwrap();
    std::thread::spawn(move || {
        for sock in listener.incoming().flatten() {
            let config = config.clone();
            sock.set_nodelay(true).unwrap();
            std::thread::spawn(move || serve(sock, config));
        }
    });
}

fn client_config(options: &Options) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for one in certificates(options, "ca.pem") {
        roots.add(one).unwrap();
    }
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut options: Options = [("dir", "."), ("sni", "peer.test"), ("requests", "1"), ("size", "1000")]
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .into();
    for (key, value) in arguments[2..].iter().filter_map(|argument| argument.split_once('=')) {
        options.insert(key.to_string(), value.to_string());
    }
    let role = arguments[1].as_str();
    let mut client: Option<Client> = None;
    let config = if role == "client" { Some(client_config(&options)) } else { None };
    let mut batch = |count: usize| -> Result<()> {
        let Some(config) = &config else { return Ok(()) };
        for _ in 0..count {
            if client.is_none() {
                client = Some(Client::connect(&options, config.clone())?);
            }
            client.as_mut().unwrap().request(number(&options, "size"), number(&options, "number") as u64)?;
            if number(&options, "reconnect") == 1 {
                client = None;
            }
        }
        Ok(())
    };
    if role == "server" {
        start_server(&options);
    }
    batch(number(&options, "hold"))?;
    print_truth(role);
    for _ in std::io::stdin().lock().lines() {
        batch(number(&options, "requests"))?;
        print_truth(role);
    }
    Ok(())
}

//! A server on this machine that speaks as much of HTTP and of S3 as is needed: objects with keys, lists, uploads in parts.
//! It does not check signatures, but notes who signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<(String, u32), Vec<u8>>,
    users: BTreeSet<(String, String)>,
}

pub(crate) struct Server {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    user: Option<String>,
    body: Vec<u8>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { url, kept }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.kept.lock().unwrap().objects.insert(path.to_owned(), bytes);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn paths(&self, below: &str) -> Vec<String> {
        self.kept.lock().unwrap().objects.keys().filter(|path| path.starts_with(below)).cloned().collect()
    }

    /// Whose signature requests below a path had.
    pub(crate) fn users(&self, below: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let users: BTreeSet<String> =
            kept.users.iter().filter(|(path, _)| path.starts_with(below)).map(|(_, user)| user.clone()).collect();
        users.into_iter().collect()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) {
    let Some(request) = read(&stream) else { return };
    let (status, headers, body) = answer(&request, &mut kept.lock().unwrap());
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    let _ =
        stream.write_all(head.as_bytes()).and_then(|()| if request.method == "HEAD" { Ok(()) } else { stream.write_all(&body) });
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut user) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => {
                user = value.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).map(str::to_owned);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (key.to_owned(), plain(value))).collect();
    Some(Request { method, path: plain(path), query, user, body })
}

/// A text without percent signs.
fn plain(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        text.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        text.push_str(&part[2..]);
        text
    })
}

fn answer(request: &Request, kept: &mut Kept) -> (&'static str, &'static str, Vec<u8>) {
    const OK: &str = "200 OK";
    const TAG: &str = "etag: \"e\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    let path = request.path.clone();
    if let Some(user) = &request.user {
        kept.users.insert((format!("{}/", path.trim_end_matches('/')), user.clone()));
    }
    match (request.method.as_str(), request.query.get("uploadId"), request.query.contains_key("list-type")) {
        ("GET", _, true) => (OK, "", list(&path, request, kept).into_bytes()),
        ("GET" | "HEAD", ..) => match kept.objects.get(&path) {
            Some(bytes) => (OK, TAG, bytes.clone()),
            None => ("404 Not Found", "", b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        },
        ("POST", None, _) => {
            (OK, "", b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".to_vec())
        }
        ("PUT", Some(_), _) => {
            let number = request.query["partNumber"].parse().unwrap();
            kept.parts.insert((path, number), request.body.clone());
            (OK, TAG, Vec::new())
        }
        ("POST", Some(_), _) => {
            let parts = kept.parts.iter().filter(|((of, _), _)| *of == path);
            let whole: Vec<u8> = parts.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            kept.objects.insert(path, whole);
            (OK, "", b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>".to_vec())
        }
        ("PUT", None, _) => {
            kept.objects.insert(path, request.body.clone());
            (OK, TAG, Vec::new())
        }
        _ => ("405 Method Not Allowed", "", Vec::new()),
    }
}

fn list(bucket: &str, request: &Request, kept: &Kept) -> String {
    let bucket = format!("{}/", bucket.trim_end_matches('/'));
    let prefix = format!("{bucket}{}", request.query.get("prefix").cloned().unwrap_or_default());
    let found = kept.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
    let found = found.fold(String::new(), |mut text, (path, bytes)| {
        let (key, size, at) = (&path[bucket.len()..], bytes.len(), "2026-01-01T00:00:00.000Z");
        write!(text, "<Contents><Key>{key}</Key><LastModified>{at}</LastModified><ETag>e</ETag><Size>{size}</Size></Contents>")
            .unwrap();
        text
    });
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")
}

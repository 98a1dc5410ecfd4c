//! `castline review` in a process of its own, and requests to it.

use super::*;

/// `castline review`, serving.
pub(super) struct Review {
    pub(super) process: Child,
    pub(super) host: String,
    pub(super) token: String,
    pub(super) to_review: u64,
}

impl Review {
    pub(super) fn start(cast: &Cast) -> Self {
        Self::start_with(cast, &[])
    }

    pub(super) fn start_with(cast: &Cast, more: &[&str]) -> Self {
        let args = [&["review", "--sandbox", "--no-open", "--json"], more].concat();
        let mut process = Castline::on(cast)
            .command(&args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("castline starts");
        let message = BufReader::new(process.stdout.take().expect("stdout"))
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON"))
            .find(|line| line["type"] == "review")
            .expect("it tells its address");
        let url = message["url"].as_str().expect("an address");
        let (host, token) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once("/?token="))
            .expect("host and token");
        Self {
            process,
            host: host.to_owned(),
            token: token.to_owned(),
            to_review: message["to_review"].as_u64().expect("a count"),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/?token={}", self.host, self.token)
    }

    /// One request over a connection of its own: status, headers, body.
    pub(super) fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let mut text = format!(
            "{request} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(&self.host).expect("it listens");
        stream
            .write_all(format!("{text}\r\n{body}").as_bytes())
            .expect("a request");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("a reply");
        let reply = String::from_utf8_lossy(&reply);
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), head.to_owned(), body.to_owned())
    }

    /// Takes the token to the door; gives the cookie.
    pub(super) fn enter(&self) -> String {
        let (status, head, _) = self.ask(&format!("GET /?token={}", self.token), &[], "");
        assert_eq!(status, 200, "{head}");
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .expect("a cookie");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
            "{cookie}"
        );
        cookie.split(';').next().expect("its value").to_owned()
    }

    pub(super) fn post(&self, path: &str, cookie: &str, body: &Value) -> (u16, String) {
        let origin = format!("http://{}", self.host);
        let headers = [
            ("Cookie", cookie),
            ("Origin", &origin),
            ("Content-Type", "application/json"),
        ];
        let (status, _, body) = self.ask(&format!("POST {path}"), &headers, &body.to_string());
        (status, body)
    }
}

impl Drop for Review {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! What stands before a room server: it lets through, or has an answer of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::runtime;

/// What becomes of a connection.
#[derive(Clone)]
pub enum Answer {
    /// It goes through.
    Through,
    /// It is closed without a word.
    Closed,
    /// It hears nothing.
    Silence,
    /// It hears this.
    Text(String),
}

/// A door before a server.
pub struct Door {
    pub address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    cut: watch::Sender<u64>,
}

impl Door {
    pub fn before(server: SocketAddr) -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, (cut, _)) = (Arc::new(Mutex::new(Answer::Through)), watch::channel(0));
        let (answers, cuts) = (answer.clone(), cut.clone());
        runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers.lock().unwrap().clone();
                tokio::spawn(handle(stream, server, answer, cuts.subscribe()));
            }
        });
        Self { address, answer, cut }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// What new connections meet from now on; those that are open end.
    pub fn now(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub fn says(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.now(Answer::Text(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")));
    }
}

async fn handle(mut stream: TcpStream, server: SocketAddr, answer: Answer, mut cut: watch::Receiver<u64>) {
    match answer {
        Answer::Closed => {}
        Answer::Silence => {
            let _ = cut.changed().await;
        }
        Answer::Text(text) => {
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Answer::Through => {
            let Ok(mut onward) = TcpStream::connect(server).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut stream, &mut onward) => {}
                _ = cut.changed() => {}
            }
        }
    }
}

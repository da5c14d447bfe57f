//! Ways through proxies. The small proxies here speak real CONNECT and SOCKS over real sockets.

use std::net::SocketAddr;

use dial::{DialError, Dialer, ProxySetting};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::TcpStream;

use crate::tools::{Authority, dialer, echo, is_echoed, server};

/// Leads whatever name is asked for to `target`, if the request has that line.
async fn connect_proxy(target: SocketAddr, wanted: &'static str) -> SocketAddr {
    server(move |stream| async move {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
        if !head.lines().any(|line| line == wanted) {
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
            return;
        }
        tokio::spawn(async move {
            let mut onward = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        });
    })
    .await
}

fn by_proxy(url: String) -> Dialer {
    dialer(|config| config.proxy = ProxySetting::Url(url))
}

#[tokio::test]
async fn a_host_that_only_the_proxy_knows_is_reached_through_it() {
    let proxy = connect_proxy(echo(None).await, "CONNECT rooms.office.invalid:7880 HTTP/1.1").await;
    let stream = by_proxy(format!("http://{proxy}")).tcp("rooms.office.invalid", 7880).await.unwrap();
    assert!(is_echoed(stream).await);
}

#[tokio::test]
async fn tls_goes_through_the_proxy_to_the_server_and_its_name_counts() {
    let authority = Authority::new("Acme");
    let server = echo(Some(authority.issue(&["rooms.office.invalid"], |_| ()))).await;
    let proxy = connect_proxy(server, "CONNECT rooms.office.invalid:443 HTTP/1.1").await;
    let dialer = dialer(|config| {
        config.ca = Some(authority.pem());
        config.proxy = ProxySetting::Url(format!("http://{proxy}"));
    });
    assert!(is_echoed(dialer.tls("rooms.office.invalid", 443).await.unwrap()).await);
}

#[tokio::test]
async fn user_name_and_password_of_the_proxys_address_are_sent_to_it() {
    let proxy = connect_proxy(echo(None).await, "Proxy-Authorization: Basic YW5uYTpAIQ==").await;
    assert!(is_echoed(by_proxy(format!("http://anna:%40%21@{proxy}")).tcp("a.invalid", 1).await.unwrap()).await);
    let error = by_proxy(format!("http://{proxy}")).tcp("a.invalid", 1).await.unwrap_err();
    assert!(matches!(&error, DialError::Proxy { reason, .. } if reason.contains("407")), "{error}");
}

#[tokio::test]
async fn a_socks_proxy_is_asked_for_the_name() {
    let target = echo(None).await;
    let proxy = server(move |mut stream| async move {
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        // Version, CONNECT, reserved, a name of nine bytes, and the port.
        let mut request = [0; 5 + 9 + 2];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request[..], b"\x05\x01\x00\x03\x09a.invalid\x1e\xc8");
        tokio::spawn(async move {
            let mut onward = TcpStream::connect(target).await.unwrap();
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        });
    })
    .await;
    assert!(is_echoed(by_proxy(format!("socks5://{proxy}")).tcp("a.invalid", 7880).await.unwrap()).await);
}

#[tokio::test]
async fn a_proxy_that_answers_garbage_or_without_end_or_closes_is_named_at_once() {
    let garbage = server(|mut stream| async move {
        let _ = stream.write_all(&[0x16; 4000]).await;
    });
    let endless = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    });
    let closing = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 O").await;
    });
    for proxy in [garbage.await, endless.await, closing.await] {
        for scheme in ["http", "socks5"] {
            let error = by_proxy(format!("{scheme}://{proxy}")).tcp("a.invalid", 1).await.unwrap_err();
            let DialError::Proxy { proxy: named, .. } = &error else { panic!("{error}") };
            assert_eq!(*named, proxy.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_given_up() {
    let silent = server(|stream| async move {
        tokio::spawn(async move {
            let _kept = stream;
            std::future::pending::<()>().await;
        });
    })
    .await;
    let error = by_proxy(format!("http://{silent}")).tcp("a.invalid", 1).await.unwrap_err();
    assert!(matches!(&error, DialError::Proxy { reason, .. } if reason.contains("in time")), "{error}");
}

//! Where a controller asks for alerts, and where it does not, whoever asks for the game day.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::game_day::alerts::Reading;
use crate::signals::reach::Reach;

fn with_alertmanager(url: &str) -> String {
    text().replace(
        "  checklist:",
        &format!("  alertmanager: {{ url: \"{url}\", interval: 100ms, timeout: 1s }}\n  checklist:"),
    )
}

/// A server that answers as an Alertmanager without alerts, and how often it was connected to.
async fn alertmanager() -> (u16, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<u32>>::default());
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *count.lock().unwrap() += 1;
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

/// Carries on until alerts were read once, and answers what came of it.
async fn first_reading(day: &Day) -> Reading {
    let nobody = |_: &Entry, _: &_, _: &[Command]| {};
    let mut carrying = Carrying::begin(Arc::clone(&day.fixture.controller), &day.id, &nobody).await.unwrap();
    for _ in 0..500 {
        carrying.round(&nobody).await.unwrap();
        let read = day.fixture.controller.read_game_day(&day.id).await.unwrap();
        let reading = read.entries.iter().find_map(|entry| match &entry.event {
            Event::Alerts(reading) => Some(reading.clone()),
            _ => None,
        });
        match reading {
            Some(reading) => return reading,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("alerts were never read");
}

#[tokio::test]
async fn an_alertmanager_out_of_reach_is_refused_at_once_where_that_is_plain() {
    let fixture = Fixture::new().await;
    fixture.host("db-1", &[("role", "db"), ("team", "payments")]).await;
    for address in ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200:80"] {
        let text = with_alertmanager(&format!("http://{address}/latest"));
        let refused = fixture.controller.submit_game_day(&dennis(), &text).await.unwrap_err();
        let told = refused.to_string();
        assert_eq!(refused.class(), (422, "unsuitable", "The document cannot be run by a controller"), "{told}");
        assert!(told.starts_with("alertmanager: ") && told.contains("--signal-allow"), "{told}");
    }
    assert!(fixture.controller.game_days(&dennis(), None, 10).await.unwrap().game_days.is_empty());

    let only = Reach::only(vec!["10.0.0.0/8".parse().unwrap()]);
    let strict = Fixture::with(Settings { signal_reach: only, ..Settings::default() }).await;
    let refused = strict.controller.submit_game_day(&dennis(), &with_alertmanager("http://127.0.0.1:9093")).await;
    assert!(refused.unwrap_err().to_string().contains("127.0.0.1 is not among"), "what is allowed is all there is");
}

#[tokio::test]
async fn a_name_that_leads_out_of_reach_is_refused_when_it_is_asked_and_nothing_is_connected() {
    let (port, asked) = alertmanager().await;
    let signal_reach = Reach::only(vec!["10.0.0.0/8".parse().unwrap()]);
    let settings = Settings { signal_reach, ..Settings::default() };
    let text =
        with_alertmanager(&format!("http://localhost:{port}")).replace("http://127.0.0.1:9/", "http://10.0.0.9/");
    let day = Day::by(settings, &text).await.agree().await;
    let Reading::Unknown(why) = first_reading(&day).await else { panic!("it was read") };
    assert!(why.contains("is not among the addresses") && why.contains("--signal-allow"), "{why}");
    assert_eq!(*asked.lock().unwrap(), 0);
}

#[tokio::test]
async fn what_is_in_reach_is_asked() {
    let (port, asked) = alertmanager().await;
    let day = Day::of(&with_alertmanager(&format!("http://localhost:{port}"))).await.agree().await;
    assert_eq!(first_reading(&day).await, Reading::Firing(Vec::new()));
    assert!(*asked.lock().unwrap() > 0);
}

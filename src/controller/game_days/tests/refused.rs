//! What is refused before anything is kept.

use super::*;

#[tokio::test]
async fn what_cannot_be_held_is_refused_before_anything_is_kept() {
    let fixture = Fixture::new().await;
    let refused = async |text: &str| fixture.controller.submit_game_day(&dennis(), text).await.unwrap_err();
    let none = refused(&text()).await;
    assert!(status(&none) == 409 && none.to_string().contains("target `db`"), "{none}");
    fixture.host_that("db-1", &[("role", "db")], Some("no latency on this host")).await;
    assert_eq!(refused(&text()).await.to_string(), "db-1 cannot do `network-latency`: no latency on this host");
    for (text, told) in [
        (GAME_DAY.trim_end_matches("---\n").to_owned(), "no experiment `checkout-survives-a-slow-database`"),
        (DOCUMENT.to_owned(), "exactly one game day"),
        (format!("{}---\n{}", text(), GAME_DAY.trim_end_matches("---\n")), "exactly one game day"),
        (text().replace("owners, dennis", "x").replace("[owners]", "[nobody]"), "nobody"),
        (text().replace("  roles:", "  window: { from: 2020-01-01T10:00, until: 2020-01-01T12:00 }\n  roles:"), ""),
    ] {
        let error = refused(&text).await;
        assert!([409, 422].contains(&status(&error)) && error.to_string().contains(told), "{told}: {error}");
    }
    let demanding = Fixture::with(Settings { least_approvals: 3, ..Settings::default() }).await;
    let few = demanding.controller.submit_game_day(&dennis(), &text()).await.unwrap_err();
    assert!(status(&few) == 422 && few.to_string().contains("demands 3"), "{few}");
    let viewer = fixture.controller.submit_game_day(&somebody("eve", Role::Viewer), &text()).await.unwrap_err();
    assert_eq!(status(&viewer), 403);
    assert!(fixture.controller.game_days(&dennis(), None, 10).await.unwrap().game_days.is_empty());
}

use crate::support::Fixture;

async fn page(fixture: &Fixture, path: &str) -> (u16, String) {
    let url = format!("{}{path}", fixture.gitlab.url());
    let response = fixture.http.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn renders_pages_for_people() {
    let fixture = Fixture::new().await;
    let project = fixture.project("g/s/a", "'<b>': {script: x}");
    let (pipeline, job) = fixture.pipeline(project);
    fixture
        .gitlab
        .print(job, "\u{1b}[32mgreen\u{1b}[0m <script>\n")
        .unwrap();
    for (path, text) in [
        ("/".to_owned(), "/g/s/a/-/pipelines"),
        ("/groups/g".to_owned(), "/g/s/a"),
        ("/g/s/a".to_owned(), "git clone"),
        ("/g/s/a/-/pipelines".to_owned(), "pending"),
        (format!("/g/s/a/-/pipelines/{pipeline}"), "&lt;b&gt;"),
        (format!("/g/s/a/-/jobs/{job}"), "green &lt;script&gt;"),
    ] {
        let (status, shown) = page(&fixture, &path).await;
        assert_eq!(status, 200, "{path}");
        assert!(shown.contains(text), "{path}: {shown}");
    }
    let created = fixture
        .json(&format!("/projects/1/pipelines/{pipeline}"))
        .await;
    let url = created["web_url"].as_str().unwrap();
    let path = url.strip_prefix(fixture.gitlab.url()).unwrap();
    assert_eq!(page(&fixture, path).await.0, 200);
    for path in [
        "/g/s/none",
        "/g/s/a/-/jobs/1",
        "/g/s/a/-/issues",
        "/groups/none",
    ] {
        assert_eq!(page(&fixture, path).await.0, 404, "{path}");
    }
}
